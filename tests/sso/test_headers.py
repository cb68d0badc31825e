"""The headers of every page, what may be kept of it, and the configuration of production."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client as Browser

from tests.quickstart.service import PROJECT, clean_environment
from tests.sso.flow import AUTHORIZE, LOGOUT, SIGN_IN, Google, RelyingParty, bearer, sign_in_with
from unified import signing_keys

pytestmark = pytest.mark.django_db


def policy(answer: Any) -> dict[str, list[str]]:
    directives = (part.split() for part in answer["Content-Security-Policy"].split(";") if part.strip())
    return {name: values for name, *values in directives}


def assert_strict(answer: Any) -> None:
    directives = policy(answer)
    sources = [source for values in directives.values() for source in values]
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "https:", "http:", "blob:"} & set(sources), sources
    assert directives["default-src"] == ["'none'"]
    assert directives["frame-ancestors"] == directives["base-uri"] == ["'none'"]
    assert directives["script-src"] == ["'self'"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            SIGN_IN,
            "/signin/signed-out/",
            "/signin/switched-off/",
            "/signin/demo/",
            "/signin/begin/google/",
            AUTHORIZE,
        ),
        *("/signin/complete/google/?code=x&state=y", LOGOUT, "/o/userinfo/", "/o/token/", "/o/.well-known/jwks.json"),
        *(
            "/admin/",
            "/admin/login/",
            "/admin/accounts/user/",
            "/nowhere",
            "/signin/?x=%00",
            "/api/docs",
            "/api/unified/x",
        ),
    ],
)
@pytest.mark.parametrize("who", ["newcomer", "alices", "staff"])
def test_every_page_has_strict_headers(request: pytest.FixtureRequest, path: str, who: str) -> None:
    if who == "staff":
        from tests.sso.conftest import browser_of

        browser = browser_of(request.getfixturevalue("admin"))
    else:
        browser = request.getfixturevalue(who)

    assert_strict(browser.get(path))


def test_no_page_has_scripts_or_styles_in_it(
    google: Google, newcomer: Browser, alices: Browser, by_stranger: RelyingParty
) -> None:
    for page in (newcomer.get(SIGN_IN), by_stranger.asks(alices), alices.get(LOGOUT), newcomer.get("/nowhere")):
        text = page.content.decode()
        assert "<script" not in text
        assert " style=" not in text
        assert " onclick=" not in text


def test_forms_lead_to_the_issuer_and_the_apps_and_nowhere_else(
    google: Google,
    newcomer: Browser,
    alices: Browser,
    by_penora: RelyingParty,
    by_imagegene: RelyingParty,
    by_stranger: RelyingParty,
) -> None:
    """`form-action 'self'` stops a sign-in in Chromium: it is held against the whole chain of redirects."""
    targets = {"'self'", google.issuer, *(f"https://{name}.example" for name in ("penora", "imagegene", "stranger"))}

    for page in (newcomer.get(SIGN_IN), by_stranger.asks(alices), alices.get(LOGOUT)):
        assert page.status_code == 200
        assert set(policy(page)["form-action"]) == targets
    assert policy(newcomer.get("/"))["form-action"] == ["'self'"]
    by_stranger.client.app.is_active = False
    by_stranger.client.app.save()
    assert "https://stranger.example" not in policy(newcomer.get(SIGN_IN))["form-action"]


def test_nothing_of_a_sign_in_is_kept_by_caches(
    google: Google, newcomer: Browser, alices: Browser, by_penora: RelyingParty, by_stranger: RelyingParty
) -> None:
    tokens = by_penora.signs_in(alices)
    answers = {
        "sign-in page": newcomer.get(SIGN_IN),
        "begin": newcomer.post("/signin/begin/google/"),
        "complete": sign_in_with(google, newcomer, "sub-1"),
        "code": by_penora.asks(alices),
        "consent": by_stranger.asks(alices),
        "tokens": by_penora.refreshes(tokens["refresh_token"]),
        "refusal": by_penora.exchanges("x"),
        "introspection": by_penora.introspects("x"),
        "revocation": by_penora.revokes("x"),
        "userinfo": Browser().get("/o/userinfo/", headers=bearer("x")),
        "logout page": alices.get(LOGOUT),
        "sign-out": alices.post("/signin/out/"),
        "switched off": newcomer.get("/signin/switched-off/"),
    }

    assert [name for name, answer in answers.items() if "no-store" not in answer.get("Cache-Control", "")] == []


def test_an_apps_page_may_call_what_it_needs_from_its_origin_only(imagegene: Any) -> None:
    from accounts import services as accounts

    accounts.register_client(
        app=imagegene, redirect_uris=["https://imagegene.example/"], allowed_origins=["https://imagegene.example"]
    )
    for origin, allowed in (("https://imagegene.example", True), ("https://evil.example", False), ("null", False)):
        for path in ("/api/unified/pricing", "/o/token/", "/o/userinfo/"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = Browser().options(path, headers=headers)
            assert (answer.get("Access-Control-Allow-Origin") == origin) is allowed, (origin, path)
            assert "Access-Control-Allow-Credentials" not in answer
    for path in (SIGN_IN, AUTHORIZE, "/o/introspect/", "/admin/"):
        headers = {"Origin": "https://imagegene.example", "Access-Control-Request-Method": "POST"}
        assert "Access-Control-Allow-Origin" not in Browser().options(path, headers=headers), path


# --- production ------------------------------------------------------------------------------------------------------

ASK = """
import json, django
import unified.settings as module
module.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"  # none collected
django.setup()
from django.conf import settings
from django.core import checks
from django.test import Client
client = Client(HTTP_HOST="unified.example", HTTP_X_FORWARDED_PROTO="https", HTTP_X_FORWARDED_FOR="203.0.113.7")
answer, plain = client.get("/signin/"), Client(HTTP_HOST="unified.example").get("/signin/")
print(json.dumps({
    "refused": sorted(m.id for m in checks.run_checks() if m.is_serious()),
    "hints": {m.id: m.hint for m in checks.run_checks() if m.is_serious()},
    "status": answer.status_code, "page": answer.content.decode(), "headers": dict(answer.headers),
    "cookies": {name: {"secure": c["secure"], "httponly": c["httponly"], "samesite": c["samesite"]}
                for name, c in answer.cookies.items()},
    "plain": [plain.status_code, plain.headers.get("Location")],
    "demo": client.post("/signin/demo/").status_code,
    "session": [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE,
                settings.CSRF_COOKIE_SECURE],
    "schemes": settings.OAUTH2_PROVIDER["ALLOWED_REDIRECT_URI_SCHEMES"],
    "issuer": settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"],
    "open": [settings.DEMO_SIGN_IN, settings.QUICKSTART_OPEN, settings.DEBUG],
}))
"""


@pytest.fixture(scope="module")
def key_files(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("1", "2"):
        signing_keys.write(folder / name, signing_keys.new_key())
    return f"{folder / '1'},{folder / '2'}"


def production(key_files: str, **changes: str) -> dict[str, Any]:
    """What a process says that is configured as README tells, with `changes`. No database is asked."""
    settings = {
        "DEBUG": "0",
        "UNIFIED_DEVELOPMENT": "0",
        "SECRET_KEY": "a-key-for-a-test-that-signs-nothing-0123456789-abcdefghijklmnop",
        "ALLOWED_HOSTS": "unified.example",
        "UNIFIED_URL": "https://unified.example",
        "DATABASE_URL": connection_url(),
        "BEHIND_TLS_PROXY": "1",
        "OIDC_SIGNING_KEYS": key_files,
        "DJANGO_SETTINGS_MODULE": "unified.settings",
        "LOG_LEVEL": "CRITICAL",
        **changes,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        cwd=PROJECT,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def connection_url() -> str:
    from urllib.parse import quote

    from django.db import connection

    facts = connection.settings_dict
    place = f"host={quote(str(facts['HOST']), safe='')}&port={facts['PORT'] or 5432}"
    return f"postgres://{facts['USER']}:{facts['PASSWORD']}@/{facts['NAME']}?{place}"


def test_production_has_secure_cookies_and_no_way_in_for_developers(key_files: str) -> None:
    said = production(key_files)

    assert said["refused"] == []
    assert said["status"] == 200
    assert said["session"] == [True, True, "Lax", True]
    assert {name: cookie["secure"] for name, cookie in said["cookies"].items()} == {"__Host-csrftoken": True}
    assert said["headers"]["Strict-Transport-Security"] == "max-age=31536000"
    assert said["plain"] == [301, "https://unified.example/signin/"]
    assert said["open"] == [False, False, False]
    assert said["demo"] in {403, 404}
    assert "demo" not in said["page"]
    assert said["schemes"] == ["https"]
    assert said["issuer"] == "https://unified.example/o"
    for name in ("Content-Security-Policy", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"):
        assert said["headers"][name]


def test_with_google_the_demo_door_is_closed_on_a_developers_machine_too(key_files: str) -> None:
    said = production(key_files, DEBUG="1", GOOGLE_CLIENT_ID="x", GOOGLE_CLIENT_SECRET="y", BEHIND_TLS_PROXY="0")

    assert said["open"][0] is False
    assert "Continue as the demo user" not in said["page"]


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"UNIFIED_URL": ""}, "unified.E010"),
        ({"OIDC_SIGNING_KEYS": ""}, "unified.E011"),
        ({"GOOGLE_CLIENT_ID": "x"}, "unified.E012"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused_with_a_hint(
    key_files: str, changes: dict[str, str], id: str
) -> None:
    said = production(key_files, **changes)

    assert said["refused"] == [id]
    assert said["hints"][id]
