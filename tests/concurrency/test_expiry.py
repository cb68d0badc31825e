"""Credits whose time runs out under somebody's hands: spent or expired, never both, and entered as expired once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, User
from credits import services
from credits.models import Account, Grant, LedgerEntry
from tests.client import ApiClient
from tests.clock import let_pass
from tests.concurrency.books import assert_everything_is_proved, rows
from tests.concurrency.crowd import background, held, together, waiting_for_a_lock
from tests.conftest import make_user

THE_ACCOUNT = "SELECT 1 FROM credits_account WHERE user_id = %s FOR UPDATE"


@pytest.fixture(autouse=True)
def warm(as_penora: ApiClient) -> None:
    """A client's first call loads the middleware: that would take longer than the work, and string a crowd out."""
    as_penora.get("pricing")


def give_a_lot(user: User, amount: int, *, seconds: float) -> Grant:
    entry = services.grant(
        user=user,
        amount=amount,
        source=LedgerEntry.Source.PROMOTION,
        description="expiring",
        expires_at=timezone.now() + timedelta(seconds=seconds),
    )
    return Grant.objects.get(entry=entry)


def deduct(api: ApiClient, amount: int) -> Any:
    return api.post("deduct-credits", user_id="alice", amount=amount, app_name="penora", description="pages")


def expiries() -> list[tuple[Any, int]]:
    return list(LedgerEntry.objects.filter(type="expiry").values_list("related_id", "amount"))


def wait_until_over(lot: Grant, *, less_seconds: float = -0.01) -> None:
    """Lots are judged by the database's clock, so it is the one to wait for."""
    rows("SELECT pg_sleep(extract(epoch FROM %s - clock_timestamp()) - %s)", lot.expires_at, less_seconds)


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("permanent", [0, 50])
def test_a_deduction_that_waits_while_a_lot_runs_out_has_none_of_it(as_penora: ApiClient, permanent: int) -> None:
    """
    Refused where there is nothing else, else paid from what never expires: what counts is the time once the account is
    locked.

    Seen to fail: with the clock asked before the account was locked, or with NOW(), it was paid from the expired lot;
    without the lock too.
    """
    alice = make_user("alice", initial_credits=permanent)
    in_time = False
    while not in_time:  # once, unless the machine takes more than a second for what lies between
        services.settle(user=alice)
        lot = give_a_lot(alice, 10, seconds=1)
        with background() as start, held(THE_ACCOUNT, alice.pk) as release:
            call = start(lambda: deduct(as_penora, 8))
            (backend,) = waiting_for_a_lock(1)
            ((in_time,),) = rows(
                "SELECT query_start < %s FROM pg_stat_activity WHERE pid = %s", lot.expires_at, backend
            )
            wait_until_over(lot)
            release()
    answer = call.result()

    services.settle(user=alice)
    if permanent:
        assert (answer.status_code, answer.json()["new_balance"]) == (200, 42)
    else:
        assert (answer.status_code, answer.json().get("credits")) == (402, 0)
    assert list(lot.uses.values_list("entry__type", "amount")) == [("expiry", -10)]
    assert (lot.entry_id, -10) in expiries()
    assert Account.objects.get(user=alice).balance == (42 if permanent else 0)
    assert_everything_is_proved()


def test_a_deduction_that_came_in_time_has_the_lot_though_time_runs_out_while_it_writes(
    alice: User, as_penora: ApiClient
) -> None:
    """
    Seen to fail: with the lots read before the account was locked, or without the lock, the whole lot was entered as
    expired beside the deduction, and only account_balance_covers_lots or entry_account_seq_unique stopped it.
    """
    lot = give_a_lot(alice, 10, seconds=5)  # a hundred times as long as the deduction needs to come to its lock
    with background() as start, held("LOCK TABLE credits_ledgerentry IN SHARE MODE") as release:
        call = start(lambda: deduct(as_penora, 8))
        (backend,) = waiting_for_a_lock(1)
        assert "INSERT" in rows("SELECT query FROM pg_stat_activity WHERE pid = %s", backend)[0][0]
        wait_until_over(lot)
        settling = start(lambda: services.settle(user=alice))
        waiting_for_a_lock(2)
        release()

    assert (call.result().status_code, settling.result()) == (200, True)
    assert list(lot.uses.values_list("entry__type", "amount")) == [("deduction", -8), ("expiry", -2)]
    assert expiries() == [(lot.entry_id, -2)]
    assert Account.objects.get(user=alice).balance == 50
    assert_everything_is_proved()


def test_sixteen_who_touch_an_account_with_an_expired_lot_enter_it_once(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    """
    Seen to fail: without the account's lock 7 of the 16 calls crashed on entry_account_seq_unique; with that gone as
    well, there were 20 expiries of the two lots.
    """
    lots = [give_a_lot(alice, amount, seconds=60) for amount in (10, 3)]
    let_pass(timedelta(minutes=2))

    def touch(index: int) -> Any:
        if index % 4 == 0:
            return services.settle(user=alice)
        if index % 4 == 1:
            return services.reserve(user=alice, app=penora, amount=1, description="picture")[1]
        return deduct(as_penora, 1).status_code

    outcomes = together(16, touch)

    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert Counter(outcomes[2::4] + outcomes[3::4]) == {200: 8}
    assert sorted(expiries()) == sorted((lot.entry_id, -lot.amount) for lot in lots)
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.in_lots) == (42, 4, 0)
    assert_everything_is_proved()


def test_what_a_hold_frees_of_an_expired_lot_expires_once_whoever_frees_it(alice: User, as_penora: ApiClient) -> None:
    """
    The hold's own part of the lot outlives the lot. Then half of a crowd releases it, and half spends.

    Seen to fail: without the account's lock, or with the lots read before it, most calls were 500; with
    entry_account_seq_unique gone as well, the same 4 credits expired many times.
    """
    lot = give_a_lot(alice, 10, seconds=60)
    held_ = as_penora.post("reserve-credits", user_id="alice", app_name="penora", amount=6, expires_in=600)
    let_pass(timedelta(minutes=2))

    def move(index: int) -> Any:
        if index % 2:
            return as_penora.post("release-credits", hold_id=held_.json()["hold_id"]).json()["credits_released"]
        return deduct(as_penora, 1).status_code

    outcomes = together(16, move)

    assert Counter(outcomes) == {6: 8, 200: 8}
    # What was free expired with the lot, and the rest with the hold: together what there was.
    assert {entry for entry, _ in expiries()} == {lot.entry_id}
    assert sorted(amount for _, amount in expiries()) in ([-10], [-6, -4])
    assert Account.objects.get(user=alice).balance == 42
    assert_everything_is_proved()


@pytest.mark.usefixtures("committed_db")
def test_a_crowd_at_the_moment_at_which_lots_run_out_spends_or_loses_each_credit_once(as_penora: ApiClient) -> None:
    """
    Seen to fail: with the lots read before the account was locked, more expired than the account had; without the lock
    and entry_account_seq_unique, one credit of 20 was both spent and expired.
    """
    alice = make_user("alice", initial_credits=0)
    lot = give_a_lot(alice, 20, seconds=1)

    def deduct_at_the_last_moment(index: int) -> Any:
        wait_until_over(lot, less_seconds=0.008 * index)
        return deduct(as_penora, 1)

    answers = together(16, deduct_at_the_last_moment)

    services.settle(user=alice)
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 402}
    assert expiries() == [(lot.entry_id, statuses[200] - 20)]
    assert Account.objects.get(user=alice).balance == 0
    assert_everything_is_proved()
