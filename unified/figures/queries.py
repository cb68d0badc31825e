"""
What the staff's front page shows, each in one query over figures that are counted already; only who is near their limit
is read as it is now. Days are UTC. `day` is the one that the figures are of; periods end with it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

from django.db.models import Count, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import App, UpgradeRequest
from credits.models import LedgerEntry
from unified.figures.models import CreditDay, FailedCalls, ServiceDay, Verification
from workspace.models import Storage

FAILURES_OF_DAYS = 7
MONTH_DAYS = 30
MOST_NEAR_LIMIT = 10
MOST_OPERATIONS = 10

Type = LedgerEntry.Type
# What came into the accounts and went out of them, in the order in which it is told.
MOVEMENTS = (
    (Type.GRANT, True, "Granted"),
    (Type.DEDUCTION, False, "Spent"),
    (Type.REFUND, True, "Refunded"),
    (Type.EXPIRY, False, "Expired"),
    (Type.ADJUSTMENT, True, "Adjusted up"),
    (Type.ADJUSTMENT, False, "Adjusted down"),
)


@dataclass(frozen=True, slots=True)
class Movement:
    """Credits of one kind, signed as in the ledger."""

    name: str
    on_day: int
    in_month: int
    ever: int


@dataclass(frozen=True, slots=True)
class Operation:
    """What one line of an app's price list brought in. `slug` is empty for what was charged without one."""

    slug: str
    app_id: int | None
    entries: int
    spent: int


@dataclass(frozen=True, slots=True)
class Spending:
    """Credits spent: by day and app, for each of `days`; and on what, the most first."""

    days: list[date]
    by_day: dict[tuple[date, int | None], int]
    app_ids: set[int | None]
    operations: list[Operation]


def standing() -> Any | None:
    """
    The newest day that has been counted, or None before the first; with `wishes`, how many people wait for a bigger
    plan now, which would be a query of its own otherwise.
    """
    waiting = UpgradeRequest.objects.filter(status=UpgradeRequest.Status.OPEN).order_by()
    wishes = Subquery(waiting.values("status").annotate(number=Count("pk")).values("number"))
    return ServiceDay.objects.annotate(wishes=Coalesce(wishes, 0)).order_by("-day").first()


def movements(day: date) -> list[Movement]:
    """Every kind, also one of which there was nothing; and last the sum, which ever makes what is outstanding."""
    sums = {
        (row["type"], row["is_addition"]): (row["on_day"] or 0, row["in_month"] or 0, row["ever"])
        for row in CreditDay.objects.values("type", "is_addition")
        .annotate(
            on_day=Sum("credits", filter=Q(day=day)),
            in_month=Sum("credits", filter=_within(day, MONTH_DAYS)),
            ever=Sum("credits"),
        )
        .order_by()
    }
    kinds = [Movement(name, *sums.get((kind, is_addition), (0, 0, 0))) for kind, is_addition, name in MOVEMENTS]
    whole = (sum(one.on_day for one in kinds), sum(one.in_month for one in kinds), sum(one.ever for one in kinds))
    return [*kinds, Movement("Change", *whole)]


def spending(day: date, days: int) -> Spending:
    rows = (
        CreditDay.objects.filter(_within(day, days), type=Type.DEDUCTION)
        .values("day", "app_id", "operation")
        .annotate(total=Sum("credits"), number=Sum("entries"))
        .order_by()
    )
    by_day: defaultdict[tuple[date, int | None], int] = defaultdict(int)
    by_operation: defaultdict[tuple[str, int | None], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        by_day[row["day"], row["app_id"]] -= row["total"]
        counted = by_operation[row["operation"], row["app_id"]]
        counted[0] += row["number"]
        counted[1] -= row["total"]
    operations = [Operation(slug, app_id, *counted) for (slug, app_id), counted in by_operation.items()]
    return Spending(
        days=[day - timedelta(days=back) for back in reversed(range(days))],
        by_day=dict(by_day),
        app_ids={app_id for _, app_id in by_day},
        operations=sorted(operations, key=lambda one: (-one.spent, one.slug))[:MOST_OPERATIONS],
    )


def near_limit() -> list[Storage]:
    """Who has reached a mark (80, 95, 100 %) and is still there: the highest mark first, one more than is shown."""
    marked = Storage.objects.filter(warned_percent__gt=0).select_related("user")
    return list(marked.order_by("-warned_percent", "user_id")[: MOST_NEAR_LIMIT + 1])


def failed_calls() -> dict[str, dict[int | None, int]]:
    """Of today and the six days before: how often each code, by app; the most frequent code first."""
    today = timezone.now().astimezone(UTC).date()
    rows = FailedCalls.objects.filter(_within(today, FAILURES_OF_DAYS)).values("code", "app_id")
    found: defaultdict[str, dict[int | None, int]] = defaultdict(dict)
    for row in rows.annotate(number=Sum("calls")).order_by():
        found[row["code"]][row["app_id"]] = row["number"]
    return dict(sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0])))


def last_verification() -> Verification | None:
    return Verification.objects.order_by("-as_of", "-pk").first()


def apps_by_id() -> dict[int | None, App]:
    return {app.pk: app for app in App.objects.all()}


def _within(day: date, days: int) -> Q:
    """The `days` days that end with `day`."""
    return Q(day__gt=day - timedelta(days=days), day__lte=day)


def broken_invariants(verification: Verification) -> list[dict[str, Any]]:
    """Those that a run found violated: their domain, name and number of violations."""
    return [one for one in verification.result.get("invariants", []) if one["violations"]]
