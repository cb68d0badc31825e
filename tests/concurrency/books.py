"""What must hold whoever raced whom: asserted with SQL of its own, over everything that is in the database."""

from __future__ import annotations

from typing import Any

from django.db import connection

from unified.management.commands.verify_ledger import verify


def rows(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def deadlocks() -> int:
    # The counter is written by each backend as it ends, and reading it forgets what was read before.
    rows("SELECT pg_stat_clear_snapshot()")
    return int(rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")[0][0])


def assert_the_books_are_right() -> None:
    """Every balance is the sum of its entries, numbered 1, 2, 3… with the right running balance."""
    wrong = rows("""
        SELECT a.user_id, a.balance, a.seq, sum(e.amount), count(e.id), min(e.seq), max(e.seq)
        FROM credits_account a LEFT JOIN credits_ledgerentry e ON e.account_id = a.user_id
        GROUP BY a.user_id
        HAVING a.balance <> coalesce(sum(e.amount), 0) OR a.seq <> count(e.id) OR a.seq <> coalesce(max(e.seq), 0)
    """)
    assert wrong == []
    wrong = rows("""
        SELECT * FROM (
            SELECT account_id, seq, balance_after, sum(amount) OVER w AS expected, row_number() OVER w AS number
            FROM credits_ledgerentry WINDOW w AS (PARTITION BY account_id ORDER BY seq)
        ) running
        WHERE balance_after <> expected OR seq <> number
    """)
    assert wrong == []


def assert_the_storage_is_right() -> None:
    """Every counter is the sum of its projects, in total and by app, and every project has the content it counts."""
    wrong = rows("""
        SELECT s.user_id, s.used_bytes, s.project_count, s.limit_bytes, sum(p.size_bytes), count(p.id)
        FROM workspace_storage s LEFT JOIN workspace_project p ON p.user_id = s.user_id
            AND p.deleted_at IS NULL
        GROUP BY s.user_id
        HAVING s.used_bytes <> coalesce(sum(p.size_bytes), 0) OR s.project_count <> count(p.id)
            OR s.used_bytes + s.reserved_bytes > s.limit_bytes
    """)
    assert wrong == []
    counted = rows(
        "SELECT storage_id, app_id, used_bytes, project_count FROM workspace_appstorage"
        " WHERE used_bytes <> 0 OR project_count <> 0"
    )
    found = rows(
        "SELECT user_id, app_id, sum(size_bytes), count(*) FROM workspace_project"
        " WHERE deleted_at IS NULL GROUP BY user_id, app_id"
    )
    assert sorted(counted) == sorted(found)
    wrong = rows("""
        SELECT p.code, p.size_bytes, octet_length(c.body)
        FROM workspace_project p FULL JOIN workspace_projectcontent c ON c.project_id = p.id
        WHERE c.project_id IS NULL OR p.id IS NULL
            OR CASE c.encoding WHEN 'br' THEN octet_length(c.body) >= p.size_bytes
                               ELSE octet_length(c.body) <> p.size_bytes END
    """)
    assert wrong == []


def assert_everything_is_proved() -> None:
    """What an operator would run, over books, lots, holds and workspaces; then the sums of this module."""
    broken = {found["name"]: found["examples"] for found in verify()["invariants"] if found["violations"]}
    assert broken == {}
    assert_the_books_are_right()
    assert_the_storage_is_right()
