"""What reviews have found open, each as the attack that it was."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import Client as Browser
from oauth2_provider.models import get_grant_model

from accounts import services as accounts
from accounts.models import App, Client, User
from tests.quickstart.service import PROJECT, clean_environment
from tests.sso.conftest import PASSWORD, browser_of
from tests.sso.flow import AUTHORIZE, COMPLETE, SIGN_IN, RelyingParty, calls_api, query_of, signed_in_as
from unified.sso.validator import SIGNED_IN_AT, Validator

pytestmark = pytest.mark.django_db


# --- What is on its way when everything ends --------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["cut_off", "locked out and let in", "signed out"])
def test_a_code_that_is_on_its_way_when_sessions_end_is_refused(
    alice: User, alices: Browser, by_penora: RelyingParty, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    """Between the look at the session and the writing of the code. Without the second look it was good for 30 days."""
    ask = Validator._require_session

    def ends_just_before(self: Validator, request: Any) -> None:
        if deed == "cut_off":
            accounts.cut_off(user=alice)
        elif deed == "signed out":
            request.headers["unified session"].delete(alices.session.session_key)
            accounts.sign_out(user=alice)
        else:
            accounts.set_active(user=alice, is_active=False)
            accounts.set_active(user=alice, is_active=True)
        ask(self, request)

    monkeypatch.setattr(Validator, "_require_session", ends_just_before)

    answer = by_penora.asks(alices, prompt="none")

    assert query_of(answer["Location"])["error"] == "login_required"
    assert not get_grant_model().objects.exists()


# --- Asked to sign in once more ---------------------------------------------------------------------------------------


def test_nobody_is_signed_out_by_a_link(alices: Browser, by_penora: RelyingParty) -> None:
    """`max_age=0` alone, without any app, did; so would a page that sends people to a real request."""
    assert alices.get(AUTHORIZE, {"max_age": "0"}).status_code == 400
    assert by_penora.asks(alices, max_age="0").status_code == 302
    assert by_penora.asks(alices, prompt="login").status_code == 302

    assert signed_in_as(alices) == "alice"


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}])
def test_who_is_to_sign_in_anew_is_asked_and_goes_on(
    admin: User, by_penora: RelyingParty, asked: dict[str, str]
) -> None:
    browser = browser_of(admin)
    to_sign_in = by_penora.asks(browser, **asked)["Location"]
    page = browser.get(to_sign_in)
    assert page.status_code == 200
    assert "asked to sign in once more" in page.content.decode()

    onwards = browser.post(SIGN_IN, {"username": "admin", "password": PASSWORD, "next": query_of(to_sign_in)["next"]})

    answer = browser.get(onwards["Location"])
    assert "code" in query_of(answer["Location"])
    assert browser.get(SIGN_IN).status_code == 302  # once, and not for ever


def test_a_sign_in_elsewhere_does_not_make_this_one_fresh(
    alice: User, alices: Browser, by_penora: RelyingParty
) -> None:
    session = alices.session
    session[SIGNED_IN_AT] = int(time.time()) - 3_600
    session.save()
    browser_of(alice)  # in another browser, just now

    answer = by_penora.asks(alices, prompt="none", max_age="60")

    assert query_of(answer["Location"])["error"] == "login_required"


# --- Tokens for somebody else's server --------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["https://other.example/", "http://testserver/api/"])
def test_no_token_is_made_for_another_server(alices: Browser, by_penora: RelyingParty, resource: str) -> None:
    """The API would have taken what was meant to be good there alone (RFC 8707)."""
    assert query_of(by_penora.asks(alices, resource=resource)["Location"])["error"] == "invalid_target"

    answer = by_penora.exchanges(by_penora.code_from(alices), resource=resource)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")


# --- One client in place of another -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Penora"])
def test_adding_a_client_changes_none_that_is_there(by_penora: RelyingParty, penora: App, name: str) -> None:
    """The add form wrote over the client of the same name: its addresses, its kind and its secret."""
    clerk = User.objects.create_superuser(user_id="clerk", username="Clerk", email="c@example.com", password=None)
    User.objects.filter(pk=clerk.pk).update(is_superuser=False)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["add_client", "view_client"]))
    browser = Browser()
    browser.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    before = Client.objects.values().get()

    answer = browser.post(
        "/admin/accounts/client/add/",
        {
            "app": penora.pk,
            "name": name,
            "client_type": "public",
            "redirect_uris": "https://evil.example/cb",
            "skip_authorization": "on",
            "reason": "A try",
        },
    )

    assert answer.status_code == 200  # the form again
    assert "has a client of this name already" in answer.content.decode()
    assert Client.objects.values().get() == before


def test_only_a_superuser_makes_a_client_that_asks_nobody(penora: App) -> None:
    clerk = User.objects.create_superuser(user_id="clerk", username="Clerk", email="c@example.com", password=None)
    User.objects.filter(pk=clerk.pk).update(is_superuser=False)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["add_client", "view_client"]))
    browser = Browser()
    browser.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")

    browser.post(
        "/admin/accounts/client/add/",
        {
            "app": penora.pk,
            "name": "Phone",
            "client_type": "public",
            "redirect_uris": "https://penora.example/phone",
            "skip_authorization": "on",
            "reason": "A try",
        },
    )

    assert Client.objects.get(name="Phone").skip_authorization is False


# --- Passwords --------------------------------------------------------------------------------------------------------


def test_staff_set_nobodys_password_unless_they_may_do_everything(alice: User) -> None:
    """Whoever sets somebody's password can be them."""
    clerk = User.objects.create_superuser(user_id="clerk", username="Clerk", email="c@example.com", password=None)
    User.objects.filter(pk=clerk.pk).update(is_superuser=False)
    clerk.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    browser = Browser()
    browser.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")

    answer = browser.post(f"/admin/accounts/user/{alice.pk}/password/", {"password1": PASSWORD, "password2": PASSWORD})

    assert answer.status_code == 403
    assert not User.objects.get(pk=alice.pk).has_usable_password()


def test_a_password_lets_nobody_in_who_is_no_staff(alice: User) -> None:
    alice.set_password(PASSWORD)
    alice.save()
    browser = Browser()

    assert browser.post(SIGN_IN, {"username": "alice", "password": PASSWORD}).status_code == 200
    assert signed_in_as(browser) is None


def test_a_new_password_of_ones_own_ends_all_but_this_session(admin: User, by_penora: RelyingParty) -> None:
    here, elsewhere = Browser(), Browser()
    for browser in (here, elsewhere):
        browser.post(SIGN_IN, {"username": "admin", "password": PASSWORD})
    tokens = by_penora.signs_in(elsewhere)
    new = "another long password 8"

    here.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})

    assert (signed_in_as(here), signed_in_as(elsewhere)) == ("admin", None)
    assert calls_api(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 400
    events = admin.audit.values_list("event", "details__after")
    assert ("access-changed", {"password": "another"}) in events
    assert ("cut-off", None) in events


@pytest.mark.parametrize("path", [SIGN_IN, "/admin/login/"])
def test_a_user_id_that_is_too_long_is_a_wrong_one(newcomer: Browser, path: str) -> None:
    assert newcomer.post(path, {"username": "x" * 256, "password": "x"}).status_code == 200


def test_a_network_of_ipv6_is_one_place(admin: User) -> None:
    """Each machine has 2^64 addresses of its own: counted singly, none would ever be locked out."""
    answers = [
        Browser(REMOTE_ADDR=f"2001:db8:1:2::{number:x}").post(SIGN_IN, {"username": "admin", "password": "wrong"})
        for number in range(1, 8)
    ]

    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 3
    other = Browser(REMOTE_ADDR="2001:db8:1:3::1")
    assert other.post(SIGN_IN, {"username": "admin", "password": PASSWORD}).status_code == 302


# --- What comes back from nowhere, and what is written down -----------------------------------------------------------


@pytest.mark.parametrize("query", [{"error": "x"}, {"error": "server_error", "state": "made-up"}, {"code": "x"}, {}])
def test_an_answer_that_a_browser_made_up_is_not_the_issuers_fault(
    google: Any, newcomer: Browser, query: dict[str, str]
) -> None:
    answer = newcomer.get(COMPLETE, query)

    assert 400 <= answer.status_code < 500


def test_the_log_names_no_token_at_any_level() -> None:
    """At DEBUG the libraries wrote down each code, token and refresh token as they made it."""
    program = (
        "import django; django.setup()\n"
        "import logging\n"
        "for name in ('oauthlib', 'oauthlib.oauth2.rfc6749', 'oauth2_provider'):\n"
        "    print(logging.getLogger(name).isEnabledFor(logging.DEBUG))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=clean_environment(DEBUG="1", LOG_LEVEL="DEBUG", DJANGO_SETTINGS_MODULE="unified.settings"),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["False"] * 3


def test_the_log_of_calls_does_not_say_whose_token_it_was(
    alices: Browser, by_penora: RelyingParty, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = by_penora.signs_in(alices)
    caplog.clear()

    with caplog.at_level("INFO", logger="unified.requests"):
        calls_api(tokens["access_token"])

    (line,) = [record.getMessage() for record in caplog.records if record.name == "unified.requests"]
    assert "token:penora:#" in line
    assert "alice" not in line.replace("/user-info", "")


def test_cookies_of_production_cannot_be_set_by_other_hosts() -> None:
    program = "from unified import settings; print(settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env={**clean_environment(DEBUG="0"), "PYTHONPATH": os.fspath(PROJECT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["__Host-sessionid", "__Host-csrftoken"]
    assert settings.DEBUG is False


def test_what_strangers_send_fills_no_log_with_tracebacks() -> None:
    """In a process of its own, with the logging that a service has."""
    program = (
        "import django; django.setup()\n"
        "import logging\n"
        "from django.test import Client\n"
        "assert Client().get('/signin/?state=%00', headers={'Host': 'localhost'}).status_code == 400\n"
        "for name in ('MalformedRequest', 'DisallowedRedirect'):\n"
        "    logging.getLogger(f'django.security.{name}').error('a traceback')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=clean_environment(DEBUG="1", LOG_LEVEL="INFO", DJANGO_SETTINGS_MODULE="unified.settings"),
        capture_output=True,
        text=True,
        check=True,
    )

    (line,) = done.stderr.strip().splitlines()
    assert "GET /signin/ 400" in line
