"""Small pictures of every kind, made here."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
}


def picture(format: str = "PNG", size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    """A picture with something to see in it, so that every encoder has something to write."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def animation(format: str, frames: int = 3) -> bytes:
    images = [Image.new("RGB", (24, 16), (60 * number, 0, 0)) for number in range(frames)]
    file = io.BytesIO()
    images[0].save(file, format, save_all=True, append_images=images[1:])
    return file.getvalue()


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size; all its pixels would be 0, if there were any."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0" * 64)) + _chunk(b"IEND")


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
