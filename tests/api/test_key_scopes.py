"""What an app key is good for: its scopes, for how long, and what is noted of its use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, AppKey, User
from tests.api.access_table import API, Line, Target
from tests.api.belongings import NO_CODE, NO_ID
from tests.api.callers import KEY_SCOPES, Caller, Somebody, bearer, key_of
from tests.api.conftest import everything_of, reserve
from tests.api.projects import code_of
from tests.client import ApiClient

LINES = [line for line in API if line.route != "docs"]


def ask(line: Line, key: str, scopes: frozenset[str]) -> Any:
    """Of alice's, with something that need not be there: a missing scope is told before anything is looked for."""
    missing = NO_ID if line.not_found in ("hold_not_found", "transaction_not_found") else NO_CODE
    target = Target("alice's", "alice", thing=missing if line.not_found else "")
    who = Somebody("penora", None, scopes)
    return Caller("key", who, bearer(key)).ask(line.method, line.path(target), *line.sent(target, who))


def key_for(app: App, scopes: str, **options: Any) -> tuple[AppKey, ApiClient]:
    key, text = accounts.create_key(app=app, label="tests", scopes=scopes, **options)
    return key, ApiClient(key=text)


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_key_with_every_scope_but_the_one_that_is_needed_is_refused_by_its_name(
    line: Line, alice: User, penora: App
) -> None:
    before = everything_of(alice)
    for scope in line.scopes:
        answer = ask(line, key_of(penora, KEY_SCOPES - {scope}), KEY_SCOPES - {scope})

        assert answer.status_code == 403
        assert answer.json() == {
            "success": False,
            "error": "Permission denied",
            "code": "permission_denied",
            "details": f"The key or token does not have the scope '{scope}'.",
        }
        together = " ".join(line.scopes)  # what to ask the person for, once
        assert answer["WWW-Authenticate"] == f'Bearer error="insufficient_scope", scope="{together}"'
    assert everything_of(alice) == before


@pytest.mark.parametrize("line", LINES, ids=str)
def test_a_key_with_the_scopes_that_are_needed_and_no_others_is_good(line: Line, alice: User, penora: App) -> None:
    scopes = frozenset(line.scopes)

    answer = ask(line, key_of(penora, scopes), scopes)

    assert answer.status_code in ((404,) if line.not_found else (200, 201))


def test_a_scope_is_asked_for_before_the_answer_to_an_earlier_call_is_given_again(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    """One app may hand out a narrower key, and its calls share their idempotency keys."""
    key = {"Idempotency-Key": "k1"}
    wanted = {"user_id": "alice", "amount": 2, "app_name": "penora", "description": "Two"}
    assert as_penora.post("deduct-credits", wanted, headers=key).status_code == 200

    assert key_for(penora, "credits.read")[1].post("deduct-credits", wanted, headers=key).status_code == 403
    again = key_for(penora, "credits.spend")[1].post("deduct-credits", wanted, headers=key)
    assert (again.status_code, again["Idempotent-Replayed"]) == (200, "true")


def test_what_a_body_asks_for_is_asked_for_before_the_answer_to_an_earlier_call_too(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    """A key that may keep projects and not spend is not told what one that may was charged."""
    project = {"user_id": "alice", "app_source": "penora", "project_type": "page", "title": "T", "content": "x"}
    hold_id = reserve(as_penora, app_name="penora")["hold_id"]
    room = {"user_id": "alice", "app_name": "penora", "amount": 1, "storage_bytes": 9}
    for number, (route, body, lacking) in enumerate(
        (
            ("save-project", {**project, "charge": {"operation": "page"}}, "workspace.write"),
            ("save-project", {**project, "hold_id": hold_id}, "workspace.write"),
            ("reserve-credits", room, "credits.spend"),
        )
    ):
        key = {"Idempotency-Key": f"k{number}"}
        assert as_penora.post(route, body, headers=key).status_code == 201
        assert key_for(penora, lacking)[1].post(route, body, headers=key).status_code == 403


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1", b"null", b"true", b"", b"{}", b"not json", b'[{"charge": 1}]'])
@pytest.mark.parametrize("route", ["save-project", "reserve-credits", "deduct-credits"])
def test_a_body_that_is_no_object_is_a_400_with_every_scope_and_with_none_of_those_it_might_ask_for(
    route: str, raw: bytes, alice: User, penora: App
) -> None:
    before = everything_of(alice)
    for scopes in ("credits.spend workspace.write", "credits.spend", "workspace.write"):
        _, client = key_for(penora, scopes)
        assert client.post(route, raw=raw).status_code in (400, 403), scopes
    assert everything_of(alice) == before


def test_a_key_that_may_only_spend_can_neither_read_nor_keep(alice: User, imagegene: App) -> None:
    _, client = key_for(imagegene, "credits.spend")
    hold_id = reserve(client)["hold_id"]

    assert client.post("capture-credits", hold_id=hold_id).status_code == 200
    for route in ("user-info", "transactions", "projects", "export", "storage-stats"):
        assert client.get(route, user_id="alice").status_code == 403


def test_a_scope_is_a_whole_word(alice: User, penora: App) -> None:
    """Not the start of one, nor a part of the text."""
    key, client = key_for(penora, "")
    for scopes in ("credits.read.", "xcredits.read", "credits", "CREDITS.READ", "credits.read,credits.spend", "*", "."):
        AppKey.objects.filter(pk=key.pk).update(scopes=scopes)
        assert client.get("user-info", user_id="alice").status_code == 403, scopes
    AppKey.objects.filter(pk=key.pk).update(scopes="workspace.read  credits.read")
    assert client.get("user-info", user_id="alice").status_code == 200


@pytest.mark.parametrize("scopes", ["credits", "openid", "users.read", "credits.read,credits.spend", "Credits.read"])
def test_a_key_for_what_there_is_not_cannot_be_made(penora: App, scopes: str) -> None:
    with pytest.raises(ValidationError):
        accounts.create_key(app=penora, label="tests", scopes=scopes)
    assert not AppKey.objects.exists()


# --- Rotation --------------------------------------------------------------------------------------------------------


def test_a_rotated_key_hands_its_scopes_on_and_goes_on_for_its_overlap(alice: User, penora: App) -> None:
    old, before = key_for(penora, "credits.read workspace.read")
    new, text = accounts.rotate_key(key_id=old.key_id, overlap=timedelta(hours=1))
    after = ApiClient(key=text)

    assert (new.scopes, new.app) == ("credits.read workspace.read", penora)
    spend = {"user_id": "alice", "amount": 1, "app_name": "penora", "description": "One"}
    for client in (before, after):
        assert client.get("user-info", user_id="alice").status_code == 200
        assert client.get("projects", user_id="alice").status_code == 200
        assert client.post("deduct-credits", spend).status_code == 403
    ends = AppKey.objects.get(pk=old.pk).expires_at
    assert ends is not None
    assert timedelta(minutes=59) < ends - timezone.now() <= timedelta(hours=1)
    AppKey.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert before.get("user-info", user_id="alice").status_code == 401
    assert after.get("user-info", user_id="alice").status_code == 200


def test_a_key_without_any_scope_stays_so_when_it_is_rotated(alice: User, penora: App) -> None:
    """Nothing is not taken for everything."""
    old, _ = key_for(penora, "")

    new, text = accounts.rotate_key(key_id=old.key_id)

    assert new.scopes == ""
    for line in LINES:
        assert ask(line, text, frozenset()).status_code == 403, str(line)


def test_the_overlap_of_a_rotation_makes_no_key_live_longer_than_it_would_have(alice: User, penora: App) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    old, _ = key_for(penora, "credits.read", expires_at=soon)

    new, _ = accounts.rotate_key(key_id=old.key_id, overlap=timedelta(days=7))

    assert AppKey.objects.get(pk=old.pk).expires_at == soon
    assert new.expires_at == soon


def test_both_keys_of_a_rotation_are_one_caller(alice: User, penora: App) -> None:
    """So that a call that was sent with the old one and lost can be repeated with the new one."""
    old, before = key_for(penora, "credits.spend")
    wanted = {"user_id": "alice", "amount": 2, "app_name": "penora", "description": "Two"}
    key = {"Idempotency-Key": "k1"}
    first = before.post("deduct-credits", wanted, headers=key)

    after = ApiClient(key=accounts.rotate_key(key_id=old.key_id)[1])

    again = after.post("deduct-credits", wanted, headers=key)
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")


# --- Its end, and its use --------------------------------------------------------------------------------------------


def test_a_key_ends_at_its_time_by_the_databases_clock(alice: User, penora: App) -> None:
    key, client = key_for(penora, "credits.read")
    for moved, status in (("+ interval '1 minute'", 200), ("", 401), ("- interval '1 microsecond'", 401)):
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE accounts_appkey SET expires_at = statement_timestamp() {moved} WHERE id = %s", [key.pk]
            )
        assert client.get("user-info", user_id="alice").status_code == status, moved


def test_a_revoked_key_is_a_401_and_not_a_403_whatever_it_lacked(alice: User, penora: App) -> None:
    key, client = key_for(penora, "")
    assert client.get("user-info", user_id="alice").status_code == 403

    accounts.revoke_key(key_id=key.key_id)

    assert client.get("user-info", user_id="alice").status_code == 401


def test_its_last_use_is_noted_every_five_minutes_at_most(alice: User, penora: App) -> None:
    key, client = key_for(penora, "credits.read")

    def noted_after(ago: timedelta | None) -> tuple[Any, Any]:
        before = timezone.now() - ago if ago is not None else None
        AppKey.objects.filter(pk=key.pk).update(last_used_at=before)
        with CaptureQueriesContext(connection) as queries:
            assert client.get("user-info", user_id="alice").status_code == 200
        writes = [query for query in queries.captured_queries if query["sql"].startswith("UPDATE")]
        noted = AppKey.objects.get(pk=key.pk).last_used_at
        assert bool(writes) == (noted != before)
        return before, noted

    for ago in (None, timedelta(minutes=6), timedelta(days=1)):
        before, noted = noted_after(ago)
        assert noted is not None
        assert noted != before
    for ago in (timedelta(0), timedelta(minutes=4)):
        before, noted = noted_after(ago)
        assert noted == before


def test_a_key_that_is_refused_for_its_scope_has_been_used_and_one_that_is_dead_has_not(
    alice: User, penora: App
) -> None:
    """Staff look at it before they revoke a key: what still calls with it has to be seen."""
    narrow, client = key_for(penora, "")
    revoked, dead = key_for(penora, "credits.read")
    accounts.revoke_key(key_id=revoked.key_id)

    assert client.get("user-info", user_id="alice").status_code == 403
    assert dead.get("user-info", user_id="alice").status_code == 401

    assert AppKey.objects.get(pk=narrow.pk).last_used_at is not None
    assert AppKey.objects.get(pk=revoked.pk).last_used_at is None


def test_two_apps_read_what_the_other_has_kept_and_only_their_own_key_acts_for_each(
    alice: User, penora: App, imagegene: App
) -> None:
    """That is the point of the shared workspace; the scopes are the same for both."""
    clients = {app.slug: key_for(app, "workspace.read workspace.write")[1] for app in (penora, imagegene)}
    codes = {slug: code_of(client, app=slug) for slug, client in clients.items()}

    for client in clients.values():
        listed = client.get("projects", user_id="alice").json()["all_projects"]
        assert {project["code"] for project in listed} == set(codes.values())
    project = {"user_id": "alice", "project_type": "page", "title": "T", "content": "x"}
    assert clients["penora"].post("save-project", {**project, "app_source": "imagegene"}).status_code == 403
