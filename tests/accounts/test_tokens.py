"""The form of the tokens that people's sign-ins give: told from anything else without asking the database."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from accounts import keys, scopes, services, tokens
from accounts.models import App, User
from tests.sso.conftest import browser_of, register

FORM = re.compile(rf"(uut|uur)_[{keys.ALPHABET}]{{45}}_[0-9a-f]{{8}}")


def test_each_is_new_and_of_its_kind() -> None:
    made = [tokens.access_token(None) for _ in range(50)] + [tokens.refresh_token(None) for _ in range(50)]

    assert len(set(made)) == 100
    assert all(FORM.fullmatch(text) for text in made)
    assert [tokens.is_access_token(text) for text in made] == [True] * 50 + [False] * 50
    assert all(keys.parse(text) is None for text in made)


@given(st.integers(min_value=0, max_value=57), st.sampled_from(keys.ALPHABET + "_ é\n"))
def test_one_letter_that_is_wrong_is_seen(place: int, letter: str) -> None:
    text = tokens.access_token(None)
    changed = text[:place] + letter + text[place + 1 :]

    assert tokens.is_access_token(changed) is (changed == text)


@given(st.text(max_size=200))
def test_no_text_is_one_by_chance(text: str) -> None:
    assert not tokens.is_access_token(text)


@pytest.mark.parametrize(
    "change", [str.upper, str.lower, lambda text: text + "\n", lambda text: " " + text, lambda text: text * 2]
)
def test_nearly_one_is_none(change: object) -> None:
    assert not tokens.is_access_token(change(tokens.access_token(None)))  # type: ignore[operator]


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "x", "uut_", "uut_x_00000000", "eyJhbGciOiJub25lIn0.e30.", "\0", "é" * 60])
def test_what_cannot_be_one_asks_no_database(text: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert services.authenticate_token(text) is None

    assert len(queries) == 0


@pytest.mark.django_db
def test_one_that_is_costs_one_query_with_all_that_the_call_needs(alice: User, penora: App) -> None:
    text = register(penora).signs_in(browser_of(alice))["access_token"]

    with CaptureQueriesContext(connection) as queries:
        token = services.authenticate_token(text)
        assert (token.user.plan.slug, token.application.app.slug) == ("free", "penora")

    assert len(queries) == 1


def test_random_secrets_are_kept_by_one_digest_and_passwords_are_not() -> None:
    kept = make_password("secret", hasher="sha256_random")

    assert kept == make_password("secret", hasher="sha256_random")
    assert check_password("secret", kept)
    assert not check_password("Secret", kept)
    assert not check_password("", kept)
    assert make_password("secret").startswith("pbkdf2_sha256$")


def test_scopes_of_people_are_not_those_of_keys() -> None:
    assert set(scopes.KEY_SCOPES) - set(scopes.API_SCOPES) == {"users.write"}
    assert scopes.written(["workspace.write", "credits.read", "openid", "x"]) == "credits.read workspace.write"
    assert scopes.parse(" credits.read  credits.read\nx ") == {"credits.read", "x"}
