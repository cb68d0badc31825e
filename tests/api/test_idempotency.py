"""Idempotency-Key: the same key and body again give the first answer, and nothing is done twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import App, User
from accounts.services import create_key
from credits import services as credits
from credits.models import Account, LedgerEntry, Operation
from tests.api.conftest import everything_of, tripwire
from tests.client import ApiClient
from unified.api.models import IdempotencyRecord
from workspace.models import Project, Storage

K1 = {"Idempotency-Key": "k1"}
PERSON = {"user_id": "charlie", "username": "Charlie", "email": "charlie@example.com"}
DEDUCTION = {"user_id": "alice", "amount": 2, "app_name": "imagegene", "description": "A picture"}
PROJECT = {"user_id": "alice", "app_source": "imagegene", "project_type": "art", "title": "é", "content": "text"}
TOO_MUCH = {**DEDUCTION, "amount": 51}
TOO_LARGE = {**PROJECT, "content": "x" * 1_048_577}

GIFT = LedgerEntry.Source.PROMOTION


def assert_replayed(first: Any, second: Any) -> None:
    assert second.status_code == first.status_code
    assert second.content == first.content
    assert second["Content-Type"] == first["Content-Type"]
    assert second["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("create-user", PERSON, 201),
        ("create-user", {**PERSON, "user_id": "alice"}, 200),
        ("save-project", PROJECT, 201),
        ("deduct-credits", DEDUCTION, 200),
        ("deduct-credits", TOO_MUCH, 402),
        ("save-project", TOO_LARGE, 413),
    ],
)
def test_a_repeat_gets_the_first_answer_to_the_byte(
    alice: User, as_imagegene: ApiClient, route: str, body: dict[str, Any], status: int
) -> None:
    first = as_imagegene.post(route, body, headers=K1)
    before = (everything_of(alice), User.objects.count())

    for _ in range(2):
        assert_replayed(first, as_imagegene.post(route, body, headers=K1))
    assert first.status_code == status
    assert (everything_of(alice), User.objects.count()) == before
    record = IdempotencyRecord.objects.get()
    assert (record.key, record.status, record.body) == ("k1", status, first.content.decode())


def test_the_project_limit_is_a_refusal_that_is_kept_too(alice: User, as_imagegene: ApiClient, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 0
    first = as_imagegene.post("save-project", PROJECT, headers=K1)
    assert first.status_code == 413
    settings.MAX_PROJECTS_PER_USER = 1

    assert_replayed(first, as_imagegene.post("save-project", PROJECT, headers=K1))


def test_a_late_retry_of_a_refused_deduction_never_succeeds_by_surprise(alice: User, as_imagegene: ApiClient) -> None:
    refused = as_imagegene.post("deduct-credits", TOO_MUCH, headers=K1)
    credits.grant(user=alice, amount=100, source=GIFT, description="Topped up")

    assert_replayed(refused, as_imagegene.post("deduct-credits", TOO_MUCH, headers=K1))
    assert Account.objects.get(user=alice).balance == 150
    # A new attempt is a new key.
    assert as_imagegene.post("deduct-credits", TOO_MUCH, headers={"Idempotency-Key": "k2"}).status_code == 200
    assert Account.objects.get(user=alice).balance == 99


def test_a_late_retry_of_a_refused_project_never_succeeds_by_surprise(alice: User, as_imagegene: ApiClient) -> None:
    refused = as_imagegene.post("save-project", TOO_LARGE, headers=K1)
    Storage.objects.filter(user=alice).update(limit_bytes=10_485_760)

    assert_replayed(refused, as_imagegene.post("save-project", TOO_LARGE, headers=K1))
    assert not Project.objects.exists()


def test_without_a_key_every_call_counts(alice: User, as_imagegene: ApiClient) -> None:
    for _ in range(2):
        assert "Idempotent-Replayed" not in as_imagegene.post("deduct-credits", DEDUCTION)

    assert Account.objects.get(user=alice).balance == 46
    assert not IdempotencyRecord.objects.exists()


def test_the_same_key_with_another_body_is_a_422_and_does_nothing(alice: User, as_imagegene: ApiClient) -> None:
    first = as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)
    before = everything_of(alice)

    for change in ({"amount": 3}, {"description": "Another"}, {"project_code": None}, {"unknown": 1}):
        response = as_imagegene.post("deduct-credits", {**DEDUCTION, **change}, headers=K1)
        assert response.status_code == 422
        answer = response.json()
        assert (answer["success"], answer["error"]) == (False, "Idempotency key reused")
        assert (answer["code"], bool(answer["details"])) == ("idempotency_key_reused", True)
        assert "Idempotent-Replayed" not in response
    assert everything_of(alice) == before
    assert_replayed(first, as_imagegene.post("deduct-credits", DEDUCTION, headers=K1))


def test_a_refusal_is_bound_to_its_body_too(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post("deduct-credits", TOO_MUCH, headers=K1)

    assert as_imagegene.post("deduct-credits", DEDUCTION, headers=K1).status_code == 422
    assert Account.objects.get(user=alice).balance == 50


def test_the_same_body_in_other_words_is_the_same_body(alice: User, as_imagegene: ApiClient) -> None:
    body = {**PROJECT, "metadata": {"a": 1, "é": [1, 2]}}
    first = as_imagegene.post("save-project", body, headers=K1)
    reordered = dict(reversed(list(body.items()))) | {"metadata": {"é": [1, 2], "a": 1}}

    for raw in (
        json.dumps(reordered).encode(),
        json.dumps(body, ensure_ascii=False, indent=4).encode(),
        json.dumps(reordered, separators=(",", ":"), ensure_ascii=False).encode(),
    ):
        assert_replayed(first, as_imagegene.post("save-project", raw=raw, headers=K1))
    swapped = {**body, "metadata": {"a": 1, "é": [2, 1]}}
    assert as_imagegene.post("save-project", swapped, headers=K1).status_code == 422


def test_a_key_belongs_to_its_route(alice: User, as_imagegene: ApiClient) -> None:
    for route, body, status in (
        ("deduct-credits", DEDUCTION, 200),
        ("save-project", PROJECT, 201),
        ("create-user", PERSON, 201),
    ):
        response = as_imagegene.post(route, body, headers=K1)
        assert (response.status_code, "Idempotent-Replayed" in response) == (status, False)


def test_a_key_belongs_to_its_app(alice: User, as_imagegene: ApiClient, as_penora: ApiClient) -> None:
    as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)

    response = as_penora.post("deduct-credits", {**DEDUCTION, "app_name": "penora"}, headers=K1)

    assert (response.status_code, response.json()["new_balance"]) == (200, 46)
    assert "Idempotent-Replayed" not in response


def test_both_keys_of_an_app_are_one_caller(alice: User, imagegene: App, as_imagegene: ApiClient) -> None:
    """A retry after the credential was rotated is still a retry."""
    first = as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)
    other = ApiClient(key=create_key(app=imagegene, label="another")[1])

    assert_replayed(first, other.post("deduct-credits", DEDUCTION, headers=K1))


def test_a_key_is_case_sensitive(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)
    as_imagegene.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": "K1"})

    assert Account.objects.get(user=alice).balance == 46


def test_the_twin_with_a_slash_is_the_same_route(alice: User, as_imagegene: ApiClient) -> None:
    first = as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)

    assert_replayed(first, as_imagegene.post("deduct-credits/", DEDUCTION, headers=K1))
    assert Account.objects.get(user=alice).balance == 48


def test_bad_input_is_not_kept(alice: User, as_imagegene: ApiClient) -> None:
    for wrong in ({**DEDUCTION, "amount": 0}, {**DEDUCTION, "app_name": "nobody"}, {}):
        assert as_imagegene.post("deduct-credits", wrong, headers=K1).status_code == 400
    assert as_imagegene.post("deduct-credits", raw=b"{", headers=K1).status_code == 400
    assert not IdempotencyRecord.objects.exists()

    mended = as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)

    assert (mended.status_code, "Idempotent-Replayed" in mended) == (200, False)


def test_a_missing_user_is_not_kept(db: None, as_imagegene: ApiClient) -> None:
    assert as_imagegene.post("deduct-credits", {**DEDUCTION, "user_id": "charlie"}, headers=K1).status_code == 404
    as_imagegene.post("create-user", PERSON)

    assert as_imagegene.post("deduct-credits", {**DEDUCTION, "user_id": "charlie"}, headers=K1).status_code == 200


def test_a_refused_permission_is_not_kept(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert as_imagegene.post("deduct-credits", DEDUCTION, headers=K1).status_code == 403
    User.objects.filter(pk=alice.pk).update(is_active=True)

    assert as_imagegene.post("deduct-credits", DEDUCTION, headers=K1).status_code == 200


def test_a_missing_credential_is_not_kept(alice: User, anonymous: ApiClient, as_imagegene: ApiClient) -> None:
    assert anonymous.post("deduct-credits", DEDUCTION, headers=K1).status_code == 401
    assert as_imagegene.post("deduct-credits", DEDUCTION, headers=K1).status_code == 200


@pytest.mark.parametrize("key", ["", " ", "a b", " k1", "a\tb", "a\nb", "a\x7f", "é", "\x80", "x" * 256, "\x00"])
def test_a_malformed_key_is_a_400_and_does_nothing(alice: User, as_imagegene: ApiClient, key: str) -> None:
    before = everything_of(alice)

    response = as_imagegene.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": key})

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == ["Idempotency-Key"]
    assert everything_of(alice) == before


@pytest.mark.parametrize("key", ["x", "!", "~", "x" * 255, "0b9f2c1e-8f1d-4b43-a7a8-6a4c1f1f3b11", "\"'\\%_{}"])
def test_a_key_is_any_visible_ascii(alice: User, as_imagegene: ApiClient, key: str) -> None:
    first = as_imagegene.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": key})

    assert_replayed(first, as_imagegene.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": key}))


@pytest.mark.parametrize(
    ("table", "event"),
    [
        ("credits_ledgerentry", "INSERT"),
        ("credits_account", "UPDATE"),
        ("api_idempotencyrecord", "INSERT"),
        ("api_idempotencyrecord", "UPDATE"),
    ],
)
def test_a_crash_keeps_neither_the_work_nor_the_key(
    alice: User, as_imagegene: ApiClient, table: str, event: str
) -> None:
    before = everything_of(alice)

    with tripwire(table, event, "RAISE EXCEPTION 'crash';"):
        crashed = as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)

    assert crashed.status_code == 500
    assert everything_of(alice) == before
    again = as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)
    assert (again.status_code, "Idempotent-Replayed" in again) == (200, False)
    assert LedgerEntry.objects.filter(account=alice.account, type="deduction").count() == 1


def test_a_crash_while_a_project_is_kept_leaves_no_part_of_it(alice: User, as_imagegene: ApiClient) -> None:
    before = everything_of(alice)

    for table, event in (("workspace_projectcontent", "INSERT"), ("workspace_appstorage", "INSERT")):
        with tripwire(table, event, "RAISE EXCEPTION 'crash';"):
            assert as_imagegene.post("save-project", PROJECT, headers=K1).status_code == 500
        assert everything_of(alice) == before


def test_a_replay_does_not_look_at_what_has_changed_since(alice: User, as_imagegene: ApiClient) -> None:
    body = {**DEDUCTION, "operation": "basic_art", "quantity": 2}
    del body["amount"]
    first = as_imagegene.post("deduct-credits", body, headers=K1)
    assert first.status_code == 200

    line = Operation.objects.get(slug="basic_art")
    Operation.objects.create(
        slug=line.slug, version=2, app=line.app, name=line.name, unit=line.unit, credits=9, is_active=False
    )
    assert_replayed(first, as_imagegene.post("deduct-credits", body, headers=K1))
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert_replayed(first, as_imagegene.post("deduct-credits", body, headers=K1))


def test_a_replay_still_asks_for_the_credential(alice: User, anonymous: ApiClient, as_imagegene: ApiClient) -> None:
    as_imagegene.post("deduct-credits", DEDUCTION, headers=K1)

    assert anonymous.post("deduct-credits", DEDUCTION, headers=K1).status_code == 401


def test_a_read_takes_no_notice_of_a_key(alice: User, as_imagegene: ApiClient) -> None:
    for _ in range(2):
        response = as_imagegene.get("user-info", user_id="alice", headers=K1)
        assert (response.status_code, "Idempotent-Replayed" in response) == (200, False)
    assert not IdempotencyRecord.objects.exists()


def test_a_replay_has_its_own_request_id(alice: User, as_imagegene: ApiClient) -> None:
    for given in ("trace-1", "trace-2"):
        response = as_imagegene.post("deduct-credits", DEDUCTION, headers={**K1, "X-Request-ID": given})
        assert response["X-Request-ID"] == given
