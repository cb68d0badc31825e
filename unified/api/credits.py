"""The shared credit pool: spending from it, its history, and the price list."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.queries import registered_apps
from credits import pricing, queries, services
from unified.api import inputs, outputs
from unified.api.base import UnifiedViewSet, find_app
from unified.api.idempotency import Answer


class Credits(UnifiedViewSet):
    @extend_schema(
        tags=["Credits"],
        operation_id="deduct_credits",
        summary="Spend credits",
        description=(
            "Give `amount`, or `operation` with `quantity` and let the server price it. Who cannot pay gets a 402"
            " that says what is missing, and nothing is written."
        ),
        request=inputs.DeductCreditsInput,
        examples=[
            OpenApiExample(
                "By amount",
                value={
                    "user_id": "101902121794505144784",
                    "amount": 2,
                    "app_name": "imagegene",
                    "description": "AI Art Generation - Landscape Style",
                },
                request_only=True,
            ),
            OpenApiExample(
                "By price list",
                value={
                    "user_id": "101902121794505144784",
                    "operation": "page",
                    "quantity": 3,
                    "app_name": "penora",
                    "description": "Three pages",
                },
                request_only=True,
            ),
        ],
        responses=outputs.DeductCreditsAnswer,
    )
    def deduct(self, request: Request) -> Response:
        data = self.read_body(inputs.DeductCreditsInput, request)
        app = self.acting_app(request, data["app_name"], field="app_name")
        user = self.find_member(request, data["user_id"])
        operation, quantity, amount = None, None, data.get("amount")
        if amount is None:
            quantity = data.get("quantity", 1)
            operation, amount = pricing.price(operation=data["operation"], quantity=quantity)

        def work() -> Answer:
            entry, spendable = services.deduct(
                user=user,
                app=app,
                amount=amount,
                description=data["description"],
                operation=operation,
                quantity=quantity,
                project_code=data.get("project_code"),
            )
            return Answer(outputs.deducted(entry, app, spendable=spendable))

        return self.once(work)

    @extend_schema(
        tags=["Credits"],
        operation_id="transactions",
        summary="The history of a person's credits, newest first",
        description=(
            "Every change of the balance, with the balance after it. `penora_transactions` and the like are drawn"
            " from the page in `all_transactions`."
        ),
        parameters=[inputs.TransactionsQuery],
        responses=outputs.TransactionsAnswer,
    )
    def transactions(self, request: Request) -> Response:
        query = self.read_query(inputs.TransactionsQuery, request)
        user = self.find_member(request, query["user_id"])
        page = queries.history(
            user=user,
            limit=query["limit"],
            before_seq=query.get("cursor"),
            app=find_app(query["app"], field="app") if "app" in query else None,
            type=query.get("type"),
            since=query.get("since"),
            until=query.get("until"),
        )
        return Response(outputs.transactions(registered_apps(), page))

    @extend_schema(
        tags=["Credits"],
        operation_id="pricing",
        summary="The price list of all apps",
        description="What each operation costs now, in credits per unit. `deduct-credits` charges by it.",
        responses=outputs.PricingAnswer,
    )
    def pricing(self, request: Request) -> Response:
        return Response(outputs.pricing(pricing.current_prices()))
