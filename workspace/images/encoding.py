"""
The policy: at which quality and size a picture is kept, so that it looks as it was sent and leaves room for others.

Quality is aimed at by likeness, not by an encoder's number: a trial on a sample of the picture says how much it suffers
and how many bytes it takes, and one encoding of the whole follows from that. Where the bytes do not suffice, quality
gives way first, then size. The figures were measured on pictures of 1024 × 1024; `make bench-images` measures again.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace

from PIL import Image

from workspace.images.formats import Encoded, avif, webp_lossless
from workspace.images.likeness import likeness
from workspace.images.measuring import loss_by_halved_colour, sample, share_of_equal_neighbours
from workspace.images.normalising import fitting, resized

_MOST_PIXELS = 4_000_000  # more than the bytes of one picture can describe
DRAFT_PIXELS = _MOST_PIXELS  # of a JPEG, which is never so flat as to be a drawing
_MOST_PIXELS_LOSSLESS = (
    3840 * 2400
)  # a large screen's; drawings and texts stay legible, and WebP takes 25 bytes a pixel

_AIM = 0.967  # likeness
_GRAPHIC_FROM = 0.6  # share of equal neighbours: 0.05 to 0.2 in photographs, 0.7 and more in drawings and texts
_SMALL_PIXELS, _SMALL_AIM = 320 * 320, 78  # of icons, where each pixel is seen and few bytes are saved
_COLOURFUL_FROM = 8  # loss by halved colour
_TRIAL_QUALITY = 60
_LOSS_PER_QUALITY = 0.038  # by how much ln(1 - likeness) falls with each step of quality
_ROUNDS = 3  # encodings of the whole picture at most
_FEWER_ROUNDS_FROM = 1_500_000  # pixels
_OVER_CAP = 1.08  # a cap is a wish; the room that is left is not
_UNDER_CAP = 0.7  # so far under the cap, one more encoding is worth its time
_LOSSLESS_FAVOUR = 1.15  # a lossless form may take so much more than a lossy one
_LOSSLESS_HOPE = 3  # a sample of a text takes up to so much more than its share of the whole
_TINY = 4096  # bytes, or pixels


@dataclass(frozen=True, slots=True)
class _Kind:
    """How photographs are encoded, and how drawings and texts are."""

    trial_speed: int  # of libaom; a photograph's trial may be hasty
    speed: int
    careful_speed: int  # where bytes are short
    subsampling: str
    sample_excess: float  # the sample's bytes, over what the whole takes at its own speed
    least_aim: int  # the quality that is asked for at least, however well a picture hides what it loses
    most_aim: int
    least_at_full_size: int  # the quality under which a smaller picture looks better than a coarser one
    smaller_at: int  # the quality of the smaller picture
    least: int  # the coarsest, at the smallest size
    smallest: int  # pixels below which no size is reduced
    bytes_per_quality: float  # by how much ln(bytes) grows with each step of quality
    bytes_per_pixel: float  # ln(bytes) over ln(pixels): a smaller picture has more to say per pixel
    is_for_reading: bool  # it takes whatever room there is before its size is reduced


# Speed 8 is 2 to 3 times faster than 6; it costs a photograph 5 to 25 % of bytes, but a text 130 %. Half the colour
# resolution saves 4 % in photographs; it saves nothing in drawings, where coloured letters become hard to read.
_PHOTOGRAPH = _Kind(
    trial_speed=9,
    speed=8,
    careful_speed=6,
    subsampling="4:2:0",
    sample_excess=1.15,
    least_aim=50,
    most_aim=65,
    least_at_full_size=40,
    smaller_at=50,
    least=40,
    smallest=576 * 576,
    bytes_per_quality=0.036,
    bytes_per_pixel=0.8,
    is_for_reading=False,
)
_COLOURFUL = replace(_PHOTOGRAPH, subsampling="4:4:4")
_GRAPHIC = replace(
    _COLOURFUL,
    trial_speed=7,
    speed=7,
    careful_speed=7,
    sample_excess=1.1,
    least_aim=60,
    most_aim=60,
    smallest=1024 * 1024,
    bytes_per_quality=0.012,
    bytes_per_pixel=0.5,
    is_for_reading=True,
)
_REDUCED_GRAPHIC = replace(_COLOURFUL, careful_speed=8, smallest=1024 * 1024, is_for_reading=True)


def soft_cap(room_bytes: int) -> int:
    """
    How many bytes a picture should take at most where `room_bytes` are left: 160 KB, in large workspaces more; less as
    the room shrinks, so that the last picture is not refused because of the first.
    """
    cap = max(min(160 * 1024, room_bytes * 2 // 13), room_bytes // 64, 64 * 1024)
    return max(1, min(cap, room_bytes))


def is_graphic(picture: Image.Image) -> bool:
    """Whether `picture`, before it is scaled, is a drawing or a text rather than a photograph."""
    return picture.width * picture.height <= _TINY or share_of_equal_neighbours(picture) >= _GRAPHIC_FROM


def most_pixels(pixels: int, *, graphic: bool) -> int:
    """How many of a picture's `pixels` `encode` can make use of."""
    return pixels if graphic and pixels <= _MOST_PIXELS_LOSSLESS else _MOST_PIXELS


def encode(picture: Image.Image, room_bytes: int, *, graphic: bool) -> Encoded:
    """`picture` (L, RGB or RGBA) in the smallest form that looks like it; it may be over `room_bytes` all the same."""
    cap = soft_cap(room_bytes)
    if graphic:
        return _graphic(picture, max(cap, room_bytes // 3), room_bytes)
    part = sample(picture)
    kind = _COLOURFUL if loss_by_halved_colour(part) >= _COLOURFUL_FROM else _PHOTOGRAPH
    return _lossy(picture, _Trial.of(picture, part, kind), cap, room_bytes)


def _graphic(picture: Image.Image, cap: int, room_bytes: int) -> Encoded:
    if picture.width * picture.height > _MOST_PIXELS:
        lossless = _lossless(picture, cap)
        if lossless is not None and len(lossless.body) <= room_bytes:
            return lossless
        picture = resized(picture, fitting(picture.size, max_pixels=_MOST_PIXELS))
    if picture.width * picture.height > _TINY and share_of_equal_neighbours(picture) < _GRAPHIC_FROM:  # scaled
        trial = _Trial.of(picture, sample(picture), _REDUCED_GRAPHIC)
        return _lossy(picture, trial, cap, max(cap, room_bytes // 2))
    trial = _Trial.of(picture, sample(picture), _GRAPHIC)
    lossless = _lossless(picture, max(_TINY, int(trial.expected)))
    if lossless is not None:
        size = len(lossless.body)
        is_reduced = trial.plan(cap, room_bytes).pixels < trial.pixels
        if size <= min(cap, max(_TINY, trial.expected * _LOSSLESS_FAVOUR)) or (size <= room_bytes and is_reduced):
            return lossless
    lossy = _lossy(picture, trial, cap, room_bytes)
    if lossless is not None and len(lossless.body) <= room_bytes:
        is_reduced = lossy.width < picture.width
        if is_reduced or len(lossless.body) <= len(lossy.body) * _LOSSLESS_FAVOUR:
            return lossless
    return lossy


def _lossless(picture: Image.Image, limit: int) -> Encoded | None:
    """None where a sample says that it would take far more than `limit` bytes."""
    part = sample(picture)
    lossless = webp_lossless(part)
    if lossless is None or part is picture:
        return lossless
    share = part.width * part.height / (picture.width * picture.height)
    return webp_lossless(picture) if len(lossless.body) / share <= limit * _LOSSLESS_HOPE else None


@dataclass(frozen=True, slots=True)
class _Plan:
    pixels: int
    quality: int


@dataclass(slots=True)
class _Trial:
    """What a sample of a picture says of the whole, corrected by each encoding of the whole."""

    kind: _Kind
    pixels: int  # of the whole
    aim: int  # the quality at which it is as like as is aimed at
    expected: float  # bytes at full size and the trial's quality

    @classmethod
    def of(cls, picture: Image.Image, part: Image.Image, kind: _Kind) -> _Trial:
        encoded = avif(part, _TRIAL_QUALITY, kind.trial_speed, kind.subsampling)
        aim = kind.least_aim
        if kind.least_aim < kind.most_aim:
            with Image.open(io.BytesIO(encoded.body), formats=["AVIF"]) as seen:
                loss = max(1e-4, 1 - likeness(part, seen))
            quality = _TRIAL_QUALITY + math.log(loss / (1 - _AIM)) / _LOSS_PER_QUALITY
            aim = round(min(kind.most_aim, max(kind.least_aim, quality)))
        pixels = picture.width * picture.height
        if pixels <= _SMALL_PIXELS:
            aim = max(aim, _SMALL_AIM)
        share = part.width * part.height / pixels
        return cls(kind, pixels, aim, len(encoded.body) / share / kind.sample_excess)

    def bytes_of(self, plan: _Plan) -> float:
        by_quality = math.exp((plan.quality - _TRIAL_QUALITY) * self.kind.bytes_per_quality)
        return self.expected * by_quality * math.pow(plan.pixels / self.pixels, self.kind.bytes_per_pixel)

    def correct(self, plan: _Plan, size: int, *, is_too_large: bool) -> None:
        """
        `plan` came to `size` bytes. A size far under what was expected is believed in part only; after one that is too
        large the next must differ, and AVIF has but 64 steps for 100 qualities.
        """
        self.expected *= max(0.4, size / self.bytes_of(plan))
        if is_too_large:
            self.expected *= math.exp(2 * self.kind.bytes_per_quality)

    def plan(self, cap: int, room_bytes: int) -> _Plan:
        """Pixels and quality that should come to `cap` bytes at most, or to `room_bytes` where that saves the size."""
        kind = self.kind
        quality = min(self.aim, self._quality_at(self.pixels, cap))
        if quality >= kind.least_at_full_size:
            return _Plan(self.pixels, quality)
        if kind.is_for_reading:
            cap = room_bytes
            if self._quality_at(self.pixels, cap) >= kind.least_at_full_size:
                return _Plan(self.pixels, kind.least_at_full_size)
        share = min(1, cap / self.bytes_of(_Plan(self.pixels, kind.smaller_at)))
        pixels = int(self.pixels * math.pow(share, 1 / kind.bytes_per_pixel))
        smallest = min(self.pixels, kind.smallest)
        if pixels >= smallest:
            return _Plan(pixels, kind.smaller_at)
        return _Plan(smallest, max(kind.least, self._quality_at(smallest, cap)))

    def _quality_at(self, pixels: int, cap: int) -> int:
        excess = cap / self.bytes_of(_Plan(pixels, _TRIAL_QUALITY))
        return math.floor(_TRIAL_QUALITY + math.log(excess) / self.kind.bytes_per_quality)


def _lossy(picture: Image.Image, trial: _Trial, cap: int, room_bytes: int) -> Encoded:
    """At the quality that is aimed at if that takes up to `cap` bytes, else coarser, else smaller."""
    kind = trial.kind
    best: Encoded | None = None
    done = set()
    for _ in range(_ROUNDS if trial.pixels < _FEWER_ROUNDS_FROM else _ROUNDS - 1):
        plan = trial.plan(cap, room_bytes)
        if plan in done:
            break
        done.add(plan)
        is_whole = plan.pixels == trial.pixels
        scaled = picture if is_whole else resized(picture, fitting(picture.size, max_pixels=plan.pixels))
        speed = kind.speed if is_whole and plan.quality == trial.aim else kind.careful_speed
        encoded = avif(scaled, plan.quality, speed, kind.subsampling)
        size = len(encoded.body)
        is_stretched = kind.is_for_reading and (not is_whole or plan.quality == kind.least_at_full_size)
        limit = room_bytes if is_stretched else min(int(cap * _OVER_CAP), room_bytes)
        best = encoded if best is None else _better(best, encoded, limit)
        if size <= limit and (plan == _Plan(trial.pixels, trial.aim) or size > cap * _UNDER_CAP or len(done) > 1):
            break
        trial.correct(plan, size, is_too_large=size > limit)
    assert best is not None  # noqa: S101  the first round encodes
    return best


def _better(one: Encoded, other: Encoded, limit: int) -> Encoded:
    """The larger of those within `limit`, else the smaller."""
    small, large = sorted((one, other), key=lambda encoded: len(encoded.body))
    return large if len(large.body) <= limit else small
