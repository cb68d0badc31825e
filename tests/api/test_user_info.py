"""GET user-info."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accounts.models import Plan, User
from credits.models import Account
from tests.api.conftest import STAMP, everything_of
from tests.client import ApiClient
from workspace.models import Storage

ROUTE = "user-info"


def test_what_a_person_can_spend_and_keep(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="alice")

    assert response.status_code == 200
    answer = response.json()
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "user_id": "alice",
        "username": "Alice",
        "credits": 50,
        "held_credits": 0,
        "expiring_credits": [],
        "plan": "free",
        "storage": {
            "used_mb": 0.0,
            "limit_mb": 1.0,
            "available_mb": 1.0,
            "usage_percentage": 0.0,
            "used_bytes": 0,
            "limit_bytes": 1_048_576,
            "available_bytes": 1_048_576,
        },
        "timestamp": answer["timestamp"],
    }


def test_held_credits_cannot_be_spent(alice: User, as_penora: ApiClient) -> None:
    Account.objects.filter(user=alice).update(held=20)

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert (answer["credits"], answer["held_credits"]) == (30, 20)


@pytest.mark.parametrize(
    ("used_bytes", "used_mb", "available_mb", "percentage"),
    [
        (0, 0.0, 1.0, 0.0),
        (1, 0.0001, 0.9999, 0.0),
        (104, 0.0001, 0.9999, 0.01),
        (157_286, 0.15, 0.85, 15.0),
        (524_288, 0.5, 0.5, 50.0),
        (1_048_576, 1.0, 0.0, 100.0),
    ],
)
def test_megabytes_have_four_decimals_and_are_never_nothing_for_something(
    alice: User, as_penora: ApiClient, used_bytes: int, used_mb: float, available_mb: float, percentage: float
) -> None:
    Storage.objects.filter(user=alice).update(used_bytes=used_bytes)

    storage = as_penora.get(ROUTE, user_id="alice").json()["storage"]

    assert storage == {
        "used_mb": used_mb,
        "limit_mb": 1.0,
        "available_mb": available_mb,
        "usage_percentage": percentage,
        "used_bytes": used_bytes,
        "limit_bytes": 1_048_576,
        "available_bytes": 1_048_576 - used_bytes,
    }


def test_the_plan_and_its_limit_are_the_persons_own(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="plus"))
    Storage.objects.filter(user=alice).update(limit_bytes=10 * 1_048_576)

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert answer["plan"] == "plus"
    assert (answer["storage"]["limit_mb"], answer["storage"]["limit_bytes"]) == (10.0, 10_485_760)


def test_nobody_by_this_id_is_a_404_that_repeats_the_id(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="Alice")

    assert response.status_code == 404
    answer = response.json()
    assert (answer["success"], answer["error"], answer["code"]) == (False, "User not found", "user_not_found")
    assert answer["user_id"] == "Alice"


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "x" * 256}, {"user_id": "a\x00b"}])
def test_a_call_that_names_nobody_is_refused(db: None, as_penora: ApiClient, query: dict[str, Any]) -> None:
    response = as_penora.get(ROUTE, **query)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["user_id"]


def test_a_name_given_twice_is_refused_and_not_guessed(alice: User, bob: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id=["alice", "bob"])

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["user_id"]


def test_looking_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    as_penora.get(ROUTE, user_id="alice")

    assert everything_of(alice) == before


def test_a_deactivated_person_can_still_be_looked_up(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert as_penora.get(ROUTE, user_id="alice").json()["credits"] == 50
