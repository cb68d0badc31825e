"""
Two at once, in real threads on real connections: of two who bring the same code or refresh token exactly one wins, and
what it won is dead; of many first sign-ins one makes the person.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from social_django.models import UserSocialAuth

from accounts import services as accounts
from accounts.models import App, AuditEntry, SpentCode, User
from credits.models import Account, LedgerEntry
from tests.concurrency.crowd import background, held, together, waiting_for_a_lock
from tests.conftest import make_user
from tests.sso.conftest import browser_of, register
from tests.sso.flow import Google, RelyingParty, calls_api, sign_in_with, signed_in_as, way_to_complete
from workspace.models import Storage

pytestmark = pytest.mark.usefixtures("committed_db", "within_a_minute")
THE_PERSON = "SELECT 1 FROM accounts_user WHERE id = %s FOR UPDATE"


@pytest.fixture
def alice(committed_db: None) -> User:
    return make_user("alice")


@pytest.fixture
def by_penora(committed_db: None) -> RelyingParty:
    return register(App.objects.get(slug="penora"))


def assert_nothing_is_alive() -> None:
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


@pytest.mark.parametrize("n", [2, 8])
def test_of_exchanges_of_one_code_at_once_one_wins_and_its_tokens_are_dead(
    alice: User, by_penora: RelyingParty, n: int
) -> None:
    """
    Seen red with both locks taken out of `validate_code`: who loses has to wait until the winner's mark is there.
    """
    code = by_penora.code_from(browser_of(alice))

    answers = together(n, lambda _: by_penora.exchanges(code))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (n - 1)
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert calls_api(won["access_token"]).status_code == 401
    assert by_penora.refreshes(won["refresh_token"]).status_code == 400
    assert_nothing_is_alive()
    assert SpentCode.objects.count() == 1
    assert AuditEntry.objects.filter(event="code-replayed").count() == 1  # the others find nothing left to end


@pytest.mark.parametrize("n", [2, 8])
def test_of_uses_of_one_refresh_token_at_once_one_wins_and_the_family_is_dead(
    alice: User, by_penora: RelyingParty, n: int
) -> None:
    """Seen red with `validate_refresh_token` taken out, and its lock with it."""
    tokens = by_penora.signs_in(browser_of(alice))

    answers = together(n, lambda _: by_penora.refreshes(tokens["refresh_token"]))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (n - 1)
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert calls_api(won["access_token"]).status_code == 401
    assert by_penora.refreshes(won["refresh_token"]).status_code == 400
    assert_nothing_is_alive()
    assert AuditEntry.objects.filter(event="token-reused").count() == 1  # the others find nothing left to end


@pytest.mark.parametrize("kind", ["code", "refresh token"])
def test_who_is_locked_out_while_tokens_are_made_has_none_afterwards(
    alice: User, by_penora: RelyingParty, kind: str
) -> None:
    """Both lock the person's row: the exchange that waits for staff finds the person locked out."""
    browser = browser_of(alice)
    code = by_penora.code_from(browser)
    refresh_token = by_penora.signs_in(browser)["refresh_token"]

    def exchange() -> Any:
        return by_penora.exchanges(code) if kind == "code" else by_penora.refreshes(refresh_token)

    with background() as start, held(THE_PERSON, alice.pk) as release:
        locking = start(lambda: accounts.set_active(user=alice, is_active=False))
        waiting_for_a_lock(1)
        exchanging = start(exchange)
        waiting_for_a_lock(2)
        release()
    locking.result()

    assert exchanging.result().status_code == 400
    assert_nothing_is_alive()


def test_who_signs_out_while_tokens_are_made_has_none_afterwards(alice: User, by_penora: RelyingParty) -> None:
    refresh_token = by_penora.signs_in(browser_of(alice))["refresh_token"]

    with background() as start, held(THE_PERSON, alice.pk) as release:
        leaving = start(lambda: accounts.sign_out(user=alice))
        waiting_for_a_lock(1)
        refreshing = start(lambda: by_penora.refreshes(refresh_token))
        waiting_for_a_lock(2)
        release()
    leaving.result()

    assert refreshing.result().status_code == 400
    assert_nothing_is_alive()


def test_twenty_four_first_sign_ins_at_once_make_one_user_with_one_welcome(google: Google) -> None:
    browsers = [Browser() for _ in range(24)]
    ways = [way_to_complete(google, browser, "crowd") for browser in browsers]

    answers = together(24, lambda index: browsers[index].get(ways[index]))

    assert {getattr(answer, "status_code", answer) for answer in answers} == {302}
    user = User.objects.get()
    assert [(entry.source, entry.amount) for entry in LedgerEntry.objects.all()] == [("signup", 50)]
    assert (Account.objects.count(), Storage.objects.count(), UserSocialAuth.objects.count()) == (1, 1, 1)
    assert UserSocialAuth.objects.get().user_id == user.pk
    assert {signed_in_as(browser) for browser in browsers} == {"crowd"}
    assert AuditEntry.objects.filter(event="signed-in", subject=user).count() == 24


def test_one_person_signs_in_while_an_app_makes_them(google: Google) -> None:
    from unified import services

    browser = Browser()
    way = way_to_complete(google, browser, "both")
    deeds = [
        lambda: browser.get(way).status_code,
        lambda: services.create_member(user_id="both", username="B", email="", initial_credits=50)[0].pk,
    ]

    answers = together(2, lambda index: deeds[index]())

    assert answers == [302, User.objects.get().pk]
    assert LedgerEntry.objects.count() == 1


def test_a_form_of_the_admin_does_not_bring_ended_sessions_back(alice: User) -> None:
    """
    Seen before it wrote only what was changed: a form that was being saved while the person was cut off put the count
    of their sessions back, and those that had ended were good again.
    """
    root = User.objects.create_superuser(user_id="root", username="R", email="r@example.com", password=None)
    staff, alices = browser_of(root), browser_of(alice)
    staff.get("/admin/")
    form = {"username": "Renamed", "email": "alice@example.com", "is_active": "on", "reason": "A new name"}
    epoch = "SELECT 1 FROM accounts_user WHERE id = %s FOR UPDATE"

    with background() as start, held(epoch, alice.pk) as release:
        cutting = start(lambda: accounts.cut_off(user=alice))
        waiting_for_a_lock(1)
        saving = start(lambda: staff.post(f"/admin/accounts/user/{alice.pk}/change/", form))
        waiting_for_a_lock(2)
        release()
    cutting.result()

    assert saving.result().status_code == 302
    assert User.objects.get(pk=alice.pk).username == "Renamed"
    assert User.objects.get(pk=alice.pk).session_epoch == 1
    assert signed_in_as(alices) is None


def test_a_sign_in_answers_while_others_wait_for_the_provider(google: Google) -> None:
    """No transaction is open while the provider is asked: nobody's row is locked for as long as it takes."""
    sign_in_with(google, Browser(), "alice")
    seen: list[bool] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state = 'idle in transaction' AND clock_timestamp() - state_change > interval '200 ms'"
                )
                seen.append(cursor.fetchone()[0] > 0)

    with background() as start:
        watching = start(watch)
        for _ in range(5):
            sign_in_with(google, Browser(), "alice")
        done.set()
        watching.result()

    assert seen
    assert not any(seen)
