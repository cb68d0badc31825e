"""What an app may do with the token of one person: what that person may, as that app, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache

from accounts import services as accounts
from accounts.models import App, User
from credits.models import Hold, LedgerEntry
from tests.api.callers import TOKEN_SCOPES, Registered, expire, key_of, register, row_of, signed_in
from tests.api.conftest import everything_of, refused
from tests.api.pictures import as_base64, draw
from tests.api.projects import code_of, deleted
from tests.client import ApiClient
from tests.conftest import make_user
from unified import services
from unified.api.models import IdempotencyRecord

OWN = "A user token is good for its own user alone."
BY_KEY = "This hold was made with the app's key, and only the key can end it."


@pytest.fixture
def penora_client(penora: App) -> Registered:
    return register(penora)


@pytest.fixture
def imagegene_client(imagegene: App) -> Registered:
    return register(imagegene)


@pytest.fixture
def token(alice: User, penora_client: Registered) -> ApiClient:
    """Calls with what alice's sign-in has given to Penora."""
    return ApiClient(key=signed_in(alice, penora_client).access)


@pytest.fixture
def bobs(bob: User, penora_client: Registered) -> ApiClient:
    return ApiClient(key=signed_in(bob, penora_client).access)


def limited(user: User, registered: Registered, *without: str) -> ApiClient:
    """Calls with a token that lacks these scopes."""
    return ApiClient(key=signed_in(user, registered, TOKEN_SCOPES - set(without)).access)


def lacks(answer: Any, scope: str) -> bool:
    """Whether this is the refusal that names `scope`."""
    told: dict[str, Any] = answer.json()
    return (
        answer.status_code == 403
        and told["code"] == "permission_denied"
        and told["details"] == f"The key or token does not have the scope '{scope}'."
        and 'error="insufficient_scope"' in answer["WWW-Authenticate"]
        and scope in answer["WWW-Authenticate"]
    )


# --- Whom it is about ------------------------------------------------------------------------------------------------

READS = ["user-info", "plans", "transactions", "projects", "storage-stats", "trash"]
DEDUCTION = {"amount": 2, "app_name": "penora", "description": "Two"}
PROJECT = {"app_source": "penora", "project_type": "page", "title": "A page", "content": "text"}


def same(answer: Any) -> dict[str, Any]:
    """What an answer says, but for the time at which it was given and the signatures of addresses."""
    told: dict[str, Any] = answer.json()
    told.pop("timestamp", None)
    return told


@pytest.mark.parametrize("route", READS)
def test_a_read_without_a_user_id_is_about_the_tokens_own_person(
    route: str, token: ApiClient, as_penora: ApiClient, bob: User
) -> None:
    """And it is the answer that the app's key gets for that person."""
    deleted(as_penora, code_of(as_penora))
    code_of(as_penora, content=as_base64(draw("PNG")))
    code_of(as_penora, user_id="bob", title="Bob's")
    as_penora.post("deduct-credits", {"user_id": "alice", **DEDUCTION})

    by_key, left_out, named = as_penora.get(route, user_id="alice"), token.get(route), token.get(route, user_id="alice")

    assert by_key.status_code == left_out.status_code == named.status_code == 200
    assert same(by_key) == same(left_out) == same(named)
    assert "Bob's" not in left_out.content.decode()
    assert token.get(route, user_id="").status_code == 200  # as forms and templates send it: left out


def test_the_history_as_csv_and_the_export_are_the_persons_own(
    token: ApiClient, as_penora: ApiClient, bobs: ApiClient
) -> None:
    mine, theirs = code_of(as_penora), code_of(as_penora, user_id="bob")
    as_penora.post("deduct-credits", {"user_id": "alice", **DEDUCTION})

    listed = token.get("transactions.csv").getvalue()
    assert listed == as_penora.get("transactions.csv", user_id="alice").getvalue()
    assert len(list(csv.reader(io.StringIO(listed.decode())))) == 3  # the header, a grant, a deduction
    for client, own, other in ((token, mine, theirs), (bobs, theirs, mine)):
        answer = client.get("export")
        assert answer.status_code == 200
        names = zipfile.ZipFile(io.BytesIO(answer.getvalue())).namelist()
        assert f"projects/{own}.txt" in names
        assert not [name for name in names if other in name]


WRITES: list[tuple[str, dict[str, Any], int]] = [
    ("deduct-credits", DEDUCTION, 200),
    ("reserve-credits", DEDUCTION, 201),
    ("reserve-credits", {**DEDUCTION, "storage_bytes": 10}, 201),
    ("save-project", PROJECT, 201),
    ("save-project", {**PROJECT, "charge": {"operation": "page"}}, 201),
    ("cleanup", {"older_than_days": 0}, 200),
    ("quote", {"amount": 2}, 200),
]


@pytest.mark.parametrize(("route", "body", "status"), WRITES)
def test_a_write_without_a_user_id_is_about_the_tokens_own_person(
    route: str, body: dict[str, Any], status: int, token: ApiClient, alice: User, bob: User
) -> None:
    untouched = everything_of(bob)

    for wanted in (body, {**body, "user_id": "alice"}):
        before = everything_of(alice)
        assert token.post(route, wanted).status_code == status
        assert (everything_of(alice) != before) == (route not in ("quote", "cleanup"))
    assert everything_of(bob) == untouched


@pytest.mark.parametrize(("route", "body", "status"), WRITES)
def test_a_write_about_another_person_is_a_403_whether_or_not_there_is_one(
    route: str, body: dict[str, Any], status: int, token: ApiClient, alice: User, bob: User
) -> None:
    untouched = everything_of(bob)

    told = []
    for name in ("bob", "nobody", "Alice", "alice "):
        told.append(refused(token, route, {**body, "user_id": name}, about=alice, status=403, code="permission_denied"))
    assert told == [told[0]] * 4
    assert told[0]["details"] == OWN
    assert everything_of(bob) == untouched


def test_a_read_about_another_person_is_a_403_whether_or_not_there_is_one(token: ApiClient, bob: User) -> None:
    for route in [*READS, "transactions.csv", "export", "projects/000000", "projects/000000/content"]:
        found, missing = (token.get(route, user_id=name) for name in ("bob", "nobody"))
        assert found.status_code == missing.status_code == 403, route
        assert found.content == missing.content
        assert found.json()["details"] == OWN


@pytest.mark.parametrize("user_id", [None, 7, True, [], {}, ["alice"], "", "x" * 256, "a\nb"])
def test_a_user_id_that_is_none_is_not_taken_for_left_out(user_id: Any, token: ApiClient, alice: User) -> None:
    refused(token, "deduct-credits", {**DEDUCTION, "user_id": user_id}, about=alice, field="user_id")


def test_two_user_ids_in_one_question_are_refused(token: ApiClient, bob: User) -> None:
    for first, second in (("alice", "bob"), ("bob", "alice"), ("alice", "alice")):
        query = f"user_id={first}&user_id={second}"
        answer = token.request("GET", f"/api/unified/user-info?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


def test_a_user_id_in_the_wrong_place_names_nobody(token: ApiClient, alice: User, bob: User) -> None:
    """In the address of a POST, or in the body of a GET: what is not read there changes nothing."""
    before = everything_of(bob)

    spent = token.request(
        "POST",
        "/api/unified/deduct-credits?user_id=bob",
        data=json.dumps(DEDUCTION),
        content_type="application/json",
    )
    read = token.request("GET", "/api/unified/user-info", data=b'{"user_id": "bob"}', content_type="application/json")

    assert spent.status_code == 200
    assert everything_of(alice)["account"]["balance"] == 48
    assert read.json()["user_id"] == "alice"
    assert everything_of(bob) == before


# --- Projects --------------------------------------------------------------------------------------------------------

ON_A_PROJECT: dict[str, Callable[[ApiClient, str], Any]] = {
    "read": lambda client, code: client.get(f"projects/{code}"),
    "content": lambda client, code: client.get(f"projects/{code}/content"),
    "thumbnail": lambda client, code: client.get(f"projects/{code}/thumbnail"),
    "rename": lambda client, code: client.patch(f"projects/{code}", {"title": "Mine now"}),
    "replace": lambda client, code: client.patch(f"projects/{code}", {"content": "Mine now"}),
    "delete": lambda client, code: client.delete(f"projects/{code}"),
    "restore": lambda client, code: client.post(f"projects/{code}/restore", {}),
    "remove": lambda client, code: client.delete("trash", code=code),
    "clean up": lambda client, code: client.post("cleanup", {"codes": [code]}),
    "see what would go": lambda client, code: client.post("cleanup", {"codes": [code], "dry_run": True}),
}


@pytest.mark.parametrize("deed", ON_A_PROJECT)
def test_another_persons_project_is_one_that_does_not_exist(
    deed: str, token: ApiClient, as_penora: ApiClient, bob: User
) -> None:
    picture = code_of(as_penora, user_id="bob", content=as_base64(draw("PNG")))
    trashed = code_of(as_penora, user_id="bob")
    assert as_penora.delete(f"projects/{trashed}", user_id="bob").status_code == 200
    before = everything_of(bob)

    for theirs in (picture, trashed):
        found, missing = (ON_A_PROJECT[deed](token, code) for code in (theirs, "000000"))
        assert found.status_code == missing.status_code == 404
        assert found.json()["code"] == "project_not_found"
        assert found.content.replace(theirs.encode(), b"") == missing.content.replace(b"000000", b"")
        headers = ({**answer.headers, "X-Request-ID": ""} for answer in (found, missing))
        assert len({str(sorted(one.items())) for one in headers}) == 1
    assert everything_of(bob) == before


@pytest.mark.parametrize("deed", ON_A_PROJECT)
def test_ones_own_project_of_any_app_can_be_handled(
    deed: str, token: ApiClient, as_imagegene: ApiClient, alice: User
) -> None:
    code = code_of(as_imagegene, app="imagegene", content=as_base64(draw("PNG")))
    if deed in ("restore", "remove"):
        deleted(as_imagegene, code)

    assert ON_A_PROJECT[deed](token, code).status_code == 200


def test_addresses_of_a_listing_need_no_credential_and_open_nothing_else(
    token: ApiClient, bobs: ApiClient, as_penora: ApiClient, anonymous: ApiClient
) -> None:
    code = code_of(as_penora, content=as_base64(draw("PNG")))
    other = code_of(as_penora, user_id="bob", content=as_base64(draw("PNG")))
    (project,) = token.get("projects").json()["all_projects"]

    for part in ("content", "thumbnail"):
        address = urlsplit(project[f"{part}_url"])
        where = f"{address.path}?{address.query}"
        assert anonymous.request("GET", where).status_code == 200
        assert token.request("GET", where).status_code == 200
        # A signature is for one project and one part of it; a credential beside it counts, and bob's is not good here.
        for there in (where.replace(code, other), where.replace(f"/{part}?", "?").replace(code, f"{code}/content")):
            if there != where:
                assert anonymous.request("GET", there).status_code == 403
        assert bobs.request("GET", where).status_code == 404
        assert ApiClient(key="nonsense").request("GET", where).status_code == 401
    for part in ("", "/restore"):
        method = "POST" if part else "GET"
        assert anonymous.request(method, f"/api/unified/projects/{code}{part}?{address.query}").status_code == 401


# --- As which app ----------------------------------------------------------------------------------------------------


def test_a_token_acts_as_the_app_that_it_was_given_to_and_as_no_other(
    alice: User, penora_client: Registered, imagegene_client: Registered
) -> None:
    for registered, own, other in (
        (penora_client, "penora", "imagegene"),
        (imagegene_client, "imagegene", "penora"),
    ):
        client = ApiClient(key=signed_in(alice, registered).access)
        for route, field, body, status in (
            ("deduct-credits", "app_name", {"amount": 1, "description": "One"}, 200),
            ("reserve-credits", "app_name", {"amount": 1}, 201),
            ("save-project", "app_source", {"project_type": "page", "title": "T", "content": "x"}, 201),
        ):
            refused(client, route, {**body, field: other}, about=alice, status=403, code="permission_denied")
            assert client.post(route, {**body, field: own}).status_code == status
    entries = LedgerEntry.objects.filter(account=alice.pk, type="deduction").order_by("seq")
    assert [entry.app.slug for entry in entries if entry.app] == ["penora", "imagegene"]


def test_another_apps_hold_is_one_that_does_not_exist(
    alice: User, token: ApiClient, imagegene_client: Registered
) -> None:
    """Also one that the same person's other token has made."""
    other = ApiClient(key=signed_in(alice, imagegene_client).access)
    theirs = other.post("reserve-credits", amount=3, app_name="imagegene").json()["hold_id"]
    none = str(uuid.uuid4())

    for route in ("capture-credits", "release-credits"):
        told = []
        for hold_id in (theirs, none):
            wanted = {"hold_id": hold_id}
            answer = refused(token, route, wanted, about=alice, status=404, code="hold_not_found")
            told.append(json.dumps(answer).replace(hold_id, ""))
        assert told[0] == told[1]
    assert other.post("release-credits", hold_id=theirs).status_code == 200


# --- Scopes ----------------------------------------------------------------------------------------------------------


def test_to_pay_for_a_project_takes_the_right_to_spend(
    alice: User, penora_client: Registered, token: ApiClient
) -> None:
    client = limited(alice, penora_client, "credits.spend")
    hold_id = token.post("reserve-credits", amount=3, app_name="penora").json()["hold_id"]
    before = everything_of(alice)

    for payment in (
        {"charge": {"operation": "page"}},
        {"charge": {"amount": 1, "description": "One"}},
        {"hold_id": hold_id},
        {"hold_id": hold_id, "charge": {"amount": 1}},
        {"hold_id": str(uuid.uuid4())},
    ):
        assert lacks(client.post("save-project", {**PROJECT, **payment}), "credits.spend")
    assert everything_of(alice) == before
    for nothing in ({}, {"charge": None}, {"hold_id": None}):
        assert client.post("save-project", {**PROJECT, **nothing}).status_code == 201


def test_to_hold_room_takes_the_right_to_write(alice: User, penora_client: Registered) -> None:
    client = limited(alice, penora_client, "workspace.write")
    before = everything_of(alice)

    for app in ("penora", "imagegene", "nothing"):  # whatever else may be wrong
        wanted = {"amount": 1, "app_name": app, "storage_bytes": 10}
        assert lacks(client.post("reserve-credits", wanted), "workspace.write")
    assert everything_of(alice) == before
    assert client.post("reserve-credits", amount=1, app_name="penora").status_code == 201


def test_an_export_takes_both_rights_to_read(alice: User, penora_client: Registered) -> None:
    for scope in ("credits.read", "workspace.read"):
        assert lacks(limited(alice, penora_client, scope).get("export"), scope)


def test_a_replay_takes_the_scope_that_the_first_call_took(
    alice: User, penora_client: Registered, token: ApiClient
) -> None:
    key = {"Idempotency-Key": "k1"}
    assert token.post("deduct-credits", DEDUCTION, headers=key).status_code == 200

    assert lacks(
        limited(alice, penora_client, "credits.spend").post("deduct-credits", DEDUCTION, headers=key), "credits.spend"
    )


# --- What only an app's key may do -----------------------------------------------------------------------------------


def test_nobody_makes_people_or_refunds_with_a_persons_token(
    token: ApiClient, as_penora: ApiClient, alice: User
) -> None:
    spent = as_penora.post("deduct-credits", {"user_id": "alice", **DEDUCTION}).json()["transaction_id"]
    people = User.objects.count()

    for route, wanted in (
        ("create-user", {"user_id": "alice", "username": "Alice", "email": "a@example.com"}),
        ("create-user", {"user_id": "new", "username": "New", "email": "n@example.com", "initial_credits": 50}),
        ("create-user", {"username": "Alice", "email": "a@example.com"}),
        ("refund-credits", {"transaction_id": spent, "reason": "Mine"}),
        ("refund-credits", {"transaction_id": spent, "reason": "Mine", "user_id": "alice"}),
        ("refund-credits", {"transaction_id": str(uuid.uuid4()), "reason": "Mine"}),
    ):
        answer = refused(token, route, wanted, about=alice, status=403, code="permission_denied")
        assert answer["details"] == "This is for an app's server, with its key, and not for a user token."
    assert User.objects.count() == people
    assert as_penora.post("refund-credits", transaction_id=spent, reason="Right").status_code == 200


def test_a_token_whose_scopes_say_that_it_may_make_people_may_not(alice: User, token: ApiClient) -> None:
    """Whatever the row says: `users.write` is nothing that a person can give."""
    assert token.key
    row = row_of(token.key)
    row.scope = "users.write credits.spend"
    row.save()
    wanted = {"user_id": "new", "username": "New", "email": "n@example.com"}

    refused(token, "create-user", wanted, about=alice, status=403, code="permission_denied")


# --- Holds -----------------------------------------------------------------------------------------------------------


def test_a_hold_of_the_apps_key_cannot_be_ended_or_spent_with_the_persons_token(
    token: ApiClient, as_penora: ApiClient, alice: User
) -> None:
    """Else they would free it while the app works for it, and have the work for nothing."""
    wanted = {"user_id": "alice", "amount": 5, "app_name": "penora", "storage_bytes": 100}
    hold_id = as_penora.post("reserve-credits", wanted).json()["hold_id"]
    before = everything_of(alice)

    for route, body in (
        ("capture-credits", {"hold_id": hold_id}),
        ("capture-credits", {"hold_id": hold_id, "amount": 1}),
        ("release-credits", {"hold_id": hold_id}),
        ("release-credits", {"hold_id": hold_id, "user_id": "alice"}),
        ("save-project", {**PROJECT, "hold_id": hold_id}),
        ("save-project", {**PROJECT, "hold_id": hold_id, "charge": {"amount": 1}}),
    ):
        for key in (None, {"Idempotency-Key": str(uuid.uuid4())}):
            answer = refused(token, route, body, about=alice, status=403, code="permission_denied", headers=key)
            assert answer["details"] == BY_KEY
    assert everything_of(alice) == before
    assert as_penora.post("capture-credits", hold_id=hold_id).status_code == 200


@pytest.mark.parametrize("ender", ["token", "key"])
@pytest.mark.parametrize("route", ["capture-credits", "release-credits", "save-project"])
def test_a_hold_of_the_persons_token_can_be_ended_with_it_and_with_the_key(
    route: str, ender: str, token: ApiClient, as_penora: ApiClient, alice: User
) -> None:
    hold_id = token.post("reserve-credits", amount=5, app_name="penora").json()["hold_id"]
    assert Hold.objects.get(pk=hold_id).by_user
    client = token if ender == "token" else as_penora
    body = {"hold_id": hold_id}
    if route == "save-project":
        body = {**PROJECT, "user_id": "alice", "hold_id": hold_id}

    assert client.post(route, body).status_code == (201 if route == "save-project" else 200)
    assert Hold.objects.get(pk=hold_id).status == ("released" if route == "release-credits" else "captured")


def test_a_hold_of_another_person_is_one_that_does_not_exist(
    token: ApiClient, bobs: ApiClient, as_penora: ApiClient, alice: User, bob: User
) -> None:
    held = [
        bobs.post("reserve-credits", amount=5, app_name="penora").json()["hold_id"],
        as_penora.post("reserve-credits", user_id="bob", amount=5, app_name="penora").json()["hold_id"],
    ]
    before = everything_of(bob)

    for route, body in (("capture-credits", {}), ("release-credits", {}), ("save-project", PROJECT)):
        told = set()
        for hold_id in [*held, str(uuid.uuid4())]:
            wanted = {**body, "hold_id": hold_id}
            answer = refused(token, route, wanted, about=alice, status=404, code="hold_not_found")
            told.add(json.dumps(answer).replace(hold_id, ""))
        assert len(told) == 1
    assert everything_of(bob) == before


# --- Idempotency -----------------------------------------------------------------------------------------------------


def test_one_key_of_two_people_and_of_their_app_are_three(
    token: ApiClient, bobs: ApiClient, as_penora: ApiClient, alice: User, bob: User, imagegene_client: Registered
) -> None:
    key = {"Idempotency-Key": "the-same"}
    other_app = ApiClient(key=signed_in(alice, imagegene_client).access)
    deductions = [
        (token, DEDUCTION),
        (bobs, DEDUCTION),
        (as_penora, {**DEDUCTION, "user_id": "alice"}),
        (other_app, {**DEDUCTION, "app_name": "imagegene"}),
    ]

    first = [client.post("deduct-credits", body, headers=key) for client, body in deductions]
    again = [client.post("deduct-credits", body, headers=key) for client, body in deductions]

    assert [answer.status_code for answer in first] == [200] * 4
    assert len({answer.json()["transaction_id"] for answer in first}) == 4
    assert [answer.content for answer in first] == [answer.content for answer in again]
    assert all(answer["Idempotent-Replayed"] == "true" for answer in again)
    assert everything_of(alice)["account"]["balance"] == 50 - 3 * 2
    assert everything_of(bob)["account"]["balance"] == 50 - 2
    callers = set(IdempotencyRecord.objects.values_list("caller", flat=True))
    assert callers == {"token:penora:alice", "token:penora:bob", "app:penora", "token:imagegene:alice"}


def test_a_new_token_of_the_same_person_and_app_goes_on_where_the_old_one_was(
    alice: User, penora_client: Registered, token: ApiClient
) -> None:
    """It is renewed every 15 minutes; a retry after that is still a retry."""
    key = {"Idempotency-Key": "k1"}
    first = token.post("deduct-credits", DEDUCTION, headers=key)
    renewed = ApiClient(key=signed_in(alice, penora_client).access)

    again = renewed.post("deduct-credits", DEDUCTION, headers=key)

    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
    assert everything_of(alice)["account"]["balance"] == 48


def test_a_user_id_with_a_colon_is_not_taken_for_another_app_and_person(penora: App, db: None) -> None:
    """The callers `token:<app>:<user>` are told apart however a user_id looks."""
    registered = register(penora)
    clients = [ApiClient(key=signed_in(make_user(name), registered).access) for name in ("x", "x:y", "penora:x")]
    answers = [client.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": "k"}) for client in clients]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.json()["transaction_id"] for answer in answers}) == 3


def test_kept_answers_are_found_when_their_person_leaves(token: ApiClient, alice: User, as_penora: ApiClient) -> None:
    """Also where the call did not name them, as a token need not: the answer has the titles of their projects."""
    for number, body in enumerate((PROJECT, {**PROJECT, "user_id": "alice"})):
        answer = token.post("save-project", body, headers={"Idempotency-Key": f"k{number}"})
        assert answer.status_code == 201
    hold_id = token.post("reserve-credits", amount=5, app_name="penora").json()["hold_id"]
    assert token.post("release-credits", {"hold_id": hold_id}, headers={"Idempotency-Key": "k2"}).status_code == 200
    assert IdempotencyRecord.objects.count() == 3
    assert set(IdempotencyRecord.objects.values_list("subject", flat=True)) == {"alice"}

    services.delete_member(user=alice)

    assert not IdempotencyRecord.objects.exists()


# --- Its end ---------------------------------------------------------------------------------------------------------


def assert_ended(client: ApiClient, about: User) -> None:
    before = everything_of(about)
    for answer in (
        client.get("user-info"),
        client.post("deduct-credits", DEDUCTION),
        client.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": "k1"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
        assert answer["WWW-Authenticate"] == "Bearer"
    assert everything_of(about) == before


def test_whoever_is_switched_off_meanwhile_is_out_and_stays_out_with_that_token(
    token: ApiClient, bobs: ApiClient, alice: User
) -> None:
    assert token.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": "k1"}).status_code == 200

    accounts.set_active(user=alice, is_active=False)
    assert_ended(token, alice)
    accounts.set_active(user=alice, is_active=True)
    assert_ended(token, alice)
    assert bobs.get("user-info").status_code == 200


def test_a_switched_off_person_is_out_though_their_token_is_there(token: ApiClient, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert_ended(token, alice)


def test_an_app_that_is_switched_off_meanwhile_is_out_with_all_its_tokens(
    token: ApiClient, alice: User, imagegene_client: Registered
) -> None:
    other = ApiClient(key=signed_in(alice, imagegene_client).access)

    App.objects.filter(slug="penora").update(is_active=False)

    assert_ended(token, alice)
    assert other.get("user-info").status_code == 200


def test_a_token_that_has_expired_is_out_and_is_no_guess(token: ApiClient, alice: User) -> None:
    """A phone that wakes up with an old token must not be taken for somebody who tries tokens."""
    assert token.key
    expire(token.key)
    for _ in range(25):
        assert_ended(token, alice)
    cache.clear()


def test_whoever_leaves_is_out(token: ApiClient, alice: User) -> None:
    services.delete_member(user=alice)
    assert_ended(token, alice)


def test_the_apps_key_goes_on_naming_anybody(token: ApiClient, alice: User, bob: User, penora: App) -> None:
    """Nobody's sign-in narrows what the app's own server may do."""
    client = ApiClient(key=key_of(penora))
    for name in ("alice", "bob"):
        assert client.get("user-info", user_id=name).status_code == 200
