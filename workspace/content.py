"""
What a caller sent as `content`, read as the contract says: a `data:` URI; else base64 of a picture; else text, exactly.

Pure functions of their input: no database, no settings, so that they run before any transaction begins.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from workspace import images

TEXT_TYPE = "text/plain; charset=utf-8"

# RFC 2397, without white space: a text that merely begins with "data:" is a text.
_DATA_URI = re.compile(
    r"data:(?P<type>[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*)?"
    r"(?P<parameters>(?:;[a-z0-9_.-]+=[^;,\s]*)*)(?P<base64>;base64)?,",
    re.IGNORECASE | re.ASCII,
)
# How the base64 of each accepted format begins. WebP and AVIF have a length in front, so only the first letters say.
_PICTURE_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "AAAA")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_NO_LINE_BREAKS = str.maketrans("", "", "\r\n")
_WHITE_SPACE = re.compile(r"[ \t\r\n]")
_NO_WHITE_SPACE = str.maketrans("", "", " \t\r\n")
_DATA_HEADER_MAX_LENGTH = 512  # where the search for the comma ends: a longer header is no header
_DATA_TYPE_MAX_LENGTH = 80


class InvalidContent(ValueError):
    """The content cannot be read as what it claims to be. The message says why, for the caller's eyes."""


@dataclass(frozen=True, slots=True)
class Content:
    body: bytes  # what is kept
    content_type: str
    original_bytes: int  # length of what was sent, decoded

    @property
    def size_bytes(self) -> int:
        return len(self.body)


def read_content(sent: str) -> Content:
    """
    `sent` as what is to be kept. Raises InvalidContent, `images.InvalidImage`.

    Text must have no lone surrogates (the request parser sees to that).
    """
    uri = _DATA_URI.match(sent, 0, _DATA_HEADER_MAX_LENGTH)
    if uri is not None:
        return _read_data_uri(uri, sent[uri.end() :])
    return _read_bare_picture(sent) or _text(sent.encode(), TEXT_TYPE)


def _read_bare_picture(sent: str) -> Content | None:
    """The picture that `sent` is the base64 of, or None if it is none. Copies megabytes only where it has to."""
    bare = sent.strip()
    if not bare.startswith(_PICTURE_STARTS):
        return None
    if "\n" in bare or "\r" in bare:
        bare = bare.translate(_NO_LINE_BREAKS)
    if not _BASE64.fullmatch(bare):
        return None
    body = _decode_base64(bare)
    if body is None and not bare.startswith("AAAA"):
        raise images.InvalidImage("The content begins like a base64 picture but is not valid base64.")
    return _picture(body, declared=None) if body is not None and images.sniff(body) is not None else None


def _read_data_uri(uri: re.Match[str], payload: str) -> Content:
    declared = (uri["type"] or "text/plain").lower()
    if len(declared) > _DATA_TYPE_MAX_LENGTH:
        raise InvalidContent(f"The media type of the data: URI has more than {_DATA_TYPE_MAX_LENGTH} characters.")
    if uri["base64"]:
        body = _decode_base64(payload.translate(_NO_WHITE_SPACE) if _WHITE_SPACE.search(payload) else payload)
        if body is None:
            raise InvalidContent("The data: URI says base64, but what follows is not valid base64.")
    else:
        body = unquote_to_bytes(payload)
    if declared.startswith("image/"):
        return _picture(body, declared=declared)
    if declared.startswith("text/") or declared == "application/json":
        try:
            body.decode()
        except UnicodeDecodeError:
            raise InvalidContent("The text in the data: URI is not UTF-8.") from None
        return _text(body, f"{declared}; charset=utf-8")
    raise InvalidContent(f"A data: URI may hold a picture or a text, not {declared}.")


def _picture(body: bytes, *, declared: str | None) -> Content:
    facts = images.inspect(body, declared_type=declared)
    return Content(body=body, content_type=facts.content_type, original_bytes=len(body))


def _text(body: bytes, content_type: str) -> Content:
    if not body:
        raise InvalidContent("The content is empty.")
    return Content(body=body, content_type=content_type, original_bytes=len(body))


def _decode_base64(text: str) -> bytes | None:
    """Standard base64, missing padding tolerated; None if it is anything else."""
    if len(text) % 4:
        digits = text.rstrip("=")
        text = digits + "=" * (-len(digits) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
