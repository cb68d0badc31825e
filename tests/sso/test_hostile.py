"""
What nobody means well: NUL, broken escapes, other encodings, values without end, repeated and missing parameters, wrong
types of content, methods that no page has. Refused with 4xx, in the contract's envelope under /api/, on a plain page or
as OAuth's JSON elsewhere; never an error of ours, never a way to another site.
"""

from __future__ import annotations

import base64
import io
import json
import random
import string
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client as Browser

from accounts.models import User
from tests.sso.flow import (
    AUTHORIZE,
    BEGIN,
    COMPLETE,
    INTROSPECT,
    LOGOUT,
    REVOKE,
    SIGN_IN,
    TOKEN,
    USERINFO,
    VERIFIER,
    Google,
    RelyingParty,
)

pytestmark = pytest.mark.django_db
PAGES = (SIGN_IN, "/signin/out/", "/signin/demo/", "/signin/switched-off/", "/signin/signed-out/", BEGIN, COMPLETE)
ENDPOINTS = (AUTHORIZE, TOKEN, REVOKE, INTROSPECT, USERINFO, LOGOUT)
DOCUMENTS = ("/o/.well-known/jwks.json", "/o/.well-known/openid-configuration")
FORM = "application/x-www-form-urlencoded"
ADDRESSES = (*PAGES, *ENDPOINTS, *DOCUMENTS)
every_address = pytest.mark.parametrize("path", ADDRESSES)
PARAMETERS = (
    *(
        "client_id",
        "client_secret",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "prompt",
    ),
    *(
        "max_age",
        "claims",
        "id_token_hint",
        "login_hint",
        "ui_locales",
        "acr_values",
        "display",
        "request",
        "request_uri",
    ),
    *("code_challenge", "code_challenge_method", "approval_prompt", "resource", "allow", "grant_type", "code"),
    *("code_verifier", "refresh_token", "token", "token_type_hint", "access_token", "callback", "error"),
    *("error_description", "post_logout_redirect_uri", "logout_hint", "next", "username", "password", "partial_token"),
    *("id_token", "backend", "csrfmiddlewaretoken", "session_state", "iss"),
)


def assert_no_error_of_ours(answer: Any, what: object) -> None:
    assert answer.status_code < 500 or answer.status_code in {502, 503}, what
    if answer.status_code in {502, 503}:  # what the identity provider said
        assert "Back to sign-in" in answer.content.decode(), what


@pytest.fixture(autouse=True)
def nobody_is_held_up(settings: Any) -> None:
    """Each request comes from another address: it is not the ceilings that are meant here."""
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")


# --- NUL -------------------------------------------------------------------------------------------------------------


@every_address
def test_a_nul_in_any_parameter_of_any_page_is_a_400(alices: Browser, path: str) -> None:
    """In stock 3.4.1 one in `code` was a 500: PostgreSQL stores none. Seen with the middleware taken out."""
    for name in PARAMETERS:
        assert alices.get(path, {name: "x\0"}).status_code == 400, (path, name)
        assert alices.post(path, urlencode({name: "\0x"}), FORM).status_code == 400, (path, name)
    assert alices.post(path, {"code": "\0"}).status_code == 400
    assert alices.post(f"{path}?code=%00").status_code == 400


@pytest.mark.parametrize("debug", [False, True])
def test_a_nul_is_answered_with_our_own_page_on_a_developers_machine_too(
    newcomer: Browser, settings: Any, debug: bool
) -> None:
    """With DEBUG it was Django's, with its settings on it."""
    settings.DEBUG = debug

    for answer in (newcomer.get("/projects/?q=%00"), newcomer.get("/a%00"), newcomer.post(SIGN_IN, {"username": "\0"})):
        assert answer.status_code == 400
        assert "<h1>This request did not make sense</h1>" in answer.content.decode()


@every_address
def test_a_nul_in_the_path_a_name_or_a_cookie_is_a_400(alices: Browser, path: str) -> None:
    """Seen before cookies were looked at: one in the session's key was a 500 on every page."""
    assert alices.get(f"{path}%00").status_code == 400
    assert alices.get(f"{path}?a%00=b").status_code == 400
    assert alices.post(path, {"a\0": "b"}).status_code == 400
    for name in ("sessionid", "csrftoken", "messages", "other"):
        browser = Browser(raise_request_exception=False)
        # A cookie in quotes can hold any octet, written in octal.
        assert browser.get(path, headers={"Cookie": f'{name}="abcdefgh\\000ij"'}).status_code == 400, name


def test_a_nul_in_the_authorization_header_is_a_401(by_penora: RelyingParty, newcomer: Browser) -> None:
    client_id = by_penora.client.client_id
    for pair in (f"{client_id}\0:x", f"{client_id}:\0", "\0:\0"):
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        for path in (TOKEN, REVOKE, INTROSPECT):
            answer = newcomer.post(
                path, {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}, headers=headers
            )
            assert answer.status_code == 401, (path, pair)


# --- what cannot be read ---------------------------------------------------------------------------------------------


@every_address
@pytest.mark.parametrize("query", ["x=%", "x=%z", "x=%zz", "%=x", "x=%2", "a=b&c=%G0"])
def test_a_broken_escape_is_a_400(alices: Browser, path: str, query: str) -> None:
    """Seen before: `%zz` anywhere in the query of /o/authorize/ was a 500."""
    assert alices.get(f"{path}?{query}").status_code == 400


@every_address
@pytest.mark.parametrize(
    "query", ["x=%ff", "x=%c0%80", "x=%ed%a0%80", "%ff=x", "x=%f0%9f%92", "next=%ff", "state=%fe%ff"]
)
def test_bytes_that_are_no_text_are_no_error_of_ours(alices: Browser, path: str, query: str) -> None:
    assert_no_error_of_ours(alices.get(f"{path}?{query}"), (path, query))
    assert_no_error_of_ours(alices.post(path, query, FORM), (path, query))


@every_address
@pytest.mark.parametrize(
    "header", ["Basic é", "Bearer é", "é", "Basic", "Basic ", "Basic %%%", "Basic YQ==", "Basic ====", "Digest x"]
)
def test_an_authorization_header_that_is_none_is_no_error_of_ours(alices: Browser, path: str, header: str) -> None:
    """Seen before: letters beyond ASCII after `Basic` were a 500 at the token endpoint."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    for answer in (
        alices.get(path, headers={"Authorization": header}),
        alices.post(path, form, headers={"Authorization": header}),
    ):
        assert_no_error_of_ours(answer, (path, header))


@every_address
@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "latin-1", "cp037", "utf-8-sig"])
def test_another_encoding_than_utf_8_is_a_400(alices: Browser, path: str, charset: str) -> None:
    """In UTF-7, `+AAA-` is a NUL that stands nowhere in the query."""
    assert alices.get(f"{path}?x=%2BAAA-", CONTENT_TYPE=f"text/plain; charset={charset}").status_code == 400
    form = f"application/x-www-form-urlencoded; charset={charset}"
    assert alices.generic("POST", path, b"code=%2BAAA-&username=%2BAAA-", content_type=form).status_code == 400
    assert alices.get(path, CONTENT_TYPE="text/plain; charset=UTF-8").status_code < 500


@pytest.mark.parametrize("path", [*ADDRESSES, "/", "/admin/", "/api/unified/pricing", "/healthz"])
@pytest.mark.parametrize("charset", ["hex", "base64", "rot13", "zip", "uu", "utf-7", "no-such"])
def test_an_encoding_that_is_none_of_texts_is_no_error_of_the_servers(path: str, charset: str, settings: Any) -> None:
    """
    Seen before, with the application that the web server calls: Django decodes the query before anything of ours is
    asked, and `charset=hex` raised there, on every address of the service.
    """
    settings.DEBUG = True  # or it would not start here
    from unified.wsgi import application

    told: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "x=1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "CONTENT_TYPE": f"text/plain; charset={charset}",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
    }

    body = application(environ, lambda status, headers, error=None: told.append(status))

    assert b"".join(body) is not None
    assert int(told[0][:3]) < 500


@every_address
@pytest.mark.parametrize(
    "content_type",
    [
        *("application/json", "text/plain", "application/xml", "application/octet-stream", "", "nonsense", "a/b; c"),
        *(
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=x",
            "multipart/mixed",
        ),
        *("application/x-www-form-urlencoded; boundary=x", "multipart/form-data; boundary=" + "b" * 500),
    ],
)
def test_a_wrong_type_of_content_is_no_error_of_ours(alices: Browser, path: str, content_type: str) -> None:
    for body in (
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"--x\r\nbroken",
        b"--x\r\n\r\n--x--",
        b"a=b&c",
        b"&&&===",
    ):
        assert_no_error_of_ours(alices.generic("POST", path, body, content_type), (path, content_type, body))


@every_address
def test_a_body_or_a_number_of_fields_without_end_is_refused(alices: Browser, path: str, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100_000
    many = "&".join(f"a{number}=b" for number in range(5_000))
    for body in ("x=" + "y" * 200_000, many):
        answer = alices.post(path, body, FORM)
        assert 400 <= answer.status_code < 500
    assert alices.get(f"{path}?{many}").status_code == 400


@every_address
@pytest.mark.parametrize(
    "method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "HEAD", "get", "X" * 300, "GE T"]
)
def test_a_method_that_no_page_has_is_no_error_of_ours(
    alices: Browser, newcomer: Browser, path: str, method: str
) -> None:
    for browser in (alices, newcomer):
        answer = browser.generic(method, path)
        assert answer.status_code < 500
        if method not in {"OPTIONS", "HEAD", "get"}:  # Django takes a method in any case
            assert answer.status_code >= 300
            assert urlsplit(answer.get("Location", "")).netloc in {"", "testserver"}


def test_ten_kilobytes_in_any_parameter_are_no_error_of_ours(
    alices: Browser, google: Google, by_penora: RelyingParty
) -> None:
    for number, name in enumerate(PARAMETERS):
        value = "xé%[/"[number % 5] * 10_000
        for path in (*ENDPOINTS, SIGN_IN, COMPLETE):
            sent = {**by_penora.question(), name: value}
            assert_no_error_of_ours(alices.get(path, sent), (path, name))
            if path != SIGN_IN:
                assert_no_error_of_ours(alices.post(path, sent), (path, name))


@pytest.mark.parametrize(
    "claims",
    ["[]", "5", '"x"', "null", "{", "[" * 3_000, '{"a":' * 600 + "1" + "}" * 600, '{"id_token": 5}', "NaN", "é"],
)
def test_claims_that_are_none_end_at_the_app_or_on_a_page(
    alices: Browser, by_penora: RelyingParty, claims: str
) -> None:
    answer = by_penora.asks(alices, claims=claims)

    assert answer.status_code in {302, 400}
    assert answer.get("Location", by_penora.redirect_uri).startswith(by_penora.redirect_uri)


@pytest.mark.parametrize("resource", ["http://[", "x", "urn:x", "//x", "https://user@x", "https://x#y"])
def test_a_resource_that_is_none_is_refused(alices: Browser, by_penora: RelyingParty, resource: str) -> None:
    """Seen before: `http://[` was a 500, at authorize and at the token endpoint."""
    assert "code=" not in by_penora.asks(alices, resource=resource).get("Location", "")
    answer = by_penora.exchanges(by_penora.code_from(alices), resource=resource)
    assert answer.status_code == 400


def test_repeated_and_missing_parameters_are_mistakes(alices: Browser, by_penora: RelyingParty) -> None:
    question = by_penora.question()
    for name in ("client_id", "response_type", "redirect_uri", "scope", "state"):
        answer = alices.get(AUTHORIZE, {**question, name: [question[name], question[name]]})
        assert "code=" not in answer.get("Location", ""), name
    for name in ("client_id", "response_type", "code_challenge", "code_challenge_method"):
        answer = alices.get(AUTHORIZE, {key: value for key, value in question.items() if key != name})
        assert "code=" not in answer.get("Location", ""), name
    code = by_penora.code_from(alices)
    for name in ("grant_type", "client_id", "code", "code_verifier"):  # an only address need not be said again
        answer = by_penora.posts(TOKEN, {**by_penora.exchange_of(code), name: None})
        assert 400 <= answer.status_code < 500, name


def test_what_is_malformed_under_api_has_the_envelope(newcomer: Browser) -> None:
    for path in ("/api/o/token", "/api/signin", "/api/unified/%00", "/api/unified/nowhere?%00"):
        answer = newcomer.get(path)
        assert answer.status_code in {400, 401, 404}
        assert answer.json()["success"] is False


# --- anything at all -------------------------------------------------------------------------------------------------

PIECES = (
    *(
        "",
        " ",
        "\t",
        "\r\n",
        "\0",
        "%00",
        "%",
        "é",
        "\u202e",
        "\ufeff",
        "😀",
        "'",
        '"',
        "<",
        "--",
        "{",
        "[",
        "\\",
        "//",
        ".",
    ),
    *(
        "null",
        "true",
        "-1",
        "0",
        "1e309",
        "9" * 400,
        "NaN",
        "none",
        "login",
        "none login",
        "code",
        "S256",
        "plain",
        "openid",
    ),
    *("https://penora.example/callback", "https://evil.example/", "//evil.example", "javascript:alert(1)", "http://["),
    *(
        "authorization_code",
        "refresh_token",
        "eyJhbGciOiJub25lIn0.e30.",
        "..",
        "uut_x",
        "uur_x",
        "alice",
        "admin",
        "x" * 3_000,
    ),
)


def a_value(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.6:
        return chance.choice(PIECES)
    if kind < 0.8:
        return "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 4)))
    return "".join(chance.choice(string.printable + "é\u2028\U0001f600") for _ in range(chance.randint(1, 60)))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_is_answered_and_leads_nowhere_else(
    alice: User,
    google: Google,
    by_penora: RelyingParty,
    by_imagegene: RelyingParty,
    by_stranger: RelyingParty,
    seed: int,
) -> None:
    """
    700 requests a seed: right questions with some of them wrong. Besides the answers themselves: nobody is sent
    anywhere but to the app whose question it was, no tokens come of it, and Alice stays who she is.
    """
    chance = random.Random(seed)
    browser = Browser(raise_request_exception=False)
    strange = Browser(raise_request_exception=False)
    apps = (by_penora, by_imagegene, by_stranger)
    allowed = {"", "testserver", *(urlsplit(app.redirect_uri).netloc for app in apps), urlsplit(google.issuer).netloc}

    for number in range(700):
        if number % 50 == 0:
            browser.force_login(User.objects.get(pk=alice.pk), backend="unified.sso.google.GoogleSignIn")
            cache.clear()
        app = chance.choice(apps)
        path = chance.choice((*ENDPOINTS, AUTHORIZE, TOKEN, SIGN_IN, BEGIN, COMPLETE, "/signin/out/"))
        right: dict[str, Any] = (
            dict(app.question())
            if path in {AUTHORIZE, LOGOUT, SIGN_IN}
            else {
                "client_id": app.client.client_id,
                "client_secret": app.secret or "",
                "redirect_uri": app.redirect_uri,
                "grant_type": chance.choice(("authorization_code", "refresh_token")),
                "code_verifier": VERIFIER,
                "code": "x",
                "token": "x",
                "refresh_token": "x",
            }
        )
        for _ in range(chance.randint(1, 3)):
            name = chance.choice((*PARAMETERS, *right))
            right[name] = chance.choice((a_value(chance), [a_value(chance), a_value(chance)]))
        if chance.random() < 0.2:
            right.pop(chance.choice(list(right)))
        if path == SIGN_IN:
            right.pop("password", None)  # a slow one each time
        headers = {"Authorization": quote(a_value(chance), safe=" =")} if chance.random() < 0.1 else {}
        who = chance.choice((browser, strange))
        ask = who.get if path != TOKEN and chance.random() < 0.6 else who.post
        answer = ask(path, right, headers=headers)
        what = json.dumps([seed, number, ask.__name__, path, right, headers])[:2_000]
        assert_no_error_of_ours(answer, what)
        assert urlsplit(answer.get("Location", "")).netloc in allowed, what
        if path in {TOKEN, INTROSPECT}:
            assert b"access_token" not in answer.content, what

    assert User.objects.count() == 1
    assert User.objects.get().user_id == "alice"
