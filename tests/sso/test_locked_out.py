"""
Staff lock somebody out: bearer, refresh token, code, session and silent sign-in end at once, and none of it comes back
with the person. (In stock 3.4.1 bearer and refresh token went on.)
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client as Browser
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from accounts import services as accounts
from accounts.models import App, AuditEntry, User
from tests.sso.conftest import PASSWORD
from tests.sso.flow import SIGN_IN, RelyingParty, calls_api, query_of, signed_in_as, userinfo

pytestmark = pytest.mark.django_db
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def only_the_row(user: User) -> None:
    """However the row has become so: what the checks alone do, without what the service ends."""
    User.objects.filter(pk=user.pk).update(is_active=False)


def as_staff_do(user: User) -> None:
    accounts.set_active(user=user, is_active=False)


either_way = pytest.mark.parametrize("lock_out", [only_the_row, as_staff_do])


@either_way
def test_a_bearer_ends_at_once(
    alices: Browser, alice: User, by_penora: RelyingParty, lock_out: Callable[[User], None]
) -> None:
    """Seen with `validate_bearer_token` taken out: userinfo went on to answer."""
    token = by_penora.signs_in(alices)["access_token"]
    assert (calls_api(token).status_code, userinfo(token).status_code) == (200, 200)

    lock_out(alice)

    assert (calls_api(token).status_code, userinfo(token).status_code) == (401, 401)
    assert by_penora.introspects(token).json() == {"active": False}


@either_way
def test_a_refresh_token_ends_at_once(
    alices: Browser, alice: User, by_penora: RelyingParty, lock_out: Callable[[User], None]
) -> None:
    """Seen with the check taken out of `validate_refresh_token`: a new pair of tokens."""
    token = by_penora.signs_in(alices)["refresh_token"]

    lock_out(alice)

    assert by_penora.refreshes(token).json()["error"] == "invalid_grant"
    assert get_refresh_token_model().objects.count() == 1


@either_way
def test_a_code_ends_at_once(
    alices: Browser, alice: User, by_penora: RelyingParty, lock_out: Callable[[User], None]
) -> None:
    """Seen with the check taken out of `validate_code`: tokens of somebody who is locked out."""
    code = by_penora.code_from(alices)

    lock_out(alice)

    assert by_penora.exchanges(code).json()["error"] == "invalid_grant"
    assert not get_access_token_model().objects.exists()


@either_way
@pytest.mark.parametrize("backend", [MODEL_BACKEND, "unified.sso.google.GoogleSignIn"])
def test_a_session_ends_at_once_however_it_began(
    alice: User, by_penora: RelyingParty, backend: str, lock_out: Callable[[User], None]
) -> None:
    """(social-auth-app-django 8 asks for it as well, so this stays green without `get_user` of GoogleSignIn.)"""
    browser = Browser()
    browser.force_login(alice, backend=backend)
    assert signed_in_as(browser) == "alice"

    lock_out(alice)

    assert signed_in_as(browser) is None
    assert query_of(by_penora.asks(browser, prompt="none")["Location"])["error"] == "login_required"
    assert by_penora.asks(browser)["Location"].startswith("/signin/?next=")


def test_nothing_of_it_comes_back_when_they_are_let_in_again(
    alices: Browser, alice: User, by_penora: RelyingParty
) -> None:
    """Seen with `cut_off` taken out of `set_active`: session, bearer and refresh token were good again."""
    by_password = Browser()
    by_password.force_login(alice, backend=MODEL_BACKEND)
    tokens, code = by_penora.signs_in(alices), by_penora.code_from(alices)

    accounts.set_active(user=alice, is_active=False)
    accounts.set_active(user=alice, is_active=True)

    assert [signed_in_as(browser) for browser in (alices, by_password)] == [None, None]
    assert calls_api(tokens["access_token"]).status_code == userinfo(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 400
    assert by_penora.exchanges(code).status_code == 400
    for model in (get_access_token_model(), get_grant_model(), get_id_token_model()):
        assert not model.objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()
    assert [(entry.event, entry.details) for entry in AuditEntry.objects.filter(subject=alice).order_by("id")][:3] == [
        ("access-changed", {"before": {"is_active": True}, "after": {"is_active": False}}),
        ("cut-off", {}),
        ("access-changed", {"before": {"is_active": False}, "after": {"is_active": True}}),
    ]


def test_they_can_sign_in_anew(alice: User, by_penora: RelyingParty) -> None:
    accounts.set_active(user=alice, is_active=False)
    accounts.set_active(user=alice, is_active=True)
    browser = Browser()
    browser.force_login(User.objects.get(pk=alice.pk), backend=MODEL_BACKEND)

    assert calls_api(by_penora.signs_in(browser)["access_token"]).status_code == 200


def test_nobody_elses_end(alices: Browser, alice: User, bob: User, by_penora: RelyingParty) -> None:
    bobs = Browser()
    bobs.force_login(bob, backend=MODEL_BACKEND)
    tokens = by_penora.signs_in(bobs)

    accounts.set_active(user=alice, is_active=False)

    assert signed_in_as(bobs) == "bob"
    assert calls_api(tokens["access_token"]).status_code == 200
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 200


def test_signing_out_everywhere_ends_all_of_it_and_leaves_them_active(
    alices: Browser, alice: User, by_penora: RelyingParty
) -> None:
    tokens = by_penora.signs_in(alices)

    accounts.cut_off(user=alice)

    assert signed_in_as(alices) is None
    assert calls_api(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 400
    assert User.objects.get(pk=alice.pk).is_active


def test_their_password_is_refused_as_a_wrong_one_is(admin: User, newcomer: Browser) -> None:
    only_the_row(admin)

    right = newcomer.post(SIGN_IN, {"username": "admin", "password": PASSWORD})
    wrong = newcomer.post(SIGN_IN, {"username": "admin", "password": "wrong"})

    assert (right.status_code, wrong.status_code) == (200, 200)
    assert right.context["form"].errors == wrong.context["form"].errors
    assert signed_in_as(newcomer) is None


def test_the_tokens_of_an_app_that_is_switched_off_rest_until_it_is_switched_on(
    alices: Browser, by_penora: RelyingParty, penora: App
) -> None:
    tokens = by_penora.signs_in(alices)

    App.objects.filter(pk=penora.pk).update(is_active=False)

    assert calls_api(tokens["access_token"]).status_code == userinfo(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).json()["error"] == "invalid_client"
    assert by_penora.introspects(tokens["access_token"]).status_code == 401
    App.objects.filter(pk=penora.pk).update(is_active=True)
    assert calls_api(tokens["access_token"]).status_code == 200
