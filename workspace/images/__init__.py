"""
Pictures: what is taken for one, what of it is kept, and what is made from it for those who look at it.

Pure functions of their input: no database, no settings, so that they run before any transaction begins, and in several
threads at once. Whatever hostile bytes do, they raise InvalidImage and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from workspace.images.delivering import THUMBNAIL_PIXELS, convert, has_alpha, make_thumbnail
from workspace.images.keeping import KeptImage, keep
from workspace.images.reading import MAX_PIXELS, InvalidImage, read, sniff

__all__ = [
    "MAX_PIXELS",
    "THUMBNAIL_PIXELS",
    "ImageFacts",
    "InvalidImage",
    "KeptImage",
    "convert",
    "has_alpha",
    "inspect",
    "keep",
    "make_thumbnail",
    "sniff",
]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    content_type: str
    width: int  # pixels
    height: int


def inspect(body: bytes, *, declared_type: str | None = None) -> ImageFacts:
    """What the picture is, having decoded its first frame whole. Raises InvalidImage."""
    source, _ = read(body, declared_type=declared_type)
    return ImageFacts(content_type=source.content_type, width=source.width, height=source.height)
