"""Credits that expire: which are spent first, what each spend took, and that they are gone the instant they expire."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import App, User
from credits import services
from credits.models import Account, Grant, LedgerEntry, LotUse
from credits.queries import Expiring, position_of
from tests.conftest import make_user
from tests.credits.books import (
    DAY,
    GIFT,
    HOUR,
    SECOND,
    START,
    TICK,
    Clock,
    left_in,
    lot,
    rows_of,
    uses_of,
    written,
)

pytestmark = pytest.mark.usefixtures("clock", "proved")


def spend(user: User, amount: int) -> LedgerEntry:
    return services.deduct(user=user, app=App.objects.get(slug="penora"), amount=amount, description="spent")[0]


# --- giving ----------------------------------------------------------------------------------------------------------


def test_credits_with_an_expiry_are_a_lot(clock: Clock, alice: User, penora: App) -> None:
    until = START + 30 * DAY

    entry = services.grant(
        user=alice, amount=20, source=GIFT, description="Spring", app=penora, expires_at=until, priority=7
    )

    entry.refresh_from_db()
    assert (entry.type, entry.amount, entry.balance_after, entry.source) == ("grant", 20, 70, "promotion")
    assert (entry.app, entry.description, entry.created_at) == (penora, "Spring", START)
    assert entry.metadata == {"expires_at": "2100-03-31T12:00:00.000000Z"}
    made = Grant.objects.get(account=alice.pk)
    assert (made.entry, made.amount, made.remaining, made.held, made.priority) == (entry, 20, 20, 0, 7)
    assert (made.created_at, made.expires_at, made.period_start, made.origin) == (START, until, None, None)
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.in_lots) == (70, 0, 20)


def test_credits_without_an_expiry_need_no_lot(alice: User) -> None:
    services.grant(user=alice, amount=20, source=GIFT, description="For ever")

    assert not Grant.objects.exists()
    account = Account.objects.get(user=alice)
    assert (account.balance, account.in_lots) == (70, 0)


@pytest.mark.parametrize("source", ["signup", "purchase", "promotion", "plan", "adjustment", "refund"])
def test_credits_keep_why_they_were_given(alice: User, source: str) -> None:
    kept = lot(alice, 5, DAY, source=LedgerEntry.Source(source))

    assert kept.entry.source == source


@pytest.mark.parametrize(("priority", "kept"), [(None, 50), (0, 0), (1, 1), (100, 100)])
def test_a_priority_is_kept_also_if_it_is_zero(alice: User, priority: int | None, kept: int) -> None:
    assert lot(alice, 5, DAY, priority=priority).priority == kept


@pytest.mark.parametrize(
    ("lasts", "priority"),
    [(timedelta(0), None), (-TICK, None), (-DAY, 5), (DAY, -1), (DAY, 101), (None, 50), (None, 0)],
    ids=["over now", "over a moment ago", "long over", "below 0", "above 100", "no expiry", "no expiry and first"],
)
def test_terms_that_cannot_be_give_nothing(alice: User, lasts: timedelta | None, priority: int | None) -> None:
    before = rows_of(alice)

    with pytest.raises(services.InvalidGrant):
        services.grant(
            user=alice,
            amount=5,
            source=GIFT,
            description="No",
            expires_at=None if lasts is None else START + lasts,
            priority=priority,
        )

    assert rows_of(alice) == before


def test_a_lot_may_be_for_the_shortest_time_that_there_is(clock: Clock, alice: User) -> None:
    lot(alice, 5, TICK)

    assert position_of(alice).spendable == 55
    clock.passes(TICK)
    assert position_of(alice).spendable == 50


# --- which are spent first -------------------------------------------------------------------------------------------


def test_priority_comes_before_expiry_and_expiry_before_age_and_what_never_expires_is_last(
    clock: Clock, alice: User
) -> None:
    old = lot(alice, 10, 9 * DAY)
    clock.passes(HOUR)
    young = lot(alice, 10, 9 * DAY - HOUR)  # until the same instant
    soon = lot(alice, 10, DAY)
    late_but_first = lot(alice, 10, 90 * DAY, priority=10)
    soon_but_last = lot(alice, 10, HOUR, priority=90)

    entry = spend(alice, 95)

    assert uses_of(entry) == [
        (late_but_first.pk, -10),
        (soon.pk, -10),
        (old.pk, -10),
        (young.pk, -10),
        (soon_but_last.pk, -10),
    ]
    account = Account.objects.get(user=alice)
    assert (account.balance, account.in_lots) == (5, 0)  # 45 of the 50 that never expire went, too


def test_of_lots_that_are_alike_the_first_made_is_spent_first(alice: User) -> None:
    lots = [lot(alice, 10, DAY) for _ in range(4)]

    assert uses_of(spend(alice, 25)) == [(lots[0].pk, -10), (lots[1].pk, -10), (lots[2].pk, -5)]
    assert uses_of(spend(alice, 6)) == [(lots[2].pk, -5), (lots[3].pk, -1)]
    assert left_in(*lots) == [(0, 0), (0, 0), (0, 0), (9, 0)]


def test_age_decides_and_not_the_number_of_the_row(clock: Clock, alice: User) -> None:
    second, first = lot(alice, 10, DAY), lot(alice, 10, DAY)
    # As two transactions make it that draw their row numbers in one order and get the lock in the other.
    let_age(first, HOUR)

    assert uses_of(spend(alice, 15)) == [(first.pk, -10), (second.pk, -5)]


def let_age(older: Grant, delta: timedelta) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE credits_grant SET created_at = created_at - %s WHERE id = %s", [delta, older.pk])
        cursor.execute("SET session_replication_role = origin")


def test_a_spend_that_lots_cover_leaves_the_rest_alone(alice: User) -> None:
    kept = lot(alice, 10, DAY)

    entry = spend(alice, 10)

    assert uses_of(entry) == [(kept.pk, -10)]
    account = Account.objects.get(user=alice)
    assert (account.balance, account.in_lots) == (50, 0)
    assert uses_of(spend(alice, 10)) == []


def test_another_persons_lots_are_not_touched(alice: User, bob: User) -> None:
    theirs = lot(bob, 10, DAY, priority=0)
    before = rows_of(bob)

    spend(alice, 20)

    assert rows_of(bob) == before
    assert left_in(theirs) == [(10, 0)]


# --- the instant of expiry -------------------------------------------------------------------------------------------


def test_a_lot_is_good_until_the_last_tick_and_gone_at_the_instant_at_which_it_expires(
    clock: Clock, alice: User, bob: User
) -> None:
    for person in (alice, bob):
        lot(person, 10, DAY)
    clock.move_to(START + DAY - TICK)
    assert position_of(alice).balance == position_of(alice).spendable == 60
    assert position_of(alice).expiring == (Expiring(10, START + DAY),)
    assert services.quote(user=alice, amount=1).spendable == 60
    spend(alice, 60)

    clock.passes(TICK)
    assert position_of(bob).balance == position_of(bob).spendable == 50
    assert position_of(bob).expiring == ()
    assert services.quote(user=bob, amount=1).spendable == 50
    with pytest.raises(services.InsufficientCredits) as refusal:
        spend(bob, 51)
    assert (refusal.value.available, refusal.value.needed) == (50, 51)
    spend(bob, 50)


def test_what_expired_is_entered_by_whoever_comes_next(clock: Clock, alice: User) -> None:
    kept = lot(alice, 10, DAY, source=LedgerEntry.Source.PURCHASE)
    spend(alice, 4)
    clock.passes(3 * DAY)

    entry = spend(alice, 5)

    assert written(alice) == [
        ("grant", 50, 50),
        ("grant", 10, 60),
        ("deduction", -4, 56),
        ("expiry", -6, 50),
        ("deduction", -5, 45),
    ]
    expiry = LedgerEntry.objects.get(account=alice.pk, type="expiry")
    assert (expiry.related, expiry.app, expiry.actor, expiry.source) == (kept.entry, None, None, None)
    assert expiry.description == "Expired: Purchase credits"
    assert expiry.metadata == {"expired_at": "2100-03-02T12:00:00.000000Z", "source": "purchase"}
    assert expiry.created_at == START + 3 * DAY  # when it was entered; when it expired is in the metadata
    assert uses_of(expiry) == [(kept.pk, -6)]
    assert uses_of(entry) == []
    assert left_in(kept) == [(0, 0)]
    assert Account.objects.get(user=alice).in_lots == 0


def test_only_what_has_expired_goes_and_each_lot_has_its_entry(clock: Clock, alice: User) -> None:
    first, second = lot(alice, 1, DAY), lot(alice, 2, 2 * DAY, priority=1)
    third, stays = lot(alice, 4, DAY), lot(alice, 8, 2 * DAY + TICK)
    clock.passes(2 * DAY)
    assert position_of(alice).spendable == 58

    assert services.settle(user=alice)

    expired = LedgerEntry.objects.filter(account=alice.pk, type="expiry").order_by("seq")
    assert [(entry.related, entry.amount, entry.balance_after) for entry in expired] == [
        (second.entry, -2, 63),
        (first.entry, -1, 62),
        (third.entry, -4, 58),
    ]
    assert left_in(first, second, third, stays) == [(0, 0), (0, 0), (0, 0), (8, 0)]
    assert position_of(alice).spendable == 58


def test_it_is_entered_once(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    clock.passes(DAY)

    assert services.settle(user=alice)
    before = rows_of(alice)
    assert not services.settle(user=alice)
    clock.passes(DAY)
    assert not services.settle(user=alice)

    assert rows_of(alice) == before
    assert [kind for kind, _, _ in written(alice)] == ["grant", "grant", "expiry"]


def test_a_lot_that_was_spent_whole_leaves_nothing_to_expire(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    spend(alice, 10)
    clock.passes(DAY)

    assert not services.settle(user=alice)
    assert position_of(alice).spendable == 50


def test_settling_what_has_nothing_to_settle_writes_nothing(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    before = rows_of(alice)

    assert not services.settle(user=alice)

    assert rows_of(alice) == before


def test_credits_that_are_given_come_after_what_expired_is_entered(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    clock.passes(DAY)

    services.grant(user=alice, amount=5, source=GIFT, description="New")

    assert written(alice)[2:] == [("expiry", -10, 50), ("grant", 5, 55)]


def test_all_that_one_call_writes_has_one_time_and_an_order(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    lot(alice, 10, DAY)
    lot(alice, 10, 9 * DAY)
    clock.passes(DAY + HOUR)

    entry = spend(alice, 5)

    newest = LedgerEntry.objects.filter(account=alice.pk).order_by("-seq")[:3]
    assert {found.created_at for found in newest} == {START + DAY + HOUR}
    assert [found.seq for found in newest] == [7, 6, 5]
    assert newest[0] == entry


# --- what is refused changes nothing ---------------------------------------------------------------------------------


def refusals(user: User, app: App) -> dict[str, tuple[type[Exception], Callable[[], Any]]]:
    """Each call that changes credits, in a way in which it is refused."""
    staff = User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)
    charge = LedgerEntry.objects.filter(account=user.pk, type="deduction").order_by("seq").first()
    assert charge is not None
    hold = services.find_hold(hold_id=str(user.account.holds.get(description="released").pk))
    adjustment = {"user": user, "reason": "why", "actor": staff, "idempotency_key": "k"}
    return {
        "deduct": (
            services.InsufficientCredits,
            lambda: services.deduct(user=user, app=app, amount=10_000, description="no"),
        ),
        "require": (services.InsufficientCredits, lambda: services.require(user=user, amount=10_000)),
        "reserve": (
            services.InsufficientCredits,
            lambda: services.reserve(user=user, app=app, amount=10_000, description="no"),
        ),
        "grant": (
            services.InvalidGrant,
            lambda: services.grant(user=user, amount=1, source=GIFT, description="no", expires_at=START),
        ),
        "capture": (services.HoldNotActive, lambda: services.capture(hold=hold)),
        "require_active": (services.HoldNotActive, lambda: services.require_active(hold=hold)),
        "refund": (
            services.RefundExceedsCharge,
            lambda: services.refund(entry=charge, reason="no", amount=10_000),
        ),
        "adjust down": (services.InsufficientCredits, lambda: services.adjust(amount=-10_000, **adjustment)),
        "adjust up": (
            services.InvalidGrant,
            lambda: services.adjust(amount=1, expires_at=START, **adjustment),
        ),
    }


@pytest.mark.parametrize(
    "call",
    [
        *("deduct", "require", "reserve", "grant", "capture", "require_active", "refund", "adjust down", "adjust up"),
    ],
)
def test_what_is_refused_leaves_every_row_as_it_was_also_when_something_has_expired_meanwhile(
    clock: Clock, alice: User, penora: App, call: str
) -> None:
    lot(alice, 10, DAY)
    lot(alice, 10, 9 * DAY)
    spend(alice, 3)
    services.reserve(user=alice, app=penora, amount=5, description="over", expires_in_seconds=60)
    hold, _ = services.reserve(user=alice, app=penora, amount=2, description="released")
    services.release(hold=hold)
    clock.passes(2 * DAY)  # a lot and a hold are over, and nobody has entered that
    expected, refused = refusals(alice, penora)[call]
    before = rows_of(alice)

    with pytest.raises(expected):
        refused()

    assert rows_of(alice) == before
    assert position_of(alice).spendable == 60
    assert services.settle(user=alice)


def test_a_quote_writes_nothing_and_says_what_the_deduction_then_does(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    lot(alice, 10, 9 * DAY)
    clock.passes(DAY)
    before = rows_of(alice)

    quoted = services.quote(user=alice, amount=55)
    refused = services.quote(user=alice, amount=61)

    assert rows_of(alice) == before
    assert (quoted.needed, quoted.spendable, quoted.spendable_after) == (55, 60, 5)
    assert (refused.needed, refused.spendable, refused.spendable_after) == (61, 60, None)
    spend(alice, 55)
    assert position_of(alice).spendable == 5
    with pytest.raises(services.InvalidAmount):
        services.quote(user=alice, amount=0)


def test_a_quote_within_a_transaction_undoes_no_more_than_itself(alice: User) -> None:
    spend(alice, 1)
    services.quote(user=alice, amount=10)

    assert position_of(alice).spendable == 49


# --- all of it, against a model that is told nothing of the code -----------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_any_history_spends_and_expires_as_the_rules_say(clock: Clock, seed: int) -> None:
    """The model has a line a credit: (priority, expiry, age, number). A spend takes the first of what is not over."""
    chance = random.Random(seed)
    user = make_user("alice", initial_credits=0)
    never = datetime(9999, 1, 1, tzinfo=UTC)
    model: list[tuple[int, datetime, datetime, int]] = []
    number_of: dict[int, int] = {}
    for number in range(60):
        deed = chance.choice(("grant", "lot", "spend", "spend", "wait"))
        if deed == "grant":
            services.grant(user=user, amount=(amount := chance.randint(1, 9)), source=GIFT, description="ever")
            model += [(101, never, clock.now, number)] * amount
        elif deed == "lot":
            amount, lasts, priority = chance.randint(1, 9), chance.randint(1, 6) * HOUR, chance.choice((1, 50, 50, 99))
            number_of[lot(user, amount, lasts, priority=priority).pk] = number
            model += [(priority, clock.now + lasts, clock.now, number)] * amount
        elif deed == "wait":
            clock.passes(chance.choice((SECOND, HOUR, 2 * HOUR)))
        model = sorted(credit for credit in model if credit[1] > clock.now)
        assert position_of(user).spendable == len(model)
        if deed == "spend":
            amount = chance.randint(1, 12)
            if amount > len(model):
                with pytest.raises(services.InsufficientCredits) as refusal:
                    spend(user, amount)
                assert refusal.value.available == len(model)
                continue
            taken, model = model[:amount], model[amount:]
            by_lot = [credit[3] for credit in taken if credit[1] != never]
            used = LotUse.objects.filter(entry=spend(user, amount)).order_by("id").values_list("lot", "amount")
            assert [number_of[key] for key, credits in used for _ in range(-credits)] == by_lot
    assert position_of(user).expiring == tuple(
        Expiring(sum(credit[1] == moment for credit in model), moment)
        for moment in sorted({credit[1] for credit in model} - {never})
    )
