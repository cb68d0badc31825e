"""
Those who take part in a sign-in, beside Unified: the issuer that stands in for Google, a browser (of the addresses and
forms that a person would see), and the apps, which are Authlib's clients.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.quickstart.service import MANAGE, PROJECT, Service, clean_environment, free_port, send, wait_for

TIMEOUT_SECONDS = 30
# Whom the issuer knows: the person of the guide, who has projects and a history in a fresh Unified.
DEMO = {"sub": "101902121794505144784", "name": "Demo User", "email": "demo@example.com", "email_verified": True}


@contextlib.contextmanager
def issuer() -> Iterator[str]:
    """The real oidc-provider-mock as a process of its own, and its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--user-claims", json.dumps(DEMO)]
    with subprocess.Popen(
        command,
        env=clean_environment(AUTHLIB_INSECURE_TRANSPORT="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:

            def answers() -> bool:
                assert process.poll() is None, "The issuer ended by itself."
                with contextlib.suppress(OSError):
                    return send(f"{url}/.well-known/openid-configuration").status == 200
                return False

            wait_for(answers, what="the issuer to answer")
            yield url
        finally:
            process.kill()


def manage(service: Service, *arguments: str) -> tuple[str, str]:
    """What a command of manage.py writes beside the running service, to both of its outputs."""
    done = subprocess.run(
        [*MANAGE, *arguments],
        cwd=PROJECT,
        env=clean_environment(
            DEBUG="1", UNIFIED_DATA_DIR=str(service.data_dir), UNIFIED_URL=service.url, GOOGLE_CLIENT_ID=""
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def register(service: Service, *arguments: str) -> dict[str, Any]:
    """The client that `manage.py oidcclient register` makes."""
    facts: dict[str, Any] = json.loads(manage(service, "oidcclient", "register", *arguments, "--json")[0])
    return facts


# --- A browser --------------------------------------------------------------------------------------------------------


@dataclass
class Form:
    """A form of a page: where it leads, and what it sends for each button."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # the text on it, name, value


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(of.get("action", "")))
        elif tag == "input" and self.found and of.get("type") == "submit":
            self.found[-1].buttons.append((of.get("value", ""), of.get("name", ""), of.get("value", "")))
        elif tag == "input" and self.found and of.get("name"):
            is_box = of.get("type") in ("checkbox", "radio")
            if not is_box or "checked" in of:
                self.found[-1].fields[of["name"]] = of.get("value", "on" if is_box else "")
        elif tag == "button" and self.found:
            self.found[-1].buttons.append(("", of.get("name", ""), of.get("value", "")))
            self._in_button = True

    def handle_data(self, data: str) -> None:
        if self._in_button:
            text, name, value = self.found[-1].buttons[-1]
            self.found[-1].buttons[-1] = (text + data, name, value)

    def handle_endtag(self, tag: str) -> None:
        self._in_button = self._in_button and tag != "button"


class Browser:
    """
    Keeps cookies and follows redirects, as long as they lead to somebody who is there: `at_home` are the origins that
    answer. One that leads elsewhere, to an app of which only the address exists, ends the walk, and is its result.
    """

    def __init__(self, *at_home: str) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        self._at_home = at_home
        self.walked: list[str] = []  # the addresses of the last walk

    def open(self, url: str) -> requests.Response | str:
        return self._walk(self._get(url))

    def press(self, page: requests.Response | str, label: str, **typed: str) -> requests.Response | str:
        """Sends the form whose button says `label`, with what a person types into it."""
        assert isinstance(page, requests.Response), f"This is no page, but a way out of here: {page}"
        forms = _Forms()
        forms.feed(page.text)
        for form in forms.found:
            for text, name, value in form.buttons:
                if " ".join(text.split()) == label:
                    return self._send(page, form, {**typed, **({name: value} if name else {})})
        raise AssertionError(f"There is no button '{label}' at {page.url}: {page.text}")

    def _send(self, page: requests.Response, form: Form, typed: dict[str, str]) -> requests.Response | str:
        target = urljoin(page.url, form.action or page.url)
        self.walked = [target]
        sent, headers = {**form.fields, **typed}, {"Referer": page.url, "Origin": origin(page.url)}
        return self._walk(
            self._http.post(target, data=sent, headers=headers, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        )

    def _get(self, url: str) -> requests.Response:
        self.walked = [url]
        return self._http.get(url, allow_redirects=False, timeout=TIMEOUT_SECONDS)

    def _walk(self, answer: requests.Response) -> requests.Response | str:
        for _ in range(10):
            if not answer.is_redirect:
                return answer
            target = urljoin(answer.url, answer.headers["Location"])
            self.walked.append(target)
            if origin(target) not in self._at_home:
                return target
            answer = self._http.get(target, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        raise AssertionError(f"This leads round in circles: {self.walked}")


# --- An app -----------------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """One authorization request, and what the app keeps of it until the answer comes."""

    url: str
    state: str
    nonce: str
    verifier: str


class App:
    """A relying party: Authlib's client, with what an app's server does around it."""

    def __init__(self, *, service: Service, client: dict[str, Any], scope: str, address: str) -> None:
        self.callback = f"{address}/callback"
        self.home = f"{address}/"
        self.client_id: str = client["client_id"]
        self.secret: str | None = client["client_secret"]
        self.http = OAuth2Session(
            self.client_id,
            self.secret,
            scope=scope,
            redirect_uri=self.callback,
            code_challenge_method="S256",
            default_timeout=TIMEOUT_SECONDS,
        )
        self.http.trust_env = False
        self.service = service
        self.metadata = self.anonymously("GET", f"{service.url}/o/.well-known/openid-configuration").json()
        self.id_token = ""

    def anonymously(self, method: str, url: str, **more: Any) -> requests.Response:
        return self.http.request(method, url, withhold_token=True, **more)

    def ask(self, **more: str) -> Asked:
        verifier, nonce = generate_token(48), generate_token()
        url, state = self.http.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **more
        )
        return Asked(url, state, nonce, verifier)

    def redeem(self, answer: requests.Response | str, asked: Asked) -> dict[str, Any]:
        """The tokens for the code that the browser has brought. Authlib compares the state."""
        assert isinstance(answer, str), f"The browser did not come back: {answer.url} {answer.text}"
        token: dict[str, Any] = self.http.fetch_token(
            self.metadata["token_endpoint"],
            authorization_response=answer,
            state=asked.state,
            code_verifier=asked.verifier,
        )
        self.id_token = token["id_token"]
        return token

    def sign_in_silently(self, browser: Browser) -> dict[str, Any]:
        asked = self.ask(prompt="none")
        return self.redeem(browser.open(asked.url), asked)

    def claims(self, token: dict[str, Any], *, nonce: str) -> Any:
        """The ID token's claims, once all has been checked that OpenID Connect Core asks an app to check."""
        keys = KeySet.import_key_set(self.anonymously("GET", self.metadata["jwks_uri"]).json())
        decoded = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {"iss": {"essential": True, "value": self.metadata["issuer"]}, "aud": {"value": self.client_id}},
            {"nonce": nonce, "client_id": self.client_id, "access_token": token["access_token"]},
        )
        claims.validate()
        return claims

    def call(self, method: str, route: str, token: str | None = None, **more: Any) -> requests.Response:
        """One call of the API with the app's own token, or with another."""
        url = f"{self.service.url}/api/unified/{route}"
        if token is None:
            return self.http.request(method, url, **more)
        return self.anonymously(method, url, headers={"Authorization": f"Bearer {token}"}, **more)

    def token_request(self, **body: str) -> requests.Response:
        """A request of the token endpoint as it goes over the wire, for what Authlib would not send."""
        auth = (self.client_id, self.secret) if self.secret else None
        if auth is None:
            body["client_id"] = self.client_id
        return requests.post(self.metadata["token_endpoint"], data=body, auth=auth, timeout=TIMEOUT_SECONDS)

    def sign_out_url(self, **more: str) -> str:
        query = {"id_token_hint": self.id_token, "post_logout_redirect_uri": self.home, **more}
        return str(requests.Request("GET", self.metadata["end_session_endpoint"], params=query).prepare().url)


def query_of(url: requests.Response | str) -> dict[str, str]:
    """What an address says behind its question mark; each name once."""
    assert isinstance(url, str), f"This is a page, where a way back to the app was to be: {url.url} {url.text}"
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
