"""How full the workspace is and with what, and how to make room."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import App, User
from accounts.queries import registered_apps
from unified.web import trash
from unified.web.frame import NEARLY_PERCENT
from unified.web.pages import as_member, member_page, number_in, shown
from unified.web.projects import described
from unified.web.trash import SHOWN_MOST, codes_in, listed, total
from workspace import codes, services
from workspace.models import Project, Storage
from workspace.queries import AppTotals, Size, kept_of, put_away_at, sizes_of, storage_of, totals_by_app, trash_of
from workspace.services.cleanup import just_enough

SHOWN_FIRST = 50
BAR_WIDTH, BAR_LEAST = 1000, 5  # in the drawing's own units; what takes room is never too thin to be seen
PICTURE_BYTES = 62 * 1024  # the mean of docs/workspace.md, for who has no picture of their own yet
EASY_PERCENT = 70  # full, with some time before it is nearly so again
FORGOTTEN = timedelta(days=90)
FORGOTTEN_MOST, LARGEST_MOST = 20, 5


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of the bar: an app's room, or what is kept free. `left` and `width` in the drawing's units."""

    name: str
    size_bytes: int
    project_count: int
    app: str  # its slug; empty for what is kept free
    left: int
    width: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A choice that a click ticks: which projects, and what their going frees."""

    pick: str  # in the address
    title: str
    codes: list[str]
    frees_bytes: int


@dataclass(frozen=True, slots=True)
class Ticked:
    """What the list has ticked: what a click has chosen and what the person had ticked before."""

    codes: set[str]
    frees_bytes: int
    gone: int  # so many that were ticked have gone meanwhile
    unticked: int  # and so many gave way to what a click has chosen


@member_page
@require_safe
def storage(request: HttpRequest) -> HttpResponseBase:
    return _storage_page(request)


def _storage_page(request: HttpRequest, *, put_away: str = "") -> HttpResponseBase:
    """The page; with `put_away` right after that has gone into the trash, which the reader's eyes are led to."""
    user = as_member(request).user
    query = request.POST if put_away else request.GET
    room = storage_of(user)
    sizes = sizes_of(user)
    suggestions = _suggestions(room, sizes)
    chosen = next((one for one in suggestions if one.pick == query.get("pick")), None)
    asked = set(codes_in(request.GET, "project")) if not put_away else set()
    ticked = _ticked(sizes, asked, chosen)
    number = _number_of(query.get("show", ""))
    away = _away(user, put_away or query.get("away", ""))
    pictures = [one.size_bytes for one in sizes if one.is_picture]
    mean = max(1, round(sum(pictures) / len(pictures))) if pictures else PICTURE_BYTES
    places = max(0, settings.MAX_PROJECTS_PER_USER - room.project_count)
    # Never more than can be sent: what is ticked, and as many others as there is a place for.
    others = [one.code for one in sizes[:number] if one.code not in ticked.codes]
    listed_codes = ticked.codes.union(others[: SHOWN_MOST - len(ticked.codes)])
    return shown(
        request,
        "storage",
        part="room",
        room=room,
        percent=room.percent_used,
        parts=_parts(room, registered_apps(), totals_by_app(user)),
        bar_width=BAR_WIDTH,
        mean=mean,
        is_own_mean=bool(pictures),
        fits=min(room.available_bytes // mean, places),
        places=places,
        most=settings.MAX_PROJECTS_PER_USER,
        suggestions=suggestions,
        lines=[
            {**described(request, project), "is_ticked": project.code in ticked.codes}
            for project in kept_of(user, listed_codes)
        ],
        ticked=ticked,
        kept=len(sizes),
        number=number,
        more=min(number * 2, SHOWN_MOST) if len(sizes) > number and number < SHOWN_MOST else 0,
        most_ticked=SHOWN_MOST,
        is_cut=len(sizes) > len(listed_codes),
        again=_again(show=number if number != SHOWN_FIRST else "", away=away[0].deleted_at if away else None),
        away=away,
        away_bytes=total(away),
        is_news=bool(put_away),
    )


def _number_of(typed: str) -> int:
    """How many the list shows."""
    return min(max(number_in(typed, digits=5) or 0, SHOWN_FIRST), SHOWN_MOST)


def _away(user: User, typed: str) -> list[Project]:
    """What went into the trash at the moment that the address names, if it does."""
    try:
        moment = parse_datetime(typed)
    except ValueError:  # the 31st of February
        return []
    # In UTC, as it was told: the database does not know every offset that can be written.
    return put_away_at(user, moment) if moment and moment.utcoffset() == timedelta(0) else []


def _again(**fields: datetime | str | int | None) -> str:
    """The address that the page follows changes with: without what was chosen by a click, which is ticked by now."""
    told = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}
    query = urlencode({name: value for name, value in told.items() if value})
    return reverse("web:storage") + (f"?{query}" if query else "")


def _ticked(sizes: list[Size], asked: set[str], chosen: Suggestion | None) -> Ticked:
    """What a click has chosen, and what was ticked before as far as all of it can be sent, the largest of it first."""
    known = {one.code: one.size_bytes for one in sizes}
    picked = set(chosen.codes if chosen else ())
    before = [one.code for one in sizes if one.code in asked and one.code not in picked]
    ticked = picked.union(before[: SHOWN_MOST - len(picked)])
    unticked = len(picked) + len(before) - len(ticked)
    return Ticked(ticked, sum(known[code] for code in ticked), len(asked - known.keys()), unticked)


def _parts(room: Storage, apps: list[App], totals: dict[str, AppTotals]) -> list[Part]:
    """What takes room, one beside the other, and last what is kept free."""
    parts: list[Part] = []
    left = 0

    def add(name: str, size_bytes: int, number: int, slug: str) -> None:
        nonlocal left
        width = max(BAR_LEAST, round(BAR_WIDTH * size_bytes / max(room.limit_bytes, 1))) if size_bytes else 0
        parts.append(Part(name, size_bytes, number, slug, left, width))
        left += width

    for app in apps:
        if app.slug in totals and totals[app.slug]["project_count"]:
            add(app.name, totals[app.slug]["used_bytes"], totals[app.slug]["project_count"], app.slug)
    if room.reserved_bytes:
        add("Kept free for what is being made", room.reserved_bytes, 0, "")
    return parts


def _suggestions(room: Storage, sizes: list[Size]) -> list[Suggestion]:
    """What could go, each only where there is something to it. `sizes` are largest first."""
    found = []

    def add(pick: str, title: str, chosen: list[Size]) -> None:
        if chosen:
            found.append(Suggestion(pick, title, [one.code for one in chosen], sum(one.size_bytes for one in chosen)))

    if 100 * room.used_bytes >= NEARLY_PERCENT * room.limit_bytes:
        by_age = sorted(sizes, key=lambda one: (one.updated_at, one.code))
        wanted = room.used_bytes - room.limit_bytes * EASY_PERCENT // 100
        enough = just_enough([one.size_bytes for one in by_age], wanted) or []
        chosen = [by_age[index] for index in enough]
        left = 100 * (room.used_bytes - sum(one.size_bytes for one in chosen)) // max(room.limit_bytes, 1)
        # Whole projects go, so it may come to well below. What it comes to is told, and not what was aimed at alone.
        title = f"Enough to use {EASY_PERCENT} % or less, and no more than that takes: down to {left} %"
        if len(chosen) <= SHOWN_MOST:  # else nobody would look through it
            add("enough", title, chosen)
    since, large = timezone.now() - FORGOTTEN, room.limit_bytes // 100
    forgotten = [one for one in sizes if one.updated_at < since and one.size_bytes >= large]
    add("forgotten", f"Large, and not changed for {FORGOTTEN.days} days", forgotten[:FORGOTTEN_MOST])
    if len(sizes) > LARGEST_MOST:
        add("largest", f"The {LARGEST_MOST} largest", sizes[:LARGEST_MOST])
    return found


# --- Into the trash --------------------------------------------------------------------------------------------------


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def make_room(request: HttpRequest) -> HttpResponseBase:
    """
    GET asks about what is ticked, for who has no scripts; POST puts exactly that into the trash, or nothing: if it is
    not there as it was shown, or the trash would lose something that was not told, it is asked about once more.
    """
    user = as_member(request).user
    asked = _versions_in(
        request.POST.getlist("project") if request.method == "POST" else request.GET.getlist("project")
    )
    if not asked:
        messages.info(request, "Nothing is ticked yet: tick what should go.")
        return _to_storage(request)
    if request.method != "POST":
        return _ask(request, asked)
    try:
        lost = codes_in(request.POST, "lost")
        outcome = services.clean_up_as_shown(user=user, actor=user, shown=asked, lost=lost)
    except services.ShownHasChanged as refusal:
        return _ask(request, asked, refusal)
    moment = outcome.removed[0].deleted_at
    away = moment.isoformat() if moment else ""
    if as_member(request).htmx:
        return _storage_page(request, put_away=away)
    return redirect(f"{reverse('web:storage')}?{urlencode({'away': away})}")


def _versions_in(sent: Collection[str]) -> dict[str, int]:
    """Version by code, of "7K3M9Q-3"s with spaces between; 0, which none is at, where it is not told."""
    asked: dict[str, int] = {}
    for word in " ".join(sent).split():
        typed, _, version = word.partition("-")
        if code := codes.fold(typed):
            asked[code] = number_in(version, digits=9) or 0
    return asked


def _ask(
    request: HttpRequest, asked: dict[str, int], refusal: services.ShownHasChanged | None = None
) -> HttpResponseBase:
    """What would go as it is now, what that frees, what has gone already, and what the trash would lose for it."""
    user = as_member(request).user
    leaving = kept_of(user, asked)
    in_trash = trash_of(user)
    gone_codes = asked.keys() - {project.code for project in leaving}
    gone = [project for project in in_trash if project.code in gone_codes]
    if not leaving and not gone:
        raise Http404
    if not leaving:
        messages.info(request, f"{listed(gone)}: in the trash already. Nothing more was done.")
        return _to_storage(request)
    room = storage_of(user)
    lost = services.trash_lost_to(services.CleanupOutcome(leaving, total(leaving), True, room))
    lost_codes = {project.code for project in lost}
    context: dict[str, Any] = {
        "leaving": leaving,
        "frees_bytes": total(leaving),
        "gone": gone,
        "unknown": len(gone_codes) - len(gone),
        "changed": [project for project in leaving if refusal and project.code in refusal.changed],
        "lost": lost,
        "losing": [project for project in in_trash if project.code in lost_codes],
        "is_refused": refusal is not None,
    }
    if as_member(request).htmx:
        return render(request, "web/parts/sure.html", context)
    return shown(request, "make_room", **context)


def _to_storage(request: HttpRequest) -> HttpResponseBase:
    """Back to the page, all of it: there is something to be told."""
    if as_member(request).htmx:
        return trash.whole_page(reverse("web:storage"))
    return redirect("web:storage")


urlpatterns: list[URLPattern] = [
    path("storage/", storage, name="storage"),
    path("storage/make-room/", make_room, name="make_room"),
    *trash.urlpatterns,
]
