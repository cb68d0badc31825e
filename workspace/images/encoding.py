"""
The policy: in which format, at which quality and size a picture is kept, so that it looks as it was sent and leaves
room for others.

Quality is aimed at by likeness, not by an encoder's number: a fast trial says how this picture suffers and how its
bytes grow, and one careful encoding follows from it. The room that is left lowers the aim.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image, ImageChops

from workspace.images.likeness import likeness
from workspace.images.normalising import fitting, resized

MAX_EARLY_PIXELS = 4_000_000  # more than a screen shows, and than a byte cap of some 100 KB can describe
MAX_SIDE = 16_383  # pixels, WebP's limit; AVIF's is higher

_SOFT_CAP = 140 * 1024  # bytes that one picture may take of an ordinary workspace
_TINY = 8 * 1024  # under which looking for a smaller form is not worth the time
_AIM = 0.962  # likeness that is aimed at
_TRIAL_Q, _LEAST_Q, _MOST_Q, _SMALLER_Q = 60, 40, 75, 55
_BYTES_PER_Q = 0.036  # by how much ln(bytes) grows with each step of quality
_LOSS_PER_Q = 0.030  # by how much ln(1 - likeness) falls
_BYTES_PER_PIXEL = 0.80  # ln(bytes) per ln(pixels): a smaller picture has more to say per pixel
_TRIAL_SPEED, _PHOTO_SPEED, _GRAPHIC_SPEED = 9, 8, 7
_TRIAL_GAIN = 4.0  # speed 9 takes up to so many times the bytes of speed 7, for text
_LOSSLESS_FAVOUR = 1.15  # a lossless form may be so much larger than the AVIF


@dataclass(frozen=True, slots=True)
class Encoded:
    body: bytes
    content_type: str
    width: int  # pixels
    height: int
    is_lossless: bool  # against the picture that was given


def soft_cap(room_bytes: int) -> int:
    """How many bytes a picture should take at most, where `room_bytes` are left."""
    cap = max(min(_SOFT_CAP, room_bytes // 7), room_bytes // 64, 40 * 1024)
    return max(1, min(cap, room_bytes))


def encode(picture: Image.Image, cap: int) -> Encoded:
    """`picture` (L, RGB or RGBA) in about `cap` bytes at most, or the smallest form of it that is still a picture."""
    flatness = share_of_equal_neighbours(picture)
    is_graphic = flatness > 0.6
    lossless = webp_lossless(picture) if is_graphic or picture.width * picture.height < 4096 else None
    if lossless is not None and len(lossless.body) <= min(_TINY, cap):
        return lossless
    trial = avif(picture, _TRIAL_Q, _TRIAL_SPEED)
    if lossless is not None and len(lossless.body) <= cap and len(lossless.body) * _TRIAL_GAIN <= len(trial.body):
        return lossless
    lossy = _within(picture, trial, cap, _GRAPHIC_SPEED if is_graphic else _PHOTO_SPEED)
    if lossless is not None and len(lossless.body) <= min(cap, len(lossy.body) * _LOSSLESS_FAVOUR):
        return lossless
    return lossy


def _within(picture: Image.Image, trial: Encoded, cap: int, speed: int) -> Encoded:
    loss = max(1e-4, 1 - likeness(picture, Image.open(io.BytesIO(trial.body))))
    wanted = _TRIAL_Q + math.log(loss / (1 - _AIM)) / _LOSS_PER_Q
    affordable = _TRIAL_Q + math.log(cap / len(trial.body)) / _BYTES_PER_Q
    quality = round(min(_MOST_Q, max(50, wanted), affordable))
    if quality >= _LEAST_Q:
        best = avif(picture, quality, speed)
        if len(best.body) <= cap:
            return best
        quality -= math.ceil(math.log(len(best.body) / cap) / _BYTES_PER_Q)
        if quality >= _LEAST_Q:
            best = avif(picture, quality, speed)
            if len(best.body) <= cap:
                return best
        bytes_at_q = len(best.body) * math.exp((_SMALLER_Q - quality) * _BYTES_PER_Q)
    else:
        bytes_at_q = len(trial.body) * math.exp((_SMALLER_Q - _TRIAL_Q) * _BYTES_PER_Q)
    smaller = picture
    for _ in range(2):
        share = min(0.9, (cap / bytes_at_q) ** (1 / _BYTES_PER_PIXEL))
        pixels = max(256 * 256, int(smaller.width * smaller.height * share))
        smaller = resized(picture, fitting(picture.size, max_pixels=pixels))
        best = avif(smaller, _SMALLER_Q, speed)
        if len(best.body) <= cap:
            break
        bytes_at_q = len(best.body)
    return best


def share_of_equal_neighbours(picture: Image.Image) -> float:
    """
    The share of pixels that equal the one to their left: over a half in drawings and texts, some percent in
    photographs.
    """
    if picture.width < 2:
        return 1.0
    luma = picture.convert("L") if picture.mode != "L" else picture
    width, height = luma.size
    difference = ImageChops.difference(luma.crop((1, 0, width, height)), luma.crop((0, 0, width - 1, height)))
    histogram = difference.histogram()
    return histogram[0] / max(1, sum(histogram))


def avif(picture: Image.Image, quality: int, speed: int) -> Encoded:
    """One thread, or one picture takes every core."""
    file = io.BytesIO()
    _bare(picture).save(file, "AVIF", quality=quality, speed=speed, max_threads=1)
    return Encoded(file.getvalue(), "image/avif", *picture.size, is_lossless=False)


def webp_lossless(picture: Image.Image, icc_profile: bytes | None = None) -> Encoded | None:
    """None where WebP cannot hold it. Method 6 takes seconds for a few percent. Clear pixels keep their colours."""
    if max(picture.size) > MAX_SIDE:
        return None
    file = io.BytesIO()
    _bare(picture).save(file, "WEBP", lossless=True, method=4, exact=True, icc_profile=icc_profile or b"")
    return Encoded(file.getvalue(), "image/webp", *picture.size, is_lossless=True)


def _bare(picture: Image.Image) -> Image.Image:
    """Without `info`, of which some encoders write a profile that no longer fits."""
    if picture.info:
        picture = picture.copy()
        picture.info = {}
    return picture
