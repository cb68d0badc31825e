"""In: what the identity provider says of a person, and what somebody else would like it to have said."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from social_django.models import UserSocialAuth

from accounts import services as accounts
from accounts.models import AuditEntry, User
from credits.models import LedgerEntry
from tests.conftest import make_user
from tests.sso.conftest import PASSWORD, browser_of
from tests.sso.flow import BEGIN, COMPLETE, SIGN_IN, Google, query_of, sign_in_with, signed_in_as, way_to_complete

pytestmark = pytest.mark.django_db
VICTIM = "victim@example.com"


def events(user: User) -> list[tuple[str, str]]:
    """What the audit has of the person's sign-ins: what happened, and how or why."""
    return [
        (entry.event, entry.details.get("method") or entry.details.get("reason", ""))
        for entry in AuditEntry.objects.filter(subject=user).order_by("id")
    ]


def assert_refused(answer: Any, status: int, title: str) -> None:
    """A page of ours that says why not."""
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert title in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]


# --- who a person is -------------------------------------------------------------------------------------------------


def test_who_comes_for_the_first_time_is_made_under_their_sub_with_a_welcome_grant(
    google: Google, newcomer: Browser
) -> None:
    google.knows("sub-1", name="Ada", email="ada@example.com")

    answer = sign_in_with(google, newcomer, "sub-1")

    assert (answer.status_code, answer["Location"]) == (302, "/")
    user = User.objects.get()
    assert (user.user_id, user.username, user.email, user.has_usable_password()) == (
        *("sub-1", "Ada", "ada@example.com"),
        False,
    )
    assert (user.is_staff, user.is_superuser) == (False, False)
    assert [(entry.source, entry.amount) for entry in LedgerEntry.objects.filter(account__user=user)] == [
        ("signup", 50)
    ]
    assert signed_in_as(newcomer) == "sub-1"
    assert events(user) == [("signed-in", "google")]


def test_who_comes_again_is_the_same_and_is_given_nothing_more(google: Google, newcomer: Browser) -> None:
    google.knows("sub-1")
    sign_in_with(google, newcomer, "sub-1")
    google.knows("sub-1", name="Changed", email="changed@example.com")

    sign_in_with(google, Browser(), "sub-1")

    user = User.objects.get()
    assert (user.username, user.email) == ("sub-1", "")
    assert LedgerEntry.objects.filter(account__user=user).count() == 1
    assert UserSocialAuth.objects.values_list("uid", "user__user_id").get() == ("sub-1", "sub-1")
    assert events(user) == [("signed-in", "google")] * 2


def test_whom_an_app_made_before_is_found_by_their_sub_and_left_as_they_are(
    google: Google, newcomer: Browser, alice: User
) -> None:
    google.knows("alice", name="Another Name", email="another@example.com")

    sign_in_with(google, newcomer, "alice")

    assert signed_in_as(newcomer) == "alice"
    assert (User.objects.get().username, User.objects.get().email) == ("Alice", "alice@example.com")
    assert LedgerEntry.objects.count() == 1


# --- matched by what is not the sub: CVE-2025-61783, CVE-2024-32879, netbox#14946, mastodon GHSA-vm39-j3vx-pch3 -------


@pytest.mark.parametrize("verified", [True, False, None])
def test_an_equal_email_makes_a_separate_user(
    google: Google, newcomer: Browser, admin: User, verified: bool | None
) -> None:
    """
    CVE-2025-61783 and social-app-django#634: creating the user failed on a name or e-mail that was taken, and whoever
    had it was signed in instead. mastodon GHSA-vm39-j3vx-pch3: a new identity was attached to the account with its
    e-mail, which the person can change at some providers.
    """
    User.objects.filter(pk=admin.pk).update(email=VICTIM)
    google.knows("attacker", name=admin.username, preferred_username="admin", email=VICTIM, email_verified=verified)

    sign_in_with(google, newcomer, "attacker")

    assert signed_in_as(newcomer) == "attacker"
    assert sorted(User.objects.values_list("user_id", "email", "is_staff")) == [
        ("admin", VICTIM, True),
        ("attacker", VICTIM, False),
    ]
    assert UserSocialAuth.objects.get().user.user_id == "attacker"
    assert events(admin) == []


def test_an_email_that_has_become_somebody_elses_opens_nothing_of_theirs(google: Google, newcomer: Browser) -> None:
    """The same for who was here before: mastodon's attacker changed the e-mail afterwards."""
    google.knows("attacker", email="me@example.com")
    sign_in_with(google, Browser(), "attacker")
    make_user("victim")
    google.knows("attacker", email="victim@example.com")

    sign_in_with(google, newcomer, "attacker")

    assert signed_in_as(newcomer) == "attacker"
    assert User.objects.get(user_id="attacker").email == "me@example.com"


@pytest.mark.parametrize("mine", ["Alice", "ALICE", "alice ", " alice", "ａlice", "alicé", "alice\u200b"])
def test_subs_that_are_nearly_the_same_are_different_people(
    google: Google, newcomer: Browser, alice: User, mine: str
) -> None:
    """CVE-2024-32879: subs were compared without regard to case, so other letters were somebody else's account."""
    sign_in_with(google, Browser(), "alice")

    sign_in_with(google, newcomer, mine)

    assert signed_in_as(newcomer) == mine
    assert set(User.objects.values_list("user_id", flat=True)) == {"alice", mine}
    assert set(UserSocialAuth.objects.values_list("uid", "user__user_id")) == {("alice", "alice"), (mine, mine)}


def test_the_claims_that_an_issuer_calls_names_are_never_looked_up(google: Google, newcomer: Browser) -> None:
    """netbox#14946, as the note has it among those that matched people by something else than the sub."""
    make_user("victim")
    google.knows(
        "attacker", preferred_username="victim", name="victim", nickname="victim", id="victim", user_id="victim"
    )

    sign_in_with(google, newcomer, "attacker")

    assert signed_in_as(newcomer) == "attacker"


# --- accounts that have a password -----------------------------------------------------------------------------------


def test_an_account_with_a_password_is_not_opened_by_a_sub_of_the_same_text(
    google: Google, newcomer: Browser, admin: User
) -> None:
    """Seen with the check taken out of `find_member`: the stranger was the superuser."""
    answer = sign_in_with(google, newcomer, "admin")

    assert_refused(answer, 403, "This account signs in with a password")
    assert signed_in_as(newcomer) is None
    assert not UserSocialAuth.objects.exists()
    assert events(admin) == [("sign-in-refused", "authentication_disallowed")]


def test_neither_once_they_have_been_given_one(google: Google, newcomer: Browser) -> None:
    sign_in_with(google, Browser(), "sub-1")
    user = User.objects.get()
    user.set_password(PASSWORD)
    user.save()

    answer = sign_in_with(google, newcomer, "sub-1")

    assert_refused(answer, 403, "This account signs in with a password")
    assert signed_in_as(newcomer) is None


# --- signed in as somebody else --------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_signed_in_as_one_a_google_account_of_another_is_refused_and_linked_to_nobody(
    google: Google, alices: Browser, alice: User, known: bool
) -> None:
    """Seen with the step taken out of the pipeline: the account was Alice's from then on, and opened hers."""
    if known:
        sign_in_with(google, Browser(), "carol")
    before = list(UserSocialAuth.objects.values_list("uid", "user__user_id"))

    answer = sign_in_with(google, alices, "carol")

    assert_refused(answer, 409, "You are signed in as somebody else")
    assert 'action="/signin/out/"' in answer.content.decode()
    assert signed_in_as(alices) == "alice"
    assert list(UserSocialAuth.objects.values_list("uid", "user__user_id")) == before
    assert User.objects.filter(user_id="carol").exists() is known
    assert events(alice) == [("sign-in-refused", "identity_in_use")]


def test_signed_in_as_one_their_own_google_account_is_welcome(google: Google, alices: Browser) -> None:
    assert sign_in_with(google, alices, "alice").status_code == 302
    assert signed_in_as(alices) == "alice"


# --- who is locked out, or has left ----------------------------------------------------------------------------------


def test_who_is_locked_out_ends_on_a_page_and_not_in_a_circle(google: Google, newcomer: Browser, alice: User) -> None:
    accounts.set_active(user=alice, is_active=False)

    answer = sign_in_with(google, newcomer, "alice", onwards="/o/authorize/?client_id=x")

    seen = []
    while answer.status_code == 302 and len(seen) < 5:
        seen.append(answer["Location"])
        answer = newcomer.get(answer["Location"])
    assert_refused(answer, 403, "This account is switched off")
    assert len(seen) == 1
    assert signed_in_as(newcomer) is None


def test_who_had_left_and_comes_back_is_the_same_person_with_a_new_name(
    google: Google, newcomer: Browser, alice: User
) -> None:
    from unified import services

    services.delete_member(user=alice)
    google.knows("alice", name="Zeb", email="zeb@example.com")

    sign_in_with(google, newcomer, "alice")

    back = User.objects.get()
    assert (back.pk, back.username, back.email, back.deleted_at) == (alice.pk, "Zeb", "zeb@example.com", None)
    assert LedgerEntry.objects.count() == 1


# --- login CSRF and what goes round it -------------------------------------------------------------------------------


def test_a_sign_in_begins_with_a_form_of_ours_only(google: Google) -> None:
    strict = Browser(enforce_csrf_checks=True)

    assert strict.post(BEGIN).status_code == 403
    assert strict.get(BEGIN).status_code == 405
    strict.get(SIGN_IN)
    token = {"csrfmiddlewaretoken": strict.cookies["csrftoken"].value}
    assert strict.post(BEGIN, token, headers={"Origin": "https://evil.example"}).status_code == 403
    begun = strict.post(BEGIN, token)
    assert begun["Location"].startswith(f"{google.issuer}/oauth2/authorize?")


def test_the_attackers_code_and_state_do_nothing_in_the_victims_browser(
    google: Google, newcomer: Browser, alices: Browser
) -> None:
    """
    Vikunja CVE-2026-123495, login CSRF at the callback: the victim is made to open the address that the attacker was
    sent back to, and goes on as the attacker.
    """
    address = way_to_complete(google, Browser(), "attacker")

    for victims in (newcomer, alices):
        assert_refused(victims.get(address), 403, "This sign-in cannot go on")
        assert victims.post(COMPLETE, query_of(address)).status_code == 403

    assert signed_in_as(newcomer) is None
    assert signed_in_as(alices) == "alice"
    assert not User.objects.filter(user_id="attacker").exists()


def test_neither_does_the_attackers_code_with_the_victims_state(google: Google, newcomer: Browser) -> None:
    """The nonce of the victim's own beginning is not in the attacker's ID token."""
    theirs = query_of(way_to_complete(google, Browser(), "attacker"))
    mine = query_of(way_to_complete(google, newcomer, "victim"))

    answer = newcomer.get(COMPLETE, {"state": mine["state"], "code": theirs["code"]})

    assert_refused(answer, 403, "You could not be signed in")
    assert signed_in_as(newcomer) is None
    assert not User.objects.exists()


def test_an_answer_of_the_provider_is_taken_once(google: Google, newcomer: Browser) -> None:
    address = way_to_complete(google, newcomer, "sub-1")
    assert newcomer.get(address).status_code == 302
    newcomer.post("/signin/out/")

    assert newcomer.get(address).status_code in {403, 502}
    assert signed_in_as(newcomer) is None


def test_the_session_has_another_key_after_signing_in_and_the_old_one_opens_nothing(
    google: Google, newcomer: Browser
) -> None:
    """Session fixation: whoever has put a session of theirs into the victim's browser must not be in with them."""
    address = way_to_complete(google, newcomer, "sub-1")
    before = newcomer.cookies["sessionid"].value

    newcomer.get(address)

    assert newcomer.cookies["sessionid"].value != before
    fixed = Browser()
    fixed.cookies["sessionid"] = before
    assert signed_in_as(fixed) is None
    assert signed_in_as(newcomer) == "sub-1"


# --- what the provider says instead ----------------------------------------------------------------------------------


def test_who_declines_at_the_provider_is_told_so(google: Google, newcomer: Browser) -> None:
    begun = newcomer.post(BEGIN)
    state = query_of(begun["Location"])["state"]

    answer = newcomer.get(COMPLETE, {"error": "access_denied", "state": state})

    assert answer.status_code in {400, 403}
    assert "Back to sign-in" in answer.content.decode()
    assert signed_in_as(newcomer) is None


@pytest.mark.parametrize("sub", ["a\x00b", "line\nbreak", "x" * 256, "\x85"])
def test_a_sub_that_cannot_be_a_user_id_is_refused_before_it_is_looked_up(
    google: Google, newcomer: Browser, sub: str
) -> None:
    """Seen before `refuse_another_account` asked: a NUL in the sub was a 500, out of the library's own look-up."""
    assert_refused(sign_in_with(google, newcomer, sub), 502, "You could not be signed in")
    assert not User.objects.exists()
    assert not UserSocialAuth.objects.exists()


@pytest.mark.parametrize(
    ("claims", "username", "email"),
    [
        ({"email": 5}, "sub-1", ""),
        ({"email": ["@"]}, "sub-1", ""),
        ({"email": {"@": 1}}, "sub-1", ""),
        ({"email": True, "name": True}, "sub-1", ""),
        ({"email": "no address"}, "sub-1", ""),
        ({"email": "a" * 300 + "@example.com"}, "sub-1", ""),
        ({"email": "ada@example.com"}, "ada", "ada@example.com"),
        ({"name": 5, "preferred_username": ["x"]}, "sub-1", ""),
        ({"name": "\u0000Ada\u0007"}, "Ada", ""),
        ({"name": "x" * 5_000}, "x" * 255, ""),
        ({"name": " \u0000 ", "preferred_username": "ada.b"}, "ada.b", ""),
        ({"name": "<script>alert(1)</script>"}, "<script>alert(1)</script>", ""),
    ],
)
def test_odd_claims_are_left_out_and_nobody_is_kept_from_signing_in(
    google: Google, newcomer: Browser, claims: dict[str, Any], username: str, email: str
) -> None:
    """Seen before `_email` looked at the type: an e-mail that is no text was a 500."""
    google.knows("sub-1", **claims)

    assert sign_in_with(google, newcomer, "sub-1").status_code == 302

    user = User.objects.get()
    assert (user.username, user.email) == (username, email)
    assert "<script>alert" not in newcomer.get("/").content.decode()


def test_a_provider_that_is_not_there_is_told_on_a_page(google: Google, newcomer: Browser, settings: Any) -> None:
    from tests.quickstart.service import free_port

    settings.SOCIAL_AUTH_GOOGLE_OIDC_ENDPOINT = f"http://127.0.0.1:{free_port()}"

    assert_refused(newcomer.post(BEGIN), 503, "The sign-in service does not answer")


def test_there_are_no_other_ways_in_and_no_way_to_link_or_unlink(alices: Browser, google: Google) -> None:
    for path in (
        *("/signin/begin/google-oauth2/", "/signin/begin/oidc/", "/signin/complete/oidc/"),
        *("/signin/disconnect/google/", "/signin/launch/google/", "/signin/idp-launch/google/"),
    ):
        assert alices.post(path).status_code == 404, path


# --- what is kept of it ----------------------------------------------------------------------------------------------


def test_the_providers_tokens_are_stored_nowhere(google: Google, newcomer: Browser) -> None:
    """
    With the library's own pipeline they were in `extra_data`, in the clear. What the code is exchanged for goes from
    process to process; that nothing of it is kept is seen in every column of every table, by its form and by its text.
    """
    begun = newcomer.post(BEGIN)
    address = google.way_back(begun["Location"], "sub-1")
    code = query_of(address)["code"]
    newcomer.get(address)

    kept = everything_in_the_database()
    assert "sub-1" in kept
    assert UserSocialAuth.objects.get().extra_data == {}
    session = str(newcomer.session.items())
    for text in (code, query_of(begun["Location"])["nonce"], "eyJ", "access_token", "refresh_token", "id_token"):
        columns = [line for line in kept.splitlines() if text in line]
        assert not [
            line for line in columns if not line.startswith(("django_migrations", "django_content", "auth_perm"))
        ]
        assert text not in session, text


def everything_in_the_database() -> str:
    """Each row of each table as text, after the name of its table. (Sessions are decoded elsewhere.)"""
    lines = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            lines += [f"{table} {row}" for (row,) in cursor.fetchall()]
    return "\n".join(lines)


def test_both_backends_sessions_end_with_the_person(google: Google, newcomer: Browser, alice: User) -> None:
    """(social-auth-app-django 8 asks for it as well, so this stays green without `get_user`.)"""
    sign_in_with(google, newcomer, "alice")
    forced = browser_of(alice)

    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert signed_in_as(newcomer) is None
    assert signed_in_as(forced) is None
