"""
Who is calling: an app with its key, an app with the token of one person, or, on a developer's own machine only, the
quickstart exception.

The caller becomes `request.user`: not a person, but an app that acts for persons, or for the one whose token it has.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from accounts import keys, tokens
from accounts.models import App, User
from accounts.scopes import KEY_SCOPES, parse
from accounts.services import authenticate_key, authenticate_token, was_a_credential
from unified.callers import place_of
from unified.throttles import CREDENTIALS

# A page of another origin can make a browser send GET and HEAD, which change nothing; DELETE it has to ask for first.
BODILESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who a call comes from. `app` is the app that a key or token belongs to; without one (quickstart) any app may be
    named. `user` is the person whose token it is: nobody else can be named then. `scopes` is what the credential is
    good for. `scope` tells callers apart, for idempotency keys and throttles; `name` does so in the log, which outlives
    people and does not say who they are.
    """

    scope: str
    app: App | None
    user: User | None = None
    scopes: frozenset[str] = frozenset(KEY_SCOPES)
    is_authenticated: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"token:{self.app.slug}:#{self.user.pk}" if self.app and self.user else self.scope

    def may_act_as(self, app: App) -> bool:
        return self.app is None or self.app.pk == app.pk


QUICKSTART = Caller(scope="quickstart", app=None)


class BearerAuthentication(BaseAuthentication):
    """
    `Authorization: Bearer …`, with an app key or an access token; which of the two, its form says. One query for what
    can be either, none for anything else. Whoever brings many that are neither has to wait; whoever is right does not.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Any] | None:
        header = get_authorization_header(request)
        if not header:
            return None
        scheme, _, text = header.decode("latin-1").partition(" ")
        text = text.strip()
        is_key = keys.parse(text) is not None
        if scheme.lower() != "bearer" or not (is_key or tokens.is_access_token(text)):
            raise _invalid()  # nothing is looked up
        found = _of_key(text) if is_key else _of_token(text)
        if found is None:
            place = place_of(request._request)
            seconds = CREDENTIALS.wait(place)
            if seconds:
                raise Throttled(wait=seconds)
            if not was_a_credential(text):  # one that has run out is no guess
                CREDENTIALS.count(place)
            raise _invalid()
        return _remember(request, found), text

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _of_key(text: str) -> Caller | None:
    key = authenticate_key(text)
    return Caller(scope=f"app:{key.app.slug}", app=key.app, scopes=parse(key.scopes)) if key else None


def _of_token(text: str) -> Caller | None:
    token = authenticate_token(text)
    if token is None:
        return None
    app, user = token.application.app, token.user
    return Caller(scope=f"token:{app.slug}:{user.user_id}", app=app, user=user, scopes=parse(token.scope))


def _invalid() -> AuthenticationFailed:
    return AuthenticationFailed("The credential is not valid, or has expired or been revoked.")


class QuickstartAuthentication(BaseAuthentication):
    """
    Lets the guide's samples run without a credential, where nobody but the developer can be calling. All of it has to
    hold: a request that passed a proxy, or that a page of another origin made a browser send, is not the developer's.
    """

    def authenticate(self, request: Request) -> tuple[Caller, Any] | None:
        if not is_quickstart(request._request):
            return None
        return _remember(request, QUICKSTART), None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def is_quickstart(request: HttpRequest) -> bool:
    """Whether every condition of the quickstart exception holds for this request."""
    return (
        settings.DEBUG
        and settings.QUICKSTART_OPEN
        and "HTTP_AUTHORIZATION" not in request.META
        and _is_loopback(request.META.get("REMOTE_ADDR", ""))
        and _names_this_machine(request.META.get("HTTP_HOST", ""))
        and not any(name == "HTTP_FORWARDED" or name.startswith("HTTP_X_FORWARDED") for name in request.META)
        and "HTTP_ORIGIN" not in request.META
        and request.META.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")
        and (request.method in BODILESS_METHODS or request.content_type == "application/json")
    )


def caller_of(request: Request) -> Caller:
    """Who a call comes from, once it has been authenticated."""
    caller: Any = request.user
    assert isinstance(caller, Caller)  # noqa: S101  every view that asks requires authentication
    return caller


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _names_this_machine(host: str) -> bool:
    name, _ = split_domain_port(host)
    return name == "localhost" or _is_loopback(name.strip("[]"))


def _remember(request: Request, caller: Caller) -> Caller:
    """For the log line and the answer's headers, which are written outside of DRF."""
    request._request.unified_caller = caller  # type: ignore[attr-defined]
    return caller
