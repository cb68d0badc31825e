"""Filters of lists by a range: from … to …, both included, either left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet

LAST_DAYS = (1, 7, 30, 90)
MOST = Decimal(10) ** 15  # far beyond any figure here, and within the database's integers


class RangeFilter(admin.ListFilter):
    """
    Two fields and a button, beside the list. What is no value of its kind is said, and finds nothing: a list that looks
    filtered and is not would be worse.
    """

    template = "admin/range_filter.html"
    column: str
    input_type = "number"
    unit = ""

    def __init__(self, request: Any, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.request = request
        self.problem = ""
        for name in self.ends():
            value = params.pop(name, "")
            self.used_parameters[name] = (value[-1] if isinstance(value, list) else value).strip()

    def has_output(self) -> bool:
        return True

    def ends(self) -> tuple[str, str]:
        """What the two fields are called in the address."""
        return f"{self.column}_from", f"{self.column}_to"

    def expected_parameters(self) -> list[str | None]:
        return list(self.ends())

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        first, last = (self.used_parameters[name] for name in self.ends())
        kept = {
            name: value[-1] if isinstance(value, list) else value
            for name, value in changelist.get_filters_params().items()
            if name not in self.ends()
        }
        if changelist.query:
            kept["q"] = changelist.query
        yield {
            "selected": bool(first or last),
            "column": self.column,
            "first": first,
            "last": last,
            "input_type": self.input_type,
            "unit": self.unit,
            "kept": kept,
            "problem": self.problem,
            "shortcuts": self.shortcuts(changelist),
            "clear": changelist.get_query_string(remove=self.expected_parameters()),
        }

    def shortcuts(self, changelist: Any) -> list[tuple[str, str]]:
        return []

    def queryset(self, request: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = (str(self.used_parameters[name]) for name in self.ends())
        try:
            conditions = {**self.lower(first), **self.upper(last)}
        except (ValueError, OverflowError, InvalidOperation):
            self.problem = self.explanation()
            return queryset.none()
        return queryset.filter(**conditions)

    def lower(self, text: str) -> dict[str, Any]:
        return {f"{self.column}__gte": self.value(text)} if text else {}

    def upper(self, text: str) -> dict[str, Any]:
        return {f"{self.column}__lte": self.value(text)} if text else {}

    def value(self, text: str) -> Any:
        raise NotImplementedError

    def explanation(self) -> str:
        raise NotImplementedError


class DateRangeFilter(RangeFilter):
    """Whole days, in UTC."""

    input_type = "date"

    def value(self, text: str) -> datetime:
        return datetime.combine(date.fromisoformat(text), time(), UTC)

    def upper(self, text: str) -> dict[str, Any]:
        return {f"{self.column}__lt": self.value(text) + timedelta(days=1)} if text else {}

    def explanation(self) -> str:
        return "Not a day: write it as 2026-01-31."

    def shortcuts(self, changelist: Any) -> list[tuple[str, str]]:
        today = datetime.now(UTC).date()
        first, last = self.ends()
        return [
            (
                "today" if days == 1 else f"{days} days",
                changelist.get_query_string({first: str(today - timedelta(days=days - 1))}, [last]),
            )
            for days in LAST_DAYS
        ]


class NumberRangeFilter(RangeFilter):
    """`factor` is what one of the unit comes to in the column."""

    factor = 1

    def value(self, text: str) -> int:
        number = Decimal(text)
        if not abs(number) < MOST:
            raise ValueError(text)
        return int(number * self.factor)

    def explanation(self) -> str:
        return "Not a number."


def date_range(column: str, title: str) -> type[DateRangeFilter]:
    return type("DateRange", (DateRangeFilter,), {"column": column, "title": title})


def number_range(column: str, title: str, *, unit: str = "", factor: int = 1) -> type[NumberRangeFilter]:
    return type("NumberRange", (NumberRangeFilter,), {"column": column, "title": title, "unit": unit, "factor": factor})
