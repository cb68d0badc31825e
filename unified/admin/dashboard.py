"""
The first page: how the service is. What it shows has been counted by the sweep; it is told as of when, and can be
brought up to date by hand. Seven queries of its own, however much there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.models import App
from accounts.templatetags.figures import counted
from unified.admin.views import staff_page
from unified.api.errors import ERRORS
from unified.api.figures import percentage
from unified.figures import charts, queries, rollups
from unified.figures.models import ServiceDay, Verification
from workspace.models import Storage

PERIODS = (30, 90)  # days that can be looked at
STALE = timedelta(days=1)  # figures and proofs older than this are pointed out
FULLNESS = ("Empty", *(f"Up to {tenths * 10} %" for tenths in range(1, 10)), "Below 100 %", "Full")
UNKNOWN_CALLER = "Unknown caller"
NO_APP = "No app"

Apps = dict[int | None, App]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what it is about, its numbers, and how long the bar beside them is, of 100."""

    name: str
    numbers: list[int]
    share: str = "0"
    note: str = ""


def figures(request: HttpRequest) -> dict[str, Any]:
    """What the page shows to who may see it; for others nothing, and the page is Django's list of models."""
    viewer: Any = request.user
    if not viewer.has_perm("figures.view_serviceday"):
        return {}
    now = timezone.now()
    apps, days = queries.apps_by_id(), _days_asked(request)
    shown: dict[str, Any] = {
        "days": days,
        "periods": PERIODS,
        "proof": _proof(queries.last_verification()),
        "failures": _failures(queries.failed_calls(), apps),
        "near_limit": _near_limit(queries.near_limit()) if viewer.has_perm("workspace.view_storage") else None,
    }
    standing = queries.standing()
    if standing is not None:
        movements = queries.movements(standing.day)
        shown |= {
            "standing": standing,
            "is_stale": now - standing.as_of > STALE,
            "day_name": "Today" if standing.day == now.astimezone(UTC).date() else _day(standing.day),
            "movements": movements,
            "spent": -next(one.on_day for one in movements if one.name == "Spent"),
            "spending": _spending(queries.spending(standing.day, days), apps),
            "room": _room(standing, apps),
            "fullness": _fullness(standing),
        }
    return {"figures": shown}


@staff_page("figures.view_serviceday")
@require_POST
def refresh(request: HttpRequest) -> HttpResponseBase:
    """Brings the figures up to date, if that takes no longer than a page may."""
    try:
        done = rollups.roll_up(at_most_ms=settings.STATEMENT_TIMEOUT_MS)
    except OperationalError:
        messages.error(request, "That takes longer than a page may: the figures stay as they are until the next sweep.")
    else:
        if done:
            messages.success(request, "The figures are up to date.")
        else:
            messages.info(request, "The figures are being brought up to date just now; look again in a moment.")
    return redirect("admin:index")


def _days_asked(request: HttpRequest) -> int:
    asked = request.GET.get("days", "")
    return next((days for days in PERIODS if asked == str(days)), PERIODS[0])


def _proof(last: Verification | None) -> dict[str, Any]:
    if last is None:
        return {"last": None}
    return {
        "last": last,
        "broken": queries.broken_invariants(last),
        "number": len(last.result.get("invariants", [])),
        "is_old": timezone.now() - last.as_of > STALE,
    }


def _spending(found: queries.Spending, apps: Apps) -> dict[str, Any]:
    """The chart and its table, which are of the same numbers; and what it was spent on."""
    app_ids = sorted(found.app_ids, key=lambda app_id: (app_id is None, app_id))
    series = [
        charts.Series(_app_name(apps, app_id), [found.by_day.get((day, app_id), 0) for day in found.days])
        for app_id in app_ids
    ]
    names = [_day(day) for day in found.days]
    rows = [
        Row(name, [*numbers, sum(numbers)])
        for name, *numbers in zip(names, *(one.values for one in series), strict=True)
    ]
    totals = [sum(one.values) for one in series]
    most = max((operation.spent for operation in found.operations), default=0)
    return {
        "chart": charts.columns(names, series, noun=("credit", "credits")),
        "legend": [(charts.colour(place), one.name) for place, one in enumerate(series)],
        "heads": [one.name for one in series],
        "rows": rows[::-1],
        "totals": [*totals, sum(totals)],
        "all": sum(totals),
        "told": f"Credits spent a day, {names[0]} to {names[-1]}: {sum(totals):,} in all.",
        "operations": [
            Row(
                operation.slug or "Not by the price list",
                [operation.entries, operation.spent],
                share=charts.share(operation.spent, most),
                note=_app_name(apps, operation.app_id),
            )
            for operation in found.operations
        ],
    }


def _room(standing: ServiceDay, apps: Apps) -> list[Row]:
    names = {app.slug: app.name for app in apps.values()}
    parts = sorted(standing.by_app.items(), key=lambda item: (-item[1]["bytes"], item[0]))
    return [
        Row(
            names.get(slug, slug),
            [part["projects"], part["bytes"]],
            share=charts.share(part["bytes"], standing.used_bytes),
        )
        for slug, part in parts
    ]


def _fullness(standing: ServiceDay) -> dict[str, Any]:
    people = list(standing.fullness)
    names = list(FULLNESS[: len(people)])
    return {
        "chart": charts.columns(
            names, [charts.Series("People", people)], noun=("person", "people"), labels=("Empty", "50 %", "Full")
        ),
        "rows": [Row(name, [number]) for name, number in zip(names, people, strict=True)],
        "all": sum(people),
        "told": f"How full people's workspaces are, from empty to full, of {counted(sum(people), 'workspace')}.",
    }


def _near_limit(found: list[Storage]) -> dict[str, Any]:
    rows = [
        {"storage": storage, "percent": percentage(storage.used_bytes, storage.limit_bytes)}
        for storage in found[: queries.MOST_NEAR_LIMIT]
    ]
    return {"rows": rows, "more": len(found) > len(rows)}


def _failures(found: dict[str, dict[int | None, int]], apps: Apps) -> dict[str, Any]:
    app_ids = sorted({app_id for calls in found.values() for app_id in calls}, key=lambda one: (one is None, one))
    rows = [
        Row(
            ERRORS[code][1] if code in ERRORS else "Unknown failure",
            [*(calls.get(app_id, 0) for app_id in app_ids), sum(calls.values())],
            note=code,
        )
        for code, calls in found.items()
    ]
    return {
        "heads": [_app_name(apps, app_id, without=UNKNOWN_CALLER) for app_id in app_ids],
        "rows": rows,
        "all": sum(row.numbers[-1] for row in rows),
        "days": queries.FAILURES_OF_DAYS,
    }


def _app_name(apps: Apps, app_id: int | None, *, without: str = NO_APP) -> str:
    return apps[app_id].name if app_id in apps else without


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


urlpatterns: list[URLPattern] = [path("refresh/", refresh, name="refresh")]
