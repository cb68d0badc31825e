"""
Everybody who may come to the API, and in which ways. Tokens come from the provider's own addresses, as apps get them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.core.cache import cache
from django.test import Client as Browser
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, set_token_value

from accounts import keys, tokens
from accounts import services as accounts
from accounts.models import App, AppKey, Client, User
from tests.conftest import make_user
from unified import services

KEY_SCOPES = frozenset({"credits.read", "credits.spend", "workspace.read", "workspace.write", "users.write"})
TOKEN_SCOPES = KEY_SCOPES - {"users.write"}
IDENTITY = "openid profile email"
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
HERE = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


# --- Signing in, as an app does ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tokens:
    """What a sign-in gave to an app."""

    access: str
    refresh: str
    id: str
    code: str


@dataclass(frozen=True)
class Registered:
    """A client, and its secret."""

    client: Client
    secret: str
    redirect_uri: str

    def basic(self) -> dict[str, str]:
        text = base64.b64encode(f"{self.client.client_id}:{self.secret}".encode()).decode()
        return {"Authorization": f"Basic {text}"}


def register(app: App, **changes: Any) -> Registered:
    redirect_uri = f"https://{app.slug}.example/callback"
    client, secret, _ = accounts.register_client(
        app=app, redirect_uris=[redirect_uri], **{"allowed_origins": [f"https://{app.slug}.example"], **changes}
    )
    return Registered(client, secret or "", redirect_uri)


def browser_of(user: User, **options: Any) -> Browser:
    """A browser in which they are signed in."""
    browser = Browser(**options)
    browser.force_login(user, backend=MODEL_BACKEND)
    return browser


def code_for(browser: Browser, registered: Registered, *, scope: str, verifier: str) -> str:
    """The code with which the person's browser is sent back to the app."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    response = browser.get(
        reverse("oauth2_provider:authorize"),
        {
            "response_type": "code",
            "client_id": registered.client.client_id,
            "redirect_uri": registered.redirect_uri,
            "scope": scope,
            "state": "xyz",
            "nonce": "abc",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        },
    )
    assert response.status_code == 302, response.content
    address = urlsplit(response["Location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == registered.redirect_uri, response["Location"]
    return parse_qs(address.query)["code"][0]


def exchange(registered: Registered, **form: str) -> Any:
    return Browser().post(reverse("oauth2_provider:token"), form, headers=registered.basic())


def signed_in(user: User, registered: Registered, scopes: Iterable[str] = TOKEN_SCOPES) -> Tokens:
    """What the app has once this person has signed in to it."""
    verifier = secrets.token_urlsafe(48)
    scope = " ".join([IDENTITY, *sorted(scopes)])
    code = code_for(browser_of(user), registered, scope=scope, verifier=verifier)
    response = exchange(
        registered,
        grant_type="authorization_code",
        code=code,
        redirect_uri=registered.redirect_uri,
        code_verifier=verifier,
    )
    assert response.status_code == 200, response.content
    given = response.json()
    assert set(given["scope"].split()) == set(scope.split())
    return Tokens(given["access_token"], given["refresh_token"], given["id_token"], code)


def row_of(access_token: str) -> Any:
    """The row of an access token; only its digest is kept."""
    digest = hashlib.sha256(access_token.encode()).hexdigest()
    return get_access_token_model().objects.get(token_checksum=digest)


def expire(access_token: str) -> None:
    row = row_of(access_token)
    get_access_token_model().objects.filter(pk=row.pk).update(expires=timezone.now() - timedelta(seconds=1))


def without_scopes(access_token: str) -> str:
    get_access_token_model().objects.filter(pk=row_of(access_token).pk).update(scope="")
    return access_token


def machine_token(client: Client) -> str:
    """A token of no person, as the client-credentials grant would give one. (There is none here.)"""
    text = tokens.access_token(None)
    row = get_access_token_model()(
        application=client, user=None, scope=" ".join(TOKEN_SCOPES), expires=timezone.now() + timedelta(hours=1)
    )
    set_token_value(row, text)
    row.save()
    return text


# --- Callers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Somebody:
    """As whom a call has to be taken: by which app, for which person (or any), and for what it is good."""

    app: str | None  # None: as any
    user: str | None  # None: for any
    scopes: frozenset[str]


@dataclass(frozen=True)
class Caller:
    """One way to come. `who` is None for those who have to be nobody."""

    name: str
    who: Somebody | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "application/json"
    only_writes: bool = False
    thorough: bool = False  # to be asked for everything that there is; the others differ from one of these in little
    briefly: bool = False  # to be asked for one thing only
    browser: Browser = field(default_factory=lambda: Browser(raise_request_exception=False))

    def ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """The answer. Nobody has tried too often yet, and the request's id is always the same."""
        cache.clear()
        address = urlencode({**(query or {}), **self.query})
        content = b"" if body is None and not self.body else self._written({**(body or {}), **self.body})
        with override_settings(**self.settings):
            return self.browser.generic(
                method,
                f"{path}?{address}" if address else path,
                content,
                content_type=self.content_type,
                headers={"X-Request-ID": "matrix", **self.headers},
                **self.environ,
            )

    def _written(self, fields: Mapping[str, Any]) -> bytes:
        is_form = self.content_type == "application/x-www-form-urlencoded"
        return (urlencode(fields) if is_form else json.dumps(fields)).encode()


def bearer(credential: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {credential}"}


def key_of(app: App, scopes: Iterable[str] = KEY_SCOPES, **options: Any) -> str:
    """A key that has been used just now, so that the time of its use is not noted again."""
    key, text = accounts.create_key(app=app, label="matrix", scopes=" ".join(scopes), **options)
    AppKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())
    return text


def with_another_secret(key: str) -> str:
    """A key of the right form and checksum that was never handed out, under an id that exists."""
    start, secret, _ = key.rsplit("_", 2)
    changed = f"{start}_{'2' if secret[0] != '2' else '3'}{secret[1:]}"
    return f"{changed}_{zlib.crc32(changed.encode()):08x}"


def somebodies(people: Mapping[str, User], clients: Mapping[str, Registered]) -> Iterator[Caller]:
    """Everybody who has to be let in, as far as what they hold is good for."""
    for slug, registered in clients.items():
        who = Somebody(slug, None, KEY_SCOPES)
        yield Caller(f"the key of {slug}", who, bearer(key_of(registered.client.app)), thorough=True)
    penora = clients["penora"].client.app
    key = key_of(penora)
    by_key = Somebody("penora", None, KEY_SCOPES)
    yield Caller("a key for tests", by_key, bearer(key_of(penora, mode="test")))
    yield Caller("a key, as 'bearer'", by_key, bearer(key, "bearer"))
    yield Caller("a key, in a browser of alice's", by_key, bearer(key), browser=browser_of(people["alice"]))
    rotated, text = accounts.create_key(app=penora, label="matrix")
    accounts.rotate_key(key_id=rotated.key_id)
    AppKey.objects.filter(pk=rotated.pk).update(last_used_at=timezone.now())
    yield Caller("a key that was replaced, in its overlap", by_key, bearer(text))
    for scope in sorted(KEY_SCOPES):
        for name, scopes in ((f"a key without {scope}", KEY_SCOPES - {scope}), (f"a key for {scope} alone", {scope})):
            yield Caller(name, Somebody("penora", None, frozenset(scopes)), bearer(key_of(penora, scopes)))
    yield Caller("a key for nothing", Somebody("penora", None, frozenset()), bearer(key_of(penora, ())))

    for name, slug in (("alice", "penora"), ("alice", "imagegene"), ("bob", "penora")):
        who = Somebody(slug, name, TOKEN_SCOPES)
        token = signed_in(people[name], clients[slug]).access
        yield Caller(f"{name}'s token of {slug}", who, bearer(token), thorough=True)
    for scope in sorted(TOKEN_SCOPES):
        for name, scopes in (
            (f"alice's token without {scope}", TOKEN_SCOPES - {scope}),
            (f"alice's token for {scope} alone", {scope}),
        ):
            token = signed_in(people["alice"], clients["penora"], scopes).access
            yield Caller(name, Somebody("penora", "alice", frozenset(scopes)), bearer(token))
    who_she_is = signed_in(people["alice"], clients["penora"], ()).access
    no_scope = without_scopes(signed_in(people["alice"], clients["penora"]).access)
    for name, token in (("who she is", who_she_is), ("nothing", no_scope)):
        yield Caller(f"alice's token for {name}", Somebody("penora", "alice", frozenset()), bearer(token))
    token = signed_in(people["alice"], clients["penora"]).access
    by_token = Somebody("penora", "alice", TOKEN_SCOPES)
    yield Caller("alice's token, as 'BEARER'", by_token, bearer(token, "BEARER"))
    yield Caller("alice's token, in a browser of bob's", by_token, bearer(token), browser=browser_of(people["bob"]))
    yield Caller("alice's token, on a developer's machine", by_token, bearer(token), environ=HERE, settings=QUICKSTART)
    anybody = Somebody(None, None, KEY_SCOPES)
    yield Caller("nobody, on a developer's machine", anybody, environ=HERE, settings=QUICKSTART, thorough=True)


HERE = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}
QUICKSTART = {"DEBUG": True, "QUICKSTART_OPEN": True, "ALLOWED_HOSTS": ["*"]}


def nobodies(people: Mapping[str, User], staff: User, clients: Mapping[str, Registered]) -> Iterator[Caller]:
    """Everybody who has to be told that they have not shown who they are."""
    yield Caller("nobody")
    for name, credential in {**dead_keys(clients), **dead_tokens(people, clients)}.items():
        is_none = name.endswith(
            ("id", "digest", "secret", "never was", "exchanged")
        )  # in form; so it is one like another
        yield Caller(name, headers=bearer(credential), briefly=is_none)
    yield from misplaced(key_of(clients["penora"].client.app), signed_in(people["alice"], clients["penora"]), clients)
    for name, person in (("alice", people["alice"]), ("staff", staff)):
        yield Caller(f"the session of {name}", browser=browser_of(person))
    yield from shut_doors()


def dead_keys(clients: Mapping[str, Registered]) -> dict[str, str]:
    penora = clients["penora"].client.app
    revoked, revoked_text = accounts.create_key(app=penora, label="matrix")
    accounts.revoke_key(key_id=revoked.key_id)
    replaced, replaced_text = accounts.create_key(app=penora, label="matrix")
    accounts.rotate_key(key_id=replaced.key_id, overlap=timedelta(0))
    off = accounts.register_app(slug="gone", name="Gone", colour="#000000")
    off_text = key_of(off)
    App.objects.filter(pk=off.pk).update(is_active=False)
    return {
        "a revoked key": revoked_text,
        "an expired key": key_of(penora, expires_at=timezone.now() - timedelta(seconds=1)),
        "a key that was replaced, after its overlap": replaced_text,
        "a key of an app that is switched off": off_text,
        "a key with another's secret": with_another_secret(key_of(penora)),
        "a key that never was": keys.generate(mode="live")[0],
        "a key's id": revoked.key_id,
        "a key's digest": bytes(AppKey.objects.latest("pk").digest).hex(),
    }


def dead_tokens(people: Mapping[str, User], clients: Mapping[str, Registered]) -> dict[str, str]:
    alice, penora = people["alice"], clients["penora"]
    live = signed_in(alice, penora)
    expired, revoked, renewed, replayed = (signed_in(alice, penora) for _ in range(4))
    expire(expired.access)
    answer = Browser().post(reverse("oauth2_provider:revoke-token"), {"token": revoked.access}, headers=penora.basic())
    assert answer.status_code == 200
    assert exchange(penora, grant_type="refresh_token", refresh_token=renewed.refresh).status_code == 200
    again = {"redirect_uri": penora.redirect_uri, "code_verifier": "x" * 64}
    assert exchange(penora, grant_type="authorization_code", code=replayed.code, **again).status_code == 400
    accounts.register_app(slug="off", name="Off", colour="#000000")
    off = register(App.objects.get(slug="off"))
    of_off = signed_in(alice, off)
    App.objects.filter(slug="off").update(is_active=False)
    of_no_client = signed_in(alice, penora).access
    get_access_token_model().objects.filter(pk=row_of(of_no_client).pk).update(application=None)
    ended = {name: (make_user(name), signed_in(User.objects.get(user_id=name), penora)) for name in _ENDS}
    for name, (user, _) in ended.items():
        _ENDS[name](user)
    verifier = "v" * 64
    code = code_for(browser_of(alice), penora, scope="openid credits.read", verifier=verifier)
    return {
        "a token that has expired": expired.access,
        "a token that was revoked": revoked.access,
        "a token that was renewed": renewed.access,
        "a token whose code came twice": replayed.access,
        "a token of an app that is switched off": of_off.access,
        "a token of no app": of_no_client,
        "a token of no person": machine_token(penora.client),
        "a token that never was": tokens.access_token(None),
        "a token's digest": row_of(live.access).token_checksum,
        **{f"a token of somebody who was {name}": given.access for name, (_, given) in ended.items()},
        "a refresh token": live.refresh,
        "an ID token": live.id,
        "a code": code,
        "a code that was exchanged": live.code,
        "a client's secret": penora.secret,
        "a client's id": penora.client.client_id,
        "a person's id": alice.user_id,
    }


_ENDS: dict[str, Any] = {
    "switched off": lambda user: accounts.set_active(user=user, is_active=False),
    "switched off behind our back": lambda user: User.objects.filter(pk=user.pk).update(is_active=False),
    "signed out everywhere": lambda user: accounts.cut_off(user=user),
    "deleted": lambda user: services.delete_member(user=user),
}


def misplaced(key: str, given: Tokens, clients: Mapping[str, Registered]) -> Iterator[Caller]:
    """Good credentials, where they do not belong."""
    penora = clients["penora"]
    for name, text in (("a key", key), ("a token", given.access)):
        as_password = base64.b64encode(f"{text}:".encode()).decode()
        as_user = base64.b64encode(f"alice:{text}".encode()).decode()
        for how, header in (
            ("without a scheme", text),
            ("as Basic", f"Basic {text}"),
            ("as a password", f"Basic {as_password}"),
            ("as alice's password", f"Basic {as_user}"),
            ("as Token", f"Token {text}"),
            ("after Basic", f"Basic {as_password}, Bearer {text}"),
            ("twice", f"Bearer {text}, Bearer {text}"),
            ("as Bearer Bearer", f"Bearer Bearer {text}"),
            ("with something after it", f"Bearer {text} x"),
            ("in quotes", f'Bearer "{text}"'),
            ("as token=", f"Bearer token={text}"),
        ):
            yield Caller(f"{name} {how}", headers={"Authorization": header}, briefly=True)
        for header in ("X-API-Key", "X-Authorization", "Proxy-Authorization", "X-Access-Token"):
            yield Caller(f"{name} in {header}", headers={header: f"Bearer {text}"}, briefly=True)
        yield Caller(f"{name} in a cookie", headers={"Cookie": f"access_token={text}; Authorization=Bearer {text}"})
        for parameter in ("access_token", "token", "key"):
            yield Caller(f"{name} in the address as {parameter}", query={parameter: text}, briefly=True)
        yield Caller(f"{name} in the body", body={"access_token": text})
        form = "application/x-www-form-urlencoded"
        yield Caller(f"{name} in a form", body={"access_token": text}, content_type=form)
    yield Caller("a client's id and secret", headers=penora.basic())


def shut_doors() -> Iterator[Caller]:
    """The quickstart exception, with each condition flipped."""
    for name, off in (
        ("DEBUG off", {"DEBUG": False}),
        ("its flag off", {"QUICKSTART_OPEN": False}),
    ):
        yield Caller(f"quickstart with {name}", environ=HERE, settings={**QUICKSTART, **off})
    for header, *values in (
        ("REMOTE_ADDR", "203.0.113.9", "192.168.1.7", ""),
        ("HTTP_HOST", "unified.example", "localhost.evil.example"),
        ("HTTP_X_FORWARDED_FOR", "127.0.0.1"),
        ("HTTP_X_FORWARDED_HOST", "localhost"),
        ("HTTP_X_FORWARDED_PROTO", "http"),
        ("HTTP_FORWARDED", "for=127.0.0.1"),
        ("HTTP_ORIGIN", "http://localhost:8000", "null"),
        ("HTTP_SEC_FETCH_SITE", "cross-site", "same-site"),
        ("HTTP_AUTHORIZATION", "Bearer nonsense", ""),
    ):
        for number, value in enumerate(values):
            yield Caller(
                f"quickstart with {header} {value!r}",
                environ={**HERE, header: value},
                settings=QUICKSTART,
                briefly=number > 0,
            )
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
        yield Caller(
            f"quickstart with a body of {kind!r}",
            environ=HERE,
            settings=QUICKSTART,
            content_type=kind,
            only_writes=True,
        )
