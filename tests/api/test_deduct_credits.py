"""POST deduct-credits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import Account, LedgerEntry, Operation
from tests.api.conftest import everything_of
from tests.client import ApiClient

ROUTE = "deduct-credits"

GIFT = LedgerEntry.Source.PROMOTION


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


def priced(user: User, **changes: Any) -> dict[str, Any]:
    """A call that leaves the price to the server."""
    wanted = body(user, operation="basic_art", quantity=1, **changes)
    del wanted["amount"]
    return wanted


def deduction_of(user: User) -> LedgerEntry:
    return LedgerEntry.objects.get(account=user.account, type="deduction")


def test_the_last_credit_can_be_spent(alice: User, as_imagegene: ApiClient) -> None:
    assert as_imagegene.post(ROUTE, body(alice, amount=50)).json()["new_balance"] == 0
    assert as_imagegene.post(ROUTE, body(alice, amount=1)).json()["details"] == "User has 0 credits but needs 1"


def test_the_largest_amount_can_be_spent_at_once(alice: User, as_imagegene: ApiClient) -> None:
    credits.grant(user=alice, amount=1_000_000, source=GIFT, description="A gift")

    assert as_imagegene.post(ROUTE, body(alice, amount=1_000_000)).json()["new_balance"] == 50


def test_held_credits_cannot_be_spent(alice: User, penora: App, as_imagegene: ApiClient) -> None:
    credits.reserve(user=alice, app=penora, amount=45, description="held")

    refused = as_imagegene.post(ROUTE, body(alice, amount=6))
    assert refused.status_code == 402
    assert (refused.json()["credits"], refused.json()["shortfall"]) == (5, 1)
    assert as_imagegene.post(ROUTE, body(alice, amount=5)).json()["new_balance"] == 0
    assert Account.objects.get(user=alice).balance == 45


def test_who_is_on_the_largest_plan_is_offered_nothing(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="pro"))

    assert as_imagegene.post(ROUTE, body(alice, amount=51)).json()["upgrade"] == []


def test_an_app_may_charge_by_a_line_of_the_other_apps_price_list(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.post(ROUTE, priced(alice, app_name="penora"))

    assert (response.status_code, response.json()["credits_deducted"]) == (200, 2)


def test_an_operation_without_a_quantity_is_one_of_it(alice: User, as_imagegene: ApiClient) -> None:
    wanted = priced(alice)
    del wanted["quantity"]

    assert as_imagegene.post(ROUTE, wanted).json()["credits_deducted"] == 2
    assert deduction_of(alice).quantity == 1


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 1.5, "1", True, None, [], {}, 1e30])
def test_a_quantity_that_is_no_quantity_is_refused(alice: User, as_imagegene: ApiClient, quantity: Any) -> None:
    assert_refused(alice, as_imagegene, {**priced(alice), "quantity": quantity}, field="quantity")


def test_a_total_of_over_a_million_is_refused_though_each_factor_is_in_range(
    alice: User, as_imagegene: ApiClient
) -> None:
    assert_refused(alice, as_imagegene, {**priced(alice), "quantity": 500_001}, field="quantity")
    assert as_imagegene.post(ROUTE, {**priced(alice), "quantity": 500_000}).status_code == 402


@pytest.mark.parametrize("operation", ["nothing", "BASIC_ART", "", " basic_art", "x" * 65, 7, True, None, [], {}])
def test_an_operation_that_is_not_on_the_price_list_is_refused(
    alice: User, as_imagegene: ApiClient, operation: Any
) -> None:
    assert_refused(alice, as_imagegene, {**priced(alice), "operation": operation}, field="operation")


def test_an_operation_that_was_withdrawn_cannot_be_charged(alice: User, as_imagegene: ApiClient) -> None:
    old = Operation.objects.get(slug="basic_art")
    Operation.objects.create(
        slug=old.slug, version=2, app=old.app, name=old.name, unit=old.unit, credits=2, is_active=False
    )

    assert_refused(alice, as_imagegene, priced(alice), field="operation")


def test_the_price_is_the_one_that_holds_and_an_entry_keeps_its_version(alice: User, as_imagegene: ApiClient) -> None:
    old = Operation.objects.get(slug="basic_art")
    later = Operation.objects.create(
        slug=old.slug,
        version=2,
        app=old.app,
        name=old.name,
        unit=old.unit,
        credits=7,
        starts_at=timezone.now() + timedelta(hours=1),
    )
    assert as_imagegene.post(ROUTE, priced(alice)).json()["credits_deducted"] == 2

    Operation.objects.filter(pk=later.pk).update(starts_at=timezone.now() - timedelta(hours=1))

    assert as_imagegene.post(ROUTE, priced(alice)).json()["credits_deducted"] == 7
    first, second = LedgerEntry.objects.filter(account=alice.account, type="deduction").order_by("seq")
    assert (first.operation, first.amount) == (old, -2)
    assert (second.operation, second.amount) == (later, -7)


def test_either_an_amount_or_an_operation_and_not_both(alice: User, as_imagegene: ApiClient) -> None:
    assert_refused(alice, as_imagegene, {**priced(alice), "amount": 2}, field="amount")


def test_a_quantity_goes_with_an_operation_only(alice: User, as_imagegene: ApiClient) -> None:
    assert_refused(alice, as_imagegene, body(alice, quantity=2), field="quantity")


def test_one_of_amount_and_operation_is_needed(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(alice)
    del wanted["amount"]

    assert_refused(alice, as_imagegene, wanted, field="amount")


def test_all_missing_fields_are_named_at_once(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, {})

    assert response.status_code == 400
    assert {"user_id", "app_name", "description"} <= set(response.json()["fields"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("user_id", value) for value in ("", "x" * 256, "a\nb", 7, 1.5, True, None, [], {})),
        *(("app_name", value) for value in ("", "nobody", "ImageGene", "x" * 300, 7, True, None, [], {})),
        *(("description", value) for value in ("", "x" * 501, 7, True, None, [], {})),
        *(("project_code", value) for value in ("x" * 65, 7, True, [], {})),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, field: str, value: Any) -> None:
    assert_refused(alice, as_imagegene, body(alice, **{field: value}), field=field)


@pytest.mark.parametrize("code", ["IMG123", "img-123", "no such project", "é", " x "])
def test_a_project_code_is_kept_as_given(alice: User, as_imagegene: ApiClient, code: str) -> None:
    assert as_imagegene.post(ROUTE, body(alice, project_code=code)).status_code == 200
    assert deduction_of(alice).project_code == code


@pytest.mark.parametrize("description", ["x", "x" * 500, "  padded ", "é 日本 👩‍🎨", "two\nlines"])
def test_a_description_is_kept_exactly(alice: User, as_imagegene: ApiClient, description: str) -> None:
    assert as_imagegene.post(ROUTE, body(alice, description=description)).status_code == 200
    assert deduction_of(alice).description == description


def test_nobody_by_this_id_is_a_404_that_repeats_the_id(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, {**body(alice), "user_id": "Alice"})

    assert response.status_code == 404
    answer = response.json()
    assert (answer["error"], answer["code"], answer["user_id"]) == ("User not found", "user_not_found", "Alice")


def test_nothing_is_spent_for_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(alice))

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"
    assert everything_of(alice) == before


def assert_refused(user: User, client: ApiClient, wanted: dict[str, Any], *, field: str) -> None:
    """400 that names `field` alone, and nothing is written."""
    before = everything_of(user)
    response = client.post(ROUTE, wanted)
    assert response.status_code == 400, response.content
    answer = response.json()
    assert (answer["success"], answer["error"], answer["code"]) == (False, "Invalid request", "validation_error")
    assert list(answer["fields"]) == [field]
    assert everything_of(user) == before
