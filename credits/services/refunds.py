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

from accounts.models import App, User
from accounts.services import lock_user
from credits.models import Grant, LedgerEntry, LotUse
from credits.services.adjustments import check_limits, limits_of
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


@transaction.atomic
def refund(
    *, entry: LedgerEntry, reason: str, amount: int | None = None, actor: User | None = None
) -> tuple[LedgerEntry, int, int]:
    """
    Returns `amount` credits of a deduction, or all that is left of it. The refund's entry, what could be refunded yet,
    and what can be spent now. `actor` is the member of staff who does it, if one does; their limits for adjustments
    hold for refunds, too.

    All refunds of one deduction together never exceed it. Raises NotRefundable, RefundExceedsCharge, InvalidAmount,
    with an actor AdjustmentNotAllowed and AdjustmentLimitExceeded; then nothing is written. Locks: the actor's row, the
    account.
    """
    if entry.type != LedgerEntry.Type.DEDUCTION:
        raise NotRefundable(f"Only a deduction can be refunded; this is of type {entry.type}.")
    if amount is not None:
        check_amount(amount)
    if actor is not None:
        actor = lock_user(user=actor)
    books = Books(entry.account.user)
    charged = -entry.amount
    earlier = LedgerEntry.objects.filter(related=entry, type=LedgerEntry.Type.REFUND)
    refunded = earlier.aggregate(total=Sum("amount", default=0))["total"]
    wanted = charged - refunded if amount is None else amount
    if not 1 <= wanted <= charged - refunded:
        raise RefundExceedsCharge(charged=charged, refunded=refunded, wanted=amount)
    if actor is not None:
        check_limits(actor, wanted, limits=limits_of(actor))
    back = books.enter(
        LedgerEntry.Type.REFUND,
        wanted,
        description=reason,
        related=entry,
        source=LedgerEntry.Source.REFUND,
        app=None if actor else entry.app,
        actor=actor,
        project_code=entry.project_code,
    )
    _return_to_lots(books, back, entry, refunded=refunded)
    books.write()
    return back, charged - refunded - wanted, books.spendable


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
