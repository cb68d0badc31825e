"""
Holds: credits set aside before expensive work, then captured (paid, in whole or in part) or released.

A hold ends once, whoever races whom: its end is written under the account's lock. Its time is judged by the database's
clock, so nothing depends on a timer; a caller that crashed strands its credits until `expires_at` and not longer.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from accounts.models import App, User
from credits.models import Hold, LedgerEntry, LotClaim, Operation
from credits.services.books import Books, InvalidAmount, check_amount, parse_id

DEFAULT_SECONDS = 900
MAX_SECONDS = 86_400


class HoldNotFound(Exception):
    """There is no hold with this id, or it is somebody else's: to the caller the same."""


class HoldNotActive(Exception):
    """The hold has been captured or released, or its time is over. `status` says which."""

    def __init__(self, hold: Hold, status: Hold.Status) -> None:
        super().__init__(f"hold {hold.pk} is {status}")
        self.hold = hold
        self.status = status


class InvalidDuration(ValueError):
    """A hold lives for 1 to 86,400 seconds."""


@transaction.atomic
def reserve(
    *,
    user: User,
    app: App,
    amount: int,
    description: str = "",
    expires_in_seconds: int = DEFAULT_SECONDS,
    operation: Operation | None = None,
    quantity: int | None = None,
    project_code: str | None = None,
    by_user: bool = False,
) -> tuple[Hold, int]:
    """
    Sets `amount` credits (1 to 1,000,000) aside for `app`, and returns the hold and what can be spent now.

    The credits are taken from the lots that a deduction would take them from, and stay good for as long as the hold
    lives. `by_user`: see `Hold`. Raises InsufficientCredits, InvalidAmount, InvalidDuration; then nothing is written.
    Locks: the account.
    """
    check_amount(amount)
    if not 1 <= expires_in_seconds <= MAX_SECONDS:
        raise InvalidDuration(f"A hold lives for 1 to {MAX_SECONDS} seconds.")
    books = Books(user)
    books.require(amount)
    hold = Hold(
        account=books.account,
        app=app,
        amount=amount,
        description=description,
        operation=operation,
        quantity=quantity,
        project_code=project_code,
        by_user=by_user,
        created_at=books.now,
        expires_at=books.now + timedelta(seconds=expires_in_seconds),
    )
    claims = books.claim(hold)
    books.write()
    hold.save(force_insert=True)
    LotClaim.objects.bulk_create(claims)
    return hold, books.spendable


def find_hold(*, hold_id: str, app: App | None = None, user_id: str | None = None) -> Hold:
    """
    The hold with its account, user, app and operation, as it is stored. `app` and `user_id`, where given, are whose it
    has to be. Raises HoldNotFound. One query, no locks.
    """
    key = parse_id(hold_id)
    found = Hold.objects.select_related("account__user__plan", "app", "operation", "entry")
    hold = found.filter(pk=key).first() if key else None
    if hold is None or (app and hold.app_id != app.pk) or user_id not in (None, hold.account.user.user_id):
        raise HoldNotFound(hold_id)
    return hold


@transaction.atomic
def release_all(*, user: User) -> int:
    """Frees what all of the person's live holds have set aside; how many there were. Locks: the account, its holds."""
    books = Books(user)
    live = Hold.objects.select_for_update().filter(account=books.account, status=Hold.Status.ACTIVE)
    released = 0
    for hold in live.order_by("created_at", "id").prefetch_related("claims"):
        if hold.pk not in books.ended:  # its time was over, which is about to be written
            books.end(hold, Hold.Status.RELEASED)
            released += 1
    books.write()
    return released


@transaction.atomic
def capture(
    *,
    hold: Hold,
    amount: int | None = None,
    description: str | None = None,
    project_code: str | None = None,
) -> Hold:
    """
    Pays for what the hold was for: `amount` credits, or all of it; the rest is free again. Returns the hold with its
    deduction (`entry`) and `spendable_after`.

    Capturing again with the same amount changes nothing and returns the same. Raises InvalidAmount (also for more than
    was held), HoldNotActive; then nothing is written. Locks: the account, the hold.
    """
    _check_part(hold, amount)
    books, hold = _locked(hold)
    wanted = hold.amount if amount is None else amount
    if hold.status == Hold.Status.CAPTURED and hold.entry and hold.entry.amount == -wanted:
        return hold
    _check_active(hold)
    entry = books.enter(
        LedgerEntry.Type.DEDUCTION,
        -wanted,
        description=description or hold.description or (hold.operation or hold.app).name,
        app=hold.app,
        operation=hold.operation,
        # Units begun: of a part that is no multiple of the price, the last one was not paid in full.
        quantity=-(-wanted // hold.operation.credits) if hold.operation else None,
        project_code=project_code or hold.project_code,
        metadata={"hold_id": str(hold.pk)},
    )
    books.end(hold, Hold.Status.CAPTURED, entry=entry)
    books.write()
    return hold


@transaction.atomic
def release(*, hold: Hold) -> Hold:
    """
    Frees what the hold has set aside, and returns it with `spendable_after`. Releasing a hold again, or one whose time
    is over, changes nothing. Raises HoldNotActive for a captured one. Locks: the account, the hold.
    """
    books, hold = _locked(hold)
    if hold.status == Hold.Status.RELEASED:
        return hold
    if hold.status == Hold.Status.CAPTURED:
        raise HoldNotActive(hold, Hold.Status.CAPTURED)
    if hold.status == Hold.Status.ACTIVE:
        books.end(hold, Hold.Status.RELEASED)
    books.write()
    return hold


@transaction.atomic
def require_active(*, hold: Hold, amount: int | None = None) -> None:
    """
    Locks the account and the hold for the rest of the caller's transaction, and raises HoldNotActive or InvalidAmount
    unless `amount` (or all) of it can be captured for the first time: for work whose bill is only written once other
    rows are. Locks: the account, the hold.
    """
    _check_part(hold, amount)
    _check_active(_locked(hold)[1])


def _locked(hold: Hold) -> tuple[Books, Hold]:
    """The books and the hold as they are now, both locked: the account first."""
    books = Books(hold.account.user)
    fresh = (
        Hold.objects.select_for_update(of=("self",))
        .select_related("app", "operation")  # not the entry: a joined row must not change while we wait for the lock
        .prefetch_related("claims")
        .get(pk=hold.pk)
    )
    fresh.account = books.account
    # Settling may just have ended it, which is not written yet.
    return books, books.ended.get(fresh.pk, fresh)


def _check_part(hold: Hold, amount: int | None) -> None:
    if amount is not None:
        check_amount(amount)
        if amount > hold.amount:
            raise InvalidAmount(f"The hold is of {hold.amount}; {amount} cannot be captured.")


def _check_active(hold: Hold) -> None:
    if hold.status != Hold.Status.ACTIVE:
        raise HoldNotActive(hold, Hold.Status(hold.status))
