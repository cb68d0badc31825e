"""Staff sign in with a password; who guesses is locked out; and the demo door is where it is said to be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.hashers import make_password
from django.test import Client as Browser

from accounts import services as accounts
from accounts.models import AuditEntry, User
from credits.queries import position_of
from tests.sso.conftest import PASSWORD, browser_of
from tests.sso.flow import SIGN_IN, Google, sign_in_with, signed_in_as
from unified import seed, services
from workspace.queries import storage_of

pytestmark = pytest.mark.django_db
GUESS = "a guess that is wrong"


@pytest.fixture(autouse=True)
def fast(admin: User) -> None:
    """Their password is kept by the fast hasher, so that many can be tried. (It is right or wrong as any other.)"""
    User.objects.filter(pk=admin.pk).update(password=make_password(PASSWORD, hasher="sha256_random"))


def tries(user_id: str, password: str, *, address: str = "127.0.0.1", path: str = SIGN_IN, **form: str) -> Any:
    browser = Browser(REMOTE_ADDR=address, raise_request_exception=False)
    return browser.post(path, {"username": user_id, "password": password, **form})


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


# --- lock-out --------------------------------------------------------------------------------------------------------


def test_after_five_wrong_passwords_the_right_one_is_refused_too() -> None:
    """
    Seen before AXES_USERNAME_FORM_FIELD was set: failures were kept as nobody's, the page said "too many", and the
    right password was taken all the same, so guessing went on.
    """
    answers = [tries("admin", GUESS).status_code for _ in range(5)]

    assert answers == [200, 200, 200, 200, 429]
    for path in (SIGN_IN, "/admin/login/"):
        answer = tries("admin", PASSWORD, path=path)
        assert answer.status_code == 429
        assert answer["Retry-After"] == "900"
        assert "Wait 15 minutes" in answer.content.decode()
        assert "no-store" in answer["Cache-Control"]
        assert "sessionid" not in answer.cookies
    assert AccessAttempt.objects.values_list("username", "failures_since_start").get() == ("admin", 5)


def test_four_wrong_ones_are_forgiven_with_the_right_one() -> None:
    for _ in range(2):
        for _ in range(4):
            assert tries("admin", GUESS).status_code == 200
        assert is_in(tries("admin", PASSWORD))


def test_another_person_and_another_address_are_not_locked_out(alice: User) -> None:
    kept = make_password(PASSWORD, hasher="sha256_random")
    User.objects.filter(pk=alice.pk).update(password=kept, is_staff=True)
    for _ in range(6):
        tries("admin", GUESS)

    assert is_in(tries("alice", PASSWORD))
    assert is_in(tries("admin", PASSWORD, address="10.0.0.9"))
    assert tries("admin", PASSWORD).status_code == 429


def test_it_is_said_alike_where_there_is_no_such_person() -> None:
    known, unknown = ([tries(user_id, GUESS) for _ in range(6)] for user_id in ("admin", "nobody"))

    assert [answer.status_code for answer in known] == [answer.status_code for answer in unknown]
    bodies = [
        "\n".join(line for line in answer.content.decode().splitlines() if "csrfmiddlewaretoken" not in line)
        for answer in (known[-1], unknown[-1])
    ]
    assert bodies[0] == bodies[1]


def test_it_is_over_after_a_quarter_of_an_hour() -> None:
    for _ in range(5):
        tries("admin", GUESS)
    for attempt in AccessAttempt.objects.all():
        AccessAttempt.objects.update(attempt_time=attempt.attempt_time - timedelta(minutes=14))
    assert tries("admin", PASSWORD).status_code == 429

    for attempt in AccessAttempt.objects.all():
        AccessAttempt.objects.update(attempt_time=attempt.attempt_time - timedelta(minutes=2))

    assert is_in(tries("admin", PASSWORD))


def test_who_goes_on_trying_does_not_make_it_longer() -> None:
    """Or whoever knows a user id could lock its owner out for ever."""
    for _ in range(5):
        tries("admin", GUESS)
    since = AccessAttempt.objects.get().attempt_time

    for _ in range(3):
        tries("admin", GUESS)

    assert AccessAttempt.objects.get().attempt_time == since


@pytest.mark.parametrize("written", ["admin ", " admin", "ａdmin", "admin"])
def test_another_way_to_write_the_same_id_is_the_same(written: str) -> None:
    for _ in range(5):
        tries(written, GUESS)

    assert tries("admin", PASSWORD).status_code == 429


def test_no_password_that_was_tried_is_kept_anywhere() -> None:
    from tests.sso.test_google import everything_in_the_database

    tries("admin", GUESS)
    tries("nobody", GUESS + "2")
    tries(GUESS + "3", "x")  # a password typed where the id belongs: kept for the lock-out, and nowhere else

    kept = everything_in_the_database()
    assert GUESS not in "\n".join(line for line in kept.splitlines() if GUESS + "3" not in line)
    assert {line.split()[0] for line in kept.splitlines() if GUESS + "3" in line} <= {"axes_accessattempt"}


def test_a_spoofed_forwarded_address_changes_nothing(settings: Any) -> None:
    """Without a proxy of ours the header is anybody's."""
    for number in range(5):
        Browser().post(
            SIGN_IN, {"username": "admin", "password": GUESS}, headers={"X-Forwarded-For": f"10.9.9.{number}"}
        )

    assert tries("admin", PASSWORD).status_code == 429
    assert AccessAttempt.objects.get().ip_address == "127.0.0.1"


def test_behind_our_proxy_only_its_own_word_counts(settings: Any) -> None:
    """The proxy adds the address that it sees behind whatever the caller has made up."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for number in range(5):
        headers = {"X-Forwarded-For": f"10.9.9.{number}, 203.0.113.7"}
        Browser().post(SIGN_IN, {"username": "admin", "password": GUESS}, headers=headers)

    def right(address: str) -> Any:
        return Browser().post(
            SIGN_IN, {"username": "admin", "password": PASSWORD}, headers={"X-Forwarded-For": address}
        )

    assert right("1.1.1.1, 203.0.113.7").status_code == 429
    assert right("203.0.113.7").status_code == 429
    assert right("203.0.113.7, 203.0.113.8").status_code == 302
    assert AuditEntry.objects.filter(event="sign-in-refused").first().ip == "203.0.113.7"  # type: ignore[union-attr]


@pytest.mark.parametrize("address", ["nonsense", "", "1.2.3.4, x", "fe80::1%eth0", "1.2.3.4:80", "é", "9" * 5_000])
def test_an_address_that_is_none_is_no_error_of_ours(settings: Any, address: str) -> None:
    """Seen before: an address with the name of a network card is none to PostgreSQL, and was a 500."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    browser = Browser(raise_request_exception=False)

    for password in (GUESS, PASSWORD):
        answer = browser.post(
            SIGN_IN, {"username": "admin", "password": password}, headers={"X-Forwarded-For": address}
        )
        assert answer.status_code in {200, 302}


def test_the_password_form_needs_its_token() -> None:
    strict = Browser(enforce_csrf_checks=True)
    form = {"username": "admin", "password": PASSWORD}

    for path in (SIGN_IN, "/admin/login/", "/signin/out/", "/signin/demo/"):
        assert strict.post(path, form).status_code == 403, path
    assert signed_in_as(strict) is None


def test_the_session_has_another_key_after_the_password() -> None:
    browser = Browser()
    session = browser.session
    session["put here by"] = "somebody else"
    session.save()
    before = session.session_key

    browser.post(SIGN_IN, {"username": "admin", "password": PASSWORD})

    assert browser.session.session_key != before
    fixed = Browser()
    fixed.cookies["sessionid"] = str(before)
    assert signed_in_as(fixed) is None
    assert signed_in_as(browser) == "admin"


# --- staff -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [SIGN_IN, "/admin/login/"])
def test_staff_sign_in_with_their_password_and_reach_the_admin(path: str) -> None:
    browser = Browser()

    answer = browser.post(path, {"username": "admin", "password": PASSWORD, "next": "/admin/"})

    assert answer["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200
    assert AuditEntry.objects.get(event="signed-in").details == {"method": "password"}


def test_staff_who_come_with_google_reach_the_admin(google: Google, newcomer: Browser) -> None:
    sign_in_with(google, newcomer, "staff-sub")
    User.objects.filter(user_id="staff-sub").update(is_staff=True, is_superuser=True)

    assert newcomer.get("/admin/").status_code == 200


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/login/"])
def test_who_is_no_staff_is_told_so_and_not_sent_round(alices: Browser, path: str) -> None:
    answer = alices.get(path, follow=True)

    assert len(answer.redirect_chain) <= 1
    assert answer.status_code == 200
    assert "who is not a member of staff" in answer.content.decode()
    assert "Site administration" not in answer.content.decode()


def test_who_is_no_longer_staff_is_out_of_the_admin_at_once(admin: User) -> None:
    browser = browser_of(User.objects.get(pk=admin.pk))
    assert browser.get("/admin/").status_code == 200

    User.objects.filter(pk=admin.pk).update(is_staff=False)

    assert browser.get("/admin/").status_code == 302


# --- the demo door ---------------------------------------------------------------------------------------------------


@pytest.fixture
def demo_open(settings: Any) -> None:
    settings.DEMO_SIGN_IN = True
    seed.seed_demo()


@pytest.mark.usefixtures("demo_open")
def test_whoever_is_at_a_developers_machine_may_be_the_demo_user(newcomer: Browser) -> None:
    assert "Continue as the demo user" in newcomer.get(SIGN_IN).content.decode()

    assert newcomer.post("/signin/demo/").status_code == 302

    assert signed_in_as(newcomer) == seed.DEMO_USER_ID
    assert AuditEntry.objects.get().details == {"method": "demo"}


@pytest.mark.usefixtures("demo_open")
def test_looking_at_the_door_is_not_going_through_it(newcomer: Browser) -> None:
    assert newcomer.get("/signin/demo/").status_code == 405
    assert newcomer.head("/signin/demo/").status_code == 405
    assert signed_in_as(newcomer) is None


@pytest.mark.usefixtures("demo_open")
def test_a_demo_user_who_is_locked_out_is_out(newcomer: Browser) -> None:
    accounts.set_active(user=User.objects.get(user_id=seed.DEMO_USER_ID), is_active=False)

    answer = newcomer.post("/signin/demo/")

    assert answer.status_code == 403
    assert "The demo user is locked out" in answer.content.decode()
    assert signed_in_as(newcomer) is None


@pytest.mark.parametrize("leaves", [False, True], ids=["was never there", "had left"])
def test_a_demo_user_who_is_not_there_is_made(newcomer: Browser, settings: Any, leaves: bool) -> None:
    """With everything, however often they leave: the tour ends nowhere."""
    settings.DEMO_SIGN_IN = True
    for _ in range(9 if leaves else 0):  # more often than 50 credits would pay for
        seed.seed_demo()
        services.leave(user=User.objects.get(user_id=seed.DEMO_USER_ID))

    assert newcomer.post("/signin/demo/").status_code == 302

    assert signed_in_as(newcomer) == seed.DEMO_USER_ID
    member = User.objects.get(user_id=seed.DEMO_USER_ID)
    assert (member.username, member.deleted_at) == ("Demo User", None)
    assert storage_of(member).project_count == 8
    assert position_of(member).spendable == 43


def test_a_demo_user_who_left_while_locked_out_stays_out(newcomer: Browser, settings: Any) -> None:
    settings.DEMO_SIGN_IN = True
    seed.seed_demo()
    member = User.objects.get(user_id=seed.DEMO_USER_ID)
    accounts.set_active(user=member, is_active=False)
    services.leave(user=member)

    assert newcomer.post("/signin/demo/").status_code == 403

    assert signed_in_as(newcomer) is None
    member.refresh_from_db()
    assert member.deleted_at is not None


def test_where_there_is_no_room_for_the_demonstration_there_is_no_demo_user(newcomer: Browser, settings: Any) -> None:
    settings.DEMO_SIGN_IN, settings.MAX_PROJECTS_PER_USER = True, 7

    answer = newcomer.post("/signin/demo/")

    assert answer.status_code == 403
    assert "UNIFIED_MAX_PROJECTS" in answer.content.decode()


def test_where_it_is_closed_it_does_not_exist(newcomer: Browser) -> None:
    seed.seed_demo()

    assert newcomer.post("/signin/demo/").status_code == 404
    page = newcomer.get(SIGN_IN).content.decode()
    assert "demo" not in page
    assert signed_in_as(newcomer) is None
