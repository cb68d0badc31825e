"""
`prompt=none`: an app asks whether somebody is signed in, and nobody is asked anything.

DOT#1268 and #1361: it showed the sign-in page, or ended in a NotImplementedError (500) as stock 3.4.1 still does where
somebody is signed in. All answers go to the app, with its `state` and our name (`iss`).
"""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser
from oauth2_provider.models import get_grant_model

from accounts import services as accounts
from accounts.models import App, User
from tests.sso.conftest import browser_of
from tests.sso.flow import RelyingParty, claims_of, query_of, signed_in_as

pytestmark = pytest.mark.django_db


def answered(answer: Any, app: RelyingParty) -> dict[str, str]:
    """What the app is told, and that it is the app that is told."""
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith(f"{app.redirect_uri}?")
    told = query_of(answer["Location"])
    assert told["state"] == "a-state"
    assert told["iss"] == "http://127.0.0.1:8000/o"
    return told


def test_with_a_session_it_is_a_code_at_once(alices: Browser, by_penora: RelyingParty, alice: User) -> None:
    told = answered(by_penora.asks(alices, prompt="none"), by_penora)

    tokens = by_penora.exchanges(told["code"]).json()
    assert claims_of(tokens["id_token"])["sub"] == "alice"
    assert accounts.authenticate_token(tokens["access_token"]).user == alice


def test_without_a_session_the_app_is_told_that_nobody_is_signed_in(newcomer: Browser, by_penora: RelyingParty) -> None:
    told = answered(by_penora.asks(newcomer, prompt="none"), by_penora)

    assert told["error"] == "login_required"
    assert "code" not in told
    assert not get_grant_model().objects.exists()


def test_with_a_session_that_is_over_the_same(alices: Browser, by_penora: RelyingParty) -> None:
    alices.post("/signin/out/")

    assert answered(by_penora.asks(alices, prompt="none"), by_penora)["error"] == "login_required"


def test_an_app_that_has_to_ask_is_told_so(alices: Browser, by_stranger: RelyingParty) -> None:
    told = answered(by_stranger.asks(alices, prompt="none"), by_stranger)

    assert told["error"] == "consent_required"
    assert not get_grant_model().objects.exists()


def test_what_was_allowed_once_is_allowed_silently_and_no_more_than_that(
    alices: Browser, by_stranger: RelyingParty
) -> None:
    by_stranger.scope = "openid"
    allowed = alices.post("/o/authorize/", {**by_stranger.question(), "allow": "on"})
    assert by_stranger.exchanges(query_of(allowed["Location"])["code"]).status_code == 200

    assert "code" in answered(by_stranger.asks(alices, prompt="none"), by_stranger)
    more = by_stranger.asks(alices, prompt="none", scope="openid credits.spend")
    assert answered(more, by_stranger)["error"] == "consent_required"


def test_what_one_person_has_allowed_nobody_else_has(alices: Browser, by_stranger: RelyingParty, bob: User) -> None:
    allowed = alices.post("/o/authorize/", {**by_stranger.question(), "allow": "on"})
    by_stranger.exchanges(query_of(allowed["Location"])["code"])

    told = answered(by_stranger.asks(browser_of(bob), prompt="none"), by_stranger)

    assert told["error"] == "consent_required"


@pytest.mark.parametrize("prompt", ["none login", "login none", "none consent", "none none x", "none select_account"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_none_with_another_value_is_a_mistake_of_the_apps(
    alices: Browser, newcomer: Browser, by_penora: RelyingParty, prompt: str, signed_in: bool
) -> None:
    told = answered(by_penora.asks(alices if signed_in else newcomer, prompt=prompt), by_penora)

    assert told["error"] == "invalid_request"
    assert not get_grant_model().objects.exists()


@pytest.mark.parametrize("change", [{"redirect_uri": "https://evil.example/"}, {"client_id": "nobody"}])
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_silent_question_sends_nobody_anywhere_but_to_the_app(
    alices: Browser, newcomer: Browser, by_penora: RelyingParty, change: dict[str, str], signed_in: bool
) -> None:
    """Without asking for the client first, `login_required` made an open redirect of the endpoint."""
    answer = by_penora.asks(alices if signed_in else newcomer, prompt="none", **change)

    assert answer.status_code == 400
    assert "Location" not in answer
    assert answer["Content-Type"].startswith("text/html")


def test_nobody_is_signed_in_by_a_header(newcomer: Browser, by_penora: RelyingParty, alice: User) -> None:
    """The session's user stands among the headers that the library is given: no header of a request has that name."""
    for name in (
        "unified session user",
        "HTTP_UNIFIED_SESSION_USER",
        "UNIFIED_SESSION_USER",
        "HTTP_USER",
        "REMOTE_USER",
    ):
        answer = newcomer.get("/o/authorize/", by_penora.question(prompt="none"), **{name: alice.user_id})
        assert answered(answer, by_penora)["error"] == "login_required"


def test_whoever_the_app_believes_to_be_here_has_to_be(alices: Browser, by_penora: RelyingParty, bob: User) -> None:
    alices_hint = by_penora.signs_in(alices)["id_token"]

    assert "code" in answered(by_penora.asks(alices, prompt="none", id_token_hint=alices_hint), by_penora)
    others = by_penora.asks(browser_of(bob), prompt="none", id_token_hint=alices_hint)
    assert answered(others, by_penora)["error"] == "login_required"
    forged = by_penora.asks(alices, prompt="none", id_token_hint=alices_hint[:-8] + "AAAAAAAA")
    assert answered(forged, by_penora)["error"] == "login_required"


def test_an_app_that_is_switched_off_learns_nothing(alices: Browser, by_penora: RelyingParty, penora: App) -> None:
    App.objects.filter(pk=penora.pk).update(is_active=False)

    answer = by_penora.asks(alices, prompt="none")

    assert (answer.status_code, "Location" in answer) == (400, False)


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
def test_an_app_that_asks_for_a_new_sign_in_gets_one(
    alices: Browser, by_penora: RelyingParty, asked: dict[str, str]
) -> None:
    """
    Seen before: the sign-in page let whoever was signed in go on, and the app had its code without a sign-in. They are
    not signed out for it either: any page can send somebody here.
    """
    answer = by_penora.asks(alices, **asked)

    assert answer["Location"].startswith("/signin/?next=/o/authorize/")
    page = alices.get(answer["Location"])
    assert page.status_code == 200
    assert signed_in_as(alices) == "alice"
    assert alices.get(answer["Location"]).status_code == 200
