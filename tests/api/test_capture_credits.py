"""POST capture-credits."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, User
from credits import services as credits
from credits.models import Account, Hold, LedgerEntry
from credits.pricing import change_price
from tests.api.conftest import (
    NO_AMOUNTS,
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
from workspace.models import Reservation, Storage

ROUTE = "capture-credits"
MEGABYTE = 1_048_576
GIFT = LedgerEntry.Source.PROMOTION


def deduction_of(user: User) -> LedgerEntry:
    return LedgerEntry.objects.get(account=user.account, type="deduction")


def priced(client: ApiClient, **changes: Any) -> dict[str, Any]:
    """The answer to a hold that leaves the price to the server: three pictures of 2 credits each."""
    return reserve(client, **{"amount": ..., "operation": "basic_art", "quantity": 3, **changes})


def test_a_capture_is_answered_and_writes_one_deduction(alice: User, imagegene: App, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, project_code="IMG123")

    response = as_imagegene.post(ROUTE, hold_id=held["hold_id"])

    assert response.status_code == 200
    answer = response.json()
    entry = deduction_of(alice)
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "hold_id": held["hold_id"],
        "credits_deducted": 20,
        "credits_released": 0,
        "new_balance": 30,
        "app_name": "imagegene",
        "transaction_id": str(entry.pk),
        "timestamp": answer["timestamp"],
    }
    assert (entry.seq, entry.amount, entry.balance_after) == (2, -20, 30)
    assert (entry.app, entry.description, entry.project_code) == (imagegene, "A picture", "IMG123")
    assert (entry.operation, entry.quantity, entry.related) == (None, None, None)
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.seq) == (30, 0, 2)
    hold = Hold.objects.get()
    assert (hold.status, hold.entry, hold.amount) == ("captured", entry, 20)
    listed = as_imagegene.get("transactions", user_id="alice").json()["all_transactions"]
    assert [(entry["type"], entry["amount"]) for entry in listed] == [("deduction", -20), ("grant", 50)]
    assert listed[0]["metadata"]["hold_id"] == held["hold_id"]


def test_a_capture_of_a_part_frees_the_rest(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)

    answer = as_imagegene.post(ROUTE, hold_id=held["hold_id"], amount=7).json()

    assert (answer["credits_deducted"], answer["credits_released"], answer["new_balance"]) == (7, 13, 43)
    assert position(as_imagegene) == (43, 0)
    assert deduction_of(alice).amount == -7
    assert as_imagegene.post("deduct-credits", user_id="alice", amount=43, app_name="imagegene", description="All")


def test_other_holds_stay_as_they_are(alice: User, as_imagegene: ApiClient) -> None:
    first, second = reserve(as_imagegene), reserve(as_imagegene, amount=30)

    assert as_imagegene.post(ROUTE, hold_id=first["hold_id"], amount=5).json()["new_balance"] == 15
    assert position(as_imagegene) == (15, 30)
    assert as_imagegene.post(ROUTE, hold_id=second["hold_id"]).json()["new_balance"] == 15


def test_all_of_it_may_be_named(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)

    answer = as_imagegene.post(
        ROUTE, raw=f'{{"hold_id":"{held["hold_id"]}","amount":20.0,"user_id":"alice"}}'.encode()
    ).json()

    assert (answer["credits_deducted"], answer["credits_released"]) == (20, 0)


def test_more_than_is_held_is_refused_and_the_hold_stays(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)

    for amount in (21, 50, 1_000_000):
        refused(as_imagegene, ROUTE, {"hold_id": held["hold_id"], "amount": amount}, about=alice, field="amount")
    assert as_imagegene.post(ROUTE, hold_id=held["hold_id"]).status_code == 200


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_an_amount_that_is_no_amount_is_refused(alice: User, as_imagegene: ApiClient, amount: Any) -> None:
    held = reserve(as_imagegene)

    refused(as_imagegene, ROUTE, {"hold_id": held["hold_id"], "amount": amount}, about=alice, field="amount")


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
    refused(as_imagegene, ROUTE, {"amount": 1, "user_id": "alice"}, about=alice, field="hold_id")


def test_somebody_elses_hold_is_the_same_404(
    alice: User, bob: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    held = reserve(as_imagegene)["hold_id"]
    none = NO_IDS[0]
    missing = refused(as_penora, ROUTE, {"hold_id": none}, about=alice, status=404, code="hold_not_found")

    for client, whose in ((as_penora, {}), (as_penora, {"user_id": "alice"}), (as_imagegene, {"user_id": "bob"})):
        wanted = {"hold_id": held, **whose}
        answer = refused(client, ROUTE, wanted, about=alice, status=404, code="hold_not_found")
        assert answer == {**missing, "hold_id": held}
    assert everything_of(bob)["account"]["balance"] == 50
    assert as_imagegene.post(ROUTE, hold_id=held, user_id="alice").status_code == 200


def test_a_repeat_gives_the_first_result_whatever_has_happened_since(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    first = as_imagegene.post(ROUTE, hold_id=held, amount=5)
    as_imagegene.post("deduct-credits", user_id="alice", amount=9, app_name="imagegene", description="Meanwhile")
    reserve(as_imagegene, amount=3)
    as_imagegene.post("refund-credits", transaction_id=first.json()["transaction_id"], reason="A mistake")
    before = everything_of(alice)

    again = as_imagegene.post(ROUTE, hold_id=held, amount=5)

    assert (again.status_code, again.content) == (200, first.content)
    assert everything_of(alice) == before


def test_a_repeat_after_its_time_gives_the_first_result_too(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    first = as_imagegene.post(ROUTE, hold_id=held).json()
    let_pass(timedelta(days=2))

    again = as_imagegene.post(ROUTE, hold_id=held).json()

    del first["timestamp"], again["timestamp"]  # it has been moved into the past as well
    assert again == first
    assert LedgerEntry.objects.filter(account=alice.account).count() == 2


@pytest.mark.parametrize(
    ("first", "second"), [({"amount": 5}, {"amount": 6}), ({"amount": 5}, {}), ({}, {"amount": 5})]
)
def test_a_repeat_with_another_amount_is_a_409(
    alice: User, as_imagegene: ApiClient, first: dict[str, int], second: dict[str, int]
) -> None:
    held = reserve(as_imagegene)
    captured = as_imagegene.post(ROUTE, hold_id=held["hold_id"], **first).json()

    answer = refused(
        as_imagegene, ROUTE, {"hold_id": held["hold_id"], **second}, about=alice, status=409, code="hold_not_active"
    )

    assert (answer["error"], answer["hold_id"], answer["status"]) == ("Hold not active", held["hold_id"], "captured")
    assert answer["transaction_id"] == captured["transaction_id"]
    assert answer["expires_at"] == held["expires_at"]


def test_a_released_hold_cannot_be_captured(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    as_imagegene.post("release-credits", hold_id=held)

    answer = refused(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=409, code="hold_not_active")

    assert (answer["status"], answer["transaction_id"]) == ("released", None)
    assert position(as_imagegene) == (50, 0)


@pytest.mark.parametrize("tidied_up", [False, True])
def test_a_hold_whose_time_is_over_cannot_be_captured(alice: User, as_imagegene: ApiClient, tidied_up: bool) -> None:
    held = reserve(as_imagegene)["hold_id"]
    let_pass(timedelta(seconds=901))
    if tidied_up:
        credits.settle(user=alice)

    answer = refused(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=409, code="hold_not_active")

    assert (answer["status"], answer["transaction_id"]) == ("expired", None)
    assert position(as_imagegene) == (50, 0)


def test_what_was_held_before_a_price_changed_is_charged_as_it_was_held(alice: User, as_imagegene: ApiClient) -> None:
    held = priced(as_imagegene)
    change_price(slug="basic_art", credits=7)
    assert priced(as_imagegene, quantity=1)["amount"] == 7

    answer = as_imagegene.post(ROUTE, hold_id=held["hold_id"]).json()

    assert answer["credits_deducted"] == 6
    entry = deduction_of(alice)
    assert entry.operation is not None
    assert (entry.operation.slug, entry.operation.version, entry.quantity) == ("basic_art", 1, 3)


def test_what_was_held_before_an_operation_was_withdrawn_can_be_captured(alice: User, as_imagegene: ApiClient) -> None:
    held = priced(as_imagegene)
    change_price(slug="basic_art", credits=2, is_active=False)

    assert as_imagegene.post(ROUTE, hold_id=held["hold_id"]).json()["credits_deducted"] == 6


def test_a_deduction_of_an_operation_says_which_and_how_many(alice: User, as_imagegene: ApiClient) -> None:
    held = priced(as_imagegene)

    as_imagegene.post(ROUTE, hold_id=held["hold_id"])

    newest = as_imagegene.get("transactions", user_id="alice").json()["all_transactions"][0]
    assert (newest["operation"], newest["quantity"], newest["amount"]) == ("basic_art", 3, -6)


@pytest.mark.parametrize(("amount", "quantity"), [(6, 3), (5, 3), (4, 2), (2, 1), (1, 1)])
def test_of_a_part_as_many_are_said_as_were_begun(
    alice: User, as_imagegene: ApiClient, amount: int, quantity: int
) -> None:
    held = priced(as_imagegene)

    as_imagegene.post(ROUTE, hold_id=held["hold_id"], amount=amount)

    assert (deduction_of(alice).amount, deduction_of(alice).quantity) == (-amount, quantity)


def test_a_description_and_a_project_may_be_given_at_last(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, project_code="OLD123")["hold_id"]

    as_imagegene.post(ROUTE, hold_id=held, description="  A finished picture ", project_code="NEW123")

    entry = deduction_of(alice)
    assert (entry.description, entry.project_code) == ("  A finished picture ", "NEW123")


def test_where_nothing_was_said_the_operation_describes_it(alice: User, as_imagegene: ApiClient) -> None:
    held = priced(as_imagegene, description=...)["hold_id"]

    as_imagegene.post(ROUTE, hold_id=held)

    assert deduction_of(alice).description == "Basic AI art generation"


def test_no_deduction_is_without_a_description(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, description=...)["hold_id"]

    as_imagegene.post(ROUTE, hold_id=held)

    assert deduction_of(alice).description


def test_a_project_of_null_is_the_one_given_with_the_hold(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, project_code="OLD123")["hold_id"]

    assert as_imagegene.post(ROUTE, hold_id=held, project_code=None).status_code == 200
    assert deduction_of(alice).project_code == "OLD123"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("user_id", value) for value in ("", "x" * 256, "a\nb", 7, True, None, [], {})),
        *(("description", value) for value in ("", "x" * 501, 7, True, None, [], {})),
        *(("project_code", value) for value in ("x" * 65, 7, True, [], {})),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, field: str, value: Any) -> None:
    held = reserve(as_imagegene)["hold_id"]

    refused(as_imagegene, ROUTE, {"hold_id": held, field: value}, about=alice, field=field)


def test_it_is_paid_from_what_the_hold_had_claimed_though_that_has_expired_meanwhile(
    alice: User, as_imagegene: ApiClient
) -> None:
    credits.grant(
        user=alice, amount=10, source=GIFT, description="A gift", expires_at=timezone.now() + timedelta(hours=1)
    )
    held = reserve(as_imagegene, amount=15, expires_in=7_200)["hold_id"]
    let_pass(timedelta(hours=1, minutes=1))
    assert position(as_imagegene) == (45, 15)

    answer = as_imagegene.post(ROUTE, hold_id=held, amount=8).json()

    # Of the 10 that have expired, 8 were spent and 2 are gone; the 5 of the rest are free again.
    assert (answer["credits_deducted"], answer["credits_released"], answer["new_balance"]) == (8, 7, 50)
    listed = as_imagegene.get("transactions", user_id="alice").json()["all_transactions"]
    assert [(entry["type"], entry["amount"]) for entry in listed[:2]] == [("expiry", -2), ("deduction", -8)]
    assert position(as_imagegene) == (50, 0)
    (lot,) = everything_of(alice)["lots"]
    assert (lot["remaining"], lot["held"]) == (0, 0)


def test_the_room_is_free_again(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, storage_bytes=100_000)["hold_id"]
    other = reserve(as_imagegene, storage_bytes=1_000)["hold_id"]

    assert as_imagegene.post(ROUTE, hold_id=held).status_code == 200

    assert available_bytes(as_imagegene) == MEGABYTE - 1_000
    assert [str(row.pk) for row in Reservation.objects.all()] == [other]
    assert Storage.objects.get(user=alice).reserved_bytes == 1_000


def test_nothing_is_captured_of_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    User.objects.filter(pk=alice.pk).update(is_active=False)

    refused(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=403, code="permission_denied")


def test_a_repeat_with_the_same_key_captures_once(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    assert_replayed(as_imagegene, ROUTE, {"hold_id": held, "amount": 4}, about=alice, status=200)
    assert deduction_of(alice).amount == -4


def test_a_refusal_is_kept_with_its_key(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    let_pass(timedelta(seconds=901))

    assert_replayed(as_imagegene, ROUTE, {"hold_id": held}, about=alice, status=409)
