"""Credits set aside: what a hold claims, how it ends, and that it ends by itself at the instant its time is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import App, User
from credits import pricing, services
from credits.models import Account, Grant, Hold, LedgerEntry, LotClaim
from credits.queries import Expiring, position_of
from tests.credits.books import (
    DAY,
    HOUR,
    SECOND,
    START,
    TICK,
    Clock,
    left_in,
    lot,
    rows_of,
    uses_of,
    written,
)

pytestmark = pytest.mark.usefixtures("clock", "proved")


def hold_of(user: User, amount: int, *, seconds: int = 900, **terms: Any) -> Hold:
    app = App.objects.get(slug="imagegene")
    wanted = {"description": "picture", **terms}
    return services.reserve(user=user, app=app, amount=amount, expires_in_seconds=seconds, **wanted)[0]


def claims_of(hold: Hold) -> list[tuple[int, int]]:
    return list(LotClaim.objects.filter(hold=hold).order_by("id").values_list("lot", "amount"))


def figures(user: User) -> tuple[int, int, int]:
    position = position_of(user)
    return position.balance, position.held, position.spendable


# --- setting aside ---------------------------------------------------------------------------------------------------


def test_a_hold_is_no_transaction_yet_and_nobody_elses_to_spend(alice: User, imagegene: App) -> None:
    hold, spendable = services.reserve(
        user=alice, app=imagegene, amount=20, description="picture", project_code="ABC", expires_in_seconds=60
    )

    assert spendable == 30
    hold.refresh_from_db()
    assert (hold.amount, hold.status, hold.app, hold.description, hold.project_code) == (
        *(20, "active", imagegene, "picture", "ABC"),
    )
    assert (hold.created_at, hold.expires_at) == (START, START + 60 * SECOND)
    assert (hold.resolved_at, hold.entry, hold.spendable_after) == (None, None, None)
    assert written(alice) == [("grant", 50, 50)]
    assert figures(alice) == (50, 20, 30)
    assert services.quote(user=alice, amount=31).spendable_after is None


def test_a_hold_lives_for_a_quarter_of_an_hour_if_nothing_is_said(alice: User, imagegene: App) -> None:
    hold, _ = services.reserve(user=alice, app=imagegene, amount=1, description="picture")

    assert hold.expires_at - hold.created_at == timedelta(minutes=15)


@pytest.mark.parametrize("seconds", [0, -1, 86_401])
def test_a_time_that_cannot_be_sets_nothing_aside(alice: User, seconds: int) -> None:
    before = rows_of(alice)

    with pytest.raises(services.InvalidDuration):
        hold_of(alice, 1, seconds=seconds)

    assert rows_of(alice) == before


@pytest.mark.parametrize("seconds", [1, 86_400])
def test_the_shortest_and_the_longest_time(alice: User, seconds: int) -> None:
    assert hold_of(alice, 1, seconds=seconds).expires_at == START + seconds * SECOND


@pytest.mark.parametrize("amount", [0, -1, 1_000_001])
def test_an_amount_that_is_none_sets_nothing_aside(alice: User, amount: int) -> None:
    with pytest.raises(services.InvalidAmount):
        hold_of(alice, amount)

    assert not Hold.objects.exists()


def test_no_more_is_set_aside_than_can_be_spent(alice: User) -> None:
    hold_of(alice, 45)
    before = rows_of(alice)

    with pytest.raises(services.InsufficientCredits) as refusal:
        hold_of(alice, 6)

    assert (refusal.value.available, refusal.value.needed) == (5, 6)
    assert rows_of(alice) == before
    hold_of(alice, 5)
    assert figures(alice) == (50, 50, 0)


def test_a_hold_claims_what_a_deduction_would_take_and_leaves_the_next_to_others(alice: User, penora: App) -> None:
    late, soon = lot(alice, 10, 9 * DAY), lot(alice, 10, DAY)

    first, second = hold_of(alice, 15), hold_of(alice, 8)

    assert claims_of(first) == [(soon.pk, 10), (late.pk, 5)]
    assert claims_of(second) == [(late.pk, 5)]  # and three that never expire
    assert left_in(soon, late) == [(10, 10), (10, 10)]
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.in_lots) == (70, 23, 20)
    entry, spendable = services.deduct(user=alice, app=penora, amount=40, description="pages")
    assert uses_of(entry) == []
    assert spendable == 7
    assert position_of(alice).expiring == ()


def test_what_is_held_of_a_lot_is_not_announced_as_expiring(alice: User) -> None:
    lot(alice, 10, DAY)
    lot(alice, 5, DAY)
    hold_of(alice, 12)

    assert position_of(alice).expiring == (Expiring(3, START + DAY),)


# --- capture ---------------------------------------------------------------------------------------------------------


def test_a_capture_is_the_deduction_of_what_was_held(clock: Clock, alice: User, imagegene: App) -> None:
    kept = lot(alice, 10, DAY)
    hold = hold_of(alice, 15, project_code="ABC")
    clock.passes(60 * SECOND)

    captured = services.capture(hold=hold)

    entry = LedgerEntry.objects.get(hold=hold)
    assert (entry.type, entry.amount, entry.balance_after, entry.app) == ("deduction", -15, 45, imagegene)
    assert (entry.description, entry.project_code) == ("picture", "ABC")
    assert (entry.operation, entry.quantity, entry.metadata) == (None, None, {"hold_id": str(hold.pk)})
    assert entry.created_at == START + 60 * SECOND
    assert uses_of(entry) == [(kept.pk, -10)]
    captured.refresh_from_db()
    assert (captured.status, captured.entry, captured.resolved_at) == ("captured", entry, START + 60 * SECOND)
    assert captured.spendable_after == 45
    assert figures(alice) == (45, 0, 45)
    assert left_in(kept) == [(0, 0)]
    assert claims_of(hold) == [(kept.pk, 10)]  # what it had claimed stays written


def test_a_capture_may_say_better_what_was_paid_for(alice: User) -> None:
    hold = hold_of(alice, 2, project_code="ABC")

    entry = services.capture(hold=hold, description="picture of a cat", project_code="DEF").entry

    assert entry is not None
    assert (entry.description, entry.project_code) == ("picture of a cat", "DEF")


def test_a_capture_of_what_nobody_described_says_the_operation_or_the_app(alice: User, imagegene: App) -> None:
    line, amount = pricing.price(operation="basic_art", quantity=1)
    priced, plain = (
        hold_of(alice, amount, operation=line, quantity=1, description=""),
        hold_of(alice, 1, description=""),
    )

    entries = [services.capture(hold=hold).entry for hold in (priced, plain)]

    assert [entry and entry.description for entry in entries] == [line.name, imagegene.name]


def test_a_part_is_paid_from_what_was_claimed_first_and_the_rest_is_free(alice: User) -> None:
    first, second, third = lot(alice, 10, DAY), lot(alice, 10, 2 * DAY), lot(alice, 10, 3 * DAY)
    hold = hold_of(alice, 35)

    captured = services.capture(hold=hold, amount=12)

    assert captured.entry is not None
    assert uses_of(captured.entry) == [(first.pk, -10), (second.pk, -2)]
    assert left_in(first, second, third) == [(0, 0), (8, 0), (10, 0)]
    assert captured.spendable_after == 68
    assert figures(alice) == (68, 0, 68)


def test_the_smallest_part_of_a_hold_can_be_captured(alice: User) -> None:
    services.capture(hold=hold_of(alice, 20), amount=1)

    assert figures(alice) == (49, 0, 49)


@pytest.mark.parametrize("amount", [0, -1, 21, 1_000_001])
def test_a_part_that_cannot_be_is_refused_and_zero_does_not_mean_all(alice: User, amount: int) -> None:
    hold = hold_of(alice, 20)
    before = rows_of(alice)

    for call in (services.capture, services.require_active):
        with pytest.raises(services.InvalidAmount):
            call(hold=hold, amount=amount)

    assert rows_of(alice) == before


@pytest.mark.parametrize(("first", "again"), [(None, None), (None, 20), (20, None), (20, 20), (7, 7)])
def test_capturing_again_changes_nothing_and_returns_the_same(
    clock: Clock, alice: User, penora: App, first: int | None, again: int | None
) -> None:
    hold = hold_of(alice, 20)
    captured = services.capture(hold=hold, amount=first)
    services.deduct(user=alice, app=penora, amount=3, description="later")
    clock.passes(DAY)
    before = rows_of(alice)

    repeated = services.capture(hold=hold, amount=again)

    assert rows_of(alice) == before
    assert (repeated.entry, repeated.spendable_after) == (captured.entry, captured.spendable_after)


@pytest.mark.parametrize(("first", "other"), [(None, 19), (7, 8), (7, None)])
def test_capturing_again_with_another_amount_is_refused(alice: User, first: int | None, other: int | None) -> None:
    hold = hold_of(alice, 20)
    services.capture(hold=hold, amount=first)
    before = rows_of(alice)

    with pytest.raises(services.HoldNotActive) as refusal:
        services.capture(hold=hold, amount=other)

    assert (refusal.value.hold.pk, refusal.value.status) == (hold.pk, "captured")
    assert rows_of(alice) == before


def test_a_priced_hold_keeps_its_price_and_a_part_counts_the_units_begun(alice: User) -> None:
    line, amount = pricing.price(operation="advanced_art", quantity=4)
    held = [hold_of(alice, amount, operation=line, quantity=4) for _ in range(3)]
    pricing.change_price(slug="advanced_art", credits=5)

    entries = [
        services.capture(hold=held[0]).entry,
        services.capture(hold=held[1], amount=6).entry,
        services.capture(hold=held[2], amount=7).entry,
    ]

    assert [(entry.operation, entry.quantity, entry.amount) for entry in entries if entry] == [
        (line, 4, -12),
        (line, 2, -6),
        (line, 3, -7),
    ]


# --- release ---------------------------------------------------------------------------------------------------------


def test_a_release_frees_all_and_writes_no_entry(clock: Clock, alice: User) -> None:
    kept = lot(alice, 10, DAY)
    hold = hold_of(alice, 15)
    clock.passes(SECOND)

    released = services.release(hold=hold)

    released.refresh_from_db()
    assert (released.status, released.entry, released.resolved_at) == ("released", None, START + SECOND)
    assert released.spendable_after == 60
    assert figures(alice) == (60, 0, 60)
    assert left_in(kept) == [(10, 0)]
    assert len(written(alice)) == 2


def test_releasing_again_changes_nothing(clock: Clock, alice: User, penora: App) -> None:
    hold = hold_of(alice, 15)
    services.release(hold=hold)
    services.deduct(user=alice, app=penora, amount=3, description="later")
    clock.passes(DAY)
    before = rows_of(alice)

    again = services.release(hold=hold)

    assert rows_of(alice) == before
    assert (again.status, again.spendable_after) == ("released", 50)


def test_what_was_captured_cannot_be_released_and_what_was_released_cannot_be_captured(alice: User) -> None:
    captured, released = hold_of(alice, 5), hold_of(alice, 5)
    services.capture(hold=captured)
    services.release(hold=released)
    before = rows_of(alice)

    with pytest.raises(services.HoldNotActive) as refusal:
        services.release(hold=captured)
    assert refusal.value.status == "captured"
    for call in (services.capture, services.require_active):
        with pytest.raises(services.HoldNotActive) as refusal:
            call(hold=released)
        assert refusal.value.status == "released"
    with pytest.raises(services.HoldNotActive):
        services.require_active(hold=captured)

    assert rows_of(alice) == before


def test_an_active_hold_is_found_to_be_so_and_left_as_it_is(alice: User) -> None:
    hold = hold_of(alice, 5)
    before = rows_of(alice)

    services.require_active(hold=hold)
    services.require_active(hold=hold, amount=5)

    assert rows_of(alice) == before


# --- its time ---------------------------------------------------------------------------------------------------------


def test_a_hold_counts_until_the_last_tick_and_frees_its_credits_without_any_sweep(
    clock: Clock, alice: User, penora: App
) -> None:
    hold = hold_of(alice, 20, seconds=60)
    clock.move_to(START + 60 * SECOND - TICK)
    assert figures(alice) == (50, 20, 30)
    with pytest.raises(services.InsufficientCredits):
        services.deduct(user=alice, app=penora, amount=31, description="pages")

    clock.passes(TICK)
    assert figures(alice) == (50, 0, 50)
    assert services.quote(user=alice, amount=50).spendable_after == 0
    hold.refresh_from_db()
    assert hold.status == "active"  # nobody has tidied up

    services.deduct(user=alice, app=penora, amount=50, description="pages")
    hold.refresh_from_db()
    assert (hold.status, hold.entry, hold.resolved_at) == ("expired", None, START + 60 * SECOND)
    assert Account.objects.get(user=alice).held == 0


def test_a_hold_can_be_captured_until_the_last_tick_and_not_at_the_instant_it_ends(clock: Clock, alice: User) -> None:
    kept, late = hold_of(alice, 20, seconds=60), hold_of(alice, 20, seconds=60)
    clock.move_to(START + 60 * SECOND - TICK)
    services.capture(hold=kept)

    clock.passes(TICK)
    before = rows_of(alice)
    for call in (services.capture, services.require_active):
        with pytest.raises(services.HoldNotActive) as refusal:
            call(hold=late)
        assert refusal.value.status == "expired"
    assert rows_of(alice) == before
    assert figures(alice) == (30, 0, 30)


def test_releasing_a_hold_whose_time_is_over_ends_it_as_expired(clock: Clock, alice: User) -> None:
    hold = hold_of(alice, 20, seconds=60)
    clock.passes(HOUR)

    released = services.release(hold=hold)

    assert (released.status, released.spendable_after) == ("expired", 50)
    before = rows_of(alice)
    assert before["holds"][0]["status"] == "expired"
    again = services.release(hold=hold)
    assert (again.status, again.spendable_after) == ("expired", 50)
    assert rows_of(alice) == before
    with pytest.raises(services.HoldNotActive) as refusal:
        services.capture(hold=hold)
    assert refusal.value.status == "expired"


def test_a_captured_hold_does_not_expire(clock: Clock, alice: User) -> None:
    hold = hold_of(alice, 20, seconds=60)
    services.capture(hold=hold)
    clock.passes(DAY)

    assert not services.settle(user=alice)
    assert figures(alice) == (30, 0, 30)


def test_only_the_holds_that_are_over_end(clock: Clock, alice: User) -> None:
    holds = [hold_of(alice, amount, seconds=seconds) for amount, seconds in ((1, 60), (2, 61), (4, 59))]
    clock.passes(60 * SECOND)
    assert figures(alice) == (50, 2, 48)

    assert services.settle(user=alice)

    stored = Hold.objects.in_bulk([hold.pk for hold in holds])
    assert [stored[hold.pk].status for hold in holds] == ["expired", "active", "expired"]
    assert figures(alice) == (50, 2, 48)
    assert not services.settle(user=alice)


# --- with a lot that expires meanwhile -------------------------------------------------------------------------------


@pytest.fixture
def held_lot(clock: Clock, alice: User) -> tuple[Grant, Hold]:
    """Ten credits for an hour, of which eight are held for two."""
    kept = lot(alice, 10, HOUR)
    return kept, hold_of(alice, 8, seconds=7_200)


def test_what_is_claimed_stays_good_when_its_lot_expires_and_the_rest_does_not(
    clock: Clock, alice: User, held_lot: tuple[Grant, Hold]
) -> None:
    kept, hold = held_lot
    clock.passes(HOUR)
    assert figures(alice) == (58, 8, 50)

    assert services.settle(user=alice)

    assert written(alice)[2:] == [("expiry", -2, 58)]
    assert left_in(kept) == [(8, 8)]
    assert figures(alice) == (58, 8, 50)
    assert not services.settle(user=alice)

    clock.passes(HOUR - TICK)
    captured = services.capture(hold=hold)
    assert captured.entry is not None
    assert uses_of(captured.entry) == [(kept.pk, -8)]
    assert figures(alice) == (50, 0, 50)


def test_what_is_released_after_its_lot_expired_expires_at_once(
    clock: Clock, alice: User, held_lot: tuple[Grant, Hold]
) -> None:
    kept, hold = held_lot
    clock.passes(HOUR + SECOND)

    released = services.release(hold=hold)

    assert released.spendable_after == 50
    assert written(alice)[2:] == [("expiry", -2, 58), ("expiry", -8, 50)]
    assert left_in(kept) == [(0, 0)]
    assert figures(alice) == (50, 0, 50)


def test_what_a_capture_leaves_after_its_lot_expired_expires_at_once(
    clock: Clock, alice: User, held_lot: tuple[Grant, Hold]
) -> None:
    kept, hold = held_lot
    clock.passes(HOUR)

    captured = services.capture(hold=hold, amount=3)

    assert captured.spendable_after == 50
    assert written(alice)[2:] == [("expiry", -2, 58), ("deduction", -3, 55), ("expiry", -5, 50)]
    assert left_in(kept) == [(0, 0)]
    assert Account.objects.get(user=alice).in_lots == 0


def test_a_hold_that_ends_before_its_lot_returns_to_it(
    clock: Clock, alice: User, held_lot: tuple[Grant, Hold], penora: App
) -> None:
    kept, _ = held_lot
    longer = lot(alice, 4, 9 * HOUR)
    clock.passes(HOUR - SECOND)
    short = hold_of(alice, 2, seconds=1)  # what is left of the lot, and over with it
    assert claims_of(short) == [(kept.pk, 2)]
    assert figures(alice) == (64, 10, 54)

    clock.passes(SECOND)
    assert figures(alice) == (62, 8, 54)  # it came back at the instant at which the lot expired
    services.deduct(user=alice, app=penora, amount=1, description="page")
    assert written(alice)[3:] == [("expiry", -2, 62), ("deduction", -1, 61)]
    assert left_in(kept, longer) == [(8, 8), (3, 0)]


@pytest.mark.parametrize(
    ("lot_seconds", "hold_seconds"), [(60, 120), (120, 60), (60, 60)], ids=["lot first", "hold first", "at once"]
)
@pytest.mark.parametrize("settled_between", [False, True])
def test_once_both_are_over_all_is_gone_in_whichever_order(
    clock: Clock, alice: User, lot_seconds: int, hold_seconds: int, settled_between: bool
) -> None:
    kept = lot(alice, 10, lot_seconds * SECOND)
    hold = hold_of(alice, 8, seconds=hold_seconds)
    assert figures(alice) == (60, 8, 52)
    clock.passes(60 * SECOND)
    between = {(60, 120): (58, 8, 50), (120, 60): (60, 0, 60), (60, 60): (50, 0, 50)}[lot_seconds, hold_seconds]
    assert figures(alice) == between
    if settled_between:
        services.settle(user=alice)
        assert figures(alice) == between

    clock.passes(60 * SECOND)
    assert figures(alice) == (50, 0, 50)
    services.settle(user=alice)

    hold.refresh_from_db()
    assert hold.status == "expired"
    assert left_in(kept) == [(0, 0)]
    assert figures(alice) == (50, 0, 50)
    assert sum(amount for kind, amount, _ in written(alice) if kind == "expiry") == -10
    account = Account.objects.get(user=alice)
    assert (account.balance, account.held, account.in_lots) == (50, 0, 0)


# --- finding one -----------------------------------------------------------------------------------------------------


def test_a_hold_is_found_by_its_id_in_any_case(alice: User, imagegene: App) -> None:
    hold = hold_of(alice, 5)

    assert services.find_hold(hold_id=str(hold.pk)) == hold
    assert services.find_hold(hold_id=str(hold.pk).upper(), app=imagegene, user_id="alice") == hold


def test_somebody_elses_hold_is_not_found(alice: User, penora: App) -> None:
    hold = hold_of(alice, 5)

    for theirs in ({"app": penora}, {"user_id": "bob"}, {"user_id": ""}):
        with pytest.raises(services.HoldNotFound):
            services.find_hold(hold_id=str(hold.pk), **theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "hold_id",
    [
        *("", "x", "1", "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}"),
        *("urn:uuid:00000000-0000-0000-0000-000000000000", "00000000000000000000000000000000", "\x00", "é" * 36),
    ],
)
def test_what_is_no_id_finds_nothing(alice: User, hold_id: str) -> None:
    with pytest.raises(services.HoldNotFound):
        services.find_hold(hold_id=hold_id)
