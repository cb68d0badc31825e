"""Granting and spending through the services: what is written, what is refused, and what it costs in statements."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, User
from credits import services
from credits.models import Account, LedgerEntry, Operation
from tests.conftest import make_user


def written(user: User) -> list[tuple[int, str, int, int]]:
    found = LedgerEntry.objects.filter(account=user.pk).order_by("seq")
    return list(found.values_list("seq", "type", "amount", "balance_after"))


def without_account(user_id: str, like: User) -> User:
    return User.objects.create(user_id=user_id, username=user_id, email=f"{user_id}@example.com", plan=like.plan)


def test_a_grant_is_one_entry_and_the_balance(alice: User, penora: App) -> None:
    entry = services.grant(user=alice, amount=7, description="Thank you", app=penora)

    entry.refresh_from_db()
    assert (entry.seq, entry.type, entry.amount, entry.balance_after) == (2, "grant", 7, 57)
    assert (entry.description, entry.app, entry.operation, entry.quantity) == ("Thank you", penora, None, None)
    assert (entry.project_code, entry.related, entry.metadata) == (None, None, {})
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.seq) == (57, 0, 2)


def test_a_grant_by_nobody_in_particular_names_no_app(alice: User) -> None:
    assert services.grant(user=alice, amount=1, description="System").app is None


def test_a_deduction_returns_its_entry_and_what_can_be_spent_now(alice: User, penora: App) -> None:
    Account.objects.filter(user=alice).update(held=10)

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
    Account.objects.filter(user=alice).update(held=45)

    with pytest.raises(services.InsufficientCredits) as refusal:
        services.deduct(user=alice, app=penora, amount=6, description="too much")

    assert (refusal.value.available, refusal.value.needed) == (5, 6)
    assert written(alice) == [(1, "grant", 50, 50)]


@pytest.mark.parametrize("amount", [0, -1, -50, 1_000_001])
def test_an_amount_that_is_none_moves_nothing(alice: User, penora: App, amount: int) -> None:
    with pytest.raises(services.InvalidAmount):
        services.deduct(user=alice, app=penora, amount=amount, description="no")
    with pytest.raises(services.InvalidAmount):
        services.grant(user=alice, amount=amount, description="no")

    assert written(alice) == [(1, "grant", 50, 50)]
    assert Account.objects.get(user=alice).balance == 50


def test_a_million_at_a_time_is_the_most(alice: User, penora: App) -> None:
    services.grant(user=alice, amount=1_000_000, description="most")
    _, spendable = services.deduct(user=alice, app=penora, amount=1_000_000, description="most")

    assert spendable == 50


def test_the_first_grant_opens_a_missing_account(alice: User) -> None:
    bob = without_account("bob", like=alice)

    services.grant(user=bob, amount=3, description="first")

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
