"""
Who did what to whose access: sign-ins, keys, clients, roles. A line in the log and a row that stays.

The row is written in the transaction of the deed, so there is neither a deed without its row nor a row without its
deed. Where a request comes from is noted by whoever takes requests in (`origin`), so that services need not hand it on.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from accounts.models import App, AuditEntry, User

logger = logging.getLogger("unified.audit")


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that something was done in. `address` is an IP address."""

    address: str | None = None
    request_id: str = ""


origin: ContextVar[Origin] = ContextVar("audit_origin", default=Origin())  # noqa: B039  it is frozen


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
    name no secret, no name and no e-mail: the row outlives the person. Locks: the new row.
    """
    where = origin.get()
    entry = AuditEntry.objects.create(
        event=event,
        actor=actor,
        subject=subject,
        app=app,
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
