"""
Every operation on credits, in any order, beside a model that shares no line with the services: after each step the
answer, what user-info says and the whole ledger have to be the model's, and after each refusal every row what it was.

`make fuzz` runs the same with new seeds for as long as it is told, and says how to run one again that failed.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import resolve
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts import services as accounts
from accounts.models import App, User
from credits import services
from credits.models import LedgerEntry
from tests.client import ApiClient
from tests.clock import let_pass
from tests.conftest import KEEP_BETWEEN_TESTS, make_user
from tests.credits.model import Entry, Hold, Moment, Person, Refused
from unified.management.commands.verify_ledger import verify

# What a seed leads to changes with the code, since Hypothesis also tries the numbers that it finds there. So the first
# two are run, and of the others as many as it takes to have been everywhere.
SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)
FUZZ_SECONDS = int(os.environ.get("UNIFIED_FUZZ_SECONDS") or 0)
FUZZ_SEED = os.environ.get("UNIFIED_FUZZ_SEED")
EXAMPLES, STEPS = 20, 50  # of one seed (Hypothesis' first ten are small ones), and at most of one example

Item = TypeVar("Item")

# The price list as the integration guide has it.
PRICE_LIST = {"page": 1, "basic_art": 2, "advanced_art": 3, "style_transfer": 2}
DAY = 24 * 60
KEYS_ARE_KEPT = 7 * DAY
STEP = 10  # so that there is a number for "a microsecond before this step"

ROUTES = ("capture-credits", "release-credits", "refund-credits")
PEOPLE = st.sampled_from(["alice", "bob"])
APPS = st.sampled_from(["penora", "imagegene"])
AMOUNTS = st.one_of(st.integers(1, 12), st.integers(1, 80))
GIFTS = st.one_of(st.integers(1, 9), st.integers(10, 40))
PRIORITIES = st.sampled_from([None, 0, 50, 100])
PRICES = st.one_of(
    AMOUNTS.map(lambda amount: {"amount": amount}),
    st.builds(
        lambda line, n: {"operation": line, "quantity": n}, st.sampled_from(sorted(PRICE_LIST)), st.integers(1, 6)
    ),
)
KEYS = st.one_of(st.none(), st.integers(0, 30).map("key-{}".format))
PARTS = st.one_of(st.none(), st.integers(0, 60))  # all, or so many of what there is
RARELY = st.integers(0, 15).map(lambda n: n == 7)
WHICH = st.integers(0, 30)  # of what there is, counted from the newest
# Seconds pass while this runs. They decide nothing, as everything lasts and is waited for in minutes, by the five.
WAITS = st.one_of(
    st.integers(1, 4).map(lambda n: n * 5),
    st.integers(1, 5).map(lambda n: n * 60),
    st.integers(1, 40).map(lambda n: n * 60),
)
LOT_HOURS = st.one_of(st.integers(1, 5), st.integers(1, 40), st.integers(1, 100))
HOLD_MINUTES = st.sampled_from([10, 120, 600, 1440])
ROWS = ("account", "ledgerentry", "grant", "lotuse", "hold", "lotclaim")

# What has happened, so that a run can tell that it has been everywhere.
seen: Counter[str] = Counter()
TO_BE_SEEN = (
    *("deduct-credits 200", "deduct-credits 402", "reserve-credits 201", "reserve-credits 402"),
    *("capture-credits 200", "capture-credits repeated", "capture-credits 400", "capture-credits 404"),
    *("capture-credits 409", "release-credits 200", "release-credits repeated", "release-credits 404"),
    *("release-credits 409", "refund-credits 200", "refund-credits 400", "refund-credits 404", "refund-credits 409"),
    *("key reused", "key repeated, done", "key repeated, refused"),
    *("a capture from several lots", "what a capture left over expired", "a lot of grace", "a refund to two places"),
)
BESIDES = st.one_of(
    st.tuples(st.just("quote"), PEOPLE, APPS, PRICES),
    st.tuples(st.just("look_back"), PEOPLE, WHICH, st.one_of(st.just(0), WAITS), st.sampled_from([-1, 0, 1])),
    st.tuples(st.just("send_again"), WHICH, RARELY),
    st.tuples(st.just("adjust"), PEOPLE, GIFTS, st.one_of(st.none(), LOT_HOURS), st.booleans()),
    st.tuples(st.just("adjust_again"), WHICH, st.sampled_from([{}, {"amount": 7}, {"reason": "another"}])),
    st.tuples(st.just("settle"), st.sampled_from(["alice", "bob", "everybody"])),
    st.tuples(st.just("name_what_is_not_there_or_no_deduction"), PEOPLE, APPS, st.sampled_from(ROUTES), WHICH),
)


class Kept(NamedTuple):
    """What a repeat with the same Idempotency-Key gets."""

    body: dict[str, Any]
    status: int
    content: bytes
    minute: int


class Row(NamedTuple):
    seq: int
    type: str
    amount: int
    balance_after: int
    related: Any
    pk: Any


class Credits(RuleBasedStateMachine):
    """Two people, the servers of both apps, a member of staff, and time."""

    @initialize(gifts=st.lists(st.tuples(PEOPLE, GIFTS, LOT_HOURS, PRIORITIES), min_size=2, max_size=6), first=GIFTS)
    def begin(self, gifts: list[tuple[str, int, int, int | None]], first: int) -> None:
        empty_tables()
        self.apps = {
            slug: ApiClient(key=accounts.create_key(app=App.objects.get(slug=slug), label="tests")[1])
            for slug in ("penora", "imagegene")
        }
        self.staff = User.objects.create_superuser(user_id="staff", username="S", email="s@example.com", password=None)
        self.now = Moment(0, 0)
        self.clock: dict[int, datetime] = {}  # when a step was taken, if all the waiting is left out
        self.users: dict[str, User] = {}
        self.people = {"alice": Person(), "bob": Person()}
        self.rows: dict[str, list[Row]] = {"alice": [], "bob": []}
        self.kept: dict[tuple[str, str, str], Kept] = {}
        self.hold_ids: dict[Hold, str] = {}
        self.ends: dict[Hold, tuple[dict[str, Any], datetime]] = {}
        self.adjustments: list[tuple[str, dict[str, Any], int, int]] = []
        for name, amount in {"alice": first, "bob": 40 - first}.items():
            now = self.tick()
            self.users[name] = make_user(name, initial_credits=amount)
            if amount:
                self.people[name].grant(now, amount, expires=None)
            self.clock[now.step] = datetime.now(UTC)
            self.compare(name)
        for name, amount, hours, priority in gifts:
            self.do_grant(name, amount, self.in_hours(hours), priority)

    def teardown(self) -> None:
        if sys.exc_info()[0]:
            return  # broken off; what was wrong is being said
        seen["examples"] += 1
        for name in self.people:
            self.compare(name)
            self.compare_the_history(name)
        proof = verify()
        assert proof["ok"], [found for found in proof["invariants"] if found["violations"]]

    @rule(what=BESIDES)
    def do(self, what: tuple[Any, ...]) -> None:
        """All that is there besides moving credits and time, in one rule so that it does not crowd those out."""
        getattr(self, what[0])(*what[1:])

    # What apps do

    @rule(name=PEOPLE, app=APPS, price=PRICES, over=RARELY, key=KEYS)
    def deduct(self, name: str, app: str, price: dict[str, Any], over: bool, key: str | None) -> None:
        price = price if over else self.affordable(name, price)
        person, amount = self.people[name], cost(price)

        def expected(now: Moment) -> dict[str, Any]:
            person.deduct(now, amount, app=app)
            return {"credits_deducted": amount, "new_balance": person.view(now).credits, "app_name": app}

        body = {"user_id": name, "app_name": app, "description": "work", **price}
        answer = self.post(name, app, "deduct-credits", body, key, expected)
        if answer:
            assert answer["transaction_id"] == self.id_of(name, person.entries[-1])

    @rule(name=PEOPLE, app=APPS, price=PRICES, over=RARELY, minutes=HOLD_MINUTES, key=KEYS)
    def reserve(self, name: str, app: str, price: dict[str, Any], over: bool, minutes: int, key: str | None) -> None:
        price = price if over else self.affordable(name, price)
        person, amount = self.people[name], cost(price)

        def expected(now: Moment) -> dict[str, Any]:
            person.reserve(now, amount, app=app, minutes=minutes)
            return {"amount": amount, "credits": person.view(now).credits, "app_name": app}

        body = {"user_id": name, "app_name": app, "expires_in": minutes * 60, **price}
        answer = self.post(name, app, "reserve-credits", body, key, expected, status=201)
        if answer:
            self.hold_ids[person.holds[-1]] = answer["hold_id"]
            assert moment(answer["expires_at"]) == self.at(person.holds[-1].expires)

    @precondition(lambda self: self.people["alice"].holds or self.people["bob"].holds)
    @rule(name=PEOPLE, which=WHICH, part=PARTS, key=KEYS, stranger=RARELY)
    def capture(self, name: str, which: int, part: int | None, key: str | None, stranger: bool) -> None:
        name, hold = self.pick_hold(name, which)
        person = self.people[name]
        app = other(hold.app) if stranger else hold.app
        amount = None if part is None else part % (hold.amount + 2)
        if stranger and amount == 0:
            amount = None  # one fault at a time: it is not said which of two is named

        def expected(now: Moment) -> dict[str, Any]:
            if app != hold.app:
                raise Refused(404, "hold_not_found")
            if amount == 0:
                raise Refused(400, "validation_error")
            person.capture(now, hold, amount)
            person.remember(now)
            seen["what a capture left over expired"] += person.entries[-1].type == "expiry"
            seen["a capture from several lots"] += len(hold.claims) > 1
            return {
                "credits_deducted": hold.captured,
                "credits_released": hold.amount - hold.captured,
                "new_balance": hold.spendable_after,
                "app_name": hold.app,
            }

        body = {"hold_id": self.hold_ids[hold], **({} if amount is None else {"amount": amount})}
        proper = app == hold.app and (amount is None or 0 < amount <= hold.amount)
        self.post_end(name, app, "capture-credits", body, key, expected, proper=proper, hold=hold)

    @precondition(lambda self: self.people["alice"].holds or self.people["bob"].holds)
    @rule(name=PEOPLE, which=WHICH, key=KEYS, stranger=RARELY)
    def release(self, name: str, which: int, key: str | None, stranger: bool) -> None:
        name, hold = self.pick_hold(name, which)
        person = self.people[name]
        app = other(hold.app) if stranger else hold.app

        def expected(now: Moment) -> dict[str, Any]:
            if app != hold.app:
                raise Refused(404, "hold_not_found")
            person.release(now, hold)
            person.remember(now)
            return {"status": hold.status, "credits_released": hold.amount, "new_balance": hold.spendable_after}

        body = {"hold_id": self.hold_ids[hold]}
        self.post_end(name, app, "release-credits", body, key, expected, proper=app == hold.app, hold=hold)

    @precondition(lambda self: any(entry.app for person in self.people.values() for entry in person.entries))
    @rule(which=WHICH, part=PARTS, key=KEYS, stranger=RARELY)
    def refund(self, which: int, part: int | None, key: str | None, stranger: bool) -> None:
        entries = [(name, entry) for name, person in self.people.items() for entry in person.entries if entry.app]
        open_ones = [(n, e) for n, e in entries if e.type == "deduction" and e.refunded < -e.amount]
        name, entry = pick(open_ones if open_ones and which % 8 else entries, which)
        amount = None if part is None else 1 + part % max(1, 1 - entry.amount - entry.refunded)
        assert entry.app
        self.post_refund(name, entry, other(entry.app) if stranger else entry.app, amount, key)

    def post_refund(self, name: str, entry: Entry, app: str, amount: int | None, key: str | None) -> None:
        person = self.people[name]
        before = entry.refunded
        related = self.id_of(name, entry)

        def expected(now: Moment) -> dict[str, Any]:
            lots = len(person.lots)
            left = person.refund(now, entry, amount, app=app)
            seen["a refund to two places"] += sum(part.returned > 0 for part in entry.parts) > 1
            seen["a lot of grace"] += len(person.lots) > lots
            return {
                "credits_refunded": entry.refunded - before,
                "refundable": left,
                "new_balance": person.view(now).credits,
                "related_transaction_id": related,
            }

        body = {"transaction_id": related, "reason": "failed", **({} if amount is None else {"amount": amount})}
        proper = entry.app == app and entry.type == "deduction"
        answer = self.post(name, app, "refund-credits", body, key, expected, proper=proper)
        if answer:
            assert answer["transaction_id"] == self.id_of(name, person.entries[-1])

    def name_what_is_not_there_or_no_deduction(self, name: str, app: str, route: str, which: int) -> None:
        entries = self.people[name].entries
        if route == "refund-credits" and which % 2 and entries:
            self.post_refund(name, pick(entries, which), app, None, None)
            return

        def expected(now: Moment) -> dict[str, Any]:
            raise Refused(404, "transaction_not_found" if route == "refund-credits" else "hold_not_found")

        nothing = "00000000-0000-4000-8000-000000000000"
        body = {"transaction_id": nothing, "reason": "none"} if route == "refund-credits" else {"hold_id": nothing}
        self.post(name, app, route, body, None, expected)

    def quote(self, name: str, app: str, price: dict[str, Any]) -> None:
        needed, spendable = cost(price), self.people[name].view(self.tick()).credits
        with nothing_written():
            response = self.apps[app].post("quote", {"user_id": name, **price})
        assert response.status_code == 200
        assert_has(
            response.json(),
            needed=needed,
            credits=spendable,
            affordable=needed <= spendable,
            shortfall=max(0, needed - spendable),
            new_balance=spendable - needed if needed <= spendable else None,
        )

    def send_again(self, which: int, other_body: bool) -> None:
        if not self.kept:
            return
        (app, route, key), kept = pick(list(self.kept.items()), which)
        body = {**kept.body, "project_code": "ANOTHER"} if other_body else kept.body

        def expected(now: Moment) -> dict[str, Any]:
            raise AssertionError("this key is taken")

        if self.key_is_kept(kept):
            self.post("alice", app, route, body, key, expected)

    # What staff and the service itself do

    @rule(
        name=PEOPLE,
        amount=GIFTS,
        until=st.one_of(st.none(), st.just("as another"), LOT_HOURS),
        priority=PRIORITIES,
        which=WHICH,
    )
    def grant(self, name: str, amount: int, until: int | str | None, priority: int | None, which: int) -> None:
        ends = [lot.expires for person in self.people.values() for lot in person.lots]
        same = until == "as another" and ends
        expires = pick(sorted(ends), which) if same else self.in_hours(until)
        self.do_grant(name, amount, expires, priority if expires else None)

    def do_grant(self, name: str, amount: int, expires: Moment | None, priority: int | None) -> None:
        now = self.tick()
        terms: dict[str, Any] = {"expires_at": expires and self.at(expires), "priority": priority}
        give = lambda: services.grant(  # noqa: E731
            user=self.users[name], amount=amount, source=LedgerEntry.Source.PROMOTION, description="gift", **terms
        )
        if expires and expires <= now:
            with nothing_written(), pytest.raises(services.InvalidGrant):
                give()
            return
        self.people[name].grant(now, amount, expires=expires, priority=priority)
        self.written(now, give())
        self.compare(name)

    def adjust(self, name: str, amount: int, hours: int | None, take: bool) -> None:
        expires = None if take else self.in_hours(hours)
        now, person = self.tick(), self.people[name]
        arguments = {
            "amount": -amount if take else amount,
            "reason": "asked for",
            "expires_at": expires and self.at(expires),
            "idempotency_key": f"adjustment {now.step}",
        }
        try:
            if take:
                person.take_away(now, amount)
            else:
                person.grant(now, amount, expires=expires, type="adjustment")
        except Refused as refused:
            with nothing_written(), pytest.raises(services.InsufficientCredits) as caught:
                services.adjust(user=self.users[name], actor=self.staff, **arguments)
            assert_has(vars(caught.value), available=refused.figures["credits"], needed=amount)
        else:
            self.written(now, services.adjust(user=self.users[name], actor=self.staff, **arguments))
            self.adjustments.append((name, arguments, person.entries[-1].number, now.minute))
        self.compare(name)

    def adjust_again(self, which: int, change: dict[str, Any]) -> None:
        if not self.adjustments:
            return
        name, arguments, number, minute = pick(self.adjustments, which)
        if arguments["expires_at"] and minute != self.tick().minute:
            return  # to turn the clock is to change what was given, if it was a time
        again = lambda: services.adjust(user=self.users[name], actor=self.staff, **{**arguments, **change})  # noqa: E731
        with nothing_written():
            if {**arguments, **change} == arguments:
                assert again().seq == number
            else:
                with pytest.raises(services.AdjustmentKeyReused):
                    again()

    def settle(self, of: str) -> None:
        now = self.tick()
        names = list(self.people) if of == "everybody" else [of]
        for name in names:
            self.people[name].settle(now)
        if of == "everybody":
            call_command("sweep", stdout=StringIO())
            self.kept = {address: kept for address, kept in self.kept.items() if self.key_is_kept(kept)}
        else:
            services.settle(user=self.users[of])
        for name in names:
            self.compare(name)
            with nothing_written():
                assert not services.settle(user=self.users[name])

    # Time

    @rule(name=PEOPLE, app=APPS, amount=GIFTS, held=AMOUNTS, hours=st.integers(1, 5), which=WHICH, part=PARTS)
    def hold_longer_than_a_lot_lasts(
        self, name: str, app: str, amount: int, held: int, hours: int, which: int, part: int | None
    ) -> None:
        """What takes four steps to come about, and so seldom does."""
        self.do_grant(name, amount, self.in_hours(hours), 0)
        self.reserve(name, app, {"amount": held}, False, 600, None)
        self.wait(hours * 60, name)
        self.capture(name, which, part, None, False)

    @rule(minutes=st.one_of(st.none(), WAITS), name=PEOPLE)
    def wait(self, minutes: int | None, name: str) -> None:
        """So long; or until something of the person's ends next, and then a look at the very moment."""
        person = self.people[name]
        ends = [lot.expires for lot in person.lots if lot.remaining]
        ends += [hold.expires for hold in person.holds if hold.live(self.now)]
        end = min((end for end in ends if end.minute > self.now.minute), default=self.now.plus(60))
        wanted = minutes or end.minute - self.now.minute
        let_pass(timedelta(minutes=wanted))
        self.now = self.tick().plus(wanted)
        self.compare(name)
        if not minutes and end in ends:
            for beside in (-1, 0, 1):
                self.look_at(name, Moment(end.minute, end.step + beside))

    def look_back(self, name: str, which: int, later: int, beside: int) -> None:
        """Right at, right before and right after something happened or ended; or some time after it."""
        person = self.people[name]
        marks = {taken for taken, _ in person.pictures if taken.step in self.clock}
        marks |= {lot.expires for lot in person.lots} | {hold.expires for hold in person.holds}
        mark = pick(sorted(marks), which)
        then = Moment(mark.minute + later, mark.step + beside)
        if person.pictures[0][0] <= then <= self.now:
            self.look_at(name, then)

    def look_at(self, name: str, then: Moment) -> None:
        with nothing_written():
            self.assert_told(name, then, self.people[name].view_at(then), as_of=stamp(self.at(then)))

    # How

    def tick(self) -> Moment:
        seen["steps"] += 1
        self.now = Moment(self.now.minute, self.now.step + STEP)
        return self.now

    def at(self, then: Moment) -> datetime:
        """The real time of a moment: it moves into the past with everything that has happened."""
        step = round(then.step, -1)
        return self.clock[step] + timedelta(minutes=then.minute - self.now.minute, microseconds=then.step - step)

    def in_hours(self, hours: int | str | None) -> Moment | None:
        if not isinstance(hours, int):
            return None
        now = self.tick()
        seen["steps"] -= 1  # this is a part of one
        self.clock[now.step] = datetime.now(UTC)
        return now.plus(hours * 60)

    def written(self, now: Moment, entry: LedgerEntry) -> None:
        entry.refresh_from_db()
        self.clock[now.step] = entry.created_at

    def affordable(self, name: str, price: dict[str, Any]) -> dict[str, Any]:
        """`price`, with an amount brought down to what there is: what is refused leads nowhere."""
        spendable = self.people[name].view(self.now).credits
        return {"amount": 1 + price["amount"] % max(1, spendable)} if "amount" in price else price

    def id_of(self, name: str, entry: Entry) -> str:
        return str(self.rows[name][entry.number - 1].pk)

    def pick_hold(self, name: str, which: int) -> tuple[str, Hold]:
        name = name if self.people[name].holds else other(name)
        holds = self.people[name].holds
        live = [hold for hold in holds if hold.live(self.now)]
        return name, pick(live if live and which % 4 else holds, which)

    def key_is_kept(self, kept: Kept) -> bool:
        return self.now.minute - kept.minute < KEYS_ARE_KEPT

    def post(
        self,
        name: str,
        app: str,
        route: str,
        body: dict[str, Any],
        key: str | None,
        expected: Callable[[Moment], dict[str, Any]],
        *,
        status: int = 200,
        proper: bool = True,
        repeats: bool = False,
    ) -> dict[str, Any] | None:
        """The answer, if the call did something. What the model says to it is found out by `expected`."""
        kept = self.kept.get((app, route, key)) if key else None
        if kept and (not self.key_is_kept(kept) or (kept.body != body and not proper)):
            key = kept = None  # it is not said whether old keys still count, nor which of two faults is named
        headers = {"Idempotency-Key": key} if key else None
        now = self.tick()
        if kept:
            with nothing_written():
                response = self.apps[app].post(route, body, headers=headers)
            if kept.body == body:
                assert (response.status_code, response.content) == (kept.status, kept.content)
                assert response["Idempotent-Replayed"] == "true"
                seen["key repeated, refused" if kept.status >= 400 else "key repeated, done"] += 1
            else:
                assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
                seen["key reused"] += 1
            return None
        nothing_new = repeats
        try:
            fields, refusal = expected(now), None
        except Refused as refused:
            fields, refusal = {"code": refused.code, **refused.figures}, refused
            status, nothing_new = refused.status, True
        with nothing_written(unless=not nothing_new):
            response = self.apps[app].post(route, body, headers=headers)
        assert response.status_code == status, response.content
        assert_has(response.json(), **fields)
        seen[f"{route} {'repeated' if repeats and not refusal else status}"] += 1
        assert "Idempotent-Replayed" not in response
        if key and status not in {400, 404}:
            self.kept[app, route, key] = Kept(body, status, response.content, now.minute)
        answer: dict[str, Any] = response.json()
        if not nothing_new:
            self.clock[now.step] = moment(answer["timestamp"])
        if refusal:
            return None  # every row is what it was when people were last told what they have
        self.compare(name)
        return answer

    def post_end(
        self,
        name: str,
        app: str,
        route: str,
        body: dict[str, Any],
        key: str | None,
        expected: Callable[[Moment], dict[str, Any]],
        *,
        proper: bool,
        hold: Hold,
    ) -> None:
        """Ends a hold. A repeat says what was said at first, the time included."""
        first = hold.status == "active"
        # To release once more what had run out by itself is an occasion to enter what has expired since.
        repeats = not first and hold.status != "expired"
        answer = self.post(name, app, route, body, key, expected, proper=proper, repeats=repeats)
        if not first:
            self.clock.pop(self.now.step, None)  # the answer's time is that of the end
        if not answer:
            return
        if first:
            self.look_at(name, self.now)  # by the time of the end itself
        waited = timedelta(minutes=self.now.minute)
        said = moment(answer.pop("timestamp")) + waited
        assert self.ends.setdefault(hold, (answer, said)) == (answer, said)
        if "transaction_id" in answer:
            [entry] = [entry for entry in self.rows[name] if str(entry.pk) == answer["transaction_id"]]
            assert (entry.type, entry.amount) == ("deduction", -hold.captured)

    def compare(self, name: str) -> None:
        """What the person is told now, and the whole ledger."""
        person = self.people[name]
        self.compare_the_ledger(name, person)
        person.remember(self.now)
        self.assert_told(name, self.now, person.view(self.now))

    def assert_told(self, name: str, then: Moment, view: Any, **query: str) -> None:
        response = self.apps["penora"].get("user-info", user_id=name, **query)
        assert response.status_code == 200, response.content
        answer = response.json()
        assert_has(
            answer,
            credits=view.credits,
            held_credits=view.held,
            expiring_credits=[{"credits": n, "expires_at": stamp(self.at(expires))} for n, expires in view.expiring],
        )

    def compare_the_ledger(self, name: str, person: Person) -> None:
        before = self.rows[name]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT seq, type, amount, balance_after, related_id, id FROM credits_ledgerentry"
                " WHERE account_id = %s ORDER BY seq",
                [self.users[name].pk],
            )
            rows = [Row(*row) for row in cursor.fetchall()]
        assert rows[: len(before)] == before
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert [row.balance_after for row in rows] == [sum(r.amount for r in rows[: row.seq]) for row in rows]
        seq_of = {row.pk: row.seq for row in rows}
        seq_of[None] = 0
        new = [(row.type, row.amount, seq_of[row.related]) for row in rows[len(before) :]]
        model = [(e.type, e.amount, e.related.number if e.related else 0) for e in person.entries[len(before) :]]
        assert in_any_order_of_expiry(new) == in_any_order_of_expiry(model)
        assert (rows[-1].balance_after if rows else 0) == person.balance
        self.rows[name] = rows

    def compare_the_history(self, name: str) -> None:
        rows, told = self.rows[name], []
        cursor: dict[str, str] = {}
        while True:
            page = self.apps["imagegene"].get("transactions", user_id=name, limit=30, **cursor).json()
            told += page["all_transactions"]
            if not page["next_cursor"]:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert page["total_count"] == len(rows)
        assert [(t["id"], t["seq"], t["type"], t["amount"], t["balance_after"]) for t in told] == [
            (str(row.pk), row.seq, row.type, row.amount, row.balance_after) for row in reversed(rows)
        ]


def in_any_order_of_expiry(entries: list[tuple[str, int, int]]) -> list[list[tuple[str, int, int]]]:
    """What expired at once may have been entered in any order."""
    runs = groupby(entries, key=lambda entry: entry[0] == "expiry")
    return [sorted(run) if expired else list(run) for expired, run in runs]


def cost(price: dict[str, Any]) -> int:
    return int(price["amount"] if "amount" in price else PRICE_LIST[price["operation"]] * price["quantity"])


def other(name: str) -> str:
    return {"penora": "imagegene", "imagegene": "penora", "alice": "bob", "bob": "alice"}[name]


def pick(items: Sequence[Item], which: int) -> Item:
    return items[-1 - which % len(items)]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def assert_has(answer: dict[str, Any], **fields: Any) -> None:
    assert {name: answer.get(name, "is missing") for name in fields} == fields


@contextmanager
def nothing_written(*, unless: bool = False) -> Iterator[None]:
    """Every row of the books is what it was, to the byte."""
    before = None if unless else all_rows()
    yield
    if before is not None:
        assert all_rows() == before


def all_rows() -> dict[str, list[Any]]:
    rows = {}
    with connection.cursor() as cursor:
        for table in ROWS:
            cursor.execute(f"SELECT * FROM credits_{table} ORDER BY 1")
            rows[table] = cursor.fetchall()
    return rows


def empty_tables() -> None:
    """Each example begins with nobody. (The ledger refuses TRUNCATE; a superuser's session may leave triggers out.)"""
    tables = ", ".join(
        sorted(set(connection.introspection.django_table_names(only_existing=True)) - KEEP_BETWEEN_TESTS)
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET session_replication_role = replica; TRUNCATE {tables}; SET session_replication_role = origin"
        )


def run(number: int) -> None:
    machine = seed(number)(type(f"CreditsOfSeed{number}", (Credits,), {}))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            derandomize=False,  # which it is by itself in CI; but the seed says what is to be run
            phases=[Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def ready(committed_db: None, caplog: pytest.LogCaptureFixture) -> None:
    # A failure is told by its steps; thousands of lines about requests would bury them.
    caplog.set_level(logging.WARNING, logger="unified.requests")
    # All of our code is loaded at the start, or the first seed would find fewer numbers in it than the next.
    resolve("/api/unified/user-info")
    call_command("sweep", stdout=StringIO())


@pytest.mark.skipif(bool(FUZZ_SECONDS or FUZZ_SEED), reason="make fuzz takes its own seeds")
def test_every_operation_does_what_the_model_says(ready: None) -> None:
    for number in SEEDS:
        run(number)
        missed = [what for what in TO_BE_SEEN if not seen[what]]
        if number >= 2 and not missed:
            break
    print(f"{number} seeds:", dict(seen))
    assert not missed, "these steps lead past something"


@pytest.mark.skipif(not (FUZZ_SECONDS or FUZZ_SEED), reason="for make fuzz")
def test_new_seeds_until_the_time_is_over(ready: None) -> None:
    ends = time.monotonic() + FUZZ_SECONDS
    seeds = 0
    while True:
        number = int(FUZZ_SEED) if FUZZ_SEED else secrets.randbelow(2**32)
        try:
            run(number)
        except KeyboardInterrupt:
            raise
        except BaseException:  # pytest's own failures are no Exception
            print(f"\nSeed {number} fails, after {seeds} that did not. To see it again: make fuzz SEED={number};")
            print("or, whatever becomes of the code, call the steps that Hypothesis shows in a test with `ready`.")
            raise
        seeds += 1
        print(f"seed {number} is right: {seen['steps']} steps of {seeds} seeds", flush=True)
        if FUZZ_SEED or time.monotonic() > ends:
            return
