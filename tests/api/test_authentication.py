"""Who may call: app keys in all their states, and nobody by a browser session."""

from __future__ import annotations

import uuid
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import keys
from accounts import services as accounts
from accounts.models import App, AppKey, User
from tests.api.conftest import everything_of, reserve
from tests.client import ApiClient

ROUTE = "user-info"


def call(key: str | None, **headers: str) -> Any:
    return ApiClient(key=key).get(ROUTE, user_id="alice", headers=headers)


def assert_not_authenticated(response: Any) -> None:
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    answer = response.json()
    assert (answer["success"], answer["error"]) == (False, "Authentication required")
    assert answer["code"] == "not_authenticated"
    assert "X-Unified-Auth" not in response


def with_another_secret(key: str) -> str:
    """A key of the right form and checksum that was never handed out, under an id that exists."""
    start, secret, _ = key.rsplit("_", 2)
    changed = ("2" if secret[0] != "2" else "3") + secret[1:]
    return f"{start}_{changed}_{zlib.crc32(f'{start}_{changed}'.encode()):08x}"


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_key_of_either_mode_is_good(alice: User, penora: App, mode: str) -> None:
    key, text = accounts.create_key(app=penora, label="tests", mode=mode)

    assert call(text).status_code == 200
    assert text.startswith(f"uni_{mode}_{key.key_id}_")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_schemes_name_is_taken_in_any_case(alice: User, penora_key: str, scheme: str) -> None:
    assert call(None, Authorization=f"{scheme} {penora_key}").status_code == 200


def test_no_credential_is_a_401(alice: User) -> None:
    assert_not_authenticated(call(None))


def test_another_scheme_is_a_401(alice: User, penora_key: str) -> None:
    for scheme in ("Basic", "Token", "Digest", "Bearer:", "uni", ""):
        assert_not_authenticated(call(None, Authorization=f"{scheme} {penora_key}"))
    assert_not_authenticated(call(None, Authorization=penora_key))


@pytest.mark.parametrize(
    "credential",
    ["", " ", "x", "uni", "uni_live__", "null", "undefined", "Bearer", "é", "\x00", "x" * 10_000, "a b", "' OR 1=1 --"],
)
def test_what_is_no_key_asks_no_database(alice: User, credential: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = call(None, Authorization=f"Bearer {credential}")

    assert_not_authenticated(response)
    assert len(queries) == 0


def test_a_wrong_checksum_asks_no_database(alice: User, penora_key: str) -> None:
    last = "0" if penora_key[-1] != "0" else "1"
    mistyped = [penora_key[:-1] + last, penora_key[:-9] + "x" + penora_key[-8:], penora_key + "0", penora_key[:-1]]
    mistyped.append(penora_key.replace("uni_live", "uni_test"))

    for text in mistyped:
        with CaptureQueriesContext(connection) as queries:
            response = call(text)
        assert_not_authenticated(response)
        assert len(queries) == 0, text


def test_a_wrong_secret_under_a_right_id_and_checksum_is_a_401(alice: User, penora_key: str) -> None:
    forged = with_another_secret(penora_key)
    assert keys.parse(forged) is not None

    assert_not_authenticated(call(forged))
    assert call(penora_key).status_code == 200


def test_a_well_formed_key_that_was_never_handed_out_is_a_401(alice: User) -> None:
    text, _ = keys.generate(mode="live")

    assert_not_authenticated(call(text))


def test_a_revoked_key_is_a_401_at_once(alice: User, penora: App) -> None:
    key, text = accounts.create_key(app=penora, label="tests")
    assert call(text).status_code == 200

    accounts.revoke_key(key_id=key.key_id)

    assert_not_authenticated(call(text))


def test_an_expired_key_is_a_401(alice: User, penora: App) -> None:
    now = timezone.now()
    good = accounts.create_key(app=penora, label="good", expires_at=now + timedelta(hours=1))[1]
    over = accounts.create_key(app=penora, label="over", expires_at=now - timedelta(hours=1))[1]

    assert call(good).status_code == 200
    assert_not_authenticated(call(over))


def test_a_rotated_key_is_good_for_its_overlap_and_no_longer(alice: User, penora: App) -> None:
    old, old_text = accounts.create_key(app=penora, label="tests")
    _, new_text = accounts.rotate_key(key_id=old.key_id, overlap=timedelta(hours=1))

    assert call(old_text).status_code == 200
    assert call(new_text).status_code == 200
    # The overlap is over an hour later; the row says when, so that is what is moved here.
    ends = AppKey.objects.get(pk=old.pk).expires_at
    assert ends is not None
    AppKey.objects.filter(pk=old.pk).update(expires_at=ends - timedelta(hours=2))
    assert_not_authenticated(call(old_text))
    assert call(new_text).status_code == 200


def test_no_key_of_an_app_that_is_switched_off_is_good(alice: User, penora_key: str, imagegene_key: str) -> None:
    App.objects.filter(slug="penora").update(is_active=False)

    assert_not_authenticated(call(penora_key))
    assert call(imagegene_key).status_code == 200
    App.objects.filter(slug="penora").update(is_active=True)
    assert call(penora_key).status_code == 200


def test_a_refusal_says_the_same_for_every_bad_key(alice: User, penora: App, penora_key: str) -> None:
    revoked, revoked_text = accounts.create_key(app=penora, label="tests")
    accounts.revoke_key(key_id=revoked.key_id)

    answers = {call(text).content for text in (revoked_text, with_another_secret(penora_key), "nonsense")}

    assert len(answers) == 1


def test_a_key_names_any_user_but_acts_for_its_own_app_only(alice: User, bob: User, as_penora: ApiClient) -> None:
    for user in (alice, bob):
        assert as_penora.get(ROUTE, user_id=user.user_id).status_code == 200
    before = everything_of(alice)
    deduction = {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "One"}
    project = {"user_id": "alice", "app_source": "imagegene", "project_type": "page", "title": "x", "content": "x"}

    for route, body in (
        ("deduct-credits", deduction),
        ("reserve-credits", deduction),
        ("save-project", project),
        ("save-project", {**project, "charge": {"operation": "page"}}),
    ):
        response = as_penora.post(route, body)
        assert response.status_code == 403
        answer = response.json()
        assert (answer["success"], answer["error"], answer["code"]) == (False, "Permission denied", "permission_denied")
    assert everything_of(alice) == before


def test_a_403_does_not_tell_whether_the_user_exists(alice: User, as_penora: ApiClient) -> None:
    def answer(user_id: str) -> bytes:
        body = {"user_id": user_id, "amount": 1, "app_name": "imagegene", "description": "One"}
        content: bytes = as_penora.post("deduct-credits", body).content
        return content

    assert answer("alice") == answer("nobody")


def test_another_apps_hold_or_transaction_is_one_that_does_not_exist(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    """To the byte, but for the id; and though the other app may see the transaction in the history."""
    spent = as_imagegene.post(
        "deduct-credits", user_id="alice", amount=1, app_name="imagegene", description="One"
    ).json()["transaction_id"]
    held = reserve(as_imagegene)["hold_id"]
    project = {"user_id": "alice", "app_source": "penora", "project_type": "page", "title": "x", "content": "x"}
    none = str(uuid.uuid4())
    before = everything_of(alice)

    def answers(hold_id: str, transaction_id: str) -> list[tuple[int, bytes]]:
        found = [
            as_penora.post("capture-credits", hold_id=hold_id),
            as_penora.post("release-credits", hold_id=hold_id),
            as_penora.post("save-project", {**project, "hold_id": hold_id}),
            as_penora.post("refund-credits", transaction_id=transaction_id, reason="x"),
        ]
        return [(response.status_code, response.content) for response in found]

    theirs, missing = answers(held, spent), answers(none, none)
    assert [status for status, _ in theirs] == [404] * 4
    told = [content.replace(held.encode(), b"").replace(spent.encode(), b"") for _, content in theirs]
    assert told == [content.replace(none.encode(), b"") for _, content in missing]
    assert everything_of(alice) == before


def test_either_app_may_ask_for_a_quote(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    for client in (as_penora, as_imagegene):
        assert client.post("quote", user_id="alice", operation="basic_art").status_code == 200


def test_a_403_of_a_hold_does_not_tell_whether_the_user_exists(alice: User, as_penora: ApiClient) -> None:
    hold = {"amount": 1, "app_name": "imagegene"}

    found, missing = (as_penora.post("reserve-credits", {**hold, "user_id": name}) for name in ("alice", "nobody"))

    assert found.status_code == missing.status_code == 403
    assert found.content == missing.content


def test_a_browser_session_of_staff_is_nobody_here(alice: User) -> None:
    staff = User.objects.create_superuser(
        user_id="staff", username="Staff", email="staff@example.com", password="correct horse battery"
    )
    client = ApiClient()
    client.client.force_login(staff)
    assert client.request("GET", "/admin/").status_code == 200
    before = everything_of(alice)

    assert_not_authenticated(client.get(ROUTE, user_id="alice"))
    assert_not_authenticated(
        client.post("deduct-credits", user_id="alice", amount=1, app_name="penora", description="One")
    )
    assert everything_of(alice) == before


def test_a_key_in_the_address_or_the_body_is_no_credential(alice: User, penora_key: str) -> None:
    client = ApiClient()

    for name in ("key", "token", "access_token", "api_key", "Authorization"):
        assert_not_authenticated(client.get(ROUTE, user_id="alice", **{name: penora_key}))
        assert_not_authenticated(client.post("create-user", {"user_id": "x", name: penora_key}))


@pytest.mark.parametrize(
    "route",
    [
        *("user-info", "projects", "transactions", "transactions.csv", "storage-stats", "pricing"),
        "projects/ABC123/content",
    ],
)
def test_every_read_asks_for_a_credential(alice: User, anonymous: ApiClient, route: str) -> None:
    assert_not_authenticated(anonymous.get(route, user_id="alice"))


@pytest.mark.parametrize(
    "route",
    [
        *("create-user", "save-project", "deduct-credits", "reserve-credits", "capture-credits", "release-credits"),
        *("refund-credits", "quote"),
    ],
)
@pytest.mark.parametrize("raw", [b"{}", b"", b"not json", b'{"user_id": "alice"}'])
def test_every_write_asks_for_a_credential_before_it_reads_the_body(
    alice: User, anonymous: ApiClient, route: str, raw: bytes
) -> None:
    assert_not_authenticated(anonymous.post(route, raw=raw, headers={"Idempotency-Key": "k1"}))


def test_when_a_key_was_last_used_is_noted_without_a_write_a_call(alice: User, penora: App) -> None:
    key, text = accounts.create_key(app=penora, label="tests")
    call(text)
    noted = AppKey.objects.get(pk=key.pk).last_used_at
    assert noted is not None

    with CaptureQueriesContext(connection) as queries:
        call(text)

    assert AppKey.objects.get(pk=key.pk).last_used_at == noted
    assert not [query for query in queries.captured_queries if query["sql"].startswith("UPDATE")]
