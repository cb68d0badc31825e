"""A history as a CSV file (RFC 4180), made line by line while it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from credits.models import LedgerEntry
from unified.api.outputs import transaction
from unified.csv_lines import csv_lines

COLUMNS = (
    *("seq", "created_at", "type", "amount", "balance_after", "app_name", "description", "project_code"),
    *("operation", "quantity", "unit_credits", "price_version", "source", "id", "related_transaction_id", "metadata"),
)


def lines(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """The header, and a line for each entry, of which the first are read at once."""
    return csv_lines(COLUMNS, entries, _cells)


def _cells(entry: LedgerEntry) -> list[Any]:
    described = transaction(entry)
    described["metadata"] = json.dumps(described["metadata"], ensure_ascii=False) if described["metadata"] else ""
    return [described[column] for column in COLUMNS]
