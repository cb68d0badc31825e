"""What is refused before a page sees it, and how the refusals of signing in look."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.defaults import bad_request
from social_core.exceptions import AuthCanceled, AuthProviderError, AuthSessionError, SocialAuthBaseException
from social_django.middleware import SocialAuthExceptionMiddleware

from accounts.services import note_refused_sign_in
from unified.sso import pages
from unified.sso.google import SignedInAsAnother, SignsInWithPassword

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_ENCODINGS = ("utf-8", "utf8")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ADDRESSES = ("redirect_uri", "post_logout_redirect_uri", "resource")


class MalformedRequest(SuspiciousOperation):
    """Answered with 400."""


class WellFormedMiddleware:
    """
    What cannot be taken as it is meant is a 400, where it would end in an error of ours further in: a NUL in the path,
    the query, a form or a cookie (PostgreSQL stores none), an escape that is none and an address that is none (Python
    raises), another encoding than UTF-8. The API has rules of its own for its JSON.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/api/"):
            try:
                self._check(request)
            except MalformedRequest as problem:
                return bad_request(request, problem)  # ours with DEBUG too, where Django would show what it knows
        return self.get_response(request)

    def _check(self, request: HttpRequest) -> None:
        if (request.content_params or {}).get("charset", "utf-8").lower() not in _ENCODINGS:
            raise MalformedRequest("The request is not in UTF-8.")
        query = request.META.get("QUERY_STRING", "")
        if _BROKEN_ESCAPE.search(query):
            raise MalformedRequest("There is a % in the query that escapes nothing.")
        if not request.META.get("HTTP_AUTHORIZATION", "").isascii():
            raise MalformedRequest("The header Authorization is not in ASCII.")
        parameters = list(request.GET.lists())
        if request.content_type in _FORMS:
            parameters += request.POST.lists()
        texts = [request.path, query, *request.COOKIES, *request.COOKIES.values()]
        texts += [text for name, values in parameters for text in (name, *values)]
        if any("\x00" in text for text in texts):
            raise MalformedRequest("There is a NUL in the request.")
        for name, values in parameters:
            if name in _ADDRESSES and not all(_can_be_read(part) for value in values for part in value.split()):
                raise MalformedRequest(f"{name} is no address.")


def _can_be_read(address: str) -> bool:
    """Whether Python can take it apart. Whether it is one that is allowed, the library asks."""
    try:
        _ = urlsplit(address).port
    except ValueError:
        return False
    return True


class SignInRefusalMiddleware(SocialAuthExceptionMiddleware):
    """Whatever goes wrong between us and the identity provider is told on a page of ours, with what to do about it."""

    def get_redirect_uri(self, request: HttpRequest, exception: Exception) -> None:
        return None

    def render_error(self, request: HttpRequest, exception: SocialAuthBaseException) -> HttpResponse:
        status = int(self.get_error_status(request, exception))
        if exception.stage == "callback" and status >= 500:
            status = 400  # what is wrong came with the browser: no trouble of the issuer's or of ours
        self._log_error(exception, status)
        note_refused_sign_in(user=exception.context.get("member"), reason=exception.code)
        # Where the person was going to, an app perhaps, the library has kept. The sign-in page looks at it again.
        onwards = request.session.get(REDIRECT_FIELD_NAME, "")
        return pages.refused(request, status=status, onwards=onwards, **_told(exception))


def _told(exception: SocialAuthBaseException) -> dict[str, Any]:
    if isinstance(exception, SignedInAsAnother):
        return {
            "title": "You are signed in as somebody else",
            "sentence": "The account that you chose belongs to another person than the one who is signed in here. Sign "
            "out first, then sign in with it.",
            "signout": True,
        }
    if isinstance(exception, SignsInWithPassword):
        return {
            "title": "This account signs in with a password",
            "sentence": "It has a password of its own, so it cannot be opened through another account.",
        }
    if isinstance(exception, AuthCanceled):
        return {"title": "You were not signed in", "sentence": "You have stopped the sign-in, or declined it."}
    if isinstance(exception, AuthSessionError):
        return {
            "title": "This sign-in cannot go on",
            "sentence": "It took too long, was finished already, or was begun in another browser. Start again.",
        }
    if isinstance(exception, AuthProviderError):
        return {
            "title": "The sign-in service does not answer",
            "sentence": "We could not reach it, or it refused to answer. Try again in a moment.",
        }
    return {"title": "You could not be signed in", "sentence": "The sign-in service's answer was not as it has to be."}
