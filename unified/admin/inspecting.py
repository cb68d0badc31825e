"""
What somebody keeps in one project, for staff who may inspect it. Its facts are on a page; the content itself is opened
or sent only by a POST that says why, and each time is an entry of the audit. There is no address that it could be read
at without one.

What strangers made is never a document of this origin: a picture is shown as the source of an `<img>`, a text is
escaped, and a file comes as an attachment, with a type that nothing runs as.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path

from accounts import audit
from accounts.models import AuditEntry
from unified.admin.room_forms import OpenForm
from unified.admin.views import actor_of, asked_or_sent, shown, staff_page
from unified.api.content_urls import thumbnail_url
from unified.api.contents import INERT_TEXT_TYPES
from unified.api.figures import file_name
from workspace.content import TEXT_TYPE
from workspace.models import Project
from workspace.queries import plain

INSPECT = ("workspace.view_project", "workspace.inspect_projectcontent")
PICTURES = frozenset({"image/avif", "image/webp", "image/png", "image/jpeg", "image/gif"})
MOST_SHOWN = 200_000  # characters of a text; the file has all of it
# Metadata that says how it was made, by the names that the apps give it; the rest is shown as it is.
FIRST = ("prompt", "negative_prompt", "model")


@staff_page(*INSPECT)
@asked_or_sent
def inspect(request: HttpRequest, pk: int) -> HttpResponseBase:
    form = OpenForm(request.POST or None)
    if not form.is_valid():
        return _page(request, get_object_or_404(_inspectable(), pk=pk), form)
    return _opened(request, pk, form)


@transaction.atomic
def _opened(request: HttpRequest, pk: int, form: OpenForm) -> HttpResponseBase:
    """The content, once it is written down that it was opened. Facts and bytes are of one statement: of one version."""
    project = get_object_or_404(_inspectable(with_body=True), pk=pk)
    actor = actor_of(request)
    with audit.because(form.cleaned_data["reason"]):
        audit.record(
            AuditEntry.Event.CONTENT_OPENED,
            actor=actor,
            subject=project.user,
            code=project.code,
            version=project.version,
            size_bytes=project.size_bytes,
            how=form.cleaned_data["how"],
        )
    body = plain(project.content)
    if form.cleaned_data["how"] == "downloaded":
        return _file(project, body)
    return _page(request, project, OpenForm(), **_as_shown(project, body))


def _inspectable(*, with_body: bool = False) -> QuerySet[Project]:
    """What is kept, and what can still be restored."""
    found = Project.objects.kept() | Project.objects.in_trash()
    deferred = ["content__thumbnail"] if with_body else ["content__thumbnail", "content__body"]
    return found.select_related("user", "app", "content").defer(*deferred)


def _page(request: HttpRequest, project: Project, form: OpenForm, **content: Any) -> HttpResponseBase:
    known = [(name.replace("_", " "), project.metadata[name]) for name in FIRST if name in project.metadata]
    rest = {name: value for name, value in project.metadata.items() if name not in FIRST}
    return shown(
        request,
        "room/inspect.html",
        title=f"Project {project.code}",
        project=project,
        member=project.user,
        form=form,
        # The trash is served to nobody, by no address.
        thumbnail=thumbnail_url(request, project) if project.deleted_at is None else None,
        known=known,
        rest=json.dumps(rest, ensure_ascii=False, indent=2) if rest else "",
        **content,
    )


def _as_shown(project: Project, body: bytes) -> dict[str, Any]:
    if project.content_type in PICTURES:
        return {"picture": f"data:{project.content_type};base64,{base64.b64encode(body).decode()}"}
    if project.is_image:  # of a kind that nobody has thought of: as a file only
        return {"not_shown": True}
    text = body.decode(errors="replace")
    return {"text": text[:MOST_SHOWN], "left_out": max(0, len(text) - MOST_SHOWN), "is_text": True}


def _file(project: Project, body: bytes) -> HttpResponse:
    """As an attachment, and inert also where somebody opens it in the browser nevertheless."""
    bare = project.content_type.partition(";")[0]
    if project.is_image:
        content_type = bare if bare in PICTURES else "application/octet-stream"
    else:
        content_type = project.content_type if bare in INERT_TEXT_TYPES else TEXT_TYPE
    return HttpResponse(
        body,
        content_type=content_type,
        headers={
            "Content-Disposition": f'attachment; filename="{file_name(project.code, content_type)}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


urlpatterns = [path("projects/<int:pk>/content/", inspect, name="inspect")]
