"""Numbers and times on the staff's pages, as a person would write them, and exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

register = template.Library()

SOON = timedelta(days=30)  # farther off, the date says more than the distance


@register.filter
def counted(number: int, noun: str) -> str:
    """ "1 credit", "1,200 credits"."""
    return f"{intcomma(number)} {noun if abs(number) == 1 else noun + 's'}"


@register.filter
def grouped(number: int) -> str:
    """ "1,200"."""
    return intcomma(number)


@register.filter
def is_over(moment: datetime) -> bool:
    return moment <= timezone.now()


@register.filter
def signed(number: int) -> str:
    """With its sign, and a minus that is one: "+5", "−1,200"."""
    return f"{'−' if number < 0 else '+'}{intcomma(abs(number))}"


@register.filter
def size(size_bytes: int) -> SafeString:
    """ "4.9 KB", with the bytes on hover."""
    return format_html('<span title="{}">{}</span>', counted(size_bytes, "byte"), filesizeformat(size_bytes))


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """ "3 minutes ago", "in 2 days", "3 March 2026", with the exact time on hover."""
    if not moment:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exactly(moment), _about(moment, timezone.now())
    )


@register.filter
def on_day(day: date | None) -> SafeString | str:
    """A day in UTC: "today", "yesterday", "3 March 2026"."""
    if not day:
        return "–"
    days = (timezone.now().astimezone(UTC).date() - day).days
    text = {0: "today", 1: "yesterday"}.get(days, _date(day))
    return format_html('<time datetime="{}" title="{}">{}</time>', day.isoformat(), _date(day), text)


def exactly(moment: datetime) -> str:
    at = moment.astimezone(UTC)
    return f"{_date(at)}, {at:%H:%M:%S} UTC"


def _about(moment: datetime, now: datetime) -> str:
    distance = abs(now - moment)
    if distance >= SOON:
        return _date(moment.astimezone(UTC))
    if distance < timedelta(minutes=1):
        return "just now" if moment <= now else "in a moment"
    if moment <= now:
        return f"{timesince(moment, now, depth=1)} ago"
    return f"in {timesince(now, moment, depth=1)}"


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
