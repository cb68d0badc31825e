"""A history as a CSV file (RFC 4180), made line by line while it is sent."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from credits.models import LedgerEntry
from unified.api.outputs import transaction

COLUMNS = (
    *("seq", "created_at", "type", "amount", "balance_after", "app_name", "description", "project_code"),
    *("operation", "quantity", "unit_credits", "price_version", "source", "id", "related_transaction_id", "metadata"),
)
# What a spreadsheet would take for a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Line:
    """For the csv module: a file whose `write` hands back what it is given."""

    def write(self, line: str) -> str:
        return line


def lines(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """The header, and a line for each entry. The first entries are read at once: trouble there is still an answer."""
    entries = iter(entries)
    first = next(entries, None)
    writer = csv.writer(_Line())
    found = chain([first], entries) if first else ()
    return chain([writer.writerow(COLUMNS)], (writer.writerow(_cells(entry)) for entry in found))


def _cells(entry: LedgerEntry) -> list[Any]:
    described = transaction(entry)
    described["metadata"] = json.dumps(described["metadata"], ensure_ascii=False) if described["metadata"] else ""
    return [_cell(described[column]) for column in COLUMNS]


def _cell(value: Any) -> Any:
    """Numbers as they are; text that looks like a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
