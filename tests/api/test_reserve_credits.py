"""POST reserve-credits."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import Account, Hold, LedgerEntry, LotClaim
from tests.api.conftest import (
    NO_AMOUNTS,
    NO_OPERATIONS,
    NO_QUANTITIES,
    STAMP,
    assert_replayed,
    available_bytes,
    everything_of,
    position,
    refused,
    reserve,
)
from tests.client import ApiClient
from tests.clock import let_pass
from workspace.models import Reservation, Storage

ROUTE = "reserve-credits"
MEGABYTE = 1_048_576


def body(**changes: Any) -> dict[str, Any]:
    return {"user_id": "alice", "amount": 20, "app_name": "imagegene", "description": "A picture", **changes}


def priced(**changes: Any) -> dict[str, Any]:
    """A call that leaves the price to the server."""
    wanted = body(operation="basic_art", quantity=3, **changes)
    del wanted["amount"]
    return wanted


def test_a_hold_is_answered_and_written_and_is_no_transaction_yet(
    alice: User, imagegene: App, as_imagegene: ApiClient
) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(project_code="IMG123"))

    assert response.status_code == 201
    answer = response.json()
    hold = Hold.objects.get(account=alice.account)
    assert answer == {
        "success": True,
        "hold_id": str(hold.pk),
        "amount": 20,
        "credits": 30,
        "app_name": "imagegene",
        "operation": None,
        "quantity": None,
        "storage_bytes": 0,
        "expires_at": answer["expires_at"],
        "timestamp": answer["timestamp"],
    }
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert re.fullmatch(STAMP, answer["expires_at"])
    assert (hold.amount, hold.status, hold.app, hold.project_code) == (20, "active", imagegene, "IMG123")
    assert (hold.description, hold.operation, hold.quantity, hold.entry) == ("A picture", None, None, None)
    after = everything_of(alice)
    assert after["account"] == {**before["account"], "held": 20}
    assert len(after["holds"]) == 1
    unchanged = set(before) - {"account", "holds"}
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert as_imagegene.get("transactions", user_id="alice").json()["total_count"] == 1


def test_held_credits_cannot_be_spent_or_held_again_by_either_app(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    reserve(as_imagegene)

    assert position(as_penora) == (30, 20)
    for client, app in ((as_imagegene, "imagegene"), (as_penora, "penora")):
        too_much = {"user_id": "alice", "amount": 31, "app_name": app, "description": "Too much"}
        for route in ("deduct-credits", ROUTE):
            answer = refused(client, route, too_much, about=alice, status=402, code="insufficient_credits")
            assert (answer["credits"], answer["needed"], answer["shortfall"]) == (30, 31, 1)
    assert reserve(as_penora, amount=30, app_name="penora")["credits"] == 0
    assert position(as_imagegene) == (0, 50)
    assert Account.objects.get(user=alice).balance == 50


def test_who_cannot_pay_is_told_the_numbers_and_nothing_is_held(alice: User, as_imagegene: ApiClient) -> None:
    answer = refused(as_imagegene, ROUTE, body(amount=51), about=alice, status=402, code="insufficient_credits")

    assert (answer["error"], answer["details"]) == ("Insufficient credits", "User has 50 credits but needs 51")
    assert (answer["credits"], answer["needed"], answer["shortfall"]) == (50, 51, 1)
    assert [step["plan"] for step in answer["upgrade"]] == ["plus", "pro"]


def test_the_last_credit_can_be_held(alice: User, as_imagegene: ApiClient) -> None:
    assert reserve(as_imagegene, amount=50)["credits"] == 0


def test_two_point_zero_is_two(alice: User, as_imagegene: ApiClient) -> None:
    answer = as_imagegene.post(ROUTE, raw=b'{"user_id":"alice","amount":2.0,"app_name":"imagegene"}').json()

    assert (answer["amount"], answer["credits"]) == (2, 48)


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_an_amount_that_is_no_amount_is_refused(alice: User, as_imagegene: ApiClient, amount: Any) -> None:
    refused(as_imagegene, ROUTE, body(amount=amount), about=alice, field="amount")


def test_the_server_prices_an_operation(alice: User, as_imagegene: ApiClient) -> None:
    answer = as_imagegene.post(ROUTE, priced()).json()

    assert (answer["amount"], answer["credits"]) == (6, 44)
    assert (answer["operation"], answer["quantity"]) == ("basic_art", 3)
    hold = Hold.objects.get(account=alice.account)
    assert hold.operation is not None
    assert (hold.operation.slug, hold.operation.version, hold.quantity) == ("basic_art", 1, 3)


def test_an_operation_without_a_quantity_is_one_of_it(alice: User, as_imagegene: ApiClient) -> None:
    wanted = priced()
    del wanted["quantity"]

    answer = as_imagegene.post(ROUTE, wanted).json()

    assert (answer["amount"], answer["quantity"]) == (2, 1)


@pytest.mark.parametrize("operation", NO_OPERATIONS)
def test_an_operation_that_is_not_on_the_price_list_is_refused(
    alice: User, as_imagegene: ApiClient, operation: Any
) -> None:
    refused(as_imagegene, ROUTE, {**priced(), "operation": operation}, about=alice, field="operation")


@pytest.mark.parametrize("quantity", NO_QUANTITIES)
def test_a_quantity_that_is_no_quantity_is_refused(alice: User, as_imagegene: ApiClient, quantity: Any) -> None:
    refused(as_imagegene, ROUTE, {**priced(), "quantity": quantity}, about=alice, field="quantity")


def test_a_total_of_over_a_million_is_refused(alice: User, as_imagegene: ApiClient) -> None:
    for quantity in (500_001, 1_000_000):
        refused(as_imagegene, ROUTE, {**priced(), "quantity": quantity}, about=alice, field="quantity")
    assert as_imagegene.post(ROUTE, {**priced(), "quantity": 500_000}).status_code == 402


def test_either_an_amount_or_an_operation(alice: User, as_imagegene: ApiClient) -> None:
    neither = priced()
    del neither["operation"], neither["quantity"]

    refused(as_imagegene, ROUTE, {**priced(), "amount": 6}, about=alice, field="amount")
    refused(as_imagegene, ROUTE, body(quantity=3), about=alice, field="quantity")
    refused(as_imagegene, ROUTE, neither, about=alice, field="amount")


@pytest.mark.parametrize(("asked", "seconds"), [({}, 900), ({"expires_in": 1}, 1), ({"expires_in": 86_400}, 86_400)])
def test_a_hold_lives_for_fifteen_minutes_or_as_asked_for(
    alice: User, as_imagegene: ApiClient, asked: dict[str, int], seconds: int
) -> None:
    answer = reserve(as_imagegene, storage_bytes=10, **asked)

    life = datetime.fromisoformat(answer["expires_at"]) - datetime.fromisoformat(answer["timestamp"])
    assert life == timedelta(seconds=seconds)
    assert abs(datetime.fromisoformat(answer["timestamp"]) - timezone.now()) < timedelta(minutes=1)
    ends = datetime.fromisoformat(answer["expires_at"])
    assert Hold.objects.get(pk=answer["hold_id"]).expires_at == ends
    assert Reservation.objects.get(pk=answer["hold_id"]).expires_at == ends


@pytest.mark.parametrize("expires_in", [0, -1, 86_401, "60", 1.5, True, None, [], {}, 1e30])
def test_a_life_that_is_none_is_refused(alice: User, as_imagegene: ApiClient, expires_in: Any) -> None:
    refused(as_imagegene, ROUTE, body(expires_in=expires_in), about=alice, field="expires_in")


def test_what_was_held_is_free_again_when_its_time_is_over_though_nobody_has_tidied_up(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    reserve(as_imagegene, amount=50, storage_bytes=MEGABYTE)
    let_pass(timedelta(seconds=890))
    assert (position(as_penora), available_bytes(as_penora)) == ((0, 50), 0)

    let_pass(timedelta(seconds=11))

    assert (position(as_penora), available_bytes(as_penora)) == ((50, 0), MEGABYTE)
    again = reserve(as_imagegene, amount=50, storage_bytes=MEGABYTE)
    assert again["credits"] == 0
    assert [hold.status for hold in Hold.objects.filter(account=alice.account).order_by("created_at")] == [
        "expired",
        "active",
    ]
    assert [str(row.pk) for row in Reservation.objects.filter(storage=alice.pk)] == [again["hold_id"]]


def test_room_is_held_as_well_and_is_not_used_yet(alice: User, as_imagegene: ApiClient, as_penora: ApiClient) -> None:
    answer = reserve(as_imagegene, storage_bytes=100_000)

    assert answer["storage_bytes"] == 100_000
    assert available_bytes(as_penora) == MEGABYTE - 100_000
    stats = as_penora.get("storage-stats", user_id="alice").json()["storage_stats"]
    assert (stats["used_bytes"], stats["reserved_bytes"], stats["limit_bytes"]) == (0, 100_000, MEGABYTE)
    reservation = Reservation.objects.get(storage=alice.pk)
    assert (str(reservation.pk), reservation.size_bytes) == (answer["hold_id"], 100_000)
    assert Storage.objects.get(user=alice).reserved_bytes == 100_000


def test_held_room_cannot_be_used_or_held_again_by_either_app(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    reserve(as_imagegene, amount=1, storage_bytes=MEGABYTE - 5)
    project = {"user_id": "alice", "project_type": "page", "title": "Six bytes", "content": "123456"}

    for client, app in ((as_imagegene, "imagegene"), (as_penora, "penora")):
        for route, wanted in (
            ("save-project", {**project, "app_source": app}),
            (ROUTE, {"user_id": "alice", "amount": 1, "app_name": app, "storage_bytes": 6}),
        ):
            answer = refused(client, route, wanted, about=alice, status=413, code="storage_limit_exceeded")
            assert (answer["needed_bytes"], answer["available_bytes"]) == (6, 5)


def test_who_has_no_room_gets_no_hold_and_no_credits_are_held(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(storage_bytes=MEGABYTE + MEGABYTE // 2)

    answer = refused(as_imagegene, ROUTE, wanted, about=alice, status=413, code="storage_limit_exceeded")

    assert answer["error"] == "Storage limit exceeded"
    assert answer["details"] == "Adding 1.5MB would exceed 1MB limit"
    assert (answer["needed_bytes"], answer["available_bytes"]) == (MEGABYTE * 3 // 2, MEGABYTE)
    assert answer["largest"] == []
    assert [step["plan"] for step in answer["upgrade"]] == ["plus", "pro"]
    assert position(as_imagegene) == (50, 0)
    assert reserve(as_imagegene, storage_bytes=MEGABYTE)["storage_bytes"] == MEGABYTE


@pytest.mark.parametrize("storage_bytes", [0, -1, "10", 1.5, True, None, [], {}, 1e30, 2**63])
def test_room_that_is_no_number_of_bytes_is_refused(alice: User, as_imagegene: ApiClient, storage_bytes: Any) -> None:
    refused(as_imagegene, ROUTE, body(storage_bytes=storage_bytes), about=alice, field="storage_bytes")


def test_what_expires_first_is_held_first(alice: User, as_imagegene: ApiClient) -> None:
    gift = LedgerEntry.Source.PROMOTION
    ends = timezone.now() + timedelta(days=3)
    credits.grant(user=alice, amount=10, source=gift, description="A gift", expires_at=ends)

    reserve(as_imagegene, amount=7)

    claim = LotClaim.objects.get(hold__account=alice.account)
    assert (claim.amount, claim.lot.held, claim.lot.remaining) == (7, 7, 10)
    told = as_imagegene.get("user-info", user_id="alice").json()["expiring_credits"]
    assert [lot["credits"] for lot in told] == [3]
    reserve(as_imagegene, amount=7)
    assert [(claim.amount, claim.hold.amount) for claim in LotClaim.objects.order_by("pk")] == [(7, 7), (3, 7)]
    assert as_imagegene.get("user-info", user_id="alice").json()["expiring_credits"] == []


@pytest.mark.parametrize("description", ["x", "x" * 500, "  padded ", "é 日本 👩‍🎨", "two\nlines"])
def test_a_description_is_kept_exactly(alice: User, as_imagegene: ApiClient, description: str) -> None:
    reserve(as_imagegene, description=description)

    assert Hold.objects.get(account=alice.account).description == description


@pytest.mark.parametrize("code", ["IMG123", "no such project", "é", " x ", None])
def test_a_project_code_is_kept_as_given(alice: User, as_imagegene: ApiClient, code: str | None) -> None:
    reserve(as_imagegene, project_code=code)

    assert Hold.objects.get(account=alice.account).project_code == code


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("user_id", value) for value in ("", "x" * 256, "a\nb", 7, True, None, [], {})),
        *(("app_name", value) for value in ("", "nobody", "ImageGene", 7, True, None, [], {})),
        *(("description", value) for value in ("", "x" * 501, 7, True, None, [], {})),
        *(("project_code", value) for value in ("x" * 65, 7, True, [], {})),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, field: str, value: Any) -> None:
    refused(as_imagegene, ROUTE, body(**{field: value}), about=alice, field=field)


def test_all_missing_fields_are_named_at_once(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, {})

    assert response.status_code == 400
    assert {"user_id", "app_name"} <= set(response.json()["fields"])


def test_nobody_by_this_id_is_a_404_that_repeats_the_id(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(user_id="Alice")

    assert refused(as_imagegene, ROUTE, wanted, about=alice, status=404, code="user_not_found")["user_id"] == "Alice"


def test_nothing_is_held_of_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    refused(as_imagegene, ROUTE, body(), about=alice, status=403, code="permission_denied")


def test_a_repeat_with_the_same_key_holds_once(alice: User, as_imagegene: ApiClient) -> None:
    assert_replayed(as_imagegene, ROUTE, body(storage_bytes=5), about=alice, status=201)

    assert (position(as_imagegene), available_bytes(as_imagegene)) == ((30, 20), MEGABYTE - 5)
    assert Hold.objects.count() == Reservation.objects.count() == 1


def test_without_a_key_every_call_holds(alice: User, as_imagegene: ApiClient) -> None:
    assert reserve(as_imagegene)["hold_id"] != reserve(as_imagegene)["hold_id"]
    assert position(as_imagegene) == (10, 40)


def test_a_late_retry_of_a_refusal_never_succeeds_by_surprise(alice: User, as_imagegene: ApiClient) -> None:
    poor, full = body(amount=51), body(storage_bytes=MEGABYTE + 1)
    assert_replayed(as_imagegene, ROUTE, poor, about=alice, status=402)
    assert_replayed(as_imagegene, ROUTE, full, about=alice, status=413)
    credits.grant(user=alice, amount=100, source=LedgerEntry.Source.PROMOTION, description="Topped up")
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="pro"))
    Storage.objects.filter(user=alice).update(limit_bytes=100 * MEGABYTE)

    for wanted, status in ((poor, 402), (full, 413)):
        again = as_imagegene.post(ROUTE, wanted, headers={"Idempotency-Key": f"{ROUTE}-{status}"})
        assert (again.status_code, again["Idempotent-Replayed"]) == (status, "true")
    assert not Hold.objects.exists()
    assert as_imagegene.post(ROUTE, poor, headers={"Idempotency-Key": "another"}).status_code == 201
