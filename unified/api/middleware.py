"""
Around every request: an id that the log, the answer and the caller share; and the contract's form for failures under
`/api/` that no view answered (an unknown host, a refused body, a crash in Django itself).
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts import audit
from unified.api.authentication import QUICKSTART
from unified.api.errors import ERRORS, ApiError, body_too_large, envelope, internal_error
from unified.callers import address_of
from unified.figures import failures
from unified.logs import current_request_id

logger = logging.getLogger("unified.requests")

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_QUIET = frozenset({"/healthz", "/readyz", "/live/"})  # asked every few seconds, by machines and open pages


class RequestIdMiddleware:
    """Takes `X-Request-ID` (or makes one), returns it, and logs one line a request. Outermost."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-ID", "")
        # An id that could forge a log line or a header is replaced, not repaired.
        request_id = given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        token = current_request_id.set(request_id)
        origin = audit.origin.set(audit.Origin(address=address_of(request), request_id=request_id))
        started = time.perf_counter()
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            caller = getattr(request, "unified_caller", None)
            if caller is QUICKSTART:
                response["X-Unified-Auth"] = "quickstart-open"
            if request.path not in _QUIET:
                logger.info(
                    "%s %s %s %.1fms %s",
                    request.method,
                    request.path.encode("unicode_escape").decode(),
                    response.status_code,
                    1000 * (time.perf_counter() - started),
                    caller.name if caller else "-",
                )
            return response
        finally:
            audit.origin.reset(origin)
            current_request_id.reset(token)


class ApiEnvelopeMiddleware:
    """Turns any failure under `/api/` that is not in the contract's form yet into it, and counts all of them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not f"{request.path}/".startswith("/api/"):
            return self.get_response(request)
        response = self._answered(request)
        if response.status_code >= 400:
            caller = getattr(request, "unified_caller", None)
            app = caller.app if caller else None
            failures.count(app_id=app.pk if app else None, code=_code_of(response))
        if response.status_code != 503:  # the database would hardly take it
            failures.write_if_due()
        return response

    def _answered(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return envelope(ApiError("permission_denied", "Use https: a key that was sent in the clear is no secret."))
        response = self.get_response(request)
        if response.status_code < 400:
            return response
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        replacement = envelope(_error_for(response.status_code, request))
        if "Allow" in response.headers:
            replacement["Allow"] = response.headers["Allow"]
        return replacement


def _code_of(response: Any) -> str:
    """Read from the answer itself, which has one form wherever it was made; also one that an earlier call was given."""
    try:
        code = json.loads(response.content)["code"]
    except (AttributeError, ValueError, TypeError, KeyError):
        code = None
    return code if isinstance(code, str) and code in ERRORS else "unknown"


def _error_for(status: int, request: HttpRequest) -> ApiError:
    if status == 404:
        return ApiError("not_found", "There is nothing at this address.")
    if status == 405:
        return ApiError("method_not_allowed", f'Method "{request.method}" not allowed.')
    if status == 413:
        return body_too_large()
    if status == 403:
        return ApiError("permission_denied", "This is not allowed.")
    if status < 500:
        return ApiError("validation_error", "The request is malformed, or names a host that is not served.", fields={})
    return internal_error(request, None)  # Django has logged the cause
