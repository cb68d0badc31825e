"""Holds: credits set aside before expensive work, then captured or released."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from unified import services
from unified.api import inputs, outputs
from unified.api.authentication import caller_of
from unified.api.base import UnifiedViewSet
from unified.api.idempotency import Answer

HOLD_ID = "0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10"


class Holds(UnifiedViewSet):
    scopes: ClassVar = {
        "reserve": ("credits.spend",),
        "capture": ("credits.spend",),
        "release": ("credits.spend",),
    }

    def further_scopes(self, request: Request) -> tuple[str, ...]:
        body: Any = request.data
        return ("workspace.write",) if self.action == "reserve" and body.get("storage_bytes") else ()

    @extend_schema(
        tags=["Credits"],
        operation_id="reserve_credits",
        summary="Hold credits before expensive work",
        description=(
            "Held credits cannot be spent by any app, and are no transaction yet. Capture them when the work is done,"
            " or release them when it failed; else they are free again at `expires_at`. With `storage_bytes`, room in"
            " the workspace is kept free for as long."
        ),
        request=inputs.ReserveCreditsInput,
        examples=[
            OpenApiExample(
                "Before making a picture",
                value={
                    "user_id": "101902121794505144784",
                    "operation": "basic_art",
                    "quantity": 1,
                    "app_name": "imagegene",
                    "expires_in": 300,
                    "storage_bytes": 100_000,
                },
                request_only=True,
            )
        ],
        responses={201: outputs.ReserveCreditsAnswer},
    )
    def reserve(self, request: Request) -> Response:
        data = self.read_body(inputs.ReserveCreditsInput, request)
        storage_bytes = data.get("storage_bytes", 0)
        app = self.acting_app(request, data["app_name"], field="app_name")
        user = self.find_member(request, data["user_id"])
        price = self.priced(data)

        def work() -> Answer:
            hold, spendable = services.reserve(
                user=user,
                app=app,
                amount=price.amount,
                description=data.get("description", ""),
                expires_in_seconds=data["expires_in"],
                operation=price.operation,
                quantity=price.quantity,
                project_code=data.get("project_code"),
                storage_bytes=storage_bytes,
                by_user=caller_of(request).user is not None,
            )
            return Answer(outputs.reserved(hold, app, spendable=spendable, storage_bytes=storage_bytes), 201)

        return self.once(work)

    @extend_schema(
        tags=["Credits"],
        operation_id="capture_credits",
        summary="Pay for work that was done, from a hold",
        description=(
            "Writes one deduction, of `amount` or of all that is held; the rest is free again. The price is that of the"
            " moment when it was held. Repeating it gives the first result."
        ),
        request=inputs.CaptureCreditsInput,
        examples=[
            OpenApiExample("All of it", value={"hold_id": HOLD_ID}, request_only=True),
            OpenApiExample(
                "A part; the rest is free again", value={"hold_id": HOLD_ID, "amount": 1}, request_only=True
            ),
        ],
        responses=outputs.CaptureCreditsAnswer,
    )
    def capture(self, request: Request) -> Response:
        data = self.read_body(inputs.CaptureCreditsInput, request)
        hold = self.find_hold(request, data["hold_id"], user_id=data.get("user_id"))
        held = services.HeldCharge(hold=hold, amount=data.get("amount"), description=data.get("description"))
        return self.once(
            lambda: Answer(outputs.captured(services.capture(held=held, project_code=data.get("project_code"))))
        )

    @extend_schema(
        tags=["Credits"],
        operation_id="release_credits",
        summary="Free what a hold has set aside",
        description=(
            "For work that failed. Repeating it gives the first result. A hold whose time is over has freed its credits"
            " by itself: the answer says so (`expired`) and nothing changes."
        ),
        request=inputs.HoldInput,
        examples=[OpenApiExample("After a failure", value={"hold_id": HOLD_ID}, request_only=True)],
        responses=outputs.ReleaseCreditsAnswer,
    )
    def release(self, request: Request) -> Response:
        data = self.read_body(inputs.HoldInput, request)
        hold = self.find_hold(request, data["hold_id"], user_id=data.get("user_id"))
        return self.once(lambda: Answer(outputs.released(services.release(hold=hold))))
