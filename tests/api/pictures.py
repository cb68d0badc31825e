"""Pictures for the tests, drawn here and now, and how callers send them."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
}


def draw(
    kind: str, *, size: tuple[int, int] = (24, 16), colour: str = "#3366cc", mode: str = "RGB", **options: Any
) -> bytes:
    """The bytes of a small picture of the format `kind`, a key of MEDIA_TYPES."""
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, kind, **options)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG of a few kilobytes that claims one row of pixels more than 16 megapixels."""
    file = io.BytesIO()
    Image.new("1", (4096, 4097)).save(file, "PNG")
    return file.getvalue()


def as_base64(body: bytes) -> str:
    return base64.b64encode(body).decode()


def as_data_uri(body: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{as_base64(body)}"
