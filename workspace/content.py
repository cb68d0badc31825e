"""
What a caller sent as `content`, read as the contract says (a `data:` URI; else base64 of a picture; else text, exactly)
and made ready to be kept: pictures encoded, texts compressed.

No database: all of it runs before any transaction begins.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

import brotli

from workspace import encoders, images
from workspace.models import EXCERPT_MAX_LENGTH, ProjectContent

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
_UNQUOTED_AT_ONCE = 64 * 1024  # characters
# Brotli's best for what it does in under 0.1 s; for longer texts, what does a megabyte in 25 ms (docs/workspace.md).
_BROTLI_BEST_UP_TO = 64 * 1024  # bytes
_BROTLI_BEST, _BROTLI_FAST = 11, 5
_EXCERPT_FROM = 4 * EXCERPT_MAX_LENGTH  # bytes: no letter has more than four


class InvalidContent(ValueError):
    """The content cannot be read as what it claims to be. The message says why, for the caller's eyes."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be kept. The last one is of texts only, the four before it of pictures."""

    body: bytes  # as it is kept at rest
    content_type: str
    size_bytes: int  # what a person would download, and what counts
    original_bytes: int  # length of what was sent, decoded
    encoding: str = ProjectContent.Encoding.PLAIN
    width: int | None = None  # pixels
    height: int | None = None
    is_lossless: bool | None = None
    thumbnail: bytes | None = None
    excerpt: str = ""


def read_content(sent: str, *, compression: str = "auto", room_bytes: int) -> Content:
    """
    `sent` as what is to be kept. A picture is encoded as `compression` says ("auto", "lossless", "none"; see
    `workspace.images.keep`), to fit `room_bytes` if that is possible; whether it does, the quota says later.

    Raises InvalidContent, `images.InvalidImage`, `encoders.EncodersBusy`. Text must have no lone surrogates (the
    request parser sees to that).
    """
    uri = _DATA_URI.match(sent, 0, _DATA_HEADER_MAX_LENGTH)
    if uri is None:
        picture = _bare_picture(sent)
        declared = None
    else:
        declared = (uri["type"] or "text/plain").lower()
        body = _data_body(uri, declared, sent[uri.end() :])
        if not declared.startswith("image/"):
            return _declared_text(body, declared)
        picture = body
    if picture is None:
        return text_content(sent.encode(), TEXT_TYPE)
    return picture_content(picture, declared_type=declared, compression=compression, room_bytes=room_bytes)


def picture_content(
    body: bytes, *, declared_type: str | None = None, compression: str = "auto", room_bytes: int
) -> Content:
    """A picture as it is to be kept. Takes a turn at the encoders. Raises as `read_content` does."""
    with encoders.turn():
        kept = images.keep(body, declared_type=declared_type, compression=compression, room_bytes=room_bytes)
    return Content(
        body=kept.body,
        content_type=kept.content_type,
        size_bytes=len(kept.body),
        original_bytes=len(body),
        width=kept.width,
        height=kept.height,
        is_lossless=kept.is_lossless,
        thumbnail=kept.thumbnail,
    )


def text_content(body: bytes, content_type: str) -> Content:
    """A text in UTF-8, compressed at rest where that makes it smaller. Raises InvalidContent."""
    if not body:
        raise InvalidContent("The content is empty.")
    quality = _BROTLI_BEST if len(body) <= _BROTLI_BEST_UP_TO else _BROTLI_FAST
    compressed = brotli.compress(body, mode=brotli.MODE_TEXT, quality=quality)
    smaller = len(compressed) < len(body)
    return Content(
        body=compressed if smaller else body,
        content_type=content_type,
        size_bytes=len(body),
        original_bytes=len(body),
        encoding=ProjectContent.Encoding.BROTLI if smaller else ProjectContent.Encoding.PLAIN,
        excerpt=excerpt_of(body),
    )


def excerpt_of(body: bytes) -> str:
    """The first lines of a text, for a list that must not read the text: without empty lines and spaces at the ends."""
    lines = (line.strip() for line in body[:_EXCERPT_FROM].decode(errors="ignore").replace("\0", "").splitlines())
    return "\n".join(line for line in lines if line)[:EXCERPT_MAX_LENGTH]


def _bare_picture(sent: str) -> bytes | None:
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
    return body if body is not None and images.sniff(body) is not None else None


def _data_body(uri: re.Match[str], declared: str, payload: str) -> bytes:
    if len(declared) > _DATA_TYPE_MAX_LENGTH:
        raise InvalidContent(f"The media type of the data: URI has more than {_DATA_TYPE_MAX_LENGTH} characters.")
    if not uri["base64"]:
        return _unquoted(payload)
    body = _decode_base64(payload.translate(_NO_WHITE_SPACE) if _WHITE_SPACE.search(payload) else payload)
    if body is None:
        raise InvalidContent("The data: URI says base64, but what follows is not valid base64.")
    return body


def _declared_text(body: bytes, declared: str) -> Content:
    if not (declared.startswith("text/") or declared == "application/json"):
        raise InvalidContent(f"A data: URI may hold a picture or a text, not {declared}.")
    try:
        body.decode()
    except UnicodeDecodeError:
        raise InvalidContent("The text in the data: URI is not UTF-8.") from None
    return text_content(body, f"{declared}; charset=utf-8")


def _unquoted(payload: str) -> bytes:
    """`payload` without its percent-encoding, a piece at a time: of a whole one, each escape would become an object."""
    out = bytearray()
    start = 0
    while start < len(payload):
        end = min(start + _UNQUOTED_AT_ONCE, len(payload))
        escape = payload.rfind("%", max(start, end - 2), end) if end < len(payload) else -1
        if escape > start:  # not cut in two
            end = escape
        out += unquote_to_bytes(payload[start:end])
        start = end
    return bytes(out)


def _decode_base64(text: str) -> bytes | None:
    """Standard base64, missing padding tolerated; None if it is anything else."""
    if len(text) % 4:
        digits = text.rstrip("=")
        text = digits + "=" * (-len(digits) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
