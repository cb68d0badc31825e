"""The trash: what is in it and until when, back out of it, and emptying it."""

from __future__ import annotations

from collections.abc import Collection

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from unified.api.figures import plural
from unified.web.pages import as_member, member_page, shown
from unified.web.projects import described
from unified.web.templatetags.figures import size
from workspace import codes, services
from workspace.models import Project
from workspace.queries import kept_of, storage_of, trash_of

NAMED_AT_MOST = 3  # in a sentence


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
        lines=[{**described(request, project), "is_ticked": project.code in asked} for project in found],
        ticked=ticked,
        ticked_bytes=total(ticked),
        total_bytes=total(found),
        room=room,
        days=settings.TRASH_DAYS,
    )


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
        messages.error(request, f"You can keep {plural(reached.limit, 'project')} at most. Nothing was restored.")
    else:
        if restored:
            messages.success(request, f"{listed(restored)}: back among your projects.")
        else:
            messages.info(request, f"{listed(kept_of(user, asked))}: back already. Nothing more was done.")
    return _onwards(request)


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
                messages.success(request, f"{plural(removed.projects, 'project')} removed for good.")
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
    titles = [f"“{project.title}”" for project in list(projects)[:NAMED_AT_MOST]]
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
    path("storage/trash/empty/", empty, name="empty_trash"),
]
