"""How sizes, percentages and times look in answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified.api.figures import megabytes, megabytes_text, percentage, plural, storage_stats, timestamp
from workspace.models import Storage

MEGABYTE = 1_048_576
sizes = st.one_of(st.integers(0, 2 * MEGABYTE), st.integers(0, 2**40))
examples = settings(max_examples=500, deadline=None)


@examples
@given(sizes)
def test_megabytes_have_four_decimals_and_are_zero_for_nothing_only(size: int) -> None:
    shown = megabytes(size)

    assert (shown == 0) == (size == 0)
    assert Decimal(repr(shown)).as_tuple().exponent >= -4  # type: ignore[operator]
    assert abs(Decimal(repr(shown)) - Decimal(size) / MEGABYTE) <= Decimal("0.0001")


@examples
@given(sizes, sizes)
def test_more_bytes_are_never_shown_as_less(one: int, other: int) -> None:
    assert megabytes(min(one, other)) <= megabytes(max(one, other))


@examples
@given(sizes)
def test_the_text_has_no_trailing_zeros_and_says_the_same(size: int) -> None:
    text = megabytes_text(size)

    assert re.fullmatch(r"0|[1-9][0-9]*|(0|[1-9][0-9]*)\.[0-9]{0,3}[1-9]", text)
    assert float(text) == megabytes(size)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        *((0, "0"), (1, "0.0001"), (52, "0.0001"), (157, "0.0001"), (158, "0.0002"), (MEGABYTE // 2, "0.5")),
        *((MEGABYTE, "1"), (MEGABYTE + 1, "1"), (10 * MEGABYTE, "10"), (MEGABYTE - 1, "1"), (100 * MEGABYTE, "100")),
    ],
)
def test_known_sizes(size: int, text: str) -> None:
    assert megabytes_text(size) == text


@examples
@given(st.integers(1, 2**40), st.data())
def test_a_percentage_is_zero_to_a_hundred_with_two_decimals(whole: int, data: st.DataObject) -> None:
    part = data.draw(st.integers(0, whole))
    shown = percentage(part, whole)

    assert 0 <= shown <= 100
    assert Decimal(repr(shown)).as_tuple().exponent >= -2  # type: ignore[operator]
    assert abs(Decimal(repr(shown)) - 100 * Decimal(part) / whole) <= Decimal("0.005001")


def test_something_of_nothing_is_all_of_it() -> None:
    assert (percentage(0, 0), percentage(1, 0)) == (0, 100)


@examples
@given(st.integers(0, 3 * MEGABYTE), st.integers(0, MEGABYTE), st.integers(0, MEGABYTE))
def test_the_figures_of_a_storage_fit_each_other(used: int, reserved: int, free: int) -> None:
    stats = storage_stats(Storage(used_bytes=used, reserved_bytes=reserved, limit_bytes=used + reserved + free))

    assert (stats["used_bytes"], stats["available_bytes"]) == (used, free)
    assert stats["limit_bytes"] == used + reserved + free
    # As decimals: what a client shows adds up on the screen.
    used_mb, available_mb, limit_mb = (Decimal(repr(stats[f"{name}_mb"])) for name in ("used", "available", "limit"))
    assert used_mb + available_mb == limit_mb
    assert available_mb >= 0
    assert available_mb.as_tuple().exponent >= -4  # type: ignore[operator]


@pytest.mark.parametrize(("count", "text"), [(0, "0 credits"), (1, "1 credit"), (2, "2 credits"), (50, "50 credits")])
def test_one_is_singular(count: int, text: str) -> None:
    assert plural(count, "credit") == text


@examples
@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)), st.integers(-14, 14))
def test_times_are_in_utc_with_microseconds_and_z(moment: datetime, hours: int) -> None:
    elsewhere = timezone(timedelta(hours=hours))
    if not datetime(1971, 1, 1, tzinfo=UTC) < moment < datetime(9998, 1, 1, tzinfo=UTC):
        elsewhere = UTC

    text = timestamp(moment.astimezone(elsewhere))

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert datetime.fromisoformat(text) == moment


def test_without_a_moment_it_is_now() -> None:
    before = datetime.now(UTC)

    assert before <= datetime.fromisoformat(timestamp()) <= datetime.now(UTC)
