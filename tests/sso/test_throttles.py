"""Ceilings on what can be tried again and again, by address; and that nobody right is held up by what has run out."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from accounts import keys, tokens
from accounts.models import User
from tests.sso.flow import (
    BEGIN,
    INTROSPECT,
    SIGN_IN,
    TOKEN,
    Google,
    RelyingParty,
    bearer,
    calls_api,
    userinfo,
)
from unified.throttles import BEGINNINGS, CODES, CREDENTIALS, PASSWORDS, SECOND_FACTORS, TOKENS, Ceiling

pytestmark = pytest.mark.django_db
ALL = (PASSWORDS, SECOND_FACTORS, BEGINNINGS, CREDENTIALS, TOKENS, CODES)


@pytest.fixture(autouse=True)
def within_one_window() -> None:
    """No minute ends while a test counts: near its end, the next one is waited for."""
    left = 60 - time.time() % 60
    if left < 15:
        time.sleep(left)


def fill(ceiling: Ceiling, caller: str = "127.0.0.1") -> None:
    for _ in range(ceiling.limit):
        assert ceiling.wait(caller) == 0
        ceiling.count(caller)


@pytest.mark.parametrize("ceiling", ALL, ids=lambda ceiling: ceiling.name)
def test_a_ceiling_holds_for_the_rest_of_its_minute_and_for_one_caller(ceiling: Ceiling) -> None:
    fill(ceiling)

    assert 1 <= ceiling.wait("127.0.0.1") <= ceiling.seconds
    assert ceiling.wait("127.0.0.2") == 0
    assert ceiling.wait(None) == 0
    for other in set(ALL) - {ceiling}:
        assert other.wait("127.0.0.1") == 0


def test_a_new_window_starts_at_nothing() -> None:
    short = Ceiling("short", limit=2, seconds=1)
    fill(short, "x")
    waits = short.wait("x")

    time.sleep(waits + 0.05 if waits else 0)

    assert short.wait("x") == 0


def test_nobody_who_cannot_be_told_from_others_is_counted() -> None:
    for _ in range(200):
        TOKENS.count(None)

    assert TOKENS.wait(None) == 0
    assert not [key for key in getattr(cache, "_cache", {}) if "None" in str(key)]


def test_too_many_wrong_passwords_are_told_to_wait_before_anything_is_hashed(newcomer: Browser) -> None:
    fill(PASSWORDS)

    answer = newcomer.post(SIGN_IN, {"username": "x", "password": "y"})

    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert "Not so fast" in answer.content.decode()
    assert newcomer.get(SIGN_IN).status_code == 200
    assert Browser(REMOTE_ADDR="10.0.0.2").post(SIGN_IN, {"username": "x", "password": "y"}).status_code == 200


def test_too_many_beginnings_are_told_to_wait(google: Google, newcomer: Browser) -> None:
    fill(BEGINNINGS)

    assert newcomer.post(BEGIN).status_code == 429
    assert Browser(REMOTE_ADDR="10.0.0.2").post(BEGIN).status_code == 302


def test_guesses_at_the_token_endpoint_are_told_to_wait_and_what_is_right_is_answered(
    alices: Browser, by_penora: RelyingParty
) -> None:
    answers = [by_penora.exchanges("x", client_secret="wrong") for _ in range(TOKENS.limit + 1)]

    assert {answer.status_code for answer in answers[:-1]} == {401}
    last = answers[-1]
    assert (last.status_code, last.json()["error"]) == (429, "slow_down")
    assert 1 <= int(last["Retry-After"]) <= 60
    for path in (TOKEN, INTROSPECT):
        assert Browser().post(path).status_code == 429
    assert by_penora.exchanges(by_penora.code_from(alices)).status_code == 200


def test_an_app_with_many_whose_sign_ins_are_over_is_not_told_to_wait(by_penora: RelyingParty) -> None:
    for _ in range(TOKENS.limit + 5):
        assert by_penora.refreshes("uur_has_run_out").status_code == 400


@pytest.fixture
def run_out(alices: Browser, by_penora: RelyingParty) -> str:
    token = str(by_penora.signs_in(alices)["access_token"])
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(minutes=1))
    return token


def test_tokens_that_have_run_out_hold_nobody_up(
    run_out: str, alices: Browser, by_penora: RelyingParty, penora_key: str
) -> None:
    """Seen before at userinfo: sixty people whose tokens had run out, and the app could sign nobody in for a minute."""
    for ceiling in (TOKENS, CREDENTIALS):
        for _ in range(ceiling.limit - 1):
            ceiling.count("127.0.0.1")
    for _ in range(3):
        assert (calls_api(run_out).status_code, userinfo(run_out).status_code) == (401, 401)

    assert (TOKENS.wait("127.0.0.1"), CREDENTIALS.wait("127.0.0.1")) == (0, 0)
    fresh = by_penora.signs_in(alices)["access_token"]
    assert (calls_api(fresh).status_code, userinfo(fresh).status_code) == (200, 200)
    assert Browser().get("/api/unified/pricing", headers=bearer(penora_key)).status_code == 200


def test_made_up_credentials_are_told_to_wait_and_right_ones_never_are(alice: User, penora_key: str) -> None:
    for _ in range(CREDENTIALS.limit - 2):
        CREDENTIALS.count("127.0.0.1")
    made_up = [keys.generate(mode="live")[0], tokens.access_token(None), tokens.access_token(None)]

    answers = [calls_api(text) for text in made_up]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[-1].json()["success"] is False
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert Browser().get("/api/unified/pricing", headers=bearer(penora_key)).status_code == 200


def test_what_has_not_even_the_form_is_not_counted(penora_key: str) -> None:
    for _ in range(CREDENTIALS.limit - 1):
        CREDENTIALS.count("127.0.0.1")
    for _ in range(3):
        assert calls_api("nonsense").status_code == 401

    assert CREDENTIALS.wait("127.0.0.1") == 0


@pytest.mark.parametrize("behind_proxy", [False, True])
def test_a_forwarded_address_counts_behind_our_proxy_only(settings: Any, behind_proxy: bool) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None

    def guess(address: str) -> int:
        form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": "nobody"}
        return Browser().post(TOKEN, form, headers={"X-Forwarded-For": address}).status_code

    for number in range(TOKENS.limit):
        assert guess(f"10.1.1.{number}, 203.0.113.7") == 401

    assert guess("1.1.1.1, 203.0.113.7") == 429
    assert guess("203.0.113.8") == (401 if behind_proxy else 429)
