"""The two encoders, as this project uses them."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

MAX_SIDE = 16_383  # pixels, WebP's limit; AVIF's readers take up to 32,768


@dataclass(frozen=True, slots=True)
class Encoded:
    body: bytes
    content_type: str
    width: int  # pixels
    height: int
    is_lossless: bool  # against the picture that was given


def avif(picture: Image.Image, quality: int, speed: int, subsampling: str = "4:2:0") -> Encoded:
    """`quality` 0 to 100, `speed` 0 to 10. One thread, or one picture would take every core."""
    if picture.mode == "L":
        subsampling = "4:0:0"
    file = io.BytesIO()
    _bare(picture).save(file, "AVIF", quality=quality, speed=speed, subsampling=subsampling, max_threads=1)
    return Encoded(file.getvalue(), "image/avif", *picture.size, is_lossless=False)


def webp_lossless(picture: Image.Image, icc_profile: bytes | None = None) -> Encoded | None:
    """
    None where WebP cannot hold it. Clear pixels keep their colours. Method 6 would take seconds for a few percent.
    """
    if max(picture.size) > MAX_SIDE:
        return None
    file = io.BytesIO()
    _bare(picture).save(file, "WEBP", lossless=True, method=4, exact=True, icc_profile=icc_profile or b"")
    return Encoded(file.getvalue(), "image/webp", *picture.size, is_lossless=True)


def _bare(picture: Image.Image) -> Image.Image:
    """Without `info`, from which encoders take a profile that may no longer fit."""
    if picture.info:
        picture = picture.copy()
        picture.info = {}
    return picture
