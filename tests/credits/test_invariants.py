"""What the database refuses by itself, whoever asks and however: the tests write SQL past the ORM and the services."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services
from credits.models import Account, Grant, Hold, LedgerEntry, LotClaim, LotUse, Operation
from tests.conftest import make_user
from tests.credits.books import rows_of

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


@pytest.mark.parametrize(
    ("table", "first"),
    [
        ("credits_ledgerentry", "ledger"),
        ("credits_account", "ledger"),
        # What names these two is the audit as well, which is asked before the ledger is.
        ("accounts_user", "audit"),
        ("accounts_app", "audit"),
    ],
)
def test_the_ledger_cannot_be_truncated_on_its_own_or_along_with_another_table(
    committed_db: None, table: str, first: str
) -> None:
    make_user("alice")

    sqlstate, message = refused(f"TRUNCATE {table} CASCADE")

    assert sqlstate == RESTRICT_VIOLATION
    assert message.startswith(f"the {first} is append-only: TRUNCATE refused")
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

    account = Account.objects.get(user=alice)
    assert account.held == account.balance == 50


@pytest.mark.parametrize("change", ["in_lots = -1", "in_lots = balance + 1", "in_lots = 10, balance = 9"])
def test_an_account_with_more_or_less_in_lots_than_can_be_is_refused(alice: User, change: str) -> None:
    sqlstate, constraint = refused(f"UPDATE credits_account SET {change}")

    assert sqlstate == CHECK_VIOLATION
    assert constraint in {"account_balance_covers_lots", "credits_account_in_lots_check"}
    execute("UPDATE credits_account SET in_lots = balance")


@pytest.mark.parametrize("column", ["balance", "held", "in_lots", "seq"])
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
    assert refused(
        "INSERT INTO credits_operation (slug, version, app_id, name, unit, credits, is_active)"
        " SELECT slug, 2, app_id, name, unit, %s, is_active FROM credits_operation WHERE slug = 'page'",
        credits,
    ) == (CHECK_VIOLATION, "operation_price_range")


@pytest.mark.parametrize(
    "change", ["credits = 99", "slug = 'sheet'", "version = 9", "unit = 'x'", "app_id = app_id + 1"]
)
def test_what_a_version_of_a_price_says_does_not_change(alice: User, change: str) -> None:
    """Entries point at the version that they were charged by."""
    assert refused(f"UPDATE credits_operation SET {change} WHERE slug = 'page'")[0] == RESTRICT_VIOLATION


def test_a_version_of_a_price_exists_once(alice: User) -> None:
    assert refused(
        "INSERT INTO credits_operation (slug, version, app_id, name, unit, credits, is_active)"
        " SELECT slug, version, app_id, name, unit, credits + 1, is_active FROM credits_operation WHERE slug = 'page'"
    ) == (UNIQUE_VIOLATION, "operation_version_unique")


# --- why credits came in, and whose key an adjustment has ------------------------------------------------------------


@pytest.mark.parametrize("source", ["gift", "", "PLAN", "deduction"])
def test_an_entry_with_a_source_that_there_is_not_is_refused(alice: User, source: str) -> None:
    refusal = entry_refused(alice, type="grant", amount=1, source=source)

    assert refusal == (CHECK_VIOLATION, "entry_source_of_income")


@pytest.mark.parametrize("type", ["deduction", "expiry", "adjustment"])
def test_credits_that_go_out_have_no_source(alice: User, type: str) -> None:
    assert entry_refused(alice, type=type, amount=-1, source="purchase") == (CHECK_VIOLATION, "entry_source_of_income")


@pytest.mark.parametrize("source", [None, *LedgerEntry.Source.values])
def test_credits_that_come_in_may_say_why(alice: User, source: str | None) -> None:
    sql, values = insert_entry(alice, type="grant", amount=1, source=source)
    execute(sql, *values.values())

    assert LedgerEntry.objects.filter(account=alice.pk, seq=2, source=source).exists()


def test_a_key_of_an_adjustment_is_used_once_in_an_account(alice: User, bob: User) -> None:
    for user, seq, key in ((alice, 2, "k"), (bob, 2, "k"), (alice, 3, None), (alice, 4, None), (alice, 5, "")):
        sql, values = insert_entry(user, type="adjustment", seq=seq, idempotency_key=key)
        execute(sql, *values.values())

    for key in ("k", ""):
        refusal = entry_refused(alice, type="adjustment", seq=6, idempotency_key=key)
        assert refusal == (UNIQUE_VIOLATION, "entry_idempotency_key_unique")


# --- lots and holds: what has happened to them only grows ------------------------------------------------------------


@pytest.fixture
def lots_and_holds(alice: User, penora: App) -> User:
    """Alice with two lots, a use of one, an active and a captured hold, and a claim of each."""
    for amount in (10, 20):
        services.grant(
            user=alice,
            amount=amount,
            source=LedgerEntry.Source.PROMOTION,
            description="lot",
            expires_at=timezone.now() + timedelta(days=amount),
        )
    services.deduct(user=alice, app=penora, amount=1, description="s")
    services.reserve(user=alice, app=penora, amount=2, description="active")
    services.capture(hold=services.reserve(user=alice, app=penora, amount=3, description="captured")[0])
    return alice


@pytest.mark.parametrize("table", ["credits_lotuse", "credits_lotclaim"])
@pytest.mark.parametrize("change", ["amount = 500", "amount = amount", "lot_id = (SELECT MAX(id) FROM credits_grant)"])
def test_a_use_and_a_claim_never_change(lots_and_holds: User, table: str, change: str) -> None:
    before = rows_of(lots_and_holds)

    sqlstate, message = refused(f"UPDATE {table} SET {change}")

    assert sqlstate == RESTRICT_VIOLATION
    assert message.startswith("the ledger is append-only: ")
    assert rows_of(lots_and_holds) == before


@pytest.mark.parametrize("table", ["credits_lotuse", "credits_lotclaim", "credits_grant", "credits_hold"])
def test_nothing_of_lots_and_holds_is_deleted(lots_and_holds: User, table: str) -> None:
    before = rows_of(lots_and_holds)

    for sql in (f"DELETE FROM {table}", f"WITH gone AS (DELETE FROM {table} RETURNING 1) SELECT count(*) FROM gone"):
        assert refused(sql)[0] == RESTRICT_VIOLATION

    assert rows_of(lots_and_holds) == before
    assert all(before.values())


@pytest.mark.parametrize("table", ["credits_lotuse", "credits_lotclaim", "credits_grant", "credits_hold"])
def test_nothing_of_lots_and_holds_can_be_truncated(committed_db: None, table: str) -> None:
    sqlstate, message = refused(f"TRUNCATE {table} CASCADE")

    assert (sqlstate, message[:41]) == (RESTRICT_VIOLATION, "the ledger is append-only: TRUNCATE refus")


@pytest.mark.parametrize(
    "change",
    [
        *("amount = amount + 1", "priority = 1", "expires_at = expires_at + interval '1 day'", "period_start = now()"),
        *("created_at = created_at - interval '1 day'", "origin_id = id", "id = id + 1000"),
        *("account_id = account_id + 1", "entry_id = gen_random_uuid()"),
        "remaining = remaining - 1, priority = 1",
    ],
)
def test_what_a_lot_is_does_not_change(lots_and_holds: User, change: str) -> None:
    before = rows_of(lots_and_holds)

    assert refused(f"UPDATE credits_grant SET {change}") == (
        *(RESTRICT_VIOLATION, "the terms of a credits_grant do not change"),
    )

    assert rows_of(lots_and_holds) == before


@pytest.mark.parametrize(
    "change",
    [
        *("amount = amount + 1", "description = 'x'", "project_code = 'x'", "operation_id = 1, quantity = 1"),
        *("created_at = created_at - interval '1 day'", "expires_at = expires_at + interval '1 day'"),
        *("account_id = account_id + 1", "app_id = app_id + 1", "id = gen_random_uuid()"),
    ],
)
def test_what_a_hold_is_does_not_change(lots_and_holds: User, change: str) -> None:
    before = rows_of(lots_and_holds)

    assert refused(f"UPDATE credits_hold SET {change} WHERE status = 'active'") == (
        *(RESTRICT_VIOLATION, "the terms of a credits_hold do not change"),
    )

    assert rows_of(lots_and_holds) == before


@pytest.mark.parametrize(
    "change", ["status = 'released', entry_id = NULL", "spendable_after = 1", "resolved_at = now()"]
)
def test_a_hold_ends_once(lots_and_holds: User, change: str) -> None:
    before = rows_of(lots_and_holds)

    sqlstate, message = refused(f"UPDATE credits_hold SET {change} WHERE status = 'captured'")

    assert (sqlstate, message[:27]) == (RESTRICT_VIOLATION, "the ledger is append-only: ")
    assert rows_of(lots_and_holds) == before


def test_what_a_lot_and_a_hold_have_left_does_change(lots_and_holds: User) -> None:
    execute("UPDATE credits_grant SET remaining = remaining - 1, held = 0 WHERE remaining > 0")
    execute("UPDATE credits_hold SET status = 'released', resolved_at = now() WHERE status = 'active'")


def test_lots_and_holds_can_be_neither_changed_nor_removed_with_the_orm(lots_and_holds: User) -> None:
    before = rows_of(lots_and_holds)

    for change in (
        lambda: LotUse.objects.update(amount=1),
        lambda: LotUse.objects.all()._raw_delete("default"),
        lambda: LotClaim.objects.update(amount=1),
        lambda: LotClaim.objects.all().delete(),
        lambda: Grant.objects.update(expires_at=timezone.now() + timedelta(days=99)),
        lambda: Grant.objects.all()._raw_delete("default"),
        lambda: Hold.objects.update(amount=1),
        lambda: Hold.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(IntegrityError, match=r"append-only|the terms"), transaction.atomic():
            change()
    for row in (
        Grant.objects.earliest("id"),
        Hold.objects.first(),
        LedgerEntry.objects.filter(description="lot").first(),
    ):
        assert row is not None
        with pytest.raises(ProtectedError), transaction.atomic():
            row.delete()

    assert rows_of(lots_and_holds) == before


# --- what a lot, a use, a hold and a claim can be --------------------------------------------------------------------


def insert(table: str, values: dict[str, Any]) -> tuple[str, list[Any]]:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})", [*values.values()]


def new_lot(user: User, **changes: Any) -> tuple[str, list[Any]]:
    now = timezone.now()
    values = {
        "account_id": user.pk,
        "entry_id": LedgerEntry.objects.get(account=user.pk, seq=1).pk,
        "amount": 10,
        "remaining": 10,
        "held": 0,
        "priority": 50,
        "period_start": None,
        "plan_id": None,
        "origin_id": None,
        "created_at": now,
        "expires_at": now + timedelta(days=1),
    }
    return insert("credits_grant", values | changes)


def new_hold(user: User, **changes: Any) -> tuple[str, list[Any]]:
    now = timezone.now()
    values = {
        "id": uuid.uuid4(),
        "account_id": user.pk,
        "app_id": App.objects.get(slug="penora").pk,
        "amount": 1,
        "status": "active",
        "description": "",
        "project_code": None,
        "operation_id": None,
        "quantity": None,
        "created_at": now,
        "expires_at": now + timedelta(days=1),
        "resolved_at": None,
        "entry_id": None,
        "spendable_after": None,
    }
    return insert("credits_hold", values | changes)


def insert_refused(statement: tuple[str, list[Any]]) -> tuple[str, str]:
    return refused(statement[0], *statement[1])


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"remaining": 11}, "lot_amounts_in_order"),
        ({"held": 11}, "lot_amounts_in_order"),
        ({"remaining": 5, "held": 6}, "lot_amounts_in_order"),
        ({"remaining": -1}, "credits_grant_remaining_check"),
        ({"held": -1}, "credits_grant_held_check"),
        ({"amount": 0, "remaining": 0}, "lot_of_something"),
        ({"priority": 101}, "lot_priority_range"),
        ({"priority": -1}, "credits_grant_priority_check"),
    ],
)
def test_a_lot_that_cannot_be_is_refused(alice: User, changes: dict[str, Any], constraint: str) -> None:
    execute(*flat(new_lot(alice)))

    assert insert_refused(new_lot(alice, **changes)) == (CHECK_VIOLATION, constraint)


def flat(statement: tuple[str, list[Any]]) -> list[Any]:
    return [statement[0], *statement[1]]


def test_a_lot_and_a_hold_live_for_a_while(alice: User) -> None:
    now = timezone.now()
    for delta in (timedelta(0), -timedelta(seconds=1)):
        times = {"created_at": now, "expires_at": now + delta}
        assert insert_refused(new_lot(alice, **times)) == (CHECK_VIOLATION, "lot_lives_for_a_while")
        assert insert_refused(new_hold(alice, **times)) == (CHECK_VIOLATION, "hold_lives_for_a_while")
    shortest = {"created_at": now, "expires_at": now + timedelta(microseconds=1)}
    execute(*flat(new_lot(alice, **shortest)))
    execute(*flat(new_hold(alice, **shortest)))


def test_a_plan_period_has_one_lot_an_account(alice: User, bob: User) -> None:
    month, plan = timezone.now(), alice.plan_id
    other = Plan.objects.exclude(pk=plan)[0].pk
    for user, plan_id in ((alice, plan), (bob, plan), (alice, other)):
        execute(*flat(new_lot(user, period_start=month, plan_id=plan_id)))
    for _ in range(2):
        execute(*flat(new_lot(alice)))

    refusal = insert_refused(new_lot(alice, period_start=month, plan_id=plan))
    assert refusal == (UNIQUE_VIOLATION, "lot_once_a_plan_period")


def test_a_plan_and_a_period_of_a_lot_come_together(alice: User) -> None:
    for changes in ({"period_start": timezone.now()}, {"plan_id": alice.plan_id}):
        assert insert_refused(new_lot(alice, **changes)) == (CHECK_VIOLATION, "lot_plan_with_period")


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"amount": 0}, "hold_amount_range"),
        ({"amount": 1_000_001}, "hold_amount_range"),
        ({"quantity": 1}, "hold_operation_with_quantity"),
        ({"status": "lost"}, "hold_end_fits_status"),
        ({"status": "ACTIVE"}, "hold_end_fits_status"),
        ({"status": "captured"}, "hold_end_fits_status"),
        ({"status": "released"}, "hold_end_fits_status"),
        ({"status": "expired"}, "hold_end_fits_status"),
        ({"status": "captured", "resolved_at": "2026-01-01"}, "hold_end_fits_status"),
        ({"status": "active", "resolved_at": "2026-01-01"}, "hold_end_fits_status"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(alice: User, changes: dict[str, Any], constraint: str) -> None:
    execute(*flat(new_hold(alice)))

    assert insert_refused(new_hold(alice, **changes)) == (CHECK_VIOLATION, constraint)


@pytest.mark.parametrize("status", ["active", "released", "expired"])
def test_only_a_captured_hold_has_an_entry_and_an_entry_pays_for_one_hold(alice: User, status: str) -> None:
    entry = {"entry_id": LedgerEntry.objects.get(account=alice.pk).pk}
    resolved = {"resolved_at": None if status == "active" else timezone.now()}

    refusal = insert_refused(new_hold(alice, status=status, **entry, **resolved))
    assert refusal == (CHECK_VIOLATION, "hold_end_fits_status")

    captured = {"status": "captured", "resolved_at": timezone.now(), **entry}
    execute(*flat(new_hold(alice, **captured)))
    assert insert_refused(new_hold(alice, **captured))[0] == UNIQUE_VIOLATION


def test_an_operation_and_a_quantity_of_a_hold_come_together(alice: User) -> None:
    operation_id = Operation.objects.get(slug="page").pk

    for quantity in (None, 0):
        refusal = insert_refused(new_hold(alice, operation_id=operation_id, quantity=quantity))
        assert refusal == (CHECK_VIOLATION, "hold_operation_with_quantity")


@pytest.mark.parametrize(
    ("table", "other", "amount", "constraint"),
    [
        ("credits_lotuse", "entry_id", 0, "lot_use_of_something"),
        ("credits_lotclaim", "hold_id", 0, "lot_claim_of_something"),
    ],
)
def test_a_use_and_a_claim_are_of_something(
    lots_and_holds: User, table: str, other: str, amount: int, constraint: str
) -> None:
    model = LedgerEntry if other == "entry_id" else Hold
    values = {other: model.objects.values_list("pk", flat=True)[0], "lot_id": Grant.objects.all()[0].pk}

    assert insert_refused(insert(table, {**values, "amount": amount})) == (CHECK_VIOLATION, constraint)
    execute(*flat(insert(table, {**values, "amount": 1})))


@pytest.mark.parametrize("column", ["lot_id", "entry_id", "hold_id"])
def test_a_use_and_a_claim_point_at_what_is_there(lots_and_holds: User, column: str) -> None:
    table, other, model = (
        ("credits_lotclaim", "hold_id", Hold) if column == "hold_id" else ("credits_lotuse", "entry_id", LedgerEntry)
    )
    values = {other: model.objects.values_list("pk", flat=True)[0], "lot_id": Grant.objects.all()[0].pk, "amount": 1}
    values[column] = 999_999_999 if column == "lot_id" else uuid.uuid4()

    assert insert_refused(insert(table, values))[0] == FOREIGN_KEY_VIOLATION


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("credits_grant", "account_id entry_id amount remaining held priority expires_at created_at"),
        ("credits_hold", "account_id app_id amount status description created_at expires_at"),
    ],
)
def test_null_does_not_slip_past_the_checks_of_a_lot_or_a_hold(alice: User, table: str, columns: str) -> None:
    make = new_lot if table == "credits_grant" else new_hold
    for column in columns.split():
        assert insert_refused(make(alice, **{column: None}))[0] == NOT_NULL_VIOLATION
