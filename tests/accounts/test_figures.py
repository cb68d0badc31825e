"""How numbers, sizes and times are written on every page, as a person would."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from html import unescape

import pytest
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from accounts.templatetags import figures

KB, MB, GB = 1024, 1024**2, 1024**3
SECONDS = timedelta(seconds=1)


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (7, "7"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567"), (-5, "−5"), (-1_200, "−1,200")],
)
def test_thousands_are_set_apart_and_a_minus_is_one(number: int, text: str) -> None:
    assert figures.whole(number) == text


@pytest.mark.parametrize(("number", "text"), [(5, "+5"), (1_200, "+1,200"), (-2, "−2"), (-1_200, "−1,200"), (0, "0")])
def test_a_change_has_its_sign_and_no_change_has_none(number: int, text: str) -> None:
    assert figures.signed(number) == text


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        *((1, "credit", "1 credit"), (0, "credit", "0 credits"), (2, "credit", "2 credits")),
        *((1_200, "credit", "1,200 credits"), (-1, "credit", "−1 credit"), (-2, "credit", "−2 credits")),
        *((1, "person,people", "1 person"), (3, "person,people", "3 people")),
    ],
)
def test_one_is_one_and_the_rest_are_several(count: int, words: str, text: str) -> None:
    assert figures.counted(count, words) == text
    assert text.endswith(f" {figures.noun(count, words)}")


# Also what `static/room.js` has to say: tests/browser/test_member_pages.py asks it.
SIZES = [
    *((0, "0 bytes"), (1, "1 byte"), (512, "512 bytes"), (1_000, "1,000 bytes"), (KB - 1, "1,023 bytes")),
    *((KB, "1 KB"), (5_018, "4.9 KB"), (10 * KB - 1, "10 KB"), (300_000, "293 KB"), (999 * KB, "999 KB")),
    *((1_000 * KB - 600, "999 KB"), (1_000 * KB - 1, "0.98 MB"), (MB - 1, "1 MB"), (MB, "1 MB")),
    *((MB * 5 // 4, "1.25 MB"), (15 * MB // 10, "1.5 MB"), (1_000 * MB, "1,000 MB")),
    *((GB - 1, "1 GB"), (GB, "1 GB"), (5 * GB // 2, "2.5 GB"), (5_000 * GB, "5,000 GB")),
    # Halves, which go up, and not to the even neighbour; and what lies just below them.
    *((KB * 5 // 4, "1.3 KB"), (KB * 5 // 4 - 1, "1.2 KB"), (KB * 7 // 4, "1.8 KB"), (KB * 33 // 4, "8.3 KB")),
    *((KB * 21 // 2, "11 KB"), (KB * 21 // 2 - 1, "10 KB"), (KB * 23 // 2, "12 KB"), (KB * 1_997 // 2, "999 KB")),
    *((KB * 1_999 // 2, "0.98 MB"), (KB * 1_999 // 2 - 1, "999 KB"), (MB * 9 // 8, "1.13 MB")),
    *((MB * 9 // 8 - 1, "1.12 MB"), (MB * 11 // 8, "1.38 MB"), (MB * 8_001 // 8, "1,000.13 MB")),
    *((GB * 9 // 8, "1.13 GB"), (GB * 9 // 8 - 1, "1.12 GB"), (GB * 11 // 8, "1.38 GB")),
]


@pytest.mark.parametrize(("size_bytes", "text"), SIZES)
def test_sizes_are_as_exact_as_a_person_needs(size_bytes: int, text: str) -> None:
    """
    Red with the unit chosen before it is rounded: a byte less than a gigabyte was 1,024 MB; and with halves rounded to
    even: the page said "frees 1.2 KB" until a click, and "1.3 KB" afterwards.
    """
    assert figures.size(size_bytes) == text.replace(" ", "\u00a0")


@given(st.integers(0, 2 * GB))
def test_no_size_is_far_from_what_it_says(size_bytes: int) -> None:
    number, unit = figures.size(size_bytes).split("\u00a0")
    factor = {"KB": KB, "MB": MB, "GB": GB}.get(unit, 1)

    assert abs(float(number.replace(",", "")) * factor - size_bytes) <= size_bytes * 0.051


def test_the_bytes_of_a_size_are_told_on_hover() -> None:
    assert figures.exact_size(5_018) == '<span title="5,018 bytes">4.9\u00a0KB</span>'
    assert figures.exact_size(1) == '<span title="1 byte">1\u00a0byte</span>'


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        *((0, "0"), (1, "< 0.01"), (MB // 2, "0.5"), (MB, "1"), (MB - 1, "1"), (MB // 8, "0.13")),
        *((100 * MB, "100"), (102_400 * MB, "102,400")),
    ],
)
def test_megabytes_are_never_none_of_something(size_bytes: int, text: str) -> None:
    assert figures.mb(size_bytes) == text


DISTANCES = [
    *((60 * SECONDS, "1 minute"), (185 * SECONDS, "3 minutes"), (timedelta(minutes=59, seconds=30), "59 minutes")),
    *((timedelta(hours=1, minutes=50), "1 hour"), (timedelta(hours=23, minutes=59), "23 hours")),
    *((timedelta(days=1, hours=9), "1 day"), (timedelta(days=12, hours=9), "12 days"), (timedelta(days=29), "29 days")),
]


@pytest.mark.parametrize(("distance", "text"), DISTANCES)
def test_what_has_passed_is_told_by_how_long_ago(distance: timedelta, text: str) -> None:
    past = now() - distance

    assert text_of(figures.when(past)) == text_of(figures.ago(past)) == f"{text} ago"


TO_COME = [
    *((60 * SECONDS, "1 minute"), (100 * SECONDS, "2 minutes"), (timedelta(minutes=14, seconds=50), "15 minutes")),
    *((timedelta(minutes=59, seconds=10), "59 minutes"), (timedelta(minutes=59, seconds=50), "1 hour")),
    *((timedelta(hours=1, minutes=50), "2 hours"), (timedelta(hours=2, minutes=10), "2 hours")),
    *((timedelta(hours=23, minutes=20), "23 hours"), (timedelta(hours=23, minutes=50), "1 day")),
    *((timedelta(days=1, hours=9), "1 day"), (timedelta(days=6, hours=23), "7 days"), (timedelta(days=7), "7 days")),
    *((timedelta(days=29), "29 days"), (timedelta(days=29, hours=23, minutes=55), "30 days")),
]


@pytest.mark.parametrize(("distance", "text"), TO_COME)
def test_what_is_to_come_is_told_to_the_nearest(distance: timedelta, text: str) -> None:
    """Of a week in the trash that began some minutes ago, and of 30 days of credits, none has been lost yet."""
    to_come = now() + distance + 5 * SECONDS

    assert text_of(figures.when(to_come)) == text_of(figures.until(to_come)) == f"in {text}"


def test_what_is_this_minute_is_just_now_or_in_a_moment() -> None:
    assert text_of(figures.when(now() - 40 * SECONDS)) == "just now"
    assert text_of(figures.ago(now() + 2 * SECONDS)) == "just now"  # the database's clock is before ours
    assert text_of(figures.when(now() + 40 * SECONDS)) == "in a moment"
    assert text_of(figures.until(now() - 2 * SECONDS)) == "in a moment"


def test_what_is_far_is_told_by_its_day() -> None:
    past, to_come = datetime(2020, 3, 3, 9, 5, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, tzinfo=UTC)

    assert text_of(figures.when(past)) == text_of(figures.ago(past)) == "3 March 2020"
    assert text_of(figures.when(to_come)) == "31 December 2199"
    assert text_of(figures.until(to_come)) == "on 31 December 2199"


@pytest.mark.parametrize("told", [figures.when, figures.ago, figures.until])
def test_the_exact_time_is_told_on_hover_in_utc(told: object) -> None:
    moment = datetime(2020, 3, 4, 0, 5, 7, tzinfo=timezone(timedelta(hours=2)))

    html = told(moment)  # type: ignore[operator]

    assert html.startswith('<time datetime="2020-03-04T00:05:07+02:00" title="3 March 2020, 22:05:07 UTC">')


def test_days_are_called_by_their_name_while_they_have_one() -> None:
    today = now().date()

    assert text_of(figures.on_day(today)) == "today"
    assert text_of(figures.on_day(today - timedelta(days=1))) == "yesterday"
    assert figures.on_day(date(2020, 3, 3)) == '<time datetime="2020-03-03" title="3 March 2020">3 March 2020</time>'


def test_what_never_was_is_a_dash() -> None:
    assert figures.when(None) == figures.on_day(None) == "–"


def test_what_is_over_is_over() -> None:
    assert figures.is_over(now() - SECONDS)
    assert not figures.is_over(now() + 60 * SECONDS)


def test_pages_ask_for_all_of_it_by_one_name() -> None:
    page = Template(
        '{% load figures %}{{ n|counted:"credit" }}, {{ n|signed }}, {{ n|whole }} {{ n|noun:"credit" }}, {{ n|size }}'
    )

    assert page.render(Context({"n": 1_200})) == "1,200 credits, +1,200, 1,200 credits, 1.2\u00a0KB"
