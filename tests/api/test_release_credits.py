"""POST release-credits."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from credits import services as credits
from credits.models import Hold, LedgerEntry
from tests.api.conftest import (
    NO_IDS,
    STAMP,
    assert_replayed,
    available_bytes,
    everything_of,
    misspelt,
    position,
    refused,
    reserve,
)
from tests.client import ApiClient
from tests.clock import let_pass
from workspace.models import Reservation

ROUTE = "release-credits"
MEGABYTE = 1_048_576


def test_a_release_frees_all_and_is_no_transaction(alice: User, as_imagegene: ApiClient) -> None:
    before = everything_of(alice)
    held = reserve(as_imagegene, storage_bytes=100_000)["hold_id"]

    response = as_imagegene.post(ROUTE, hold_id=held)

    assert response.status_code == 200
    answer = response.json()
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "hold_id": held,
        "status": "released",
        "credits_released": 20,
        "new_balance": 50,
        "timestamp": answer["timestamp"],
    }
    after = everything_of(alice)
    (hold,) = after.pop("holds")
    assert (hold["status"], hold["entry_id"], hold["amount"]) == ("released", None, 20)
    del before["holds"]
    assert after == before
    assert (position(as_imagegene), available_bytes(as_imagegene)) == ((50, 0), MEGABYTE)
    assert not Reservation.objects.exists()


def test_what_was_freed_can_be_spent(alice: User, as_imagegene: ApiClient, as_penora: ApiClient) -> None:
    held = reserve(as_imagegene, amount=50)["hold_id"]

    as_imagegene.post(ROUTE, hold_id=held)

    spent = as_penora.post("deduct-credits", user_id="alice", amount=50, app_name="penora", description="All of it")
    assert (spent.status_code, spent.json()["new_balance"]) == (200, 0)


def test_other_holds_stay_as_they_are(alice: User, as_imagegene: ApiClient) -> None:
    first = reserve(as_imagegene, storage_bytes=10)["hold_id"]
    second = reserve(as_imagegene, amount=7, storage_bytes=20)["hold_id"]

    assert as_imagegene.post(ROUTE, hold_id=first).json()["new_balance"] == 43
    assert (position(as_imagegene), available_bytes(as_imagegene)) == ((43, 7), MEGABYTE - 20)
    assert as_imagegene.post("capture-credits", hold_id=second).status_code == 200


def test_a_repeat_gives_the_first_result_whatever_has_happened_since(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    first = as_imagegene.post(ROUTE, hold_id=held)
    as_imagegene.post("deduct-credits", user_id="alice", amount=9, app_name="imagegene", description="Meanwhile")
    reserve(as_imagegene, amount=3)
    before = everything_of(alice)

    again = as_imagegene.post(ROUTE, hold_id=held)

    assert (again.status_code, again.content) == (200, first.content)
    assert everything_of(alice) == before


@pytest.mark.parametrize("tidied_up", [False, True])
def test_a_hold_whose_time_is_over_is_said_to_have_expired(
    alice: User, as_imagegene: ApiClient, tidied_up: bool
) -> None:
    held = reserve(as_imagegene, storage_bytes=10)["hold_id"]
    let_pass(timedelta(seconds=901))
    if tidied_up:
        credits.settle(user=alice)

    response = as_imagegene.post(ROUTE, hold_id=held)

    assert response.status_code == 200
    answer = response.json()
    assert (answer["hold_id"], answer["status"]) == (held, "expired")
    assert (answer["credits_released"], answer["new_balance"]) == (20, 50)
    assert Hold.objects.get().status == "expired"
    assert (position(as_imagegene), available_bytes(as_imagegene)) == ((50, 0), MEGABYTE)
    assert LedgerEntry.objects.filter(account=alice.account).count() == 1
    assert as_imagegene.post(ROUTE, hold_id=held).content == response.content


def test_a_captured_hold_cannot_be_released(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)
    captured = as_imagegene.post("capture-credits", hold_id=held["hold_id"], amount=5).json()

    answer = refused(as_imagegene, ROUTE, {"hold_id": held["hold_id"]}, about=alice, status=409, code="hold_not_active")

    assert (answer["error"], answer["hold_id"], answer["status"]) == ("Hold not active", held["hold_id"], "captured")
    assert answer["transaction_id"] == captured["transaction_id"]
    assert answer["expires_at"] == held["expires_at"]
    assert position(as_imagegene) == (45, 0)


def test_what_has_expired_while_it_was_held_is_gone(alice: User, as_imagegene: ApiClient) -> None:
    gift, ends = LedgerEntry.Source.PROMOTION, timezone.now() + timedelta(hours=1)
    credits.grant(user=alice, amount=10, source=gift, description="A gift", expires_at=ends)
    held = reserve(as_imagegene, amount=15, expires_in=7_200)["hold_id"]
    let_pass(timedelta(hours=1, minutes=1))

    answer = as_imagegene.post(ROUTE, hold_id=held).json()

    assert (answer["status"], answer["credits_released"], answer["new_balance"]) == ("released", 15, 50)
    newest = as_imagegene.get("transactions", user_id="alice").json()["all_transactions"][0]
    assert (newest["type"], newest["amount"], newest["balance_after"]) == ("expiry", -10, 50)


@pytest.mark.parametrize("hold_id", NO_IDS)
def test_an_id_of_no_hold_is_a_404_that_repeats_it(alice: User, as_imagegene: ApiClient, hold_id: str) -> None:
    reserve(as_imagegene)

    answer = refused(as_imagegene, ROUTE, {"hold_id": hold_id}, about=alice, status=404, code="hold_not_found")

    assert (answer["error"], answer["hold_id"]) == ("Hold not found", hold_id)


def test_an_id_is_taken_as_answers_write_it_only(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    for hold_id in misspelt(held):
        refused(as_imagegene, ROUTE, {"hold_id": hold_id}, about=alice, status=404, code="hold_not_found")
    assert as_imagegene.post(ROUTE, hold_id=held).status_code == 200


@pytest.mark.parametrize("hold_id", ["", "x" * 65, 7, True, None, [], {}])
def test_what_can_be_no_id_is_refused(alice: User, as_imagegene: ApiClient, hold_id: Any) -> None:
    refused(as_imagegene, ROUTE, {"hold_id": hold_id}, about=alice, field="hold_id")


def test_a_call_that_names_no_hold_is_refused(alice: User, as_imagegene: ApiClient) -> None:
    refused(as_imagegene, ROUTE, {"user_id": "alice"}, about=alice, field="hold_id")


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\nb", 7, True, None, [], {}])
def test_a_person_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, user_id: Any) -> None:
    held = reserve(as_imagegene)["hold_id"]

    refused(as_imagegene, ROUTE, {"hold_id": held, "user_id": user_id}, about=alice, field="user_id")


def test_somebody_elses_hold_is_the_same_404(
    alice: User, bob: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    held = reserve(as_imagegene)["hold_id"]
    missing = refused(as_penora, ROUTE, {"hold_id": NO_IDS[0]}, about=alice, status=404, code="hold_not_found")

    for client, whose in ((as_penora, {}), (as_penora, {"user_id": "alice"}), (as_imagegene, {"user_id": "bob"})):
        wanted = {"hold_id": held, **whose}
        answer = refused(client, ROUTE, wanted, about=alice, status=404, code="hold_not_found")
        assert answer == {**missing, "hold_id": held}
    assert as_imagegene.post(ROUTE, hold_id=held, user_id="alice").status_code == 200


def test_nothing_is_released_for_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    User.objects.filter(pk=alice.pk).update(is_active=False)

    refused(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=403, code="permission_denied")


def test_a_repeat_with_the_same_key_gets_the_first_answer(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    assert_replayed(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=200)


def test_a_refusal_is_kept_with_its_key(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    as_imagegene.post("capture-credits", hold_id=held)

    assert_replayed(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=409)
