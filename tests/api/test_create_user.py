"""POST create-user."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accounts.models import App, User
from credits.models import Account, LedgerEntry
from tests.api.conftest import STAMP, everything_of
from tests.client import ApiClient
from workspace.models import Storage

ROUTE = "create-user"


def body(**changes: Any) -> dict[str, Any]:
    return {"user_id": "charlie", "username": "Charlie", "email": "charlie@example.com", **changes}


def test_a_new_person_is_answered_and_written_whole(penora: App, as_penora: ApiClient) -> None:
    response = as_penora.post(ROUTE, body(initial_credits=70))

    assert response.status_code == 201
    answer = response.json()
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "user_id": "charlie",
        "username": "Charlie",
        "email": "charlie@example.com",
        "credits": 70,
        "storage": {
            "used_mb": 0.0,
            "limit_mb": 1.0,
            "available_mb": 1.0,
            "usage_percentage": 0.0,
            "used_bytes": 0,
            "limit_bytes": 1_048_576,
            "available_bytes": 1_048_576,
            "reserved_bytes": 0,
        },
        "created": True,
        "timestamp": answer["timestamp"],
    }
    user = User.objects.get(user_id="charlie")
    assert (user.username, user.email, user.plan.slug) == ("Charlie", "charlie@example.com", "free")
    assert not user.has_usable_password()
    assert not user.is_staff
    account = Account.objects.get(user=user)
    assert (account.balance, account.held, account.seq) == (70, 0, 1)
    entry = LedgerEntry.objects.get(account=account)
    assert (entry.type, entry.amount, entry.balance_after, entry.seq) == ("grant", 70, 70, 1)
    storage = Storage.objects.get(user=user)
    assert (storage.used_bytes, storage.limit_bytes, storage.project_count) == (0, 1_048_576, 0)


def test_who_is_given_no_number_starts_with_fifty(as_penora: ApiClient) -> None:
    assert as_penora.post(ROUTE, body()).json()["credits"] == 50
    assert Account.objects.get(user__user_id="charlie").balance == 50


def test_a_start_with_nothing_is_a_start_without_an_entry(as_penora: ApiClient) -> None:
    assert as_penora.post(ROUTE, body(initial_credits=0)).json()["credits"] == 0

    account = Account.objects.get(user__user_id="charlie")
    assert (account.balance, account.seq) == (0, 0)
    assert not LedgerEntry.objects.filter(account=account).exists()


def test_the_default_and_the_cap_are_settings(settings: Any, as_penora: ApiClient) -> None:
    settings.INITIAL_CREDITS_DEFAULT, settings.INITIAL_CREDITS_MAX = 7, 9

    assert as_penora.post(ROUTE, body()).json()["credits"] == 7
    assert as_penora.post(ROUTE, body(user_id="dora", initial_credits=9)).status_code == 201
    over = as_penora.post(ROUTE, body(user_id="eve", initial_credits=10))
    assert over.status_code == 400
    assert list(over.json()["fields"]) == ["initial_credits"]
    assert not User.objects.filter(user_id="eve").exists()


def test_a_repeat_changes_nothing_and_grants_nothing(alice: User, as_imagegene: ApiClient) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(
        ROUTE, body(user_id="alice", username="Mallory", email="mallory@example.com", initial_credits=500)
    )

    assert response.status_code == 200
    answer = response.json()
    assert answer["created"] is False
    assert (answer["username"], answer["email"], answer["credits"]) == ("Alice", "alice@example.com", 50)
    assert everything_of(alice) == before


def test_a_login_after_spending_does_not_fill_up_again(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post("deduct-credits", user_id="alice", amount=50, app_name="imagegene", description="All of it")

    assert as_imagegene.post(ROUTE, body(user_id="alice")).json()["credits"] == 0


def test_both_apps_make_the_same_person(as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    assert as_penora.post(ROUTE, body()).status_code == 201
    assert as_imagegene.post(ROUTE, body()).status_code == 200
    assert User.objects.filter(user_id="charlie").count() == 1


def test_a_user_id_is_case_sensitive(as_penora: ApiClient) -> None:
    assert as_penora.post(ROUTE, body(user_id="charlie")).status_code == 201
    assert as_penora.post(ROUTE, body(user_id="Charlie")).status_code == 201


@pytest.mark.parametrize(
    "user_id",
    [
        "101902121794505144784",
        "x",
        "x" * 255,
        "é" * 255,
        "👩‍🎨",
        " alice ",
        " ",
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "../../etc/passwd",
        "%00",
        "a'b\"c<d>&e;--",
        "Å",
        "A\u030a",
    ],
)
def test_a_user_id_is_opaque_and_kept_exactly(as_penora: ApiClient, user_id: str) -> None:
    """1 to 255 characters that are no control characters: whatever they are, they come back as they were."""
    response = as_penora.post(ROUTE, body(user_id=user_id))

    assert response.status_code == 201
    assert response.json()["user_id"] == user_id
    assert User.objects.filter(user_id=user_id).count() == 1
    assert as_penora.get("user-info", user_id=user_id).json()["user_id"] == user_id


@pytest.mark.parametrize(
    "user_id", ["", "x" * 256, "a\nb", "a\tb", "a\x7fb", "a\x85b", "\x1b[31m", 7, 1.5, True, None, [], {}]
)
def test_what_cannot_be_a_user_id_is_refused(as_penora: ApiClient, user_id: Any) -> None:
    response = as_penora.post(ROUTE, body(user_id=user_id))

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == ["user_id"]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("username", value) for value in ("", "x" * 256, "a\nb", 7, True, None, [], {})),
        *(("email", value) for value in ("", "charlie", "charlie@", "a b@example.com", 7, True, None, [], {})),
        ("email", "x" * 250 + "@example.com"),
        *(("initial_credits", value) for value in (-1, 1_001, 1_000_001, 2.5, "50", True, None, [], {}, 1e30, 2**63)),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(as_penora: ApiClient, field: str, value: Any) -> None:
    response = as_penora.post(ROUTE, body(**{field: value}))

    assert response.status_code == 400
    answer = response.json()
    assert answer["code"] == "validation_error"
    assert answer["error"] == "Invalid request"
    assert list(answer["fields"]) == [field]
    assert not User.objects.exists()


def test_all_missing_fields_are_named_at_once(as_penora: ApiClient) -> None:
    response = as_penora.post(ROUTE, {})

    assert response.status_code == 400
    assert sorted(response.json()["fields"]) == ["email", "user_id", "username"]


def test_two_people_may_have_the_same_name_and_address(alice: User, as_penora: ApiClient) -> None:
    """Only the user_id says who somebody is."""
    response = as_penora.post(ROUTE, body(username=alice.username, email=alice.email))

    assert response.status_code == 201
    assert User.objects.filter(email=alice.email).count() == 2


def test_a_deactivated_person_stays_deactivated(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    before = everything_of(alice)

    as_penora.post(ROUTE, body(user_id="alice"))

    assert everything_of(alice) == before
