"""
One identity provider for the whole run (social-core remembers its documents by address), in a process of its own, and
three apps: Penora (a server), ImageGene (a page, which has no secret), and one of somebody else, which has to ask.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.test import Client as Browser

from accounts import services as accounts
from accounts.models import App, User
from tests.quickstart.service import clean_environment, free_port, wait_for
from tests.sso.flow import Google, RelyingParty

PASSWORD = "a long enough password 7"


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """The identity provider is reached directly, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def provider(no_proxy: None) -> Iterator[Google]:
    issuer = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", issuer.rpartition(":")[2]],
        env=clean_environment(NO_COLOR="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        assert process.poll() is None, "The identity provider has ended."
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).ok
        return False

    try:
        wait_for(answers, what="the identity provider")
        yield Google(issuer)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def google(provider: Google, settings: Any) -> Google:
    """Sign-in with it is configured, as with Google."""
    settings.GOOGLE_ISSUER = settings.SOCIAL_AUTH_GOOGLE_OIDC_ENDPOINT = provider.issuer
    settings.GOOGLE_CLIENT_ID = settings.SOCIAL_AUTH_GOOGLE_KEY = "unified"
    settings.SOCIAL_AUTH_GOOGLE_SECRET = "unified's secret at Google"
    return provider


@pytest.fixture
def newcomer() -> Browser:
    """A browser that nobody has signed in with. Unknown exceptions come out as answers, as they do in production."""
    return Browser(raise_request_exception=False)


@pytest.fixture
def alices(alice: User) -> Browser:
    """A browser in which Alice is signed in, as she is after having been to Google."""
    return browser_of(alice)


def browser_of(user: User) -> Browser:
    browser = Browser(raise_request_exception=False)
    browser.force_login(user, backend="unified.sso.google.GoogleSignIn")
    return browser


@pytest.fixture
def by_penora(penora: App) -> RelyingParty:
    return register(penora)


@pytest.fixture
def by_imagegene(imagegene: App) -> RelyingParty:
    return register(imagegene, confidential=False)


@pytest.fixture
def by_stranger(db: None) -> RelyingParty:
    """An app that is none of ours: people are asked."""
    app = accounts.register_app(slug="stranger", name="Stranger", colour="#123456")
    return register(app, first_party=False)


def register(app: App, **options: Any) -> RelyingParty:
    client, secret, _ = accounts.register_client(
        app=app,
        redirect_uris=[f"https://{app.slug}.example/callback"],
        post_logout_redirect_uris=[f"https://{app.slug}.example/goodbye"],
        **options,
    )
    return RelyingParty(client, secret)


@pytest.fixture
def admin(db: None) -> User:
    """A superuser with a password."""
    return User.objects.create_superuser(
        user_id="admin", username="Ada Min", email="admin@example.com", password=PASSWORD
    )
