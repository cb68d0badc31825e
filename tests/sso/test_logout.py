"""
Signing out from an app (RP-Initiated Logout): in any order, with any ID token that we have signed, and to addresses of
the app only.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from jwcrypto import jwk, jwt
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauth2_provider.settings import oauth2_settings

from accounts.models import App, AuditEntry, User
from tests.sso.conftest import browser_of
from tests.sso.flow import LOGOUT, RelyingParty, calls_api, claims_of, query_of, signed_in_as
from unified import signing_keys

pytestmark = pytest.mark.django_db


def leaves(browser: Browser, app: RelyingParty, hint: str | None = None, **changes: Any) -> Any:
    asked = {"id_token_hint": hint, "post_logout_redirect_uri": app.goodbye, "state": "bye", **changes}
    return browser.get(LOGOUT, {name: value for name, value in asked.items() if value is not None})


def assert_sent_back(answer: Any, app: RelyingParty) -> None:
    assert (answer.status_code, answer["Location"]) == (302, f"{app.goodbye}?state=bye")


def signed(claims: dict[str, Any], pem: str, **header: str) -> str:
    token = jwt.JWT(header={"alg": "RS256", **header}, claims=claims)
    token.make_signed_token(jwk.JWK.from_pem(pem.encode()))
    return str(token.serialize())


@pytest.fixture
def rotated(settings: Any) -> str:
    """The keys were changed: what has signed so far is in second place. Its PEM."""
    old = str(settings.OIDC_SIGNING_KEYS[0])
    settings.OIDC_SIGNING_KEYS = [signing_keys.new_key(), old]
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_RSA_PRIVATE_KEY": settings.OIDC_SIGNING_KEYS[0],
        "OIDC_RSA_PRIVATE_KEYS_INACTIVE": [old],
    }
    oauth2_settings.reload()
    return old


@pytest.mark.parametrize("penora_first", [True, False])
def test_the_second_app_is_sent_back_as_the_first_one_was(
    alices: Browser, alice: User, by_penora: RelyingParty, by_imagegene: RelyingParty, penora_first: bool
) -> None:
    """Stock 3.4.1 answered 400: the first sign-out removes what it looks the second ID token up in."""
    apps = [by_penora, by_imagegene] if penora_first else [by_imagegene, by_penora]
    held = [app.signs_in(alices) for app in apps]

    for app, tokens in zip(apps, held, strict=True):
        assert_sent_back(leaves(alices, app, tokens["id_token"]), app)
        assert signed_in_as(alices) is None

    assert [calls_api(tokens["access_token"]).status_code for tokens in held] == [401, 401]
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()
    assert AuditEntry.objects.filter(event="signed-out", subject=alice).count() == 1


def test_an_id_token_that_has_run_out_still_tells_who_signs_out(
    alices: Browser, by_penora: RelyingParty, settings: Any
) -> None:
    claims = claims_of(by_penora.signs_in(alices)["id_token"])
    old = signed({**claims, "iat": 1, "exp": 2}, settings.OIDC_SIGNING_KEYS[0])

    assert_sent_back(leaves(alices, by_penora, old), by_penora)
    assert signed_in_as(alices) is None


@pytest.mark.parametrize("twice", [False, True], ids=["signed in", "already out"])
def test_an_id_token_from_before_the_keys_were_changed_does_too(
    alices: Browser, by_penora: RelyingParty, rotated: str, twice: bool
) -> None:
    """Stock 3.4.1 knows the signing key only, and answered 400 to everybody who was signed in at the change."""
    claims = claims_of(by_penora.signs_in(alices)["id_token"])
    hint = signed(claims, rotated)
    if twice:
        assert_sent_back(leaves(alices, by_penora, hint), by_penora)

    assert_sent_back(leaves(alices, by_penora, hint), by_penora)
    assert signed_in_as(alices) is None


def test_a_hint_that_we_have_not_signed_signs_nobody_out(
    alices: Browser, by_penora: RelyingParty, settings: Any
) -> None:
    real = by_penora.signs_in(alices)["id_token"]
    claims = claims_of(real)
    head, body, signature = real.split(".")
    none = jwt.JWT(header={"alg": "HS256"}, claims=claims)
    none.make_signed_token(jwk.JWK(kty="oct", k="c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"))
    ours = settings.OIDC_SIGNING_KEYS[0]
    forged = [
        signed(claims, signing_keys.new_key()),
        none.serialize(),
        f"eyJhbGciOiJub25lIn0.{body}.",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-4]}AAAA",
        signed({**claims, "iss": "https://evil.example"}, ours),
        signed({**claims, "iss": None}, ours),
        signed({**claims, "sub": 5}, ours),
        signed({**claims, "sub": None}, ours),
        *("x", "..", "....", "{}", "[]", "é", "ey" * 5_000, "eyJhbGciOlsxXX0.e30.AA"),
    ]

    for hint in forged:
        answer = leaves(alices, by_penora, hint)
        assert answer.status_code == 400, hint
        assert "Location" not in answer
    assert signed_in_as(alices) == "alice"
    assert calls_api(by_penora.signs_in(alices)["access_token"]).status_code == 200


def test_a_hint_of_somebody_else_asks_before_it_signs_out(alices: Browser, by_penora: RelyingParty, bob: User) -> None:
    bobs_tokens = by_penora.signs_in(browser_of(bob))

    page = leaves(alices, by_penora, bobs_tokens["id_token"])

    assert page.status_code == 200
    assert "Sign out of Unified?" in page.content.decode()
    assert signed_in_as(alices) == "alice"
    assert calls_api(bobs_tokens["access_token"]).status_code == 200


def test_without_a_hint_it_asks_and_the_answer_is_a_form_of_ours(alice: User, by_penora: RelyingParty) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(alice, backend="unified.sso.google.GoogleSignIn")
    client_id = by_penora.client.client_id
    page = leaves(strict, by_penora, client_id=client_id)
    form = {"client_id": client_id, "post_logout_redirect_uri": by_penora.goodbye, "state": "bye", "allow": "on"}

    assert page.status_code == 200
    assert strict.post(LOGOUT, form).status_code == 403
    assert signed_in_as(strict) == "alice"
    token = {"csrfmiddlewaretoken": strict.cookies["csrftoken"].value}
    assert_sent_back(strict.post(LOGOUT, {**form, **token}), by_penora)
    assert signed_in_as(strict) is None


def test_who_says_no_stays(alices: Browser, by_penora: RelyingParty) -> None:
    answer = alices.post(LOGOUT, {"client_id": by_penora.client.client_id})

    assert answer.status_code == 400
    assert signed_in_as(alices) == "alice"


def test_the_hint_and_the_client_have_to_belong_together(
    alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty
) -> None:
    hint = by_penora.signs_in(alices)["id_token"]

    for client_id in (by_imagegene.client.client_id, "nobody", "é"):
        assert leaves(alices, by_penora, hint, client_id=client_id).status_code == 400
    assert leaves(alices, by_imagegene, hint).status_code == 400
    assert signed_in_as(alices) == "alice"


def test_with_no_session_a_hint_ends_the_tokens_of_its_own_app_and_no_more(
    alices: Browser, by_penora: RelyingParty, by_stranger: RelyingParty
) -> None:
    tokens = by_penora.signs_in(alices)
    allowed = alices.post("/o/authorize/", {**by_stranger.question(), "allow": "on"})
    others = by_stranger.exchanges(query_of(allowed["Location"])["code"]).json()

    assert_sent_back(leaves(Browser(), by_penora, tokens["id_token"]), by_penora)

    assert calls_api(tokens["access_token"]).status_code == 401
    assert calls_api(others["access_token"]).status_code == 200
    assert signed_in_as(alices) == "alice"


def test_an_app_that_is_switched_off_can_still_be_left(alices: Browser, by_penora: RelyingParty, penora: App) -> None:
    hint = by_penora.signs_in(alices)["id_token"]
    App.objects.filter(pk=penora.pk).update(is_active=False)

    assert_sent_back(leaves(alices, by_penora, hint), by_penora)
    assert signed_in_as(alices) is None


def test_who_is_signed_in_nowhere_is_sent_home(newcomer: Browser) -> None:
    answer = newcomer.get(LOGOUT)

    assert (answer.status_code, answer["Location"]) == (302, "http://testserver/")
