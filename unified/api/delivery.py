"""Which form of a content a client takes, and which part of it: `Accept`, `Accept-Encoding`, `Range` (RFC 9110)."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)
_QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)
JPEG, PNG = "image/jpeg", "image/png"
_OF_BROWSERS = ("image/", "text/html")
_EVERYBODY_TAKES = (JPEG, PNG, "image/gif")


class UnsatisfiableRange(Exception):
    """The range begins after the end."""


def picture_type(accept: str | None, *, kept: str) -> str | None:
    """
    As which media type to serve a picture that is kept as `kept`; None for JPEG, or PNG where it is transparent.

    `image/*` and `*/*` are no promise to know a format that is younger than the browser (Safari 15 sends both and
    knows no AVIF), so beside the other types of a browser `kept` has to be named. Who names nothing of a browser's, as
    programs do, takes anything, but for what it gives quality 0. Who names none of what we have gets it as it is kept:
    a 406 would help nobody.
    """
    taken, refused = _preferences(accept)
    if kept in _EVERYBODY_TAKES or kept in taken:
        return kept
    if kept not in refused and not any(name.startswith(_OF_BROWSERS) for name in taken):
        return kept
    named, anything = taken & {JPEG, PNG}, taken & {"image/*", "*/*"}
    if len(named) == 1 and not anything:
        return named.pop()
    if not (named or anything or kept in refused):
        return kept
    left = {JPEG, PNG} - refused
    return left.pop() if len(left) == 1 else None


def accepts_brotli(accept_encoding: str | None) -> bool:
    return "br" in _preferences(accept_encoding)[0]


def byte_range(header: str | None, *, length: int) -> tuple[int, int] | None:
    """
    The first and the last byte that are asked for of `length`; None for the whole: no range, several, or what is none
    (RFC 9110, 14.2: a server may pass over a Range). Raises UnsatisfiableRange.
    """
    match = _RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last so many bytes
        suffix = int(match[2])
        if suffix == 0 or length == 0:
            raise UnsatisfiableRange
        return max(0, length - suffix), length - 1
    first = int(match[1])
    last = min(int(match[2]), length - 1) if match[2] else length - 1
    if match[2] and int(match[2]) < first:
        return None
    if first >= length:
        raise UnsatisfiableRange
    return first, last


def _preferences(header: str | None) -> tuple[set[str], set[str]]:
    """What a header of the Accept family names, in lower case, and what it gives quality 0."""
    taken: set[str] = set()
    refused: set[str] = set()
    for item in (header or "").split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        qualities = (_QUALITY.fullmatch(parameter) for parameter in parameters)
        if name:
            wanted = all(float(quality[1]) > 0 for quality in qualities if quality is not None)
            (taken if wanted else refused).add(name.lower())
    return taken, refused - taken
