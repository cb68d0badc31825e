"""
Adjustments: what a member of staff adds or takes, with a reason, within the limits of their role.

Each leaves one row in the audit, with the balance before and after. One's own account is somebody else's to adjust,
unless one is a superuser.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Sum
from django.db.models.functions import Abs, Now

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.services import UserHasLeft, lock_user, require_present
from credits.models import (
    DESCRIPTION_MAX_LENGTH,
    IDEMPOTENCY_KEY_MAX_LENGTH,
    MAX_AMOUNT,
    AdjustmentLimit,
    LedgerEntry,
)
from credits.queries import Position, position_of
from credits.services.books import Books, InsufficientCredits, InvalidAmount, moment_text
from credits.services.spending import InvalidGrant, check_terms

MOST_PEOPLE = 100  # in one adjustment: as many as can be read through before it is confirmed


class AdjustmentNotAllowed(Exception):
    """The actor is no active member of staff, or none of their roles may adjust credits."""


class OwnAccount(AdjustmentNotAllowed):
    """Nobody but a superuser adjusts or refunds their own account: it takes somebody else."""


class AdjustmentLimitExceeded(Exception):
    """More than the actor's role allows. Figures are credits; `left_today` is what they may move yet, None if any."""

    def __init__(self, *, per_adjustment: int, left_today: int | None) -> None:
        today = "" if left_today is None else f", {left_today} left in these 24 hours"
        super().__init__(f"at most {per_adjustment} at a time{today}")
        self.per_adjustment = per_adjustment
        self.left_today = left_today


class AdjustmentKeyReused(Exception):
    """The idempotency key belongs to something else that staff did to this account."""


class BalanceHasChanged(Exception):
    """The balance is another than the actor was shown: `balance`, in credits."""

    def __init__(self, *, balance: int) -> None:
        super().__init__(f"the balance is {balance} by now")
        self.balance = balance


class ReasonNeeded(ValueError):
    """An adjustment says why, in 1 to 500 characters."""


class TooManyPeople(ValueError):
    """One adjustment is of 1 to 100 different people."""


class NotAdjusted(Exception):
    """Because of one of them nobody was adjusted: who that is, and the exception that says why."""

    def __init__(self, user: User, why: Exception) -> None:
        super().__init__(f"{user.user_id}: {why}")
        self.user = user
        self.why = why


# What can be in the way of one person's adjustment, whatever the others' are.
PERSONAL = (OwnAccount, AdjustmentKeyReused, UserHasLeft, BalanceHasChanged, InsufficientCredits)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a member of staff may adjust, in credits. `per_day` is None where there is no such limit."""

    per_adjustment: int
    per_day: int | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an adjustment would make of one person's balance, and what is in its way, if anything is."""

    user: User
    position: Position
    amount: int
    refusal: Exception | None

    @property
    def balance_after(self) -> int:
        return self.position.balance + self.amount


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is done to each account. `amount` is signed."""

    amount: int
    reason: str
    actor: User
    idempotency_key: str
    expires_at: datetime | None


@transaction.atomic
def adjust(
    *,
    user: User,
    amount: int,
    reason: str,
    actor: User,
    idempotency_key: str,
    expires_at: datetime | None = None,
    expected_balance: int | None = None,
) -> LedgerEntry:
    """
    Adds `amount` credits, or takes `-amount` (up to a million either way). Added ones may expire; taken ones are taken
    as a deduction would take them, and never more than can be spent: what holds have claimed is not touched.
    `expected_balance` is what the actor was shown, if they were: nothing is done to a balance that nobody has seen.

    The same key again for the same person returns the first entry and changes nothing. Raises AdjustmentNotAllowed
    (OwnAccount), AdjustmentLimitExceeded, AdjustmentKeyReused, ReasonNeeded, InvalidAmount, InvalidGrant,
    InsufficientCredits, BalanceHasChanged, accounts.services.UserHasLeft; then nothing is written. Locks: the actor's
    row (so that a day's limit cannot be passed by two at once), the account.
    """
    check_deed(reason=reason, idempotency_key=idempotency_key)
    _check_amount(amount, expires_at)
    actor = lock_user(user=actor)
    limits = limits_of(actor)
    adjustment = Adjustment(amount, reason, actor, idempotency_key, expires_at)
    books = Books(user)
    first = _first(books, adjustment)
    if first is not None:
        return first
    check_own(actor, user)
    check_limits(actor, abs(amount), limits=limits)
    return _enter(books, adjustment, expected_balance=expected_balance)


@transaction.atomic
def adjust_many(
    *,
    users: Collection[User],
    amount: int,
    reason: str,
    actor: User,
    idempotency_key: str,
    expires_at: datetime | None = None,
    expected_balances: Mapping[int, int] | None = None,
) -> list[LedgerEntry]:
    """
    The same adjustment of up to 100 people, of all or of none; their entries, in the order of the people's row ids.
    What the role may move at a time counts for each of them, what it may move in a day for all together.
    `expected_balances` are what the actor was shown, by row id.

    The same key again for the same people returns the first entries and changes nothing. Raises NotAdjusted, which
    names the person, for what is in the way of one of them, TooManyPeople, and what `adjust` raises for the rest; then
    nothing is written. Locks: the actor's row, the accounts in the order of their ids, so that two of these cannot wait
    for each other.
    """
    check_deed(reason=reason, idempotency_key=idempotency_key)
    _check_amount(amount, expires_at)
    people = sorted(users, key=lambda user: user.pk)
    if not 1 <= len(people) <= MOST_PEOPLE or len({user.pk for user in people}) < len(people):
        raise TooManyPeople(f"One adjustment is of 1 to {MOST_PEOPLE} different people, not of {len(people)}.")
    actor = lock_user(user=actor)
    limits = limits_of(actor)
    adjustment = Adjustment(amount, reason, actor, idempotency_key, expires_at)
    all_books = [Books(user) for user in people]
    firsts = _first_of_many(all_books, adjustment)
    if firsts:
        return firsts
    check_limits(actor, abs(amount), limits=limits, people=len(people))
    entries = []
    for user, books in zip(people, all_books, strict=True):
        try:
            check_own(actor, user)
            expected = None if expected_balances is None else expected_balances.get(user.pk)
            entries.append(_enter(books, adjustment, expected_balance=expected))
        except PERSONAL as why:
            raise NotAdjusted(user, why) from why
    return entries


def foresee(*, users: Collection[User], amount: int, actor: User) -> list[Foreseen]:
    """
    What an adjustment would do, person by person, in the order of their row ids. Nothing is locked, so the deed itself
    looks again. Raises AdjustmentNotAllowed, AdjustmentLimitExceeded, InvalidAmount. One query a person, and two.
    """
    _check_amount(amount, None)
    check_limits(actor, abs(amount), limits=limits_of(actor), people=len(users))
    people = sorted(users, key=lambda user: user.pk)
    return [_foreseen(user, position_of(user), amount, actor) for user in people]


def _foreseen(user: User, position: Position, amount: int, actor: User) -> Foreseen:
    refusal: Exception | None = None
    if user.deleted_at is not None:
        refusal = UserHasLeft(user.user_id)
    elif actor.pk == user.pk and not actor.is_superuser:
        refusal = OwnAccount()
    elif position.spendable < -amount:
        refusal = InsufficientCredits(available=position.spendable, needed=-amount)
    return Foreseen(user, position, amount, refusal)


def check_deed(*, reason: str, idempotency_key: str | None) -> None:
    """Raises ReasonNeeded, and ValueError for what is no key."""
    if not reason.strip() or len(reason) > DESCRIPTION_MAX_LENGTH or "\0" in reason:
        raise ReasonNeeded(f"An adjustment needs a reason, of at most {DESCRIPTION_MAX_LENGTH} characters.")
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= IDEMPOTENCY_KEY_MAX_LENGTH:
        raise ValueError(f"An idempotency key has 1 to {IDEMPOTENCY_KEY_MAX_LENGTH} characters.")


def check_own(actor: User, user: User) -> None:
    """Raises OwnAccount if the account is the actor's own and they are no superuser."""
    if actor.pk == user.pk and not actor.is_superuser:
        raise OwnAccount("Nobody but a superuser adjusts their own account.")


def record_deed(event: AuditEntry.Event, entry: LedgerEntry, *, user: User, **details: Any) -> None:
    """One row in the audit for an entry that staff have made. Called in the transaction of the deed."""
    if entry.actor_id == user.pk:
        details["own_account"] = True
    with audit.because(entry.description):
        audit.record(
            event,
            actor=entry.actor,
            subject=user,
            before={"balance": entry.balance_after - entry.amount},
            after={"balance": entry.balance_after},
            amount=entry.amount,
            entry=str(entry.pk),
            **details,
        )


def _check_amount(amount: int, expires_at: datetime | None) -> None:
    if not 1 <= abs(amount) <= MAX_AMOUNT:
        raise InvalidAmount(f"An adjustment is of 1 to {MAX_AMOUNT} credits, up or down.")
    if expires_at is not None and amount < 0:
        raise InvalidGrant("Only credits that are added can expire.")


def _first(books: Books, adjustment: Adjustment) -> LedgerEntry | None:
    """What was done to this account under the adjustment's key. Raises AdjustmentKeyReused if it was anything else."""
    first = entry_of_key(books, adjustment.idempotency_key)
    if first is None:
        return None
    until = moment_text(adjustment.expires_at) if adjustment.expires_at else None
    kept = (first.type, first.amount, first.description, first.actor_id, first.metadata.get("expires_at"))
    wanted = (LedgerEntry.Type.ADJUSTMENT, adjustment.amount, adjustment.reason, adjustment.actor.pk, until)
    if kept != wanted:
        raise AdjustmentKeyReused(adjustment.idempotency_key)
    return first


def _first_of_many(all_books: list[Books], adjustment: Adjustment) -> list[LedgerEntry]:
    """The entries under the key, if they are of these people and of nobody else; none, if the key is a new one."""
    firsts = []
    for books in all_books:
        try:
            firsts.append(_first(books, adjustment))
        except AdjustmentKeyReused as why:
            raise NotAdjusted(books.account.user, why) from why
    found = [first for first in firsts if first is not None]
    if found:
        under_key = LedgerEntry.objects.filter(actor=adjustment.actor, idempotency_key=adjustment.idempotency_key)
        if len(found) < len(all_books) or under_key.count() > len(found):
            raise AdjustmentKeyReused(adjustment.idempotency_key)
    return found


def entry_of_key(books: Books, idempotency_key: str) -> LedgerEntry | None:
    """What staff have entered in these books under this key."""
    return LedgerEntry.objects.filter(account=books.account, idempotency_key=idempotency_key).first()


def _enter(books: Books, adjustment: Adjustment, *, expected_balance: int | None) -> LedgerEntry:
    """The adjustment of one account, which is locked, and its row in the audit."""
    amount, expires_at, user = adjustment.amount, adjustment.expires_at, books.account.user
    require_present(user=user)
    if expected_balance not in (None, books.account.balance):
        raise BalanceHasChanged(balance=books.account.balance)
    check_terms(books, expires_at=expires_at, priority=None)
    if amount < 0:
        books.require(-amount)
    entry = books.enter(
        LedgerEntry.Type.ADJUSTMENT,
        amount,
        description=adjustment.reason,
        actor=adjustment.actor,
        source=LedgerEntry.Source.ADJUSTMENT if amount > 0 else None,
        idempotency_key=adjustment.idempotency_key,
    )
    if amount < 0:
        books.spend(entry)
    elif expires_at is not None:
        books.add_lot(entry, amount, expires_at=expires_at)
    books.write()
    expiry = {"expires_at": moment_text(expires_at)} if expires_at is not None else {}
    record_deed(AuditEntry.Event.CREDITS_ADJUSTED, entry, user=user, **expiry)
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


def check_limits(actor: User, amount: int, *, limits: Limits, people: int = 1) -> None:
    """Raises AdjustmentLimitExceeded unless `actor`, whose row is locked, may move `amount` credits of each now."""
    left_today = None if limits.per_day is None else max(0, limits.per_day - adjusted_today(actor))
    if amount > limits.per_adjustment or (left_today is not None and amount * people > left_today):
        raise AdjustmentLimitExceeded(per_adjustment=limits.per_adjustment, left_today=left_today)
