"""What is refused before a page sees it, and how the refusals of signing in look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from social_core.exceptions import AuthCanceled, AuthProviderError, AuthSessionError, SocialAuthBaseException
from social_django.middleware import SocialAuthExceptionMiddleware

from accounts.services import note_refused_sign_in
from unified.sso import pages
from unified.sso.google import SignedInAsAnother, SignsInWithPassword

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class NulInRequest(SuspiciousOperation):
    """Answered with 400."""


class NoNulMiddleware:
    """
    A NUL anywhere in the path, the query or a form is a 400: PostgreSQL stores none, and would answer with an error
    wherever one is looked up. (The API's JSON has a parser of its own for that.)
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith("/api/"):
            self._check(request)
        return self.get_response(request)

    def _check(self, request: HttpRequest) -> None:
        query = request.META.get("QUERY_STRING", "")
        if "\x00" in request.path or "\x00" in query or "%00" in query:
            raise NulInRequest("There is a NUL in the address.")
        if request.content_type in _FORMS and any(
            "\x00" in name or any("\x00" in value for value in values) for name, values in request.POST.lists()
        ):
            raise NulInRequest("There is a NUL in the form.")


class SignInRefusalMiddleware(SocialAuthExceptionMiddleware):
    """Whatever goes wrong between us and the identity provider is told on a page of ours, with what to do about it."""

    def get_redirect_uri(self, request: HttpRequest, exception: Exception) -> None:
        return None

    def render_error(self, request: HttpRequest, exception: SocialAuthBaseException) -> HttpResponse:
        status = int(self.get_error_status(request, exception))
        self._log_error(exception, status)
        note_refused_sign_in(user=exception.context.get("member"), reason=exception.code)
        return pages.refused(request, status=status, **_told(exception))


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
