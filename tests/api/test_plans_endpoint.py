"""GET plans: the plan a person is on, those that are offered, and those that would give more."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Plan, User
from tests.api.conftest import everything_of
from tests.api.projects import MEGABYTE
from tests.client import ApiClient
from unified import services

FREE, PLUS, PRO = (
    {
        "plan": name.lower(),
        "name": name,
        "storage_limit_mb": float(megabytes),
        "storage_limit_bytes": megabytes * MEGABYTE,
        "monthly_credits": credits,
    }
    for name, megabytes, credits in (("Free", 1, 0), ("Plus", 10, 200), ("Pro", 100, 1_000))
)


def plans_of(client: ApiClient, user_id: str = "alice") -> dict[str, Any]:
    response = client.get("plans", user_id=user_id)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def current_in(answer: dict[str, Any]) -> list[str]:
    return [plan["plan"] for plan in answer["plans"] if plan["is_current"]]


def names(plans: list[dict[str, Any]]) -> list[str]:
    return [plan["plan"] for plan in plans]


def test_a_new_person_is_on_the_free_plan_and_can_have_the_others(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    for client in (as_penora, as_imagegene):
        assert plans_of(client) == {
            "success": True,
            "current": FREE,
            "plans": [{**FREE, "is_current": True}, {**PLUS, "is_current": False}, {**PRO, "is_current": False}],
            "upgrade": [PLUS, PRO],
        }


@pytest.mark.parametrize(("slug", "upgrade"), [("plus", ["pro"]), ("pro", [])])
def test_on_a_larger_plan_only_larger_ones_are_an_upgrade(
    alice: User, bob: User, as_penora: ApiClient, slug: str, upgrade: list[str]
) -> None:
    services.change_plan(user=alice, plan=Plan.objects.get(slug=slug))

    answer = plans_of(as_penora)

    assert (answer["current"]["plan"], current_in(answer), names(answer["upgrade"])) == (slug, [slug], upgrade)
    assert names(answer["plans"]) == ["free", "plus", "pro"]
    assert plans_of(as_penora, "bob")["current"] == FREE


def test_the_upgrade_is_what_a_refusal_offers(alice: User, as_penora: ApiClient) -> None:
    refusals = [
        as_penora.post("deduct-credits", user_id="alice", amount=51, app_name="penora", description="Too much"),
        as_penora.post(
            "save-project",
            {"user_id": "alice", "app_source": "penora", "project_type": "page", "title": "T"}
            | {"content": "x" * (MEGABYTE + 1)},
        ),
    ]

    assert [refusal.status_code for refusal in refusals] == [402, 413]
    assert [refusal.json()["upgrade"] for refusal in refusals] == [plans_of(as_penora)["upgrade"]] * 2


def test_plans_come_by_rank_and_only_what_is_offered(alice: User, as_penora: ApiClient) -> None:
    terms = {"storage_limit_bytes": 5 * MEGABYTE, "monthly_credits": 7}
    Plan.objects.create(slug="between", name="Between", rank=1, **terms)
    Plan.objects.filter(slug="plus").update(rank=2)
    Plan.objects.filter(slug="pro").update(rank=3)
    Plan.objects.create(slug="secret", name="Secret", rank=9, is_offered=False, **terms)

    answer = plans_of(as_penora)

    assert names(answer["plans"]) == ["free", "between", "plus", "pro"]
    assert names(answer["upgrade"]) == ["between", "plus", "pro"]


def test_who_is_on_a_plan_that_is_offered_no_longer_is_told_of_it(alice: User, as_penora: ApiClient) -> None:
    services.change_plan(user=alice, plan=Plan.objects.get(slug="plus"))
    Plan.objects.filter(slug="plus").update(is_offered=False)

    answer = plans_of(as_penora)

    assert answer["current"] == PLUS
    assert (names(answer["plans"]), current_in(answer), names(answer["upgrade"])) == (["free", "pro"], [], ["pro"])


def test_looking_changes_nothing_also_for_a_deactivated_person(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    before = everything_of(alice)

    assert plans_of(as_penora)["current"] == FREE

    assert everything_of(alice) == before


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 400, "validation_error"),
        ({"user_id": ""}, 400, "validation_error"),
        ({"user_id": "x" * 256}, 400, "validation_error"),
        ({"user_id": "a\nb"}, 400, "validation_error"),
        ({"user_id": ["alice", "alice"]}, 400, "validation_error"),
        ({"user_id": "nobody"}, 404, "user_not_found"),
        ({"user_id": "ALICE"}, 404, "user_not_found"),
    ],
)
def test_the_person_has_to_be_named(
    alice: User, as_penora: ApiClient, query: dict[str, Any], status: int, code: str
) -> None:
    response = as_penora.get("plans", **query)

    assert (response.status_code, response.json()["code"]) == (status, code)


def test_no_key_no_plans(alice: User, anonymous: ApiClient) -> None:
    assert anonymous.get("plans", user_id="alice").status_code == 401
