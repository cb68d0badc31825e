"""Lines of a CSV file (RFC 4180) one at a time, for files that are made while they are sent."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Any

# What a spreadsheet would take for a formula (https://owasp.org/www-community/attacks/CSV_Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Line:
    """For the csv module: a file whose `write` hands back what it is given."""

    def write(self, line: str) -> str:
        return line


def csv_line(cells: Iterable[Any]) -> str:
    """One line with its end. Numbers are as they are; text that looks like a formula is marked as text."""
    line: str = csv.writer(_Line()).writerow([_guarded(cell) for cell in cells])  # a writer is not to be shared
    return line


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
