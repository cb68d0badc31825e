"""What a person has, now and at any earlier time: the past is answered as it was answered then."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import App, User
from credits import services
from credits.models import Account, Hold, LedgerEntry
from credits.queries import Expiring, Position, position_of
from tests.clock import let_pass
from tests.credits.books import DAY, GIFT, HOUR, SECOND, START, TICK, Clock, lot, rows_of, written
from unified.services import create_member

pytestmark = pytest.mark.usefixtures("proved")


class Life:
    """A person to whom anything may happen, and what was said of them after each of it."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.clock = clock
        self.chance = chance
        self.user, _ = create_member(user_id="alice", username="Alice", email="a@example.com", initial_credits=20)
        self.boss = User.objects.create_superuser(user_id="boss", username="B", email="b@example.com", password=None)
        self.app = App.objects.get(slug="imagegene")
        self.holds: list[Hold] = []
        self.charges: list[LedgerEntry] = []
        self.ends: list[datetime] = []  # when something will be over
        self.said: dict[datetime, Position] = {}
        self.deeds: list[Callable[[], Any]] = [
            *(self.give, self.give, self.give_lot, self.give_lot, self.spend, self.spend, self.reserve, self.reserve),
            *(self.capture, self.release, self.refund, self.refund, self.adjust, self.settle, self.look),
        ]

    def go_on(self, steps: int) -> None:
        for _ in range(steps):
            self.clock.move_to(self.later())
            # What is refused is part of life, and must leave no trace in the past.
            with suppress(services.InsufficientCredits, services.HoldNotActive, services.RefundExceedsCharge):
                self.chance.choice(self.deeds)()
            self.look()

    def later(self) -> datetime:
        """Some time later, or at the same time, or at just the instant at which something is over."""
        coming = [end for end in self.ends if end >= self.clock.now]
        if coming and self.chance.random() < 0.15:
            return min(coming)
        return self.clock.now + self.chance.choice((0 * SECOND, 0 * SECOND, TICK, SECOND, 7 * SECOND, HOUR, 9 * HOUR))

    def look(self) -> None:
        self.said[self.clock.now] = position_of(self.user)

    def give(self) -> None:
        services.grant(user=self.user, amount=self.chance.randint(1, 9), source=GIFT, description="ever")

    def give_lot(self) -> None:
        lasts = self.chance.choice((SECOND, HOUR, DAY, 3 * DAY))
        self.ends.append(lot(self.user, self.chance.randint(1, 9), lasts).expires_at)

    def spend(self) -> None:
        amount = self.chance.randint(1, 9)
        self.charges.append(services.deduct(user=self.user, app=self.app, amount=amount, description="s")[0])

    def reserve(self) -> None:
        hold, _ = services.reserve(
            user=self.user,
            app=self.app,
            amount=self.chance.randint(1, 9),
            description="h",
            expires_in_seconds=self.chance.choice((7, 3_600, 7_200, 86_400)),
        )
        self.holds.append(hold)
        self.ends.append(hold.expires_at)

    def capture(self) -> None:
        if self.holds:
            hold = self.chance.choice(self.holds[-2:])
            captured = services.capture(hold=hold, amount=self.chance.randint(1, hold.amount))
            assert captured.entry is not None
            self.charges.append(captured.entry)

    def release(self) -> None:
        if self.holds:
            services.release(hold=self.chance.choice(self.holds[-2:]))

    def refund(self) -> None:
        if self.charges:
            entry = services.refund(entry=self.chance.choice(self.charges[-4:]), reason="r", amount=self.part())[0]
            self.ends += [made.expires_at for made in entry.lots.all()]

    def adjust(self) -> None:
        amount = self.chance.choice((-3, -1, 2))
        key = str(self.chance.random())
        services.adjust(user=self.user, amount=amount, reason="r", actor=self.boss, idempotency_key=key)

    def settle(self) -> None:
        services.settle(user=self.user)

    def part(self) -> int | None:
        return self.chance.choice((None, 1, 2))


@pytest.mark.parametrize("seed", range(20))
def test_the_past_is_answered_as_it_was_then(clock: Clock, seed: int) -> None:
    life = Life(clock, random.Random(seed))

    life.go_on(60)

    kinds = {kind for kind, _, _ in written(life.user)}
    assert len(kinds) >= 3
    clock.passes(30 * DAY)
    for settled in (False, True):
        if settled:
            services.settle(user=life.user)
        for moment, said in life.said.items():
            assert position_of(life.user, as_of=moment) == said, moment


@pytest.mark.parametrize("seed", range(20, 26))
def test_now_is_what_is_true_as_of_now(clock: Clock, seed: int) -> None:
    life = Life(clock, random.Random(seed))
    for _ in range(30):
        life.go_on(1)
        assert position_of(life.user, as_of=clock.now) == position_of(life.user)
        assert services.quote(user=life.user, amount=1).spendable == position_of(life.user).spendable


def test_the_random_lives_do_all_that_there_is_to_do(clock: Clock) -> None:
    """Or the two tests above would prove less than they say."""
    life = Life(clock, random.Random(4))

    life.go_on(200)

    assert {kind for kind, _, _ in written(life.user)} == set(LedgerEntry.Type.values)
    rows = rows_of(life.user)
    assert {hold["status"] for hold in rows["holds"]} >= {"captured", "released", "expired"}
    assert any(made["origin_id"] for made in rows["lots"])
    assert any(use["amount"] > 0 for use in rows["uses"])
    assert rows["claims"]


def test_before_a_person_was_there_they_had_nothing(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)

    assert position_of(alice, as_of=START - TICK) == Position()
    assert position_of(alice, as_of=START) == position_of(alice) == Position(60, 0, (Expiring(10, START + DAY),))


def test_someone_without_an_account_has_nothing_at_any_time(clock: Clock, alice: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    for moment in (None, START - DAY, START, START + DAY):
        assert position_of(bob, as_of=moment) == Position()
    assert not Account.objects.filter(user=bob).exists()


def test_of_the_future_is_known_what_will_be_over_if_nothing_happens(clock: Clock, alice: User, penora: App) -> None:
    lot(alice, 10, HOUR)
    services.reserve(user=alice, app=penora, amount=5, description="h", expires_in_seconds=7_200)

    foreseen = [position_of(alice, as_of=START + hours * HOUR) for hours in (0, 1, 2)]
    assert [(position.balance, position.held) for position in foreseen] == [(60, 5), (55, 5), (50, 0)]
    for hours, position in enumerate(foreseen):
        clock.move_to(START + hours * HOUR)
        assert position_of(alice) == position


def test_what_will_expire_is_summed_by_instant_soonest_first(clock: Clock, alice: User, penora: App) -> None:
    lot(alice, 4, 2 * DAY)
    lot(alice, 2, DAY, priority=90)
    lot(alice, 1, 2 * DAY, priority=1)
    lot(alice, 8, 3 * DAY, priority=0)
    services.deduct(user=alice, app=penora, amount=8, description="the whole of a lot")

    assert position_of(alice).expiring == (Expiring(2, START + DAY), Expiring(5, START + 2 * DAY))


def test_a_position_is_one_statement_now_and_then_however_many_lots_and_holds(
    clock: Clock, alice: User, penora: App
) -> None:
    for _ in range(5):
        lot(alice, 4, DAY)
        services.reserve(user=alice, app=penora, amount=2, description="h")

    for as_of in (None, START):
        with CaptureQueriesContext(connection) as captured:
            assert position_of(alice, as_of=as_of).held == 10
        assert len(captured) == 1


def test_only_ones_own_counts(clock: Clock, alice: User, bob: User, penora: App) -> None:
    lot(bob, 10, DAY)
    services.reserve(user=bob, app=penora, amount=15, description="h")

    for as_of in (None, START):
        assert position_of(alice, as_of=as_of) == Position(balance=50)
        assert position_of(bob, as_of=as_of) == Position(balance=60, held=15)


def test_all_that_one_call_writes_has_one_time_also_where_the_clock_runs(alice: User, penora: App) -> None:
    """Or a lot would be there a moment before or after its credits are, and the past would be wrong in between."""
    for _ in range(2):
        made = lot(alice, 10, HOUR)
        assert made.created_at == made.entry.created_at
    let_pass(2 * HOUR)
    charge, _ = services.deduct(user=alice, app=penora, amount=1, description="page")
    assert len(set(LedgerEntry.objects.filter(seq__gte=charge.seq - 2).values_list("created_at", flat=True))) == 1

    hold, _ = services.reserve(user=alice, app=penora, amount=5, description="h")
    captured = services.capture(hold=hold)
    assert captured.entry is not None
    assert LedgerEntry.objects.get(pk=captured.entry.pk).created_at == captured.resolved_at


def test_lots_and_holds_are_over_by_the_databases_clock_also_where_it_runs(alice: User, penora: App) -> None:
    """Without the stopped clock: what has happened is moved into the past instead."""
    lot(alice, 10, HOUR)
    services.reserve(user=alice, app=penora, amount=20, description="h", expires_in_seconds=7_200)

    said = []
    for minutes in (59, 2, 58, 2):
        let_pass(timedelta(minutes=minutes))
        position = position_of(alice)
        said.append((position.balance, position.held))
    assert said == [(60, 20), (60, 20), (60, 20), (50, 0)]
    services.deduct(user=alice, app=penora, amount=50, description="pages")
    assert [kind for kind, _, _ in written(alice)] == ["grant", "grant", "expiry", "deduction"]
