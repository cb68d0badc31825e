"""Filters by a range: what is asked for is found, and what cannot be is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import App, User
from credits import services as credits
from credits.models import Account, LedgerEntry
from tests.admin.conftest import GIFT
from tests.conftest import make_user

ENTRIES = "/admin/credits/ledgerentry/"
ACCOUNTS = "/admin/credits/account/"


def moved(entry: LedgerEntry, moment: datetime) -> LedgerEntry:
    """The entry as if it had been made then. Only the database's owner can do that, and only with triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE credits_ledgerentry DISABLE TRIGGER USER")
        cursor.execute("UPDATE credits_ledgerentry SET created_at = %s WHERE id = %s", [moment, entry.pk])
        cursor.execute("ALTER TABLE credits_ledgerentry ENABLE TRIGGER USER")
    return entry


def amounts(staff: Browser, path: str = ENTRIES, **query: str) -> list[int]:
    answer = staff.get(path, query)
    assert answer.status_code == 200, answer.headers
    column = "amount" if path == ENTRIES else "balance"
    return sorted(getattr(row, column) for row in answer.context["cl"].result_list)


@pytest.fixture
def entries(alice: User) -> None:
    """10, 20, 30 credits on the first three days of March 2026: at its first moment, in it, at its last."""
    moments = [
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 2, 12, tzinfo=UTC),
        datetime(2026, 3, 3, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    for number, moment in enumerate(moments, 1):
        moved(credits.grant(user=alice, amount=10 * number, source=GIFT, description="x"), moment)


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("2026-03-01", "2026-03-03", [10, 20, 30]),
        ("2026-03-02", "2026-03-02", [20]),
        ("2026-03-03", "2026-03-03", [30]),
        ("2026-03-01", "2026-03-01", [10]),
        ("", "2026-03-02", [10, 20]),
        ("2026-03-04", "2026-03-31", []),
        ("2026-03-03", "2026-03-01", []),
        (" 2026-03-01 ", "2026-03-01", [10]),
    ],
)
def test_days_are_whole_and_both_ends_are_in_it(staff: Browser, first: str, last: str, found: list[int]) -> None:
    assert amounts(staff, created_at_from=first, created_at_to=last) == found


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    "day",
    ["yesterday", "2026-02-30", "99999-01-01", "9999-12-31", "-1", "01.03.2026", "2026-03-01'", "x" * 5_000],
)
@pytest.mark.parametrize("end", ["from", "to"])
def test_what_is_no_day_is_said_and_finds_nothing(staff: Browser, day: str, end: str) -> None:
    answer = staff.get(ENTRIES, {f"created_at_{end}": day})

    assert answer.status_code == 200
    said = "Not a day" in answer.content.decode()
    assert said or day == "9999-12-31"
    if said:
        assert amounts(staff, **{f"created_at_{end}": day}) == []


@pytest.mark.usefixtures("entries")
def test_a_range_goes_with_other_filters_and_a_search_and_they_with_it(staff: Browser, penora: App) -> None:
    bob = make_user("bob", initial_credits=5)
    moved(credits.deduct(user=bob, app=penora, amount=1, description="x")[0], datetime(2026, 3, 2, tzinfo=UTC))
    march = {"created_at_from": "2026-03-01", "created_at_to": "2026-03-31"}

    assert amounts(staff, **march) == [-1, 10, 20, 30]
    assert amounts(staff, **march, type__exact="deduction") == [-1]
    assert amounts(staff, **march, q="bob") == [-1]
    page = staff.get(ENTRIES, {**march, "type__exact": "deduction", "q": "bob"}).content.decode()
    for kept in ('name="type__exact" value="deduction"', 'name="q" value="bob"', 'value="2026-03-01"'):
        assert kept in page


def test_shortcuts_lead_to_the_last_days(staff: Browser, alice: User) -> None:
    old = credits.grant(user=alice, amount=7, source=GIFT, description="x")
    moved(old, timezone.now() - timedelta(days=10))
    today = timezone.now().date()

    page = staff.get(ENTRIES).content.decode()

    for days in (1, 7, 30, 90):
        assert f"created_at_from={today - timedelta(days=days - 1)}" in page
    assert amounts(staff, created_at_from=str(today - timedelta(days=6))) == [50]
    assert amounts(staff, created_at_from=str(today - timedelta(days=29))) == [7, 50]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("", "", [0, 50, 1_000]),
        ("50", "", [50, 1_000]),
        ("50.5", "", [50, 1_000]),  # down to what the column has
        ("", "50", [0, 50]),
        ("1", "999", [50]),
        ("1e2", "", [1_000]),
        ("-5", "0", [0]),
    ],
)
@pytest.mark.usefixtures("alice")
def test_numbers_are_found_between_and_at_both_ends(staff: Browser, first: str, last: str, found: list[int]) -> None:
    make_user("rich", initial_credits=1_000)
    make_user("poor", initial_credits=0)

    assert amounts(staff, ACCOUNTS, balance_from=first, balance_to=last) == found


@pytest.mark.parametrize("number", ["many", "NaN", "Infinity", "1e400", "1" * 400, "0x1F", "1,5"])
@pytest.mark.usefixtures("alice")
def test_what_is_no_number_is_said_and_finds_nothing(staff: Browser, number: str) -> None:
    for end in ("from", "to"):
        answer = staff.get(ACCOUNTS, {f"balance_{end}": number})
        assert answer.status_code == 200
        assert "Not a number" in answer.content.decode()
        assert amounts(staff, ACCOUNTS, **{f"balance_{end}": number}) == []


@pytest.mark.usefixtures("alice")
@pytest.mark.parametrize(
    "lookup", ["created_at__year", "created_at__date", "created_at__month", "created_at__week_day"]
)
def test_no_address_asks_for_part_of_a_date(staff: Browser, lookup: str) -> None:
    """`created_at__year=99999` was a 500: no database has that year."""
    for value in ("2026", "99999", "-1"):
        assert staff.get(ENTRIES, {lookup: value}).status_code == 400


@pytest.mark.usefixtures("alice")
def test_hostile_values_are_written_as_text(staff: Browser) -> None:
    page = staff.get(ENTRIES, {"created_at_from": '"><script>alert(1)</script>', "q": '"><img src=x>'}).content.decode()

    assert "<script>alert(1)" not in page
    assert "<img src=x>" not in page


def test_the_account_filter_is_one_column(staff: Browser, alice: User) -> None:
    assert Account.objects.get(user=alice).balance == 50
    assert amounts(staff, ACCOUNTS, balance_from="50", balance_to="50", q="alice") == [50]
