"""What staff add and take: with a reason, within the limits of their role, once a key, and never below nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.models import App, AuditEntry, User
from accounts.services import UserHasLeft, forget_user
from credits import services
from credits.models import Account, AdjustmentLimit, Grant, LedgerEntry
from credits.queries import position_of
from tests.conftest import make_user
from tests.credits.books import DAY, HOUR, START, TICK, Clock, left_in, lot, rows_of, uses_of, written

pytestmark = pytest.mark.usefixtures("clock", "proved")


@pytest.fixture
def boss(clock: Clock) -> User:
    return User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)


@pytest.fixture
def clerk(clock: Clock) -> User:
    """A member of staff who may move 20 at a time and 50 a day."""
    return staff("clerk", role("support", 20, 50))


def staff(name: str, *roles: Group) -> User:
    user = make_user(name, initial_credits=0)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.set(roles)
    return User.objects.get(pk=user.pk)


def role(name: str, per_adjustment: int, per_day: int) -> Group:
    group = Group.objects.create(name=name)
    AdjustmentLimit.objects.create(group=group, per_adjustment=per_adjustment, per_day=per_day)
    return group


def adjust(user: User, amount: int, actor: User, key: str = "key", **terms: Any) -> LedgerEntry:
    wanted = {"reason": "A complaint", "idempotency_key": key, **terms}
    return services.adjust(user=user, amount=amount, actor=actor, **wanted)


def test_an_adjustment_up_is_an_entry_with_who_and_why(alice: User, boss: User) -> None:
    entry = adjust(alice, 20, boss)

    entry.refresh_from_db()
    assert (entry.type, entry.amount, entry.balance_after, entry.source) == ("adjustment", 20, 70, "adjustment")
    assert (entry.description, entry.actor, entry.app, entry.idempotency_key) == ("A complaint", boss, None, "key")
    assert (entry.metadata, entry.related, entry.project_code) == ({}, None, None)
    assert not Grant.objects.exists()
    assert position_of(alice).spendable == 70


def test_an_adjustment_down_takes_in_burn_order(alice: User, boss: User) -> None:
    late, soon = lot(alice, 10, 9 * DAY), lot(alice, 10, DAY)

    entry = adjust(alice, -25, boss)

    assert (entry.type, entry.amount, entry.balance_after, entry.source) == ("adjustment", -25, 45, None)
    assert uses_of(entry) == [(soon.pk, -10), (late.pk, -10)]
    assert left_in(soon, late) == [(0, 0), (0, 0)]
    assert Account.objects.get(user=alice).in_lots == 0


def test_what_is_added_may_expire(clock: Clock, alice: User, boss: User) -> None:
    entry = adjust(alice, 20, boss, expires_at=START + DAY)

    entry.refresh_from_db()
    made = Grant.objects.get(entry=entry)
    assert (made.amount, made.remaining, made.priority, made.expires_at) == (20, 20, 50, START + DAY)
    assert entry.metadata == {"expires_at": "2100-03-02T12:00:00.000000Z"}
    clock.passes(DAY)
    assert position_of(alice).spendable == 50


@pytest.mark.parametrize("expires_at", [START, START - TICK])
def test_what_is_added_expires_in_the_future(alice: User, boss: User, expires_at: Any) -> None:
    before = rows_of(alice)

    with pytest.raises(services.InvalidGrant):
        adjust(alice, 20, boss, expires_at=expires_at)

    assert rows_of(alice) == before


def test_what_is_taken_does_not_expire(alice: User, boss: User) -> None:
    with pytest.raises(services.InvalidGrant):
        adjust(alice, -20, boss, expires_at=START + DAY)

    assert written(alice) == [("grant", 50, 50)]


def test_no_more_is_taken_than_can_be_spent_and_nothing_that_is_held(clock: Clock, alice: User, boss: User) -> None:
    kept = lot(alice, 10, DAY)
    services.reserve(user=alice, app=App.objects.get(slug="penora"), amount=15, description="held")
    before = rows_of(alice)

    with pytest.raises(services.InsufficientCredits) as refusal:
        adjust(alice, -46, boss)
    assert (refusal.value.available, refusal.value.needed) == (45, 46)
    assert rows_of(alice) == before

    adjust(alice, -45, boss)
    assert position_of(alice).spendable == 0
    assert left_in(kept) == [(10, 10)]
    with pytest.raises(services.InsufficientCredits):
        adjust(alice, -1, boss, key="other")


@pytest.mark.parametrize("amount", [0, 1_000_001, -1_000_001])
def test_an_amount_that_is_none_is_refused(alice: User, boss: User, amount: int) -> None:
    before = rows_of(alice)

    with pytest.raises(services.InvalidAmount):
        adjust(alice, amount, boss)

    assert rows_of(alice) == before


@pytest.mark.parametrize("reason", ["", " ", "\t\n ", "\u00a0", "x" * 501])
def test_a_reason_is_needed(alice: User, boss: User, reason: str) -> None:
    before = rows_of(alice)

    with pytest.raises(services.ReasonNeeded):
        adjust(alice, 5, boss, reason=reason)

    assert rows_of(alice) == before


@pytest.mark.parametrize("reason", ["x", "é" * 500])
def test_the_shortest_and_the_longest_reason(alice: User, boss: User, reason: str) -> None:
    assert adjust(alice, 5, boss, reason=reason).description == reason


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_is_needed(alice: User, boss: User, key: str) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        adjust(alice, 5, boss, key=key)

    assert written(alice) == [("grant", 50, 50)]


def test_someone_without_an_account_is_given_one_and_on_refusal_is_not(alice: User, boss: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    with pytest.raises(services.InsufficientCredits):
        adjust(bob, -1, boss)
    assert not Account.objects.filter(user=bob).exists()

    adjust(bob, 5, boss)
    assert written(bob) == [("adjustment", 5, 5)]


# --- who may ---------------------------------------------------------------------------------------------------------


def test_who_is_no_active_member_of_staff_with_a_role_may_not(alice: User, clerk: User, boss: User) -> None:
    inactive, plain, roleless, nothing = (
        staff("inactive", Group.objects.get(name="support")),
        make_user("plain"),
        staff("roleless", Group.objects.create(name="writers")),
        staff("nothing", role("readers", 0, 0)),
    )
    plain.groups.add(Group.objects.get(name="support"))
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    former_boss = User.objects.create_superuser(user_id="f", username="F", email="f@example.com", password=None)
    User.objects.filter(pk=former_boss.pk).update(is_active=False)
    no_staff = User.objects.create_superuser(user_id="n", username="N", email="n@example.com", password=None)
    User.objects.filter(pk=no_staff.pk).update(is_staff=False)
    before = rows_of(alice)

    # Each is handed over as it was read before: what counts is how they stand now.
    for actor in (inactive, plain, roleless, nothing, former_boss, no_staff, alice):
        with pytest.raises(services.AdjustmentNotAllowed):
            adjust(alice, 1, actor)

    assert rows_of(alice) == before
    adjust(alice, 1, clerk)


def test_a_superuser_may_move_a_million_at_a_time_as_often_as_they_like(alice: User, boss: User) -> None:
    for number in range(3):
        adjust(alice, 1_000_000, boss, key=f"up {number}")
    adjust(alice, -1_000_000, boss, key="down")

    assert position_of(alice).spendable == 2_000_050
    assert services.limits_of(boss) == services.adjustments.Limits(per_adjustment=1_000_000, per_day=None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_role_bounds_each_adjustment_up_and_down(alice: User, clerk: User, sign: int) -> None:
    before = rows_of(alice)

    with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
        adjust(alice, sign * 21, clerk)

    assert (refusal.value.per_adjustment, refusal.value.left_today) == (20, 50)
    assert rows_of(alice) == before
    adjust(alice, sign * 20, clerk)


def test_a_role_bounds_a_day_up_and_down_together_over_all_people(alice: User, bob: User, clerk: User) -> None:
    adjust(alice, 20, clerk, key="1")
    adjust(bob, -20, clerk, key="2")
    assert services.adjusted_today(clerk) == 40

    with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
        adjust(alice, 11, clerk, key="3")
    assert (refusal.value.per_adjustment, refusal.value.left_today) == (20, 10)

    adjust(alice, -10, clerk, key="3")
    with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
        adjust(alice, 1, clerk, key="4")
    assert refusal.value.left_today == 0


def test_a_day_is_any_24_hours(clock: Clock, alice: User, clerk: User) -> None:
    adjust(alice, 20, clerk, key="1")
    clock.passes(HOUR)
    adjust(alice, 20, clerk, key="2")
    adjust(alice, 10, clerk, key="3")
    clock.move_to(START + timedelta(hours=24) - TICK)
    with pytest.raises(services.AdjustmentLimitExceeded):
        adjust(alice, 1, clerk, key="4")

    clock.passes(TICK)
    assert services.adjusted_today(clerk) == 30
    with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
        adjust(alice, 21, clerk, key="4")
    assert refusal.value.left_today == 20
    adjust(alice, 20, clerk, key="4")


def test_what_others_did_does_not_count_against_ones_day(alice: User, clerk: User, boss: User) -> None:
    adjust(alice, 20, staff("colleague", Group.objects.get(name="support")), key="1")
    adjust(alice, 500, boss, key="2")

    assert services.adjusted_today(clerk) == 0


def test_the_limits_hold_for_refunds_too_and_one_day_has_both(alice: User, clerk: User, penora: App) -> None:
    charge, _ = services.deduct(user=alice, app=penora, amount=45, description="pages")
    before = rows_of(alice)
    for amount in (None, 21):
        with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
            services.refund(entry=charge, reason="A complaint", actor=clerk, amount=amount)
        assert (refusal.value.per_adjustment, refusal.value.left_today) == (20, 50)
    for actor in (alice, staff("roleless")):
        with pytest.raises(services.AdjustmentNotAllowed):
            services.refund(entry=charge, reason="A complaint", actor=actor, amount=1)
    assert rows_of(alice) == before

    for _ in range(2):
        services.refund(entry=charge, reason="A complaint", actor=clerk, amount=20)
    assert services.adjusted_today(clerk) == 40
    with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
        adjust(alice, 11, clerk)
    assert refusal.value.left_today == 10
    adjust(alice, -10, clerk)
    with pytest.raises(services.AdjustmentLimitExceeded):
        services.refund(entry=charge, reason="A complaint", actor=clerk, amount=1)
    services.refund(entry=charge, reason="The app does it.", amount=1)


def test_of_several_roles_the_highest_counts(alice: User, clerk: User) -> None:
    clerk.groups.add(role("seniors", 100, 100), role("night shift", 5, 400), Group.objects.create(name="writers"))

    limits = services.limits_of(clerk)
    assert (limits.per_adjustment, limits.per_day) == (100, 400)
    adjust(alice, 100, clerk)
    with pytest.raises(services.AdjustmentLimitExceeded):
        adjust(alice, 101, clerk, key="other")


@pytest.mark.parametrize(("per_adjustment", "per_day"), [(20, 19), (1_000_001, 2_000_000), (-1, 5)])
def test_limits_that_cannot_be_are_refused_by_the_database(clock: Clock, per_adjustment: int, per_day: int) -> None:
    with pytest.raises(IntegrityError, match="adjustment"), transaction.atomic():
        role("impossible", per_adjustment, per_day)


@pytest.mark.parametrize("sign", [1, -1])
def test_nobody_but_a_superuser_adjusts_or_refunds_their_own_account(
    clerk: User, boss: User, penora: App, sign: int
) -> None:
    adjust(clerk, 20, boss)
    charge, _ = services.deduct(user=clerk, app=penora, amount=10, description="pages")
    before = rows_of(clerk)

    with pytest.raises(services.OwnAccount):
        adjust(clerk, sign * 5, clerk, key="other")
    with pytest.raises(services.NotAdjusted) as refusal:
        services.adjust_many(users=[clerk], amount=sign, reason="why", actor=clerk, idempotency_key="k")
    assert isinstance(refusal.value.why, services.OwnAccount)
    with pytest.raises(services.OwnAccount):
        services.refund(entry=charge, reason="why", actor=clerk)

    assert rows_of(clerk) == before
    adjust(boss, 5, boss)
    assert AuditEntry.objects.get(subject=boss).details["own_account"] is True


# --- what was looked at, and what is written down --------------------------------------------------------------------


def test_each_is_in_the_audit_once_with_the_balance_before_and_after(alice: User, boss: User, clerk: User) -> None:
    with audit.because("what somebody else has said"):
        entry = adjust(alice, -20, boss, expires_at=None)
    adjust(alice, -20, boss)
    with pytest.raises(services.AdjustmentLimitExceeded):
        adjust(alice, 21, clerk, key="other")

    row = AuditEntry.objects.get()
    assert (row.event, row.actor, row.subject, row.reason) == ("credits-adjusted", boss, alice, "A complaint")
    assert row.details == {
        "before": {"balance": 50},
        "after": {"balance": 30},
        "amount": -20,
        "entry": str(entry.pk),
    }


def test_what_has_expired_meanwhile_is_not_the_actor_s_doing(clock: Clock, alice: User, boss: User) -> None:
    lot(alice, 10, HOUR)
    clock.passes(HOUR)
    adjust(alice, 5, boss, expected_balance=50)

    assert AuditEntry.objects.get().details["before"] == {"balance": 50}


def test_a_balance_that_is_another_than_was_looked_at_is_left_alone(alice: User, boss: User, penora: App) -> None:
    services.deduct(user=alice, app=penora, amount=1, description="meanwhile")
    before = rows_of(alice)

    for amount in (5, -5):
        with pytest.raises(services.BalanceHasChanged) as refusal:
            adjust(alice, amount, boss, expected_balance=50)
        assert refusal.value.balance == 49
    assert rows_of(alice) == before

    first = adjust(alice, 5, boss, expected_balance=49)
    assert adjust(alice, 5, boss, expected_balance=49) == first  # though the balance is 54 by now


def test_a_balance_of_nothing_is_a_balance(alice: User, boss: User) -> None:
    with pytest.raises(services.BalanceHasChanged):
        adjust(alice, 5, boss, expected_balance=0)


def test_who_has_left_is_not_adjusted(alice: User, boss: User) -> None:
    adjust(alice, 5, boss)
    forget_user(user=alice)
    before = rows_of(alice)

    for amount in (5, -5):
        with pytest.raises(UserHasLeft):
            adjust(alice, amount, boss, key="other")
    assert adjust(alice, 5, boss).amount == 5  # that was before
    assert rows_of(alice) == before


def test_a_reason_has_no_nul(alice: User, boss: User) -> None:
    with pytest.raises(services.ReasonNeeded):
        adjust(alice, 5, boss, reason="a\0b")


# --- many ------------------------------------------------------------------------------------------------------------


def adjust_many(users: list[User], amount: int, actor: User, key: str = "key", **terms: Any) -> list[LedgerEntry]:
    wanted = {"reason": "A complaint", "idempotency_key": key, **terms}
    return services.adjust_many(users=users, amount=amount, actor=actor, **wanted)


def test_many_get_the_same_and_each_has_a_row_in_the_audit(alice: User, bob: User, boss: User) -> None:
    entries = adjust_many([bob, alice], 5, boss, expires_at=START + DAY)

    assert [(entry.account_id, entry.amount, entry.balance_after) for entry in entries] == [
        (alice.pk, 5, 55),
        (bob.pk, 5, 55),
    ]
    assert Grant.objects.filter(expires_at=START + DAY).count() == 2
    assert {row.subject for row in AuditEntry.objects.all()} == {alice, bob}
    before = rows_of(alice), rows_of(bob)
    assert adjust_many([alice, bob], 5, boss, expires_at=START + DAY) == entries
    assert (rows_of(alice), rows_of(bob)) == before
    assert AuditEntry.objects.count() == 2


def test_because_of_one_of_many_nobody_is_adjusted(alice: User, bob: User, boss: User, penora: App) -> None:
    services.deduct(user=bob, app=penora, amount=1, description="meanwhile")
    before = rows_of(alice), rows_of(bob)
    seen = {alice.pk: 50, bob.pk: 50}

    for amount, terms, why in (
        (-50, {}, services.InsufficientCredits),
        (5, {"expected_balances": seen}, services.BalanceHasChanged),
    ):
        with pytest.raises(services.NotAdjusted) as refusal:
            adjust_many([alice, bob], amount, boss, **terms)
        assert (refusal.value.user, type(refusal.value.why)) == (bob, why)
    forget_user(user=bob)
    with pytest.raises(services.NotAdjusted) as refusal:
        adjust_many([alice, bob], 5, boss)
    assert isinstance(refusal.value.why, UserHasLeft)

    assert (rows_of(alice), rows_of(bob)) == before
    assert not AuditEntry.objects.exists()
    adjust_many([alice], 5, boss, expected_balances=seen)


def test_the_limit_at_a_time_is_each_one_s_and_that_of_the_day_is_all_of_theirs(clerk: User) -> None:
    people = [make_user(f"person-{number}") for number in range(3)]

    with pytest.raises(services.AdjustmentLimitExceeded):
        adjust_many(people[:1], 21, clerk)
    with pytest.raises(services.AdjustmentLimitExceeded) as refusal:
        adjust_many(people, 17, clerk)
    assert refusal.value.left_today == 50
    assert services.adjusted_today(clerk) == 0

    adjust_many(people, -16, clerk)
    assert services.adjusted_today(clerk) == 48
    with pytest.raises(services.AdjustmentLimitExceeded):
        adjust_many(people, -1, clerk, key="other")


def test_a_key_of_other_people_is_refused(alice: User, bob: User, boss: User) -> None:
    carol = make_user("carol")
    adjust_many([alice, bob], 5, boss)
    before = [rows_of(user) for user in (alice, bob, carol)]

    for people in ([alice], [alice, bob, carol], [carol, bob]):
        with pytest.raises(services.AdjustmentKeyReused):
            adjust_many(people, 5, boss)
    with pytest.raises(services.NotAdjusted) as refusal:
        adjust_many([alice, bob], 6, boss)
    assert isinstance(refusal.value.why, services.AdjustmentKeyReused)

    assert [rows_of(user) for user in (alice, bob, carol)] == before


def test_nobody_too_many_and_one_twice_are_refused(alice: User, boss: User) -> None:
    crowd = [User(pk=10_000 + number) for number in range(101)]
    for people in ([], [alice, alice], crowd):
        with pytest.raises(services.TooManyPeople):
            adjust_many(people, 5, boss)

    assert written(alice) == [("grant", 50, 50)]


@pytest.mark.parametrize("terms", [{"amount": 0}, {"amount": 1_000_001}, {"reason": " "}, {"expires_at": START}])
def test_what_is_wrong_for_all_is_no_one_s_fault(alice: User, bob: User, boss: User, terms: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {"amount": 5, **terms}
    with pytest.raises((services.InvalidAmount, services.ReasonNeeded, services.InvalidGrant)):
        adjust_many([alice, bob], actor=boss, **wanted)

    assert written(alice) == written(bob) == [("grant", 50, 50)]


def test_what_is_foreseen_is_what_is_done(alice: User, bob: User, boss: User, clerk: User, penora: App) -> None:
    lot(alice, 10, HOUR)
    services.reserve(user=bob, app=penora, amount=40, description="held")
    for one in services.foresee(users=[bob, alice], amount=-10, actor=boss):
        assert one.refusal is None
        assert adjust(one.user, -10, boss).balance_after == one.balance_after
    (too_much,) = services.foresee(users=[bob], amount=-1, actor=boss)
    assert isinstance(too_much.refusal, services.InsufficientCredits)
    (own,) = services.foresee(users=[clerk], amount=1, actor=clerk)
    assert isinstance(own.refusal, services.OwnAccount)
    with pytest.raises(services.AdjustmentLimitExceeded):
        services.foresee(users=[alice, bob], amount=21, actor=clerk)


# --- once a key ------------------------------------------------------------------------------------------------------


def test_the_same_key_again_is_the_same_adjustment(clock: Clock, alice: User, clerk: User) -> None:
    terms: dict[str, Any] = {"expires_at": START + HOUR}
    first = adjust(alice, 20, clerk, key="up", **terms)
    taken = adjust(alice, -20, clerk, key="down")
    clock.passes(HOUR)  # so that what was asked for could not be given now
    adjust(alice, 10, clerk, key="rest of the day")
    before = rows_of(alice)

    assert adjust(alice, 20, clerk, key="up", **terms) == first
    assert adjust(alice, -20, clerk, key="down") == taken

    assert rows_of(alice) == before


def test_the_same_key_for_something_else_is_refused(alice: User, boss: User, clerk: User) -> None:
    adjust(alice, 5, boss)
    before = rows_of(alice)

    for amount, actor, terms in (
        (6, boss, {}),
        (-5, boss, {}),
        (5, clerk, {}),
        (5, boss, {"reason": "Another"}),
        (5, boss, {"expires_at": START + DAY}),
    ):
        with pytest.raises(services.AdjustmentKeyReused):
            adjust(alice, amount, actor, **terms)

    assert rows_of(alice) == before


def test_a_key_is_of_one_account(alice: User, bob: User, boss: User) -> None:
    assert adjust(alice, 5, boss) != adjust(bob, 7, boss)

    assert (position_of(alice).spendable, position_of(bob).spendable) == (55, 57)


def test_a_refused_adjustment_does_not_use_its_key_up(alice: User, clerk: User) -> None:
    with pytest.raises(services.AdjustmentLimitExceeded):
        adjust(alice, 21, clerk)

    assert adjust(alice, 20, clerk).amount == 20


def test_who_may_no_longer_adjust_is_not_shown_what_they_did_either(alice: User, clerk: User) -> None:
    adjust(alice, 5, clerk)
    clerk.groups.clear()

    with pytest.raises(services.AdjustmentNotAllowed):
        adjust(alice, 5, clerk)
