"""The trash: what is in it and until when, back out of it, and removing from it for good, some of it or all."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.contrib import messages
from django.core.signing import BadSignature, Signer
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import User
from accounts.templatetags.figures import counted, size
from unified.api import delivery
from unified.web.pages import as_member, member_page, shown
from workspace import codes, encoders, images, services
from workspace.models import Project
from workspace.queries import find_in_trash, kept_of, storage_of, trash_of

NAMED_AT_MOST = 3  # in a sentence
THUMBNAIL_TYPE = "image/avif"


@member_page
@require_safe
def trash(request: HttpRequest) -> HttpResponseBase:
    user = as_member(request).user
    room = storage_of(user)
    found = trash_of(user)
    asked = set(codes_in(request.GET, "code"))
    ticked = [project for project in found if project.code in asked]
    return shown(
        request,
        "trash",
        part="bin",
        lines=[{"row": project, "is_ticked": project.code in asked} for project in found],
        ticked=ticked,
        ticked_bytes=total(ticked),
        total_bytes=total(found),
        room=room,
        days=settings.TRASH_DAYS,
    )


@member_page
@require_safe
def thumbnail(request: HttpRequest, code: str) -> HttpResponseBase:
    """
    Of a picture in the trash, so that its owner knows it again. This is for them alone: the signed addresses, which
    apps hand on, serve nothing of what is in the trash.
    """
    item = find_in_trash(code, user=as_member(request).user)
    if item is None or item.content.thumbnail is None:
        raise Http404
    body, served = bytes(item.content.thumbnail), THUMBNAIL_TYPE
    wanted = delivery.picture_type(request.headers.get("Accept"), kept=THUMBNAIL_TYPE)
    if wanted != THUMBNAIL_TYPE:
        served = wanted or (delivery.PNG if images.has_alpha(body) else delivery.JPEG)
        try:
            with encoders.turn_to_convert():
                body = images.convert(body, to=served)
        except encoders.EncodersBusy:
            return HttpResponse(status=503)
    response = HttpResponse(body, content_type=served)
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    patch_vary_headers(response, ("Accept",))
    return response


@member_page
@require_POST
def restore(request: HttpRequest) -> HttpResponseBase:
    """Takes what is asked for out of the trash: all of it or nothing."""
    user = as_member(request).user
    asked = codes_in(request.POST, "code")
    if not asked:
        messages.info(request, "Nothing is ticked yet: tick what should come back.")
        return _onwards(request)
    try:
        restored = services.restore_projects(user=user, actor=user, codes=asked)
    except services.ProjectNotFound as missing:
        messages.error(request, f"{missing} is not in your trash any more. Nothing was restored.")
    except services.StorageLimitExceeded:
        needed = total([project for project in trash_of(user) if project.code in asked])
        free = storage_of(user).available_bytes
        messages.error(
            request,
            f"Not enough room: this takes {size(needed)}, and {size(free)} are free. Nothing was restored;"
            " make room first, or restore less at once.",
        )
    except services.ProjectLimitReached as reached:
        messages.error(request, f"You can keep {counted(reached.limit, 'project')} at most. Nothing was restored.")
    else:
        if restored:
            messages.success(request, f"{listed(restored)}: back among your projects.")
        else:
            messages.info(request, f"{listed(kept_of(user, asked))}: back already. Nothing more was done.")
    return _onwards(request)


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest) -> HttpResponseBase:
    """
    Asks about what is named, and removes for good what it has asked about, which the form proves with our signature:
    nothing is removed without the question, and a form that is sent twice is told what became of the first.
    """
    user = as_member(request).user
    if request.method == "POST" and (confirmed := _confirmed(user, request.POST.get("confirmed", ""))):
        removed = services.remove_from_trash(user=user, actor=user, chosen=confirmed)
        _tell_of_removal(request, confirmed, removed)
        return redirect("web:trash")
    asked = codes_in(request.POST if request.method == "POST" else request.GET, "code")
    if not asked:
        messages.info(request, "Nothing is ticked yet: tick what should go.")
        return redirect("web:trash")
    found = [project for project in trash_of(user) if project.code in asked]
    if not found:
        kept = kept_of(user, asked)
        if not kept:
            raise Http404
        messages.info(request, f"{listed(kept)}: not in the trash, but among your projects.")
        return redirect("web:trash")
    return shown(
        request,
        "remove_from_trash",
        found=found,
        total_bytes=total(found),
        gone=len(asked) - len(found),
        confirmed=_signer().sign_object([user.pk, [project.code for project in found]]),
    )


def _confirmed(user: User, signed: str) -> list[str]:
    """The codes that this person was asked about; none, if they were not."""
    try:
        asked, chosen = _signer().unsign_object(signed)
    except BadSignature:
        return []
    return list(chosen) if asked == user.pk else []


def _signer() -> Signer:
    return Signer(salt="unified.web.trash.remove")


def _tell_of_removal(request: HttpRequest, confirmed: Collection[str], removed: Collection[Project]) -> None:
    user, missing = as_member(request).user, len(confirmed) - len(removed)
    if not removed:
        kept = kept_of(user, confirmed)
        told = f"{listed(kept)}: back among your projects." if kept else "Removed already."
        messages.info(request, f"{told} Nothing more was done.")
    elif missing:
        messages.success(
            request,
            f"{listed(removed)}: removed for good."
            f" {counted(missing, 'project')} of what you had ticked {'was' if missing == 1 else 'were'} not in the"
            " trash any more.",
        )
    else:
        messages.success(request, f"{listed(removed)}: removed for good.")


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def empty(request: HttpRequest) -> HttpResponseBase:
    """Asks, with what is in the trash now; and removes that for good, if nothing else has come into it meanwhile."""
    user = as_member(request).user
    has_grown = False
    if request.method == "POST":
        try:
            removed, _ = services.empty_trash(user=user, as_shown=codes_in(request.POST, "code"))
        except services.NotAsShown:
            has_grown = True
        else:
            if removed.projects:
                messages.success(request, f"{counted(removed.projects, 'project')} removed for good.")
            else:
                messages.info(request, "The trash is empty already.")
            return redirect("web:trash")
    found = trash_of(user)
    if not found:
        messages.info(request, "The trash is empty already.")
        return redirect("web:trash")
    return shown(request, "empty_trash", found=found, total_bytes=total(found), has_grown=has_grown)


def codes_in(sent: QueryDict, name: str) -> list[str]:
    """The codes in the fields of this name, each once. A field may hold several; "7K3M9Q-3" is one with a version."""
    words = " ".join(sent.getlist(name)).split()
    return list(dict.fromkeys(filter(None, (codes.fold(word.partition("-")[0]) for word in words))))


def total(projects: Collection[Project]) -> int:
    return sum(project.size_bytes for project in projects)


def listed(projects: Collection[Project]) -> str:
    """The first titles, and how many more there are."""
    titles = [f"“{project.shown_title}”" for project in list(projects)[:NAMED_AT_MOST]]
    more = len(projects) - len(titles)
    return ", ".join(titles) + (f" and {more} more" if more else "")


def whole_page(address: str) -> HttpResponse:
    """For htmx: the browser goes there, so that what there is to tell stands on the page."""
    return HttpResponseClientRedirect(address)


def _onwards(request: HttpRequest) -> HttpResponseBase:
    """To the page of ours that has asked for it, or the trash."""
    asked_for = request.POST.get("next", "")
    if not (asked_for.startswith("/") and url_has_allowed_host_and_scheme(asked_for, allowed_hosts=None)):
        return redirect("web:trash")
    return whole_page(asked_for) if as_member(request).htmx else redirect(asked_for)


urlpatterns: list[URLPattern] = [
    path("storage/trash/", trash, name="trash"),
    path("storage/trash/restore/", restore, name="restore_several"),
    path("storage/trash/remove/", remove, name="remove_from_trash"),
    path("storage/trash/empty/", empty, name="empty_trash"),
    path("storage/trash/<str:code>/thumbnail/", thumbnail, name="trash_thumbnail"),
]
