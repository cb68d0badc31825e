"""
The strict JSON parser. What PostgreSQL cannot store, what two readers could understand differently, and what would
exhaust the process is a 400 here, before anything else looks at it.

RFC 8259 leaves duplicate names, lone surrogates and large numbers to the receiver; this is our answer to them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

from unified.api.errors import body_too_large

MAX_DEPTH = 32  # levels of objects and arrays
MAX_NUMBER_LENGTH = 100
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1
EXACT_FLOATS = 2.0**53  # below this, a double tells every integer from its neighbours
_TOO_DEEP = f"The body is nested more than {MAX_DEPTH} levels deep."


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        meta = parser_context["request"].META if parser_context else {}
        if meta.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
            raise UnsupportedMediaType(meta["HTTP_CONTENT_ENCODING"], detail="Send the body without Content-Encoding.")
        if int(meta.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES:
            raise body_too_large()
        return loads(stream.read(settings.MAX_BODY_BYTES + 1))


def loads(body: bytes) -> dict[str, Any]:
    """The object that `body` is. Raises ParseError with a sentence that says what is wrong with it."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.") from None
    del body  # megabytes, for a picture, which is in `text` now
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
            parse_int=_integer,
        )
    except RecursionError:  # the C scanner counts its own depth, so this is an exception and not a crash
        raise ParseError(_TOO_DEEP) from None
    except json.JSONDecodeError as wrong:
        raise ParseError(f"The body is not JSON: {wrong.msg} at line {wrong.lineno}, column {wrong.colno}.") from None
    if not isinstance(value, dict):
        raise ParseError("The body is not a JSON object.")
    _check(value, depth=1)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ParseError("The body has an object with the same name twice.")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"The body has {name}, which is not JSON.")


def _finite_float(digits: str) -> float:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise ParseError(f"The body has a number of more than {MAX_NUMBER_LENGTH} characters.")
    value = float(digits)
    if not math.isfinite(value):
        raise ParseError("The body has a number that is too large.")
    if value.is_integer() and abs(value) < EXACT_FLOATS and Decimal(digits) != Decimal(value):
        # 0.99999999999999999999 would become 1, and be charged.
        raise ParseError("The body has a number with more digits than can be told apart.")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or not SMALLEST_INTEGER <= int(digits) <= LARGEST_INTEGER:
        raise ParseError("The body has an integer that does not fit in 64 bits.")
    return int(digits)


def _check(value: Any, *, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        if depth > MAX_DEPTH:
            raise ParseError(_TOO_DEEP)
        for name, item in value.items():
            _check_text(name)
            _check(item, depth=depth + 1)
    elif isinstance(value, list):
        if depth > MAX_DEPTH:
            raise ParseError(_TOO_DEEP)
        for item in value:
            _check(item, depth=depth + 1)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ParseError("The body has a NUL character.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ParseError("The body has half of a surrogate pair.") from None
