"""manage.py sweep: tidies up what is over, gives what is due, finds nothing a second time, and stumbles over nobody."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import Account, Grant, Hold, LedgerEntry
from credits.queries import position_of
from tests.api.conftest import tripwire
from tests.client import ApiClient
from tests.clock import let_pass
from tests.conftest import make_user
from unified import services
from unified.api.models import IdempotencyRecord
from unified.management.commands import sweep as command
from workspace.models import Reservation, Storage

NOTHING = (
    "0 accounts settled, 0 workspaces freed of reservations and 0 of old trash, "
    "plan credits given to 0, 0 idempotency keys removed.\n"
)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def sweep() -> str:
    out = StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue()


def give_lot(user: User, amount: int, lasts: timedelta) -> None:
    gift = LedgerEntry.Source.PROMOTION
    until = timezone.now() + lasts
    credits.grant(user=user, amount=amount, source=gift, description="lot", expires_at=until)


def hold(user: User, amount: int, seconds: int, **terms: Any) -> Hold:
    app = App.objects.get(slug="imagegene")
    return services.reserve(user=user, app=app, amount=amount, description="h", expires_in_seconds=seconds, **terms)[0]


def on_plus(user: User) -> None:
    """On a plan with 200 credits a month, and not yet given any."""
    User.objects.filter(pk=user.pk).update(plan=Plan.objects.get(slug="plus"))


# --- idempotency keys ------------------------------------------------------------------------------------------------


@pytest.fixture
def two_keys(alice: User, as_imagegene: ApiClient) -> None:
    for key in ("old", "young"):
        as_imagegene.post(
            "deduct-credits",
            {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "test"},
            headers={"Idempotency-Key": key},
        )


def test_only_keys_past_their_days_go(two_keys: None) -> None:
    week = timedelta(days=7)
    IdempotencyRecord.objects.filter(key="old").update(created_at=timezone.now() - week - timedelta(minutes=1))
    IdempotencyRecord.objects.filter(key="young").update(created_at=timezone.now() - week + timedelta(minutes=1))

    said = sweep()

    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["young"]
    assert said == NOTHING.replace("0 idempotency keys", "1 idempotency key")
    assert sweep() == NOTHING


def test_keys_go_in_batches_until_none_is_left(two_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BATCH_OF_KEYS", 1)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(days=30))

    assert sweep() == NOTHING.replace("0 idempotency", "2 idempotency")
    assert not IdempotencyRecord.objects.exists()


# --- people ----------------------------------------------------------------------------------------------------------


def test_nothing_is_found_where_there_is_nothing(alice: User) -> None:
    give_lot(alice, 10, DAY)
    hold(alice, 5, 86_400, storage_bytes=10)

    assert sweep() == NOTHING
    assert Account.objects.get(user=alice).held == 5
    assert Reservation.objects.count() == 1


def test_what_is_over_is_tidied_up_and_what_is_due_is_given(alice: User, bob: User) -> None:
    carol, dave = make_user("carol"), make_user("dave")
    give_lot(alice, 10, HOUR)
    give_lot(alice, 10, 9 * DAY)
    over, lives = hold(bob, 20, 3_600, storage_bytes=100), hold(bob, 5, 86_400, storage_bytes=7)
    on_plus(carol)
    let_pass(2 * HOUR)
    before = {user.pk: position_of(user) for user in (alice, bob, dave)}

    assert sweep() == (
        "2 accounts settled, 1 workspace freed of reservations and 0 of old trash, "
        "plan credits given to 1, 0 idempotency keys removed.\n"
    )

    assert {user.pk: position_of(user) for user in (alice, bob, dave)} == before  # it was so to everybody already
    assert LedgerEntry.objects.get(type="expiry").account_id == alice.pk
    assert Account.objects.get(user=alice).in_lots == 10
    assert list(
        Hold.objects.filter(pk__in=[over.pk, lives.pk]).order_by("amount").values_list("status", flat=True)
    ) == [
        *("active", "expired"),
    ]
    assert Account.objects.get(user=bob).held == 5
    assert Storage.objects.get(user=bob).reserved_bytes == 7
    assert list(Reservation.objects.values_list("pk", flat=True)) == [lives.pk]
    assert position_of(carol).spendable == 250
    assert sweep() == NOTHING


def test_a_person_with_several_things_that_are_over_is_one_account(alice: User) -> None:
    give_lot(alice, 10, HOUR)
    give_lot(alice, 10, HOUR)
    hold(alice, 15, 60)
    hold(alice, 1, 60)
    let_pass(2 * HOUR)

    assert sweep() == NOTHING.replace("0 accounts", "1 account")
    assert LedgerEntry.objects.filter(type="expiry").count() == 2
    assert sweep() == NOTHING


def test_what_is_claimed_of_an_expired_lot_waits_for_its_hold(alice: User) -> None:
    give_lot(alice, 10, HOUR)
    hold(alice, 10, 86_400)
    let_pass(2 * HOUR)

    assert credits.users_to_settle(limit=10) == []  # all of the lot is claimed
    assert sweep() == NOTHING
    assert position_of(alice).balance == 60
    let_pass(DAY)
    assert sweep() == NOTHING.replace("0 accounts", "1 account")
    assert position_of(alice).balance == 50
    assert sweep() == NOTHING


def test_all_are_reached_however_many_a_statement_finds(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BATCH_OF_USERS", 2)
    people = [make_user(f"person{number}") for number in range(7)]
    for number, user in enumerate(people):
        give_lot(user, 10, HOUR)
        give_lot(user, 5, HOUR)
        if number % 2:
            hold(user, 1, 60, storage_bytes=1)
            hold(user, 1, 61, storage_bytes=1)
        on_plus(user)
    let_pass(2 * HOUR)

    assert sweep() == (
        "7 accounts settled, 3 workspaces freed of reservations and 0 of old trash, "
        "plan credits given to 7, 0 idempotency keys removed.\n"
    )
    assert {position_of(user).spendable for user in people} == {250}
    assert not Reservation.objects.exists()
    assert Grant.objects.filter(remaining__gt=0).count() == 7
    assert sweep() == NOTHING


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_one_who_cannot_be_tidied_up_after_does_not_stop_the_others(
    alice: User, bob: User, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(command, "BATCH_OF_USERS", batch)
    carol = make_user("carol")
    for user in (alice, bob, carol):
        give_lot(user, 10, HOUR)
        hold(user, 1, 60, storage_bytes=1)
        on_plus(user)
    let_pass(2 * HOUR)
    out, err = StringIO(), StringIO()

    with (
        tripwire("credits_ledgerentry", "INSERT", f"IF NEW.account_id = {bob.pk} THEN RAISE EXCEPTION 'no'; END IF;"),
        caplog.at_level("ERROR", logger="unified.sweep"),
        pytest.raises(SystemExit) as end,
    ):
        call_command("sweep", stdout=out, stderr=err)

    assert end.value.code == 1
    assert out.getvalue() == (
        "2 accounts settled, 3 workspaces freed of reservations and 0 of old trash, "
        "plan credits given to 2, 0 idempotency keys removed.\n"
    )
    assert err.getvalue() == "2 left undone; see the log.\n"  # bob's expiry and bob's plan credits
    assert [record.getMessage() for record in caplog.records] == [f"user {bob.pk} could not be tidied up after"] * 2
    assert [Account.objects.get(user=user).in_lots for user in (alice, bob, carol)] == [200, 10, 200]
    assert [position_of(user).spendable for user in (alice, bob, carol)] == [250, 50, 250]

    # The cause is gone, and so the next sweep does what was left undone.
    assert sweep() == NOTHING.replace("0 accounts", "1 account").replace("given to 0", "given to 1")
    assert sweep() == NOTHING


def test_a_transaction_a_person(committed_db: None) -> None:
    """So a sweep holds one account at a time, and what it has done stays done if it is killed."""
    people = [make_user(name) for name in ("alice", "bob")]
    for user in people:
        give_lot(user, 10, HOUR)
    let_pass(2 * HOUR)

    with CaptureQueriesContext(connection) as captured:
        assert sweep().startswith("2 accounts settled")

    statements = [query["sql"] for query in captured]
    locks = [place for place, sql in enumerate(statements) if 'FROM "credits_account"' in sql and "FOR UPDATE" in sql]
    assert len(locks) == 2
    assert [statements[place - 1] for place in locks] == ["BEGIN"] * 2
    assert statements[locks[0] : locks[1]].count("COMMIT") == 1
