"""
A person's credits, a second time: written from the rules as people are told them and without a look at the services,
in plain Python and in the simplest way that is right. `test_state_machine` holds the service against it.

The clock counts whole minutes. What happens within one minute is told apart by the number of the step that did it, so
that a lot which was to last an hour has ended before whatever is done an hour later, as with real clocks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

GRACE_MINUTES = 72 * 60
DEFAULT_PRIORITY = 50


class Moment(NamedTuple):
    minute: int
    step: int

    def plus(self, minutes: int) -> Moment:
        return Moment(self.minute + minutes, self.step)


class Refused(Exception):
    """The service has to answer this, and to leave everything as it was."""

    def __init__(self, status: int, code: str, **figures: int) -> None:
        super().__init__(status, code, figures)
        self.status = status
        self.code = code
        self.figures = figures


@dataclass(eq=False)
class Lot:
    """Credits that expire. `number` runs in the order in which lots came in."""

    number: int
    came_with: Entry
    remaining: int
    priority: int
    expires: Moment
    created: Moment


@dataclass(eq=False)
class Part:
    """What one deduction took from one lot, or from the permanent credits (None), and what refunds have returned."""

    lot: Lot | None
    taken: int
    returned: int = 0


@dataclass(eq=False)
class Entry:
    number: int
    type: str
    amount: int
    balance_after: int
    app: str | None
    related: Entry | None
    parts: list[Part] = field(default_factory=list)

    @property
    def refunded(self) -> int:
        return sum(part.returned for part in self.parts)


@dataclass(eq=False)
class Hold:
    app: str
    amount: int
    expires: Moment
    claims: list[tuple[Lot | None, int]]
    status: str = "active"
    captured: int = 0
    spendable_after: int | None = None  # once the step was done that ended it, or found that it had ended

    def live(self, now: Moment) -> bool:
        return self.status == "active" and now < self.expires


class View(NamedTuple):
    """What a person is told."""

    credits: int
    held: int
    expiring: list[tuple[int, Moment]]


class Picture(NamedTuple):
    """What there is, whoever looks and whenever: lots as (number, remaining, expires), holds as (expires, claims)."""

    permanent: int
    lots: tuple[tuple[int, int, Moment], ...]
    holds: tuple[tuple[Moment, tuple[tuple[int | None, int], ...]], ...]

    def seen(self, now: Moment) -> View:
        claimed: dict[int | None, int] = {}
        for expires, claims in self.holds:
            if now < expires:
                for lot, amount in claims:
                    claimed[lot] = claimed.get(lot, 0) + amount
        expiring: dict[Moment, int] = {}
        for number, remaining, expires in self.lots:
            free = remaining - claimed.get(number, 0)
            if now < expires and free:
                expiring[expires] = expiring.get(expires, 0) + free
        return View(
            credits=self.permanent - claimed.get(None, 0) + sum(expiring.values()),
            held=sum(claimed.values()),
            expiring=[(expiring[moment], moment) for moment in sorted(expiring)],
        )


class Person:
    """One person's credits. Whatever is refused raises `Refused` before anything has changed."""

    def __init__(self) -> None:
        self.permanent = 0
        self.lots: list[Lot] = []
        self.holds: list[Hold] = []
        self.entries: list[Entry] = []
        self.pictures: list[tuple[Moment, Picture]] = []
        self._numbers = count(1)

    # Reading

    @property
    def balance(self) -> int:
        return self.permanent + sum(lot.remaining for lot in self.lots)

    def view(self, now: Moment) -> View:
        return self.picture().seen(now)

    def view_at(self, then: Moment) -> View:
        """What `view` said at that time: by the last picture that had been taken."""
        return next(picture for taken, picture in reversed(self.pictures) if taken <= then).seen(then)

    def picture(self) -> Picture:
        return Picture(
            self.permanent,
            tuple((lot.number, lot.remaining, lot.expires) for lot in self.lots),
            tuple(
                (hold.expires, tuple((lot and lot.number, amount) for lot, amount in hold.claims))
                for hold in self.holds
                if hold.status == "active"
            ),
        )

    def remember(self, now: Moment) -> None:
        """To be called when a step is done."""
        for hold in self.holds:
            if hold.status != "active" and hold.spendable_after is None:
                hold.spendable_after = self.view(now).credits
        self.pictures.append((now, self.picture()))

    # Writing

    def settle(self, now: Moment) -> None:
        """Ends holds whose time is over, and enters what has expired."""
        for hold in self.holds:
            if hold.status == "active" and not hold.live(now):
                hold.status = "expired"
        self._expire(now)

    def grant(
        self, now: Moment, amount: int, *, expires: Moment | None, priority: int | None = None, type: str = "grant"
    ) -> None:
        self.settle(now)
        entry = self._enter(type, amount)
        if expires is None:
            self.permanent += amount
        else:
            self._open(now, entry, amount, expires, DEFAULT_PRIORITY if priority is None else priority)

    def deduct(self, now: Moment, amount: int, *, app: str) -> Entry:
        self._require(now, amount)
        self.settle(now)
        return self._take("deduction", app, self._burn_order(now, amount))

    def take_away(self, now: Moment, amount: int) -> None:
        """What staff does; it burns as a deduction does, and is none."""
        self._require(now, amount)
        self.settle(now)
        self._take("adjustment", None, self._burn_order(now, amount))

    def reserve(self, now: Moment, amount: int, *, app: str, minutes: int) -> Hold:
        self._require(now, amount)
        self.settle(now)
        hold = Hold(app, amount, now.plus(minutes), self._burn_order(now, amount))
        self.holds.append(hold)
        return hold

    def capture(self, now: Moment, hold: Hold, amount: int | None) -> bool:
        """Whether this was the first time. A repeat changes nothing."""
        amount = hold.amount if amount is None else amount
        if amount > hold.amount:
            raise Refused(400, "validation_error")
        if hold.status == "captured" and hold.captured == amount:
            return False
        if not hold.live(now):
            raise Refused(409, "hold_not_active")
        self.settle(now)
        hold.status = "captured"
        hold.captured = left = amount
        paying = []
        for lot, claimed in hold.claims:
            if paid := min(claimed, left):
                paying.append((lot, paid))
                left -= paid
        self._take("deduction", hold.app, paying)
        self._expire(now)
        return True

    def release(self, now: Moment, hold: Hold) -> bool:
        """Whether it could change anything: a repeat does not, but of a hold that has run out it settles."""
        if hold.status == "captured":
            raise Refused(409, "hold_not_active")
        if hold.status == "released":
            return False
        self.settle(now)
        if hold.status == "active":
            hold.status = "released"
            self._expire(now)
        return True

    def refund(self, now: Moment, entry: Entry, amount: int | None, *, app: str) -> int:
        """How much of the deduction could be refunded yet."""
        if entry.app not in (None, app):  # what is nobody's own is in every app's history
            raise Refused(404, "transaction_not_found")
        if entry.type != "deduction":
            raise Refused(400, "validation_error")
        charged, refunded = -entry.amount, entry.refunded
        refundable = charged - refunded
        if refundable == 0 or (amount or 0) > refundable:
            raise Refused(409, "refund_exceeds_charge", charged=charged, refunded=refunded, refundable=refundable)
        amount = left = refundable if amount is None else amount
        self.settle(now)
        paid = self._enter("refund", amount, app=app, related=entry)
        for part in reversed(entry.parts):
            back = min(left, part.taken - part.returned)
            part.returned += back
            left -= back
            if back == 0:
                continue
            if part.lot is None:
                self.permanent += back
            elif now < part.lot.expires:
                part.lot.remaining += back
            else:
                self._open(now, paid, back, now.plus(GRACE_MINUTES), part.lot.priority)
        return refundable - amount

    # How

    def _require(self, now: Moment, amount: int) -> None:
        spendable = self.view(now).credits
        if spendable < amount:
            raise Refused(402, "insufficient_credits", credits=spendable, needed=amount, shortfall=amount - spendable)

    def _free(self, lot: Lot | None, now: Moment) -> int:
        claimed = sum(n for hold in self.holds if hold.live(now) for claim, n in hold.claims if claim is lot)
        return (self.permanent if lot is None else lot.remaining) - claimed

    def _burn_order(self, now: Moment, amount: int) -> list[tuple[Lot | None, int]]:
        """Where `amount` comes from."""
        in_order = sorted(self.lots, key=lambda lot: (lot.priority, lot.expires, lot.created, lot.number))
        found = []
        for lot in (*(lot for lot in in_order if now < lot.expires), None):
            if share := min(amount, self._free(lot, now)):
                found.append((lot, share))
                amount -= share
        assert amount == 0
        return found

    def _take(self, type: str, app: str | None, shares: list[tuple[Lot | None, int]]) -> Entry:
        for lot, share in shares:
            if lot is None:
                self.permanent -= share
            else:
                lot.remaining -= share
        entry = self._enter(type, -sum(share for _, share in shares), app=app)
        entry.parts = [Part(lot, share) for lot, share in shares]
        return entry

    def _expire(self, now: Moment) -> None:
        for lot in self.lots:
            free = self._free(lot, now)
            if lot.expires <= now and free:
                lot.remaining -= free
                self._enter("expiry", -free, related=lot.came_with)

    def _open(self, now: Moment, entry: Entry, amount: int, expires: Moment, priority: int) -> None:
        self.lots.append(Lot(next(self._numbers), entry, amount, priority, expires, now))

    def _enter(self, type: str, amount: int, *, app: str | None = None, related: Entry | None = None) -> Entry:
        before = self.entries[-1].balance_after if self.entries else 0
        self.entries.append(Entry(len(self.entries) + 1, type, amount, before + amount, app, related))
        return self.entries[-1]
