"""
What a picture is, before it is kept: its format, its size, and that it can be decoded at all.

The header is judged before a pixel is decoded: a file of a few kilobytes can claim hundreds of megapixels, and decoding
it would take the memory that it claims.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

MAX_PIXELS = 4096 * 4096  # 16 megapixels
_FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "MPO": "image/jpeg",  # a JPEG with further views in it, as many telephones write
}
_SAME_TYPE = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}


class InvalidImage(ValueError):
    """The picture cannot be kept. The message says why, for the caller's eyes."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    content_type: str
    width: int  # pixels
    height: int


def sniff(body: bytes) -> str | None:
    """The media type that the first bytes announce, for the formats that are accepted, else None."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if body.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    if body[4:8] == b"ftyp" and body[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return None


def inspect(body: bytes, *, declared_type: str | None = None) -> ImageFacts:
    """
    What the picture is, having decoded its first frame whole. `declared_type` is what the sender called it, if at all.

    Raises InvalidImage: not of an accepted format, not what it was declared as, over 16 megapixels, damaged.
    """
    found = sniff(body)
    if found is None:
        raise InvalidImage("The content is not a PNG, JPEG, WebP, AVIF or GIF picture.")
    if declared_type is not None and _SAME_TYPE.get(declared_type, declared_type) != found:
        raise InvalidImage(f"The content was declared as {declared_type} but is {found}.")
    try:
        with Image.open(io.BytesIO(body), formats=list(_FORMATS)) as picture:
            facts = ImageFacts(content_type=_FORMATS[picture.format or ""], width=picture.width, height=picture.height)
            if facts.width * facts.height > MAX_PIXELS:
                raise _too_large(facts.width, facts.height)
            picture.load()
    except InvalidImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidImage("The picture is over 16 megapixels.") from None
    except Exception:  # noqa: BLE001  Pillow's decoders raise nearly anything on hostile bytes
        raise InvalidImage("The picture cannot be decoded: it is damaged or cut off.") from None
    if facts.content_type != found:
        raise InvalidImage(f"The content begins like {found} but decodes as {facts.content_type}.")
    return facts


def _too_large(width: int, height: int) -> InvalidImage:
    return InvalidImage(f"The picture has {width} × {height} pixels; at most 16 megapixels (4096 × 4096) are accepted.")
