"""What staff type to adjust or refund: whole numbers as people write them, a reason, and when credits expire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.utils import timezone

from accounts.reasons import ReasonField
from credits.models import DESCRIPTION_MAX_LENGTH, MAX_AMOUNT

THEY_READ_IT = "Why this is done. The person reads it in their history, and it stays in the audit, with your name."
_WHOLE_NUMBER = re.compile(r"([+−-]?)([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)")  # the minus also as our own pages write it
_LONGEST_NUMBER = 18  # digits of what a row id or a balance can be


class AmountField(forms.CharField):
    """
    A whole number of credits, "+1,200", "−5" or "20". (A number field of HTML would change under the mouse wheel, and
    the keyboards that telephones show for it have no minus.)
    """

    widget = forms.TextInput(attrs={"autocomplete": "off"})
    default_error_messages: ClassVar = {"required": "Say how many credits."}

    def __init__(self, *, lowest: int, **options: Any) -> None:
        super().__init__(**options)
        self.lowest = lowest

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        number = whole_number(text)
        if number is None:
            raise forms.ValidationError("Credits are whole: write a number such as 20, and nothing else.")
        if number == 0:
            raise forms.ValidationError("Zero credits would change nothing.")
        if number < self.lowest:
            raise forms.ValidationError(
                f"At the most {MAX_AMOUNT:,} credits can be taken at once."
                if self.lowest < 0
                else "A number above zero: a refund only ever gives back."
            )
        if number > MAX_AMOUNT:
            raise forms.ValidationError(f"At the most {MAX_AMOUNT:,} credits can be moved at once.")
        return number


class DeedForm(forms.Form):
    """What an adjustment and a refund have in common. The key is made when the form is opened."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.is_bound and "key" in self.errors:
            del self.errors["key"]
            self.renew_key()
            self.add_error(None, "This form was not complete. Nothing was done: look through it, and send it again.")

    def renew_key(self) -> None:
        """Another key, for another deed."""
        sent: Any = self.data
        self.data = {**sent.dict(), "key": str(uuid4())}


class AdjustForm(DeedForm):
    amount = AmountField(
        lowest=-MAX_AMOUNT,
        label="Credits",
        help_text="A whole number: 20 adds twenty credits, -20 takes twenty away.",
    )
    reason = ReasonField(max_length=DESCRIPTION_MAX_LENGTH, help_text=THEY_READ_IT)
    expires_on = forms.DateField(
        required=False,
        label="Expires on",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Only of credits that are added. Left empty, they never expire.",
        error_messages={"invalid": "Write the day as year-month-day, such as 2030-12-31."},
    )
    expires_time = forms.TimeField(
        required=False,
        label="at (UTC)",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        error_messages={"invalid": "Write the time as hours:minutes, such as 23:59."},
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        day, time = cleaned.get("expires_on"), cleaned.get("expires_time")
        if day and time is None and "expires_time" not in self.errors:
            self.add_error("expires_time", "Say at what time, too: 23:59 is the end of that day.")
        if time is not None and day is None and "expires_on" not in self.errors:
            self.add_error("expires_on", "Say on which day, too.")
        if day and cleaned.get("amount", 1) < 0:
            self.add_error("expires_on", "Only credits that are added can expire.")
        cleaned["expires_at"] = datetime.combine(day, time, tzinfo=UTC) if day and time is not None else None
        return cleaned

    def check_expiry(self) -> None:
        """Whether the time lies ahead, before it is confirmed. (Then the service asks the database's clock.)"""
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            now = timezone.now().astimezone(UTC)
            self.add_error("expires_on", f"That time is over: it is {now:%Y-%m-%d %H:%M} UTC now.")


class RefundForm(DeedForm):
    amount = AmountField(
        lowest=1,
        label="Credits",
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
        help_text="A whole number, up to what is left to refund.",
    )
    reason = ReasonField(max_length=DESCRIPTION_MAX_LENGTH, help_text=THEY_READ_IT)


def whole_number(text: str) -> int | None:
    """The number that the text is, however large; None if it is none."""
    found = _WHOLE_NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    digits = found[2].replace(",", "").lstrip("0")[: _LONGEST_NUMBER + 1]  # beyond that, too large is too large
    return int(digits or "0") * (-1 if found[1] in ("-", "−") else 1)


def numbers(text: str) -> set[int]:
    """The row ids in "1,2,3"; none if it is anything else."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and len(part) <= _LONGEST_NUMBER for part in parts):
        return set()
    return {int(part) for part in parts}
