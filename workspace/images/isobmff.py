"""
The boxes of an AVIF file (ISO 14496-12 and 23008-12): where its EXIF and XMP lie, so that they can be blanked in place.

Nothing may move: the file says where its pixels are by their distance from the beginning.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_PIXELS = frozenset({b"av01", b"grid", b"iden", b"tmap"})  # items that make the picture; all others tell about it


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int  # where its header begins
    inside: int  # where what it holds begins
    end: int


def blank_metadata(body: bytes) -> bytes | None:
    """
    `body` with EXIF and XMP overwritten and all that is no box of a still picture left out or emptied; None if its
    build is not understood. May raise struct.error or IndexError for a file that is cut off.
    """
    blank = bytearray(body)
    end = 0
    meta = None
    for box in _boxes(body, 0, len(body)):
        if box.kind in (b"moov", b"moof"):
            return None
        if box.kind == b"meta":
            if meta is not None:
                return None
            meta = box
        elif box.kind not in (b"ftyp", b"mdat"):
            blank[box.start + 4 : box.start + 8] = b"free"
            blank[box.inside : box.end] = bytes(box.end - box.inside)
        end = box.end
    if meta is None:
        return None
    inner = {box.kind: box for box in _boxes(body, meta.inside + 4, meta.end)}
    kinds = dict(_items(body, inner[b"iinf"]))
    idat = inner[b"idat"].inside if b"idat" in inner else 0
    for item, start, length in _places(body, inner[b"iloc"], idat):
        if kinds.get(item, b"") in _PIXELS:
            continue
        if start + length > end:
            return None
        blank[start : start + length] = _nothing(kinds.get(item, b""), length)
    return bytes(blank[:end])


def _nothing(kind: bytes, length: int) -> bytes:
    """`length` bytes that a reader takes for an EXIF without entries, or for an XMP without text."""
    if kind == b"Exif":
        return (b"\0\0\0\0II*\0\x08\0\0\0" + bytes(length))[:length]
    return b" " * length


def _boxes(body: bytes, at: int, end: int) -> Iterator[_Box]:
    """The boxes from `at`. What follows the last whole one is none."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", body, at)
        inside = at + 8
        if size == 1:
            size = struct.unpack_from(">Q", body, inside)[0]
            inside += 8
        elif size == 0:
            size = end - at
        if size < inside - at or at + size > end:
            return
        yield _Box(kind, at, inside, at + size)
        at += size


def _items(body: bytes, iinf: _Box) -> Iterator[tuple[int, bytes]]:
    """Each item's number and kind."""
    first = iinf.inside + (6 if body[iinf.inside] == 0 else 8)
    for infe in _boxes(body, first, iinf.end):
        version = body[infe.inside]
        number = struct.unpack_from(">H" if version < 3 else ">I", body, infe.inside + 4)[0]
        at = infe.inside + (8 if version < 3 else 10)
        yield number, body[at : at + 4]


def _places(body: bytes, iloc: _Box, idat: int) -> Iterator[tuple[int, int, int]]:
    """Item number, first byte in the file and length, for each piece of each item."""
    version = body[iloc.inside]
    sizes = struct.unpack_from(">H", body, iloc.inside + 4)[0]
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = iloc.inside + 6

    def number(size: int) -> int:
        nonlocal at
        at += size
        if at > iloc.end:
            raise IndexError
        return int.from_bytes(body[at - size : at], "big")

    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        in_idat = version > 0 and number(2) & 15 == 1
        number(2)  # data reference
        base = number(base_size) + (idat if in_idat else 0)
        for _ in range(number(2)):
            if version > 0:
                number(index_size)
            offset, length = number(offset_size), number(length_size)
            yield item, base + offset, length
