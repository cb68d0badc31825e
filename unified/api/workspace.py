"""The shared workspace: keeping projects, listing them, and how full it is."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import App
from accounts.queries import registered_apps
from credits.models import DESCRIPTION_MAX_LENGTH, Operation
from unified.api import inputs, outputs
from unified.api.base import UnifiedViewSet, find_app
from unified.api.errors import invalid
from unified.api.figures import plural
from unified.api.idempotency import Answer
from unified.api.uploads import keep
from unified.services import Charge, HeldCharge, save_paid_project
from workspace import queries, services
from workspace.content import Content


class Workspace(UnifiedViewSet):
    scopes: ClassVar = {
        "save": ("workspace.write",),
        "projects": ("workspace.read",),
        "storage_stats": ("workspace.read",),
    }

    def further_scopes(self, request: Request) -> tuple[str, ...]:
        body: Any = request.data
        return ("credits.spend",) if self.action == "save" and (body.get("charge") or body.get("hold_id")) else ()

    @extend_schema(
        tags=["Workspace"],
        operation_id="save_project",
        summary="Keep a project",
        description=(
            "The content is a `data:` URI, the base64 of a picture, or a text. Answers with the code by which "
            "every app finds the project. A picture is re-encoded to look the same and to fit the room that is left; "
            "the answer says what was kept of it, and `compression` how to have it otherwise. "
            "With `charge` or `hold_id` it is paid for in the same transaction: saved "
            "and paid, or neither."
        ),
        request=inputs.SaveProjectInput,
        examples=[
            OpenApiExample(
                "A text",
                value={
                    "user_id": "101902121794505144784",
                    "app_source": "penora",
                    "project_type": "page",
                    "title": "A week in Lisbon",
                    "content": "# A week in Lisbon",
                    "metadata": {"style": "travel"},
                },
                request_only=True,
            ),
            OpenApiExample(
                "Paid for from a hold, in the same transaction",
                value={
                    "user_id": "101902121794505144784",
                    "app_source": "imagegene",
                    "project_type": "ai_art",
                    "title": "Mountain landscape",
                    "content": "data:image/png;base64,iVBORw0KGgo…",
                    "hold_id": "0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10",
                },
                request_only=True,
            ),
        ],
        responses={201: outputs.SaveProjectAnswer},
    )
    def save(self, request: Request) -> Response:
        data = self.read_body(inputs.SaveProjectInput, request)
        app = self.acting_app(request, data["app_source"], field="app_source")
        user = self.find_member(request, data["user_id"])
        payment = self._payment(request, data, app)
        project = {
            "project_type": data["project_type"],
            "title": data["title"],
            "metadata": services.check_metadata(data.get("metadata") or {}),  # before the encoding
        }

        def room() -> int:
            held = queries.reserved_by(payment.hold.pk) if isinstance(payment, HeldCharge) else 0
            return queries.storage_of(user).available_bytes + held

        def work(content: Content) -> Answer:
            if payment is None:
                saved, storage = services.save_project(user=user, app=app, content=content, **project)
                return Answer(outputs.saved_project(saved, app, storage), 201)
            saved, storage, entry, spendable = save_paid_project(
                user=user, app=app, payment=payment, content=content, **project
            )
            return Answer(outputs.saved_project(saved, app, storage, paid=(entry, spendable)), 201)

        return keep(self, data["content"], compression=data["compression"], room=room, work=work)

    def _payment(self, request: Request, data: dict[str, Any], app: App) -> Charge | HeldCharge | None:
        """How a project is to be paid for as it is saved, if it is."""
        charge = data.get("charge")
        if data.get("hold_id"):
            charge = charge or {}
            hold = self.find_hold(request, data["hold_id"], app=app, user_id=data["user_id"])
            if charge.get("amount", 1) > hold.amount:
                raise invalid(**{"charge.amount": f"The hold is of {plural(hold.amount, 'credit')}."})
            description = charge.get("description") or hold.description or _described(hold.operation, data["title"])
            return HeldCharge(hold=hold, amount=charge.get("amount"), description=description)
        if charge is None:
            return None
        price = self.priced(charge, prefix="charge.")
        return Charge(
            amount=price.amount,
            description=charge.get("description") or _described(price.operation, data["title"]),
            operation=price.operation,
            quantity=price.quantity,
        )

    @extend_schema(
        tags=["Workspace"],
        operation_id="projects",
        summary="A person's projects of all apps, newest first",
        description="Without `limit`, all of them. Content is not in the list; `content_url` leads to it.",
        parameters=[inputs.ProjectsQuery],
        responses=outputs.ProjectsAnswer,
    )
    def projects(self, request: Request) -> Response:
        query = self.read_query(inputs.ProjectsQuery, request)
        user = self.find_member(request, query["user_id"])
        page = queries.projects_of(
            user=user,
            app=find_app(query["app"], field="app") if "app" in query else None,
            title_contains=query.get("q"),
            project_type=query.get("project_type"),
            limit=query.get("limit"),
            before_id=query.get("cursor"),
        )
        return Response(outputs.projects(request._request, registered_apps(), page, queries.storage_of(user)))

    @extend_schema(
        tags=["Workspace"],
        operation_id="storage_stats",
        summary="How full a person's workspace is, and with what",
        description="By app, and the largest projects.",
        parameters=[inputs.UserQuery],
        responses=outputs.StorageStatsAnswer,
    )
    def storage_stats(self, request: Request) -> Response:
        query = self.read_query(inputs.UserQuery, request)
        user = self.find_member(request, query["user_id"])
        return Response(
            outputs.storage(
                registered_apps(),
                queries.storage_of(user),
                queries.totals_by_app(user),
                queries.largest_projects(user),
            )
        )


def _described(operation: Operation | None, title: str) -> str:
    """What the history says of a project that was paid for as it was saved."""
    return (f"{operation.name} - {title}" if operation else title)[:DESCRIPTION_MAX_LENGTH]
