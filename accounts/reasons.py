"""
Why: the field of every form in which staff do something, and what was written there. (Not in `accounts.admin`, which
registers its lists where it is imported: the site's own pages ask why, too.)
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms

from accounts.models import REASON_MAX_LENGTH


class LinesField(forms.CharField):
    """Some lines of text. Browsers send the end of a line as two characters and count it as one; so do we."""

    widget = forms.Textarea(attrs={"rows": 3})

    def __init__(self, *, max_length: int = REASON_MAX_LENGTH, **options: Any) -> None:
        super().__init__(max_length=max_length, **options)

    def to_python(self, value: Any) -> str:
        return _with_plain_breaks(super().to_python(value) or "")


class ReasonField(LinesField):
    """Why."""

    default_error_messages: ClassVar = {"required": "Say why."}

    def __init__(self, *, help_text: str = "Why this is done. It stays in the audit, with your name.", **options: Any):
        super().__init__(help_text=help_text, **options)


def reason_of(request: Any) -> str:
    """What was sent as the reason, its lines counted as the field counts them."""
    return _with_plain_breaks(request.POST.get("reason", ""))


def _with_plain_breaks(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
