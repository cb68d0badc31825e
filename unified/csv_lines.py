"""Lines of a CSV file (RFC 4180) one at a time, for files that are made while they are sent."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

Entry = TypeVar("Entry")

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


def csv_lines(
    columns: Sequence[str], entries: Iterable[Entry], cells: Callable[[Entry], Iterable[Any]]
) -> Iterator[str]:
    """The header, and a line for each entry. The first entries are read at once: trouble there is still an answer."""
    entries = iter(entries)
    found = chain([first], entries) if (first := next(entries, None)) is not None else ()
    return chain([csv_line(columns)], (csv_line(cells(entry)) for entry in found))


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
