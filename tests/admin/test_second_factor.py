"""
The staff's second factor, under the setting of production: nothing of the admin opens without it, a code is good once,
and neither a lost session nor a colleague is a way around it. Codes are made as a phone makes them (RFC 6238).
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
import struct
import subprocess
import sys
import time
from base64 import b32decode
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import unquote, urlencode

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, reverse
from django.urls.resolvers import RegexPattern, RoutePattern
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts import services
from accounts.models import AuditEntry, User
from tests.admin.conftest import WHY
from tests.conftest import make_user
from tests.quickstart.service import PROJECT, clean_environment
from tests.sso.conftest import PASSWORD, browser_of
from tests.sso.flow import signed_in_as
from unified import checks
from unified import services as unified
from unified.admin import second_factor
from unified.sso.validator import SIGNED_IN_AT
from unified.throttles import SECOND_FACTORS

pytestmark = pytest.mark.django_db
INDEX, PAGE = "/admin/", "/admin/second-factor/"
STEP = 30
HOSTILE = (
    *("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:///evil.example"),
    *("https:evil.example", "\t//evil.example", "admin", "", "////evil.example", "https://testserver@evil.example/"),
)


@pytest.fixture(autouse=True)
def as_in_production(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def ada(db: None) -> User:
    """A superuser with a password, and with no second factor yet."""
    return User.objects.create_superuser(user_id="ada", username="Ada Min", email="ada@example.com", password=PASSWORD)


@pytest.fixture
def codes(ada: User) -> list[str]:
    """Ada has a second factor: her recovery codes."""
    return set_up(ada)


def set_up(user: User) -> list[str]:
    secret = services.new_secret()
    code = code_of(bytes.fromhex(secret), int(time.time()) // STEP)
    return services.set_second_factor(user=user, secret=secret, code=code, replaces=None)[1]


def code_of(key: bytes, step: int) -> str:
    """RFC 6238: six digits of the HMAC-SHA1 of the number of the half minute."""
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def next_code(user: User) -> str:
    """The first code that the person's phone shows after the one that was used last: the service lets it be early."""
    device = TOTPDevice.objects.get(user=user)
    return code_of(device.bin_key, max(device.last_t + 1, int(time.time()) // STEP))


def wrong_code(user: User) -> str:
    """None that the phone shows within some minutes."""
    device = TOTPDevice.objects.get(user=user)
    now = int(time.time()) // STEP
    near = {code_of(device.bin_key, now + step) for step in range(-20, 20)}
    return next(code for code in map("{:06d}".format, range(100)) if code not in near)


def half_a_minute_passes(user: User) -> None:
    """As if all that the device remembers had been long ago."""
    TOTPDevice.objects.filter(user=user).update(last_t=-1, drift=0, throttling_failure_timestamp=None)


def just_signed_in(user: User) -> Browser:
    browser = browser_of(user)
    session = browser.session
    session[SIGNED_IN_AT] = int(time.time())
    session.save()
    return browser


def inside(user: User) -> Browser:
    """A browser in which the person has signed in and shown their second factor."""
    browser = just_signed_in(user)
    assert enters(browser, next_code(user)).status_code == 302
    assert is_in(browser)
    return browser


def enters(browser: Browser, code: str, do: str = "enter", **more: str) -> Any:
    return browser.post(PAGE, {"do": do, "code": code, **more})


def is_in(browser: Browser) -> bool:
    answer = browser.get(INDEX)
    assert answer.status_code in {200, 302}
    return bool(answer.status_code == 200)


def text_of(answer: Any) -> str:
    return html.unescape(re.sub(r"\s+", " ", answer.content.decode()))


def shown_secret(page: Any) -> bytes:
    groups = re.findall(r"<span>([A-Z2-7]{4})</span>", page.content.decode())
    assert len(groups) == 8
    return b32decode("".join(groups))


def shown_codes(page: Any) -> list[str]:
    return re.findall(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>", page.content.decode())


def events(user: User) -> list[str]:
    return list(AuditEntry.objects.filter(subject=user).order_by("id").values_list("event", flat=True))


def refusals(user: User) -> int:
    return events(user).count("second-factor-refused")


# --- When it is asked for --------------------------------------------------------------------------------------------


def test_it_is_on_in_production_and_off_on_a_developers_machine() -> None:
    def told(**environment: str) -> str:
        ask = "from unified import settings; print(settings.STAFF_SECOND_FACTOR)"
        base = {"SECRET_KEY": "x" * 50, "DATABASE_URL": "postgres://localhost/none", **environment}
        env = clean_environment(**base)
        done = subprocess.run(
            [sys.executable, "-c", ask], cwd=PROJECT, env=env, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr

    assert told(DEBUG="0") == "True"
    assert told(DEBUG="0", UNIFIED_STAFF_SECOND_FACTOR="off") == "False"
    assert told(DEBUG="1") == "False"
    assert "say on or off" in told(DEBUG="0", UNIFIED_STAFF_SECOND_FACTOR="maybe")


def test_the_check_warns_where_it_is_off_in_production(settings: Any) -> None:
    def warned() -> list[str]:
        return [str(message.hint) for message in checks.check_configuration(None) if message.id == "unified.W001"]

    assert not settings.DEBUG
    assert warned() == []
    settings.STAFF_SECOND_FACTOR = False
    assert "Unset it" in warned()[0]
    settings.DEBUG = True
    assert warned() == []


def test_nobody_is_asked_while_it_is_off(ada: User, settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = False

    assert is_in(browser_of(ada))


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    """An address for every pattern of the admin's URLs."""
    for item in admin.site.get_urls() if patterns is None else patterns:
        if isinstance(item.pattern, RegexPattern):
            assert item.name in {"app_list", None}, item
            yield before + ("accounts/" if item.name else "nothing/there/")
            continue
        assert isinstance(item.pattern, RoutePattern)
        path = before + re.sub(r"<(?:\w+:)?\w+>", "1", str(item.pattern))
        if isinstance(item, URLResolver):
            yield from routes(item.url_patterns, path)
        else:
            assert isinstance(item, URLPattern)
            yield path


def state() -> dict[str, list[Any]]:
    """Every row of ours."""
    kept = [model for model in apps.get_models() if model is not Session]
    return {model._meta.label: list(model._default_manager.order_by("pk").values_list()) for model in kept}


def test_every_address_of_the_admin_is_closed_to_who_has_not_shown_it(ada: User, codes: list[str]) -> None:
    browser = just_signed_in(ada)
    addresses = [f"/admin/{route}" for route in routes()]
    assert len(addresses) > 150
    assert {INDEX, "/admin/jsi18n/", "/admin/accounts/user/", "/admin/people/1/"} <= set(addresses)
    before = state()

    for address in addresses:
        if address in {"/admin/login/", PAGE}:
            continue
        for answer in (browser.get(address), browser.post(address, {"reason": "Because", "post": "yes"})):
            if answer.status_code == 405:  # it knows no such method: not even who asks was looked at
                continue
            home = address == "/admin/logout/"
            assert answer.status_code == 302, address
            assert answer["Location"] == (INDEX if home else f"/admin/login/?{urlencode({'next': address}, safe='/')}")
    for answer in (browser.get("/admin/login/"), browser.post("/admin/login/", {"username": "ada"})):
        assert answer["Location"].startswith(PAGE)

    assert state() == before
    assert signed_in_as(browser) == "ada"


def test_the_page_that_asks_shows_nothing_of_the_admin(ada: User, codes: list[str]) -> None:
    page = just_signed_in(ada).get(PAGE)

    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    assert re.findall(r'href="(/admin/[^"]*)"', page.content.decode()) == [INDEX]  # the product's name
    assert "<code>" in page.content.decode()
    assert "recovery codes left" not in text_of(page).lower()


@pytest.mark.parametrize("ways", ["signed in", "not at all"])
def test_it_is_for_staff_only(alice: User, ways: str) -> None:
    browser = just_signed_in(alice) if ways == "signed in" else Browser()

    for answer in (browser.get(PAGE), enters(browser, "123456"), enters(browser, "123456", do="confirm")):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/?next=")
    assert not TOTPDevice.objects.exists()


def test_who_is_asked_goes_on_to_where_they_were_going(ada: User, codes: list[str]) -> None:
    browser = just_signed_in(ada)

    asked = browser.get("/admin/accounts/user/?q=alice", follow=True)

    assert asked.request["PATH_INFO"] == PAGE
    onwards = re.findall(r'name="next" value="([^"]+)"', asked.content.decode())
    assert onwards == ["/admin/accounts/user/?q=alice"]
    answer = enters(browser, next_code(ada), next=onwards[0])
    assert (answer.status_code, answer["Location"]) == (302, "/admin/accounts/user/?q=alice")
    assert browser.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("onwards", HOSTILE)
def test_it_leads_nowhere_else(ada: User, codes: list[str], onwards: str) -> None:
    browser = just_signed_in(ada)

    page = browser.get(PAGE, {"next": onwards})
    assert re.findall(r'name="next" value="([^"]+)"', page.content.decode()) == [INDEX]
    asked = browser.get("/admin/login/", {"next": onwards})
    assert unquote(asked["Location"]) == f"{PAGE}?next={INDEX}"

    assert enters(browser, next_code(ada), next=onwards)["Location"] == INDEX


# --- Setting it up ---------------------------------------------------------------------------------------------------


def test_the_first_sign_in_sets_it_up(ada: User) -> None:
    browser = Browser()
    page = browser.post(
        "/admin/login/?next=/admin/credits/hold/", {"username": "ada", "password": PASSWORD}, follow=True
    )
    assert page.request["PATH_INFO"] == PAGE
    secret = shown_secret(page)
    assert 'src="data:image/svg+xml' in page.content.decode()
    assert not TOTPDevice.objects.exists()
    before = browser.session.session_key

    answer = enters(browser, code_of(secret, int(time.time()) // STEP), do="confirm", next="/admin/credits/hold/")

    codes = shown_codes(answer)
    assert (answer.status_code, len(set(codes))) == (200, 10)
    assert "no-store" in answer["Cache-Control"]
    assert 'href="/admin/credits/hold/"' in answer.content.decode()
    assert browser.get("/admin/credits/hold/").status_code == 200
    assert browser.session.session_key not in {before, None}
    assert second_factor.SET_UP not in browser.session
    assert events(ada) == ["signed-in", "second-factor-set"]
    entry = AuditEntry.objects.get(event="second-factor-set")
    assert (entry.actor, entry.ip) == (ada, "127.0.0.1")
    assert entry.details == {"before": {"second factor": "none"}, "after": {"second factor": "set up"}}
    assert not shown_codes(browser.get(PAGE))
    assert shown_secret_is_gone(browser.get(PAGE))


def shown_secret_is_gone(page: Any) -> bool:
    return "data:image/svg+xml" not in page.content.decode()


def test_neither_recovery_codes_nor_the_new_secret_are_in_the_audit_and_of_the_codes_only_digests_are_kept(
    ada: User, codes: list[str]
) -> None:
    secret = TOTPDevice.objects.get().key
    everything = json.dumps({**state(), TOTPDevice._meta.label: []}, default=str)

    assert len(codes) == 10
    assert StaticToken.objects.count() == 10
    assert not [code for code in (secret, *codes) if code in everything]


@pytest.mark.parametrize("email", ["ada@example.com", "", "a" * 200 + ":@example.com"])
def test_the_picture_says_what_phones_read(ada: User, email: str) -> None:
    ada.email = email
    ada.user_id = "é:" * 127

    address = second_factor._address(ada, "ABCDEFGH")

    label, _, query = address.removeprefix("otpauth://totp/").partition("?")
    assert label.startswith("Unified:")
    assert ":" not in unquote(label.removeprefix("Unified:"))
    assert query == "secret=ABCDEFGH&issuer=Unified&algorithm=SHA1&digits=6&period=30"
    assert second_factor._picture(address).startswith("data:image/svg+xml")


def test_a_session_that_lay_open_sets_nothing_up(ada: User) -> None:
    """Whoever has somebody's session has not their sign-in: the second factor must not become theirs for good."""
    for browser in (browser_of(ada), just_signed_in(ada)):
        session = browser.session
        if SIGNED_IN_AT in session:
            session[SIGNED_IN_AT] -= second_factor.FRESH_SECONDS
            session.save()

        page = browser.get(INDEX, follow=True)

        assert page.request["PATH_INFO"] == "/admin/login/"
        assert "asked to sign in once more" in text_of(page)
        assert shown_secret_is_gone(page)
        assert second_factor.SET_UP not in browser.session
        enters(browser, "123456", do="confirm")
        assert not TOTPDevice.objects.exists()

    again = browser.post(page.request["PATH_INFO"] + "?" + page.request["QUERY_STRING"], sent(page), follow=True)

    assert again.request["PATH_INFO"] == PAGE
    assert shown_secret(again)


def sent(page: Any) -> dict[str, str]:
    onwards = re.findall(r'name="next" value="([^"]+)"', page.content.decode())[0]
    return {"username": "ada", "password": PASSWORD, "next": html.unescape(onwards)}


def test_a_wrong_first_code_sets_nothing_up_and_leaves_the_picture_as_it_is(ada: User) -> None:
    browser = just_signed_in(ada)
    secret = shown_secret(browser.get(PAGE))

    for wrong in ("000000" if code_of(secret, int(time.time()) // STEP) != "000000" else "000001", "", "abc", "1" * 16):
        page = enters(browser, wrong, do="confirm")
        assert page.status_code == 200
        assert shown_secret(page) == secret
        assert 'class="errorlist"' in page.content.decode()

    assert not TOTPDevice.objects.exists()
    assert events(ada) == []
    assert shown_secret(browser.get(PAGE)) == secret
    assert shown_codes(enters(browser, code_of(secret, int(time.time()) // STEP), do="confirm"))


def test_a_set_up_that_somebody_has_seen_in_another_session_is_not_the_persons(ada: User) -> None:
    """Each session has a secret of its own: who saw one, and did not finish, knows nothing of what is set up later."""
    first, second = just_signed_in(ada), just_signed_in(ada)
    seen, own = shown_secret(first.get(PAGE)), shown_secret(second.get(PAGE))
    assert seen != own

    assert shown_codes(enters(second, code_of(own, int(time.time()) // STEP), do="confirm"))
    refused = first.post(PAGE, {"do": "confirm", "code": code_of(seen, int(time.time()) // STEP)}, follow=True)

    assert "set up elsewhere meanwhile" in text_of(refused)
    assert TOTPDevice.objects.get().bin_key == own
    assert not is_in(first)
    assert is_in(second)


def test_a_set_up_ends_by_itself(ada: User) -> None:
    browser = just_signed_in(ada)
    secret = shown_secret(browser.get(PAGE))
    session = browser.session
    session[second_factor.SET_UP] |= {"until": int(time.time()) - 1}
    session.save()

    answer = enters(browser, code_of(secret, int(time.time()) // STEP), do="confirm")

    assert answer.status_code == 302
    assert not TOTPDevice.objects.exists()
    assert shown_secret(browser.get(PAGE)) != secret


# --- Codes -----------------------------------------------------------------------------------------------------------


def test_a_code_opens_the_admin_once(ada: User, codes: list[str]) -> None:
    first, second = just_signed_in(ada), just_signed_in(ada)
    code = next_code(ada)
    before = first.session.session_key

    assert enters(first, code).status_code == 302
    again = enters(second, code)

    assert is_in(first)
    assert first.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()
    assert again.status_code == 200
    assert "wrong, or was used already" in text_of(again)
    assert re.search(r'<input[^>]* aria-describedby="id_code_helptext id_code_error"', again.content.decode())
    assert second_factor.NOW in text_of(again)
    assert not is_in(second)
    assert [(entry.event, entry.details["method"]) for entry in AuditEntry.objects.order_by("id")[1:]] == [
        ("signed-in", "authenticator"),
        ("second-factor-refused", "authenticator"),
    ]


def test_the_code_that_has_set_it_up_is_used_too(ada: User) -> None:
    browser = just_signed_in(ada)
    secret = shown_secret(browser.get(PAGE))
    code = code_of(secret, int(time.time()) // STEP)
    enters(browser, code, do="confirm")

    assert enters(just_signed_in(ada), code).status_code == 200


def test_old_and_coming_codes_are_refused(ada: User, codes: list[str]) -> None:
    half_a_minute_passes(ada)
    key, now = TOTPDevice.objects.get().bin_key, int(time.time()) // STEP
    browser = just_signed_in(ada)

    for step in (-10, -4, 4, 10):
        half_a_minute_passes(ada)
        assert enters(browser, code_of(key, now + step)).status_code == 200
    half_a_minute_passes(ada)
    assert enters(browser, f" {next_code(ada)[:3]} {next_code(ada)[3:]} ").status_code == 302


def test_wrong_codes_are_held_up_longer_each_time_and_the_held_up_leave_no_row(ada: User, codes: list[str]) -> None:
    browser = just_signed_in(ada)
    wrong = wrong_code(ada)
    TOTPDevice.objects.update(throttling_failure_count=9, throttling_failure_timestamp=timezone.now())

    for code in (wrong, next_code(ada), wrong):
        assert "The next is looked at in" in text_of(enters(browser, code))
    assert refusals(ada) == 0
    assert TOTPDevice.objects.get().throttling_failure_count == 9

    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=257))
    assert "wrong" in text_of(enters(browser, wrong))
    assert "The next is looked at in" in text_of(enters(browser, next_code(ada)))
    assert (refusals(ada), TOTPDevice.objects.get().throttling_failure_count) == (1, 10)

    TOTPDevice.objects.update(throttling_failure_timestamp=timezone.now() - timedelta(seconds=513))
    assert enters(browser, next_code(ada)).status_code == 302
    assert TOTPDevice.objects.get().throttling_failure_count == 0


def test_who_is_held_up_by_a_stranger_gets_in_with_a_recovery_code(ada: User, codes: list[str]) -> None:
    TOTPDevice.objects.update(throttling_failure_count=30, throttling_failure_timestamp=timezone.now())
    StaticDevice.objects.update(throttling_failure_count=30, throttling_failure_timestamp=timezone.now())
    browser = just_signed_in(ada)

    assert enters(browser, codes[0]).status_code == 302
    assert is_in(browser)


def test_wrong_recovery_codes_are_held_up_by_place_and_the_held_up_leave_no_row(ada: User, codes: list[str]) -> None:
    browser = just_signed_in(ada)
    for _ in range(3):
        assert "wrong" in text_of(enters(browser, "a" * 16))
    assert refusals(ada) == 3
    window = SECOND_FACTORS._window()
    for later in (0, 1):  # however soon this minute ends
        cache.set(SECOND_FACTORS._key(f"{ada.pk} 127.0.0.1", window + later), SECOND_FACTORS.limit, timeout=60)

    for code in ("b" * 16, codes[0], next_code(ada)):
        assert "Try again in" in text_of(enters(browser, code))

    assert refusals(ada) == 3
    assert StaticToken.objects.count() == 10
    elsewhere = browser.post(PAGE, {"code": codes[0]}, REMOTE_ADDR="192.0.2.1")
    assert elsewhere.status_code == 302


@pytest.mark.parametrize(
    "code",
    ["", " ", "12345", "1234567", "１２３４５６", "abc", "-", "0x1234", "1e5", "+12345", "x" * 64, "\u00e9" * 16],
)
def test_what_is_no_code_is_refused_and_leaves_no_row(ada: User, codes: list[str], code: str) -> None:
    browser = just_signed_in(ada)

    page = enters(browser, code)

    assert page.status_code == 200
    assert 'class="errorlist"' in page.content.decode()
    assert events(ada) == ["second-factor-set"]
    assert TOTPDevice.objects.get().throttling_failure_count == 0


def test_an_endless_code_is_refused(ada: User, codes: list[str]) -> None:
    assert enters(just_signed_in(ada), "1" * 100_000).status_code == 200
    assert refusals(ada) == 0


# --- Recovery codes --------------------------------------------------------------------------------------------------


def test_a_recovery_code_opens_the_admin_once(ada: User, codes: list[str]) -> None:
    first, second = just_signed_in(ada), just_signed_in(ada)
    typed = "-".join(codes[3][start : start + 4] for start in range(0, 16, 4)).upper()

    answer = enters(first, typed)

    assert answer.status_code == 302
    assert "You have 9 left" in text_of(first.get(INDEX))
    assert enters(second, codes[3]).status_code == 200
    assert not is_in(second)
    assert enters(second, codes[4]).status_code == 302
    assert StaticToken.objects.count() == 8
    methods = AuditEntry.objects.filter(event="signed-in").values_list("details__method", flat=True)
    assert list(methods) == ["recovery code"] * 2


def test_new_recovery_codes_end_the_old_ones_and_take_a_code(ada: User, codes: list[str]) -> None:
    browser = inside(ada)
    assert shown_codes(enters(browser, wrong_code(ada), do="new-codes")) == []
    half_a_minute_passes(ada)

    new = shown_codes(enters(browser, next_code(ada), do="new-codes"))

    assert len(set(new)) == 10
    assert is_in(browser)
    assert enters(just_signed_in(ada), codes[0]).status_code == 200
    assert enters(just_signed_in(ada), new[0]).status_code == 302
    entry = AuditEntry.objects.filter(event="second-factor-set").latest("id")
    assert entry.details == {
        "before": {"second factor": "10 recovery codes"},
        "after": {"second factor": "10 others"},
    }
    assert events(ada).count("signed-in") == 2  # two that came in; what was done inside is no sign-in


def test_new_recovery_codes_by_a_recovery_code_leave_one_inside(ada: User, codes: list[str]) -> None:
    browser = just_signed_in(ada)
    enters(browser, codes[0])

    assert len(shown_codes(enters(browser, codes[1], do="new-codes"))) == 10

    assert is_in(browser)


# --- Another authenticator -------------------------------------------------------------------------------------------


def test_another_authenticator_takes_a_code_of_the_old_one(ada: User, codes: list[str]) -> None:
    browser, other = inside(ada), inside(ada)
    old = TOTPDevice.objects.get()

    assert shown_secret_is_gone(enters(browser, wrong_code(ada), do="change"))
    half_a_minute_passes(ada)
    page = enters(browser, next_code(ada), do="change")
    secret = shown_secret(page)
    assert TOTPDevice.objects.get().key == old.key != secret.hex()
    done = enters(browser, code_of(secret, int(time.time()) // STEP), do="confirm")

    assert len(shown_codes(done)) == 10
    assert TOTPDevice.objects.get().bin_key == secret
    assert is_in(browser)
    assert not is_in(other)
    assert enters(other, code_of(old.bin_key, int(time.time()) // STEP)).status_code == 200
    assert enters(just_signed_in(ada), codes[0]).status_code == 200
    entry = AuditEntry.objects.filter(event="second-factor-set").latest("id")
    assert entry.details["before"] == {"second factor": "set up"}
    assert entry.details["after"] == {"second factor": "another authenticator"}


def test_who_has_lost_the_phone_sets_up_another_with_a_recovery_code(ada: User, codes: list[str]) -> None:
    browser = just_signed_in(ada)
    enters(browser, codes[0])

    secret = shown_secret(enters(browser, codes[1], do="change"))

    assert shown_codes(enters(browser, code_of(secret, int(time.time()) // STEP), do="confirm"))
    assert is_in(browser)


def test_without_a_code_nothing_is_changed_from_a_session_that_is_inside(ada: User, codes: list[str]) -> None:
    browser = inside(ada)
    before = list(TOTPDevice.objects.values_list("pk", "key")), list(StaticToken.objects.values_list())

    for do in ("change", "new-codes", "confirm", "enter", "", "other"):
        enters(browser, "", do=do)
        enters(browser, codes[0][:-1], do=do)

    assert (list(TOTPDevice.objects.values_list("pk", "key")), list(StaticToken.objects.values_list())) == before


# --- What ends it ----------------------------------------------------------------------------------------------------


def test_signing_out_ends_it(ada: User, codes: list[str]) -> None:
    for way_out in ("/admin/logout/", "/signin/out/"):
        browser = inside(ada)
        browser.post(way_out)
        browser.force_login(ada)

        assert not is_in(browser)


def test_being_cut_off_ends_it(ada: User, codes: list[str]) -> None:
    browser = inside(ada)

    services.cut_off(user=ada)

    assert signed_in_as(browser) is None


def test_somebody_else_in_the_same_browser_has_not_shown_it(ada: User, codes: list[str]) -> None:
    browser = inside(ada)
    bea = User.objects.create_superuser(user_id="bea", username="Bea", email="b@example.com", password=PASSWORD)
    set_up(bea)
    session = browser.session
    session["sign_in_anew"] = True
    session.save()

    browser.post("/signin/", {"username": "bea", "password": PASSWORD})

    assert signed_in_as(browser) == "bea"
    assert not is_in(browser)


def test_a_colleagues_device_in_a_session_lets_nobody_in(ada: User, codes: list[str]) -> None:
    bea = User.objects.create_superuser(user_id="bea", username="Bea", email="b@example.com", password=None)
    browser = just_signed_in(bea)
    for device in (TOTPDevice.objects.get(), StaticDevice.objects.get()):
        session = browser.session
        session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.save()

        assert not is_in(browser)


def test_a_colleagues_code_lets_nobody_in(ada: User, codes: list[str]) -> None:
    bea = User.objects.create_superuser(user_id="bea", username="Bea", email="b@example.com", password=None)
    set_up(bea)
    browser = just_signed_in(bea)

    for code in (next_code(ada), codes[0]):
        half_a_minute_passes(bea)
        assert enters(browser, code).status_code == 200
    assert StaticToken.objects.filter(device__user=ada).count() == 10


def test_whose_password_is_changed_by_themselves_stays_inside(ada: User, codes: list[str]) -> None:
    browser = inside(ada)
    form = {
        "old_password": PASSWORD,
        "new_password1": "another long phrase 8",
        "new_password2": "another long phrase 8",
    }

    assert browser.post("/admin/password_change/", form).status_code == 302

    assert is_in(browser)


def test_who_is_no_member_of_staff_any_more_is_outside(ada: User, codes: list[str]) -> None:
    browser = inside(ada)

    User.objects.filter(pk=ada.pk).update(is_staff=False)

    assert not is_in(browser)
    assert browser.get(PAGE)["Location"].startswith("/admin/login/")


# --- Taking it away --------------------------------------------------------------------------------------------------


@pytest.fixture
def colleague(db: None) -> User:
    """A member of staff with a second factor."""
    user = make_user("cleo")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    set_up(user)
    return User.objects.get(pk=user.pk)


def reset_page(user: User) -> str:
    return reverse("admin:reset-second-factor", args=[user.pk])


def may_reset(user: User) -> Browser:
    """A browser of somebody who may reset second factors, and is no superuser."""
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.add(
        *Permission.objects.filter(codename__in=["reset_second_factor", "view_user", "change_user"])
    )
    set_up(user)
    return inside(User.objects.get(pk=user.pk))


def test_a_colleagues_is_taken_away_with_a_reason_and_ends_their_sessions(alice: User, colleague: User) -> None:
    theirs, browser = inside(colleague), may_reset(alice)
    page = browser.get(reset_page(colleague))
    assert page.status_code == 200
    assert TOTPDevice.objects.get(user=colleague).key not in page.content.decode()

    answer = browser.post(reset_page(colleague), WHY)

    assert answer["Location"] == f"/admin/people/{colleague.pk}/"
    assert not TOTPDevice.objects.filter(user=colleague).exists()
    assert not StaticToken.objects.filter(device__user=colleague).exists()
    assert signed_in_as(theirs) is None
    entry = AuditEntry.objects.get(event="second-factor-reset")
    assert (entry.actor, entry.subject, entry.reason) == (alice, colleague, WHY["reason"])
    assert entry.details == {"before": {"second factor": "set up"}, "after": {"second factor": "none"}}
    assert events(colleague)[-1] == "cut-off"
    assert shown_secret(just_signed_in(User.objects.get(pk=colleague.pk)).get(PAGE))
    again = browser.post(reset_page(colleague), WHY, follow=True)
    assert "Nothing was done" in text_of(again)
    assert events(colleague).count("second-factor-reset") == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_without_a_reason_it_stays(alice: User, colleague: User, reason: str) -> None:
    browser = may_reset(alice)

    page = browser.post(reset_page(colleague), {"reason": reason})

    assert page.status_code == 200
    assert 'class="errorlist"' in page.content.decode()
    assert TOTPDevice.objects.filter(user=colleague).exists()


def test_a_superusers_is_taken_away_by_a_superuser_only(ada: User, codes: list[str], alice: User) -> None:
    browser = may_reset(alice)
    for answer in (browser.get(reset_page(ada)), browser.post(reset_page(ada), WHY)):
        assert answer.status_code == 403
    assert TOTPDevice.objects.filter(user=ada).exists()
    bea = User.objects.create_superuser(user_id="bea", username="Bea", email="b@example.com", password=None)
    set_up(bea)

    assert inside(bea).post(reset_page(ada), WHY).status_code == 302

    assert not TOTPDevice.objects.filter(user=ada).exists()


def test_ones_own_is_not_taken_away_without_a_code(ada: User, codes: list[str]) -> None:
    browser = inside(ada)

    for answer in (browser.get(reset_page(ada)), browser.post(reset_page(ada), WHY)):
        assert answer["Location"] == PAGE
    assert TOTPDevice.objects.exists()


def test_who_may_not_takes_none_away(colleague: User, bob: User) -> None:
    browser = inside(colleague)
    set_up(bob)

    for answer in (browser.get(reset_page(bob)), browser.post(reset_page(bob), WHY)):
        assert answer.status_code == 403
    assert TOTPDevice.objects.filter(user=bob).exists()


def test_nobodys_is_a_404(ada: User, codes: list[str]) -> None:
    assert inside(ada).post("/admin/people/999999/second-factor/", WHY).status_code == 404


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("secondfactor", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_lists_the_staff_and_takes_away_what_was_lost(ada: User, colleague: User, alice: User) -> None:
    theirs = inside(colleague)
    lines = told("list").splitlines()
    assert [line.split()[0] for line in lines] == ["ada", "cleo"]
    assert lines[0].endswith("none")
    assert lines[1].endswith("10 recovery codes left")

    said = told("reset", "cleo", "--reason", "She called from the airport")

    assert "no second factor any more" in said
    assert signed_in_as(theirs) is None
    entry = AuditEntry.objects.get(event="second-factor-reset")
    assert (entry.actor, entry.subject, entry.reason) == (None, colleague, "She called from the airport")
    for wrong in ("cleo", "nobody", "CLEO"):
        with pytest.raises(CommandError):
            told("reset", wrong)


def test_who_leaves_leaves_no_device_behind(colleague: User, ada: User, codes: list[str]) -> None:
    unified.delete_member(user=colleague)

    assert not TOTPDevice.objects.filter(user=colleague).exists()
    assert not StaticDevice.objects.filter(user=colleague).exists()
    assert TOTPDevice.objects.filter(user=ada).exists()


def test_devices_are_not_shown_in_the_admin(ada: User, codes: list[str]) -> None:
    browser = inside(ada)

    assert not [model for model in admin.site._registry if model._meta.app_label.startswith("otp_")]
    for path in (
        "otp_totp/totpdevice/",
        "otp_static/staticdevice/",
        f"otp_totp/totpdevice/{TOTPDevice.objects.get().pk}/",
    ):
        assert browser.get(f"/admin/{path}").status_code == 404


def test_a_page_inside_costs_one_query_more(ada: User, codes: list[str], settings: Any) -> None:
    browser = inside(ada)
    with CaptureQueriesContext(connection) as inside_queries:
        browser.get("/admin/password_change/")
    settings.STAFF_SECOND_FACTOR = False
    outside = browser_of(ada)
    with CaptureQueriesContext(connection) as queries:
        outside.get("/admin/password_change/")

    assert len(inside_queries) == len(queries) + 1
