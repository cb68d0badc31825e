"""Granting and spending through the services: what is written, what is refused, and what it costs in statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, User
from credits import services
from credits.models import Account, Hold, LedgerEntry, Operation
from tests.clock import let_pass
from tests.conftest import make_user

GIFT = LedgerEntry.Source.PROMOTION


def written(user: User) -> list[tuple[int, str, int, int]]:
    found = LedgerEntry.objects.filter(account=user.pk).order_by("seq")
    return list(found.values_list("seq", "type", "amount", "balance_after"))


def without_account(user_id: str, like: User) -> User:
    return User.objects.create(user_id=user_id, username=user_id, email=f"{user_id}@example.com", plan=like.plan)


def test_a_grant_is_one_entry_and_the_balance(alice: User, penora: App) -> None:
    entry = services.grant(user=alice, amount=7, source=GIFT, description="Thank you", app=penora)

    entry.refresh_from_db()
    assert (entry.seq, entry.type, entry.amount, entry.balance_after) == (2, "grant", 7, 57)
    assert (entry.description, entry.app, entry.operation, entry.quantity) == ("Thank you", penora, None, None)
    assert (entry.project_code, entry.related, entry.metadata) == (None, None, {})
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.seq) == (57, 0, 2)


def test_a_grant_by_nobody_in_particular_names_no_app(alice: User) -> None:
    assert services.grant(user=alice, amount=1, source=GIFT, description="System").app is None


def test_a_deduction_returns_its_entry_and_what_can_be_spent_now(alice: User, penora: App) -> None:
    services.reserve(user=alice, app=penora, amount=10, description="held")

    entry, spendable = services.deduct(user=alice, app=penora, amount=15, description="pages", project_code="ABC123")

    assert spendable == 25
    entry.refresh_from_db()
    assert (entry.seq, entry.type, entry.amount, entry.balance_after) == (2, "deduction", -15, 35)
    assert (entry.app, entry.description, entry.project_code) == (penora, "pages", "ABC123")
    assert timezone.now() - entry.created_at < timedelta(minutes=1)


def test_a_deduction_keeps_the_line_of_the_price_list(alice: User, penora: App) -> None:
    line = Operation.objects.get(slug="page")

    entry, _ = services.deduct(user=alice, app=penora, amount=4, description="pages", operation=line, quantity=4)

    entry.refresh_from_db()
    assert (entry.operation, entry.quantity) == (line, 4)


def test_the_last_credit_can_be_spent_and_no_more(alice: User, penora: App) -> None:
    _, spendable = services.deduct(user=alice, app=penora, amount=50, description="all")

    assert spendable == 0
    with pytest.raises(services.InsufficientCredits) as refusal:
        services.deduct(user=alice, app=penora, amount=1, description="one more")
    assert (refusal.value.available, refusal.value.needed) == (0, 1)
    assert written(alice) == [(1, "grant", 50, 50), (2, "deduction", -50, 0)]


def test_held_credits_cannot_be_spent(alice: User, penora: App) -> None:
    services.reserve(user=alice, app=penora, amount=45, description="held")

    with pytest.raises(services.InsufficientCredits) as refusal:
        services.deduct(user=alice, app=penora, amount=6, description="too much")

    assert (refusal.value.available, refusal.value.needed) == (5, 6)
    assert written(alice) == [(1, "grant", 50, 50)]


@pytest.mark.parametrize("amount", [0, -1, -50, 1_000_001])
def test_an_amount_that_is_none_moves_nothing(alice: User, penora: App, amount: int) -> None:
    with pytest.raises(services.InvalidAmount):
        services.deduct(user=alice, app=penora, amount=amount, description="no")
    with pytest.raises(services.InvalidAmount):
        services.grant(user=alice, amount=amount, source=GIFT, description="no")

    assert written(alice) == [(1, "grant", 50, 50)]
    assert Account.objects.get(user=alice).balance == 50


def test_a_million_at_a_time_is_the_most(alice: User, penora: App) -> None:
    services.grant(user=alice, amount=1_000_000, source=GIFT, description="most")
    _, spendable = services.deduct(user=alice, app=penora, amount=1_000_000, description="most")

    assert spendable == 50


def test_the_first_grant_opens_a_missing_account(alice: User) -> None:
    bob = without_account("bob", like=alice)

    services.grant(user=bob, amount=3, source=GIFT, description="first")

    assert written(bob) == [(1, "grant", 3, 3)]


def test_the_first_deduction_of_a_missing_account_is_refused_for_want_of_credits(alice: User, penora: App) -> None:
    bob = without_account("bob", like=alice)

    with pytest.raises(services.InsufficientCredits) as refusal:
        services.deduct(user=bob, app=penora, amount=1, description="first")

    assert (refusal.value.available, refusal.value.needed) == (0, 1)
    assert written(bob) == []


def test_opening_an_account_twice_is_opening_it_once(alice: User) -> None:
    assert services.open_account(user=alice).balance == 50
    assert Account.objects.filter(user=alice).count() == 1


def test_a_deduction_is_three_statements_in_one_transaction(committed_db: None) -> None:
    """
    The lock, the account, the entry. Each further statement is paid for by every call of both apps, so one more (or
    one that is no longer needed) has to be a decision.
    """
    alice, penora = make_user("alice"), App.objects.get(slug="penora")

    with CaptureQueriesContext(
        connection,
    ) as captured:
        services.deduct(user=alice, app=penora, amount=1, description="page")

    statements = [re.match(r"\w+|\w+ \w+", query["sql"])[0] for query in captured]  # type: ignore[index]
    assert statements == ["BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"]
    lock, account, entry = (query["sql"] for query in captured.captured_queries[1:4])
    assert 'FROM "credits_account"' in lock
    assert lock.endswith("FOR UPDATE")
    assert account.startswith('UPDATE "credits_account" SET "balance" = 49, "seq" = 2 ')
    assert entry.startswith('INSERT INTO "credits_ledgerentry"')


def test_a_refused_deduction_writes_nothing_at_all(committed_db: None) -> None:
    alice, penora = make_user("alice"), App.objects.get(slug="penora")

    with CaptureQueriesContext(connection) as captured, pytest.raises(services.InsufficientCredits):
        services.deduct(user=alice, app=penora, amount=51, description="page")

    assert [query["sql"].split()[0] for query in captured] == ["BEGIN", "SELECT", "ROLLBACK"]


# --- what lots and holds cost in statements --------------------------------------------------------------------------


@pytest.fixture
def committed_alice(committed_db: None) -> User:
    """With an account as a running service has them: found by a query, not made in the same transaction."""
    return make_user("alice")


@pytest.fixture
def app(committed_db: None) -> App:
    return App.objects.get(slug="imagegene")


def statements(call: Callable[[], object]) -> list[str]:
    """The tables that `call` reads (SELECT, without a lock), locks (LOCK) and writes, in order, in one transaction."""
    with CaptureQueriesContext(connection) as captured:
        call()
    seen = []
    for query in (found["sql"] for found in captured):
        verb = query.split()[0]
        table = re.search(r'(?:FROM|INTO|UPDATE) "?(?:credits|accounts)_(\w+)', query)
        locks = verb == "SELECT" and " FOR UPDATE" in query
        seen.append(" ".join(filter(None, ("LOCK" if locks else verb, table and table[1]))))
    assert (seen[0], seen[-1]) == ("BEGIN", "COMMIT")
    return seen[1:-1]


def spending(user: User, app: App, amount: int = 1) -> Callable[[], object]:
    return lambda: services.deduct(user=user, app=app, amount=amount, description="s")


def give_lot(user: User, amount: int, *, hours: int = 24) -> LedgerEntry:
    until = timezone.now() + timedelta(hours=hours)
    return services.grant(user=user, amount=amount, source=GIFT, description="lot", expires_at=until)


FAST = ["LOCK account", "UPDATE account", "INSERT ledgerentry"]
NOW = "SELECT"  # the database's time, which names no table


def test_a_deduction_from_a_lot_also_reads_and_writes_the_lots_and_what_it_took(
    committed_alice: User, app: App
) -> None:
    give_lot(committed_alice, 10)

    assert statements(spending(committed_alice, app)) == [
        *("LOCK account", "SELECT grant", NOW),
        *("UPDATE account", "INSERT ledgerentry", "UPDATE grant", "INSERT lotuse"),
    ]


def test_it_costs_the_same_for_many_lots_of_which_it_touches_one_or_some(committed_alice: User, app: App) -> None:
    give_lot(committed_alice, 10)
    with_one = statements(spending(committed_alice, app))
    for hours in range(25, 55):
        give_lot(committed_alice, 10, hours=hours)

    assert statements(spending(committed_alice, app)) == with_one
    assert statements(spending(committed_alice, app, 45)) == with_one
    with CaptureQueriesContext(connection) as captured:
        spending(committed_alice, app)()
    update = next(query["sql"] for query in captured if query["sql"].startswith("UPDATE credits_grant"))
    assert re.search(r"UNNEST\(ARRAY\[\d+\]::bigint", update)  # one lot, and not those that it did not touch


def test_once_all_lots_are_spent_the_account_is_fast_again(committed_alice: User, app: App) -> None:
    for _ in range(3):
        give_lot(committed_alice, 10)
    services.deduct(user=committed_alice, app=app, amount=30, description="all of them")

    assert statements(spending(committed_alice, app)) == FAST


def test_once_all_lots_have_expired_and_that_is_entered_the_account_is_fast_again(
    committed_alice: User, app: App
) -> None:
    give_lot(committed_alice, 10)
    give_lot(committed_alice, 10)
    let_pass(timedelta(days=2))

    assert statements(spending(committed_alice, app)) == [
        *("LOCK account", "SELECT grant", NOW),
        *("UPDATE account", "INSERT ledgerentry", "UPDATE grant", "INSERT lotuse"),
    ]
    assert statements(spending(committed_alice, app)) == FAST


def test_while_a_hold_lives_it_is_looked_whether_one_is_over(committed_alice: User, app: App) -> None:
    services.reserve(user=committed_alice, app=app, amount=5, description="h", expires_in_seconds=60)

    assert statements(spending(committed_alice, app)) == [
        *("LOCK account", NOW, "LOCK hold", "UPDATE account", "INSERT ledgerentry"),
    ]
    let_pass(timedelta(hours=1))
    assert statements(spending(committed_alice, app)) == [
        *("LOCK account", NOW, "LOCK hold", "SELECT lotclaim"),
        *("UPDATE account", "INSERT ledgerentry", "UPDATE hold"),
    ]
    assert statements(spending(committed_alice, app)) == FAST


def test_what_a_hold_costs_without_and_with_lots(committed_alice: User, app: App) -> None:
    def reserving() -> object:
        return services.reserve(user=committed_alice, app=app, amount=5, description="h")

    assert statements(reserving) == ["LOCK account", NOW, "UPDATE account", "INSERT hold"]
    give_lot(committed_alice, 10)
    assert statements(reserving) == [
        *("LOCK account", "SELECT grant", NOW, "LOCK hold"),
        *("UPDATE account", "UPDATE grant", "INSERT hold", "INSERT lotclaim"),
    ]


def test_what_the_end_of_a_hold_costs(committed_alice: User, app: App) -> None:
    def held() -> Hold:
        hold, _ = services.reserve(user=committed_alice, app=app, amount=5, description="h")
        return services.find_hold(hold_id=str(hold.pk))

    locks = ["LOCK account", NOW, "LOCK hold", "LOCK hold", "SELECT lotclaim"]
    captured, released = held(), held()
    assert statements(lambda: services.capture(hold=captured)) == [
        *locks,
        *("UPDATE account", "INSERT ledgerentry", "UPDATE hold"),
    ]
    assert statements(lambda: services.release(hold=released)) == [*locks, "UPDATE account", "UPDATE hold"]
    again = statements(lambda: services.capture(hold=captured))
    assert again == ["LOCK account", "LOCK hold", "SELECT lotclaim", "SELECT ledgerentry"]

    give_lot(committed_alice, 10)
    with_lot = held()
    assert statements(lambda: services.capture(hold=with_lot)) == [
        *("LOCK account", "SELECT grant", NOW, "LOCK hold", "LOCK hold", "SELECT lotclaim"),
        *("UPDATE account", "INSERT ledgerentry", "UPDATE grant", "INSERT lotuse", "UPDATE hold"),
    ]


def test_what_a_refund_costs(committed_alice: User, app: App) -> None:
    def charged() -> LedgerEntry:
        entry, _ = services.deduct(user=committed_alice, app=app, amount=5, description="s")
        return services.find_transaction(transaction_id=str(entry.pk))

    def refunding(entry: LedgerEntry) -> Callable[[], object]:
        return lambda: services.refund(entry=entry, reason="r")

    assert statements(refunding(charged())) == [
        *("LOCK account", "SELECT ledgerentry", "SELECT lotuse", "UPDATE account", "INSERT ledgerentry"),
    ]
    give_lot(committed_alice, 10)
    assert statements(refunding(charged())) == [
        *("LOCK account", "SELECT grant", NOW, "SELECT ledgerentry", "SELECT lotuse", "SELECT lotuse", "SELECT grant"),
        *("UPDATE account", "INSERT ledgerentry", "UPDATE grant", "INSERT lotuse"),
    ]


def test_every_change_of_credits_locks_the_account_before_anything_else(committed_alice: User, app: App) -> None:
    """A decision that was taken on what was read before the lock would be about what no longer is."""
    give_lot(committed_alice, 10)
    entry, _ = services.deduct(user=committed_alice, app=app, amount=3, description="s")
    hold, _ = services.reserve(user=committed_alice, app=app, amount=3, description="h")
    entry = services.find_transaction(transaction_id=str(entry.pk))
    hold = services.find_hold(hold_id=str(hold.pk))

    for call in (
        lambda: services.grant(user=committed_alice, amount=1, source=GIFT, description="g"),
        lambda: services.reserve(user=committed_alice, app=app, amount=1, description="h"),
        lambda: services.require(user=committed_alice, amount=1),
        lambda: services.require_active(hold=hold),
        lambda: services.capture(hold=hold, amount=1),
        lambda: services.refund(entry=entry, reason="r", amount=1),
        lambda: services.grant_plan_credits(user=committed_alice),
        lambda: services.settle(user=committed_alice),
        spending(committed_alice, app),
    ):
        assert statements(call)[0] == "LOCK account"
