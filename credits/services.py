"""
What changes credits. Every function locks the account row first, and writes the entry and the account in one
transaction: both or neither.

Locks: the account (`SELECT … FOR UPDATE`), before anything else that a transaction locks; see CONTRIBUTING.md.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from accounts.models import App, User
from credits.models import MAX_AMOUNT, Account, LedgerEntry, Operation


class InsufficientCredits(Exception):
    """The account cannot pay. `available` and `needed` are credits."""

    def __init__(self, *, available: int, needed: int) -> None:
        super().__init__(f"{available} available, {needed} needed")
        self.available = available
        self.needed = needed


class InvalidAmount(ValueError):
    """Not a number of credits that one call can move: 1 to 1,000,000."""


def open_account(*, user: User) -> Account:
    """The person's account, made empty if there is none. Locks: a new row, until the caller's transaction ends."""
    account, _ = Account.objects.get_or_create(user=user)
    return account


@transaction.atomic
def grant(*, user: User, amount: int, description: str, app: App | None = None) -> LedgerEntry:
    """Adds `amount` credits (1 to 1,000,000) that never expire. Raises InvalidAmount. Locks: the account."""
    _check_amount(amount)
    account = _locked_account(user)
    return _append(account, type=LedgerEntry.Type.GRANT, amount=amount, description=description, app=app)


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
    _check_amount(amount)
    account = _locked_account(user)
    if account.spendable < amount:
        raise InsufficientCredits(available=account.spendable, needed=amount)
    entry = _append(
        account,
        type=LedgerEntry.Type.DEDUCTION,
        amount=-amount,
        description=description,
        app=app,
        operation=operation,
        quantity=quantity,
        project_code=project_code,
    )
    return entry, account.spendable


def _check_amount(amount: int) -> None:
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"An amount is 1 to {MAX_AMOUNT} credits, not {amount}.")


def _locked_account(user: User) -> Account:
    """
    The person's account, locked until the transaction ends.

    Locking the account and not its newest entry is what excludes others: an insert locks no row that a second insert
    would wait for. A missing account is made here, so that the first use of a person is no special case.
    """
    try:
        return Account.objects.select_for_update().get(user=user)
    except Account.DoesNotExist:
        open_account(user=user)
        return Account.objects.select_for_update().get(user=user)


def _append(account: Account, *, type: LedgerEntry.Type, amount: int, description: str, **also: Any) -> LedgerEntry:
    """Writes one entry and the account that follows from it. `account` must be locked by the caller."""
    account.seq += 1
    account.balance += amount
    account.save(update_fields=["seq", "balance"])
    return LedgerEntry.objects.create(
        account=account,
        seq=account.seq,
        type=type,
        amount=amount,
        balance_after=account.balance,
        description=description,
        **also,
    )
