"""One project, whichever app made it: reading, editing, deleting, restoring; the trash; and making room."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from django.http import HttpResponse, HttpResponseNotModified
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from unified.api import content_urls, inputs, outputs
from unified.api.base import UnifiedViewSet, find_app
from unified.api.entity_tags import is_known, versions_wanted
from unified.api.errors import ApiError, invalid, project_not_found
from unified.api.figures import MEGABYTE, etag_of
from unified.api.idempotency import Answer
from unified.api.uploads import keep
from workspace import queries, services
from workspace.content import Content
from workspace.models import Project

PRIVATE = "private, no-cache"  # may be kept, and is asked for again: an edit shows at once
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `etag` that the change is meant for; 412 if the project has been changed since.",
)


class Projects(UnifiedViewSet):
    scopes: ClassVar = {
        "retrieve": ("workspace.read",),
        "update": ("workspace.write",),
        "remove": ("workspace.write",),
        "restore": ("workspace.write",),
    }

    @extend_schema(
        tags=["Workspace"],
        operation_id="get_project",
        summary="A project with its content",
        description="Whichever app made it. Answers 304 to an ETag that still holds.",
        parameters=[inputs.UserQuery],
        responses={200: outputs.ProjectAnswer, 304: None},
    )
    def retrieve(self, request: Request, code: str) -> HttpResponse:
        query = self.read_query(inputs.UserQuery, request)
        user = self.find_member(request, query["user_id"])
        if "If-None-Match" in request.headers:
            headers = _reading_headers(find_project(user, code))
            if is_known(request, headers["ETag"]):
                return HttpResponseNotModified(headers=headers)
        item = find_project(user, code, reading="body")
        answer = outputs.project_with_content(request._request, item, queries.plain(item.content))
        return Response(answer, headers=_reading_headers(item))

    @extend_schema(
        tags=["Workspace"],
        operation_id="edit_project",
        summary="Rename, describe or replace a project",
        description=(
            "What is left out stays as it is. Send `If-Match` with the `etag` that you have seen, and an edit that "
            "another app has made meanwhile is not lost: the answer is 412 with the present `etag`. The room of former "
            "content is free for new content."
        ),
        parameters=[IF_MATCH],
        request=inputs.EditProjectInput,
        examples=[
            OpenApiExample(
                "A new title",
                value={"user_id": "101902121794505144784", "title": "A week in Porto"},
                request_only=True,
            )
        ],
        responses=outputs.ChangedProjectAnswer,
    )
    def update(self, request: Request, code: str) -> Response:
        data = self.read_body(inputs.EditProjectInput, request)
        user = self.find_member(request, data["user_id"])
        seen = versions_wanted(request, code)
        changes: dict[str, Any] = {name: data[name] for name in ("title", "project_type") if name in data}
        if "metadata" in data:
            changes["metadata"] = data["metadata"] or {}

        def work(content: Content | None = None) -> Answer:
            item, storage = services.edit_project(user=user, code=code, seen_versions=seen, content=content, **changes)
            return Answer(outputs.changed_project(request._request, item, storage))

        if "content" in data:
            # What will be refused anyway is refused before the encoding.
            present = find_project(user, code)
            if seen is not None and present.version not in seen:
                raise services.EditConflict(present)
            services.check_metadata(changes.get("metadata", {}))

            def room() -> int:
                return find_project(user, code).size_bytes + queries.storage_of(user).available_bytes

            response = keep(self, data["content"], compression=data["compression"], room=room, work=work)
        else:
            response = self.once(work)
        response["ETag"] = response.data["project"]["etag"]
        return response

    @extend_schema(
        tags=["Workspace"],
        operation_id="delete_project",
        summary="Put a project into the trash",
        description="Its room is free at once, also when the workspace is full. It can be restored for some days.",
        parameters=[inputs.UserQuery, IF_MATCH],
        responses={200: outputs.DeletedProjectAnswer},
    )
    def remove(self, request: Request, code: str) -> Response:
        query = self.read_query(inputs.UserQuery, request)
        user = self.find_member(request, query["user_id"])
        item, storage = services.delete_project(user=user, code=code, seen_versions=versions_wanted(request, code))
        return Response(outputs.deleted_project(item, storage))

    @extend_schema(
        tags=["Workspace"],
        operation_id="restore_project",
        summary="Take a project out of the trash",
        description="Takes room again, so it can be refused for want of it. A repeat changes nothing.",
        request=inputs.UserQuery,
        responses=outputs.ChangedProjectAnswer,
    )
    def restore(self, request: Request, code: str) -> Response:
        data = self.read_body(inputs.UserQuery, request)
        user = self.find_member(request, data["user_id"])

        def work() -> Answer:
            item, storage = services.restore_project(user=user, code=code)
            return Answer(outputs.changed_project(request._request, item, storage))

        return self.once(work)


class Trash(UnifiedViewSet):
    scopes: ClassVar = {
        "contents": ("workspace.read",),
        "empty": ("workspace.write",),
        "cleanup": ("workspace.write",),
    }

    @extend_schema(
        tags=["Workspace"],
        operation_id="trash",
        summary="What can be restored, most recently deleted first",
        description=(
            "The trash takes none of the room. It holds what was deleted in the last days, at most as much as the "
            "person's limit; beyond that, what was deleted first goes for good first."
        ),
        parameters=[inputs.UserQuery],
        responses=outputs.TrashAnswer,
    )
    def contents(self, request: Request) -> Response:
        query = self.read_query(inputs.UserQuery, request)
        user = self.find_member(request, query["user_id"])
        return Response(outputs.trash(queries.trash_of(user), queries.storage_of(user)))

    @extend_schema(
        tags=["Workspace"],
        operation_id="empty_trash",
        summary="Remove what is in the trash for good",
        description="All of it, or the one project that is named.",
        parameters=[inputs.TrashQuery],
        responses={200: outputs.EmptiedTrashAnswer},
    )
    def empty(self, request: Request) -> Response:
        query = self.read_query(inputs.TrashQuery, request)
        if request.query_params.get("code") == "":  # elsewhere an empty one is left out; here that would remove all
            raise invalid(code="Name a project, or leave this out to remove all.")
        user = self.find_member(request, query["user_id"])
        return Response(outputs.emptied_trash(*services.empty_trash(user=user, code=query.get("code"))))

    @extend_schema(
        tags=["Workspace"],
        operation_id="cleanup",
        summary="Make room: say what would be removed, or remove it",
        description=(
            "`older_than_days`, `codes` and `app` narrow what may go. With `free_mb` or `free_bytes` just as much goes "
            "as frees that much, oldest (longest unchanged) or largest first; without, all that may go. It goes into "
            "the trash. If removing all that may go would not be enough, nothing is removed, and the answer is a 400 "
            "that says how much could be freed."
        ),
        request=inputs.CleanupInput,
        examples=[
            OpenApiExample(
                "What would have to go for half a megabyte?",
                value={"user_id": "101902121794505144784", "free_mb": 0.5, "strategy": "largest", "dry_run": True},
                request_only=True,
            )
        ],
        responses=outputs.CleanupAnswer,
    )
    def cleanup(self, request: Request) -> Response:
        data = self.read_body(inputs.CleanupInput, request)
        user = self.find_member(request, data["user_id"])
        free_bytes = data.get("free_bytes")
        if "free_mb" in data:
            free_bytes = -(-data["free_mb"] * MEGABYTE // 1)  # up to whole bytes
        wanted = services.Cleanup(
            free_bytes=int(free_bytes) if free_bytes is not None else None,
            older_than=timedelta(days=data["older_than_days"]) if "older_than_days" in data else None,
            codes=data.get("codes"),
            app=find_app(data["app"], field="app") if "app" in data else None,
            strategy=services.Strategy(data["strategy"]),
        )

        def work() -> Answer:
            if data["dry_run"]:
                return Answer(outputs.cleaned_up(services.try_clean_up(user=user, wanted=wanted), dry_run=True))
            try:
                outcome = services.clean_up(user=user, wanted=wanted)
            except services.NotEnoughToRemove as refusal:
                message = (
                    f"Removing all that may go would free {refusal.freeable_bytes} bytes only; nothing was removed."
                )
                field = "free_mb" if "free_mb" in data else "free_bytes"
                raise ApiError(
                    "validation_error", message, fields={field: [message]}, freeable_bytes=refusal.freeable_bytes
                ) from None
            return Answer(outputs.cleaned_up(outcome, dry_run=False))

        return self.once(work)


def _reading_headers(item: Project) -> dict[str, str]:
    """The tag is of the answer, signed addresses and all: another when they are. To If-Match it is the same."""
    etag = etag_of(item).removesuffix('"') + f'.{content_urls.period()}"'
    return {"ETag": etag, "Cache-Control": PRIVATE}


def find_project(user: User, code: str, *, reading: Literal["body"] | None = None) -> Project:
    """The person's project with this code, as typed. Raises ApiError `project_not_found`."""
    item = queries.find_project(code, user=user, reading=reading)
    if item is None:
        raise project_not_found(code)
    return item
