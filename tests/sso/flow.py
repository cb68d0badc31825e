"""
What the attacks are made of: the identity provider (a real one, oidc-provider-mock), browsers, and apps that ask
Unified who a person is. Requests go over HTTP or through Django's test client; nothing is replaced.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import requests
from django.test import Client as Browser

from accounts.models import Client

BEGIN, COMPLETE, SIGN_IN = "/signin/begin/google/", "/signin/complete/google/", "/signin/"
AUTHORIZE, TOKEN, REVOKE = "/o/authorize/", "/o/token/", "/o/revoke_token/"
INTROSPECT, USERINFO, LOGOUT = "/o/introspect/", "/o/userinfo/", "/o/logout/"
PATIENCE_SECONDS = 20
VERIFIER = "v" * 43 + "-a-verifier-of-the-right-length"


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Google:
    """The identity provider. Whoever comes to it says who they are, and is believed."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.line = requests.Session()

    def knows(self, sub: str, **claims: Any) -> None:
        """From now on, this is said of the person."""
        address = f"{self.issuer}/users/{quote(sub, safe='')}"
        self.line.put(address, json=claims, timeout=PATIENCE_SECONDS).raise_for_status()

    def way_back(self, address: str, sub: str, **form: str) -> str:
        """Where it sends a person who has come to `address` and says that they are `sub`: path and query."""
        answer = self.line.post(address, data={"sub": sub, **form}, allow_redirects=False, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 302, answer.text
        parts = urlsplit(answer.headers["Location"])
        return f"{parts.path}?{parts.query}"


def sign_in_with(google: Google, browser: Browser, sub: str, *, onwards: str | None = None) -> Any:
    """The answer at which a sign-in ends: what `complete` says."""
    return browser.get(way_to_complete(google, browser, sub, onwards=onwards))


def way_to_complete(google: Google, browser: Browser, sub: str, *, onwards: str | None = None) -> str:
    """The address that the identity provider sends this browser back to."""
    begun = browser.post(BEGIN, {} if onwards is None else {"next": onwards})
    assert begun.status_code == 302, begun.content
    return google.way_back(begun["Location"], sub)


def signed_in_as(browser: Browser) -> str | None:
    """The user id of whoever is signed in in this browser, as a page of ours sees it."""
    user = browser.get("/", follow=True).context["user"]
    return user.user_id if user.is_authenticated else None


@dataclass
class RelyingParty:
    """An app, by its client. `secret` is None for a public one."""

    client: Client
    secret: str | None
    scope: str = "openid profile email credits.read"

    @property
    def redirect_uri(self) -> str:
        return str(self.client.redirect_uris.split()[0])

    @property
    def goodbye(self) -> str:
        return str(self.client.post_logout_redirect_uris.split()[0])

    def question(self, **changes: Any) -> dict[str, Any]:
        """The parameters with which it sends a person to Unified; a change to None leaves one out."""
        asked = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": "a-state",
            "nonce": "a-nonce",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def asks(self, browser: Browser, **changes: Any) -> Any:
        return browser.get(AUTHORIZE, self.question(**changes))

    def code_from(self, browser: Browser, **changes: Any) -> str:
        answer = self.asks(browser, **changes)
        assert answer.status_code == 302, answer.content
        return query_of(answer["Location"])["code"]

    def posts(self, path: str, form: dict[str, Any], **changes: Any) -> Any:
        """A form to Unified with its credentials, from its server or page; a change to None leaves a field out."""
        sent = {"client_id": self.client.client_id, "client_secret": self.secret, **form, **changes}
        browser = Browser(raise_request_exception=False)
        return browser.post(path, {name: value for name, value in sent.items() if value is not None})

    def exchange_of(self, code: str) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "redirect_uri": self.redirect_uri, "code_verifier": VERIFIER}
        return {**form, "code": code}

    def exchanges(self, code: str, **changes: Any) -> Any:
        return self.posts(TOKEN, self.exchange_of(code), **changes)

    def refreshes(self, refresh_token: str, **changes: Any) -> Any:
        return self.posts(TOKEN, {"grant_type": "refresh_token", "refresh_token": refresh_token}, **changes)

    def introspects(self, token: str, **changes: Any) -> Any:
        return self.posts(INTROSPECT, {"token": token}, **changes)

    def revokes(self, token: str, **changes: Any) -> Any:
        return self.posts(REVOKE, {"token": token}, **changes)

    def signs_in(self, browser: Browser, **changes: Any) -> dict[str, Any]:
        """The tokens of the person who is signed in in this browser."""
        answer = self.exchanges(self.code_from(browser, **changes))
        assert answer.status_code == 200, answer.content
        tokens: dict[str, Any] = answer.json()
        return tokens


def query_of(address: str) -> dict[str, str]:
    """The last value of each parameter of the address's query."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(address).query, keep_blank_values=True).items()}


def claims_of(jwt: str) -> dict[str, Any]:
    """What a JWT says, unverified."""
    payload = jwt.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def userinfo(token: str) -> Any:
    return Browser(raise_request_exception=False).get(USERINFO, headers=bearer(token))


def calls_api(token: str) -> Any:
    """A call of the API with this bearer, about the person whose token it is."""
    return Browser(raise_request_exception=False).get("/api/unified/user-info", headers=bearer(token))
