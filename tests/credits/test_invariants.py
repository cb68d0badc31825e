"""What the database refuses by itself, whoever asks and however: the tests write SQL past the ORM and the services."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import ProtectedError

from accounts.models import App, User
from credits.models import Account, LedgerEntry, Operation
from tests.conftest import make_user

RESTRICT_VIOLATION = "23001"
CHECK_VIOLATION = "23514"
UNIQUE_VIOLATION = "23505"
NOT_NULL_VIOLATION = "23502"
FOREIGN_KEY_VIOLATION = "23503"


def execute(sql: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what COMMIT would check


def refused(sql: str, *parameters: Any) -> tuple[str, str]:
    """The SQLSTATE with which the database refuses `sql`, and the name of the constraint (or the message)."""
    with pytest.raises(Error) as caught, transaction.atomic():
        execute(sql, *parameters)
    cause: Any = caught.value.__cause__
    return cause.pgcode, cause.diag.constraint_name or cause.diag.message_primary


def entries() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM credits_ledgerentry ORDER BY account_id, seq")
        return cursor.fetchall()


def insert_entry(account: User, **changes: Any) -> tuple[str, dict[str, Any]]:
    values = {
        "id": uuid.uuid4(),
        "account_id": account.pk,
        "seq": 2,
        "type": "deduction",
        "amount": -1,
        "balance_after": 49,
        "app_id": None,
        "description": "by hand",
        "project_code": None,
        "operation_id": None,
        "quantity": None,
        "related_id": None,
        "metadata": "{}",
        **changes,
    }
    names = ", ".join(values)
    return f"INSERT INTO credits_ledgerentry ({names}) VALUES ({', '.join(['%s'] * len(values))})", values


def entry_refused(account: User, **changes: Any) -> tuple[str, str]:
    sql, values = insert_entry(account, **changes)
    return refused(sql, *values.values())


# --- the ledger only grows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE credits_ledgerentry SET amount = 500",
        "UPDATE credits_ledgerentry SET description = description",
        "UPDATE credits_ledgerentry SET app_id = NULL WHERE app_id IS NULL",
        "DELETE FROM credits_ledgerentry",
        "INSERT INTO credits_ledgerentry SELECT * FROM credits_ledgerentry"
        " ON CONFLICT (account_id, seq) DO UPDATE SET amount = 500",
        "MERGE INTO credits_ledgerentry e USING credits_ledgerentry s ON e.id = s.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM credits_ledgerentry RETURNING 1) SELECT count(*) FROM gone",
    ],
)
def test_an_entry_can_be_neither_changed_nor_removed_with_sql(alice: User, sql: str) -> None:
    before = entries()

    sqlstate, message = refused(sql)

    assert sqlstate == RESTRICT_VIOLATION
    assert message.startswith("the ledger is append-only: ")
    assert entries() == before
    assert len(before) == 1


@pytest.mark.parametrize("table", ["credits_ledgerentry", "credits_account", "accounts_user", "accounts_app"])
def test_the_ledger_cannot_be_truncated_on_its_own_or_along_with_another_table(committed_db: None, table: str) -> None:
    make_user("alice")

    sqlstate, message = refused(f"TRUNCATE {table} CASCADE")

    assert (sqlstate, message[:41]) == (RESTRICT_VIOLATION, "the ledger is append-only: TRUNCATE refus")
    assert len(entries()) == 1


def test_an_entry_can_be_neither_changed_nor_removed_with_the_orm(alice: User) -> None:
    before = entries()
    entry = LedgerEntry.objects.get(account=alice.pk)
    entry.amount = 500

    for change in (
        entry.save,
        entry.delete,
        lambda: LedgerEntry.objects.update(amount=500),
        lambda: LedgerEntry.objects.all().delete(),
        lambda: LedgerEntry.objects.bulk_update([entry], ["amount"]),
        lambda: LedgerEntry.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()

    assert entries() == before


def test_nothing_that_an_entry_stands_on_can_be_deleted(alice: User, penora: App) -> None:
    operation = Operation.objects.get(slug="page")
    sql, values = insert_entry(alice, app_id=penora.pk, operation_id=operation.pk, quantity=1)
    execute(sql, *values.values())
    before = entries()

    for row in (alice, alice.account, penora, operation):
        with pytest.raises(ProtectedError), transaction.atomic():
            row.delete()
    with pytest.raises(ProtectedError), transaction.atomic():
        User.objects.filter(pk=alice.pk).delete()

    assert entries() == before
    assert len(before) == 2


@pytest.mark.parametrize("table", ["credits_account", "accounts_user", "accounts_app", "credits_operation"])
def test_no_foreign_key_cascades_into_the_ledger_in_the_database_either(alice: User, penora: App, table: str) -> None:
    operation = Operation.objects.get(slug="page")
    sql, values = insert_entry(alice, app_id=penora.pk, operation_id=operation.pk, quantity=1)
    execute(sql, *values.values())
    before = entries()

    assert refused(f"DELETE FROM {table}")[0] == FOREIGN_KEY_VIOLATION

    assert entries() == before


# --- what an account can be ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("balance = -1", "account_balance_covers_held"),
        ("held = -1", "account_held_not_negative"),
        ("held = balance + 1", "account_balance_covers_held"),
        ("held = 10, balance = 9", "account_balance_covers_held"),
        ("seq = -1", "credits_account_seq_check"),
    ],
)
def test_an_account_that_cannot_be_is_refused(alice: User, change: str, constraint: str) -> None:
    assert refused(f"UPDATE credits_account SET {change}") == (CHECK_VIOLATION, constraint)

    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.seq) == (50, 0, 1)


def test_all_of_a_balance_may_be_held(alice: User) -> None:
    execute("UPDATE credits_account SET held = balance")

    assert Account.objects.get(user=alice).spendable == 0


@pytest.mark.parametrize("column", ["balance", "held", "seq"])
def test_null_does_not_slip_past_the_checks_of_an_account(alice: User, column: str) -> None:
    assert refused(f"UPDATE credits_account SET {column} = NULL")[0] == NOT_NULL_VIOLATION


# --- what an entry can be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type", "amount"),
    [
        *(("grant", -1), ("grant", 0), ("refund", -1), ("refund", 0)),
        *(("deduction", 1), ("deduction", 0), ("expiry", 1), ("expiry", 0)),
        *(("adjustment", 0), ("gift", 1), ("gift", -1), ("", 1), ("GRANT", 1)),
    ],
)
def test_an_entry_with_a_sign_that_does_not_fit_its_type_is_refused(alice: User, type: str, amount: int) -> None:
    assert entry_refused(alice, type=type, amount=amount) == (CHECK_VIOLATION, "entry_sign_fits_type")


@pytest.mark.parametrize(
    ("type", "amount"),
    [("grant", 1), ("refund", 1), ("deduction", -1), ("expiry", -1), ("adjustment", 1), ("adjustment", -1)],
)
def test_an_entry_with_the_right_sign_is_kept(alice: User, type: str, amount: int) -> None:
    sql, values = insert_entry(alice, type=type, amount=amount)
    execute(sql, *values.values())

    assert LedgerEntry.objects.filter(account=alice.pk, seq=2, type=type, amount=amount).exists()


@pytest.mark.parametrize("seq", [0, -1])
def test_entries_are_numbered_from_one(alice: User, seq: int) -> None:
    sqlstate, constraint = entry_refused(alice, seq=seq)

    assert sqlstate == CHECK_VIOLATION
    assert constraint in {"entry_seq_from_one", "credits_ledgerentry_seq_check"}


def test_a_number_is_used_once_in_an_account(alice: User, bob: User) -> None:
    assert entry_refused(alice, seq=1) == (UNIQUE_VIOLATION, "entry_account_seq_unique")

    assert [row[:2] for row in LedgerEntry.objects.order_by("account").values_list("seq", "amount")] == [(1, 50)] * 2


def test_a_running_balance_is_not_negative(alice: User) -> None:
    sqlstate, constraint = entry_refused(alice, balance_after=-1)

    assert sqlstate == CHECK_VIOLATION
    assert constraint in {"entry_balance_not_negative", "credits_ledgerentry_balance_after_check"}


@pytest.mark.parametrize(
    ("with_operation", "quantity"), [(True, None), (True, 0), (False, 1)], ids=["no quantity", "zero", "no operation"]
)
def test_an_operation_and_a_quantity_come_together(alice: User, with_operation: bool, quantity: int | None) -> None:
    operation_id = Operation.objects.get(slug="page").pk if with_operation else None

    assert entry_refused(alice, operation_id=operation_id, quantity=quantity) == (
        CHECK_VIOLATION,
        "entry_operation_with_quantity",
    )


@pytest.mark.parametrize("column", ["account_id", "seq", "type", "amount", "balance_after", "description", "metadata"])
def test_null_does_not_slip_past_the_checks_of_an_entry(alice: User, column: str) -> None:
    assert entry_refused(alice, **{column: None})[0] == NOT_NULL_VIOLATION


@pytest.mark.parametrize("column", ["account_id", "app_id", "operation_id", "related_id"])
def test_an_entry_points_at_what_is_there(alice: User, column: str) -> None:
    nowhere = uuid.uuid4() if column == "related_id" else 999_999_999
    quantity = 1 if column == "operation_id" else None

    assert entry_refused(alice, **{"quantity": quantity, column: nowhere})[0] == FOREIGN_KEY_VIOLATION


@pytest.mark.parametrize("credits", [0, 1_000_001])
def test_a_price_is_one_to_a_million(alice: User, credits: int) -> None:
    assert refused("UPDATE credits_operation SET credits = %s", credits) == (CHECK_VIOLATION, "operation_price_range")


def test_a_version_of_a_price_exists_once(alice: User) -> None:
    assert refused(
        "INSERT INTO credits_operation (slug, version, app_id, name, unit, credits, is_active)"
        " SELECT slug, version, app_id, name, unit, credits + 1, is_active FROM credits_operation WHERE slug = 'page'"
    ) == (UNIQUE_VIOLATION, "operation_version_unique")
