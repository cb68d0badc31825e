"""
The bank test: both apps do everything that moves credits, at once, on three accounts, while somebody kills database
connections in the middle of it. What the callers were told is then held against the books: no credit was made, none
was lost, and every answer is in the books once, as is nothing else.

A round is a seed and a plan that follows from it; `UNIFIED_BANK_SECONDS` adds rounds with further seeds until that
time is over. The numbers are printed: `make test ARGS="tests/concurrency/test_bank.py -s"`.
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from accounts.models import User
from credits import services
from credits.models import Account, Hold, LedgerEntry
from tests.client import ApiClient
from tests.concurrency.books import assert_everything_is_proved, deadlocks
from tests.concurrency.crowd import PATIENCE_SECONDS, background, together
from tests.conftest import make_user
from unified.api.models import IdempotencyRecord
from workspace.models import Project

SEEDS = (1, 2)
WORKERS = 8
DEEDS = 90  # of each worker, in a round
KILLS = 40  # in a round
ATTEMPTS = 60  # of one call, until it has an answer
SOAK_SECONDS = float(os.environ.get("UNIFIED_BANK_SECONDS") or 0)

APPS = ("penora", "imagegene")
# What a worker does next, and how often.
DEED_WEIGHTS = {
    "deduct": 22,
    "reserve": 24,
    "capture": 14,
    "release": 7,
    "refund": 12,
    "grant": 9,
    "save_and_pay": 6,
    "save_from_hold": 6,
}
EXPECTED = {
    *("200", "201", "done", "refused"),
    *("insufficient_credits", "hold_not_active", "refund_exceeds_charge", "storage_limit_exceeded"),
}


@dataclass(frozen=True)
class Movement:
    """An entry of the books as a caller was told of it."""

    user_id: str
    type: str
    amount: int


@dataclass
class Bank:
    """What the callers know: the holds and deductions that they may go on with, and all that they were told."""

    seed: int
    people: list[User]
    keys: dict[str, str]
    movements: dict[str, Movement] = field(default_factory=dict)
    captures: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # hold -> its transactions
    reserved: dict[str, tuple[str, int]] = field(default_factory=dict)  # hold -> whose, how much
    ended: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # hold -> how, as it was told
    projects: dict[str, str] = field(default_factory=dict)  # code -> the transaction that paid for it
    kept_keys: set[tuple[str, str]] = field(default_factory=set)
    open_holds: dict[str, list[tuple[str, str, int]]] = field(default_factory=lambda: defaultdict(list))
    deductions: dict[str, list[tuple[str, str, int]]] = field(default_factory=lambda: defaultdict(list))
    counted: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_over: bool = False

    def has_done(self, what: str, answer: str | None = None) -> None:
        with self.changed:
            self.counted[what] += 1
            if answer:
                self.answered[answer] += 1
            self.changed.notify_all()

    def note(self, transaction_id: str, movement: Movement, *, again: bool = False) -> None:
        """Takes down an entry that a caller was told of; only a capture may be told of `again`."""
        with self.changed:
            assert again or transaction_id not in self.movements, "one entry was the answer to two calls"
            assert self.movements.setdefault(transaction_id, movement) == movement


class Worker:
    """One process of an app's server: a call after the other, each with a key, each repeated until it has an answer."""

    def __init__(self, bank: Bank, index: int) -> None:
        self.bank = bank
        self.chance = random.Random(f"{bank.seed}-{index}")
        self.app = APPS[index % 2]
        self.client = ApiClient(key=bank.keys[self.app])
        self.keys = (f"{bank.seed}-{index}-{number}" for number in itertools.count())

    def work(self) -> None:
        names, weights = zip(*DEED_WEIGHTS.items(), strict=True)
        for _ in range(DEEDS):
            getattr(self, self.chance.choices(names, weights)[0])()

    # --- deeds --------------------------------------------------------------------------------------------------------

    def deduct(self) -> None:
        user_id, amount = self.someone(), self.chance.randint(1, 9)
        price = {"operation": "basic_art", "quantity": amount} if amount < 3 else {"amount": amount}
        answer = self.post("deduct-credits", user_id=user_id, app_name=self.app, description="work", **price)
        if answer.status_code == 200:
            assert answer.json()["credits_deducted"] == (2 * amount if "operation" in price else amount)
            self.paid(user_id, answer.json())

    def reserve(self) -> None:
        user_id, amount = self.someone(), self.chance.randint(1, 12)
        room = {"storage_bytes": 1_000} if self.chance.random() < 0.3 else {}
        seconds = self.chance.choice([1, 2, 600, 600, 600])
        answer = self.post(
            "reserve-credits", user_id=user_id, app_name=self.app, amount=amount, expires_in=seconds, **room
        )
        if answer.status_code == 201:
            hold_id = answer.json()["hold_id"]
            with self.bank.changed:
                assert hold_id not in self.bank.reserved
                self.bank.reserved[hold_id] = (user_id, amount)
                self.bank.open_holds[self.app].append((hold_id, user_id, amount))

    def capture(self) -> None:
        hold = self.some(self.bank.open_holds)
        if hold is None:
            return self.reserve()
        hold_id, user_id, amount = hold
        part = {"amount": self.chance.randint(1, amount)} if self.chance.random() < 0.5 else {}
        answer = self.post("capture-credits", hold_id=hold_id, **part)
        if answer.status_code == 200:
            assert answer.json()["credits_deducted"] == part.get("amount", amount)
            assert answer.json()["credits_released"] == amount - part.get("amount", amount)
            self.paid(user_id, answer.json(), hold_id=hold_id)
        return None

    def release(self) -> None:
        hold = self.some(self.bank.open_holds)
        if hold is None:
            return self.reserve()
        answer = self.post("release-credits", hold_id=hold[0])
        if answer.status_code == 200:
            assert answer.json()["credits_released"] == hold[2]
            with self.bank.changed:
                self.bank.ended[hold[0]].add(answer.json()["status"])
        return None

    def refund(self) -> None:
        deduction = self.some(self.bank.deductions)
        if deduction is None:
            return self.deduct()
        transaction_id, user_id, amount = deduction
        part = {"amount": self.chance.randint(1, amount)} if self.chance.random() < 0.6 else {}
        answer = self.post("refund-credits", transaction_id=transaction_id, reason="did not work", **part)
        if answer.status_code == 200:
            body = answer.json()
            assert body["related_transaction_id"] == transaction_id
            self.bank.note(body["transaction_id"], Movement(user_id, "refund", body["credits_refunded"]))
        return None

    def save_and_pay(self) -> None:
        user_id, amount = self.someone(), self.chance.randint(1, 4)
        self.save(user_id, charge={"amount": amount, "description": "page"})

    def save_from_hold(self) -> None:
        hold = self.some(self.bank.open_holds)
        if hold is None:
            return self.reserve()
        hold_id, user_id, amount = hold
        part = {"charge": {"amount": self.chance.randint(1, amount)}} if self.chance.random() < 0.5 else {}
        return self.save(user_id, hold_id=hold_id, **part)

    def save(self, user_id: str, **payment: Any) -> None:
        project = {"app_source": self.app, "project_type": "page", "title": "Page", "content": "x" * 700}
        answer = self.post("save-project", user_id=user_id, **project, **payment)
        if answer.status_code == 201:
            body = answer.json()
            self.paid(user_id, body["charge"], hold_id=payment.get("hold_id"), again=False)
            with self.bank.changed:
                assert body["project_code"] not in self.bank.projects
                self.bank.projects[body["project_code"]] = body["charge"]["transaction_id"]

    def grant(self) -> None:
        """A grant has no key and no call: whoever lost the connection looks in the books for what became of it."""
        name, amount = next(self.keys), self.chance.randint(5, 25)
        user = self.chance.choice(self.bank.people)
        seconds = self.chance.choice([None, 0.7, 2, 600])
        for _ in range(ATTEMPTS):
            close_old_connections()
            try:
                entry = LedgerEntry.objects.filter(description=name).first() or services.grant(
                    user=user,
                    amount=amount,
                    source=LedgerEntry.Source.PROMOTION,
                    description=name,
                    expires_at=None if seconds is None else timezone.now() + timedelta(seconds=seconds),
                )
            except (OperationalError, InterfaceError):
                self.bank.has_done("retry after a lost connection")
            except services.InvalidGrant:  # it waited for longer than the credits would have lived
                self.bank.has_done("call", "grant refused")
                return
            else:
                self.bank.note(str(entry.pk), Movement(user.user_id, "grant", amount))
                self.bank.has_done("call", "grant done")
                return
        raise AssertionError(f"grant {name} was given up")

    # --- how they are done --------------------------------------------------------------------------------------------

    def someone(self) -> str:
        return self.chance.choice(self.bank.people).user_id

    def some(self, known: dict[str, list[tuple[str, str, int]]]) -> tuple[str, str, int] | None:
        """One of what this app may go on with. Sometimes it stays for others to take too, and they race for it."""
        with self.bank.changed:
            mine = known[self.app]
            if not mine:
                return None
            index = self.chance.randrange(len(mine))
            return mine[index] if self.chance.random() < 0.4 else mine.pop(index)

    def paid(self, user_id: str, body: dict[str, Any], *, hold_id: str | None = None, again: bool = True) -> None:
        transaction_id, amount = body["transaction_id"], body["credits_deducted"]
        self.bank.note(transaction_id, Movement(user_id, "deduction", -amount), again=again and hold_id is not None)
        with self.bank.changed:
            self.bank.deductions[self.app].append((transaction_id, user_id, amount))
            if hold_id:
                self.bank.captures[hold_id].add(transaction_id)
                self.bank.ended[hold_id].add("captured")

    def post(self, route: str, **fields: Any) -> Any:
        """The answer; sometimes asked for a second time, which must then be the same to the byte."""
        key = next(self.keys)
        answer = self.answer_to(route, key, fields)
        if answer.status_code in (200, 201, 402, 409, 413):
            with self.bank.changed:
                self.bank.kept_keys.add((self.app, key))
            if self.chance.random() < 0.1:
                repeat = self.answer_to(route, key, fields)
                assert (repeat.status_code, repeat.content) == (answer.status_code, answer.content)
                assert repeat["Idempotent-Replayed"] == "true"
                self.bank.has_done("replay")
        self.bank.has_done("call", f"{route} {answer.json().get('code') or answer.status_code}")
        return answer

    def answer_to(self, route: str, key: str, fields: dict[str, Any]) -> Any:
        for attempt in range(ATTEMPTS):
            close_old_connections()  # as a web process does before each request; the test client leaves it out
            answer = self.client.post(route, fields, headers={"Idempotency-Key": key})
            code = answer.json().get("code")
            if code == "internal_error":
                with self.bank.changed:
                    self.bank.crashes.append(f"{route} {fields}: {answer.json()['details']}")
            if code == "service_unavailable" and "outcome is unknown" in answer.json()["details"]:
                self.bank.has_done("retry after a lost connection")
            elif code in ("service_unavailable", "internal_error", "request_in_progress"):
                self.bank.has_done(f"retry after {code}")
            else:
                if attempt and "Idempotent-Replayed" in answer:
                    self.bank.has_done("answer that had been lost")
                return answer
        raise AssertionError(f"{route} with key {key} was given up")


def kill_connections(bank: Bank, spared: int) -> None:
    """
    Ends KILLS server processes of workers, each once a certain number of calls is through, and one that is at work just
    then: so whoever it hits is anywhere in a call. (The end of an idle one is mended unseen by its next call.)
    """
    chance = random.Random(f"{bank.seed}-killer")
    moments = sorted(chance.sample(range(WORKERS, WORKERS * DEEDS * 9 // 10), KILLS))
    parameters = {**connection.get_connection_params(), "application_name": "killer"}
    with closing(psycopg2.connect(**parameters)) as own, own.cursor() as cursor:
        own.autocommit = True
        for moment in moments:
            with bank.changed:
                bank.changed.wait_for(lambda moment=moment: bank.counted["call"] >= moment or bank.is_over)
            while not bank.is_over:
                cursor.execute(
                    "SELECT pid, CASE WHEN wait_event_type = 'Lock' THEN 'waiting for a lock'"
                    " WHEN state = 'active' THEN 'in ' || upper(split_part(ltrim(query), ' ', 1)) ELSE state END"
                    " FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'unified'"
                    " AND pid <> %s AND state <> 'idle' ORDER BY pid",
                    [spared],
                )
                by_state = defaultdict(list)
                for pid, at_what in cursor.fetchall():
                    by_state[at_what].append(pid)
                if by_state:
                    at_what = chance.choice(sorted(by_state))  # the rare ones, such as COMMIT, as likely as the common
                    pid = chance.choice(by_state[at_what])
                    cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
                    if cursor.fetchone() == (True,):
                        bank.killed[at_what] += 1
                        break


def assert_the_callers_and_the_books_agree(bank: Bank) -> None:
    assert bank.crashes == []
    assert {answer.split()[-1] for answer in bank.answered} <= EXPECTED
    accounts = {account.user_id: account for account in Account.objects.filter(user__in=bank.people)}
    names = {person.pk: person.user_id for person in bank.people}
    entries = list(LedgerEntry.objects.filter(account__in=accounts))
    # Every entry that somebody was told of is there, once and as told; and there is no other but what time has taken.
    written = {
        str(entry.pk): Movement(names[entry.account_id], entry.type, entry.amount)
        for entry in entries
        if entry.type != LedgerEntry.Type.EXPIRY
    }
    assert bank.movements == written
    # No credit made, none lost: what the callers were told, less what has expired, is what the accounts have.
    for person in bank.people:
        told = sum(movement.amount for movement in bank.movements.values() if movement.user_id == person.user_id)
        expired = sum(
            entry.amount for entry in entries if entry.account_id == person.pk and entry.type == LedgerEntry.Type.EXPIRY
        )
        assert accounts[person.pk].balance == told + expired
    assert_the_holds_are_as_told(bank, accounts)
    # Every project that somebody was told of is there, and paid for by the entry that names it.
    codes = Project.objects.filter(user__in=bank.people).values_list("code", flat=True)
    assert sorted(bank.projects) == sorted(codes)
    paid = LedgerEntry.objects.filter(account__in=accounts).exclude(project_code=None).exclude(type="refund")
    assert bank.projects == {entry.project_code: str(entry.pk) for entry in paid}
    # Every call with a final answer has its key kept, once, with an answer.
    records = IdempotencyRecord.objects.filter(key__startswith=f"{bank.seed}-").values_list("caller", "key", "status")
    assert sorted((caller, key) for caller, key, _ in records) == sorted(
        (f"app:{app}", key) for app, key in bank.kept_keys
    )
    assert all(status for _, _, status in records)
    assert_everything_is_proved()


def assert_the_holds_are_as_told(bank: Bank, accounts: dict[int, Account]) -> None:
    """Each hold ended as its callers were told, once; those that nobody ended are active or over, and nothing else."""
    holds = {str(hold.pk): hold for hold in Hold.objects.filter(account__in=accounts).select_related("account__user")}
    assert bank.reserved == {key: (hold.account.user.user_id, hold.amount) for key, hold in holds.items()}
    for hold_id, hold in holds.items():
        told = bank.ended.get(hold_id, set())
        if told:
            assert told == {hold.status}
        else:
            assert hold.status == "active" or (hold.status == "expired" and hold.resolved_at >= hold.expires_at)
        assert bank.captures.get(hold_id, set()) == ({str(hold.entry_id)} if hold.entry_id else set())
    for account in accounts.values():
        active = [hold.amount for hold in holds.values() if hold.account_id == account.pk and hold.status == "active"]
        assert account.held == sum(active)


def one_round(seed: int, keys: dict[str, str]) -> None:
    started = time.monotonic()
    people = [make_user(f"{name}-{seed}", initial_credits=0) for name in ("ada", "ben", "cyd")]
    bank = Bank(seed=seed, people=people, keys=keys)
    for person in people:
        entry = services.grant(user=person, amount=60, source=LedgerEntry.Source.PURCHASE, description="start")
        bank.note(str(entry.pk), Movement(person.user_id, "grant", 60))
    deadlocks_before = deadlocks()
    spared = connection.connection.info.backend_pid
    with background() as start:
        killer = start(lambda: kill_connections(bank, spared))
        try:
            outcomes = together(WORKERS, lambda index: Worker(bank, index).work())
        finally:
            with bank.changed:
                bank.is_over = True
                bank.changed.notify_all()
        killer.result(PATIENCE_SECONDS)
    show(bank, time.monotonic() - started)

    for problem in filter(None, outcomes):
        raise problem
    assert bank.killed.total() == KILLS
    assert bank.counted["retry after a lost connection"] > 0
    assert deadlocks() == deadlocks_before
    for person in people:
        services.settle(user=person)
    assert_the_callers_and_the_books_agree(bank)


def show(bank: Bank, seconds: float) -> None:
    retries = {name.removeprefix("retry "): count for name, count in bank.counted.items() if name.startswith("retry")}
    print(f"\nbank, seed {bank.seed}: {bank.counted['call']} calls and {bank.counted['replay']} replays", end="")
    print(f" by {WORKERS} workers in {seconds:.1f} s")
    print(f"  {bank.killed.total()} connections killed: {dict(bank.killed)}")
    print(f"  retries: {retries}; {bank.counted['answer that had been lost']} of them found the work done")
    print(f"  answers: {dict(sorted(bank.answered.items()))}")
    expired = LedgerEntry.objects.filter(type="expiry", account__in=[person.pk for person in bank.people]).count()
    print(
        f"  acknowledged: {len(bank.movements)} entries, {len(bank.reserved)} holds, {len(bank.projects)} projects;",
        end="",
    )
    print(f" beside them {expired} expiries")


@pytest.fixture
def quiet_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line a request would bury what is worth reading; crashes and database trouble are still logged."""
    monkeypatch.setattr(logging.getLogger("unified.requests"), "disabled", True)


@pytest.mark.usefixtures("committed_db", "quiet_requests")
def test_no_credit_is_made_or_lost_while_connections_are_killed(penora_key: str, imagegene_key: str) -> None:
    """
    Seen to fail: without the account's lock grants crashed on entry_account_seq_unique; with that gone as well, calls
    were stopped by the CHECKs on accounts and never done; with the claim of the key committed apart from the work,
    calls were answered with the empty body of an unfinished record.
    """
    keys = {"penora": penora_key, "imagegene": imagegene_key}
    ends_at = time.monotonic() + SOAK_SECONDS
    seeds = itertools.count(SEEDS[0])
    for seed in seeds:
        one_round(seed, keys)
        if seed >= SEEDS[-1] and time.monotonic() >= ends_at:
            break
