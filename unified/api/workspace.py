"""The shared workspace: keeping projects, listing them, their bytes, and how full it is."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse, HttpResponseNotModified
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import App
from accounts.queries import registered_apps
from credits.models import DESCRIPTION_MAX_LENGTH, Operation
from unified.api import content_urls, inputs, outputs
from unified.api.base import UnifiedViewSet, find_app
from unified.api.errors import ApiError, invalid
from unified.api.figures import plural
from unified.api.idempotency import Answer
from unified.services import Charge, HeldCharge, save_paid_project
from workspace import codes, queries, services
from workspace.content import TEXT_TYPE, read_content

INERT_TEXT_TYPES = frozenset({"text/plain", "text/markdown", "text/csv", "text/html", "application/json"})
CACHE = "private, no-cache"  # may be kept, and is asked for again: an edit shows at once


class Workspace(UnifiedViewSet):
    @extend_schema(
        tags=["Workspace"],
        operation_id="save_project",
        summary="Keep a project",
        description=(
            "The content is a `data:` URI, the base64 of a picture, or a text. Answers with the code by which "
            "every app finds the project. With `charge` or `hold_id` it is paid for in the same transaction: saved "
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
        content = read_content(data["content"])  # slow for a picture, so before any transaction
        project = {
            "project_type": data["project_type"],
            "title": data["title"],
            "content": content,
            "metadata": data.get("metadata") or {},
        }

        def work() -> Answer:
            if payment is None:
                saved, storage = services.save_project(user=user, app=app, **project)
                return Answer(outputs.saved_project(saved, app, storage), 201)
            saved, storage, entry, spendable = save_paid_project(user=user, app=app, payment=payment, **project)
            return Answer(outputs.saved_project(saved, app, storage, paid=(entry, spendable)), 201)

        return self.once(work)

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


class SignedAddress(BasePermission):
    """Either the address carries our signature, or the caller is authenticated."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if IsAuthenticated().has_permission(request, view):
            return True
        if "signature" not in request.query_params:
            return False
        try:
            content_urls.check(
                code=codes.fold(view.kwargs["code"]) or "",
                expires=request.query_params.get("expires", ""),
                signature=request.query_params["signature"],
            )
        except content_urls.InvalidContentUrl as refusal:
            raise ApiError("permission_denied", str(refusal)) from None
        return True


class ProjectContents(UnifiedViewSet):
    permission_classes = (SignedAddress,)

    @extend_schema(
        tags=["Workspace"],
        operation_id="project_content",
        summary="The bytes of a project, with their own type",
        description=(
            "For whoever has the signed address from a listing, or a key. Answers 304 to an ETag that still holds."
        ),
        parameters=[
            OpenApiParameter("expires", OpenApiTypes.INT, description="Of a signed address."),
            OpenApiParameter("signature", OpenApiTypes.STR, description="Of a signed address."),
        ],
        responses={(200, "*/*"): OpenApiTypes.BINARY, 304: None},
        auth=[{}, {"appKey": []}],  # type: ignore[list-item]
    )
    def retrieve(self, request: Request, code: str) -> HttpResponse:
        folded = codes.fold(code)
        found = queries.content_of(folded) if folded else None
        if found is None:
            raise ApiError("project_not_found", "No project has this code.", project_code=code)
        project, body = found
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        known = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
        if etag in known or "*" in known:  # compared weakly, RFC 9110, 13.1.2
            return HttpResponseNotModified(headers={"ETag": etag, "Cache-Control": CACHE})
        # What a stranger wrote is served as an inert file: never a document, script or style of this origin.
        own_type = project.is_image or project.content_type.partition(";")[0] in INERT_TEXT_TYPES
        response = HttpResponse(body, content_type=project.content_type if own_type else TEXT_TYPE)
        kind = "inline" if project.is_image else "attachment"
        response["Content-Disposition"] = f'{kind}; filename="{project.code}{_suffix(project.content_type)}"'
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["Cross-Origin-Resource-Policy"] = "cross-origin"
        response["Cache-Control"] = CACHE
        response["ETag"] = etag
        return response


def _suffix(content_type: str) -> str:
    kind = content_type.partition(";")[0]
    known = {"image/jpeg": ".jpg", "text/plain": ".txt", "text/markdown": ".md"}
    return known.get(kind, "." + kind.partition("/")[2].partition("+")[0])
