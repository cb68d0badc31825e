"""Cursors: where the next page of a list starts. Opaque to clients, and good for the list that it came from only."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_LARGEST_POSITION = 2**63 - 1


def cursor_for(kind: str, position: int | None) -> str | None:
    """The cursor for a place in the list `kind`; None where there is no next page."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(f"{kind}:{position}".encode()).decode().rstrip("=")


@extend_schema_field({"type": "string"})
class CursorField(serializers.Field):
    """A cursor as it came, to the position that it stands for."""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(help_text="`next_cursor` of the page before.", **kwargs)
        self.kind = kind

    def to_internal_value(self, data: Any) -> int:
        try:
            kind, _, digits = base64.urlsafe_b64decode(str(data) + "=" * (-len(str(data)) % 4)).decode().partition(":")
        except (binascii.Error, ValueError):
            kind = digits = ""
        if kind != self.kind or not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise serializers.ValidationError("This is no cursor of this list.")
        return min(int(digits), _LARGEST_POSITION)

    def to_representation(self, value: int) -> str | None:
        return cursor_for(self.kind, value)
