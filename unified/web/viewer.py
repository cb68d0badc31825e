"""One project: the picture or the text in full, what is known of it, and what can be done with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import App, User
from accounts.queries import registered_apps
from accounts.templatetags.figures import size
from unified.api.content_urls import content_url
from unified.web.app_links import ways_to
from unified.web.file_names import attachment
from unified.web.pages import as_member, member_page, number_in, shown
from unified.web.projects import PAGE_SIZE, Wanted, came_from, list_address, wanted_of
from workspace import codes, encoders, images, queries, services, titles
from workspace.content import TEXT_TYPE
from workspace.models import TITLE_MAX_LENGTH, Project

PIECE_BYTES: Final = 1_250_000  # of a text on one page: more than a megabyte, and what a telephone still lays out
LINE_END_WITHIN: Final = 4_096  # so far back a piece ends with a line rather than within one
NAMED_FIRST: Final = ("prompt", "negative_prompt", "model", "style")
CONVERTED: Final = {"jpeg": "image/jpeg", "png": "image/png"}
FORMATS: Final = {
    "image/avif": "AVIF",
    "image/webp": "WebP",
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
}
WRITTEN_BY_MACHINES: Final = ("application/json", "text/csv", "text/html")  # read best in columns
OPEN_PARTS: Final = ("shown", "beside", "trashed")  # of an open page, which ask themselves anew
IN_TRASH: Final = "trash"  # what a page says that it shows instead of a version
GONE: Final = "It is not there any more: it has been deleted for good."


@dataclass(frozen=True, slots=True)
class Renaming:
    """The form: what stands in it, the version of the project that it is meant for, and why it was not accepted."""

    title: str
    version: int
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """As much of a text as stands on one page; most have one piece."""

    text: str
    number: int
    of: int


@member_page
@require_safe
def project(request: HttpRequest, code: str) -> HttpResponseBase:
    """
    The project in full. A page that is open asks for the part "shown" when something of the person's has changed, with
    the version that it shows (`?seen=`): nothing is sent again that is there. A project that goes into the trash
    meanwhile and comes back goes and comes on that page, which keeps what somebody is writing there.
    """
    user = as_member(request).user
    part = as_member(request).htmx.target if as_member(request).htmx else None
    item = queries.find_project(code, user=user)
    if item is None:
        return _gone_meanwhile(request, code, part) if part in OPEN_PARTS else not_there(request, code)
    if part == "trashed":
        return HttpResponseClientRedirect(_address(item.code, _looked_for(request)))
    if part == "shown" and request.GET.get("seen") == str(item.version):
        return HttpResponse(status=204)
    if code != item.code:
        return redirect(_address(item.code, _looked_for(request)))
    if part == "beside":
        return shown(request, "project", part="beside", **_beside(user, item, _looked_for(request)))
    return _shown(request, user, item, Renaming(item.title, item.version))


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def rename(request: HttpRequest, code: str) -> HttpResponseBase:
    """
    Meant for the version that the person has seen: what an app has made of it meanwhile they are told first. Why it was
    refused is shown at this address: whoever comes back to it (after signing in, say) is led to the project.
    """
    if request.method != "POST":
        return redirect(_address(code, _looked_for(request)))
    user = as_member(request).user
    title = " ".join(request.POST.get("title", "").split())
    seen = number_in(request.POST.get("version", ""), digits=9) or 0
    refusal = ""
    if not title:
        refusal = "A project needs a title."
    elif not titles.has_visible_letter(title):
        refusal = "A project needs a title that can be seen: there is no visible letter in this one."
    elif len(title) > TITLE_MAX_LENGTH:
        refusal = f"A title has at most {TITLE_MAX_LENGTH} characters; this one has {len(title)}."
    if refusal:
        item = queries.find_project(code, user=user)
        if item is None:
            return not_there(request, code, typed=title)
        return _shown(request, user, item, Renaming(title, seen, refusal), status=400)
    try:
        item, _ = services.edit_project(user=user, code=code, seen_versions=[seen], title=title)
    except services.ProjectNotFound:
        return not_there(request, code, typed=title)
    except services.EditConflict as conflict:
        renaming = Renaming(title, conflict.project.version, "This project has been changed meanwhile.")
        found = queries.find_project(code, user=user)
        if found is None:
            return not_there(request, code, typed=title)
        return _shown(request, user, found, renaming, status=409)
    messages.success(request, f"It is called “{item.shown_title}” now.")
    return redirect(_address(item.code, _looked_for(request)))


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, code: str) -> HttpResponseBase:
    """
    Into the trash, without a question: the next page has the way back. That it is not there is shown at this address:
    whoever comes back to it is led to the project's.
    """
    if request.method != "POST":
        return redirect(_address(code, _looked_for(request)))
    try:
        item, _ = services.delete_project(user=as_member(request).user, code=code)
    except services.ProjectNotFound:
        return not_there(request, code)
    undo = reverse("web:restore", args=[item.code])
    messages.success(request, f"“{item.shown_title}” is in the trash.", extra_tags=undo)
    return redirect(list_address(request.POST.get("back", "")))


@member_page
@require_POST
def restore(request: HttpRequest, code: str) -> HttpResponseBase:
    """Out of the trash, and back to where the person was: the list, or the project that was not there."""
    user = as_member(request).user
    try:
        item, _ = services.restore_project(user=user, code=code)
    except services.ProjectNotFound:
        messages.error(request, GONE)
        return redirect(came_from(request))
    except services.StorageLimitExceeded as refusal:
        needed, free = size(refusal.needed_bytes), size(max(0, refusal.available_bytes))
        messages.error(request, f"There is no room to bring it back: it needs {needed}, and {free} are free.")
        return redirect(came_from(request))
    except services.ProjectLimitReached as refusal:
        messages.error(request, f"You keep {refusal.limit} projects, as many as anybody can. Delete another one first.")
        return redirect(came_from(request))
    messages.success(request, f"“{item.shown_title}” is back.")
    if request.POST.get("then") == "open":
        return redirect(_address(item.code, _looked_for(request)))
    return redirect(came_from(request))


@member_page
@require_safe
def download(request: HttpRequest, code: str) -> HttpResponseBase:
    """
    As a file: as it is kept, or a picture as `?as=jpeg` or `png`; there is nothing at an address that asks for what
    cannot be had. The signed addresses are not for this: they serve what the browser can show, within its window, and
    they end while a page stays open.
    """
    item = queries.find_project(code, user=as_member(request).user, reading="body")
    if item is None:
        return not_there(request, code)
    body, content_type = queries.plain(item.content), item.content_type
    asked = request.GET.get("as", "")
    wanted = CONVERTED.get(asked)
    if asked and not (wanted and item.is_image):
        raise Http404
    if wanted and wanted != content_type:
        try:
            with encoders.turn_to_convert():
                body, content_type = images.convert(body, to=wanted), wanted
        except encoders.EncodersBusy:
            messages.error(request, "Many pictures are being made just now. Try again in a moment.")
            return redirect("web:project", item.code)
    return HttpResponse(
        body,
        content_type=content_type if item.is_image else TEXT_TYPE,  # a file in any case, and never a document of ours
        headers={
            "Content-Disposition": attachment(item, content_type),
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


def not_there(request: HttpRequest, code: str, *, typed: str = "") -> HttpResponse:
    """
    The same for what never was and what is another person's. One of the person's own may be in the trash; what they
    have `typed` as its title is not lost.
    """
    wanted, trashed = _looked_for(request), _in_trash(request, code)
    itself = _address(trashed.code, wanted) if trashed else ""
    return shown(request, "not_there", status=404, trashed=trashed, wanted=wanted, itself=itself, typed=typed)


def _in_trash(request: HttpRequest, code: str) -> Project | None:
    trash = Project.objects.in_trash().filter(user=as_member(request).user, code=codes.fold(code))
    return trash.only("code", "title", "deleted_at").first()


def _gone_meanwhile(request: HttpRequest, code: str, part: str | None) -> HttpResponse:
    """For a part of a page that is open: nothing, where it says already that it is in the trash; else that it is."""
    trashed = _in_trash(request, code)
    if trashed is None and part != "beside":  # which is on a page with "shown"
        return HttpResponseClientRedirect(_address(code, _looked_for(request)))
    if trashed is None or part != "shown" or request.GET.get("seen") == IN_TRASH:
        return HttpResponse(status=204)
    wanted = _looked_for(request)
    itself = _address(trashed.code, wanted, piece=request.GET.get("piece", ""), seen=IN_TRASH)
    return render(request, "web/parts/in_trash.html", {"trashed": trashed, "wanted": wanted, "itself": itself})


def _shown(request: HttpRequest, user: User, item: Project, renaming: Renaming, *, status: int = 200) -> HttpResponse:
    """One query more for a text than for a picture, whose bytes the browser asks for."""
    apps = registered_apps()
    wanted = _looked_for(request, apps)
    piece = None
    if not item.is_image:
        read = queries.find_project(item.code, user=user, reading="body")
        if read is None:  # deleted this very moment
            return not_there(request, item.code)
        item, piece = read, piece_of(queries.plain(read.content), request.GET.get("piece", ""))
    part = piece.number if piece else 1
    return shown(
        request,
        "project",
        part="shown",
        status=status,
        picture=content_url(request, item) if item.is_image else "",
        piece=piece,
        part_before=_address(item.code, wanted, piece=part - 1),
        part_after=_address(item.code, wanted, piece=part + 1),
        itself=_address(item.code, wanted, piece=part, seen=str(item.version)),
        in_columns=item.content_type.partition(";")[0] in WRITTEN_BY_MACHINES,
        kind=_words(item.project_type),
        format=FORMATS.get(item.content_type, ""),
        details=details_of(item.metadata, beside=_said_of(item)),
        ways=ways_to(item, apps),
        renaming=renaming,
        title_max_length=TITLE_MAX_LENGTH,
        **_beside(user, item, wanted),
    )


def _looked_for(request: HttpRequest, apps: list[App] | None = None) -> Wanted:
    """What the person looks around among: what they had found on the page of projects, as its links have said."""
    query = request.GET if request.method != "POST" else dict(parse_qsl(request.POST.get("back", "")))
    return wanted_of(query, registered_apps() if apps is None else apps)


def _beside(user: User, item: Project, wanted: Wanted) -> dict[str, Any]:
    """The ways to what is found before and after this project, and back to the page of projects on which it stands."""
    place = queries.place_of(item, user=user, **wanted.sought)
    page = -(-place.number // PAGE_SIZE) or 1
    back = wanted.query(page=page)
    return {
        "project": item,
        "place": place,
        "previous": _address(place.previous.code, wanted) if place.previous else "",
        "next": _address(place.next.code, wanted) if place.next else "",
        "wanted": wanted,
        "back": f"{reverse('web:projects')}{back}",
        "back_query": back[1:],
        "beside": _address(item.code, wanted),
    }


def _address(code: str, wanted: Wanted, **more: Any) -> str:
    return f"{reverse('web:project', args=[code])}{wanted.query(**more)}"


def piece_of(body: bytes, asked: str) -> Piece:
    """The piece with the number that is asked for; the first or the last, if there is none such."""
    ends = _ends(body)
    number = max(1, min(number_in(asked, digits=5) or 1, len(ends)))
    start = ends[number - 2] if number > 1 else 0
    return Piece(body[start : ends[number - 1]].decode(errors="replace"), number, len(ends))


def _ends(body: bytes) -> list[int]:
    """Where the pieces of a text end: with a line where there is one near, and never within a letter."""
    ends = []
    start = 0
    while len(body) - start > PIECE_BYTES:
        end = start + PIECE_BYTES
        line_end = body.rfind(b"\n", end - LINE_END_WITHIN, end)
        if line_end > start:
            end = line_end + 1
        while body[end] & 0xC0 == 0x80:  # within a letter of several bytes
            end -= 1
        ends.append(end)
        start = end
    return [*ends, len(body)]


def details_of(metadata: Any, *, beside: Mapping[str, str] = MappingProxyType({})) -> list[tuple[str, str, bool]]:
    """
    What the app says of the project, for people: a name, its value in words, and whether that is written as code. What
    most want to know stands first; the rest as the app sent it. What stands `beside` it is not said twice, unless the
    app says otherwise.
    """
    if not isinstance(metadata, dict):
        return []
    names = [name for name in NAMED_FIRST if name in metadata]
    names += [name for name in metadata if name not in NAMED_FIRST]
    names = [name for name in names if _compact(metadata[name]) != beside.get(re.sub(r"[\s_-]", "", name.casefold()))]
    return [(_words(name), *_value(metadata[name])) for name in names if metadata[name] not in (None, "", [], {})]


def _said_of(project: Project) -> dict[str, str]:
    """What the page says of a project by itself, under the names that apps have for it."""
    dimensions = f"{project.width}x{project.height}" if project.width else ""
    said = {
        "app": project.app.slug,
        "appsource": project.app.slug,
        "code": project.code,
        "projectcode": project.code,
        "projecttype": project.project_type,
        "title": project.title,
        "width": project.width,
        "height": project.height,
        "dimensions": dimensions,
        "resolution": dimensions,
        "format": FORMATS.get(project.content_type, ""),
        "sizebytes": project.size_bytes,
    }
    return {name: _compact(value) for name, value in said.items() if value}


def _compact(value: Any) -> str:
    """The same value, however it is written: `320 × 200 pixels` and `320x200`."""
    return re.sub(r"\s+|(pixels|px)\s*$", "", str(value).casefold().replace("×", "x"))


def _words(name: str) -> str:
    """`negative_prompt` as a person would write it, and `ai_art` as well."""
    words = " ".join("AI" if word == "ai" else word for word in name.replace("_", " ").split())
    return words[:1].upper() + words[1:] or "–"


def _value(value: Any) -> tuple[str, bool]:
    if isinstance(value, bool):
        return ("Yes" if value else "No"), False
    if isinstance(value, (str, int, float)):
        return str(value), False
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return ", ".join(str(item) for item in value), False
    return json.dumps(value, ensure_ascii=False, indent=2), True


urlpatterns: list[URLPattern] = [
    path("projects/<str:code>/", project, name="project"),
    path("projects/<str:code>/rename/", rename, name="rename"),
    path("projects/<str:code>/delete/", delete, name="delete"),
    path("projects/<str:code>/restore/", restore, name="restore"),
    path("projects/<str:code>/download/", download, name="download"),
]
