"""POST quote."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import LedgerEntry
from credits.pricing import change_price, current_prices
from tests.api.conftest import (
    NO_AMOUNTS,
    NO_OPERATIONS,
    NO_QUANTITIES,
    STAMP,
    assert_replayed,
    everything_of,
    refused,
    reserve,
)
from tests.client import ApiClient
from tests.clock import let_pass
from unified.api.models import IdempotencyRecord

ROUTE = "quote"
GIFT = LedgerEntry.Source.PROMOTION


def body(**changes: Any) -> dict[str, Any]:
    return {"user_id": "alice", "amount": 20, **changes}


def priced(**changes: Any) -> dict[str, Any]:
    return {"user_id": "alice", "operation": "basic_art", "quantity": 3, **changes}


def test_what_can_be_paid_is_quoted(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body())

    assert response.status_code == 200
    answer = response.json()
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "needed": 20,
        "credits": 50,
        "affordable": True,
        "shortfall": 0,
        "new_balance": 30,
        "operation": None,
        "quantity": None,
        "unit_credits": None,
        "price_version": None,
        "upgrade": [],
        "timestamp": answer["timestamp"],
    }


def test_what_cannot_be_paid_is_quoted_with_what_would_help(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(amount=53))

    assert response.status_code == 200
    answer = response.json()
    assert (answer["success"], answer["affordable"]) == (True, False)
    assert (answer["needed"], answer["credits"], answer["shortfall"], answer["new_balance"]) == (53, 50, 3, None)
    refusal = as_imagegene.post(
        "deduct-credits", user_id="alice", amount=53, app_name="imagegene", description="Too much"
    ).json()
    assert [step["plan"] for step in answer["upgrade"]] == ["plus", "pro"]
    for name in ("needed", "credits", "shortfall", "upgrade"):
        assert answer[name] == refusal[name]


def test_the_edge_is_where_deduct_has_it(alice: User, as_imagegene: ApiClient) -> None:
    last, over = (as_imagegene.post(ROUTE, body(amount=amount)).json() for amount in (50, 51))

    assert (last["affordable"], last["new_balance"], last["shortfall"]) == (True, 0, 0)
    assert (over["affordable"], over["new_balance"], over["shortfall"]) == (False, None, 1)


def test_who_is_on_the_largest_plan_is_offered_nothing(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="pro"))

    assert as_imagegene.post(ROUTE, body(amount=51)).json()["upgrade"] == []


def test_an_operation_is_quoted_with_its_price(alice: User, as_imagegene: ApiClient) -> None:
    answer = as_imagegene.post(ROUTE, priced()).json()

    assert (answer["needed"], answer["new_balance"], answer["affordable"]) == (6, 44, True)
    assert (answer["operation"], answer["quantity"]) == ("basic_art", 3)
    assert (answer["unit_credits"], answer["price_version"]) == (2, 1)


def test_an_operation_without_a_quantity_is_one_of_it(alice: User, as_imagegene: ApiClient) -> None:
    answer = as_imagegene.post(ROUTE, user_id="alice", operation="advanced_art").json()

    assert (answer["needed"], answer["quantity"], answer["unit_credits"]) == (3, 1, 3)


def test_the_price_is_the_one_that_holds_now(alice: User, as_imagegene: ApiClient) -> None:
    change_price(slug="basic_art", credits=7)
    change_price(slug="basic_art", credits=9, starts_at=timezone.now() + timedelta(hours=1))

    answer = as_imagegene.post(ROUTE, priced()).json()

    assert (answer["needed"], answer["unit_credits"], answer["price_version"]) == (21, 7, 2)


def test_either_app_may_ask_about_any_operation(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    answers = [client.post(ROUTE, priced()).json() for client in (as_penora, as_imagegene)]

    for answer in answers:
        del answer["timestamp"]
    assert answers[0] == answers[1]


def test_what_is_held_cannot_be_spent(alice: User, as_imagegene: ApiClient) -> None:
    reserve(as_imagegene, amount=45)

    answer = as_imagegene.post(ROUTE, body(amount=6)).json()

    assert (answer["credits"], answer["affordable"], answer["shortfall"]) == (5, False, 1)


@pytest.mark.parametrize("amount", [1, 20, 50, 51, 1_000_000])
def test_nothing_is_kept(alice: User, as_imagegene: ApiClient, amount: int) -> None:
    """Not even what would have been entered anyway: a hold and a gift whose time is over."""
    ends = timezone.now() + timedelta(hours=1)
    credits.grant(user=alice, amount=10, source=GIFT, description="A gift", expires_at=ends)
    reserve(as_imagegene, amount=15)
    let_pass(timedelta(hours=2))
    before = everything_of(alice)

    answer = as_imagegene.post(ROUTE, body(amount=amount)).json()

    assert (answer["credits"], answer["affordable"]) == (50, amount <= 50)
    assert everything_of(alice) == before


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
def test_nothing_is_kept_where_the_quote_has_a_transaction_of_its_own(
    committed_alice: User, as_committed_imagegene: ApiClient, headers: dict[str, str]
) -> None:
    before = everything_of(committed_alice)

    for _ in range(2):
        response = as_committed_imagegene.post(ROUTE, body(), headers=headers)
        assert (response.status_code, response.json()["new_balance"]) == (200, 30)
    as_committed_imagegene.post(ROUTE, body(amount=51))

    assert everything_of(committed_alice) == {**before, "keys": len(headers)}


@pytest.mark.parametrize("seed", range(20))
def test_deduct_does_what_quote_says(alice: User, imagegene: App, as_imagegene: ApiClient, seed: int) -> None:
    """Whatever gifts, holds and hours lie behind: amounts about the edge, and operations."""
    dice = random.Random(seed)
    prices = [line.slug for line in current_prices()]
    for _ in range(6):
        if dice.random() < 0.5:
            ends = timezone.now() + timedelta(hours=dice.randint(1, 30))
            credits.grant(user=alice, amount=dice.randint(1, 30), source=GIFT, description="A gift", expires_at=ends)
        elif spendable := as_imagegene.get("user-info", user_id="alice").json()["credits"]:
            credits.reserve(
                user=alice,
                app=imagegene,
                amount=dice.randint(1, min(20, spendable)),
                description="held",
                expires_in_seconds=dice.randint(600, 86_400),
            )
        if dice.random() < 0.4:
            let_pass(timedelta(hours=dice.randint(0, 9), minutes=dice.randint(0, 59)))

        told = as_imagegene.get("user-info", user_id="alice").json()["credits"]
        if dice.random() < 0.5:
            what: dict[str, Any] = {"operation": dice.choice(prices), "quantity": dice.randint(1, 20)}
        else:
            what = {"amount": max(1, told + dice.choice([-7, -1, 0, 1, 30]))}
        quote = as_imagegene.post(ROUTE, user_id="alice", **what).json()
        assert quote["credits"] == told
        spent = as_imagegene.post(
            "deduct-credits", user_id="alice", app_name="imagegene", description="As quoted", **what
        )
        result = spent.json()
        if quote["affordable"]:
            assert spent.status_code == 200
            assert (result["credits_deducted"], result["new_balance"]) == (quote["needed"], quote["new_balance"])
        else:
            assert spent.status_code == 402
            for name in ("needed", "credits", "shortfall", "upgrade"):
                assert result[name] == quote[name]


@pytest.mark.parametrize("amount", NO_AMOUNTS)
def test_an_amount_that_is_no_amount_is_refused(alice: User, as_imagegene: ApiClient, amount: Any) -> None:
    refused(as_imagegene, ROUTE, body(amount=amount), about=alice, field="amount")


@pytest.mark.parametrize("operation", NO_OPERATIONS)
def test_an_operation_that_is_not_on_the_price_list_is_refused(
    alice: User, as_imagegene: ApiClient, operation: Any
) -> None:
    refused(as_imagegene, ROUTE, priced(operation=operation), about=alice, field="operation")


@pytest.mark.parametrize("quantity", [*NO_QUANTITIES, 500_001, 1_000_000])
def test_a_quantity_that_is_no_quantity_or_costs_too_much_is_refused(
    alice: User, as_imagegene: ApiClient, quantity: Any
) -> None:
    refused(as_imagegene, ROUTE, priced(quantity=quantity), about=alice, field="quantity")


def test_either_an_amount_or_an_operation(alice: User, as_imagegene: ApiClient) -> None:
    refused(as_imagegene, ROUTE, priced(amount=6), about=alice, field="amount")
    refused(as_imagegene, ROUTE, body(quantity=3), about=alice, field="quantity")
    refused(as_imagegene, ROUTE, {"user_id": "alice"}, about=alice, field="amount")


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\nb", 7, True, None, [], {}])
def test_a_person_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, user_id: Any) -> None:
    refused(as_imagegene, ROUTE, body(user_id=user_id), about=alice, field="user_id")


def test_nobody_by_this_id_is_a_404_that_repeats_the_id(alice: User, as_imagegene: ApiClient) -> None:
    wanted = body(user_id="Alice")

    assert refused(as_imagegene, ROUTE, wanted, about=alice, status=404, code="user_not_found")["user_id"] == "Alice"


def test_nothing_is_quoted_for_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    """As deduct would answer."""
    User.objects.filter(pk=alice.pk).update(is_active=False)

    refused(as_imagegene, ROUTE, body(), about=alice, status=403, code="permission_denied")


def test_a_repeat_with_the_same_key_gets_the_first_answer_though_the_balance_has_changed(
    alice: User, as_imagegene: ApiClient
) -> None:
    assert_replayed(as_imagegene, ROUTE, body(), about=alice, status=200)
    credits.grant(user=alice, amount=10, source=GIFT, description="Meanwhile")

    again = as_imagegene.post(ROUTE, body(), headers={"Idempotency-Key": f"{ROUTE}-200"})

    assert again.json()["credits"] == 50
    assert as_imagegene.post(ROUTE, body()).json()["credits"] == 60
    assert IdempotencyRecord.objects.count() == 1
