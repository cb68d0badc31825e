"""
Every failure under `/api/`, in the one form that the contract gives: a title, a sentence, a code, and the numbers that
a client needs to act.

Domain exceptions are turned into answers here and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions as drf
from rest_framework.response import Response

from accounts.queries import upgrades_for
from accounts.services import InvalidUserId, NoDefaultPlan, UserHasLeft
from credits.services import (
    HoldNotActive,
    HoldNotFound,
    InsufficientCredits,
    InvalidAmount,
    InvalidDuration,
    NotRefundable,
    RefundExceedsCharge,
    TransactionNotFound,
)
from unified.api import outputs
from unified.api.figures import described_offer, etag_of, megabytes_text, plural, timestamp
from unified.api.models import IdempotencyRecord
from workspace.content import InvalidContent
from workspace.encoders import EncodersBusy
from workspace.images import InvalidImage
from workspace.queries import largest_projects
from workspace.services import (
    EditConflict,
    MetadataTooLarge,
    ProjectLimitReached,
    ProjectNotFound,
    StorageLimitExceeded,
)

if TYPE_CHECKING:
    from accounts.models import User

AnyResponse = TypeVar("AnyResponse", bound=HttpResponse)

logger = logging.getLogger("unified.api")

# code -> status and title: the contract's table of errors.
ERRORS: dict[str, tuple[int, str]] = {
    "validation_error": (400, "Invalid request"),
    "invalid_json": (400, "Invalid JSON"),
    "invalid_image": (400, "Invalid image"),
    "not_authenticated": (401, "Authentication required"),
    "insufficient_credits": (402, "Insufficient credits"),
    "permission_denied": (403, "Permission denied"),
    "not_found": (404, "Not found"),
    "user_not_found": (404, "User not found"),
    "project_not_found": (404, "Project not found"),
    "hold_not_found": (404, "Hold not found"),
    "transaction_not_found": (404, "Transaction not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "hold_not_active": (409, "Hold not active"),
    "refund_exceeds_charge": (409, "Refund exceeds charge"),
    "request_in_progress": (409, "Request in progress"),
    "edit_conflict": (412, "Edit conflict"),
    "payload_too_large": (413, "Payload too large"),
    "storage_limit_exceeded": (413, "Storage limit exceeded"),
    "project_limit_reached": (413, "Project limit reached"),
    "unsupported_media_type": (415, "Unsupported media type"),
    "range_not_satisfiable": (416, "Range not satisfiable"),
    "idempotency_key_reused": (422, "Idempotency key reused"),
    "throttled": (429, "Too many requests"),
    "internal_error": (500, "Internal error"),
    "service_unavailable": (503, "Service unavailable"),
}

# Refusals that a late retry must not turn into a success by surprise: kept with their idempotency key.
KEPT_REFUSALS = frozenset({402, 409, 413})

# SQLSTATE classes in which the server itself says that the transaction is undone: resources, lock and statement
# time-outs, deadlock, a read-only server. (https://www.postgresql.org/docs/15/errcodes-appendix.html)
READ_ONLY = "25006"
_SURELY_UNDONE = (READ_ONLY, "40", "53", "55", "57014")


_WHOLE = "request"  # in `fields`: what is wrong with no one of them


class ApiError(Exception):
    """An answer that is not a success. `extra` are further keys beside the contract's four."""

    def __init__(
        self,
        code: str,
        details: str,
        *,
        fields: dict[str, list[str]] | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(details)
        self.code = code
        self.status, self.title = ERRORS[code]
        self.details = details
        self.headers = headers or {}
        self.extra = extra if fields is None else {"fields": fields, **extra}

    def body(self) -> dict[str, Any]:
        return {"success": False, "error": self.title, "details": self.details, "code": self.code, **self.extra}


class EarlierAnswer(Exception):
    """The idempotency key was used before for the same call: its answer stands, and nothing is done."""

    def __init__(self, record: IdempotencyRecord) -> None:
        super().__init__(str(record))
        self.record = record

    def response(self) -> HttpResponse:
        response = HttpResponse(self.record.body, status=self.record.status, content_type="application/json")
        response["Idempotent-Replayed"] = "true"
        return _logged(response)


def invalid(**fields: str) -> ApiError:
    """Bad input in the named fields."""
    name, message = next(iter(fields.items()))
    return ApiError("validation_error", f"{name}: {message}", fields={name: [text] for name, text in fields.items()})


def project_not_found(code: str) -> ApiError:
    return ApiError("project_not_found", "No project has this code.", project_code=code)


def user_not_found(user_id: str) -> ApiError:
    return ApiError("user_not_found", "No user has this user_id.", user_id=user_id)


def exception_handler(exc: Exception, context: dict[str, Any]) -> HttpResponse:
    """DRF's hook: any exception of a view, as the contract's answer."""
    if isinstance(exc, EarlierAnswer):
        return exc.response()
    error = as_api_error(exc, member=getattr(context["view"], "member", None), request=context["request"])
    return _logged(Response(error.body(), status=error.status, headers=error.headers))


def envelope(error: ApiError) -> JsonResponse:
    """The same answer from outside DRF."""
    return _logged(JsonResponse(error.body(), status=error.status, headers=error.headers))


def _logged(response: AnyResponse) -> AnyResponse:
    """The log already has what is worth saying; Django would add a line without the cause."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def as_api_error(exc: Exception, *, member: User | None, request: Any) -> ApiError:
    """What to answer for `exc`; `member` is the person whom the call is about, where that is known by now."""
    if isinstance(exc, ApiError):
        return exc
    if type(exc) in _DOMAIN:
        return _DOMAIN[type(exc)](exc, member)
    if isinstance(exc, drf.APIException):
        return _from_drf(exc)
    if isinstance(exc, Http404):
        return ApiError("not_found", "There is nothing at this address.")
    if isinstance(exc, DjangoPermissionDenied):
        return ApiError("permission_denied", "This is not allowed.")
    if isinstance(exc, RequestDataTooBig):
        return body_too_large()
    if isinstance(exc, SuspiciousOperation):
        return ApiError("validation_error", "The request is malformed.", fields={})
    if isinstance(exc, (OperationalError, InterfaceError)) or sqlstate_of(exc) == READ_ONLY:
        return _database_trouble(exc, writes=request.method not in ("GET", "HEAD", "OPTIONS"))
    return internal_error(request, exc)


def as_refusal(exc: Exception, *, member: User | None) -> ApiError | None:
    """The answer for `exc` if it is a business refusal (402, 409, 413), else None."""
    if type(exc) not in _DOMAIN:
        return None
    error = _DOMAIN[type(exc)](exc, member)
    return error if error.status in KEPT_REFUSALS else None


def deactivated() -> ApiError:
    return ApiError("permission_denied", "This user is deactivated; nothing can be changed on their behalf.")


def body_too_large() -> ApiError:
    return ApiError(
        "payload_too_large",
        f"A request body has at most {settings.MAX_BODY_BYTES} bytes.",
        limit_bytes=settings.MAX_BODY_BYTES,
    )


def internal_error(request: HttpRequest, exc: BaseException | None) -> ApiError:
    """A defect of ours: logged whole under the request id, and the caller is told the id and nothing else."""
    if exc is not None:
        logger.error("%s %a crashed", request.method, request.path, exc_info=exc)
    request_id = getattr(request, "request_id", "-")
    return ApiError("internal_error", f"Something went wrong on our side; the request id is {request_id}.")


def _database_trouble(exc: Exception, *, writes: bool) -> ApiError:
    """
    503. A transaction that the server says is undone left nothing. When the connection broke instead, a commit may or
    may not have arrived, and only a repeat with the same key can tell.
    """
    sqlstate = sqlstate_of(exc)
    if sqlstate == READ_ONLY:
        connection.close()  # a former primary: the next connection should find the present one
    logger.error("database trouble, SQLSTATE %s: %s", sqlstate or "none", str(exc).strip())
    never_connected = "connection to server" in str(exc) and "failed" in str(exc)
    if not writes or never_connected or sqlstate.startswith(_SURELY_UNDONE):
        details = "The database did not answer in time; nothing was kept."
    else:
        details = (
            "The database connection broke; the outcome is unknown. Repeat the call with the same Idempotency-Key."
        )
    return ApiError("service_unavailable", details, headers={"Retry-After": "2"})


def sqlstate_of(exc: Exception) -> str:
    """PostgreSQL's code for what happened, or nothing where the server said nothing."""
    return getattr(exc.__cause__, "pgcode", None) or ""


def _from_drf(exc: drf.APIException) -> ApiError:
    if isinstance(exc, drf.ValidationError):
        fields = _messages(exc.detail)
        name, messages = next(iter(fields.items()), (_WHOLE, ["Invalid."]))
        return ApiError("validation_error", f"{name}: {messages[0]}", fields=fields)
    if isinstance(exc, drf.NotAuthenticated):
        hint = (
            " Without one, only calls from this machine itself, with JSON bodies and from no web page, are let in."
            * settings.QUICKSTART_OPEN
        )
        exc = drf.AuthenticationFailed(f"Send 'Authorization: Bearer <app key>'.{hint}")
    if isinstance(exc, drf.AuthenticationFailed):
        return ApiError("not_authenticated", str(exc.detail), headers={"WWW-Authenticate": "Bearer"})
    if isinstance(exc, drf.MethodNotAllowed):
        return ApiError("method_not_allowed", str(exc.detail))
    if isinstance(exc, drf.Throttled):
        wait = max(1, round(getattr(exc, "wait", None) or 1))
        return ApiError("throttled", f"Try again in {plural(wait, 'second')}.", headers={"Retry-After": str(wait)})
    codes: dict[type, str] = {
        drf.ParseError: "invalid_json",
        drf.PermissionDenied: "permission_denied",
        drf.NotFound: "not_found",
        drf.UnsupportedMediaType: "unsupported_media_type",
    }
    return ApiError(codes.get(type(exc), "validation_error"), str(exc.detail))


def _messages(detail: Any) -> dict[str, list[str]]:
    """DRF's nested messages, flat: one list of sentences a field, or for the `request` as a whole."""
    if not isinstance(detail, dict):
        return {_WHOLE: [str(message) for message in detail]}
    flat: dict[str, list[str]] = {}
    for name, messages in detail.items():
        if isinstance(messages, dict):  # of an object within the body: charge.amount
            for inner, found in _messages(messages).items():
                flat[str(name) if inner == _WHOLE else f"{name}.{inner}"] = found
        else:
            field = _WHOLE if name == "non_field_errors" else str(name)
            flat[field] = [str(message) for message in (messages if isinstance(messages, list) else [messages])]
    return flat


def _upgrades(member: User | None) -> list[dict[str, Any]]:
    """What every refusal for want of credits or room offers."""
    return [described_offer(step) for step in upgrades_for(member)] if member else []


def _insufficient_credits(exc: Any, member: User | None) -> ApiError:
    return ApiError(
        "insufficient_credits",
        f"User has {plural(exc.available, 'credit')} but needs {exc.needed}",
        credits=exc.available,
        needed=exc.needed,
        shortfall=exc.needed - exc.available,
        upgrade=_upgrades(member),
    )


def _storage_limit_exceeded(exc: Any, member: User | None) -> ApiError:
    return ApiError(
        "storage_limit_exceeded",
        f"Adding {megabytes_text(exc.needed_bytes)}MB would exceed {megabytes_text(exc.limit_bytes)}MB limit",
        needed_bytes=exc.needed_bytes,
        available_bytes=exc.available_bytes,
        largest=outputs.largest(largest_projects(member)) if member else [],
        upgrade=_upgrades(member),
    )


def _hold_not_active(exc: HoldNotActive, _: User | None) -> ApiError:
    hold = exc.hold
    told = {
        "captured": "The hold was captured before, with {captured}.",
        "released": "The hold was released before.",
        "expired": "The hold's time was over at {expires_at}; its credits are free again.",
    }
    captured = plural(-hold.entry.amount, "credit") if hold.entry else ""
    return ApiError(
        "hold_not_active",
        told[exc.status].format(captured=captured, expires_at=timestamp(hold.expires_at)),
        hold_id=str(hold.pk),
        status=str(exc.status),
        expires_at=timestamp(hold.expires_at),
        transaction_id=str(hold.entry_id) if hold.entry_id else None,
        project_code=hold.entry.project_code if hold.entry else None,
    )


def _refund_exceeds_charge(exc: RefundExceedsCharge, _: User | None) -> ApiError:
    refundable = exc.charged - exc.refunded
    left = f"{plural(refundable, 'credit')} can still be refunded" if refundable else "nothing is left to refund"
    return ApiError(
        "refund_exceeds_charge",
        f"Of {plural(exc.charged, 'credit')} charged, {exc.refunded} are refunded already: {left}.",
        charged=exc.charged,
        refunded=exc.refunded,
        refundable=refundable,
    )


def _edit_conflict(exc: EditConflict, _: User | None) -> ApiError:
    etag = etag_of(exc.project)
    return ApiError(
        "edit_conflict",
        "The project has been changed since; get it again and repeat the edit on what it is now.",
        headers={"ETag": etag},
        etag=etag,
    )


_DOMAIN: dict[type[Exception], Callable[[Any, User | None], ApiError]] = {
    InsufficientCredits: _insufficient_credits,
    StorageLimitExceeded: _storage_limit_exceeded,
    ProjectLimitReached: lambda exc, _: ApiError(
        "project_limit_reached", f"A user has at most {plural(exc.limit, 'project')}.", limit=exc.limit
    ),
    NoDefaultPlan: lambda *_: ApiError(
        "service_unavailable", "The service is not set up yet; nothing was kept.", headers={"Retry-After": "60"}
    ),
    ProjectNotFound: lambda exc, _: project_not_found(str(exc)),
    EditConflict: _edit_conflict,
    EncodersBusy: lambda *_: ApiError(
        "service_unavailable",
        "Too many pictures are being encoded just now; nothing was kept.",
        headers={"Retry-After": "1"},
    ),
    UserHasLeft: lambda *_: deactivated(),
    InvalidUserId: lambda exc, _: invalid(user_id=str(exc)),
    HoldNotFound: lambda exc, _: ApiError("hold_not_found", "No hold of yours has this hold_id.", hold_id=str(exc)),
    TransactionNotFound: lambda exc, _: ApiError(
        "transaction_not_found", "No transaction of yours has this transaction_id.", transaction_id=str(exc)
    ),
    HoldNotActive: _hold_not_active,
    RefundExceedsCharge: _refund_exceeds_charge,
    NotRefundable: lambda exc, _: invalid(transaction_id=str(exc)),
    InvalidDuration: lambda exc, _: invalid(expires_in=str(exc)),
    InvalidAmount: lambda exc, _: invalid(amount=str(exc)),
    InvalidContent: lambda exc, _: invalid(content=str(exc)),
    InvalidImage: lambda exc, _: ApiError("invalid_image", str(exc), fields={"content": [str(exc)]}),
    MetadataTooLarge: lambda exc, _: invalid(metadata=str(exc)),
}
