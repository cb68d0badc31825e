"""What is made from a kept picture: its thumbnail, and another format for clients that know neither AVIF nor WebP."""

from __future__ import annotations

import io

from PIL import Image

from workspace.images.formats import MAX_SIDE, avif
from workspace.images.normalising import eight_bits, fitting, normalise, over_white, resized
from workspace.images.reading import FORMATS, MAX_PIXELS, InvalidImage, read

THUMBNAIL_PIXELS = 256  # longest side


def make_thumbnail(body: bytes) -> bytes:
    """
    The picture's first frame as AVIF, at most 256 pixels a side, never enlarged, transparency kept, no metadata.

    Raises InvalidImage.
    """
    source, picture = read(body, draft_pixels=4 * THUMBNAIL_PIXELS**2)
    plain = eight_bits(source, picture)
    normal = normalise(source, plain, picture.info, max_pixels=MAX_PIXELS, max_side=2 * THUMBNAIL_PIXELS)
    return thumbnail_of(normal.picture)


def thumbnail_of(picture: Image.Image) -> bytes:
    """`picture` is upright, in sRGB, and L, RGB or RGBA."""
    size = fitting(picture.size, max_side=THUMBNAIL_PIXELS)
    return avif(resized(picture, size) if size != picture.size else picture, 60, 9).body


def convert(body: bytes, *, to: str) -> bytes:
    """
    A kept picture as `to`: "image/jpeg" (transparency over white) or "image/png".

    Raises InvalidImage if `body` is none, ValueError for another `to`.
    """
    if to not in ("image/jpeg", "image/png"):
        raise ValueError(f"Pictures are converted to JPEG and PNG, not to {to}.")
    source, decoded = read(body)
    plain = eight_bits(source, decoded)
    picture = normalise(source, plain, decoded.info, max_pixels=MAX_PIXELS, max_side=MAX_SIDE).picture
    picture.info = {}
    file = io.BytesIO()
    try:
        if to == "image/jpeg":
            over_white(picture).save(file, "JPEG", quality=85, optimize=True)
        else:
            picture.save(file, "PNG", compress_level=6)
    except (OSError, ValueError, MemoryError):
        raise InvalidImage(f"The picture cannot be converted to {to}.") from None
    return file.getvalue()


def has_alpha(body: bytes) -> bool:
    """Whether a kept picture has anything but opaque pixels, by its header. Raises InvalidImage."""
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as picture:
            return picture.has_transparency_data
    except Exception:  # noqa: BLE001  as when its pixels are read
        raise InvalidImage("The picture cannot be decoded: it is damaged or cut off.") from None
