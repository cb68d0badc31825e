"""
Time that passes at once. Expiry is judged by the database's clock, which nobody can turn; so everything that has
happened is moved into the past instead, which to the service is the same. (But for months: who has come on a plan in a
month of 30 days may have come in one of 31 afterwards. Tests of plans stop the clock: tests/credits/books.py.)
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

_TABLES = ("accounts_user", "credits_%", "workspace_%", "api_idempotencyrecord")


def let_pass(delta: timedelta) -> None:
    """
    Makes every moment that is kept (when an entry was written, when a hold ends, since when a plan holds) `delta`
    earlier. Prices keep theirs. Asks the database which columns those are, so that a new one is not forgotten.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, string_agg(format('%%1$I = %%1$I - %%2$L::interval', column_name, %s::text), ', ')"
            " FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
            " AND table_name LIKE ANY(%s) AND table_name <> 'credits_operation' GROUP BY table_name",
            [f"{delta.total_seconds()} seconds", list(_TABLES)],
        )
        updates = [f"UPDATE {table} SET {changes}" for table, changes in cursor.fetchall()]
        # The ledger refuses changes; a superuser's session may leave its triggers out.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(";".join(updates))
        cursor.execute("SET session_replication_role = origin")
