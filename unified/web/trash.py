"""The trash: what is in it and until when, back out of it, and removing from it for good, some of it or all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
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
# Of what can be ticked: all of it, sent as an address, is 4 KB, where proxies take 8, and of the fields of a form
# Django takes 1,000.
SHOWN_MOST = 200
THUMBNAIL_TYPE = "image/avif"


@member_page
@require_safe
def trash(request: HttpRequest) -> HttpResponseBase:
    user = as_member(request).user
    room = storage_of(user)
    found = trash_of(user)
    page = Paginator(found, SHOWN_MOST).get_page(request.GET.get("page"))
    asked = set(codes_in(request.GET, "code"))
    ticked = [project for project in found if project.code in asked][:SHOWN_MOST]
    # What is ticked stays in sight, though what was deleted meanwhile has moved it to the next page.
    rest = [project for project in page if project.code not in asked][: SHOWN_MOST - len(ticked)]
    in_sight = {project.code for project in [*ticked, *rest]}
    return shown(
        request,
        "trash",
        part="bin",
        lines=[{"row": project, "is_ticked": project.code in asked} for project in found if project.code in in_sight],
        page=page,
        ticked=ticked,
        ticked_bytes=total(ticked),
        total_count=len(found),
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
    nothing is removed without the question, nor what has been out of the trash since, and a form that is sent twice is
    told what became of the first.
    """
    user = as_member(request).user
    if request.method == "POST" and (confirmed := _confirmed(user, request.POST.get("confirmed", ""))):
        removed = services.remove_from_trash(user=user, actor=user, shown=confirmed)
        _tell_of_removal(request, confirmed, removed)
        return redirect("web:trash")
    asked = codes_in(request.POST if request.method == "POST" else request.GET, "code")
    if not asked:
        messages.info(request, "Nothing is ticked yet: tick what should go.")
        return redirect("web:trash")
    found = [project for project in trash_of(user) if project.code in asked]
    if not found:
        if kept := kept_of(user, asked):
            messages.info(request, f"{listed(kept)}: not in the trash, but among your projects.")
        else:  # which says the same of what is somebody else's and of what never was
            are = "is" if len(asked) == 1 else "are"
            messages.info(
                request, f"{counted(len(asked), 'project')} {are} not in your trash any more. Nothing was removed."
            )
        return redirect("web:trash")
    return shown(
        request,
        "remove_from_trash",
        found=found,
        total_bytes=total(found),
        gone=len(asked) - len(found),
        confirmed=_signed(user, found),
    )


def _signed(user: User, found: Collection[Project]) -> str:
    """That this person is asked about these projects, each as it was put into the trash at its moment."""
    moments = {project.code: project.deleted_at.isoformat() for project in found if project.deleted_at}
    return _signer().sign_object([user.pk, moments])


def _confirmed(user: User, signed: str) -> dict[str, datetime]:
    """What this person was asked about: since when it was in the trash, by code. Nothing, if they were not."""
    try:
        asked, moments = _signer().unsign_object(signed)
    except BadSignature:
        return {}
    return {code: datetime.fromisoformat(told) for code, told in moments.items()} if asked == user.pk else {}


def _signer() -> Signer:
    return Signer(salt="unified.web.trash.remove_as_shown")


def _tell_of_removal(request: HttpRequest, confirmed: Mapping[str, datetime], removed: Collection[Project]) -> None:
    user = as_member(request).user
    left = confirmed.keys() - {project.code for project in removed}
    again = [project for project in trash_of(user) if project.code in left] if left else []
    missing = len(left) - len(again)
    told = [f"{listed(removed)}: removed for good."] if removed else []
    if again:
        told.append(f"{listed(again)}: still in the trash, because restored and deleted again since you were asked.")
    if missing and told:
        was = "was" if missing == 1 else "were"
        told.append(f"{counted(missing, 'project')} of what you had ticked {was} not in the trash any more.")
    elif missing:
        kept = kept_of(user, left)
        told.append(f"{listed(kept)}: back among your projects." if kept else "Removed already.")
    if not removed:
        told.append("Nothing more was done.")
    (messages.success if removed else messages.info)(request, " ".join(told))


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def empty(request: HttpRequest) -> HttpResponseBase:
    """Asks, with what is in the trash now; and removes that for good, if nothing else has come into it meanwhile."""
    user = as_member(request).user
    has_grown = False
    if request.method == "POST":
        try:
            removed, _ = services.empty_trash(user=user, actor=user, until=_moment(request.POST.get("until", "")))
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


def _moment(told: str) -> datetime:
    """When the latest of what was shown came into the trash; long ago, where that is not told."""
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


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
