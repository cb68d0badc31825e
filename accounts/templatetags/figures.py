"""
Numbers, sizes and times on pages, as a person would write them: `{% load figures %}`, or as functions. The one place of
these rules, for people's pages and for the staff's; it stands in `accounts` because the `admin.py` of every domain asks
it, too. (What an answer of the API says is `unified.api.figures`. `static/room.js` says sizes as is done here.)
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

KILOBYTE, MEGABYTE, GIGABYTE = 1024, 1024**2, 1024**3
FAR = timedelta(days=30)  # from there on, the date says more than the distance
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


# --- Numbers ---------------------------------------------------------------------------------------------------------


@register.filter
def whole(number: int) -> str:
    """ "1,200", and a minus that is one: "−1,200"."""
    return f"{number:,}".replace("-", "−")


@register.filter
def signed(number: int) -> str:
    """A change: "+5", "−1,200"; and "0", which is none."""
    return f"+{whole(number)}" if number > 0 else whole(number)


@register.filter
def noun(count: int, words: str) -> str:
    """The word for so many: "credit" or "credits"; of "person,people", one of the two."""
    one, _, several = words.partition(",")
    return one if abs(count) == 1 else several or f"{one}s"


@register.filter
def counted(count: int, words: str) -> str:
    """ "1 credit", "1,200 credits"."""
    return f"{whole(count)} {noun(count, words)}"


# --- Sizes -----------------------------------------------------------------------------------------------------------


@register.filter
def size(size_bytes: int) -> str:
    """
    "512 bytes", "4.9 KB", "293 KB", "1.25 MB", "2 GB": of 1,024 each, as the contract has it. No line ends before the
    unit.
    """
    if size_bytes < KILOBYTE:
        return counted(size_bytes, "byte").replace(" ", "\u00a0")
    kilobytes, megabytes = size_bytes / KILOBYTE, size_bytes / MEGABYTE
    if round(kilobytes) < 1_000:  # of 1 MB, "0.98 MB" are free, and not "1,003 KB"
        return f"{_rounded(kilobytes, 0 if kilobytes >= 10 else 1)}\u00a0KB"
    if round(megabytes, 2) < 1024:
        return f"{_rounded(megabytes, 2)}\u00a0MB"
    return f"{_rounded(size_bytes / GIGABYTE, 2)}\u00a0GB"


@register.filter
def exact_size(size_bytes: int) -> SafeString:
    """The same, with the bytes on hover."""
    return format_html('<span title="{}">{}</span>', counted(size_bytes, "byte"), size(size_bytes))


@register.filter
def mb(size_bytes: int) -> str:
    """Megabytes alone, for a text that says so: "0.5", "100". Never 0 for something."""
    megabytes = size_bytes / MEGABYTE
    return "< 0.01" if 0 < megabytes < 0.01 else _rounded(megabytes, 2)


def _rounded(number: float, decimals: int) -> str:
    """Halves are rounded up, as `static/room.js` does; a format of Python's would round them to even."""
    text = f"{Decimal(number).quantize(Decimal(10) ** -decimals, ROUND_HALF_UP):,f}"
    return text.rstrip("0").rstrip(".") if decimals else text


# --- Times -----------------------------------------------------------------------------------------------------------


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """ "3 minutes ago", "in 2 days", "3 March 2026", with the exact time on hover."""
    if not moment:
        return "–"
    return _time(moment, _passed(moment) if moment <= timezone.now() else _coming(moment))


@register.filter
def ago(moment: datetime) -> SafeString:
    """As `when`, of what is past: "just now", if the database's clock is before ours."""
    return _time(moment, _passed(moment))


@register.filter
def until(moment: datetime) -> SafeString:
    """As `when`, of what is to come, and in a sentence: "in 5 minutes", "on 3 March 2026"."""
    text = _coming(moment)
    return _time(moment, text if text.startswith("in ") else f"on {text}")


@register.filter
def on_day(day: date | None) -> SafeString | str:
    """A day in UTC: "today", "yesterday", "3 March 2026"."""
    if not day:
        return "–"
    days = (timezone.now().astimezone(UTC).date() - day).days
    text = {0: "today", 1: "yesterday"}.get(days, _date(day))
    return format_html('<time datetime="{}" title="{}">{}</time>', day.isoformat(), _date(day), text)


@register.filter
def is_over(moment: datetime) -> bool:
    return moment <= timezone.now()


def exactly(moment: datetime) -> str:
    """ "3 March 2026, 09:05:00 UTC"."""
    return f"{_day(moment)}, {moment.astimezone(UTC):%H:%M:%S} UTC"


def _time(moment: datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exactly(moment), text)


def _passed(moment: datetime) -> str:
    distance = timezone.now() - moment
    if distance >= FAR:
        return _day(moment)
    text = _whole_units(distance)
    return f"{text} ago" if text else "just now"


def _coming(moment: datetime) -> str:
    distance = moment - timezone.now()
    if distance >= FAR:
        return _day(moment)
    text = _nearest_units(distance)
    return f"in {text}" if text else "in a moment"


def _whole_units(distance: timedelta) -> str:
    """The largest unit of which it has one, rounded down; nothing if it is under a minute."""
    seconds = int(distance.total_seconds())
    for length, unit in _UNITS:
        if seconds >= length:
            return counted(seconds // length, unit)
    return ""


def _nearest_units(distance: timedelta) -> str:
    """
    As `_whole_units`, to the nearest: of a week that has just begun, "7 days" are left and not 6. What would be "24
    hours" is a day.
    """
    seconds = distance.total_seconds()
    for (length, unit), finer in zip(_UNITS, (3_600, 60, 0), strict=True):
        if seconds >= length - finer / 2:
            return counted(int(seconds / length + 0.5), unit)
    return ""


def _day(moment: datetime) -> str:
    return _date(moment.astimezone(UTC).date())


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
