"""
Metadata off, without touching a pixel: EXIF (with its GPS position), XMP, IPTC, comments, texts, embedded previews,
further views, and whatever follows the picture's end.

What showing the picture right needs stays: the colour profile, gamma and the like, and the orientation.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from workspace.images.isobmff import blank_metadata
from workspace.images.normalising import bands
from workspace.images.reading import InvalidImage, Source, gif_blocks, gif_header_end, png_chunks, read

_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP"})
_WEBP_KEPT = frozenset({b"ICCP", b"ALPH", b"VP8 ", b"VP8L"})
_WEBP_EXIF, _WEBP_XMP, _WEBP_ANIMATION = 0x08, 0x04, 0x02  # flags in VP8X
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in coded pixels: the next marker that is not part of them
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers that have no length


def strip(source: Source) -> bytes | None:
    """
    `source` without metadata, in its own format; None if that cannot be done without touching a pixel.

    The answer has been decoded and held against the source: the same pixels, mode, profile and orientation.
    """
    way = _WAYS[source.content_type]
    try:
        body = way(source)
        if body is None or _fingerprint(body) != _fingerprint(source.body):
            return None
    except (InvalidImage, struct.error, IndexError, KeyError, ValueError):
        return None  # readers forgive more than this does
    return body


def _fingerprint(body: bytes) -> tuple[object, ...]:
    """All that decides how a picture looks, without holding two decoded ones at a time."""
    source, picture = read(body)
    palette = picture.getpalette("RGBA") if picture.mode in ("P", "PA") else None
    digest = hashlib.blake2b()
    for band in bands(picture):
        digest.update(band.tobytes())
    told = [picture.info.get(name) for name in ("icc_profile", "transparency", "gamma", "srgb")]
    return picture.mode, picture.size, source.orientation, palette, *told, digest.digest()


def _orientation_only(orientation: int) -> bytes:
    """A TIFF header with one entry, as EXIF is written."""
    return struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def _png(source: Source) -> bytes:
    body, kept = source.body, [source.body[:8]]
    for name, chunk in png_chunks(body):
        if name in _PNG_KEPT:
            kept.append(chunk)
        if name == b"IHDR" and source.orientation != 1:
            exif = b"eXIf" + _orientation_only(source.orientation)
            kept.append(struct.pack(">I", len(exif) - 4) + exif + struct.pack(">I", zlib.crc32(exif)))
    return b"".join(kept)


def _jpeg(source: Source) -> bytes:
    kept = [b"\xff\xd8"]
    for marker, segment in _jpeg_segments(source.body):
        if marker == 0xE0 and segment[4:9] == b"JFIF\0" and len(kept) == 1:
            kept.append(b"\xff\xe0\0\x10" + segment[4:16] + b"\0\0")  # its own tiny preview left out
        elif (
            marker < 0xE0
            or (marker == 0xE2 and segment[4:16] == b"ICC_PROFILE\0")
            or (marker == 0xEE and segment[4:9] == b"Adobe")
        ):
            kept.append(segment)
    if source.orientation != 1:
        exif = b"Exif\0\0" + _orientation_only(source.orientation)
        after_jfif = 2 if kept[1].startswith(b"\xff\xe0") else 1
        kept.insert(after_jfif, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    return b"".join(kept) + b"\xff\xd9"


def _jpeg_segments(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Each marker with its bytes, up to the end of the image; a scan's coded pixels belong to its segment."""
    at = 2
    while (found := _JPEG_MARKER.search(body, at)) is not None:
        start, marker = found.start(), body[found.start() + 1]
        if marker == 0xD9:  # end of image
            return
        at = found.end()
        if marker in _JPEG_BARE:
            continue
        at += struct.unpack_from(">H", body, at)[0]
        if marker == 0xDA:  # start of scan
            after = _JPEG_MARKER.search(body, at)
            at = after.start() if after is not None else len(body)
        yield marker, body[start:at]


def _webp(source: Source) -> bytes | None:
    body = source.body
    end = min(len(body), 8 + struct.unpack_from("<I", body, 4)[0])
    kept = []
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", body, at)
        chunk = body[at : at + 8 + length]
        if name == b"VP8X":
            flags = chunk[8]
            if flags & _WEBP_ANIMATION:
                return None
            flags &= ~(_WEBP_EXIF | _WEBP_XMP)
            if source.orientation != 1:
                flags |= _WEBP_EXIF
            kept.append(chunk[:8] + bytes([flags]) + chunk[9:18])
        elif name in _WEBP_KEPT:
            kept.append(chunk + b"\0" * (length % 2))
        at += 8 + length + length % 2
    if source.orientation != 1:
        exif = _orientation_only(source.orientation)
        kept.append(struct.pack("<4sI", b"EXIF", len(exif)) + exif)
    inner = b"WEBP" + b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def _gif(source: Source) -> bytes:
    kept = [source.body[: gif_header_end(source.body)]]
    for kind, block in gif_blocks(source.body):
        if kind == 0x2C:
            kept.append(block)
            break
        if block[1] == 0xF9:  # of the extensions, only how the next image is drawn
            kept.append(block)
    return b"".join(kept) + b";"


_WAYS: dict[str, Callable[[Source], bytes | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
    "image/gif": _gif,
    "image/avif": lambda source: blank_metadata(source.body),
}
