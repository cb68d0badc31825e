"""
Serializer fields that take exactly the types which the contract names.

DRF's own are kinder: its IntegerField takes "2", " 2 ", true and Arabic digits and has no upper bound, its CharField
takes numbers and trims. Kindness about money is a defect.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_DIGITS = re.compile(r"[0-9]{1,10}")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)

_BEYOND_MICROSECONDS = re.compile(r"(\.[0-9]{6})[0-9]+")  # Go and Java print nanoseconds


class TextField(serializers.CharField):
    """A JSON string, kept exactly: not trimmed, not made from a number. Control characters only where allowed."""

    def __init__(self, *, control_characters: bool = True, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)
        self.control_characters = control_characters

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("A string is needed.")
        if not self.control_characters and any(unicodedata.category(character) == "Cc" for character in data):
            raise serializers.ValidationError("Control characters are not allowed.")
        if data == "" and not self.allow_blank:
            self.fail("blank")
        return data


class WholeNumberField(serializers.Field):
    """A JSON integer from `min_value` to `max_value`. 2.0 is taken as 2; "2", 2.5 and true are not."""

    def __init__(self, *, min_value: int, max_value: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_value, self.max_value = min_value, max_value

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, (int, float)) or data != data // 1:
            raise serializers.ValidationError("A whole number is needed, as a JSON number.")
        if not self.min_value <= data <= self.max_value:
            raise serializers.ValidationError(f"A whole number from {self.min_value} to {self.max_value} is needed.")
        return int(data)

    def to_representation(self, value: int) -> int:
        return value


class QueryNumberField(WholeNumberField):
    """The same in a query string, where it comes as ASCII digits."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or not _DIGITS.fullmatch(data):
            raise serializers.ValidationError(
                f"A whole number from {self.min_value} to {self.max_value} is needed, in digits."
            )
        return super().to_internal_value(int(data))


@extend_schema_field({"type": "number"})
class AmountField(serializers.Field):
    """A JSON number more than `above` and at most `at_most`."""

    def __init__(self, *, above: float, at_most: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.above, self.at_most = above, at_most

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, (int, float)) or not self.above < data <= self.at_most:
            raise serializers.ValidationError(f"A number above {self.above} and up to {self.at_most:.0f} is needed.")
        return float(data)

    def to_representation(self, value: float) -> float:
        return value


@extend_schema_field({"type": "boolean"})
class SwitchField(serializers.Field):
    """true or false, and nothing that could be meant so."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("true or false is needed.")
        return data

    def to_representation(self, value: bool) -> bool:
        return value


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentField(serializers.Field):
    """An RFC 3339 time, or a date for its midnight; without an offset it is UTC."""

    def to_internal_value(self, data: Any) -> datetime:
        # A "+" that was not percent-encoded arrives as a space.
        text = str(data).upper().replace(" ", "+")
        try:
            if _RFC3339.fullmatch(text):
                moment = datetime.fromisoformat(_BEYOND_MICROSECONDS.sub(r"\1", text))
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise serializers.ValidationError("A time such as 2026-01-31T08:00:00Z is needed.")

    def to_representation(self, value: datetime) -> str:
        return value.isoformat()


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.Field):
    """A JSON object."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("A JSON object is needed.")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value
