"""
Refunds: credits of a deduction go back to where they came from.

Last taken, first returned: after a refund the lots are as if that much less had been spent, so that nothing that would
have expired becomes permanent. What came from a lot that has expired since becomes a new lot with a short grace.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from accounts.models import App, AuditEntry, User
from accounts.services import lock_user, require_present
from credits.models import Grant, LedgerEntry, LotUse
from credits.services.adjustments import (
    AdjustmentKeyReused,
    check_deed,
    check_limits,
    check_own,
    entry_of_key,
    limits_of,
    record_deed,
)
from credits.services.books import Books, check_amount, parse_id


class TransactionNotFound(Exception):
    """There is no transaction with this id, or it is somebody else's: to the caller the same."""


class NotRefundable(ValueError):
    """Only a deduction can be refunded."""


class RefundExceedsCharge(Exception):
    """All refunds together would be more than the deduction. Figures are credits."""

    def __init__(self, *, charged: int, refunded: int, wanted: int | None) -> None:
        super().__init__(f"{refunded} of {charged} refunded already, {wanted} wanted")
        self.charged = charged
        self.refunded = refunded
        self.wanted = wanted


class LeftHasChanged(Exception):
    """Something else of the deduction has been refunded since the actor looked: `left` credits are refundable now."""

    def __init__(self, *, left: int) -> None:
        super().__init__(f"{left} left to refund by now")
        self.left = left


def find_transaction(*, transaction_id: str, app: App | None = None, user_id: str | None = None) -> LedgerEntry:
    """
    The entry with its account, user and app. `app` and `user_id`, where given, are whose it has to be; what staff and
    the system have entered is no app's, and found by every app (as in the history). Raises TransactionNotFound. One
    query, no locks.
    """
    key = parse_id(transaction_id)
    found = LedgerEntry.objects.select_related("account__user__plan", "app")
    entry = found.filter(pk=key).first() if key else None
    if (
        entry is None
        or (app and entry.app_id not in (None, app.pk))
        or user_id not in (None, entry.account.user.user_id)
    ):
        raise TransactionNotFound(transaction_id)
    return entry


def refunded_of(entry: LedgerEntry) -> int:
    """Credits of a deduction that have been refunded. One query."""
    refunds = LedgerEntry.objects.filter(related=entry, type=LedgerEntry.Type.REFUND)
    total: int = refunds.aggregate(total=Sum("amount", default=0))["total"]
    return total


@transaction.atomic
def refund(
    *,
    entry: LedgerEntry,
    reason: str,
    amount: int | None = None,
    actor: User | None = None,
    idempotency_key: str | None = None,
    expected_left: int | None = None,
) -> tuple[LedgerEntry, int, int]:
    """
    Returns `amount` credits of a deduction, or all that is left of it. The refund's entry, what could be refunded yet,
    and what can be spent now.

    `actor` is the member of staff who does it, if one does: their limits for adjustments hold for refunds, too, and the
    audit has it. With their `idempotency_key`, the same key again returns the first refund and changes nothing.
    `expected_left` is what they were shown as left to refund.

    All refunds of one deduction together never exceed it. Raises NotRefundable, RefundExceedsCharge, InvalidAmount,
    with an actor AdjustmentNotAllowed (OwnAccount), AdjustmentLimitExceeded, AdjustmentKeyReused, ReasonNeeded,
    LeftHasChanged, accounts.services.UserHasLeft; then nothing is written. Locks: the actor's row, the account.
    """
    if entry.type != LedgerEntry.Type.DEDUCTION:
        raise NotRefundable(f"Only a deduction can be refunded; this is of type {entry.type}.")
    if amount is not None:
        check_amount(amount)
    limits = None
    if actor is not None:
        check_deed(reason=reason, idempotency_key=idempotency_key)
        actor = lock_user(user=actor)
        limits = limits_of(actor)
    elif idempotency_key is not None:
        raise ValueError("Only a refund by staff has an idempotency key here.")
    user = entry.account.user
    books = Books(user)
    charged, refunded = -entry.amount, refunded_of(entry)
    if actor is not None and idempotency_key is not None:
        first = _first(books, idempotency_key, entry=entry, amount=amount, reason=reason, actor=actor)
        if first is not None:
            return first, charged - refunded, books.spendable
    if expected_left not in (None, charged - refunded):
        raise LeftHasChanged(left=charged - refunded)
    wanted = charged - refunded if amount is None else amount
    if not 1 <= wanted <= charged - refunded:
        raise RefundExceedsCharge(charged=charged, refunded=refunded, wanted=amount)
    if actor is not None and limits is not None:
        check_own(actor, user)
        require_present(user=user)
        check_limits(actor, wanted, limits=limits)
    back = books.enter(
        LedgerEntry.Type.REFUND,
        wanted,
        description=reason,
        related=entry,
        source=LedgerEntry.Source.REFUND,
        app=None if actor else entry.app,
        actor=actor,
        idempotency_key=idempotency_key,
        project_code=entry.project_code,
    )
    _return_to_lots(books, back, entry, refunded=refunded)
    books.write()
    if actor is not None:
        record_deed(AuditEntry.Event.CREDITS_REFUNDED, back, user=user, transaction=str(entry.pk))
    return back, charged - refunded - wanted, books.spendable


def _first(
    books: Books, idempotency_key: str, *, entry: LedgerEntry, amount: int | None, reason: str, actor: User
) -> LedgerEntry | None:
    """The refund that was made under the key. Raises AdjustmentKeyReused if what was made under it is another deed."""
    first = entry_of_key(books, idempotency_key)
    if first is None:
        return None
    kept = (first.type, first.related_id, first.description, first.actor_id)
    is_same = kept == (LedgerEntry.Type.REFUND, entry.pk, reason, actor.pk)
    if not is_same or amount not in (None, first.amount):
        raise AdjustmentKeyReused(idempotency_key)
    return first


def _return_to_lots(books: Books, back: LedgerEntry, entry: LedgerEntry, *, refunded: int) -> None:
    """Gives what `back` brings to what `entry` had taken it from, without what `refunded` credits gave already."""
    uses = list(LotUse.objects.filter(entry=entry).select_related("lot__entry").order_by("id"))
    if not uses:
        return
    returned = _returned_by_lot(entry)
    taken_from_rest = -entry.amount + sum(use.amount for use in uses)
    returned_to_rest = refunded - returned.total()
    left = back.amount - min(back.amount, taken_from_rest - returned_to_rest)
    grace_ends = books.now + timedelta(hours=settings.REFUND_GRACE_HOURS)
    for use in reversed(uses):
        amount = min(left, -use.amount - returned[use.lot_id])
        left -= amount
        if not amount:
            continue
        if use.lot.expires_at > books.now:
            books.use(back, use.lot, amount)
        else:
            books.add_lot(back, amount, expires_at=grace_ends, priority=use.lot.priority, origin=use.lot)


def _returned_by_lot(entry: LedgerEntry) -> Counter[int]:
    """Credits that earlier refunds of `entry` have returned, by the lot that they had come from."""
    refund = LedgerEntry.Type.REFUND
    returned: Counter[int] = Counter()
    for lot, amount in LotUse.objects.filter(entry__related=entry, entry__type=refund).values_list("lot", "amount"):
        returned[lot] += amount
    graces = Grant.objects.filter(entry__related=entry, entry__type=refund)
    for grace in graces.select_related("origin"):
        assert grace.origin is not None  # noqa: S101  a refund brings in no other lots
        returned[grace.origin.pk] += grace.amount
    return returned
