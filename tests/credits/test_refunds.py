"""Credits that go back: to the lots that they came from, last taken first, and never as more than they were."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import App, AuditEntry, User
from accounts.services import UserHasLeft, forget_user
from credits import services
from credits.models import Account, Grant, LedgerEntry
from credits.queries import position_of
from tests.conftest import make_user
from tests.credits.books import DAY, HOUR, START, Clock, left_in, lot, rows_of, uses_of, written

pytestmark = pytest.mark.usefixtures("clock", "proved")

GRACE = timedelta(hours=72)


def spend(user: User, amount: int) -> LedgerEntry:
    app = App.objects.get(slug="penora")
    return services.deduct(user=user, app=app, amount=amount, description="spent", project_code="ABC")[0]


def back(entry: LedgerEntry, amount: int | None = None) -> LedgerEntry:
    return services.refund(entry=entry, reason="It failed.", amount=amount)[0]


def grace_of(entry: LedgerEntry) -> Grant:
    return Grant.objects.get(entry=entry)


# --- how much --------------------------------------------------------------------------------------------------------


def test_a_refund_is_an_entry_that_points_at_what_it_refunds(clock: Clock, alice: User, penora: App) -> None:
    charge = spend(alice, 20)
    clock.passes(HOUR)

    entry, refundable, spendable = services.refund(entry=charge, reason="It failed.")

    assert (refundable, spendable) == (0, 50)
    entry.refresh_from_db()
    assert (entry.type, entry.amount, entry.balance_after, entry.source) == ("refund", 20, 50, "refund")
    assert (entry.related, entry.app, entry.actor, entry.project_code) == (charge, penora, None, "ABC")
    assert (entry.description, entry.metadata, entry.operation) == ("It failed.", {}, None)
    assert Account.objects.get(user=alice).balance == 50


def test_a_refund_by_staff_names_them_and_not_the_app(alice: User) -> None:
    staff = User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)

    entry, _, _ = services.refund(entry=spend(alice, 20), reason="A complaint", actor=staff)

    assert (entry.actor, entry.app) == (staff, None)


@pytest.fixture
def boss(clock: Clock) -> User:
    return User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)


def by_staff(entry: LedgerEntry, actor: User, key: str | None = "key", **terms: Any) -> tuple[LedgerEntry, int, int]:
    wanted = {"reason": "A complaint", "idempotency_key": key, **terms}
    return services.refund(entry=entry, actor=actor, **wanted)


def test_a_refund_by_staff_is_in_the_audit_and_one_by_an_app_is_not(alice: User, boss: User) -> None:
    charge = spend(alice, 20)
    back(charge, 1)
    assert not AuditEntry.objects.exists()

    entry, _, _ = by_staff(charge, boss, amount=4)

    row = AuditEntry.objects.get()
    assert (row.event, row.actor, row.subject, row.reason) == ("credits-refunded", boss, alice, "A complaint")
    assert row.details == {
        "before": {"balance": 31},
        "after": {"balance": 35},
        "amount": 4,
        "entry": str(entry.pk),
        "transaction": str(charge.pk),
    }


@pytest.mark.parametrize("amount", [4, None])
def test_the_same_key_again_is_the_same_refund(alice: User, boss: User, amount: int | None) -> None:
    charge = spend(alice, 20)
    entry, left, spendable = by_staff(charge, boss, amount=amount, expected_left=20)
    before = rows_of(alice)

    assert by_staff(charge, boss, amount=amount, expected_left=20) == (entry, left, spendable)

    assert rows_of(alice) == before
    assert entry.idempotency_key == "key"
    assert AuditEntry.objects.count() == 1


def test_the_same_key_for_something_else_is_refused(alice: User, boss: User) -> None:
    other = User.objects.create_superuser(user_id="other", username="O", email="o@example.com", password=None)
    first, second = spend(alice, 10), spend(alice, 10)
    by_staff(first, boss, amount=4)
    services.adjust(user=alice, amount=4, reason="A complaint", actor=boss, idempotency_key="adjusted")
    before = rows_of(alice)

    for entry, actor, terms in (
        (second, boss, {"amount": 4}),
        (first, other, {"amount": 4}),
        (first, boss, {"amount": 5}),
        (first, boss, {"amount": 4, "reason": "Another"}),
        (first, boss, {"amount": 4, "key": "adjusted"}),
    ):
        with pytest.raises(services.AdjustmentKeyReused):
            by_staff(entry, actor, **terms)
    with pytest.raises(services.AdjustmentKeyReused):
        services.adjust(user=alice, amount=4, reason="A complaint", actor=boss, idempotency_key="key")

    assert rows_of(alice) == before


def test_what_is_left_is_what_was_looked_at(alice: User, boss: User) -> None:
    charge = spend(alice, 20)
    back(charge, 5)
    before = rows_of(alice)

    for left in (20, 0):
        with pytest.raises(services.LeftHasChanged) as refusal:
            by_staff(charge, boss, amount=5, expected_left=left)
        assert refusal.value.left == 15
    assert rows_of(alice) == before
    assert by_staff(charge, boss, amount=5, expected_left=15)[1] == 10


def test_staff_give_nothing_back_to_who_has_left_and_say_why(alice: User, boss: User) -> None:
    charge = spend(alice, 20)
    for reason in ("", " ", "x" * 501, "\0"):
        with pytest.raises(services.ReasonNeeded):
            by_staff(charge, boss, reason=reason)
    forget_user(user=alice)
    with pytest.raises(UserHasLeft):
        by_staff(charge, boss)

    assert back(charge).amount == 20  # an app may: it undoes what it has done


def test_only_staff_have_a_key(alice: User, boss: User) -> None:
    charge = spend(alice, 20)

    with pytest.raises(ValueError, match="Only a refund by staff"):
        services.refund(entry=charge, reason="r", idempotency_key="key")
    with pytest.raises(ValueError, match="1 to 255"):
        by_staff(charge, boss, key="")
    assert by_staff(charge, boss, key=None)[0].idempotency_key is None


def test_parts_add_up_to_the_charge_and_no_further(alice: User) -> None:
    charge = spend(alice, 20)

    assert [services.refund(entry=charge, reason="r", amount=amount)[1] for amount in (5, 1, 4)] == [15, 14, 10]
    before = rows_of(alice)
    for amount in (11, 20, 1_000_000):
        with pytest.raises(services.RefundExceedsCharge) as refusal:
            back(charge, amount)
        assert (refusal.value.charged, refusal.value.refunded, refusal.value.wanted) == (20, 10, amount)
    assert rows_of(alice) == before
    assert services.refund(entry=charge, reason="r")[1:] == (0, 50)
    for all_or_one in (None, 1):
        with pytest.raises(services.RefundExceedsCharge) as refusal:
            back(charge, all_or_one)
        assert (refusal.value.charged, refusal.value.refunded, refusal.value.wanted) == (20, 20, all_or_one)
    assert position_of(alice).balance == 50


@pytest.mark.parametrize("amount", [0, -1, 1_000_001])
def test_an_amount_that_is_none_is_not_refunded_and_zero_does_not_mean_all(alice: User, amount: int) -> None:
    charge = spend(alice, 20)
    before = rows_of(alice)

    with pytest.raises(services.InvalidAmount):
        back(charge, amount)

    assert rows_of(alice) == before


def test_only_a_deduction_can_be_refunded(clock: Clock, alice: User) -> None:
    staff = User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)
    given = lot(alice, 5, HOUR).entry
    returned = back(spend(alice, 1))
    taken = services.adjust(user=alice, amount=-1, reason="why", actor=staff, idempotency_key="k")
    clock.passes(HOUR)
    services.settle(user=alice)
    expiry = LedgerEntry.objects.get(account=alice.pk, type="expiry")
    before = rows_of(alice)

    for entry in (given, returned, taken, expiry):
        with pytest.raises(services.NotRefundable, match=f"type {entry.type}"):
            back(entry)

    assert rows_of(alice) == before


def test_two_charges_are_refunded_apart(alice: User) -> None:
    first, second = spend(alice, 5), spend(alice, 7)
    back(first)

    assert services.refund(entry=second, reason="r")[0].amount == 7


# --- to where --------------------------------------------------------------------------------------------------------


def test_credits_go_back_to_the_lot_that_they_came_from(alice: User) -> None:
    kept = lot(alice, 10, DAY)
    charge = spend(alice, 10)
    assert Account.objects.get(user=alice).in_lots == 0

    entry = back(charge)

    assert uses_of(entry) == [(kept.pk, 10)]
    assert left_in(kept) == [(10, 0)]
    assert Account.objects.get(user=alice).in_lots == 10
    assert position_of(alice).expiring[0].credits == 10
    assert Grant.objects.count() == 1


def test_a_lot_that_something_went_back_to_is_spent_again_and_expires(clock: Clock, alice: User) -> None:
    kept = lot(alice, 10, DAY)
    back(spend(alice, 10), 6)

    assert uses_of(spend(alice, 2)) == [(kept.pk, -2)]
    clock.passes(DAY)
    assert position_of(alice).balance == 50
    assert services.settle(user=alice)
    assert written(alice)[-1] == ("expiry", -4, 50)


def test_what_was_taken_last_goes_back_first(alice: User) -> None:
    first, second = lot(alice, 10, DAY), lot(alice, 10, 2 * DAY)
    charge = spend(alice, 35)  # ten, ten, and fifteen that never expire

    steps = [(uses_of(back(charge, amount)), left_in(first, second)) for amount in (10, 7, 9)]
    rest = back(charge)

    assert steps == [
        ([], [(0, 0), (0, 0)]),
        ([(second.pk, 2)], [(0, 0), (2, 0)]),
        ([(second.pk, 8), (first.pk, 1)], [(1, 0), (10, 0)]),
    ]
    assert (rest.amount, uses_of(rest)) == (9, [(first.pk, 9)])
    assert left_in(first, second) == [(10, 0), (10, 0)]
    assert (position_of(alice).balance, Account.objects.get(user=alice).in_lots) == (70, 20)


def test_a_lot_that_has_since_been_spent_from_and_refunded_otherwise_takes_no_more_than_its_share(alice: User) -> None:
    kept = lot(alice, 10, DAY)
    first, second = spend(alice, 6), spend(alice, 9)  # four of the nine came from the lot

    assert uses_of(back(second)) == [(kept.pk, 4)]
    assert uses_of(back(first)) == [(kept.pk, 6)]
    assert left_in(kept) == [(10, 0)]


def test_a_refund_of_a_capture_goes_back_to_what_was_claimed(alice: User) -> None:
    first, second = lot(alice, 10, DAY), lot(alice, 10, 2 * DAY)
    hold, _ = services.reserve(user=alice, app=App.objects.get(slug="imagegene"), amount=25, description="picture")
    charge = services.capture(hold=hold, amount=15).entry
    assert charge is not None

    entry = back(charge, 6)

    assert uses_of(entry) == [(second.pk, 5), (first.pk, 1)]
    assert left_in(first, second) == [(1, 0), (10, 0)]
    assert entry.app == App.objects.get(slug="imagegene")


def test_a_refund_of_a_capture_whose_lot_has_expired_has_its_grace(clock: Clock, alice: User) -> None:
    kept = lot(alice, 10, HOUR)
    hold, _ = services.reserve(
        user=alice, app=App.objects.get(slug="imagegene"), amount=10, description="p", expires_in_seconds=86_400
    )
    clock.passes(2 * HOUR)
    charge = services.capture(hold=hold).entry  # good past the lot's expiry
    assert charge is not None

    grace = grace_of(back(charge))

    assert (grace.origin, grace.amount, grace.expires_at) == (kept, 10, START + 2 * HOUR + GRACE)


# --- what has expired meanwhile --------------------------------------------------------------------------------------


def test_what_came_from_a_lot_that_has_expired_is_a_new_lot_with_a_short_grace(clock: Clock, alice: User) -> None:
    kept = lot(alice, 10, DAY, priority=7)
    charge = spend(alice, 8)
    clock.passes(DAY)  # at the instant at which it expires

    entry = back(charge)

    until = START + DAY + GRACE
    entry.refresh_from_db()
    grace = grace_of(entry)
    assert (grace.amount, grace.remaining, grace.priority, grace.origin) == (8, 8, 7, kept)
    assert (grace.created_at, grace.expires_at, grace.period_start) == (START + DAY, until, None)
    assert (entry.type, entry.amount, entry.source) == ("refund", 8, "refund")
    assert entry.metadata == {"expires_at": "2100-03-05T12:00:00.000000Z"}
    assert written(alice)[3:] == [("expiry", -2, 50), ("refund", 8, 58)]
    assert left_in(kept) == [(0, 0)]
    assert uses_of(entry) == []
    clock.move_to(until - timedelta(microseconds=1))
    assert position_of(alice).balance == 58
    clock.move_to(until)
    assert position_of(alice).balance == 50


def test_the_grace_is_a_setting(clock: Clock, alice: User, settings: Any) -> None:
    settings.REFUND_GRACE_HOURS = 5
    lot(alice, 10, DAY)
    charge = spend(alice, 8)
    clock.passes(2 * DAY)

    assert grace_of(back(charge)).expires_at == START + 2 * DAY + 5 * HOUR


def test_a_refund_may_go_to_a_live_lot_and_to_a_grace_and_to_what_never_expires(clock: Clock, alice: User) -> None:
    first, second = lot(alice, 10, DAY), lot(alice, 10, 9 * DAY)
    charge = spend(alice, 25)
    clock.passes(2 * DAY)

    entry = back(charge)

    grace = grace_of(entry)
    assert uses_of(entry) == [(second.pk, 10)]
    assert (grace.amount, grace.origin) == (10, first)
    account = Account.objects.get(user=alice)
    assert (account.balance, account.in_lots) == (70, 20)


def test_two_expired_lots_have_a_grace_each(clock: Clock, alice: User) -> None:
    first, second = lot(alice, 10, HOUR), lot(alice, 10, 2 * HOUR, priority=60)
    charge = spend(alice, 20)
    clock.passes(DAY)

    entry = back(charge, 14)

    graces = Grant.objects.filter(entry=entry).order_by("id")
    assert [(grace.origin, grace.amount, grace.priority) for grace in graces] == [(second, 10, 60), (first, 4, 50)]
    assert [(grace.origin, grace.amount) for grace in Grant.objects.filter(entry=back(charge))] == [(first, 6)]


def test_parts_before_and_after_the_expiry_are_together_what_was_taken(clock: Clock, alice: User) -> None:
    kept = lot(alice, 10, DAY)
    charge = spend(alice, 10)
    back(charge, 3)
    clock.passes(DAY)

    assert grace_of(back(charge, 5)).amount == 5
    assert grace_of(back(charge)).amount == 2
    assert left_in(kept) == [(0, 0)]  # the three expired in it
    with pytest.raises(services.RefundExceedsCharge):
        back(charge, 1)


def test_nothing_becomes_permanent_in_a_chain_of_refunds_either(clock: Clock, alice: User) -> None:
    lot(alice, 10, DAY)
    charge = spend(alice, 10)
    for _ in range(4):
        clock.passes(4 * DAY)  # what it was taken from has expired, be it the lot or a grace
        before = Grant.objects.order_by("-id").first()
        entry = back(charge)
        grace = grace_of(entry)
        assert (grace.origin, grace.amount, grace.expires_at) == (before, 10, clock.now + GRACE)
        charge = spend(alice, 10)
        assert uses_of(charge) == [(grace.pk, -10)]
        assert position_of(alice).balance == 50

    back(charge)
    clock.passes(GRACE)
    assert position_of(alice).balance == 50
    assert position_of(alice).expiring == ()


@pytest.mark.parametrize("seed", range(10))
def test_no_history_of_refunds_makes_more_permanent_than_was_given_for_ever(clock: Clock, seed: int) -> None:
    """Whoever waits for long enough is left with at most what never expires, less what was spent of it."""
    chance = random.Random(seed)
    user = make_user("alice", initial_credits=20)
    charges: list[LedgerEntry] = []
    spent_of_the_rest = 0
    for _ in range(60):
        deed = chance.choice(("lot", "spend", "spend", "refund", "refund", "wait"))
        if deed == "lot":
            lot(user, chance.randint(1, 9), chance.randint(1, 48) * HOUR, priority=chance.choice((1, 50, 90)))
        elif deed == "wait":
            clock.passes(chance.randint(1, 40) * HOUR)
        elif deed == "spend" and position_of(user).spendable:
            charges.append(spend(user, chance.randint(1, position_of(user).spendable)))
            spent_of_the_rest += -charges[-1].amount + sum(amount for _, amount in uses_of(charges[-1]))
        elif deed == "refund" and charges:
            try:
                entry = back(chance.choice(charges), chance.choice((None, 1, 2, 5)))
            except services.RefundExceedsCharge:
                continue
            lots = Grant.objects.filter(entry=entry).values_list("amount", flat=True)
            spent_of_the_rest -= entry.amount - sum(amount for _, amount in uses_of(entry)) - sum(lots)
    assert spent_of_the_rest >= 0
    clock.passes(60 * DAY)

    assert position_of(user).balance == 20 - spent_of_the_rest
    services.settle(user=user)
    assert Account.objects.get(user=user).balance == 20 - spent_of_the_rest


# --- finding one -----------------------------------------------------------------------------------------------------


def test_a_transaction_is_found_by_its_id_and_only_by_whose_it_is(alice: User, penora: App, imagegene: App) -> None:
    charge = spend(alice, 1)
    found = str(charge.pk)

    assert services.find_transaction(transaction_id=found) == charge
    assert services.find_transaction(transaction_id=found.upper(), app=penora, user_id="alice") == charge
    for theirs in ({"app": imagegene}, {"user_id": "bob"}, {"user_id": ""}):
        with pytest.raises(services.TransactionNotFound):
            services.find_transaction(transaction_id=found, **theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "x", "1", "00000000-0000-0000-0000-000000000000", "\x00", f"{'0' * 32}"])
def test_what_is_no_id_finds_no_transaction(alice: User, text: str) -> None:
    with pytest.raises(services.TransactionNotFound):
        services.find_transaction(transaction_id=text)
