"""
What a picture is: its format, its size, whether it moves, and that it can be decoded at all.

The header is judged before a pixel is decoded: a file of a few kilobytes can claim hundreds of megapixels, and decoding
it would take the memory that it claims.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Each format's reader by name, so that none is registered while two threads read their first picture.
from PIL import (  # noqa: F401
    AvifImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from workspace.images.isobmff import most_pixels

MAX_PIXELS = 4096 * 4096  # 16 megapixels
_MAX_SCANS = 200  # of a progressive JPEG; ten are usual, and each is a pass over all pixels for a few bytes
_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "MPO": "image/jpeg",  # a JPEG with further views in it, as many telephones write
}
FORMATS = tuple(_TYPES)  # all that Pillow is allowed to take a file for
_SAME_TYPE = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_ORIENTATION = 0x0112  # the EXIF tag


class InvalidImage(ValueError):
    """The picture cannot be kept. The message says why, for the caller's eyes."""


@dataclass(frozen=True, slots=True)
class Source:
    """
    A picture as it was sent. Width and height are the file's own, before it is turned. The pixels are not in here, so
    that whoever needs no more than the bytes does not hold on to 64 megabytes.
    """

    body: bytes
    content_type: str
    width: int  # pixels
    height: int
    orientation: int  # as EXIF counts: 1 is upright, 5 to 8 change places of width and height
    is_animated: bool
    is_lossy: bool  # coding has already cost pixels their exact values
    bits: int  # per channel, in a PNG; 8 in all others

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height in pixels, as a viewer shows it."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


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


def read(
    body: bytes, *, declared_type: str | None = None, draft_pixels: int | None = None
) -> tuple[Source, Image.Image]:
    """
    What the picture is, and its first frame, decoded whole. `declared_type` is what the sender called it, if at all.
    Of an animation, the pixels of further frames are not looked at. `draft_pixels`: a JPEG may be decoded at a half, a
    quarter or an eighth of its size, with at least so many pixels.

    Raises InvalidImage: not of an accepted format, not what it was declared as, over 16 megapixels, damaged.
    """
    found = sniff(body)
    if found is None:
        raise InvalidImage("The content is not a PNG, JPEG, WebP, AVIF or GIF picture.")
    if declared_type is not None and _SAME_TYPE.get(declared_type, declared_type) != found:
        raise InvalidImage(f"The content was declared as {declared_type} but is {found}.")
    try:
        return _decode(body, found, draft_pixels)
    except InvalidImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InvalidImage("The picture is over 16 megapixels.") from None
    except Exception:  # noqa: BLE001  Pillow's decoders raise nearly anything on hostile bytes
        raise InvalidImage("The picture cannot be decoded: it is damaged or cut off.") from None


def check_frames(body: bytes) -> None:
    """
    Decode an animation's further frames, as many as make 16 megapixels; those after them are taken on trust. Raises
    InvalidImage for one that is damaged or cut off.
    """
    try:
        if sniff(body) == "image/gif" and max(_gif_extents(body), default=0) > MAX_PIXELS:
            raise ValueError
        with Image.open(io.BytesIO(body), formats=FORMATS) as animation:
            count = min(getattr(animation, "n_frames", 1), MAX_PIXELS // (animation.width * animation.height))
            for number in range(1, count):
                animation.seek(number)
                animation.load()
    except Exception:  # noqa: BLE001  as for the first frame
        raise InvalidImage("The picture cannot be decoded: a later frame is damaged or cut off.") from None


def _decode(body: bytes, found: str, draft_pixels: int | None) -> tuple[Source, Image.Image]:
    if found == "image/jpeg" and body.count(b"\xff\xda") > _MAX_SCANS:
        raise InvalidImage(f"The picture is coded in more than {_MAX_SCANS} scans.")
    if found == "image/avif" and most_pixels(body) > MAX_PIXELS:
        raise InvalidImage("The picture is coded with more than 16 megapixels.")
    picture = Image.open(io.BytesIO(body), formats=FORMATS)
    width, height = picture.size
    content_type = _TYPES[picture.format or ""]
    if width * height > MAX_PIXELS:
        raise InvalidImage(
            f"The picture has {width} × {height} pixels; at most 16 megapixels (4096 × 4096) are accepted."
        )
    if content_type != found:
        raise InvalidImage(f"The content begins like {found} but decodes as {content_type}.")
    # Asked before the pixels are decoded: a GIF's reader forgets them when it looks for a second frame.
    is_animated = content_type != "image/jpeg" and bool(getattr(picture, "is_animated", False))
    if draft_pixels is not None and content_type == "image/jpeg" and width * height > draft_pixels:
        share = (draft_pixels / (width * height)) ** 0.5
        picture.draft(None, (max(1, int(width * share)), max(1, int(height * share))))
    picture.load()
    source = Source(
        body=body,
        content_type=content_type,
        width=width,
        height=height,
        orientation=_orientation(picture.info.get("exif")),
        is_animated=is_animated,
        is_lossy=content_type in ("image/jpeg", "image/avif") or (content_type == "image/webp" and _is_vp8(body)),
        bits=body[24] if content_type == "image/png" else 8,
    )
    return source, picture


def _is_vp8(body: bytes) -> bool:
    """Whether a WebP's pixels are coded with losses: its first image chunk is VP8, not VP8L."""
    at = 12
    while at + 8 <= len(body):
        name, length = body[at : at + 4], struct.unpack_from("<I", body, at + 4)[0]
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8 "
        # A frame's own chunks begin after its 16 bytes of place and time.
        at += 8 + 16 if name == b"ANMF" else 8 + length + length % 2
    return True


def png_chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk's name and all of its bytes, up to the end of the picture. Raises struct.error if it is cut off."""
    at = 8
    name = b""
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", body, at)
        yield name, body[at : at + 12 + length]
        at += 12 + length


def gif_blocks(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Each block's kind (0x21 for an extension, 0x2C for an image) and all of its bytes. Raises IndexError."""
    at = gif_header_end(body)
    while (kind := body[at]) != 0x3B:
        start = at
        if kind == 0x2C:
            at += 10 + _gif_palette(body[at + 9])
        elif kind != 0x21:
            at += 1
            continue
        at += 1 + (kind == 0x21)
        while body[at]:
            at += 1 + body[at]
        at += 1
        yield kind, body[start:at]


def gif_header_end(body: bytes) -> int:
    return 13 + _gif_palette(body[10])


def _gif_palette(flags: int) -> int:
    """Bytes of the palette that `flags` announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_extents(body: bytes) -> Iterator[int]:
    """Pixels of what each image makes of the canvas: one that reaches over its edge enlarges it."""
    try:
        for kind, block in gif_blocks(body):
            if kind == 0x2C:
                left, top, width, height = struct.unpack_from("<HHHH", block, 1)
                yield max(width * height, (left + width) * (top + height))
    except IndexError:
        return  # cut off: the decoder will say so


def _orientation(exif: object) -> int:
    """
    The orientation in `exif`, 1 to 8; 1 if it says none. Pillow's own reader would warn about damaged EXIF, and also
    asks XMP, which no viewer does.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        start = struct.unpack_from(order + "I", tiff, 4)[0]
        for entry in range(struct.unpack_from(order + "H", tiff, start)[0]):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * entry)
            if tag == _ORIENTATION and kind == 3 and count == 1 and 1 <= value <= 8:
                return int(value)
    except struct.error:
        pass
    return 1
