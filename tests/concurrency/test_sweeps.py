"""Sweeps in any number, beside traffic: what has expired is entered once, and a plan's credits come once a period."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import Account, Grant, Hold, LedgerEntry
from tests.client import ApiClient
from tests.clock import let_pass
from tests.concurrency.books import assert_everything_is_proved
from tests.concurrency.crowd import together
from tests.conftest import make_user
from unified import services
from workspace.models import Reservation, Storage

NAMES = ("alice", "bob", "cyd", "dora")
SWEEPS = 4


@pytest.fixture(autouse=True)
def warm(as_penora: ApiClient) -> None:
    """A client's first call loads the middleware: that would take longer than the work, and string a crowd out."""
    as_penora.get("pricing")


def sweep() -> str:
    out = StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue()


@pytest.fixture
def people(committed_db: None) -> list[User]:
    return [make_user(name) for name in NAMES]


def test_four_sweeps_beside_traffic_enter_each_lot_and_end_each_hold_once(
    people: list[User], imagegene: App, as_penora: ApiClient
) -> None:
    """
    Seen to fail: without the account's lock sweeps left people undone; with entry_account_seq_unique gone as well,
    there were 20 expiries instead of 8.
    """
    ends = timezone.now() + timedelta(minutes=1)
    for person in people:
        for amount in (10, 4):
            credits.grant(
                user=person, amount=amount, source=LedgerEntry.Source.PROMOTION, description="gift", expires_at=ends
            )
        terms = {"amount": 12, "description": "picture", "expires_in_seconds": 60}
        services.reserve(user=person, app=imagegene, storage_bytes=1_000, **terms)
    let_pass(timedelta(minutes=2))

    def work(index: int) -> Any:
        if index < SWEEPS:
            return sweep()
        name = NAMES[index % len(NAMES)]
        return as_penora.post(
            "deduct-credits", user_id=name, amount=1, app_name="penora", description="page"
        ).status_code

    outcomes = together(SWEEPS + 12, work)

    assert outcomes[SWEEPS:] == [200] * 12
    assert all("left undone" not in outcome for outcome in outcomes[:SWEEPS])
    expired = LedgerEntry.objects.filter(type="expiry").values_list("account", "related", "amount")
    assert sorted(expired) == sorted((lot.account_id, lot.entry_id, -lot.amount) for lot in Grant.objects.all())
    assert len(expired) == 2 * len(people)
    assert Counter(Hold.objects.values_list("status", flat=True)) == {"expired": len(people)}
    assert Reservation.objects.count() == 0
    assert set(Storage.objects.values_list("reserved_bytes", flat=True)) == {0}
    assert set(Account.objects.values_list("balance", "held", "in_lots")) == {(47, 0, 0)}
    assert_everything_is_proved()
    assert sweep().startswith("0 accounts settled, 0 workspaces freed of reservations and 0 of old trash, plan credits")


def test_sweeps_and_others_that_give_a_plan_s_credits_give_them_once_a_period(
    people: list[User], as_penora: ApiClient
) -> None:
    """
    Seen to fail: with the look for an earlier grant before the account's lock, calls crashed on
    lot_once_a_plan_period; with that gone as well, everybody had a month's credits twice.
    """
    plus = Plan.objects.get(slug="plus")
    for person in people:
        services.change_plan(user=person, plan=plus)

    for month in range(1, 3):
        let_pass(timedelta(days=32))

        def work(index: int) -> Any:
            if index < SWEEPS:
                return sweep()
            person = people[index % len(people)]
            if index % 8 < 4:
                return credits.grant_plan_credits(user=person)
            return as_penora.post(
                "deduct-credits", user_id=person.user_id, amount=1, app_name="penora", description="page"
            ).status_code

        outcomes = together(SWEEPS + 16, work)

        assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
        given = LedgerEntry.objects.filter(source="plan").values_list("account", flat=True)
        assert Counter(given) == {person.pk: 1 + month for person in people}
        expired = LedgerEntry.objects.filter(type="expiry").values_list("related", flat=True)
        assert Counter(expired) == dict.fromkeys(expired, 1)
        assert len(expired) == month * len(people)
        assert_everything_is_proved()


def test_a_plan_that_is_chosen_many_times_at_once_gives_its_first_month_once(people: list[User]) -> None:
    """
    A member of staff clicks, a payment arrives, and sweeps run.

    Seen to fail: without the lock on the person's row the plan began anew with each call, and people had several first
    months. With the plan joined to the row that is locked, whoever had waited was told that there is no such user:
    PostgreSQL looks at the changed row again, and with the former plan's row it makes no pair any more.
    """
    plus = Plan.objects.get(slug="plus")

    def work(index: int) -> Any:
        if index < SWEEPS:
            return sweep()
        return services.change_plan(user=people[index % len(people)], plan=plus).plan_id

    outcomes = together(SWEEPS + 16, work)

    assert outcomes[SWEEPS:] == [plus.pk] * 16
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    given = LedgerEntry.objects.filter(source="plan").values_list("account", "amount")
    assert sorted(given) == [(person.pk, 200) for person in people]
    assert set(Account.objects.values_list("balance", "in_lots")) == {(250, 200)}
    assert set(Storage.objects.values_list("limit_bytes", flat=True)) == {plus.storage_limit_bytes}
    assert_everything_is_proved()
