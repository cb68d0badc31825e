"""Introspection and revocation: for the server of an app, with its secret, about its own tokens."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from accounts.models import User
from tests.sso.conftest import register
from tests.sso.flow import INTROSPECT, REVOKE, RelyingParty, bearer, calls_api

pytestmark = pytest.mark.django_db
INACTIVE = {"active": False}


@pytest.fixture
def tokens(alices: Browser, by_penora: RelyingParty) -> dict[str, Any]:
    return by_penora.signs_in(alices)


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"}


# --- introspection ---------------------------------------------------------------------------------------------------


def test_a_server_is_told_whose_its_token_is(by_penora: RelyingParty, tokens: dict[str, Any]) -> None:
    """The library's own answer has no `sub`."""
    answer = by_penora.introspects(tokens["access_token"])

    told = answer.json()
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert (told["active"], told["sub"], told["client_id"]) == (True, "alice", by_penora.client.client_id)
    assert (told["scope"], told["iss"], told["token_type"]) == (by_penora.scope, "http://127.0.0.1:8000/o", "Bearer")
    assert told["exp"] - told["iat"] in {899, 900}  # each in whole seconds
    assert "username" not in told


def test_the_secret_is_taken_in_the_header_as_well(by_penora: RelyingParty, tokens: dict[str, Any]) -> None:
    headers = basic(by_penora.client.client_id, by_penora.secret or "")

    answer = Browser().post(INTROSPECT, {"token": tokens["access_token"]}, headers=headers)

    assert answer.json()["active"] is True


def test_nobody_is_told_of_anothers_token_nor_whether_there_is_one(
    by_stranger: RelyingParty, tokens: dict[str, Any]
) -> None:
    """Stock 3.4.1 tells any confidential client of any token. What is unknown, and what is another's, look alike."""
    foreign = by_stranger.introspects(tokens["access_token"])
    unknown = by_stranger.introspects("never-was")

    assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content)
    assert foreign.json() == INACTIVE
    assert foreign.headers == {**unknown.headers, "X-Request-ID": foreign["X-Request-ID"]}


def test_a_foreign_token_costs_what_a_well_formed_unknown_one_costs(
    by_stranger: RelyingParty, tokens: dict[str, Any]
) -> None:
    from accounts import tokens as formats

    def queries(token: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            by_stranger.introspects(token)
        return len(captured)

    assert queries(tokens["access_token"]) == queries(formats.access_token(None))


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
def test_it_is_asked_by_post_only(by_penora: RelyingParty, tokens: dict[str, Any], method: str) -> None:
    sent = {"token": tokens["access_token"], "client_id": by_penora.client.client_id, "client_secret": by_penora.secret}

    answer = getattr(Browser(), method)(INTROSPECT, query_params=sent)

    assert answer.status_code == 405
    assert b"alice" not in answer.content


def test_credentials_in_the_query_are_none(by_penora: RelyingParty, tokens: dict[str, Any]) -> None:
    query = {
        "client_id": by_penora.client.client_id,
        "client_secret": by_penora.secret,
        "token": tokens["access_token"],
    }

    assert Browser().post(INTROSPECT, query_params=query).status_code in {400, 401}


@pytest.mark.parametrize("secret", [None, "", "wrong", "é", "x" * 10_000])
def test_nobody_is_told_anything_without_the_right_secret(
    by_penora: RelyingParty, tokens: dict[str, Any], secret: str | None
) -> None:
    answer = by_penora.introspects(tokens["access_token"], client_secret=secret)

    assert (answer.status_code, answer.json()) == (401, {"error": "invalid_client"})
    assert answer["WWW-Authenticate"] == "Basic"


def test_a_public_client_is_told_nothing(alices: Browser, by_imagegene: RelyingParty) -> None:
    """It has no secret to show; an empty one is none."""
    token = by_imagegene.signs_in(alices)["access_token"]

    for changes in ({}, {"client_secret": ""}, {"client_secret": "x"}):
        assert by_imagegene.introspects(token, **changes).status_code == 401


def test_a_token_of_another_kind_is_not_enough(tokens: dict[str, Any]) -> None:
    """The library lets a bearer ask as well."""
    answer = Browser().post(INTROSPECT, {"token": tokens["access_token"]}, headers=bearer(tokens["access_token"]))

    assert answer.status_code == 401


@pytest.mark.parametrize("kind", ["refresh_token", "id_token"])
def test_what_is_no_access_token_is_inactive(by_penora: RelyingParty, tokens: dict[str, Any], kind: str) -> None:
    assert by_penora.introspects(tokens[kind], token_type_hint=kind).json() == INACTIVE


def test_a_token_that_has_run_out_was_revoked_or_is_of_somebody_locked_out_is_inactive(
    alices: Browser, alice: User, by_penora: RelyingParty, tokens: dict[str, Any]
) -> None:
    revoked = by_penora.signs_in(alices)["access_token"]
    by_penora.revokes(revoked)
    assert by_penora.introspects(revoked).json() == INACTIVE

    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert by_penora.introspects(tokens["access_token"]).json() == INACTIVE

    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert by_penora.introspects(tokens["access_token"]).json()["active"] is True
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert by_penora.introspects(tokens["access_token"]).json() == INACTIVE


@pytest.mark.parametrize("token", [None, ""])
def test_a_question_without_a_token_is_a_mistake(by_penora: RelyingParty, token: str | None) -> None:
    answer = by_penora.introspects("x", token=token) if token else by_penora.posts(INTROSPECT, {})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# --- revocation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", [None, "access_token", "refresh_token", "nonsense"])
def test_an_app_ends_its_own_token_whichever_it_brings(
    by_penora: RelyingParty, tokens: dict[str, Any], kind: str, hint: str | None
) -> None:
    answer = by_penora.revokes(tokens[kind], token_type_hint=hint)

    assert (answer.status_code, answer.content) == (200, b"")
    assert calls_api(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 400


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_nobody_ends_another_clients_token(
    by_penora: RelyingParty, by_imagegene: RelyingParty, by_stranger: RelyingParty, tokens: dict[str, Any], kind: str
) -> None:
    """DOT#727: whoever had any client ended any token. What is unknown, and what is another's, are answered alike."""
    for other in (by_imagegene, by_stranger):
        foreign, unknown = other.revokes(tokens[kind]), other.revokes("never-was")
        assert (foreign.status_code, foreign.content) == (unknown.status_code, unknown.content) == (200, b"")

    assert calls_api(tokens["access_token"]).status_code == 200
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 200


def test_nor_that_of_another_client_of_the_same_app(by_penora: RelyingParty, tokens: dict[str, Any]) -> None:
    other = register(by_penora.client.app, name="Penora on phones")

    other.revokes(tokens["access_token"])

    assert calls_api(tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("secret", [None, "", "wrong"])
def test_nothing_ends_without_the_secret(by_penora: RelyingParty, tokens: dict[str, Any], secret: str | None) -> None:
    answer = by_penora.revokes(tokens["refresh_token"], client_secret=secret)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert calls_api(tokens["access_token"]).status_code == 200
    assert get_refresh_token_model().objects.filter(revoked=None).count() == 1


def test_the_bearer_of_one_person_ends_nothing_of_another(
    by_penora: RelyingParty, tokens: dict[str, Any], bob: User
) -> None:
    """DOT#727 as it was reported: signed in as one, with the token of the other, and no secret."""
    from tests.sso.conftest import browser_of

    mine = by_penora.signs_in(browser_of(bob))["access_token"]
    form = {"token": tokens["access_token"], "client_id": by_penora.client.client_id}

    assert Browser().post(REVOKE, form, headers=bearer(mine)).status_code == 401

    assert calls_api(tokens["access_token"]).status_code == 200


def test_a_callback_is_no_script(by_penora: RelyingParty, tokens: dict[str, Any]) -> None:
    answer = by_penora.revokes(tokens["access_token"], callback="alert")

    assert b"alert" not in answer.content
