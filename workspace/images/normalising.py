"""
A decoded picture as every viewer shows it, in the few shapes that encoders take: upright, in sRGB, eight bits a
channel, grey (L), colour (RGB) or colour with transparency (RGBA).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageCms

from workspace.images.reading import Source, png_chunks

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Info = dict[str | tuple[int, int], Any]  # what a file says beside its pixels
# As PNG's gAMA, cHRM (white, red, green, blue) and cICP (primaries and transfer) write sRGB.
_SRGB_GAMMA = 0.45455
_SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_SRGB_CICP = b"\x01\x0d"
_PROFILE_OF = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # a profile's colour space, and the mode it is for


@dataclass(frozen=True, slots=True)
class Normal:
    picture: Image.Image  # L, RGB or RGBA
    is_exact: bool  # every pixel has the value it was sent with


def normalise(source: Source, plain: Image.Image, info: Info, *, max_pixels: int, max_side: int) -> Normal:
    """`plain` is what `eight_bits` made of the picture in `source`; `info` is what the file says beside its pixels."""
    size = fitting(plain.size, max_pixels=max_pixels, max_side=max_side)
    is_exact = size == (source.width, source.height) and source.bits <= 8
    if size != plain.size:
        plain = resized(plain, size)
    coloured = _in_srgb(plain, source, info)
    is_exact = is_exact and coloured is plain
    return Normal(_without_needless_alpha(turned(coloured, source.orientation)), is_exact)


def exact(source: Source, picture: Image.Image) -> Image.Image | None:
    """The pixels as they were sent, upright, as L, RGB or RGBA; None if these cannot hold them. The profile is kept."""
    if source.bits > 8 or picture.mode == "CMYK":
        return None
    return turned(eight_bits(source, picture), source.orientation)


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def fitting(size: tuple[int, int], *, max_pixels: int | None = None, max_side: int | None = None) -> tuple[int, int]:
    """The largest size of the same shape within both limits; never under one pixel."""
    width, height = size
    share = 1.0
    if max_pixels is not None:
        share = min(share, (max_pixels / (width * height)) ** 0.5)
    if max_side is not None:
        share = min(share, max_side / max(width, height))
    if share == 1.0:
        return size
    return max(1, int(width * share)), max(1, int(height * share))


def resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def bands(picture: Image.Image, pixels: int = 1 << 20) -> Iterator[Image.Image]:
    """`picture` from top to bottom in pieces, so that what is computed of it need not be in memory whole."""
    rows = max(1, pixels // picture.width)
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(picture.height, top + rows)))


def over_white(picture: Image.Image) -> Image.Image:
    """Without transparency, as a page shows it."""
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def eight_bits(source: Source, picture: Image.Image) -> Image.Image:
    """L, RGB, RGBA or CMYK, in the file's own colours. Takes up to as much memory as `picture` again."""
    if picture.mode in ("I;16", "I"):
        return _from_sixteen_bits(picture)
    if picture.mode in ("RGB", "RGBA", "L", "1", "P") and "transparency" in picture.info:
        return _with_its_transparent_colour(source, picture)
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in ("LA", "PA", "La", "RGBa"):
        return picture.convert("RGBA")
    if picture.mode in ("L", "RGB", "RGBA", "CMYK"):
        return picture
    return picture.convert("RGB")


def _from_sixteen_bits(picture: Image.Image) -> Image.Image:
    """Pillow's own conversion cuts off everything over 255, which is white nearly everywhere."""
    deep = picture.convert("I")
    grey = deep.point([value // 257 for value in range(65536)], "L")
    clear = picture.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    alpha = deep.point([0 if value == clear else 255 for value in range(65536)], "L")
    return Image.merge("RGBA", (grey, grey, grey, alpha))


def _with_its_transparent_colour(source: Source, picture: Image.Image) -> Image.Image:
    """A PNG's or GIF's one transparent colour, or its palette's, as an alpha channel."""
    clear = picture.info["transparency"]
    if source.content_type == "image/png":  # tRNS counts in the file's bit depth, Pillow's pixels in eight bits
        if picture.mode == "L" and source.bits < 8 and isinstance(clear, int):
            clear = clear * 255 // ((1 << source.bits) - 1)
        elif picture.mode == "RGB" and source.bits == 16 and isinstance(clear, tuple):
            clear = tuple(value >> 8 for value in clear)
        if clear != picture.info["transparency"]:
            picture = picture.copy()
            picture.info["transparency"] = clear
    return picture.convert("RGBA")


def _in_srgb(picture: Image.Image, source: Source, info: Info) -> Image.Image:
    """`picture` itself where its colours are sRGB already, or its profile is broken. `info` is what the file says."""
    profile = info.get("icc_profile")
    if profile:
        # Whatever the little colour engine dislikes about a profile, viewers ignore the profile too.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
            return _by_profile(picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    elif source.content_type == "image/png" and "srgb" not in info and _has_own_gamma(info):
        return _by_gamma(picture, _SRGB_GAMMA / info["gamma"])
    return picture.convert("RGB") if picture.mode == "CMYK" else picture


def has_own_colours(source: Source, info: Info) -> bool:
    """Whether a PNG says by other means than a profile that its values are not sRGB's."""
    if source.content_type != "image/png":
        return False
    if any(name == b"cICP" and chunk[8:10] != _SRGB_CICP for name, chunk in png_chunks(source.body)):
        return True
    if info.get("icc_profile") or "srgb" in info:
        return False
    primaries = info.get("chromaticity", _SRGB_PRIMARIES)
    return _has_own_gamma(info) or any(abs(a - b) > 0.01 for a, b in zip(primaries, _SRGB_PRIMARIES, strict=True))


def _has_own_gamma(info: Info) -> bool:
    gamma = float(info.get("gamma", _SRGB_GAMMA))
    return 0.1 < gamma < 10 and abs(gamma - _SRGB_GAMMA) > 0.01


def _by_profile(picture: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    mode = _PROFILE_OF.get(profile.profile.xcolor_space)
    colours = picture.convert("RGB") if picture.mode == "RGBA" else picture
    if mode is None or mode != colours.mode:
        raise ValueError("The profile is for another kind of picture.")
    if mode == "RGB" and "sRGB" in (profile.profile.profile_description or ""):
        return picture
    shown = ImageCms.profileToProfile(colours, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    if shown is None:
        raise ValueError("The profile does nothing.")
    if picture.mode == "L":
        return shown.getchannel("G")
    if picture.mode == "RGBA":
        shown.putalpha(picture.getchannel("A"))
    return shown


def _by_gamma(picture: Image.Image, exponent: float) -> Image.Image:
    table = [round(255 * (value / 255) ** exponent) for value in range(256)]
    bands = [*picture.split()]
    for index in range(min(3, len(bands))):
        bands[index] = bands[index].point(table)
    return Image.merge(picture.mode, bands)


def _without_needless_alpha(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("RGB")
    return picture
