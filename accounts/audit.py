"""
Who did what to whom: sign-ins, keys, clients, roles, and everything that staff write. A line in the log and a row that
stays.

The row is written in the transaction of the deed, so there is neither a deed without its row nor a row without its
deed. Where a request comes from is noted by whoever takes requests in (`origin`), and why staff do something by the
page that has asked them (`because`), so that services need not hand either on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from accounts.models import REASON_MAX_LENGTH, App, AuditEntry, User

logger = logging.getLogger("unified.audit")


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that something was done in. `address` is an IP address."""

    address: str | None = None
    request_id: str = ""


origin: ContextVar[Origin] = ContextVar("audit_origin", default=Origin())  # noqa: B039  it is frozen
_reason: ContextVar[str] = ContextVar("audit_reason", default="")


@contextmanager
def because(reason: str) -> Iterator[None]:
    """Everything that is recorded inside is done for this reason, in the actor's words (up to 500 characters of it)."""
    token = _reason.set(reason.replace("\0", "").strip()[:REASON_MAX_LENGTH])
    try:
        yield
    finally:
        _reason.reset(token)


def record(
    event: AuditEntry.Event,
    *,
    actor: User | None = None,
    subject: User | None = None,
    app: App | None = None,
    **details: Any,
) -> AuditEntry:
    """
    Notes that `actor` (None: the system, or somebody at the command line) did `event` to `subject` or `app`. Details
    name no secret, no name and no e-mail: the row outlives the person. A change has `before` and `after` in them.
    Locks: the new row.
    """
    where = origin.get()
    entry = AuditEntry.objects.create(
        event=event,
        actor=actor,
        subject=subject,
        app=app,
        reason=_reason.get(),
        details=details,
        ip=where.address,
        request_id=where.request_id,
    )
    logger.info(
        "%s actor=%s subject=%s app=%s %s",
        event.value,
        actor.pk if actor else "-",
        subject.pk if subject else "-",
        app.slug if app else "-",
        " ".join(f"{name}={value!r}" for name, value in details.items()),
    )
    return entry
