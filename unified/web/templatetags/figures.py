"""Numbers and times on pages, as a person would write them."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from unified.api.figures import MEGABYTE

register = template.Library()

_STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (7, "day"))


@register.filter
def whole(number: int) -> str:
    """With thin spaces between thousands: 12 345."""
    return f"{number:,}".replace(",", "\u202f")


@register.filter
def signed(number: int) -> str:
    """With its sign, and a minus that is one: "+200", "−2"."""
    return f"{'−' if number < 0 else '+'}{whole(abs(number))}"


@register.filter
def noun(count: int, one: str) -> str:
    """The word for so many: "credit", "credits"."""
    return one if count == 1 else f"{one}s"


@register.filter
def mb(size_bytes: int) -> str:
    """Megabytes as a person reads them: two decimals, and never 0 for something."""
    megabytes = size_bytes / MEGABYTE
    if 0 < megabytes < 0.01:
        return "< 0.01"
    return f"{megabytes:.2f}".rstrip("0").rstrip(".")


@register.filter
def size(size_bytes: int) -> str:
    """Of one thing: bytes, KB or MB."""
    if size_bytes < 1024:
        return f"{size_bytes} {noun(size_bytes, 'byte')}"
    if size_bytes < MEGABYTE:
        return f"{size_bytes / 1024:.0f} KB"
    return f"{size_bytes / MEGABYTE:.2f} MB"


@register.filter
def ago(moment: datetime) -> SafeString:
    """ "3 minutes ago", with the exact time on hover; a date, once it is more than a week."""
    passed = (timezone.now() - moment).total_seconds()
    text = f"{moment:%-d %B %Y}"
    if passed < 10:
        text = "just now"
    else:
        for step, unit in _STEPS:
            if passed < step:
                text = f"{int(passed)} {noun(int(passed), unit)} ago"
                break
            passed /= step
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), f"{moment:%-d %B %Y, %H:%M} UTC", text
    )


@register.filter
def until(moment: datetime) -> SafeString:
    """ "in 5 minutes", "in 12 days", with the exact time on hover; a date, once it is more than a month."""
    left = (moment - timezone.now()).total_seconds()
    text = f"on {moment:%-d %B %Y}"
    if left < 1:
        text = "now"
    elif left < 30 * 86_400:
        for step, unit in (*_STEPS[:-1], (31, "day")):
            if left < step:
                text = f"in {int(left)} {noun(int(left), unit)}"
                break
            left /= step
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), f"{moment:%-d %B %Y, %H:%M} UTC", text
    )
