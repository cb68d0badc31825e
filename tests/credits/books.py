"""
What the tests of credits stand on: a clock that can be stopped, lots, every row of one person's books, and the proof.

The service asks the database for the time, by a function that the database looks up on its search path. So a test puts
one of its own in front of it, and then every instant can be hit exactly: the one at which something expires, 31
January. (`tests.clock.let_pass` moves what has happened instead, which also works across connections.)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from accounts.models import User
from credits import services
from credits.models import Account, Grant, Hold, LedgerEntry, LotClaim, LotUse
from credits.verify import INVARIANTS

START = datetime(2100, 3, 1, 12, tzinfo=UTC)  # far off: whoever asks another clock than the database's is found out
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
TICK = timedelta(microseconds=1)  # the database's smallest step

GIFT = LedgerEntry.Source.PROMOTION


class Clock:
    """The database's clock, standing still until it is moved. Until the end of the test's transaction."""

    def __init__(self, moment: datetime) -> None:
        self.now = moment
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; CREATE SCHEMA stopped")
            self.move_to(moment)
            cursor.execute(
                "CREATE FUNCTION stopped.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE"
                " AS $$ SELECT current_setting('stopped.clock')::timestamptz $$"
            )
            cursor.execute("SET search_path = stopped, public, pg_catalog")
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND column_default LIKE '%%statement_timestamp()' AND table_name <> 'credits_operation'"
            )
            for table, column in cursor.fetchall():
                cursor.execute(f"ALTER TABLE {table} ALTER {column} SET DEFAULT stopped.statement_timestamp()")

    def move_to(self, moment: datetime) -> None:
        self.now = moment
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('stopped.clock', %s, false)", [moment.isoformat()])

    def passes(self, delta: timedelta) -> datetime:
        self.move_to(self.now + delta)
        return self.now


def broken() -> dict[str, list[Any]]:
    """What `verify_ledger` would find wrong with the books; here it is asked within the test's own transaction."""
    found = {}
    with connection.cursor() as cursor:
        for name, sql in INVARIANTS.items():
            cursor.execute(sql)
            if rows := cursor.fetchall():
                found[name] = rows
    return found


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT STATEMENT_TIMESTAMP()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def lot(
    user: User,
    amount: int,
    lasts: timedelta,
    *,
    priority: int | None = None,
    source: LedgerEntry.Source = GIFT,
) -> Grant:
    """Credits that expire when `lasts` is over."""
    entry = services.grant(
        user=user,
        amount=amount,
        source=source,
        description="Lot",
        expires_at=database_time() + lasts,
        priority=priority,
    )
    return Grant.objects.get(entry=entry)


def rows_of(user: User) -> dict[str, list[dict[str, Any]]]:
    """Every row of a person's books, so that "nothing was written" can be said in one line."""
    return {
        "account": list(Account.objects.filter(user=user).values()),
        "entries": list(LedgerEntry.objects.filter(account=user.pk).order_by("seq").values()),
        "lots": list(Grant.objects.filter(account=user.pk).order_by("id").values()),
        "uses": list(LotUse.objects.filter(entry__account=user.pk).order_by("id").values()),
        "holds": list(Hold.objects.filter(account=user.pk).order_by("pk").values()),
        "claims": list(LotClaim.objects.filter(hold__account=user.pk).order_by("id").values()),
    }


def written(user: User) -> list[tuple[str, int, int]]:
    """Type, amount and running balance of each entry."""
    found = LedgerEntry.objects.filter(account=user.pk).order_by("seq")
    return list(found.values_list("type", "amount", "balance_after"))


def uses_of(entry: LedgerEntry) -> list[tuple[int, int]]:
    """What an entry did to lots, in the order in which it did it: (lot, amount)."""
    return list(LotUse.objects.filter(entry=entry).order_by("id").values_list("lot", "amount"))


def left_in(*lots: Grant) -> list[tuple[int, int]]:
    """(remaining, held) of each lot as it is stored."""
    stored = Grant.objects.in_bulk([lot.pk for lot in lots])
    return [(stored[lot.pk].remaining, stored[lot.pk].held) for lot in lots]
