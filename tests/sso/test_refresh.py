"""
Refresh tokens: each is good for one exchange, and who brings one again ends all that came of the same sign-in.

DOT#1617: within the grace period a token of several exchanges ago was taken again. DOT#1816: so was one that had been
revoked on purpose. There is no grace period here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from accounts.models import AuditEntry, User
from tests.sso.flow import RelyingParty, calls_api, claims_of

pytestmark = pytest.mark.django_db


def is_dead(app: RelyingParty, tokens: dict[str, Any]) -> bool:
    refused = app.refreshes(tokens["refresh_token"])
    return refused.status_code == 400 and calls_api(tokens["access_token"]).status_code == 401


def reuses() -> list[tuple[str, str]]:
    rows = AuditEntry.objects.filter(event="token-reused").order_by("id")
    return [(row.subject.user_id, row.app.slug) for row in rows if row.subject and row.app]


@pytest.mark.parametrize("kind", ["by_penora", "by_imagegene"], ids=["confidential", "public"])
def test_a_refresh_token_is_exchanged_for_a_new_pair_and_the_old_access_token_ends(
    alices: Browser, request: pytest.FixtureRequest, kind: str
) -> None:
    app: RelyingParty = request.getfixturevalue(kind)
    first = app.signs_in(alices)

    answer = app.refreshes(first["refresh_token"])

    second = answer.json()
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert {first["access_token"], first["refresh_token"]}.isdisjoint({second["access_token"], second["refresh_token"]})
    assert calls_api(first["access_token"]).status_code == 401
    assert calls_api(second["access_token"]).status_code == 200
    assert second["scope"] == first["scope"]
    assert claims_of(second["id_token"])["sub"] == "alice"


@pytest.mark.parametrize("exchanges", [1, 2, 5])
def test_a_token_that_comes_again_ends_its_whole_family(
    alices: Browser, by_penora: RelyingParty, exchanges: int
) -> None:
    """DOT#1617: R1 → R2 → R3, then R1 again was answered with new tokens, and R3 went on."""
    first = latest = by_penora.signs_in(alices)
    for _ in range(exchanges):
        latest = by_penora.refreshes(latest["refresh_token"]).json()

    again = by_penora.refreshes(first["refresh_token"])

    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert calls_api(latest["access_token"]).status_code == 401
    assert reuses() == [("alice", "penora")]
    assert is_dead(by_penora, latest)
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


def test_the_end_of_a_family_is_kept_although_its_answer_is_a_refusal(alices: Browser, by_penora: RelyingParty) -> None:
    tokens = by_penora.signs_in(alices)
    latest = by_penora.refreshes(tokens["refresh_token"]).json()
    by_penora.refreshes(tokens["refresh_token"])

    assert is_dead(by_penora, latest)


def test_the_persons_other_sign_ins_go_on(alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty) -> None:
    stolen, other, elsewhere = by_penora.signs_in(alices), by_penora.signs_in(alices), by_imagegene.signs_in(alices)
    by_penora.refreshes(stolen["refresh_token"])

    by_penora.refreshes(stolen["refresh_token"])

    assert calls_api(other["access_token"]).status_code == 200
    assert by_imagegene.refreshes(elsewhere["refresh_token"]).status_code == 200


def test_a_token_that_was_revoked_on_purpose_is_never_taken_again(alices: Browser, by_penora: RelyingParty) -> None:
    """DOT#1816: it was, within the grace period."""
    tokens = by_penora.signs_in(alices)
    assert by_penora.revokes(tokens["refresh_token"]).status_code == 200

    assert is_dead(by_penora, tokens)


@pytest.mark.parametrize("secret", [None, "", "wrong"])
def test_no_tokens_without_the_clients_secret(alices: Browser, by_penora: RelyingParty, secret: str | None) -> None:
    tokens = by_penora.signs_in(alices)

    refused = by_penora.refreshes(tokens["refresh_token"], client_secret=secret)

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert calls_api(tokens["access_token"]).status_code == 200


def test_another_clients_token_is_worth_nothing_and_its_try_ends_nothing(
    alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty, by_stranger: RelyingParty
) -> None:
    tokens = by_penora.signs_in(alices)
    spent = tokens["refresh_token"]
    latest = by_penora.refreshes(spent).json()

    for token in (spent, latest["refresh_token"], "never-was"):
        for other in (by_imagegene, by_stranger):
            refused = other.refreshes(token)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")

    assert calls_api(latest["access_token"]).status_code == 200
    assert reuses() == []


@pytest.mark.parametrize("scope", ["openid users.write", "credits.spend", "openid credits.read workspace.write", "x"])
def test_no_more_may_be_asked_for_than_was_given(alices: Browser, by_penora: RelyingParty, scope: str) -> None:
    tokens = by_penora.signs_in(alices)

    refused = by_penora.refreshes(tokens["refresh_token"], scope=scope)

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    assert calls_api(tokens["access_token"]).status_code == 200


def test_less_may_be(alices: Browser, by_penora: RelyingParty) -> None:
    tokens = by_penora.signs_in(alices)

    assert by_penora.refreshes(tokens["refresh_token"], scope="openid").json()["scope"] == "openid"


def test_a_refresh_token_ends_thirty_days_after_its_access_token(alices: Browser, by_penora: RelyingParty) -> None:
    tokens = by_penora.signs_in(alices)
    for token in get_access_token_model().objects.all():
        get_access_token_model().objects.update(expires=token.expires - timedelta(days=30, minutes=16))

    assert by_penora.refreshes(tokens["refresh_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "token", ["", "x", "uur_", "uut_x", "é", "a b", "x" * 10_000, "eyJhbGciOiJub25lIn0.e30.", "'--"]
)
def test_what_is_no_refresh_token_is_refused(by_penora: RelyingParty, token: str) -> None:
    refused = by_penora.refreshes(token)

    assert refused.status_code == 400
    assert refused.json()["error"] in {"invalid_grant", "invalid_request"}


def test_an_access_token_is_no_refresh_token(alices: Browser, by_penora: RelyingParty, alice: User) -> None:
    tokens = by_penora.signs_in(alices)

    assert by_penora.refreshes(tokens["access_token"]).status_code == 400
    assert calls_api(tokens["refresh_token"]).status_code == 401
