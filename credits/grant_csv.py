"""
Reads the CSV files by which staff give credits to many: what is a file of this kind at all, and what is wrong with
which of its lines. Who is in it is looked up elsewhere (`credits.services.files`); nothing here asks the database.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

from credits.models import MAX_AMOUNT

COLUMNS = ("user_id", "amount")
MAX_LINES = 50_000  # below the heading
MAX_BYTES = 5 * 1024 * 1024
_SHOWN = 40  # characters of what was sent, in a message
_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class UnreadableFile(ValueError):
    """No file of lines with a user id and an amount; what it says is for the person who has sent it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line below the heading, which is line 1. `amount` is None where `problem` says what is wrong with it."""

    number: int
    user_id: str
    amount: int | None
    problem: str = ""


def lines(data: bytes) -> list[Line]:
    """The lines that are not blank, in their order. Raises UnreadableFile."""
    if len(data) > MAX_BYTES:
        raise UnreadableFile(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Send it in parts.")
    text = _decoded(data)
    if not text.strip():
        raise UnreadableFile("The file is empty.")
    found: list[Line] = []
    rows = _rows(text)
    number, heading = next(rows)
    if [cell.strip().lower() for cell in heading] != list(COLUMNS):
        raise UnreadableFile(
            f"Line {number} has to be the heading “user_id,amount” (or with a semicolon); it is"
            f" “{shortened(','.join(heading))}”."
        )
    for number, cells in rows:
        if len(found) == MAX_LINES:
            raise UnreadableFile(f"The file has more than {MAX_LINES:,} lines. Send it in parts.")
        found.append(_line(number, cells))
    if not found:
        raise UnreadableFile("There is nothing below the heading.")
    return found


def shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _decoded(data: bytes) -> str:
    for mark, encoding in _ENCODINGS:
        if data.startswith(mark):
            raise UnreadableFile(f"The file is in {encoding}. Save it as “CSV UTF-8”.")
    if data.startswith(b"PK\x03\x04"):
        raise UnreadableFile("This is a workbook or another zip file, not CSV. Save it as “CSV UTF-8”.")
    if b"\0" in data:
        raise UnreadableFile("This is no text file. Save it as “CSV UTF-8”.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(
            f"The file is not in UTF-8: line {line} has the byte {data[error.start]:#04x}, as files in Windows-1252 or"
            " Latin-1 have. Save it as “CSV UTF-8”."
        ) from None


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of the line that it begins in."""
    first = text.lstrip().partition("\n")[0]
    delimiter = ";" if ";" in first else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UnreadableFile(f"Line {number} cannot be read as CSV: {error}.") from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield number, cells


def _line(number: int, cells: list[str]) -> Line:
    if len(cells) != len(COLUMNS):
        problem = f"There are 2 columns, a user id and an amount; this line has {len(cells)}."
        return Line(number, cells[0].strip(), None, problem)
    user_id, text = (cell.strip() for cell in cells)
    problem = _problem_of_amount(text) if user_id else "The user id is missing."
    return Line(number, user_id, None if problem else int(text), problem)


def _problem_of_amount(text: str) -> str:
    """Why this is no amount, in a sentence; empty if it is one."""
    if not text:
        return "The amount is missing."
    if re.fullmatch(r"[0-9]+", text):
        digits = text.lstrip("0")
        if not digits:
            return "The amount is 0; it has to be 1 or more."
        if len(digits) > len(str(MAX_AMOUNT)) or int(digits) > MAX_AMOUNT:
            return f"The amount is {shortened(text)}; one person gets {MAX_AMOUNT:,} at the most."
        return ""
    if re.fullmatch(r"-[0-9.,]+", text):
        return f"The amount is {shortened(text)}; a file gives credits and takes none."
    if re.fullmatch(r"\+?[0-9]+[.,][0-9]+", text):
        return f"The amount is “{shortened(text)}”; write whole credits, in digits only."
    return f"The amount is “{shortened(text)}”, which is no number of credits."
