"""Adjustments: what a member of staff adds or takes, with a reason, within the limits of their role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Sum
from django.db.models.functions import Abs, Now

from accounts.models import User
from accounts.services import lock_user
from credits.models import (
    DESCRIPTION_MAX_LENGTH,
    IDEMPOTENCY_KEY_MAX_LENGTH,
    MAX_AMOUNT,
    AdjustmentLimit,
    LedgerEntry,
)
from credits.services.books import Books, InvalidAmount, moment_text
from credits.services.spending import InvalidGrant, check_terms


class AdjustmentNotAllowed(Exception):
    """The actor is no active member of staff, or none of their roles may adjust credits."""


class AdjustmentLimitExceeded(Exception):
    """More than the actor's role allows. Figures are credits; `left_today` is what they may move yet, None if any."""

    def __init__(self, *, per_adjustment: int, left_today: int | None) -> None:
        today = "" if left_today is None else f", {left_today} left in these 24 hours"
        super().__init__(f"at most {per_adjustment} at a time{today}")
        self.per_adjustment = per_adjustment
        self.left_today = left_today


class AdjustmentKeyReused(Exception):
    """The idempotency key belongs to another adjustment of this account."""


class ReasonNeeded(ValueError):
    """An adjustment says why, in 1 to 500 characters."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a member of staff may adjust, in credits. `per_day` is None where there is no such limit."""

    per_adjustment: int
    per_day: int | None


@transaction.atomic
def adjust(
    *,
    user: User,
    amount: int,
    reason: str,
    actor: User,
    idempotency_key: str,
    expires_at: datetime | None = None,
) -> LedgerEntry:
    """
    Adds `amount` credits, or takes `-amount` (up to a million either way). Added ones may expire; taken ones are taken
    as a deduction would take them, and never more than can be spent: what holds have claimed is not touched.

    The same key again for the same person returns the first entry and changes nothing. Raises AdjustmentNotAllowed,
    AdjustmentLimitExceeded, AdjustmentKeyReused, ReasonNeeded, InvalidAmount, InvalidGrant, InsufficientCredits; then
    nothing is written. Locks: the actor's row (so that a day's limit cannot be passed by two at once), the account.
    """
    if not 1 <= abs(amount) <= MAX_AMOUNT:
        raise InvalidAmount(f"An adjustment is of 1 to {MAX_AMOUNT} credits, up or down.")
    if not reason.strip() or len(reason) > DESCRIPTION_MAX_LENGTH:
        raise ReasonNeeded(f"An adjustment needs a reason, of at most {DESCRIPTION_MAX_LENGTH} characters.")
    if not 1 <= len(idempotency_key) <= IDEMPOTENCY_KEY_MAX_LENGTH:
        raise ValueError(f"An idempotency key has 1 to {IDEMPOTENCY_KEY_MAX_LENGTH} characters.")
    if expires_at is not None and amount < 0:
        raise InvalidGrant("Only credits that are added can expire.")
    actor = lock_user(user=actor)
    limits = limits_of(actor)
    books = Books(user)
    first = LedgerEntry.objects.filter(account=books.account, idempotency_key=idempotency_key).first()
    if first is not None:
        until = moment_text(expires_at) if expires_at else None
        kept = (first.amount, first.description, first.actor_id, first.metadata.get("expires_at"))
        if kept != (amount, reason, actor.pk, until):
            raise AdjustmentKeyReused(idempotency_key)
        return first
    check_limits(actor, abs(amount), limits=limits)
    check_terms(books, expires_at=expires_at, priority=None)
    if amount < 0:
        books.require(-amount)
    entry = books.enter(
        LedgerEntry.Type.ADJUSTMENT,
        amount,
        description=reason,
        actor=actor,
        source=LedgerEntry.Source.ADJUSTMENT if amount > 0 else None,
        idempotency_key=idempotency_key,
    )
    if amount < 0:
        books.spend(entry)
    elif expires_at is not None:
        books.add_lot(entry, amount, expires_at=expires_at)
    books.write()
    return entry


def limits_of(actor: User) -> Limits:
    """What `actor` may adjust: the highest of their roles. Raises AdjustmentNotAllowed. At most one query."""
    if not (actor.is_active and actor.is_staff):
        raise AdjustmentNotAllowed("Only active members of staff adjust credits.")
    if actor.is_superuser:
        return Limits(per_adjustment=MAX_AMOUNT, per_day=None)
    roles = AdjustmentLimit.objects.filter(group__user=actor)
    highest = roles.aggregate(per_adjustment=Max("per_adjustment"), per_day=Max("per_day"))
    if not highest["per_adjustment"]:
        raise AdjustmentNotAllowed("None of your roles may adjust credits.")
    return Limits(**highest)


def adjusted_today(actor: User) -> int:
    """Credits that `actor` has moved, up and down, adjusted and refunded, in the last 24 hours. One query."""
    entries = LedgerEntry.objects.filter(actor=actor, created_at__gt=Now() - timedelta(days=1))
    total: int = entries.aggregate(total=Sum(Abs("amount"), default=0))["total"]
    return total


def check_limits(actor: User, amount: int, *, limits: Limits) -> None:
    """Raises AdjustmentLimitExceeded unless `actor`, whose row is locked, may move `amount` credits now."""
    left_today = None if limits.per_day is None else max(0, limits.per_day - adjusted_today(actor))
    if amount > limits.per_adjustment or (left_today is not None and amount > left_today):
        raise AdjustmentLimitExceeded(per_adjustment=limits.per_adjustment, left_today=left_today)
