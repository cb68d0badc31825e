"""Which pages of other origins may call: those that are registered, exactly, and never with a person's cookies."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client as Browser

from accounts.models import App, Client, User
from tests.api.callers import browser_of, key_of, register, signed_in
from tests.api.conftest import everything_of
from tests.client import ApiClient

ORIGIN = "https://penora.example"
ALLOWED = "Access-Control-Allow-Origin"
# Where a page of an app has something to ask.
OPEN = [
    "/api/unified/user-info",
    "/api/unified/save-project/",
    "/api/unified/projects/000000/content",
    "/api/unified/no-such-address",
    "/api/schema",
    "/o/token/",
    "/o/revoke_token/",
    "/o/userinfo/",
]
# Where a browser goes itself, with its cookies.
CLOSED = [
    "/",
    "/signin/",
    "/signin/out/",
    "/signin/demo/",
    "/signin/begin/google/",
    "/signin/complete/google/",
    "/admin/",
    "/admin/login/",
    "/admin/accounts/user/",
    "/o/authorize/",
    "/o/logout/",
    "/o/introspect/",
    "/healthz",
    "/readyz",
    "/favicon.ico",
]
STRANGERS = [
    "https://evil.example",
    "null",
    "",
    "*",
    "http://penora.example",
    "https://penora.example:8443",
    "https://penora.example:443",
    "https://penora.example/",
    "https://penora.example/page",
    "https://penora.example.evil.example",
    "https://evil-penora.example",
    "https://www.penora.example",
    "https://penora.exampl",
    "https://penora.example@evil.example",
    "https://evil.example#https://penora.example",
    "https://evil.example/https://penora.example",
    "https://PENORA.example",
    "HTTPS://penora.example",
    "penora.example",
    "//penora.example",
    "https://penora.example https://evil.example",
    "https://penora.example,https://evil.example",
    " https://penora.example.evil",
    "https://penora.example\\.evil.example",
    "https://[",
    "https://p\u0435nora.example".encode().decode("latin-1"),
]


@pytest.fixture
def registered(penora: App) -> Client:
    return register(penora, allowed_origins=[ORIGIN, "http://127.0.0.1:8300"]).client


def preflight(path: str, origin: str = ORIGIN, **headers: str) -> Any:
    """What a browser asks before a page's own call."""
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    return Browser().options(path, headers={**asked, **headers})


def call(path: str, origin: str = ORIGIN, *, browser: Browser | None = None, **headers: str) -> Any:
    return (browser or Browser()).get(path, headers={"Origin": origin, **headers})


def granted(answer: Any) -> set[str]:
    """Which of the headers of CORS an answer has."""
    return {name for name in answer.headers if name.lower().startswith("access-control-")}


@pytest.mark.parametrize("path", OPEN)
def test_a_page_of_a_registered_origin_may_call(path: str, registered: Client) -> None:
    for origin in (ORIGIN, "http://127.0.0.1:8300"):
        before = preflight(path, origin)
        assert before.status_code == 200
        assert before[ALLOWED] == origin
        assert "POST" in before["Access-Control-Allow-Methods"]
        wanted = {"authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "x-request-id"}
        assert wanted <= {name.strip() for name in before["Access-Control-Allow-Headers"].split(",")}
        answer = call(path, origin)
        assert answer[ALLOWED] == origin
        for one in (before, answer):
            assert "origin" in one["Vary"].lower()  # or a cache would hand it to another origin
            assert "Access-Control-Allow-Credentials" not in one


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", STRANGERS)
def test_a_page_of_any_other_origin_may_not(path: str, origin: str, registered: Client) -> None:
    for answer in (preflight(path, origin), call(path, origin)):
        assert granted(answer) == set()
        assert answer.status_code != 500


@pytest.mark.parametrize("path", CLOSED)
def test_the_pages_for_people_are_for_no_other_page(path: str, registered: Client, alice: User) -> None:
    """Nothing that works with the session may be read by, or asked for from, another origin."""
    browser = browser_of(alice)
    for answer in (preflight(path), call(path), call(path, browser=browser)):
        assert granted(answer) == set()


def test_refusals_can_be_read_by_the_page_too(registered: Client, alice: User, penora: App) -> None:
    """A page has to tell a token that has run out from a network that is down, and to know when to come again."""
    refused = call("/api/unified/user-info", Authorization="Bearer nonsense")
    found = call("/api/unified/user-info?user_id=alice", Authorization=f"Bearer {key_of(penora)}")
    missing = call("/api/unified/user-info?user_id=nobody", Authorization=f"Bearer {key_of(penora)}")

    assert [answer.status_code for answer in (refused, found, missing)] == [401, 200, 404]
    for answer in (refused, found, missing):
        assert answer[ALLOWED] == ORIGIN
        shown = {name.strip() for name in answer["Access-Control-Expose-Headers"].split(",")}
        assert {"X-Request-ID", "Idempotent-Replayed", "Retry-After", "ETag", "WWW-Authenticate"} <= shown


def test_a_page_has_no_more_rights_than_its_token_and_a_session_adds_none(registered: Client, alice: User) -> None:
    """CORS lets a page read an answer; who calls is still the credential's matter."""
    browser = browser_of(alice)
    before = everything_of(alice)

    for answer in (
        call("/api/unified/user-info?user_id=alice"),
        call("/api/unified/user-info?user_id=alice", browser=browser),
        browser.post(
            "/api/unified/deduct-credits",
            {"user_id": "alice", "amount": 1, "app_name": "penora", "description": "One"},
            content_type="application/json",
            headers={"Origin": ORIGIN},
        ),
    ):
        assert (answer.status_code, answer[ALLOWED]) == (401, ORIGIN)
    assert everything_of(alice) == before


def test_a_page_in_a_browser_signs_in_and_asks_who_it_is(penora: App, alice: User) -> None:
    """A client without a server: from the token endpoint to the API, all that it has to read can be read."""
    registered = register(penora)
    access = signed_in(alice, registered).access

    for path in ("/o/userinfo/", "/api/unified/user-info", "/api/unified/projects"):
        answer = call(path, Authorization=f"Bearer {access}")
        assert (answer.status_code, answer[ALLOWED]) == (200, ORIGIN)
    refused = Browser().post("/o/token/", {"grant_type": "authorization_code"}, headers={"Origin": ORIGIN})
    assert (refused.status_code in (400, 401), refused[ALLOWED]) == (True, ORIGIN)


@pytest.mark.parametrize("path", ["/o/.well-known/openid-configuration", "/o/.well-known/jwks.json"])
def test_what_is_public_anyway_any_page_may_read(path: str, registered: Client) -> None:
    for origin in (ORIGIN, "https://evil.example", "null"):
        answer = call(path, origin)
        assert answer[ALLOWED] in ("*", origin)
        assert "Access-Control-Allow-Credentials" not in answer


def test_an_app_that_is_switched_off_takes_its_origins_with_it(registered: Client, imagegene: App) -> None:
    other = register(imagegene)
    App.objects.filter(slug="penora").update(is_active=False)

    for path in OPEN:
        assert granted(preflight(path)) == granted(call(path)) == set()
        assert preflight(path, "https://imagegene.example")[ALLOWED] == other.client.allowed_origins
    App.objects.filter(slug="penora").update(is_active=True)
    assert preflight(OPEN[0])[ALLOWED] == ORIGIN


def test_an_origin_that_is_taken_away_is_so_at_once(registered: Client, penora: App) -> None:
    assert preflight(OPEN[0])[ALLOWED] == ORIGIN

    register(penora, allowed_origins=[])

    assert granted(preflight(OPEN[0])) == set()


def test_where_people_are_sent_back_to_is_not_thereby_an_origin_that_may_call(penora: App, db: None) -> None:
    registered = register(penora, allowed_origins=[])
    assert registered.redirect_uri == f"{ORIGIN}/callback"

    assert granted(preflight(OPEN[0])) == set()


def test_origins_of_the_settings_may_call_too(settings: Any, db: None) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://settings.example"]

    for path in OPEN:
        assert preflight(path, "https://settings.example")[ALLOWED] == "https://settings.example"
        assert call(path, "https://settings.example")[ALLOWED] == "https://settings.example"
    for origin in (
        "https://settings.example.evil.example",
        "http://settings.example",
        "null",
        "https://x.settings.example",
    ):
        assert granted(preflight(OPEN[0], origin)) == set()
    for path in CLOSED:
        assert granted(preflight(path, "https://settings.example")) == set()


@pytest.mark.parametrize(
    "origin", ["null", "*", "https://*", "https://*.example", "penora.example", "javascript:alert(1)"]
)
def test_what_is_no_origin_cannot_be_registered(origin: str, penora: App) -> None:
    with pytest.raises(ValidationError):
        register(penora, allowed_origins=[origin])
    assert not Client.objects.exists()


def test_a_preflight_needs_no_credential_and_tells_nothing(registered: Client, alice: User) -> None:
    """It is answered before anything is looked up, whatever the address names."""
    for path in ("/api/unified/user-info?user_id=alice", "/api/unified/user-info?user_id=nobody"):
        answer = preflight(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_an_options_that_is_no_preflight_is_a_405_like_any_method_that_is_not_there(
    registered: Client, penora: App
) -> None:
    answer = Browser().options(
        "/api/unified/user-info", headers={"Origin": ORIGIN, "Authorization": f"Bearer {key_of(penora)}"}
    )

    assert (answer.status_code, answer.json()["code"], answer[ALLOWED]) == (405, "method_not_allowed", ORIGIN)


def test_a_cookie_is_never_asked_for_across_origins(registered: Client, alice: User) -> None:
    """Neither setting exists for which a browser would send the session along and show the answer."""
    for path in [*OPEN, *CLOSED]:
        for answer in (preflight(path), call(path, browser=browser_of(alice))):
            assert "Access-Control-Allow-Credentials" not in answer
            assert answer.headers.get(ALLOWED) != "*"


def test_an_answer_is_not_lost_when_the_origins_cannot_be_read(
    committed_alice: User, as_committed_imagegene: ApiClient, second_connection: Any
) -> None:
    """
    They are read after the call has been answered. Seen to fail: the credits were spent, and the page was told 500, in
    HTML.
    """
    with second_connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_client IN ACCESS EXCLUSIVE MODE")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = 100")
    wanted = {"user_id": "alice", "amount": 2, "app_name": "imagegene", "description": "Two"}

    answer = as_committed_imagegene.post("deduct-credits", wanted, headers={"Origin": ORIGIN})

    assert (answer.status_code, answer.json()["new_balance"]) == (200, 48)
    assert granted(answer) == set()
    assert everything_of(committed_alice)["account"]["balance"] == 48
