"""
Reads of the ledger: what a person can spend now or could at an earlier time, and their history.

What has expired is left out by the database's clock, whether or not it has been entered yet; each figure comes from one
statement, and so from one moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.models import App, User
from credits.models import Hold, LedgerEntry

EXPORT_BATCH = 2_000  # entries a statement


@dataclass(frozen=True, slots=True)
class HistoryPage:
    entries: list[LedgerEntry]
    total_count: int  # of everything that matches, whatever the page
    next_before_seq: int | None  # where the next page starts, None on the last


@dataclass(frozen=True, slots=True)
class Expiring:
    credits: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """What a person has, in credits: `balance` without what has expired, of which `held` is set aside."""

    balance: int = 0
    held: int = 0
    expiring: tuple[Expiring, ...] = ()  # what is free to spend and will expire, soonest first

    @property
    def spendable(self) -> int:
        return self.balance - self.held


# Both take from the balance what is in lots whose time is over, except for what a live hold has claimed of it.
_NOW: Final = """
    WITH live AS (
        SELECT id, amount FROM credits_hold
        WHERE account_id = %(user)s AND status = 'active' AND expires_at > STATEMENT_TIMESTAMP()
    ), claimed AS (
        SELECT lot_id, SUM(c.amount) AS amount FROM credits_lotclaim c JOIN live ON live.id = c.hold_id GROUP BY lot_id
    ), lot AS (
        SELECT expires_at, expires_at <= STATEMENT_TIMESTAMP() AS is_over, remaining - COALESCE(c.amount, 0) AS free
        FROM credits_grant g LEFT JOIN claimed c ON c.lot_id = g.id
        WHERE g.account_id = %(user)s AND g.remaining > 0
    )
    SELECT (SELECT balance FROM credits_account WHERE user_id = %(user)s),
           (SELECT SUM(free) FROM lot WHERE is_over), (SELECT SUM(amount) FROM live), soon.expires_at, soon.credits
    FROM (SELECT 1) one LEFT JOIN (
        SELECT expires_at, SUM(free) AS credits FROM lot WHERE NOT is_over AND free > 0 GROUP BY expires_at
    ) soon ON true
    ORDER BY soon.expires_at
"""
_AS_OF: Final = """
    WITH live AS (
        SELECT id, amount FROM credits_hold
        WHERE account_id = %(user)s AND created_at <= %(as_of)s AND expires_at > %(as_of)s
          AND (resolved_at IS NULL OR resolved_at > %(as_of)s)
    ), claimed AS (
        SELECT lot_id, SUM(c.amount) AS amount FROM credits_lotclaim c JOIN live ON live.id = c.hold_id GROUP BY lot_id
    ), used AS (
        SELECT u.lot_id, SUM(u.amount) AS amount
        FROM credits_lotuse u JOIN credits_ledgerentry e ON e.id = u.entry_id
        WHERE e.account_id = %(user)s AND e.created_at <= %(as_of)s
        GROUP BY u.lot_id
    ), lot AS (
        SELECT g.expires_at, g.expires_at <= %(as_of)s AS is_over,
               g.amount + COALESCE(used.amount, 0) - COALESCE(claimed.amount, 0) AS free
        FROM credits_grant g LEFT JOIN used ON used.lot_id = g.id LEFT JOIN claimed ON claimed.lot_id = g.id
        WHERE g.account_id = %(user)s AND g.created_at <= %(as_of)s
    )
    SELECT (SELECT balance_after FROM credits_ledgerentry
            WHERE account_id = %(user)s AND created_at <= %(as_of)s ORDER BY seq DESC LIMIT 1),
           (SELECT SUM(free) FROM lot WHERE is_over), (SELECT SUM(amount) FROM live), soon.expires_at, soon.credits
    FROM (SELECT 1) one LEFT JOIN (
        SELECT expires_at, SUM(free) AS credits FROM lot WHERE NOT is_over AND free > 0 GROUP BY expires_at
    ) soon ON true
    ORDER BY soon.expires_at
"""


def position_of(user: User, *, as_of: datetime | None = None) -> Position:
    """
    What the person has now, or had at `as_of`; nothing, if they have no account. One statement. In the past it is what
    was committed by now: a call that was running then counts from its own time on.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOW if as_of is None else _AS_OF, {"user": user.pk, "as_of": as_of})
        rows = cursor.fetchall()
    balance, expired, held = rows[0][:3]
    return Position(
        balance=int((balance or 0) - (expired or 0)),
        held=int(held or 0),
        expiring=tuple(Expiring(int(free), expires_at) for *_, expires_at, free in rows if expires_at),
    )


def live_holds(user: User, *, limit: int | None = None) -> list[Hold]:
    """What is set aside of the person's credits, by the database's clock, the first to end first. One query."""
    live = Hold.objects.filter(account_id=user.pk, status=Hold.Status.ACTIVE, expires_at__gt=Now())
    return list(live.select_related("app", "operation").order_by("expires_at", "id")[:limit])


def history(
    *,
    user: User,
    limit: int,
    before_seq: int | None = None,
    app: App | None = None,
    type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> HistoryPage:
    """
    Up to `limit` entries, newest first, older than `before_seq`; `since` is inclusive, `until` is not.

    Two queries, of which the one for the page reads `limit` + 1 rows at the most when nothing is filtered.
    """
    matching = _matching(user=user, app=app, type=type, since=since, until=until)
    total_count = matching.count()
    page = matching if before_seq is None else matching.filter(seq__lt=before_seq)
    entries = list(page.select_related("app", "operation").order_by("-seq")[: limit + 1])
    more = len(entries) > limit
    entries = entries[:limit]
    return HistoryPage(entries, total_count, entries[-1].seq if more else None)


def export(
    *,
    user: User,
    app: App | None = None,
    type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    newest_first: bool = False,
) -> Iterator[LedgerEntry]:
    """
    Every matching entry that there is at the start, oldest first if not said otherwise, `EXPORT_BATCH` a statement:
    neither the memory nor how long a statement runs depends on how long the history is.
    """
    matching = _matching(user=user, app=app, type=type, since=since, until=until)
    there, back, beyond = ("-seq", "seq", "seq__lt") if newest_first else ("seq", "-seq", "seq__gt")
    last = matching.order_by(back).values_list("seq", flat=True).first()
    left = matching.select_related("app", "operation").order_by(there)
    if last is not None and not newest_first:
        left = left.filter(seq__lte=last)  # what is written meanwhile is not waited for
    after = None
    while after != last:
        batch = list((left if after is None else left.filter(**{beyond: after}))[:EXPORT_BATCH])
        yield from batch
        after = batch[-1].seq


def _matching(
    *, user: User, app: App | None, type: str | None, since: datetime | None, until: datetime | None
) -> QuerySet[LedgerEntry]:
    matching: QuerySet[LedgerEntry] = LedgerEntry.objects.filter(account_id=user.pk)
    if app is not None:
        matching = matching.filter(app=app)
    if type is not None:
        matching = matching.filter(type=type)
    if since is not None:
        matching = matching.filter(created_at__gte=since)
    if until is not None:
        matching = matching.filter(created_at__lt=until)
    return matching
