"""Where people are sent: to addresses of ours, and to exactly those that an app has registered."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser
from oauth2_provider.models import get_grant_model

from accounts.models import User
from tests.sso.conftest import PASSWORD
from tests.sso.flow import AUTHORIZE, BEGIN, LOGOUT, SIGN_IN, Google, RelyingParty, query_of, sign_in_with

pytestmark = pytest.mark.django_db
ELSEWHERE = [
    *("https://evil.example", "//evil.example", "///evil.example", "////evil.example", "http:evil.example"),
    *(r"\\evil.example", r"/\evil.example", r"\/evil.example", r"https:\\evil.example", "https:/evil.example"),
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd"),
    *(
        " https://evil.example",
        "\thttps://evil.example",
        "https://testserver@evil.example",
        "https://testserver.evil.example",
    ),
    *(
        "http://testserver:80@evil.example/",
        "http://testserver\\@evil.example",
        "http://[::1",
        "/\t/evil.example",
        "/\n/evil.example",
    ),
    *("https://evil.example\\.testserver", "ftp://testserver/", "//testserver@evil.example", "https:///evil.example"),
]
every_address_elsewhere = pytest.mark.parametrize("address", ELSEWHERE)


def assert_stays_here(location: str) -> None:
    parts = urlsplit(location.replace("\\", "/"))
    assert (parts.scheme, parts.netloc) in {("", ""), ("http", "testserver")}, location
    assert not location.startswith("//"), location


# --- `next` ----------------------------------------------------------------------------------------------------------


@every_address_elsewhere
def test_who_is_signed_in_goes_nowhere_else(alices: Browser, address: str) -> None:
    answer = alices.get(SIGN_IN, {"next": address})

    assert answer.status_code in {302, 400}
    assert_stays_here(answer.get("Location", "/"))


@every_address_elsewhere
def test_who_signs_in_with_a_password_goes_nowhere_else(newcomer: Browser, alice: User, address: str) -> None:
    """A fast password of hers, so that all addresses can be tried."""
    from django.contrib.auth.hashers import make_password

    User.objects.filter(pk=alice.pk).update(password=make_password(PASSWORD, hasher="sha256_random"), is_staff=True)

    answer = newcomer.post(SIGN_IN, {"username": "alice", "password": PASSWORD, "next": address})

    assert answer.status_code in {302, 400}
    assert_stays_here(answer.get("Location", "/"))


@pytest.mark.parametrize("address", ELSEWHERE[::3])
def test_who_signs_in_with_google_goes_nowhere_else(google: Google, newcomer: Browser, address: str) -> None:
    answer = sign_in_with(google, newcomer, "sub-1", onwards=address)

    assert answer.status_code == 302
    assert_stays_here(answer["Location"])


@pytest.mark.parametrize("address", ELSEWHERE[::4])
def test_neither_by_a_next_that_was_added_on_the_way_back(google: Google, newcomer: Browser, address: str) -> None:
    begun = newcomer.post(BEGIN)
    way = google.way_back(begun["Location"], "sub-1")
    path, _, query = way.partition("?")

    answer = newcomer.get(path, {**query_of(f"/?{query}"), "next": address})

    assert answer.status_code == 302
    assert_stays_here(answer["Location"])


@every_address_elsewhere
def test_the_page_leads_nowhere_else(newcomer: Browser, address: str) -> None:
    page = newcomer.get(SIGN_IN, {"next": address})

    if page.status_code == 200:
        assert "evil" not in page.content.decode()
        assert "alert(1)" not in page.content.decode()


@pytest.mark.parametrize("address", ELSEWHERE[::4])
def test_who_signs_out_goes_nowhere_else(alices: Browser, address: str) -> None:
    answer = alices.post("/signin/out/", {"next": address})

    assert answer.status_code in {302, 400}
    assert_stays_here(answer.get("Location", "/"))
    assert "evil" not in answer.get("Location", "")


@pytest.mark.parametrize("word", ["foo", "home", "signout", "logout", "?x", "#x"])
@pytest.mark.parametrize("way", ["get", "password", "demo", "out"])
def test_a_next_of_one_word_is_an_address_and_no_page_of_that_name(
    alices: Browser, newcomer: Browser, alice: User, settings: object, way: str, word: str
) -> None:
    """Seen before: Django's `redirect` looked for a page called foo, found none, and that was a 500."""
    from django.contrib.auth.hashers import make_password

    from unified import seed

    if way == "demo":
        settings.DEMO_SIGN_IN = True  # type: ignore[attr-defined]
        seed.seed_demo()
    if way == "password":
        User.objects.filter(pk=alice.pk).update(password=make_password(PASSWORD, hasher="sha256_random"), is_staff=True)
    answer = {
        "get": lambda: alices.get(SIGN_IN, {"next": word}),
        "password": lambda: newcomer.post(SIGN_IN, {"username": "alice", "password": PASSWORD, "next": word}),
        "demo": lambda: newcomer.post("/signin/demo/", {"next": word}),
        "out": lambda: alices.post("/signin/out/", {"next": word}),
    }[way]()

    assert answer.status_code == 302
    assert_stays_here(answer["Location"])


def test_a_next_of_ours_is_followed(alices: Browser, by_penora: RelyingParty) -> None:
    wanted = "/o/authorize/?client_id=x&state=a%26b"

    assert alices.get(SIGN_IN, {"next": wanted})["Location"] == wanted


# --- `redirect_uri` --------------------------------------------------------------------------------------------------

VARIANTS = [
    *("https://penora.example/callback/", "https://penora.example/callback/more", "https://penora.example/"),
    *("https://penora.example/Callback", "https://PENORA.example/callback2", "https://penora.example/callback/../x"),
    *(
        "https://penora.example/callback?x=1",
        "https://penora.example/callback?",
        "https://penora.example/callback?code=x",
    ),
    *("https://penora.example/callback#x", "https://penora.example/callback#", "https://penora.example/callback%23"),
    *(
        "https://penora.example:8443/callback",
        "https://penora.example:443x/callback",
        "https://penora.example:/callback/",
    ),
    *(
        "https://a.penora.example/callback",
        "https://penora.example.evil.example/callback",
        "https://penora.exampl/callback",
    ),
    *(
        "https://user@penora.example/callback",
        "https://user:pw@penora.example/callback",
        "https://@penora.example/callback",
    ),
    *("https://evil.example@penora.example/callback", "https://penora.example@evil.example/callback"),
    *(
        "http://penora.example/callback",
        "ftp://penora.example/callback",
        "penora://callback",
        "//penora.example/callback",
    ),
    *(
        "https://penora.example\\callback",
        "https://penora.example\\@evil.example/callback",
        "https:penora.example/callback",
    ),
    *("https://penora.example/callback;x", "https://penora.example/./callback", "https://penora.example//callback"),
    *("https://penora.example/%63allback", "https://penora.example./callback", " https://evil.example/ "),
    *(
        "javascript:alert(1)",
        "data:text/html,x",
        "/callback",
        "callback",
        "https://",
        "http://[",
        "http://[::1",
        "*",
        "null",
    ),
    *("https://penora.example/callback https://evil.example/", "https://evil.example/ https://penora.example/callback"),
    *("https://xn--penor-ova.example/callback", "https://penorа.example/callback", "https://penora。example/callback"),
]


@pytest.mark.parametrize("address", VARIANTS)
def test_nearly_the_registered_address_is_another_one(
    alices: Browser, newcomer: Browser, by_penora: RelyingParty, address: str
) -> None:
    """A page of ours, for whoever is signed in; for whoever is not, no more than our sign-in page."""
    answer = by_penora.asks(alices, redirect_uri=address)

    assert answer.status_code == 400, answer.get("Location")
    assert "Location" not in answer
    assert not get_grant_model().objects.exists()
    for prompt in (None, "none", "login", "create"):
        answer = by_penora.asks(newcomer, redirect_uri=address, prompt=prompt)
        assert_stays_here(answer.get("Location", "/"))


@pytest.mark.parametrize("address", [*VARIANTS, ""])
def test_neither_does_the_consent_form_send_anybody_there(
    alices: Browser, by_stranger: RelyingParty, address: str
) -> None:
    """
    Its hidden fields are the browser's to send. Seen with `form_valid` taken out: who denied was sent wherever the
    form said, and `http://[` was a 500.
    """
    address = address.replace("penora", "stranger")
    for answer_given in ({"allow": "on"}, {}):
        form = {**by_stranger.question(), "redirect_uri": address, **answer_given}
        answer = alices.post(AUTHORIZE, form)
        assert answer.status_code == 400
        assert "Location" not in answer
    assert not get_grant_model().objects.exists()


@pytest.mark.parametrize(
    "changes", [{"client_id": "nobody"}, {"client_id": ""}, {"scope": "nonsense"}, {"state": "x" * 9_000}]
)
def test_a_consent_form_with_anything_else_wrong_leads_to_the_app_at_most(
    alices: Browser, by_stranger: RelyingParty, changes: dict[str, str]
) -> None:
    answer = alices.post(AUTHORIZE, {**by_stranger.question(), "allow": "on", **changes})

    assert answer.status_code in {302, 400}
    assert answer.get("Location", by_stranger.redirect_uri).startswith(by_stranger.redirect_uri)
    assert "code=" not in answer.get("Location", "")


def test_an_app_with_two_addresses_has_to_say_which(alices: Browser, by_penora: RelyingParty) -> None:
    by_penora.client.redirect_uris += " https://penora.example/other"
    by_penora.client.save()

    assert by_penora.asks(alices, redirect_uri=None).status_code == 400
    assert "code=" in by_penora.asks(alices, redirect_uri="https://penora.example/other")["Location"]


def test_a_repeated_address_is_a_mistake(alices: Browser, by_penora: RelyingParty) -> None:
    for order in (["https://evil.example/", by_penora.redirect_uri], [by_penora.redirect_uri, "https://evil.example/"]):
        answer = by_penora.asks(alices, redirect_uri=order)
        assert (answer.status_code, "Location" in answer) == (400, False)


# --- `post_logout_redirect_uri` --------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*VARIANTS, *ELSEWHERE])
@pytest.mark.parametrize("signed_in", [True, False])
def test_who_leaves_is_sent_to_the_registered_address_only(
    alices: Browser, newcomer: Browser, by_penora: RelyingParty, address: str, signed_in: bool
) -> None:
    """Seen before: `http://[` and a port that is no number were 500s."""
    address = address.replace("callback", "goodbye")
    sent = {"client_id": by_penora.client.client_id, "post_logout_redirect_uri": address}

    answer = (alices if signed_in else newcomer).get(LOGOUT, sent)

    assert answer.status_code == 400
    assert "Location" not in answer


def test_without_a_client_nobody_is_sent_anywhere(newcomer: Browser, by_penora: RelyingParty) -> None:
    answer = newcomer.get(LOGOUT, {"post_logout_redirect_uri": by_penora.goodbye})

    assert (answer.status_code, "Location" in answer) == (400, False)


def test_one_apps_goodbye_is_not_anothers(
    newcomer: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty
) -> None:
    sent = {"client_id": by_penora.client.client_id, "post_logout_redirect_uri": by_imagegene.goodbye}

    assert newcomer.get(LOGOUT, sent).status_code == 400
