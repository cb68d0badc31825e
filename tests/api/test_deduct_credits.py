"""POST deduct-credits."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import App, User
from credits.models import Account, LedgerEntry
from tests.client import ApiClient

ROUTE = "deduct-credits"


def body(user: User, **changes: Any) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "amount": 2,
        "app_name": "imagegene",
        "description": "AI Art Generation - Landscape Style",
        **changes,
    }


def test_a_deduction_is_answered_and_written_once(alice: User, imagegene: App, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(alice, project_code="IMG123"))

    assert response.status_code == 200
    answer = response.json()
    entry = LedgerEntry.objects.get(account=alice.account, type="deduction")
    assert answer == {
        "success": True,
        "credits_deducted": 2,
        "new_balance": 48,
        "app_name": "imagegene",
        "transaction_id": str(entry.pk),
        "timestamp": answer["timestamp"],
    }
    assert (entry.seq, entry.amount, entry.balance_after) == (2, -2, 48)
    assert (entry.app, entry.project_code) == (imagegene, "IMG123")
    assert entry.description == "AI Art Generation - Landscape Style"
    account = Account.objects.get(user=alice)
    assert (account.balance, account.seq) == (48, 2)


def test_a_deduction_by_one_app_is_gone_in_the_other(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    as_imagegene.post(ROUTE, body(alice, amount=49))

    assert as_penora.get("user-info", user_id="alice").json()["credits"] == 1


def test_who_cannot_pay_is_told_the_numbers_and_nothing_is_written(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(alice, amount=51))

    assert response.status_code == 402
    answer = response.json()
    assert answer["error"] == "Insufficient credits"
    assert answer["details"] == "User has 50 credits but needs 51"
    assert answer["code"] == "insufficient_credits"
    assert (answer["credits"], answer["needed"], answer["shortfall"]) == (50, 51, 1)
    assert [step["plan"] for step in answer["upgrade"]] == ["plus", "pro"]
    assert LedgerEntry.objects.filter(account=alice.account).count() == 1
    assert Account.objects.get(user=alice).balance == 50


def test_one_credit_is_written_in_the_singular(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post(ROUTE, body(alice, amount=49))

    assert as_imagegene.post(ROUTE, body(alice)).json()["details"] == "User has 1 credit but needs 2"


def test_the_server_prices_an_operation(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(alice, operation="advanced_art", quantity=4)
    del wanted["amount"]

    response = as_imagegene.post(ROUTE, wanted)

    assert response.json()["credits_deducted"] == 12
    entry = LedgerEntry.objects.get(account=alice.account, type="deduction")
    assert entry.operation is not None
    assert (entry.operation.slug, entry.operation.version, entry.quantity) == ("advanced_art", 1, 4)


@pytest.mark.parametrize("amount", [0, -1, 1_000_001, 2.5, "2", True, None, [], {}, 1e30, 2**63])
def test_an_amount_that_is_no_amount_is_refused(alice: User, as_imagegene: ApiClient, amount: Any) -> None:
    response = as_imagegene.post(ROUTE, body(alice, amount=amount))

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == ["amount"]
    assert LedgerEntry.objects.filter(account=alice.account).count() == 1


def test_two_point_zero_is_two(alice: User, as_imagegene: ApiClient) -> None:
    assert as_imagegene.post(ROUTE, body(alice, amount=2.0)).json()["credits_deducted"] == 2


def test_a_project_code_of_null_is_taken_as_none(alice: User, as_imagegene: ApiClient) -> None:
    """The guide's own function passes on what a failed save answered: null."""
    assert as_imagegene.post(ROUTE, body(alice, project_code=None)).status_code == 200
    assert LedgerEntry.objects.get(account=alice.account, type="deduction").project_code is None


def test_an_app_cannot_spend_in_the_name_of_another(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.post(ROUTE, body(alice))

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"
    assert Account.objects.get(user=alice).balance == 50


def test_a_repeat_with_the_same_key_gets_the_first_answer_and_spends_nothing(
    alice: User, as_imagegene: ApiClient
) -> None:
    first = as_imagegene.post(ROUTE, body(alice), headers={"Idempotency-Key": "k1"})
    second = as_imagegene.post(ROUTE, body(alice), headers={"Idempotency-Key": "k1"})

    assert second.content == first.content
    assert second.status_code == first.status_code == 200
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Account.objects.get(user=alice).balance == 48
