"""
The boxes of an AVIF file (ISO 14496-12 and 23008-12): where its EXIF and XMP lie, so that they can be blanked in place.

Nothing may move: the file says where its pixels are by their distance from the beginning.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from workspace.images.av1 import coded_pixels

_PIXELS = frozenset({b"av01", b"grid", b"iden", b"tmap"})  # items that make the picture; all others tell about it


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int  # where its header begins
    inside: int  # where what it holds begins
    end: int


def blank_metadata(body: bytes) -> bytes | None:
    """
    `body` with nothing in it but the picture: EXIF and XMP overwritten, and so are boxes of other kinds and bytes that
    belong to no item; what follows the last box is left out. None if its build is not understood. May raise
    struct.error, KeyError or IndexError for a file that is cut off.
    """
    boxes = list(_boxes(body, 0, len(body)))
    metas = [box for box in boxes if box.kind == b"meta"]
    if len(metas) != 1 or any(box.kind in (b"moov", b"moof") for box in boxes):
        return None
    meta = metas[0]
    inner = {box.kind: box for box in _boxes(body, meta.inside + 4, meta.end)}
    kinds = dict(_items(body, inner[b"iinf"]))
    idat = inner.get(b"idat")

    blank = bytearray(boxes[-1].end)
    for box in boxes:
        blank[box.start : box.inside] = body[box.start : box.inside]
        if box.kind in (b"ftyp", b"meta"):
            blank[box.inside : box.end] = body[box.inside : box.end]
        elif box.kind != b"mdat":
            blank[box.start + 4 : box.start + 8] = b"free"
    if idat is not None:
        blank[idat.inside : idat.end] = bytes(idat.end - idat.inside)
    for item, start, length in _places(body, inner[b"iloc"], idat):
        holder = next(
            (box for box in (*boxes, idat) if box and box.inside <= start and start + length <= box.end), None
        )
        if holder is None or holder.kind not in (b"mdat", b"meta", b"idat"):
            return None
        kind = kinds.get(item, b"")
        blank[start : start + length] = body[start : start + length] if kind in _PIXELS else _nothing(kind, length)
    return bytes(blank)


def most_pixels(body: bytes) -> int:
    """
    The largest number of pixels that a decoder will make at a time of the picture, or of a sequence's first frames.
    Raises struct.error, KeyError or IndexError for a file that is cut off, ValueError for one that does not say.
    """
    sizes = []
    for box in _boxes(body, 0, len(body)):
        if box.kind == b"meta":
            sizes += [coded_pixels(data) for data in _coded_items(body, box)]
        elif box.kind == b"moov":
            sizes += [coded_pixels(data) for data in _first_samples(body, box)]
    if not sizes or 0 in sizes:
        raise ValueError
    return max(sizes)


def _coded_items(body: bytes, meta: _Box) -> Iterator[bytes]:
    """The data of each AV1 item, all of its pieces together."""
    inner = {box.kind: box for box in _boxes(body, meta.inside + 4, meta.end)}
    if b"iinf" not in inner or b"iloc" not in inner:
        return
    kinds = dict(_items(body, inner[b"iinf"]))
    pieces: dict[int, list[bytes]] = {}
    total = 0
    for item, start, length in _places(body, inner[b"iloc"], inner.get(b"idat")):
        if kinds.get(item) == b"av01":
            piece = body[start : start + length] if length else body[start:]
            total += len(piece)
            if total > 2 * len(body):
                raise ValueError
            pieces.setdefault(item, []).append(piece)
    for found in pieces.values():
        yield b"".join(found)


def _first_samples(body: bytes, box: _Box) -> Iterator[bytes]:
    """The data of the first sample of each track in `box`."""
    start = length = None
    for inner in _boxes(body, box.inside, box.end):
        if inner.kind in (b"trak", b"mdia", b"minf", b"stbl"):
            yield from _first_samples(body, inner)
        elif inner.kind == b"stco":
            start = struct.unpack_from(">I", body, inner.inside + 8)[0]
        elif inner.kind == b"co64":
            start = struct.unpack_from(">Q", body, inner.inside + 8)[0]
        elif inner.kind == b"stsz":
            length = struct.unpack_from(">I", body, inner.inside + 4)[0]
            length = length or struct.unpack_from(">I", body, inner.inside + 12)[0]
    if start is not None and length is not None:
        yield body[start : start + length]


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


def _places(body: bytes, iloc: _Box, idat: _Box | None) -> Iterator[tuple[int, int, int]]:
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
        base = number(base_size) + (idat.inside if in_idat and idat is not None else 0)
        for _ in range(number(2)):
            if version > 0:
                number(index_size)
            offset, length = number(offset_size), number(length_size)
            yield item, base + offset, length
