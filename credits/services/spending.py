"""Spending: at once, or, without keeping anything, to see what it would come to. Also: giving what is spent later."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.models import App, User
from credits.models import DEFAULT_PRIORITY, MAX_PRIORITY, LedgerEntry, Operation, Source
from credits.services.books import Books, InsufficientCredits, check_amount


class InvalidGrant(ValueError):
    """The credits would have expired already, or their priority is out of range or without an expiry."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a spend would come to, in credits. `spendable_after` is None where it would be refused."""

    needed: int
    spendable: int
    spendable_after: int | None


@transaction.atomic
def grant(
    *,
    user: User,
    amount: int,
    source: Source,
    description: str,
    app: App | None = None,
    expires_at: datetime | None = None,
    priority: int | None = None,
) -> LedgerEntry:
    """
    Adds `amount` credits (1 to 1,000,000). With `expires_at` they are a lot that is spent before what expires later,
    or by `priority` (0 to 100, the lowest first; 50 if left out); without, they never expire and are spent last.

    Raises InvalidAmount, InvalidGrant. Locks: the account.
    """
    check_amount(amount)
    books = Books(user)
    check_terms(books, expires_at=expires_at, priority=priority)
    entry = books.enter(LedgerEntry.Type.GRANT, amount, description=description, source=source, app=app)
    if expires_at is not None:
        books.add_lot(entry, amount, expires_at=expires_at, priority=DEFAULT_PRIORITY if priority is None else priority)
    books.write()
    return entry


@transaction.atomic
def deduct(
    *,
    user: User,
    app: App,
    amount: int,
    description: str,
    operation: Operation | None = None,
    quantity: int | None = None,
    project_code: str | None = None,
) -> tuple[LedgerEntry, int]:
    """
    Spends `amount` credits (1 to 1,000,000) on behalf of `app`, and returns the entry and what can be spent now.

    `operation` and `quantity` are what `amount` was priced from, if it was (see `credits.pricing.price`).
    Raises InsufficientCredits, InvalidAmount; then nothing is written. Locks: the account.
    """
    check_amount(amount)
    books = Books(user)
    entry = _charge(
        books,
        amount,
        description=description,
        app=app,
        operation=operation,
        quantity=quantity,
        project_code=project_code,
    )
    books.write()
    return entry, books.spendable


@transaction.atomic
def quote(*, user: User, amount: int) -> Quote:
    """
    What `deduct` would do with this amount, found out by charging books that are not written: a preview of its own
    would drift from what is enforced. Nothing is kept. Raises InvalidAmount. Locks: the account, for a moment.
    """
    check_amount(amount)
    books = Books(user)
    spendable, spendable_after = books.spendable, None
    with suppress(InsufficientCredits):
        _charge(books, amount, description="Quote")
        spendable_after = books.spendable
    transaction.set_rollback(True)  # also of an account that was missing
    return Quote(needed=amount, spendable=spendable, spendable_after=spendable_after)


def _charge(books: Books, amount: int, **also: Any) -> LedgerEntry:
    """Enters a deduction of `amount` and takes it from the lots. Raises InsufficientCredits."""
    books.require(amount)
    entry = books.enter(LedgerEntry.Type.DEDUCTION, -amount, **also)
    books.spend(entry)
    return entry


@transaction.atomic
def require(*, user: User, amount: int) -> None:
    """
    Locks the account for the rest of the caller's transaction, and raises InsufficientCredits if it cannot pay: for
    work whose bill is only written once other rows are. Locks: the account.
    """
    check_amount(amount)
    Books(user).require(amount)


def check_terms(books: Books, *, expires_at: datetime | None, priority: int | None) -> None:
    """Raises InvalidGrant unless credits can be given on these terms now."""
    if expires_at is not None and expires_at <= books.now:
        raise InvalidGrant("Credits must expire in the future.")
    if priority is not None and not 0 <= priority <= MAX_PRIORITY:
        raise InvalidGrant(f"A priority is 0 to {MAX_PRIORITY}.")
    if priority is not None and expires_at is None:
        raise InvalidGrant("Only credits that expire have a priority; the others are spent last.")
