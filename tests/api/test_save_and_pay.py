"""POST save-project with `charge` or `hold_id`: saved and paid for, or neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import App, User
from credits import services as credits
from credits.models import Account, Hold, LedgerEntry
from credits.pricing import change_price
from tests.api.conftest import (
    NO_AMOUNTS,
    NO_IDS,
    NO_OPERATIONS,
    NO_QUANTITIES,
    assert_replayed,
    available_bytes,
    everything_of,
    position,
    refused,
    reserve,
)
from tests.api.pictures import as_data_uri, draw
from tests.api.test_save_project import ROUTE, body, kept
from tests.client import ApiClient
from tests.clock import let_pass
from workspace.models import Project, Reservation, Storage

MEGABYTE = 1_048_576
OPERATION = {"operation": "basic_art", "quantity": 3}
AMOUNT = {"amount": 20, "description": "A large picture"}
BROKEN_PICTURE = as_data_uri(draw("PNG")[:-30], "image/png")


def deduction_of(user: User) -> LedgerEntry:
    return LedgerEntry.objects.get(account=user.account, type="deduction")


def fill(client: ApiClient, *, leaving: int) -> None:
    """Takes all of alice's room that can be taken, but `leaving` bytes."""
    kept(client.post(ROUTE, body(content="x" * (available_bytes(client) - leaving))))


def assert_saved_and_paid(response: Any, user: User, *, amount: int, new_balance: int) -> LedgerEntry:
    """201, the project's row, and one deduction that names its code; both in the answer."""
    project, _ = kept(response)
    entry = deduction_of(user)
    assert response.json()["charge"] == {
        "credits_deducted": amount,
        "new_balance": new_balance,
        "transaction_id": str(entry.pk),
    }
    assert (entry.amount, entry.project_code) == (-amount, project.code)
    assert response.json()["project_code"] == project.code
    return entry


# --- charge -----------------------------------------------------------------------------------------------------------


def test_an_operation_is_charged_and_described_by_its_name_and_the_title(
    alice: User, imagegene: App, as_imagegene: ApiClient
) -> None:
    response = as_imagegene.post(ROUTE, body(charge=OPERATION))

    entry = assert_saved_and_paid(response, alice, amount=6, new_balance=44)
    assert entry.description == "Basic AI art generation - Generated Landscape Art"
    assert entry.operation is not None
    assert (entry.operation.slug, entry.quantity, entry.app) == ("basic_art", 3, imagegene)
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held) == (44, 0)


def test_the_rest_of_the_answer_is_that_of_any_saved_project(alice: User, as_imagegene: ApiClient) -> None:
    plain = as_imagegene.post(ROUTE, body()).json()
    paid = as_imagegene.post(ROUTE, body(charge=OPERATION)).json()

    assert "charge" not in plain
    assert set(paid) - set(plain) == {"charge"}
    assert paid["storage_stats"]["used_bytes"] == 2 * plain["storage_stats"]["used_bytes"] == 40


def test_an_operation_without_a_quantity_is_one_of_it(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(charge={"operation": "basic_art"}))

    assert assert_saved_and_paid(response, alice, amount=2, new_balance=48).quantity == 1


def test_an_operation_may_be_described_otherwise(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(charge={**OPERATION, "description": "Three tries"}))

    assert assert_saved_and_paid(response, alice, amount=6, new_balance=44).description == "Three tries"


def test_the_longest_title_fits_into_the_description(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(charge=OPERATION, title="é" * 200))

    entry = assert_saved_and_paid(response, alice, amount=6, new_balance=44)
    assert entry.description == "Basic AI art generation - " + "é" * 200


def test_an_amount_is_charged_as_described(alice: User, imagegene: App, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(charge=AMOUNT))

    entry = assert_saved_and_paid(response, alice, amount=20, new_balance=30)
    assert (entry.description, entry.operation, entry.quantity) == ("A large picture", None, None)
    assert entry.app == imagegene


def test_two_point_zero_is_two(alice: User, as_imagegene: ApiClient) -> None:
    assert_saved_and_paid(
        as_imagegene.post(ROUTE, body(charge={"amount": 2.0, "description": "x"})), alice, amount=2, new_balance=48
    )


def test_a_charge_is_seen_in_the_history(alice: User, as_imagegene: ApiClient, as_penora: ApiClient) -> None:
    code = as_imagegene.post(ROUTE, body(charge=OPERATION)).json()["project_code"]

    newest = as_penora.get("transactions", user_id="alice").json()["all_transactions"][0]
    assert (newest["type"], newest["amount"], newest["project_code"]) == ("deduction", -6, code)


@pytest.mark.parametrize("absent", [{"charge": None}, {"hold_id": None}, {"charge": None, "hold_id": None}])
def test_null_is_taken_as_absent(alice: User, as_imagegene: ApiClient, absent: dict[str, Any]) -> None:
    response = as_imagegene.post(ROUTE, body(**absent))

    kept(response)
    assert "charge" not in response.json()
    assert position(as_imagegene) == (50, 0)


def test_who_cannot_pay_saves_nothing(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(charge={"amount": 51, "description": "Too much"})

    answer = refused(as_imagegene, ROUTE, wanted, about=alice, status=402, code="insufficient_credits")

    assert (answer["credits"], answer["needed"], answer["shortfall"]) == (50, 51, 1)
    assert answer["details"] == "User has 50 credits but needs 51"
    assert [step["plan"] for step in answer["upgrade"]] == ["plus", "pro"]
    assert not Project.objects.exists()


def test_what_is_held_cannot_pay(alice: User, as_imagegene: ApiClient) -> None:
    reserve(as_imagegene, amount=45)

    answer = refused(as_imagegene, ROUTE, body(charge=OPERATION), about=alice, status=402, code="insufficient_credits")

    assert (answer["credits"], answer["shortfall"]) == (5, 1)


def test_who_has_no_room_pays_nothing(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(charge=AMOUNT, content="x" * (MEGABYTE + 1))

    answer = refused(as_imagegene, ROUTE, wanted, about=alice, status=413, code="storage_limit_exceeded")

    assert (answer["needed_bytes"], answer["available_bytes"]) == (MEGABYTE + 1, MEGABYTE)


def test_who_has_neither_credits_nor_room_hears_of_the_credits(alice: User, as_imagegene: ApiClient) -> None:
    """As reserve-credits answers. Buying room first would not help."""
    too_much = {"amount": 51, "description": "Too much"}
    wanted = body(charge=too_much, content="x" * (MEGABYTE + 1))

    refused(as_imagegene, ROUTE, wanted, about=alice, status=402, code="insufficient_credits")
    reserved = {"user_id": "alice", "app_name": "imagegene", "amount": 51, "storage_bytes": MEGABYTE + 1}
    refused(as_imagegene, "reserve-credits", reserved, about=alice, status=402, code="insufficient_credits")


def test_who_has_too_many_projects_pays_nothing(alice: User, as_imagegene: ApiClient, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 1
    as_imagegene.post(ROUTE, body())

    answer = refused(as_imagegene, ROUTE, body(charge=AMOUNT), about=alice, status=413, code="project_limit_reached")

    assert answer["limit"] == 1


def test_a_broken_picture_costs_nothing(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    for payment in ({"charge": OPERATION}, {"hold_id": held}):
        wanted = body(content=BROKEN_PICTURE, **payment)
        refused(as_imagegene, ROUTE, wanted, about=alice, code="invalid_image", field="content")


def test_metadata_that_is_too_large_costs_nothing(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, storage_bytes=10)["hold_id"]

    for payment in ({"charge": OPERATION}, {"hold_id": held}):
        refused(as_imagegene, ROUTE, body(metadata={"k": "x" * 9_000}, **payment), about=alice, field="metadata")


def test_a_picture_is_saved_and_paid_for(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(content=as_data_uri(draw("PNG"), "image/png"), charge=OPERATION))

    assert_saved_and_paid(response, alice, amount=6, new_balance=44)
    assert response.json()["content_type"].startswith("image/")


@pytest.mark.parametrize("charge", ["x", "", [], [AMOUNT], 7, 0, True, False])
def test_a_charge_that_is_no_object_is_refused(alice: User, as_imagegene: ApiClient, charge: Any) -> None:
    answer = refused(as_imagegene, ROUTE, body(charge=charge), about=alice, field="charge")

    assert all(isinstance(message, str) for message in answer["fields"]["charge"])


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_an_amount_that_is_no_amount_is_refused(alice: User, as_imagegene: ApiClient, amount: Any) -> None:
    refused(as_imagegene, ROUTE, body(charge={**AMOUNT, "amount": amount}), about=alice, field="charge.amount")


@pytest.mark.parametrize("quantity", NO_QUANTITIES)
def test_a_quantity_that_is_no_quantity_is_refused(alice: User, as_imagegene: ApiClient, quantity: Any) -> None:
    wanted = body(charge={**OPERATION, "quantity": quantity})

    refused(as_imagegene, ROUTE, wanted, about=alice, field="charge.quantity")


@pytest.mark.parametrize("operation", NO_OPERATIONS)
def test_an_operation_that_is_not_on_the_price_list_is_refused(
    alice: User, as_imagegene: ApiClient, operation: Any
) -> None:
    wanted = body(charge={**OPERATION, "operation": operation})

    refused(as_imagegene, ROUTE, wanted, about=alice, field="charge.operation")


@pytest.mark.parametrize("quantity", [500_001, 1_000_000])
def test_a_total_of_over_a_million_is_refused(alice: User, as_imagegene: ApiClient, quantity: int) -> None:
    wanted = body(charge={**OPERATION, "quantity": quantity})

    refused(as_imagegene, ROUTE, wanted, about=alice, field="charge.quantity")


@pytest.mark.parametrize("description", ["", "x" * 501, 7, True, None, [], {}])
def test_a_description_that_is_none_is_refused(alice: User, as_imagegene: ApiClient, description: Any) -> None:
    for charge in (AMOUNT, OPERATION):
        wanted = body(charge={**charge, "description": description})
        refused(as_imagegene, ROUTE, wanted, about=alice, field="charge.description")


def test_either_an_amount_or_an_operation(alice: User, as_imagegene: ApiClient) -> None:
    refused(as_imagegene, ROUTE, body(charge={**OPERATION, **AMOUNT}), about=alice, field="charge.amount")
    refused(as_imagegene, ROUTE, body(charge={**AMOUNT, "quantity": 3}), about=alice, field="charge.quantity")
    refused(as_imagegene, ROUTE, body(charge={}), about=alice, field="charge.amount")
    refused(as_imagegene, ROUTE, body(charge={"description": "x"}), about=alice, field="charge.amount")


def test_an_amount_needs_a_description(alice: User, as_imagegene: ApiClient) -> None:
    refused(as_imagegene, ROUTE, body(charge={"amount": 2}), about=alice, field="charge.description")


def test_nobody_elses_app_is_charged_for(alice: User, as_penora: ApiClient) -> None:
    refused(as_penora, ROUTE, body(charge=OPERATION), about=alice, status=403, code="permission_denied")


def test_nothing_is_saved_or_charged_for_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    User.objects.filter(pk=alice.pk).update(is_active=False)

    for payment in ({"charge": OPERATION}, {"hold_id": held}):
        refused(as_imagegene, ROUTE, body(**payment), about=alice, status=403, code="permission_denied")


def test_a_charge_can_be_refunded(alice: User, as_imagegene: ApiClient) -> None:
    paid = as_imagegene.post(ROUTE, body(charge=OPERATION)).json()

    refund = as_imagegene.post(
        "refund-credits", transaction_id=paid["charge"]["transaction_id"], reason="It was not liked"
    )

    assert (refund.status_code, refund.json()["new_balance"]) == (200, 50)
    assert LedgerEntry.objects.get(type="refund").project_code == paid["project_code"]


def test_a_repeat_with_the_same_key_saves_and_charges_once(alice: User, as_imagegene: ApiClient) -> None:
    assert_replayed(as_imagegene, ROUTE, body(charge=OPERATION), about=alice, status=201)

    assert Project.objects.count() == 1
    assert position(as_imagegene) == (44, 0)


def test_refusals_are_kept_with_their_keys(alice: User, as_imagegene: ApiClient) -> None:
    poor = body(charge={"amount": 51, "description": "Too much"})
    full = body(charge=OPERATION, content="x" * (MEGABYTE + 1))
    assert_replayed(as_imagegene, ROUTE, poor, about=alice, status=402)
    assert_replayed(as_imagegene, ROUTE, full, about=alice, status=413)
    credits.grant(user=alice, amount=50, source=LedgerEntry.Source.PROMOTION, description="Topped up")
    Storage.objects.filter(user=alice).update(limit_bytes=10 * MEGABYTE)

    for wanted, status in ((poor, 402), (full, 413)):
        again = as_imagegene.post(ROUTE, wanted, headers={"Idempotency-Key": f"{ROUTE}-{status}"})
        assert (again.status_code, again["Idempotent-Replayed"]) == (status, "true")
    assert not Project.objects.exists()


# --- hold_id ----------------------------------------------------------------------------------------------------------


def test_a_hold_is_captured_and_the_project_saved(alice: User, imagegene: App, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    response = as_imagegene.post(ROUTE, body(hold_id=held))

    entry = assert_saved_and_paid(response, alice, amount=20, new_balance=30)
    assert (entry.description, entry.app, entry.metadata) == ("A picture", imagegene, {"hold_id": held})
    hold = Hold.objects.get()
    assert (hold.status, hold.entry) == ("captured", entry)
    assert position(as_imagegene) == (30, 0)


def test_a_hold_of_an_operation_is_charged_as_it_was_held(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, amount=..., description=..., **OPERATION)["hold_id"]
    change_price(slug="basic_art", credits=9)

    entry = assert_saved_and_paid(as_imagegene.post(ROUTE, body(hold_id=held)), alice, amount=6, new_balance=44)

    assert entry.operation is not None
    assert (entry.operation.slug, entry.operation.version, entry.quantity) == ("basic_art", 1, 3)
    assert entry.description == "Basic AI art generation - Generated Landscape Art"


def test_the_code_of_the_new_project_is_noted_whatever_was_said_with_the_hold(
    alice: User, as_imagegene: ApiClient
) -> None:
    held = reserve(as_imagegene, project_code="OLD123")["hold_id"]

    assert_saved_and_paid(as_imagegene.post(ROUTE, body(hold_id=held)), alice, amount=20, new_balance=30)


def test_of_a_hold_a_part_may_be_charged_and_the_rest_is_free(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    response = as_imagegene.post(ROUTE, body(hold_id=held, charge={"amount": 7}))

    assert_saved_and_paid(response, alice, amount=7, new_balance=43)
    assert position(as_imagegene) == (43, 0)


def test_a_part_may_be_described_anew(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    response = as_imagegene.post(ROUTE, body(hold_id=held, charge=AMOUNT))

    assert assert_saved_and_paid(response, alice, amount=20, new_balance=30).description == "A large picture"


@pytest.mark.parametrize("charge", [None, {}])
def test_a_hold_with_no_other_charge_is_charged_whole(alice: User, as_imagegene: ApiClient, charge: Any) -> None:
    held = reserve(as_imagegene)["hold_id"]

    response = as_imagegene.post(ROUTE, body(hold_id=held, charge=charge))

    assert assert_saved_and_paid(response, alice, amount=20, new_balance=30).description == "A picture"


def test_the_whole_may_be_described_anew(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    response = as_imagegene.post(ROUTE, body(hold_id=held, charge={"description": "Finished"}))

    assert assert_saved_and_paid(response, alice, amount=20, new_balance=30).description == "Finished"


def test_an_amount_that_was_held_without_a_word_is_described_by_the_title(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, description=...)["hold_id"]

    response = as_imagegene.post(ROUTE, body(hold_id=held))

    assert deduction_of(alice).description == response.json()["title"] == "Generated Landscape Art"


def test_more_than_is_held_is_refused_and_the_hold_stays(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    refused(as_imagegene, ROUTE, body(hold_id=held, charge={"amount": 21}), about=alice, field="charge.amount")
    assert as_imagegene.post(ROUTE, body(hold_id=held)).status_code == 201


def test_a_hold_has_its_price_so_an_operation_is_refused(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, amount=..., **OPERATION)["hold_id"]
    before = everything_of(alice)

    for charge in (OPERATION, {"operation": "basic_art"}, {"quantity": 2}, {"amount": 2, "quantity": 2}):
        response = as_imagegene.post(ROUTE, body(hold_id=held, charge=charge))
        assert (response.status_code, response.json()["code"]) == (400, "validation_error")
        named = "operation" if "operation" in charge else "quantity"
        assert list(response.json()["fields"]) == [f"charge.{named}"]
    assert everything_of(alice) == before


@pytest.mark.parametrize("hold_id", NO_IDS)
def test_an_id_of_no_hold_is_a_404_that_repeats_it(alice: User, as_imagegene: ApiClient, hold_id: str) -> None:
    answer = refused(as_imagegene, ROUTE, body(hold_id=hold_id), about=alice, status=404, code="hold_not_found")

    assert answer["hold_id"] == hold_id


@pytest.mark.parametrize("hold_id", ["", "x" * 65, 7, True, [], {}])
def test_what_can_be_no_id_is_refused(alice: User, as_imagegene: ApiClient, hold_id: Any) -> None:
    refused(as_imagegene, ROUTE, body(hold_id=hold_id), about=alice, field="hold_id")


def test_somebody_elses_hold_is_the_same_404(
    alice: User, bob: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    theirs, bobs = reserve(as_imagegene)["hold_id"], reserve(as_imagegene, user_id="bob")["hold_id"]
    missing = refused(as_imagegene, ROUTE, body(hold_id=NO_IDS[0]), about=alice, status=404, code="hold_not_found")
    bob_before = everything_of(bob)

    for client, wanted in (
        (as_penora, body(app_source="penora", hold_id=theirs)),
        (as_imagegene, body(hold_id=bobs)),
        (as_imagegene, body(user_id="bob", hold_id=theirs)),
    ):
        answer = refused(client, ROUTE, wanted, about=alice, status=404, code="hold_not_found")
        assert answer == {**missing, "hold_id": wanted["hold_id"]}
    assert everything_of(bob) == bob_before
    assert not Project.objects.exists()


@pytest.mark.parametrize("tidied_up", [False, True])
def test_a_hold_whose_time_is_over_saves_nothing(alice: User, as_imagegene: ApiClient, tidied_up: bool) -> None:
    held = reserve(as_imagegene, storage_bytes=10)["hold_id"]
    let_pass(timedelta(seconds=901))
    if tidied_up:
        credits.settle(user=alice)

    answer = refused(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=409, code="hold_not_active")

    assert (answer["hold_id"], answer["status"]) == (held, "expired")


def test_a_released_hold_saves_nothing(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    as_imagegene.post("release-credits", hold_id=held)

    answer = refused(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=409, code="hold_not_active")

    assert answer["status"] == "released"


def test_a_hold_pays_for_one_project_only(alice: User, as_imagegene: ApiClient) -> None:
    first, second = reserve(as_imagegene)["hold_id"], reserve(as_imagegene)["hold_id"]
    as_imagegene.post(ROUTE, body(hold_id=first))
    as_imagegene.post("capture-credits", hold_id=second)

    for held in (first, second):
        answer = refused(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=409, code="hold_not_active")
        assert answer["status"] == "captured"
        assert answer["transaction_id"] == str(Hold.objects.get(pk=held).entry_id)
    assert Project.objects.count() == 1


def test_a_capture_after_it_paid_for_a_project_gives_that_result(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    paid = as_imagegene.post(ROUTE, body(hold_id=held)).json()["charge"]

    captured = as_imagegene.post("capture-credits", hold_id=held).json()

    assert captured["transaction_id"] == paid["transaction_id"]
    assert captured["new_balance"] == paid["new_balance"] == 30


def test_the_room_that_the_hold_has_kept_is_the_projects_to_use(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, storage_bytes=1_000)["hold_id"]
    fill(as_imagegene, leaving=0)
    assert as_imagegene.post(ROUTE, body(content="x")).status_code == 413

    response = as_imagegene.post(ROUTE, body(hold_id=held, content="x" * 1_000))

    assert_saved_and_paid(response, alice, amount=20, new_balance=30)
    assert response.json()["storage_stats"]["available_bytes"] == available_bytes(as_imagegene) == 0
    storage = Storage.objects.get(user=alice)
    assert (storage.used_bytes, storage.reserved_bytes) == (MEGABYTE, 0)
    assert not Reservation.objects.exists()


def test_room_that_was_kept_and_not_needed_is_free(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, storage_bytes=1_000)["hold_id"]

    as_imagegene.post(ROUTE, body(hold_id=held, content="x" * 10))

    assert available_bytes(as_imagegene) == MEGABYTE - 10


def test_more_room_than_was_kept_may_be_used_where_there_is_some(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, storage_bytes=1_000)["hold_id"]
    fill(as_imagegene, leaving=5)

    over = body(hold_id=held, content="x" * 1_006)
    answer = refused(as_imagegene, ROUTE, over, about=alice, status=413, code="storage_limit_exceeded")
    assert (answer["needed_bytes"], answer["available_bytes"]) == (1_006, 1_005)
    assert as_imagegene.post(ROUTE, body(hold_id=held, content="x" * 1_005)).status_code == 201


def test_the_room_of_another_hold_is_not_the_projects(alice: User, as_imagegene: ApiClient) -> None:
    reserve(as_imagegene, storage_bytes=1_000)
    held = reserve(as_imagegene)["hold_id"]
    fill(as_imagegene, leaving=0)

    wanted = body(hold_id=held, content="x")
    refused(as_imagegene, ROUTE, wanted, about=alice, status=413, code="storage_limit_exceeded")


def test_a_project_that_does_not_fit_leaves_the_hold_active(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene, storage_bytes=1_000)["hold_id"]

    wanted = body(hold_id=held, content="x" * (MEGABYTE + 1))
    refused(as_imagegene, ROUTE, wanted, about=alice, status=413, code="storage_limit_exceeded")

    assert (position(as_imagegene), available_bytes(as_imagegene)) == ((30, 20), MEGABYTE - 1_000)
    assert as_imagegene.post("capture-credits", hold_id=held).json()["new_balance"] == 30


def test_one_project_too_many_leaves_the_hold_active(alice: User, as_imagegene: ApiClient, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 0
    held = reserve(as_imagegene)["hold_id"]

    refused(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=413, code="project_limit_reached")

    assert as_imagegene.post("release-credits", hold_id=held).json()["status"] == "released"


def test_a_repeat_with_the_same_key_saves_and_captures_once(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    assert_replayed(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=201)

    assert Project.objects.count() == 1
    assert position(as_imagegene) == (30, 0)


def test_a_refused_hold_is_kept_with_its_key(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    as_imagegene.post("release-credits", hold_id=held)

    assert_replayed(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=409)


def test_who_saves_again_from_a_captured_hold_is_told_which_project_it_paid_for(
    alice: User, as_imagegene: ApiClient
) -> None:
    held = reserve(as_imagegene)["hold_id"]
    saved = as_imagegene.post(ROUTE, body(hold_id=held)).json()

    answer = refused(as_imagegene, ROUTE, body(hold_id=held), about=alice, status=409, code="hold_not_active")

    assert answer["project_code"] == saved["project_code"]
    assert answer["transaction_id"] == saved["charge"]["transaction_id"]
