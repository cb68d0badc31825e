"""Days that pass at once, for the figures too (see `tests.clock`)."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from tests.clock import let_pass

MOMENTS = (
    ("accounts_auditentry", "created_at"),
    ("figures_serviceday", "as_of"),
    ("figures_verification", "as_of"),
)
DAYS = ("figures_creditday", "figures_serviceday", "figures_lastactive", "figures_failedcalls")


def days_pass(days: int) -> None:
    """Makes everything that has happened, and every figure of it, `days` older."""
    let_pass(timedelta(days=days))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # the audit refuses changes
        for table, column in MOMENTS:
            cursor.execute(f"UPDATE {table} SET {column} = {column} - %s * INTERVAL '1 day'", [days])
        for table in DAYS:
            # By way of a time far off: a day must not be, not for a moment, where the one before it still is.
            cursor.execute(f"UPDATE {table} SET day = day - 100000")
            cursor.execute(f"UPDATE {table} SET day = day + %s", [100_000 - days])
        cursor.execute("SET session_replication_role = origin")
