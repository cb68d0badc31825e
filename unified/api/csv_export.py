"""A history as a CSV file (RFC 4180), made line by line while it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from credits.models import LedgerEntry
from unified.api.outputs import transaction
from unified.csv_lines import csv_line

COLUMNS = (
    *("seq", "created_at", "type", "amount", "balance_after", "app_name", "description", "project_code"),
    *("operation", "quantity", "unit_credits", "price_version", "source", "id", "related_transaction_id", "metadata"),
)


def lines(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """The header, and a line for each entry. The first entries are read at once: trouble there is still an answer."""
    entries = iter(entries)
    first = next(entries, None)
    found = chain([first], entries) if first else ()
    return chain([csv_line(COLUMNS)], (csv_line(_cells(entry)) for entry in found))


def _cells(entry: LedgerEntry) -> list[Any]:
    described = transaction(entry)
    described["metadata"] = json.dumps(described["metadata"], ensure_ascii=False) if described["metadata"] else ""
    return [described[column] for column in COLUMNS]
