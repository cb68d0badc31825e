"""What can be spent, what is held, what expires, what happened, and what things cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from itertools import chain
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from accounts.models import App, User
from accounts.queries import registered_apps
from credits.models import LedgerEntry
from credits.pricing import current_prices
from credits.queries import export, history, live_holds, position_of
from unified.csv_lines import csv_lines
from unified.web.pages import as_member, member_page, number_in, shown
from workspace import codes
from workspace.models import Project

PAGE_SIZE = 25
MOST_HOLDS, MOST_EXPIRING = 8, 6
LARGEST_SEQ = 2**63 - 1
Type = LedgerEntry.Type
# What an entry is called where it is chosen, and where it stands.
KINDS = (
    (Type.DEDUCTION, "Spent"),
    (Type.GRANT, "Received"),
    (Type.REFUND, "Given back"),
    (Type.ADJUSTMENT, "Adjusted by staff"),
    (Type.EXPIRY, "Expired"),
)
_WORDS = dict(KINDS)
_COLUMNS = ("When (UTC)", "What", "Kind", "App", "Quantity", "Project", "Change", "Balance")
_BYTE_ORDER_MARK = "\ufeff"  # by which Excel knows that the rest is UTF-8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for. What it asks for in vain (an app that there is none of) is as if it were not there."""

    app: App | None = None
    type: Type | None = None
    before: int | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.app or self.type)

    @property
    def filters(self) -> dict[str, Any]:
        return {"app": self.app, "type": self.type.value if self.type else None}

    def query(self, *, before: int | None = None) -> str:
        """The query of the same filters; of the page that begins before this entry, or of the first."""
        pairs = {"app": self.app.slug if self.app else "", "kind": self.type or "", "before": before or ""}
        return "?" + urlencode({name: value for name, value in pairs.items() if value})


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as the history has it, with the code of its project where that is still there."""

    entry: LedgerEntry
    kind: str
    project: str | None


@dataclass(frozen=True, slots=True)
class Pricing:
    """One app's price list."""

    app: App
    lines: list[Any]


def wanted_of(request: HttpRequest, apps: list[App]) -> Wanted:
    query = request.GET
    before = number_in(query.get("before", ""), digits=19)
    return Wanted(
        app=next((app for app in apps if app.slug == query.get("app")), None),
        type=Type(query["kind"]) if query.get("kind") in Type.values else None,
        before=None if before is None else min(before, LARGEST_SEQ),
    )


@member_page
@require_safe
def overview(request: HttpRequest) -> HttpResponseBase:
    user, apps = as_member(request).user, registered_apps()
    wanted = wanted_of(request, apps)
    page = history(user=user, limit=PAGE_SIZE, before_seq=wanted.before, **wanted.filters)
    return shown(
        request,
        "credits",
        part="history",
        wanted=wanted,
        lines=_lines(user, page.entries),
        total=page.total_count,
        newest=wanted.query() if wanted.before is not None else "",
        older=wanted.query(before=page.next_before_seq) if page.next_before_seq else "",
        query=wanted.query(),
        apps=apps,
        kinds=KINDS,
        prices=_price_lists(),
        **_purse(user),
    )


@member_page
@require_safe
def purse(request: HttpRequest) -> HttpResponseBase:
    """What can be spent, is held and expires, for a page that is open."""
    return render(request, "web/parts/purse.html", _purse(as_member(request).user))


@member_page
@require_safe
def transactions_csv(request: HttpRequest) -> HttpResponseBase:
    """
    All of the history that the filters choose, as a file, made while it is sent: newest first and in the words of the
    page, for people. (For programs there is the API's.)
    """
    wanted = wanted_of(request, registered_apps())
    entries = export(user=as_member(request).user, newest_first=True, **wanted.filters)
    lines = chain([_BYTE_ORDER_MARK], csv_lines(_COLUMNS, entries, _cells))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{_file_name(wanted)}"'
    return response


def _file_name(wanted: Wanted) -> str:
    """What was chosen, and the day: "credits-penora-spent-2026-03-03.csv"."""
    app = wanted.app.slug if wanted.app else ""
    kind = slugify(_WORDS[wanted.type]) if wanted.type else ""
    return "-".join(filter(None, ("credits", app, kind, f"{timezone.now().astimezone(UTC):%Y-%m-%d}"))) + ".csv"


def _cells(entry: LedgerEntry) -> tuple[str | int, ...]:
    kind = _WORDS[Type(entry.type)]
    return (
        f"{entry.created_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        entry.description or kind,
        kind,
        entry.app.name if entry.app else "",
        entry.quantity or "",
        entry.project_code or "",
        entry.amount,
        entry.balance_after,
    )


def _purse(user: User) -> dict[str, Any]:
    """Two queries."""
    position, holds = position_of(user), live_holds(user, limit=MOST_HOLDS + 1)
    expire = sum(part.credits for part in position.expiring)
    return {
        "position": position,
        "holds": holds[:MOST_HOLDS],
        "more_holds": len(holds) > MOST_HOLDS,
        "expiring": position.expiring[:MOST_EXPIRING],
        "later": sum(part.credits for part in position.expiring[MOST_EXPIRING:]),
        "expire": expire,
        "lasting": max(0, position.spendable - expire),
    }


def _lines(user: User, entries: list[LedgerEntry]) -> list[Line]:
    """With one query for all the projects that they name. A code is kept as the app has written it."""
    meant = {entry.pk: codes.fold(entry.project_code) for entry in entries if entry.project_code}
    there: set[str] = set()
    if any(meant.values()):
        kept = Project.objects.kept().filter(user=user, code__in={code for code in meant.values() if code})
        there = set(kept.values_list("code", flat=True))
    return [
        Line(entry, _WORDS[Type(entry.type)], code if (code := meant.get(entry.pk)) in there else None)
        for entry in entries
    ]


def _price_lists() -> list[Pricing]:
    lists: dict[int, Pricing] = {}
    for line in current_prices():
        lists.setdefault(line.app_id, Pricing(line.app, [])).lines.append(line)
    return [pricing for pricing in lists.values() if pricing.app.is_active]


urlpatterns: list[URLPattern] = [
    path("credits/", overview, name="credits"),
    path("credits/now/", purse, name="purse"),
    path("credits/transactions.csv", transactions_csv, name="transactions-csv"),
]
