"""POST refund-credits."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, User
from credits import services as credits
from credits.models import Account, Grant, LedgerEntry, LotUse
from tests.api.conftest import (
    NO_AMOUNTS,
    NO_IDS,
    STAMP,
    assert_replayed,
    everything_of,
    misspelt,
    position,
    refused,
    reserve,
)
from tests.client import ApiClient
from tests.clock import let_pass

ROUTE = "refund-credits"
GIFT = LedgerEntry.Source.PROMOTION


def spend(client: ApiClient, amount: int = 20, *, app: str = "imagegene", **changes: Any) -> str:
    """The id of a deduction of alice's credits."""
    wanted = {"user_id": "alice", "amount": amount, "app_name": app, "description": "A picture", **changes}
    response = client.post("deduct-credits", wanted)
    assert response.status_code == 200, response.content
    transaction_id: str = response.json()["transaction_id"]
    return transaction_id


def body(transaction_id: str, **changes: Any) -> dict[str, Any]:
    return {"transaction_id": transaction_id, "reason": "The picture failed", **changes}


def expiring(client: ApiClient) -> list[tuple[int, datetime]]:
    """Alice's credits that will expire, and when."""
    told = client.get("user-info", user_id="alice").json()["expiring_credits"]
    return [(lot["credits"], datetime.fromisoformat(lot["expires_at"])) for lot in told]


def give(alice: User, amount: int, *, for_days: float) -> datetime:
    """A gift that expires; when it does."""
    ends = timezone.now() + timedelta(days=for_days)
    credits.grant(user=alice, amount=amount, source=GIFT, description="A gift", expires_at=ends)
    return ends


def test_a_refund_is_answered_and_written_beside_the_deduction(
    alice: User, imagegene: App, as_imagegene: ApiClient
) -> None:
    spent = spend(as_imagegene, project_code="IMG123")
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(spent))

    assert response.status_code == 200
    answer = response.json()
    entry = LedgerEntry.objects.get(account=alice.account, type="refund")
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "credits_refunded": 20,
        "refundable": 0,
        "new_balance": 50,
        "transaction_id": str(entry.pk),
        "related_transaction_id": spent,
        "timestamp": answer["timestamp"],
    }
    assert (entry.seq, entry.amount, entry.balance_after) == (3, 20, 50)
    assert (entry.app, entry.description, str(entry.related_id)) == (imagegene, "The picture failed", spent)
    assert (entry.project_code, entry.source) == ("IMG123", "refund")
    after = everything_of(alice)
    assert after["entries"][:2] == before["entries"]
    assert len(after["entries"]) == 3
    account = Account.objects.get(user=alice)
    assert (account.balance, account.seq) == (50, 3)


def test_parts_are_refunded_up_to_the_whole_and_not_one_credit_more(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)
    for amount, refundable, new_balance in ((5, 15, 35), (14, 1, 49)):
        answer = as_imagegene.post(ROUTE, body(spent, amount=amount)).json()
        assert answer["credits_refunded"] == amount
        assert (answer["refundable"], answer["new_balance"]) == (refundable, new_balance)

    answer = refused(as_imagegene, ROUTE, body(spent, amount=2), about=alice, status=409, code="refund_exceeds_charge")
    assert answer["error"] == "Refund exceeds charge"
    assert (answer["charged"], answer["refunded"], answer["refundable"]) == (20, 19, 1)
    assert as_imagegene.post(ROUTE, body(spent)).json()["credits_refunded"] == 1
    for amount in ({}, {"amount": 1}, {"amount": 20}):
        answer = refused(
            as_imagegene, ROUTE, body(spent, **amount), about=alice, status=409, code="refund_exceeds_charge"
        )
        assert (answer["charged"], answer["refunded"], answer["refundable"]) == (20, 20, 0)
    assert position(as_imagegene) == (50, 0)


def test_more_than_was_charged_is_a_409(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)

    answer = refused(as_imagegene, ROUTE, body(spent, amount=21), about=alice, status=409, code="refund_exceeds_charge")

    assert (answer["charged"], answer["refunded"], answer["refundable"]) == (20, 0, 20)


def test_each_deduction_has_its_own_limit(alice: User, as_imagegene: ApiClient) -> None:
    first, second = spend(as_imagegene, 10), spend(as_imagegene, 20)

    as_imagegene.post(ROUTE, body(first))

    assert as_imagegene.post(ROUTE, body(second)).json()["credits_refunded"] == 20


def test_what_was_refunded_can_be_spent_by_the_other_app(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    spent = spend(as_imagegene, 50)

    as_imagegene.post(ROUTE, body(spent))

    assert spend(as_penora, 50, app="penora")
    assert position(as_penora) == (0, 0)


def test_two_point_zero_is_two(alice: User, as_imagegene: ApiClient) -> None:
    assert as_imagegene.post(ROUTE, body(spend(as_imagegene), amount=2.0)).json()["credits_refunded"] == 2


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_an_amount_that_is_no_amount_is_refused(alice: User, as_imagegene: ApiClient, amount: Any) -> None:
    refused(as_imagegene, ROUTE, body(spend(as_imagegene), amount=amount), about=alice, field="amount")


@pytest.mark.parametrize("reason", ["", "x" * 501, 7, True, None, [], {}])
def test_a_reason_that_is_none_is_refused(alice: User, as_imagegene: ApiClient, reason: Any) -> None:
    refused(as_imagegene, ROUTE, body(spend(as_imagegene), reason=reason), about=alice, field="reason")


def test_a_refund_says_why(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)

    refused(as_imagegene, ROUTE, {"transaction_id": spent}, about=alice, field="reason")
    for amount, reason in ((1, "x" * 500), (2, "  zwei\nZeilen, “é” ")):
        as_imagegene.post(ROUTE, body(spent, reason=reason, amount=amount))
        assert LedgerEntry.objects.get(type="refund", amount=amount).description == reason


def test_a_capture_can_be_refunded(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]
    captured = as_imagegene.post("capture-credits", hold_id=held, amount=7).json()["transaction_id"]

    refused(as_imagegene, ROUTE, body(captured, amount=8), about=alice, status=409, code="refund_exceeds_charge")
    answer = as_imagegene.post(ROUTE, body(captured)).json()

    assert (answer["credits_refunded"], answer["refundable"], answer["new_balance"]) == (7, 0, 50)


def test_the_hold_id_is_no_transaction(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)["hold_id"]

    refused(as_imagegene, ROUTE, body(held), about=alice, status=404, code="transaction_not_found")


def test_the_balance_told_leaves_out_what_is_held(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)
    reserve(as_imagegene, amount=25)

    assert as_imagegene.post(ROUTE, body(spent, amount=3)).json()["new_balance"] == 8


def test_a_refund_cannot_be_refunded(alice: User, as_imagegene: ApiClient) -> None:
    refund = as_imagegene.post(ROUTE, body(spend(as_imagegene))).json()["transaction_id"]

    refused(as_imagegene, ROUTE, body(refund), about=alice, field="transaction_id")


def test_a_grant_of_the_apps_own_cannot_be_refunded(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post("create-user", user_id="carol", username="Carol", email="carol@example.com")
    welcome = LedgerEntry.objects.get(account__user__user_id="carol")

    refused(as_imagegene, ROUTE, body(str(welcome.pk)), about=welcome.account.user, field="transaction_id")


def test_what_staff_or_the_system_did_cannot_be_refunded(alice: User, as_imagegene: ApiClient) -> None:
    """No app's own, and every app sees it in the history: so the answer says what is wrong with it."""
    give(alice, 10, for_days=1)
    let_pass(timedelta(days=2))
    credits.settle(user=alice)

    for found in ({"type": "expiry"}, {"source": "promotion"}):
        transaction_id = str(LedgerEntry.objects.get(**found).pk)
        refused(as_imagegene, ROUTE, body(transaction_id), about=alice, field="transaction_id")


@pytest.mark.parametrize("transaction_id", NO_IDS)
def test_an_id_of_no_transaction_is_a_404_that_repeats_it(
    alice: User, as_imagegene: ApiClient, transaction_id: str
) -> None:
    spend(as_imagegene)

    answer = refused(as_imagegene, ROUTE, body(transaction_id), about=alice, status=404, code="transaction_not_found")

    assert (answer["error"], answer["transaction_id"]) == ("Transaction not found", transaction_id)


def test_an_id_is_taken_as_answers_write_it_only(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)

    for wrong in misspelt(spent):
        refused(as_imagegene, ROUTE, body(wrong), about=alice, status=404, code="transaction_not_found")
    assert as_imagegene.post(ROUTE, body(spent)).status_code == 200


@pytest.mark.parametrize("transaction_id", ["", "x" * 65, 7, True, None, [], {}])
def test_what_can_be_no_id_is_refused(alice: User, as_imagegene: ApiClient, transaction_id: Any) -> None:
    refused(as_imagegene, ROUTE, body(transaction_id), about=alice, field="transaction_id")


def test_all_missing_fields_are_named_at_once(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, {})

    assert response.status_code == 400
    assert sorted(response.json()["fields"]) == ["reason", "transaction_id"]


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\nb", 7, True, None, [], {}])
def test_a_person_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, user_id: Any) -> None:
    refused(as_imagegene, ROUTE, body(spend(as_imagegene), user_id=user_id), about=alice, field="user_id")


def test_somebody_elses_transaction_is_the_same_404(
    alice: User, bob: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    spent = spend(as_imagegene)
    missing = refused(as_penora, ROUTE, body(NO_IDS[0]), about=alice, status=404, code="transaction_not_found")

    for client, whose in ((as_penora, {}), (as_penora, {"user_id": "alice"}), (as_imagegene, {"user_id": "bob"})):
        answer = refused(client, ROUTE, body(spent, **whose), about=alice, status=404, code="transaction_not_found")
        assert answer == {**missing, "transaction_id": spent}
    assert as_imagegene.post(ROUTE, body(spent, user_id="alice")).status_code == 200


def test_credits_return_to_the_grants_that_they_came_from(alice: User, as_imagegene: ApiClient) -> None:
    """Last taken, first returned: of 15 spent, 10 came from the gift and then 5 from what never expires."""
    ends = give(alice, 10, for_days=5)
    spent = spend(as_imagegene, 15)
    assert expiring(as_imagegene) == []

    as_imagegene.post(ROUTE, body(spent, amount=5))
    assert expiring(as_imagegene) == []
    as_imagegene.post(ROUTE, body(spent, amount=3))

    assert expiring(as_imagegene) == [(3, ends)]
    assert [use.amount for use in LotUse.objects.order_by("pk")] == [-10, 3]
    as_imagegene.post(ROUTE, body(spent))
    assert expiring(as_imagegene) == [(10, ends)]
    lot = Grant.objects.get()
    assert (lot.amount, lot.remaining, lot.held) == (10, 10, 0)
    assert position(as_imagegene) == (60, 0)
    let_pass(timedelta(days=6))
    assert position(as_imagegene) == (50, 0)


def test_what_has_expired_since_comes_back_for_three_days(alice: User, as_imagegene: ApiClient) -> None:
    give(alice, 10, for_days=5)
    spent = spend(as_imagegene, 15)
    let_pass(timedelta(days=6))
    earliest = timezone.now()

    answer = as_imagegene.post(ROUTE, body(spent)).json()

    assert (answer["credits_refunded"], answer["new_balance"]) == (15, 60)
    ((amount, ends),) = expiring(as_imagegene)
    assert amount == 10
    assert timedelta(hours=72) <= ends - earliest < timedelta(hours=72, minutes=1)
    assert ends - datetime.fromisoformat(answer["timestamp"]) == timedelta(hours=72)
    old, grace = Grant.objects.order_by("pk")
    assert (old.remaining, grace.remaining, grace.origin) == (0, 10, old)
    let_pass(timedelta(hours=71))
    assert position(as_imagegene) == (60, 0)
    let_pass(timedelta(hours=2))
    assert position(as_imagegene) == (50, 0)


def test_nothing_is_refunded_to_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    refused(as_imagegene, ROUTE, body(spent), about=alice, status=403, code="permission_denied")


def test_a_repeat_with_the_same_key_refunds_once(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)

    assert_replayed(as_imagegene, ROUTE, body(spent, amount=4), about=alice, status=200)
    assert position(as_imagegene) == (34, 0)


def test_without_a_key_every_call_refunds(alice: User, as_imagegene: ApiClient) -> None:
    spent = spend(as_imagegene)

    for _ in range(2):
        as_imagegene.post(ROUTE, body(spent, amount=4))

    assert position(as_imagegene) == (38, 0)


def test_a_refusal_is_kept_with_its_key(alice: User, as_imagegene: ApiClient) -> None:
    assert_replayed(as_imagegene, ROUTE, body(spend(as_imagegene), amount=21), about=alice, status=409)
