"""The monthly credits of plans: months counted from the day on which one came, and once a person and month."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import App, Plan, User
from credits import services
from credits.models import Account, Grant, LedgerEntry
from credits.queries import Expiring, position_of
from credits.services.plans import add_months, period_at
from tests.conftest import make_user
from tests.credits.books import DAY, HOUR, START, TICK, Clock, left_in, lot, rows_of, written
from unified import services as unified

moments = st.datetimes(datetime(1971, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- months ----------------------------------------------------------------------------------------------------------


@hypothesis_settings(deadline=None, max_examples=300)
@given(anchor=moments, now=moments)
def test_a_period_contains_its_moment_and_touches_the_next_and_the_one_before(anchor: datetime, now: datetime) -> None:
    start, end = period_at(anchor, now)

    assert start <= now < end
    assert timedelta(days=28) <= end - start <= timedelta(days=31)
    assert period_at(anchor, end) == (end, period_at(anchor, end)[1])
    assert period_at(anchor, start - TICK)[1] == start
    assert period_at(anchor, start) == period_at(anchor, end - TICK) == (start, end)


@hypothesis_settings(deadline=None, max_examples=300)
@given(anchor=moments, months=st.integers(0, 600))
def test_periods_are_counted_from_the_first_day_and_keep_its_time(anchor: datetime, months: int) -> None:
    if anchor.year + months // 12 > 2450:
        return
    start = add_months(anchor, months)

    assert period_at(anchor, start)[0] == start
    assert (start.year * 12 + start.month) - (anchor.year * 12 + anchor.month) == months
    assert start.timetz() == anchor.timetz()
    last_of_month = (start + DAY).month != start.month
    assert start.day == anchor.day or (last_of_month and start.day < anchor.day)


@pytest.mark.parametrize(
    ("anchor", "starts"),
    [
        ("2026-01-31T10:00", ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"]),
        ("2028-01-31T10:00", ["2028-02-29", "2028-03-31", "2028-04-30"]),
        ("2027-11-30T10:00", ["2027-12-30", "2028-01-30", "2028-02-29", "2028-03-30"]),
        ("2026-11-30T10:00", ["2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"]),
        ("2028-02-29T10:00", ["2028-03-29", "2028-04-29"]),
        ("2025-12-15T10:00", ["2026-01-15", "2026-02-15"]),
        ("2025-12-31T10:00", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("2100-01-29T10:00", ["2100-02-28", "2100-03-29"]),  # divisible by 100, so no leap year
    ],
)
def test_the_days_on_which_periods_begin(anchor: str, starts: list[str]) -> None:
    expected = [at(anchor), *(at(f"{day}T10:00") for day in starts)]

    for start, end in pairwise(expected):
        assert period_at(at(anchor), start) == (start, end)
        assert period_at(at(anchor), end - TICK) == (start, end)


def test_the_29_of_february_is_the_28_in_other_years_and_the_29_again() -> None:
    anchor = at("2028-02-29T00:00")

    assert [add_months(anchor, 12 * years) for years in range(5)] == [
        at(f"{day}T00:00") for day in ("2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29")
    ]


# --- once a person and month -----------------------------------------------------------------------------------------


@pytest.fixture
def plus(clock: Clock) -> Plan:
    return Plan.objects.get(slug="plus")  # 200 credits a month


@pytest.fixture
def member(clock: Clock, plus: Plan) -> User:
    """On the plan since 31 January at ten, without credits of their own."""
    clock.move_to(at("2101-01-31T10:00"))
    return unified.change_plan(user=make_user("member", initial_credits=0), plan=plus)


def penora() -> App:
    return App.objects.get(slug="penora")


def given_to(user: User) -> list[tuple[datetime, datetime, int]]:
    lots = Grant.objects.filter(account=user.pk).exclude(period_start=None).order_by("id")
    return [(lot.period_start, lot.expires_at, lot.amount) for lot in lots if lot.period_start]


def sweep() -> str:
    out = StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("proved")
def test_coming_on_a_plan_gives_the_first_month_at_once(clock: Clock, member: User) -> None:
    entry = LedgerEntry.objects.get(account=member.pk)
    assert (entry.type, entry.amount, entry.source, entry.app) == ("grant", 200, "plan", None)
    assert entry.description == "Plus plan, 31 January 2101 to 28 February 2101"
    assert entry.metadata == {"plan": "plus", "expires_at": "2101-02-28T10:00:00.000000Z"}
    lot = Grant.objects.get(entry=entry)
    assert (lot.amount, lot.priority, lot.period_start, lot.expires_at) == (
        *(200, 50, at("2101-01-31T10:00"), at("2101-02-28T10:00")),
    )
    assert lot.plan == Plan.objects.get(slug="plus")
    assert position_of(member).expiring == (Expiring(200, at("2101-02-28T10:00")),)


@pytest.mark.usefixtures("proved")
def test_however_often_and_from_wherever_it_is_given_it_comes_once_a_month(clock: Clock, member: User) -> None:
    for moment in ("2101-01-31T10:00", "2101-02-14T00:00", "2101-02-28T09:59:59.999999"):
        clock.move_to(at(moment))
        before = rows_of(member)
        assert services.grant_plan_credits(user=member) is None
        assert "plan credits given to 0," in sweep()
        assert services.users_to_give_plan_credits(limit=10) == []
        assert rows_of(member) == before

    clock.move_to(at("2101-02-28T10:00"))
    assert services.users_to_give_plan_credits(limit=10) == [member]
    assert "plan credits given to 1," in sweep()
    assert "plan credits given to 0," in sweep()
    assert services.grant_plan_credits(user=member) is None

    assert given_to(member) == [
        (at("2101-01-31T10:00"), at("2101-02-28T10:00"), 200),
        (at("2101-02-28T10:00"), at("2101-03-31T10:00"), 200),
    ]


@pytest.mark.usefixtures("proved")
def test_a_months_credits_expire_with_it_and_the_next_months_come(clock: Clock, member: User) -> None:
    clock.passes(DAY)
    services.deduct(user=member, app=penora(), amount=30, description="pages")
    clock.move_to(at("2101-02-28T10:00") - TICK)
    assert position_of(member).spendable == 170
    clock.passes(TICK)
    assert position_of(member).spendable == 0

    services.grant_plan_credits(user=member)

    assert written(member) == [
        ("grant", 200, 200),
        ("deduction", -30, 170),
        ("expiry", -170, 0),
        ("grant", 200, 200),
    ]
    assert position_of(member).expiring == (Expiring(200, at("2101-03-31T10:00")),)


@pytest.mark.usefixtures("proved")
def test_after_months_of_absence_only_the_present_one_is_given(clock: Clock, member: User) -> None:
    clock.move_to(at("2102-06-05T00:00"))

    sweep()

    assert given_to(member) == [
        (at("2101-01-31T10:00"), at("2101-02-28T10:00"), 200),
        (at("2102-05-31T10:00"), at("2102-06-30T10:00"), 200),
    ]
    assert position_of(member).spendable == 200


@pytest.mark.usefixtures("proved")
def test_a_year_of_sweeps_gives_each_month_once_without_a_gap(clock: Clock, member: User) -> None:
    start = clock.now
    for hours in range(0, 370 * 24, 50):
        clock.move_to(start + hours * HOUR)
        services.settle(user=member)
        for user in services.users_to_give_plan_credits(limit=10):
            services.grant_plan_credits(user=user)
        assert position_of(member).spendable == 200

    periods = given_to(member)
    assert [begin for begin, _, _ in periods[1:]] == [end for _, end, _ in periods[:-1]]
    assert len(periods) == 13


@pytest.mark.usefixtures("proved")
def test_another_plan_in_the_middle_of_a_month_gives_what_it_gives_more_and_the_month_goes_on(
    clock: Clock, member: User
) -> None:
    clock.passes(10 * DAY)
    services.deduct(user=member, app=penora(), amount=50, description="pages")

    unified.change_plan(user=member, plan=Plan.objects.get(slug="pro"))

    member.refresh_from_db()
    assert member.plan_since == at("2101-01-31T10:00")
    assert given_to(member)[1:] == [(at("2101-01-31T10:00"), at("2101-02-28T10:00"), 800)]
    assert list(Grant.objects.order_by("id").values_list("plan__slug", flat=True)) == ["plus", "pro"]
    assert position_of(member).expiring == (Expiring(950, at("2101-02-28T10:00")),)
    assert services.users_to_give_plan_credits(limit=10) == []

    clock.move_to(at("2101-02-28T10:00"))
    assert services.users_to_give_plan_credits(limit=10) == [member]
    services.grant_plan_credits(user=member)
    assert given_to(member)[2:] == [(at("2101-02-28T10:00"), at("2101-03-31T10:00"), 1_000)]


@pytest.mark.usefixtures("proved")
def test_going_to_and_fro_between_plans_earns_nothing(clock: Clock, member: User) -> None:
    for slug in ("pro", "plus", "pro", "free", "plus", "free", "pro", "plus"):
        clock.passes(DAY)
        unified.change_plan(user=member, plan=Plan.objects.get(slug=slug))
        services.deduct(user=member, app=penora(), amount=1, description="page")
        sweep()

    assert [amount for _, _, amount in given_to(member)] == [200, 800]
    assert position_of(member).spendable == 992
    clock.move_to(at("2101-02-28T10:00"))
    services.grant_plan_credits(user=member)
    assert position_of(member).spendable == 200


@pytest.mark.usefixtures("proved")
def test_a_smaller_plan_gives_nothing_until_the_month_is_over(clock: Clock) -> None:
    alice = make_user("alice", initial_credits=0)
    for slug in ("pro", "plus"):
        unified.change_plan(user=alice, plan=Plan.objects.get(slug=slug))
    assert services.users_to_give_plan_credits(limit=10) == []
    assert services.grant_plan_credits(user=alice) is None
    assert [amount for _, _, amount in given_to(alice)] == [1_000]

    clock.move_to(add_months(START, 1))
    assert services.users_to_give_plan_credits(limit=10) == [alice]
    services.grant_plan_credits(user=alice)
    assert position_of(alice).spendable == 200


@pytest.mark.usefixtures("proved")
@pytest.mark.parametrize("through", ["free", "plus"])
def test_who_has_no_month_running_begins_one_with_their_new_plan(clock: Clock, member: User, through: str) -> None:
    """Be it that their plan gave nothing, or that nobody has given them the present month yet."""
    unified.change_plan(user=member, plan=Plan.objects.get(slug=through))
    clock.move_to(at("2101-02-28T10:00"))  # at the instant at which the first month is over
    assert not services.has_plan_credits(user=member)

    unified.change_plan(user=member, plan=Plan.objects.get(slug="pro"))

    member.refresh_from_db()
    assert member.plan_since == at("2101-02-28T10:00")
    assert given_to(member)[1:] == [(at("2101-02-28T10:00"), at("2101-03-28T10:00"), 1_000)]
    assert services.has_plan_credits(user=member)


@pytest.mark.usefixtures("proved")
def test_a_month_runs_also_when_its_credits_are_spent(clock: Clock, member: User) -> None:
    services.deduct(user=member, app=penora(), amount=200, description="all")
    clock.passes(DAY)

    assert services.has_plan_credits(user=member)
    unified.change_plan(user=member, plan=Plan.objects.get(slug="pro"))
    assert position_of(member).spendable == 800


@pytest.mark.usefixtures("proved")
def test_who_is_put_on_the_plan_that_they_are_on_keeps_their_months(clock: Clock, member: User, plus: Plan) -> None:
    clock.passes(10 * DAY)
    before = rows_of(member)

    unified.change_plan(user=member, plan=plus)

    member.refresh_from_db()
    assert member.plan_since == at("2101-01-31T10:00")
    assert rows_of(member) == before


def test_on_a_plan_without_monthly_credits_nothing_is_given(clock: Clock, member: User) -> None:
    alice = make_user("alice")
    unified.change_plan(user=member, plan=Plan.objects.get(slug="free"))
    clock.passes(60 * DAY)

    assert services.users_to_give_plan_credits(limit=10) == []
    for person in (alice, member):
        assert services.grant_plan_credits(user=person) is None
    assert written(alice) == [("grant", 50, 50)]


def test_who_is_locked_out_is_given_nothing_until_they_are_back(clock: Clock, member: User) -> None:
    User.objects.filter(pk=member.pk).update(is_active=False)
    clock.passes(60 * DAY)
    before = rows_of(member)

    assert services.users_to_give_plan_credits(limit=10) == []
    assert services.grant_plan_credits(user=member) is None
    assert rows_of(member) == before

    User.objects.filter(pk=member.pk).update(is_active=True)
    assert services.users_to_give_plan_credits(limit=10) == [member]
    assert services.grant_plan_credits(user=member) is not None


def test_what_decides_is_read_anew_and_not_what_the_caller_has_read_once(clock: Clock, member: User) -> None:
    stale = User.objects.select_related("plan").get(pk=member.pk)
    clock.passes(30 * DAY)
    Plan.objects.filter(slug="plus").update(monthly_credits=7)

    entry = services.grant_plan_credits(user=stale)

    assert entry is not None
    assert entry.amount == 7


def test_whose_plan_begins_later_is_given_nothing_yet(clock: Clock, member: User) -> None:
    alice = make_user("alice")
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="plus"), plan_since=clock.now + HOUR)

    assert services.grant_plan_credits(user=alice) is None
    assert services.users_to_give_plan_credits(limit=10) == []
    clock.passes(HOUR)
    assert services.users_to_give_plan_credits(limit=10) == [alice]
    assert services.grant_plan_credits(user=alice) is not None


def test_credits_of_ones_own_that_expire_do_not_pass_for_the_plans(clock: Clock, plus: Plan) -> None:
    alice = make_user("alice")
    kept = lot(alice, 5, 90 * DAY)
    User.objects.filter(pk=alice.pk).update(plan=plus)

    assert services.users_to_give_plan_credits(limit=10) == [alice]
    assert services.grant_plan_credits(user=alice) is not None
    assert left_in(kept) == [(5, 0)]


def test_people_are_found_in_batches_by_row_id(clock: Clock, plus: Plan) -> None:
    people = [make_user(f"person{number}", initial_credits=0) for number in range(5)]
    User.objects.update(plan=plus)
    found: list[User] = []
    for expected in (2, 2, 1, 0):
        batch = services.users_to_give_plan_credits(after_id=found[-1].pk if found else 0, limit=2)
        assert len(batch) == expected
        found += batch

    assert found == people


def test_the_months_credits_of_one_period_can_only_be_one_lot_also_past_the_services(
    clock: Clock, member: User
) -> None:
    first = Grant.objects.get(account=member.pk)

    with pytest.raises(IntegrityError, match="lot_once_a_plan_period"), transaction.atomic():
        Grant.objects.create(
            account_id=member.pk,
            entry=first.entry,
            amount=1,
            remaining=1,
            period_start=first.period_start,
            plan=first.plan,
            created_at=START,
            expires_at=START + DAY,
        )


# --- what a new person gets, and what a plan can be ------------------------------------------------------------------


@pytest.mark.usefixtures("proved")
def test_who_joins_on_a_plan_with_monthly_credits_has_them_at_once(clock: Clock) -> None:
    Plan.objects.filter(slug="free").update(monthly_credits=30)

    alice, bob = make_user("alice"), make_user("bob", initial_credits=0)

    assert [(kind, amount) for kind, amount, _ in written(alice)] == [("grant", 50), ("grant", 30)]
    assert [(kind, amount) for kind, amount, _ in written(bob)] == [("grant", 30)]
    assert given_to(alice) == given_to(bob) == [(START, at("2100-04-01T12:00"), 30)]
    make_user("alice")
    assert position_of(alice).spendable == 80
    assert Account.objects.get(user=bob).in_lots == 30


@pytest.mark.parametrize("column", ["monthly_credits = 1000001", "monthly_credits = -1"])
def test_a_plan_gives_at_most_what_one_entry_can_bring_in(db: None, column: str) -> None:
    with pytest.raises(IntegrityError, match="monthly_credits"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE accounts_plan SET {column} WHERE slug = 'plus'")


@pytest.mark.usefixtures("proved")
def test_the_most_that_a_plan_can_give_is_given(clock: Clock, plus: Plan) -> None:
    Plan.objects.filter(pk=plus.pk).update(monthly_credits=1_000_000)
    alice = make_user("alice")

    unified.change_plan(user=alice, plan=Plan.objects.get(pk=plus.pk))

    assert position_of(alice).spendable == 1_000_050
