"""
One person's books, open for writing: every other module here changes credits through this one.

Opening them locks the account and settles them: holds whose time is over end, and what has expired is entered, by the
database's clock as it stands once the lock is ours. What follows is worked out in memory and written in one go, so a
refusal before `write` has changed nothing. An account with neither holds nor lots costs three statements: the lock, the
account, the entry.

Locks: the account (`SELECT … FOR UPDATE`), then those of its holds that are over; see CONTRIBUTING.md.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User
from credits.models import DEFAULT_PRIORITY, MAX_AMOUNT, Account, Grant, Hold, LedgerEntry, LotClaim, LotUse

# Which lot is spent first: by priority, then what expires first, then the older one.
BURN_ORDER = ("priority", "expires_at", "created_at", "id")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEPT_ON_ACCOUNT = ("seq", "balance", "held", "in_lots")


class InsufficientCredits(Exception):
    """The account cannot pay. `available` and `needed` are credits."""

    def __init__(self, *, available: int, needed: int) -> None:
        super().__init__(f"{available} available, {needed} needed")
        self.available = available
        self.needed = needed


class InvalidAmount(ValueError):
    """Not a number of credits that one call can move: 1 to 1,000,000."""


def check_amount(amount: int) -> None:
    """Raises InvalidAmount unless `amount` is 1 to 1,000,000."""
    if not 1 <= amount <= MAX_AMOUNT:
        raise InvalidAmount(f"An amount is 1 to {MAX_AMOUNT} credits, not {amount}.")


def parse_id(text: str) -> UUID | None:
    """The id that `text` is, as our answers write them, or None: then nothing has this id."""
    return UUID(text) if _ID.fullmatch(text) else None


def moment_text(moment: datetime) -> str:
    """A time in an entry's metadata, as the API writes times: RFC 3339, UTC, microseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def open_account(*, user: User) -> Account:
    """The person's account, made empty if there is none. Locks: a new row, until the caller's transaction ends."""
    account, _ = Account.objects.get_or_create(user=user)
    return account


class Books:
    """The locked and settled account of one person, with its open lots. Only inside of a transaction."""

    def __init__(self, user: User) -> None:
        self.account = _locked_account(user)
        self._before = {name: getattr(self.account, name) for name in _KEPT_ON_ACCOUNT}
        self._now: datetime | None = None
        self._lots: dict[int, Grant] = {}  # the open ones, in burn order
        self._lots_before: dict[int, tuple[int, int]] = {}
        self._entries: list[LedgerEntry] = []
        self._new_lots: list[Grant] = []
        self._uses: list[LotUse] = []
        self.ended: dict[UUID, Hold] = {}  # holds that end with what is about to be written
        if self.account.in_lots:
            open_lots = Grant.objects.filter(account=self.account, remaining__gt=0).order_by(*BURN_ORDER)
            self._lots = {lot.pk: lot for lot in open_lots.select_related("entry")}
            self._lots_before = {lot.pk: (lot.remaining, lot.held) for lot in self._lots.values()}
        if self.account.held:
            over = Hold.objects.select_for_update().filter(
                account=self.account, status=Hold.Status.ACTIVE, expires_at__lte=self.now
            )
            for hold in over.order_by("expires_at", "created_at").prefetch_related("claims"):
                self.end(hold, Hold.Status.EXPIRED)
        self.expire_lots()

    @property
    def now(self) -> datetime:
        """
        The database's time, the same for all that is done under this lock. Asked for after the lock was granted: the
        time at which we began to wait for it may lie before what its former owner did.
        """
        if self._now is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT STATEMENT_TIMESTAMP()")
                self._now = cursor.fetchone()[0]
        assert self._now is not None  # noqa: S101
        return self._now

    @property
    def spendable(self) -> int:
        """Credits that can be spent right now."""
        return self.account.balance - self.account.held

    def require(self, amount: int) -> None:
        """Raises InsufficientCredits if `amount` cannot be paid."""
        if self.spendable < amount:
            raise InsufficientCredits(available=self.spendable, needed=amount)

    # --- what can be done; `write` keeps it ---------------------------------------------------------------------------

    def enter(self, type: LedgerEntry.Type, amount: int, *, description: str, **also: Any) -> LedgerEntry:
        """The next entry; the account's balance follows it."""
        self.account.seq += 1
        self.account.balance += amount
        entry = LedgerEntry(
            account=self.account,
            seq=self.account.seq,
            type=type,
            amount=amount,
            balance_after=self.account.balance,
            description=description,
            **also,
        )
        self._entries.append(entry)
        return entry

    def spend(self, entry: LedgerEntry) -> None:
        """Takes what `entry` cost from the open lots in burn order; what they do not cover comes from the rest."""
        left = -entry.amount
        for lot in self._lots.values():
            if taken := min(left, lot.free):
                self.use(entry, lot, -taken)
                left -= taken

    def use(self, entry: LedgerEntry, lot: Grant, amount: int) -> None:
        """Takes `-amount` credits from `lot` for `entry`, or returns `amount` to it."""
        lot = self._lots.setdefault(lot.pk, lot)  # an emptied lot that something returns to is open again
        lot.remaining += amount
        self.account.in_lots += amount
        self._uses.append(LotUse(entry=entry, lot=lot, amount=amount))

    def add_lot(
        self, entry: LedgerEntry, amount: int, *, expires_at: datetime, priority: int = DEFAULT_PRIORITY, **also: Any
    ) -> None:
        """Makes `amount` of what `entry` brought in a lot, and has the entry say until when."""
        entry.metadata = {**entry.metadata, "expires_at": moment_text(expires_at)}
        self.account.in_lots += amount
        self._new_lots.append(
            Grant(
                account=self.account,
                entry=entry,
                amount=amount,
                remaining=amount,
                expires_at=expires_at,
                priority=priority,
                created_at=self.now,
                **also,
            )
        )

    def claim(self, hold: Hold) -> list[LotClaim]:
        """Sets the hold's credits aside, from the open lots in burn order and then the rest; what it took from lots."""
        self.account.held += hold.amount
        left = hold.amount
        claims = []
        for lot in self._lots.values():
            if taken := min(left, lot.free):
                lot.held += taken
                claims.append(LotClaim(hold=hold, lot=lot, amount=taken))
                left -= taken
        return claims

    def end(self, hold: Hold, status: Hold.Status, *, entry: LedgerEntry | None = None) -> None:
        """
        Ends an active, locked hold. A capture's `entry` is paid from what was claimed, first claimed first; all else is
        free again, and expires at once where its lot has.
        """
        self.account.held -= hold.amount
        left = -entry.amount if entry else 0
        for claim in hold.claims.all():
            lot = self._lots[claim.lot_id]
            lot.held -= claim.amount
            if entry and (taken := min(left, claim.amount)):
                self.use(entry, lot, -taken)
                left -= taken
        hold.status, hold.entry, hold.resolved_at = status, entry, self.now
        self.ended[hold.pk] = hold
        if status is not Hold.Status.EXPIRED:
            self.expire_lots()

    def expire_lots(self) -> None:
        """Enters as expired what is free in lots whose time is over."""
        for lot in self._lots.values():
            if lot.free and lot.expires_at <= self.now:
                source = lot.entry.get_source_display()
                entry = self.enter(
                    LedgerEntry.Type.EXPIRY,
                    -lot.free,
                    description=f"Expired: {source} credits" if source else "Expired credits",
                    related=lot.entry,
                    metadata={"expired_at": moment_text(lot.expires_at), "source": lot.entry.source},
                )
                self.use(entry, lot, -lot.free)

    # --- keeping it ---------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Keeps all of it, in the caller's transaction. The books are to be left alone afterwards."""
        changed = [name for name in _KEPT_ON_ACCOUNT if getattr(self.account, name) != self._before[name]]
        if changed:
            self.account.save(update_fields=changed)
        for entry in self._entries:
            entry.created_at = self._now or entry.created_at  # one time for all, or that of the insert
        LedgerEntry.objects.bulk_create(self._entries)
        Grant.objects.bulk_create(self._new_lots)
        touched = [lot for lot in self._lots.values() if self._lots_before.get(lot.pk) != (lot.remaining, lot.held)]
        _write_lots(touched)
        LotUse.objects.bulk_create(self._uses)
        over = [hold.pk for hold in self.ended.values() if hold.status == Hold.Status.EXPIRED]
        if over:  # however many, one statement
            Hold.objects.filter(pk__in=over).update(
                status=Hold.Status.EXPIRED, resolved_at=self.now, spendable_after=self.spendable
            )
        for hold in self.ended.values():
            hold.spendable_after = self.spendable
            if hold.status != Hold.Status.EXPIRED:
                hold.save(update_fields=["status", "entry", "resolved_at", "spendable_after"])

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._entries or self.ended)


def _write_lots(lots: list[Grant]) -> None:
    """One statement for any number of lots, whose cost grows as their number does (unlike a CASE over all of them)."""
    if lots:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE credits_grant SET remaining = new.remaining, held = new.held"
                " FROM UNNEST(%s::bigint[], %s::integer[], %s::integer[]) AS new (id, remaining, held)"
                " WHERE credits_grant.id = new.id",
                [[lot.pk for lot in lots], [lot.remaining for lot in lots], [lot.held for lot in lots]],
            )


@transaction.atomic
def settle(*, user: User) -> bool:
    """
    Ends the person's holds that are over and enters what has expired; whether there was any. For the sweep: whoever
    spends has this done as they go. Locks: the account, its holds that are over.
    """
    books = Books(user)
    books.write()
    return books.is_changed


def users_to_settle(*, after_id: int = 0, limit: int) -> list[User]:
    """
    Up to `limit` people, ordered by row id and after the one with `after_id`, for whom a hold is over or something has
    expired and nobody has entered it yet.
    """
    holds = Hold.objects.filter(status=Hold.Status.ACTIVE, expires_at__lte=Now(), account__gt=after_id)
    lots = Grant.objects.filter(remaining__gt=F("held"), expires_at__lte=Now(), account__gt=after_id)
    due = holds.order_by().values("account_id").union(lots.order_by().values("account_id"))
    ids = [row["account_id"] for row in due.order_by("account_id")[:limit]]
    return list(User.objects.filter(pk__in=ids).order_by("pk"))


def _locked_account(user: User) -> Account:
    """
    The person's account, locked until the transaction ends.

    Locking the account and not its newest entry is what excludes others: an insert locks no row that a second insert
    would wait for. A missing account is made here, so that the first use of a person is no special case.
    """
    try:
        account = Account.objects.select_for_update().get(user=user)
    except Account.DoesNotExist:
        open_account(user=user)
        account = Account.objects.select_for_update().get(user=user)
    account.user = user
    return account
