"""
The same call twice does its work once.

The record of a key is inserted first, in the transaction of the work, and filled with the answer last, in the same
transaction. So there is never a key without an answer that anyone else can see: a crash undoes both, and a second
caller with the same key waits on the unique index until the first has committed or gone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from accounts.models import USER_ID_MAX_LENGTH
from unified.api.authentication import caller_of
from unified.api.errors import ApiError, EarlierAnswer, sqlstate_of
from unified.api.models import IdempotencyRecord
from workspace import codes

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a view answers: a status and a JSON object."""

    body: dict[str, Any]
    status: int = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that carries a key: who, where, which key, and the digest of what was asked."""

    caller: str
    route: str
    key: str
    digest: bytes
    subject: str  # whom it is about, as far as the call says, or nothing; so that a person's answers can be found

    def earlier_answer(self) -> IdempotencyRecord | None:
        """
        The committed record of this key, if there is one. Raises ApiError `idempotency_key_reused` where it was sent
        with another body.
        """
        record = IdempotencyRecord.objects.filter(caller=self.caller, route=self.route, key=self.key).first()
        if record is not None and bytes(record.request_digest) != self.digest:
            raise ApiError(
                "idempotency_key_reused", "This Idempotency-Key was sent before with another body or address."
            )
        return record

    def claim(self) -> int:
        """
        Inserts the record and returns its id. Must be called first in the transaction of the work.

        Waits for a running call with the same key, for a bounded time. Raises EarlierAnswer when that one committed,
        ApiError `request_in_progress` when it has not ended. Locks: the key, before any other row.
        """
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SET LOCAL lock_timeout = %s;"
                    "INSERT INTO api_idempotencyrecord (caller, route, key, subject, request_digest, body)"
                    " VALUES (%s, %s, %s, %s, %s, '') ON CONFLICT (caller, route, key) DO NOTHING RETURNING id",
                    [settings.IDEMPOTENCY_WAIT_MS, self.caller, self.route, self.key, self.subject, self.digest],
                )
                inserted = cursor.fetchone()
                cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
        except OperationalError as trouble:
            if sqlstate_of(trouble) != _LOCK_NOT_AVAILABLE:
                raise
            raise ApiError(
                "request_in_progress",
                "The first call with this Idempotency-Key is still running.",
                headers={"Retry-After": "1"},
            ) from None
        if inserted is not None:
            return int(inserted[0])
        record = self.earlier_answer()
        if record is None:  # it was removed between the two statements: its time was over
            raise ApiError("request_in_progress", "Try again in a moment.", headers={"Retry-After": "1"})
        raise EarlierAnswer(record)


def attempt_of(request: Request, *, route: str, code: str | None = None) -> Attempt | None:
    """
    The attempt that this request is, or None if it carries no key. `code` is of the project that the address names, if
    it names one. Raises ApiError for a malformed key.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise ApiError(
            "validation_error",
            "An Idempotency-Key has 1 to 255 visible ASCII characters.",
            fields={"Idempotency-Key": ["1 to 255 visible ASCII characters are needed."]},
        )
    # The parsed body, so that a client that orders its names anew, or spaces them otherwise, is not told of a misuse.
    # What the address names is part of what is asked.
    asked = _canonical(request.data) if code is None else [codes.fold(code) or code, _canonical(request.data)]
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()
    caller = caller_of(request)
    named = request.data.get("user_id") if isinstance(request.data, dict) else None
    subject = caller.user.user_id if caller.user else named  # with a token, its person need not be named
    return Attempt(
        caller=caller.scope,
        route=route,
        key=key,
        digest=hashlib.sha256(canonical).digest(),
        subject=subject if isinstance(subject, str) and len(subject) <= USER_ID_MAX_LENGTH else "",
    )


def _canonical(value: Any) -> Any:
    """`value` with 2.0 written as 2: the contract takes them for the same amount."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list) else value


def once(
    attempt: Attempt | None, work: Callable[[], Answer], *, as_refusal: Callable[[Exception], ApiError | None]
) -> Answer:
    """
    Does `work`, once for all calls of the same attempt, and keeps its answer with it.

    `work` is one service call, atomic in itself: a refusal has undone what it wrote before its answer is kept.
    `as_refusal` gives the answer for an exception that is a business refusal, and None for any other exception; those
    undo the record too, so that mending the cause and repeating the call is possible.
    """
    if attempt is None:
        return work()
    with transaction.atomic():
        record_id = attempt.claim()
        try:
            answer = work()
        except Exception as exc:
            refusal = as_refusal(exc)
            if refusal is None:
                raise
            answer = Answer(refusal.body(), refusal.status)
        # Rendered as the first answer is about to be, so that a replay is the same to the byte.
        body = JSONRenderer().render(answer.body).decode()
        IdempotencyRecord.objects.filter(pk=record_id).update(status=answer.status, body=body)
    return answer
