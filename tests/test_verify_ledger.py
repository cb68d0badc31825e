"""
manage.py verify_ledger: silent on true books, and not on any damage. Damage is planted by SQL, past the constraints
and triggers that would refuse it.
"""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from unified import seed

DAMAGES = {
    "a changed amount": (
        "UPDATE credits_ledgerentry SET amount = amount - 1 WHERE seq = 2",
        {
            "each account's balance is the sum of its entries",
            "each entry's running balance is the sum up to it",
            "each priced deduction cost what its price list line says",
        },
    ),
    "the last entry missing": (
        "DELETE FROM credits_ledgerentry WHERE seq = (SELECT MAX(seq) FROM credits_ledgerentry)",
        {"each account's balance is the sum of its entries", "each account's seq is the number of its entries"},
    ),
    "an entry missing in the middle": (
        "DELETE FROM credits_ledgerentry WHERE seq = 3",
        {
            "each account's balance is the sum of its entries",
            "each account's seq is the number of its entries",
            "entries are numbered 1, 2, 3… without gaps",
            "each entry's running balance is the sum up to it",
        },
    ),
    "a wrong running balance": (
        "UPDATE credits_ledgerentry SET balance_after = balance_after + 5 WHERE seq = 4",
        {"each entry's running balance is the sum up to it"},
    ),
    "a wrong balance": (
        "UPDATE credits_account SET balance = balance + 1",
        {"each account's balance is the sum of its entries"},
    ),
    "a deduction that became a grant": (
        "ALTER TABLE credits_ledgerentry DROP CONSTRAINT entry_sign_fits_type;"
        "UPDATE credits_ledgerentry SET type = 'grant' WHERE seq = 2",
        {"each entry's sign fits its type"},
    ),
    "more held than there is": (
        "ALTER TABLE credits_account DROP CONSTRAINT account_balance_covers_held;"
        "UPDATE credits_account SET held = balance + 1",
        {"no account holds more than it has"},
    ),
    "a correction of a stranger's entry": (
        "INSERT INTO credits_account (user_id, balance, held, seq)"
        " SELECT id, 1, 0, 1 FROM accounts_user WHERE user_id = 'stranger';"
        "INSERT INTO credits_ledgerentry"
        " (id, account_id, seq, type, amount, balance_after, description, metadata, related_id)"
        " SELECT gen_random_uuid(), u.id, 1, 'refund', 1, 1, '', '{}', e.id"
        " FROM accounts_user u, credits_ledgerentry e WHERE u.user_id = 'stranger' AND e.seq = 2",
        {"what corrects an entry is of the same account"},
    ),
    "used bytes that drifted": (
        "UPDATE workspace_storage SET used_bytes = used_bytes + 1",
        {"each person's used bytes are the sum of their projects"},
    ),
    "a project count that drifted": (
        "UPDATE workspace_storage SET project_count = project_count - 1",
        {"each person's project count is the number of their projects"},
    ),
    "an app's part that drifted": (
        "UPDATE workspace_appstorage SET used_bytes = used_bytes + 1 WHERE app_id = 1",
        {"each app's part is the sum of the projects made with it"},
    ),
    "content that lost a byte": (
        "UPDATE workspace_projectcontent SET body = SUBSTRING(body FROM 2)"
        " WHERE project_id = (SELECT MIN(id) FROM workspace_project)",
        {"each project's size is the length of its content"},
    ),
    "content that is gone": (
        "DELETE FROM workspace_projectcontent WHERE project_id = (SELECT MIN(id) FROM workspace_project)",
        {"each project's size is the length of its content"},
    ),
    "a storage row that is gone": (
        "DELETE FROM workspace_storage",
        {"whoever has projects has a storage row"},
    ),
    "more used than the limit": (
        "ALTER TABLE workspace_storage DROP CONSTRAINT storage_within_limit;"
        "UPDATE workspace_storage SET limit_bytes = 1",
        {"nobody uses more than their limit"},
    ),
}


@pytest.fixture
def books(committed_db: None) -> None:
    """The demo user's books, and a second person without an account."""
    seed.seed_demo()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_user (user_id, username, email, plan_id, password, is_active, is_staff, is_superuser)"
            " SELECT 'stranger', 'Stranger', '', id, '', true, false, false FROM accounts_plan WHERE is_default"
        )


def verified() -> dict[str, Any]:
    out = StringIO()
    try:
        call_command("verify_ledger", "--json", stdout=out)
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    result: dict[str, Any] = json.loads(out.getvalue())
    assert status == (0 if result["ok"] else 1)
    return result


def test_true_books_are_proved(books: None) -> None:
    result = verified()

    assert result["ok"]
    assert result["sizes"] == {"accounts": 1, "entries": 6, "projects": 8}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(books: None, damage: str) -> None:
    sql, broken = DAMAGES[damage]
    # Undone at the end together with the constraints that it drops, so the next test finds the schema whole.
    with connection.cursor() as cursor:
        dropped = _constraints(cursor)
        cursor.execute(f"SET session_replication_role = replica; {sql}; SET session_replication_role = origin")
        try:
            result = verified()
        finally:
            _restore(cursor, dropped)

    assert {found["name"] for found in result["invariants"] if found["violations"]} == broken
    assert all(found["examples"] for found in result["invariants"] if found["violations"])


def test_the_plain_report_names_what_is_wrong(books: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credits_account SET balance = balance + 7")
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("verify_ledger", stdout=out)

    assert "BROKEN  credits: each account's balance is the sum of its entries" in out.getvalue()
    assert "expected 43, found 50" in out.getvalue()
    assert "NOT ALL INVARIANTS HOLD" in out.getvalue()


def _constraints(cursor: Any) -> dict[str, tuple[str, str]]:
    cursor.execute(
        "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'"
        " AND conrelid::regclass::text IN ('credits_ledgerentry', 'credits_account', 'workspace_storage')"
    )
    return {name: (table, definition) for name, table, definition in cursor.fetchall()}


def _restore(cursor: Any, constraints: dict[str, tuple[str, str]]) -> None:
    for name in constraints.keys() - _constraints(cursor).keys():
        table, definition = constraints[name]
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID")
