"""The authorization code: for one client, one verifier, one address, one minute and one exchange."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model
from oauthlib.common import Request as OAuthRequest

from accounts import services as accounts
from accounts.models import AuditEntry, Client, SpentCode, User
from tests.sso.flow import TOKEN, VERIFIER, RelyingParty, calls_api, challenge_of, claims_of, query_of, userinfo
from unified.sso.validator import Validator

pytestmark = pytest.mark.django_db


def assert_no_tokens(answer: Any, error: str) -> None:
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == error
    assert "token" not in answer.json()
    assert "no-store" in answer["Cache-Control"]
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.exists()


def test_a_code_is_good_for_tokens_of_the_person_who_is_known_by_their_sub(
    alices: Browser, alice: User, by_penora: RelyingParty
) -> None:
    answer = by_penora.exchanges(by_penora.code_from(alices))

    tokens = answer.json()
    assert (answer.status_code, tokens["token_type"], tokens["expires_in"]) == (200, "Bearer", 900)
    assert answer["Cache-Control"] == "no-store"
    claims = claims_of(tokens["id_token"])
    assert (claims["sub"], claims["aud"], claims["nonce"]) == ("alice", by_penora.client.client_id, "a-nonce")
    assert (claims["name"], claims["email"]) == ("Alice", "alice@example.com")
    assert userinfo(tokens["access_token"]).json() == {"sub": "alice", "name": "Alice", "email": "alice@example.com"}
    assert calls_api(tokens["access_token"]).json()["credits"] == 50
    assert str(alice.pk) not in {str(value) for value in claims.values()}


def test_tokens_and_codes_are_kept_by_their_digest(alices: Browser, by_penora: RelyingParty) -> None:
    from tests.sso.test_google import everything_in_the_database

    code = by_penora.code_from(alices)
    tokens = by_penora.exchanges(code).json()

    kept = everything_in_the_database()
    for secret in (code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"], by_penora.secret):
        assert secret
        assert secret not in kept


# --- replay ----------------------------------------------------------------------------------------------------------


def test_a_code_that_comes_again_ends_the_tokens_of_the_first_exchange(
    alices: Browser, alice: User, by_penora: RelyingParty
) -> None:
    """Stock 3.4.1 refuses it, and the tokens live on: seen with `end_family_of` taken out of `validate_code`."""
    code = by_penora.code_from(alices)
    tokens = by_penora.exchanges(code).json()
    assert calls_api(tokens["access_token"]).status_code == 200

    again = by_penora.exchanges(code)

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert calls_api(tokens["access_token"]).status_code == 401
    assert userinfo(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 400
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()
    entry = AuditEntry.objects.get(event="code-replayed")
    assert (entry.subject, entry.app, entry.details) == (
        *(alice, by_penora.client.app),
        {"client_id": by_penora.client.client_id},
    )


def test_it_ends_what_came_of_them_since_too(alices: Browser, by_penora: RelyingParty) -> None:
    code = by_penora.code_from(alices)
    second = by_penora.refreshes(by_penora.exchanges(code).json()["refresh_token"]).json()

    by_penora.exchanges(code)

    assert calls_api(second["access_token"]).status_code == 401
    assert by_penora.refreshes(second["refresh_token"]).status_code == 400


@pytest.mark.parametrize("changes", [{"code_verifier": "w" * 60}, {"redirect_uri": "https://evil.example/"}])
def test_it_ends_them_whatever_else_is_wrong(
    alices: Browser, by_imagegene: RelyingParty, changes: dict[str, str]
) -> None:
    """A thief has the code, and neither the verifier nor the address."""
    code = by_imagegene.code_from(alices)
    tokens = by_imagegene.exchanges(code).json()

    assert by_imagegene.exchanges(code, **changes).status_code == 400

    assert calls_api(tokens["access_token"]).status_code == 401


def test_another_apps_code_ends_nothing_and_the_persons_other_tokens_stay(
    alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty
) -> None:
    code = by_penora.code_from(alices)
    tokens, others = by_penora.exchanges(code).json(), by_penora.signs_in(alices)

    assert by_imagegene.exchanges(code).status_code == 400
    assert calls_api(tokens["access_token"]).status_code == 200

    by_penora.exchanges(code)
    assert calls_api(tokens["access_token"]).status_code == 401
    assert calls_api(others["access_token"]).status_code == 200


def test_a_code_that_never_was_ends_nothing(alices: Browser, by_penora: RelyingParty) -> None:
    tokens = by_penora.signs_in(alices)

    assert by_penora.exchanges("never-was").json()["error"] == "invalid_grant"

    assert calls_api(tokens["access_token"]).status_code == 200
    assert not AuditEntry.objects.filter(event="code-replayed").exists()


def test_the_mark_of_a_spent_code_is_not_the_code(alices: Browser, by_penora: RelyingParty) -> None:
    code = by_penora.code_from(alices)
    by_penora.exchanges(code)

    spent = SpentCode.objects.get()
    assert code.encode() not in bytes(spent.digest)
    assert len(bytes(spent.digest)) == 32
    assert not get_grant_model().objects.exists()


# --- PKCE ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge_method": ""},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
    ],
)
@pytest.mark.parametrize("kind", ["by_penora", "by_imagegene"], ids=["confidential", "public"])
def test_no_code_without_s256(
    alices: Browser, request: pytest.FixtureRequest, kind: str, changes: dict[str, Any]
) -> None:
    app: RelyingParty = request.getfixturevalue(kind)

    answer = app.asks(alices, **changes)

    assert answer["Location"].startswith(f"{app.redirect_uri}?")
    told = query_of(answer["Location"])
    assert (told["error"], "code" in told) == ("invalid_request", False)
    assert not get_grant_model().objects.exists()


def test_neither_by_the_consent_form(alices: Browser, by_stranger: RelyingParty) -> None:
    for changes in ({"code_challenge": "", "code_challenge_method": ""}, {"code_challenge_method": "plain"}):
        answer = alices.post("/o/authorize/", {**by_stranger.question(), **changes, "allow": "on"})
        assert query_of(answer["Location"])["error"] == "invalid_request"
    assert not get_grant_model().objects.exists()


@pytest.mark.parametrize(
    "verifier",
    [
        None,
        "",
        "short",
        "w" * 60,
        VERIFIER[:-1],
        VERIFIER + "x",
        VERIFIER.upper(),
        challenge_of(VERIFIER),
        "é" * 50,
        "v" * 10_000,
    ],
)
@pytest.mark.parametrize("kind", ["by_penora", "by_imagegene"], ids=["confidential", "public"])
def test_no_tokens_without_the_right_verifier(
    alices: Browser, request: pytest.FixtureRequest, kind: str, verifier: str | None
) -> None:
    app: RelyingParty = request.getfixturevalue(kind)
    code = app.code_from(alices)

    answer = app.exchanges(code, code_verifier=verifier)

    error = "invalid_grant" if verifier else answer.json()["error"]
    assert error in {"invalid_grant", "invalid_request"}
    assert_no_tokens(answer, error)


# --- whose, where, how long ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", [None, "", "https://penora.example/callback/", "https://penora.example/other", "https://evil.example/"]
)
def test_no_tokens_for_another_address_than_that_of_the_question(
    alices: Browser, by_penora: RelyingParty, address: str | None
) -> None:
    """With two registered addresses: both are allowed, only one was asked for."""
    by_penora.client.redirect_uris += " https://penora.example/other"
    by_penora.client.save()

    answer = by_penora.exchanges(by_penora.code_from(alices), redirect_uri=address)

    assert answer.status_code == 400
    assert not get_access_token_model().objects.exists()


def test_no_tokens_for_another_client(
    alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty, by_stranger: RelyingParty
) -> None:
    code = by_penora.code_from(alices)

    for other in (by_imagegene, by_stranger):
        assert_no_tokens(other.exchanges(code, redirect_uri=by_penora.redirect_uri), "invalid_grant")


@pytest.mark.parametrize("secret", [None, "", "wrong", "sha256_random$"])
def test_no_tokens_without_the_clients_secret(alices: Browser, by_penora: RelyingParty, secret: str | None) -> None:
    assert_no_tokens(by_penora.exchanges(by_penora.code_from(alices), client_secret=secret), "invalid_client")


def test_what_is_kept_of_a_secret_is_no_secret(alices: Browser, by_penora: RelyingParty) -> None:
    kept = Client.objects.get(pk=by_penora.client.pk).client_secret

    assert_no_tokens(by_penora.exchanges(by_penora.code_from(alices), client_secret=kept), "invalid_client")


def test_no_tokens_after_a_minute(alices: Browser, by_penora: RelyingParty) -> None:
    code = by_penora.code_from(alices)
    grant = get_grant_model().objects.get()
    assert grant.expires - timezone.now() <= timedelta(seconds=60)
    get_grant_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    assert_no_tokens(by_penora.exchanges(code), "invalid_grant")


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password", "username": "admin", "password": "x"},
        {"grant_type": "client_credentials"},
        {"grant_type": "implicit"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": "x"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"},
        {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "x"},
        {"grant_type": "Authorization_Code", "code": "x"},
        {"grant_type": ""},
        {},
    ],
    ids=lambda form: form.get("grant_type", "none") or "empty",
)
def test_there_is_no_other_way_to_a_token(by_penora: RelyingParty, admin: User, form: dict[str, str]) -> None:
    """DOT#1819: somebody else could confirm a device that another had begun to sign in. There is no such grant."""
    assert_no_tokens(by_penora.posts(TOKEN, form), "unsupported_grant_type")


@pytest.mark.parametrize("grant", ["client_credentials", "password", "urn:ietf:params:oauth:grant-type:device_code"])
def test_neither_for_a_client_whose_row_would_allow_it(by_penora: RelyingParty, grant: str) -> None:
    """No such row can be kept; the validator does not depend on it. Seen with `validate_grant_type` taken out."""
    kinds = {"client_credentials": "client-credentials", "password": "password"}
    asked = OAuthRequest("https://unified.example/o/token/")
    asked.client = by_penora.client
    asked.client.authorization_grant_type = kinds.get(grant, grant)

    assert not Validator().validate_grant_type(asked.client.client_id, grant, asked.client, asked)


def test_no_device_grant_no_registration_and_no_management_is_mounted(alices: Browser) -> None:
    """DOT#1819 (GHSA-cfrv-vfcq-245m) and whatever else the library has pages for."""
    for path in (
        *("device/", "device-authorization/", "device/x/y/", "device-confirm/x/y/", "device-grant-status/x/y/"),
        *("register/", "applications/", "applications/register/", "applications/1/", "authorized_tokens/"),
        *("applications/1/delete/", "authorized_tokens/1/delete/", ".well-known/oauth-authorization-server"),
    ):
        assert alices.get(f"/o/{path}").status_code == 404, path
        assert alices.post(f"/o/{path}").status_code == 404, path
    assert alices.get("/o/.well-known/openid-configuration").json()["grant_types_supported"] == [
        *("authorization_code", "refresh_token")
    ]


@pytest.mark.parametrize(
    "response_type", ["token", "id_token", "id_token token", "code token", "code id_token", "", "x"]
)
def test_no_token_comes_through_the_browser(alices: Browser, by_penora: RelyingParty, response_type: str) -> None:
    answer = by_penora.asks(alices, response_type=response_type)

    assert "token=" not in answer.get("Location", "")
    assert query_of(answer["Location"])["error"] in {
        "unauthorized_client",
        "unsupported_response_type",
        "invalid_request",
    }
    assert not get_grant_model().objects.exists()


def test_a_code_of_who_is_locked_out_meanwhile_is_worth_nothing(
    alices: Browser, alice: User, by_penora: RelyingParty
) -> None:
    code = by_penora.code_from(alices)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert_no_tokens(by_penora.exchanges(code), "invalid_grant")


def test_a_code_from_before_a_sign_out_is_worth_nothing(alices: Browser, alice: User, by_penora: RelyingParty) -> None:
    code = by_penora.code_from(alices)

    accounts.sign_out(user=alice)

    assert_no_tokens(by_penora.exchanges(code), "invalid_grant")
