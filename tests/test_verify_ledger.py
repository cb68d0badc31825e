"""
manage.py verify_ledger: silent on true books, and not on any damage. Damage is planted by SQL, past the constraints
and triggers that would refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import pricing
from credits import services as credits
from credits.models import LedgerEntry
from tests.clock import let_pass
from tests.conftest import make_user
from unified import seed, services
from unified.management.commands.verify_ledger import INVARIANTS

SIZES = "each project's size is the length of its content, or more where that is compressed"
MARKS = "the marks that the used room has reached are noted, and none else"
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
        {
            "no account holds or keeps in lots more than it has",
            "each account's held credits are those of its active holds",
            "what is held outside of lots is there",
        },
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
        " WHERE project_id = (SELECT MIN(project_id) FROM workspace_projectcontent WHERE encoding = '')",
        {SIZES},
    ),
    "a compressed text that is longer than the text": (
        "UPDATE workspace_projectcontent SET body = body || DECODE(REPEAT('00', 100000), 'hex') WHERE encoding = 'br'",
        {SIZES},
    ),
    "a text that is said to be compressed otherwise": (
        "UPDATE workspace_projectcontent SET encoding = 'gz' WHERE encoding = 'br'",
        {SIZES},
    ),
    "a picture that is said to be compressed": (
        "UPDATE workspace_projectcontent SET encoding = 'br'"
        " WHERE project_id = (SELECT MIN(id) FROM workspace_project WHERE content_type LIKE 'image/%')",
        {SIZES},
    ),
    "bytes in the trash that nobody threw away": (
        "UPDATE workspace_storage SET trash_bytes = trash_bytes + 1",
        {"each person's trash is counted as what is in it"},
    ),
    "projects in the trash that nobody threw away": (
        "UPDATE workspace_storage SET trash_count = trash_count + 1",
        {"each person's trash is counted as what is in it"},
    ),
    "a project that went into the trash without being counted out": (
        "UPDATE workspace_project SET deleted_at = NOW() WHERE id = (SELECT MIN(id) FROM workspace_project)",
        {
            "each person's used bytes are the sum of their projects",
            "each person's project count is the number of their projects",
            "each app's part is the sum of the projects made with it",
            "each person's trash is counted as what is in it",
        },
    ),
    "a mark that was noted without being reached": (
        "UPDATE workspace_storage SET warned_percent = 80",
        {MARKS},
    ),
    "content that is gone": (
        "DELETE FROM workspace_projectcontent WHERE project_id = (SELECT MIN(id) FROM workspace_project)",
        {SIZES},
    ),
    "a storage row that is gone": (
        "DELETE FROM workspace_storage",
        {"whoever has projects has a storage row"},
    ),
    "more used than the limit": (
        "ALTER TABLE workspace_storage DROP CONSTRAINT storage_within_limit;"
        "UPDATE workspace_storage SET limit_bytes = 1",
        {"nobody uses more than their limit", MARKS},
    ),
}


def _entry(description: str) -> str:
    return f"(SELECT id FROM credits_ledgerentry WHERE description = '{description}')"


def _lot(description: str) -> str:
    return f"(SELECT id FROM credits_grant WHERE entry_id = {_entry(description)})"


def _hold(description: str) -> str:
    return f"(SELECT id FROM credits_hold WHERE description = '{description}')"


def _lot_changes(description: str, credits: int) -> str:
    """What is left of a lot, and so of all lots: changed together, as a clever thief would."""
    return (
        f"UPDATE credits_grant SET remaining = remaining + {credits} WHERE id = {_lot(description)};"
        f"UPDATE credits_account SET in_lots = in_lots + {credits}"
        f" WHERE user_id = (SELECT account_id FROM credits_grant WHERE id = {_lot(description)})"
    )


ALICE = "(SELECT id FROM accounts_user WHERE user_id = 'alice')"

# To books with lots, holds and refunds in them: see `rich_books` for the names.
DAMAGES_TO_LOTS = {
    "a counter of lots that drifted": (
        f"UPDATE credits_account SET in_lots = in_lots + 1 WHERE user_id = {ALICE}",
        {"each account's credits in lots are what its lots have left"},
    ),
    "a counter of holds that drifted": (
        f"UPDATE credits_account SET held = held + 1 WHERE user_id = {ALICE}",
        {"each account's held credits are those of its active holds"},
    ),
    "more in lots than there is": (
        "ALTER TABLE credits_account DROP CONSTRAINT account_balance_covers_lots;"
        f"UPDATE credits_account SET in_lots = balance + 1 WHERE user_id = {ALICE}",
        {
            "no account holds or keeps in lots more than it has",
            "each account's credits in lots are what its lots have left",
            "what is held outside of lots is there",
        },
    ),
    "a lot that lost credits": (
        f"UPDATE credits_grant SET remaining = remaining - 1 WHERE id = {_lot('lot C')}",
        {
            "each account's credits in lots are what its lots have left",
            "what each lot has left is its amount and all that was done to it",
        },
    ),
    "a lot that lost credits, with its account": (
        _lot_changes("lot C", -1),
        {"what each lot has left is its amount and all that was done to it"},
    ),
    "a lot that has more held than was claimed": (
        f"UPDATE credits_grant SET held = held + 1 WHERE id = {_lot('lot C')}",
        {
            "each lot's held credits are what active holds have claimed of it",
            "what is held outside of lots is there",
        },
    ),
    "a lot without its entry": (
        f"UPDATE credits_grant SET entry_id = gen_random_uuid() WHERE id = {_lot('lot C')}",
        {
            "each lot has the entry that brought it in, of its account",
            "credits that came in to expire are in a lot, and no others",
        },
    ),
    "a lot of more than was given": (
        f"{_lot_changes('lot C', 1)}; UPDATE credits_grant SET amount = amount + 1 WHERE id = {_lot('lot C')}",
        {
            "each lot has the entry that brought it in, of its account",
            "what an entry did to lots is part of what it did",
            "credits that came in to expire are in a lot, and no others",
        },
    ),
    "a lot of less than was given": (
        f"{_lot_changes('lot C', -1)}; UPDATE credits_grant SET amount = amount - 1 WHERE id = {_lot('lot C')}",
        {
            "each lot has the entry that brought it in, of its account",
            "credits that came in to expire are in a lot, and no others",
        },
    ),
    "a lot that came with a deduction": (
        f"UPDATE credits_grant SET entry_id = {_entry('charge 0')} WHERE id = {_lot('lot C')}",
        {
            "each lot has the entry that brought it in, of its account",
            "credits that came in to expire are in a lot, and no others",
        },
    ),
    "a use of a lot that is gone": (
        f"UPDATE credits_lotuse SET lot_id = 0 WHERE entry_id = {_entry('charge C')};{_lot_changes('lot C', 5)}",
        {"each use of a lot has its lot and its entry, of one account"},
    ),
    "a use by an entry that is gone": (
        f"UPDATE credits_lotuse SET entry_id = gen_random_uuid() WHERE entry_id = {_entry('charge C')}",
        {"each use of a lot has its lot and its entry, of one account"},
    ),
    "a use of a stranger's lot": (
        f"UPDATE credits_lotuse SET lot_id = {_lot('lot of bob')} WHERE entry_id = {_entry('charge C')};"
        f"{_lot_changes('lot C', 5)};{_lot_changes('lot of bob', -5)}",
        {"each use of a lot has its lot and its entry, of one account"},
    ),
    "an entry that took more from lots than it took": (
        "INSERT INTO credits_lotuse (entry_id, lot_id, amount)"
        f" SELECT {_entry('charge 00')}, {_lot('lot C')}, -3;{_lot_changes('lot C', -3)}",
        {"what an entry did to lots is part of what it did"},
    ),
    "a deduction that gave to a lot": (
        "INSERT INTO credits_lotuse (entry_id, lot_id, amount)"
        f" SELECT {_entry('charge 00')}, {_lot('lot C')}, 2;{_lot_changes('lot C', 2)}",
        {"what an entry did to lots is part of what it did"},
    ),
    "an expiry of credits that never expire": (
        f"DELETE FROM credits_lotuse WHERE entry_id = {_entry('Expired: Promotion credits')};"
        f"{_lot_changes('lot A', 1)}",
        {"what an entry did to lots is part of what it did"},
    ),
    "an expiry before its time": (
        f"UPDATE credits_grant SET expires_at = expires_at + interval '1 year' WHERE id = {_lot('lot A')}",
        {"nothing expired before its time"},
    ),
    "a spend from a lot after its time": (
        f"UPDATE credits_ledgerentry SET created_at = created_at + interval '1 year' WHERE id = {_entry('charge C')}",
        {"nothing was spent from a lot after its time, but by a hold that had claimed it"},
    ),
    "a refund to a lot after its time": (
        f"UPDATE credits_ledgerentry SET created_at = created_at + interval '1 year' WHERE id = {_entry('refund GB')}",
        {"nothing was spent from a lot after its time, but by a hold that had claimed it"},
    ),
    "a capture after the lot's time of more than was claimed": (
        f"UPDATE credits_lotclaim SET amount = 1 WHERE hold_id = {_hold('hold A')}",
        {
            "nothing was spent from a lot after its time, but by a hold that had claimed it",
            "a capture was paid from the lots that its hold had claimed",
        },
    ),
    "a capture by a hold that came after the lot's time": (
        "UPDATE credits_hold SET created_at = resolved_at, expires_at = resolved_at + interval '1 hour'"
        f" WHERE id = {_hold('hold A')}",
        {"nothing was spent from a lot after its time, but by a hold that had claimed it"},
    ),
    "a claim whose hold is gone": (
        f"DELETE FROM credits_hold WHERE id = {_hold('hold released')}",
        {"each claim has its lot and its hold, of one account, and claims no more than is held"},
    ),
    "an active hold that is gone": (
        f"DELETE FROM credits_hold WHERE id = {_hold('hold B')}",
        {
            "each account's held credits are those of its active holds",
            "each lot's held credits are what active holds have claimed of it",
            "each claim has its lot and its hold, of one account, and claims no more than is held",
            "room is reserved for holds that live, or that nobody has tidied up after",
        },
    ),
    "an active hold that ended by itself": (
        f"UPDATE credits_hold SET status = 'released', resolved_at = now() WHERE id = {_hold('hold B')}",
        {
            "each account's held credits are those of its active holds",
            "each lot's held credits are what active holds have claimed of it",
            "room is reserved for holds that live, or that nobody has tidied up after",
        },
    ),
    "a claim to a lot that is gone": (
        f"UPDATE credits_lotclaim SET lot_id = 0 WHERE hold_id = {_hold('hold released')}",
        {"each claim has its lot and its hold, of one account, and claims no more than is held"},
    ),
    "a claim to a stranger's lot": (
        f"UPDATE credits_lotclaim SET lot_id = {_lot('lot of bob')} WHERE hold_id = {_hold('hold released')}",
        {"each claim has its lot and its hold, of one account, and claims no more than is held"},
    ),
    "a claim to more than is held": (
        f"UPDATE credits_lotclaim SET amount = 8 WHERE hold_id = {_hold('hold released')}",
        {"each claim has its lot and its hold, of one account, and claims no more than is held"},
    ),
    "a claim that is gone": (
        f"DELETE FROM credits_lotclaim WHERE hold_id = {_hold('hold B')}",
        {"each lot's held credits are what active holds have claimed of it"},
    ),
    "a captured hold without its entry": (
        "ALTER TABLE credits_hold DROP CONSTRAINT hold_end_fits_status;"
        f"UPDATE credits_hold SET entry_id = NULL WHERE id = {_hold('hold paid')}",
        {"each captured hold has one deduction, of its account and app, of no more than it held"},
    ),
    "a captured hold whose entry is gone": (
        f"UPDATE credits_hold SET entry_id = gen_random_uuid() WHERE id = {_hold('hold paid')}",
        {"each captured hold has one deduction, of its account and app, of no more than it held"},
    ),
    "a released hold that was paid": (
        "ALTER TABLE credits_hold DROP CONSTRAINT hold_end_fits_status;"
        f"UPDATE credits_hold SET status = 'released' WHERE id = {_hold('hold paid')}",
        {"each captured hold has one deduction, of its account and app, of no more than it held"},
    ),
    "a hold captured for more than it held": (
        f"UPDATE credits_hold SET amount = 1 WHERE id = {_hold('hold paid')}",
        {"each captured hold has one deduction, of its account and app, of no more than it held"},
    ),
    "a hold that another app captured": (
        "UPDATE credits_hold SET app_id = (SELECT id FROM accounts_app WHERE slug = 'penora')"
        f" WHERE id = {_hold('hold paid')}",
        {"each captured hold has one deduction, of its account and app, of no more than it held"},
    ),
    "a hold that a stranger paid": (
        f"UPDATE credits_hold SET entry_id = {_entry('charge of bob')} WHERE id = {_hold('hold paid')}",
        {
            "each captured hold has one deduction, of its account and app, of no more than it held",
            "a capture was paid from the lots that its hold had claimed",
        },
    ),
    "a hold that a grant paid": (
        f"UPDATE credits_hold SET entry_id = {_entry('refund 0')} WHERE id = {_hold('hold paid')}",
        {
            "each captured hold has one deduction, of its account and app, of no more than it held",
            "a capture was paid from the lots that its hold had claimed",
        },
    ),
    "a hold in a state that there is not": (
        "ALTER TABLE credits_hold DROP CONSTRAINT hold_end_fits_status;"
        f"UPDATE credits_hold SET status = 'lost' WHERE id = {_hold('hold released')}",
        {"each captured hold has one deduction, of its account and app, of no more than it held"},
    ),
    "more refunded than was charged": (
        f"UPDATE credits_ledgerentry SET related_id = {_entry('charge 00')} WHERE id = {_entry('refund 0')}",
        {"all refunds of a deduction together do not exceed it"},
    ),
    "a refund of what was no deduction": (
        f"UPDATE credits_ledgerentry SET related_id = {_entry('lot B')} WHERE id = {_entry('refund 0')}",
        {"all refunds of a deduction together do not exceed it"},
    ),
    "a refund of what staff have taken": (
        f"UPDATE credits_ledgerentry SET related_id = {_entry('adjusted down')} WHERE id = {_entry('refund 0')}",
        {"all refunds of a deduction together do not exceed it"},
    ),
    "a refund of nothing": (
        f"UPDATE credits_ledgerentry SET related_id = NULL WHERE id = {_entry('refund 0')}",
        {"each refund says what it refunds"},
    ),
    "a refund whose deduction is gone": (
        f"UPDATE credits_ledgerentry SET related_id = gen_random_uuid() WHERE id = {_entry('refund 0')}",
        {"each refund says what it refunds"},
    ),
    "a refund to a lot that nothing was taken from": (
        f"UPDATE credits_lotuse SET lot_id = {_lot('lot C')} WHERE entry_id = {_entry('refund GB')}"
        f" AND lot_id = {_lot('lot B')};{_lot_changes('lot B', -4)};{_lot_changes('lot C', 4)}",
        {"refunds return no more to a lot than was taken from it"},
    ),
    "a grace for a lot that nothing was taken from": (
        f"UPDATE credits_grant SET origin_id = {_lot('lot C')} WHERE id = {_lot('refund A')}",
        {"refunds return no more to a lot than was taken from it"},
    ),
    "a refund that made credits of a lot permanent": (
        f"DELETE FROM credits_lotuse WHERE entry_id = {_entry('refund GB')} AND lot_id = {_lot('lot B')};"
        f"{_lot_changes('lot B', -4)}",
        {"what was taken from lots does not come back as credits that never expire"},
    ),
    "a plan's credits twice in a period": (
        "DROP INDEX lot_once_a_plan_period;"
        "UPDATE credits_grant SET (period_start, plan_id) ="
        " (SELECT period_start, plan_id FROM credits_grant WHERE period_start IS NOT NULL)"
        f" WHERE id = {_lot('lot C')}",
        {"a plan's credits came once a period"},
    ),
    "a capture in part that counts another unit": (
        f"UPDATE credits_ledgerentry SET quantity = 3 WHERE id = {_entry('hold priced')}",
        {"each priced deduction cost what its price list line says"},
    ),
    "a capture in part that counts a unit less": (
        f"UPDATE credits_ledgerentry SET quantity = 1 WHERE id = {_entry('hold priced')}",
        {"each priced deduction cost what its price list line says"},
    ),
    "an entry of a type that there is not": (
        "ALTER TABLE credits_ledgerentry DROP CONSTRAINT entry_sign_fits_type;"
        f"UPDATE credits_ledgerentry SET type = 'gift' WHERE id = {_entry('lot of nobody')}",
        {"each entry's sign fits its type"},
    ),
    "a capture from a lot that was not claimed": (
        "INSERT INTO credits_lotuse (entry_id, lot_id, amount)"
        f" SELECT {_entry('hold paid')}, {_lot('lot C')}, -2;{_lot_changes('lot C', -2)}",
        {"a capture was paid from the lots that its hold had claimed"},
    ),
    "a lot of credits that were to last for ever": (
        f"UPDATE credits_ledgerentry SET metadata = '{{}}' WHERE id = {_entry('lot C')}",
        {"credits that came in to expire are in a lot, and no others"},
    ),
    "credits that were to expire without a lot": (
        """UPDATE credits_ledgerentry SET metadata = '{"expires_at": "2026-01-01"}'"""
        f" WHERE id = {_entry('lot of nobody')}",
        {"credits that came in to expire are in a lot, and no others"},
    ),
    "an account that is gone": (
        "DELETE FROM credits_account WHERE user_id = (SELECT id FROM accounts_user WHERE user_id = 'bob')",
        {"whoever has entries, lots or holds has an account"},
    ),
    "a storage row that is gone, and leaves reservations": (
        f"DELETE FROM workspace_storage WHERE user_id = {ALICE}",
        {"whoever has reservations has a storage row"},
    ),
    "room that outlives its hold": (
        "UPDATE workspace_reservation SET expires_at = expires_at + interval '1 hour'",
        {"room is reserved for holds that live, or that nobody has tidied up after"},
    ),
    "room for no hold": (
        "UPDATE workspace_reservation SET id = gen_random_uuid()",
        {"room is reserved for holds that live, or that nobody has tidied up after"},
    ),
    "room for a stranger's hold": (
        "UPDATE workspace_reservation SET storage_id = (SELECT id FROM accounts_user WHERE user_id = 'bob');"
        "UPDATE workspace_storage SET reserved_bytes = 100 - reserved_bytes",
        {"room is reserved for holds that live, or that nobody has tidied up after"},
    ),
    "reserved bytes that drifted": (
        "UPDATE workspace_storage SET reserved_bytes = reserved_bytes + 1",
        {"each person's reserved bytes are the sum of their reservations"},
    ),
    "a reservation that is gone": (
        "DELETE FROM workspace_reservation",
        {"each person's reserved bytes are the sum of their reservations"},
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


@pytest.fixture
def rich_books(committed_db: None) -> User:
    """Alice's, in which all that can happen to lots and holds has happened, each under a name; and some of bob's."""
    alice, bob, app = make_user("alice"), make_user("bob"), App.objects.get(slug="imagegene")

    def lot(user: User, amount: int, name: str, *, hours: int) -> None:
        until = timezone.now() + timedelta(hours=hours)
        promotion = LedgerEntry.Source.PROMOTION
        credits.grant(user=user, amount=amount, source=promotion, description=name, expires_at=until)

    def charge(user: User, amount: int, name: str) -> LedgerEntry:
        return credits.deduct(user=user, app=app, amount=amount, description=name)[0]

    def hold(amount: int, name: str, **terms: Any) -> credits.holds.Hold:
        wanted = {"expires_in_seconds": 7_200, **terms}
        return services.reserve(user=alice, app=app, amount=amount, description=name, **wanted)[0]

    lot(bob, 30, "lot of bob", hours=500)
    charge(bob, 2, "charge of bob")
    credits.grant(user=alice, amount=1, source=LedgerEntry.Source.PURCHASE, description="lot of nobody")
    charge(alice, 1, "charge 00")
    boss = User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)
    credits.adjust(user=alice, amount=-5, reason="adjusted down", actor=boss, idempotency_key="k")
    credits.refund(entry=charge(alice, 2, "charge 0"), reason="refund 0")
    line, price = pricing.price(operation="basic_art", quantity=4)
    credits.capture(hold=hold(price, "hold priced", operation=line, quantity=4), amount=3)
    credits.capture(hold=hold(2, "hold paid"))
    lot(alice, 10, "lot A", hours=1)
    charge_a = charge(alice, 6, "charge A")
    hold_a = hold(3, "hold A")
    hold(1, "hold that was forgotten", expires_in_seconds=60)
    let_pass(timedelta(minutes=70))  # lot A expires, but for what is held of it
    credits.settle(user=alice)
    lot(alice, 20, "lot B", hours=200)
    credits.capture(hold=hold_a)
    credits.refund(entry=charge_a, reason="refund A", amount=4)  # into a grace of four
    credits.refund(entry=charge(alice, 8, "charge GB"), reason="refund GB", amount=5)
    credits.release(hold=hold(5, "hold released"))
    hold(8, "hold B", storage_bytes=100)
    lot(alice, 30, "lot C", hours=150)
    charge(alice, 5, "charge C")
    services.change_plan(user=alice, plan=Plan.objects.get(slug="plus"))
    return alice


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
    assert result["sizes"] == {"accounts": 1, "entries": 6, "lots": 0, "holds": 0, "projects": 8}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(books: None, damage: str) -> None:
    sql, broken = DAMAGES[damage]

    with planted(sql):
        assert violated(verified()) == broken


def test_true_books_with_lots_holds_and_refunds_are_proved(rich_books: User) -> None:
    """Before and after all that can be over is over; and nothing is missing in them that a damage below needs."""
    result = verified()
    assert (violated(result), result["sizes"]["accounts"], result["sizes"]["holds"]) == (set(), 2, 6)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT status FROM credits_hold")
        assert {status for (status,) in cursor.fetchall()} == {"active", "captured", "released", "expired"}
        cursor.execute("SELECT DISTINCT type FROM credits_ledgerentry")
        assert {type for (type,) in cursor.fetchall()} == set(LedgerEntry.Type.values)

    let_pass(timedelta(days=300))
    assert violated(verified()) == set()
    call_command("sweep", stdout=StringIO())
    assert violated(verified()) == set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT held, reserved_bytes FROM credits_account JOIN workspace_storage USING (user_id)")
        assert set(cursor.fetchall()) == {(0, 0)}


@pytest.mark.parametrize("damage", DAMAGES_TO_LOTS)
def test_damage_to_lots_holds_and_refunds_is_found_and_named(rich_books: User, damage: str) -> None:
    sql, broken = DAMAGES_TO_LOTS[damage]

    with planted(sql):
        assert violated(verified()) == broken


def test_every_invariant_is_broken_by_some_damage_and_every_damage_by_some_invariant() -> None:
    """An invariant that nothing breaks in these tests might be one that nothing can break."""
    damages = {**DAMAGES, **DAMAGES_TO_LOTS}

    assert set().union(*(broken for _, broken in damages.values())) == {
        name for invariants in INVARIANTS.values() for name in invariants
    }
    assert all(broken for _, broken in damages.values())
    assert len(damages) == len(DAMAGES) + len(DAMAGES_TO_LOTS)


def test_the_plain_report_names_what_is_wrong(books: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credits_account SET balance = balance + 7")
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("verify_ledger", stdout=out)

    assert "BROKEN  credits: each account's balance is the sum of its entries" in out.getvalue()
    assert "expected 43, found 50" in out.getvalue()
    assert "NOT ALL INVARIANTS HOLD" in out.getvalue()


@contextmanager
def planted(sql: str) -> Iterator[None]:
    """
    The damage, past triggers and foreign keys, and it must hit something. The constraints that it drops are put back
    in the end, so the next test finds the schema whole.
    """
    with connection.cursor() as cursor:
        before = _constraints(cursor)
        cursor.execute("SET session_replication_role = replica")
        for statement in sql.split(";"):
            cursor.execute(statement)
            assert cursor.rowcount != 0, f"nothing was hit by {statement}"
        cursor.execute("SET session_replication_role = origin")
        try:
            yield
        finally:
            for name in before.keys() - _constraints(cursor).keys():
                if before[name].startswith("CREATE UNIQUE INDEX"):
                    cursor.execute("SET session_replication_role = replica; DELETE FROM credits_grant")
                    cursor.execute("SET session_replication_role = origin")
                cursor.execute(before[name])


def violated(result: dict[str, Any]) -> set[str]:
    found = [invariant for invariant in result["invariants"] if invariant["violations"]]
    assert all(invariant["examples"] for invariant in found)
    assert result["ok"] == (not found)
    return {invariant["name"] for invariant in found}


def _constraints(cursor: Any) -> dict[str, str]:
    """The constraints and unique indexes that a damage may drop, by name, as the SQL that puts each back."""
    cursor.execute(
        "SELECT conname, format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID', conrelid::regclass, conname,"
        " pg_get_constraintdef(oid)) FROM pg_constraint WHERE contype = 'c' AND conrelid::regclass::text IN"
        " ('credits_ledgerentry', 'credits_account', 'credits_hold', 'workspace_storage')"
        " UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE indexname = 'lot_once_a_plan_period'"
    )
    return dict(cursor.fetchall())
