"""Looks at pictures as a browser shows them, and compares what is seen."""

from __future__ import annotations

import array
import io
import struct
import zlib

from PIL import Image, ImageChops, ImageCms, ImageStat

from tests.workspace.pictures import png_chunks

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BACK = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def opened(body: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(body))
    image.load()
    return image


def turned_for(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as a camera held so stores it: turned by its orientation it is upright again."""
    return image.transpose(_BACK.get(orientation, TURNS[orientation])) if orientation in TURNS else image


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says, and by nothing else: browsers do not read the orientation in XMP."""
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif") or b"")
    except (SyntaxError, struct.error):
        return image
    turn = TURNS.get(exif.get(0x0112, 1))
    return image.transpose(turn) if turn is not None else image


def samples(body: bytes) -> tuple[str, tuple[int, int], bytes]:
    """Every sample as stored, upright, whatever its colour space: equal for two files that hold the same pixels."""
    image = upright(opened(body))
    if image.mode.startswith(("I", "F", "CMYK")):
        return image.mode, image.size, image.tobytes()
    return "RGBA", image.size, image.convert("RGBA").tobytes()


def deep_samples(body: bytes) -> tuple[bytes, bytes]:
    """Header and raw lines of a PNG, of which Pillow shows the upper 8 of 16 bits only."""
    chunks = list(png_chunks(body))
    return chunks[0][1], zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))


def shown(body: bytes) -> Image.Image:
    """RGBA in sRGB, upright."""
    image = opened(body)
    profile = image.info.get("icc_profile")
    unseen = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(unseen, tuple) and max(unseen) > 255:  # of a PNG of 16 bits, shown with 8
        image.info["transparency"] = tuple(value >> 8 for value in unseen)
    turned = upright(image)
    if turned.mode.startswith("I"):
        turned = _eight_bits(turned)
    alpha = turned.convert("RGBA").getchannel("A") if turned.mode != "CMYK" else None
    colours = turned.convert("RGBA").convert("RGB") if turned.mode != "CMYK" else turned
    if profile and turned.mode != "CMYK":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(colours, source, ImageCms.createProfile("sRGB"))
        except (ImageCms.PyCMSError, OSError):
            converted = None
        colours = converted or colours
    colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours.convert("RGBA")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, of which at most one value is not seen."""
    samples = array.array("H", image.tobytes())
    unseen = image.info.get("transparency")
    grey = Image.frombytes("L", image.size, bytes(sample >> 8 for sample in samples))
    alpha = Image.frombytes("L", image.size, bytes(0 if sample == unseen else 255 for sample in samples))
    return Image.merge("LA", (grey, alpha))


def on(image: Image.Image, colour: str) -> Image.Image:
    paper = Image.new("RGBA", image.size, colour)
    return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far apart two pictures look, from 0 to 255: the mean over all channels, on white or black, what is worse."""
    assert one.size == other.size, f"{one.size} is not {other.size}"
    return max(
        sum(ImageStat.Stat(ImageChops.difference(on(one, colour), on(other, colour))).mean) / 3
        for colour in ("white", "black")
    )


def brightness(image: Image.Image) -> float:
    return ImageStat.Stat(on(image, "white").convert("L")).mean[0]
