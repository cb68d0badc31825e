"""
The size that AV1 pixels are coded in. An AVIF says its size twice: for programs that look at the file, and here, for
the decoder, which makes all that memory before it cuts out what the file asks for.
"""

from __future__ import annotations

_SEQUENCE_HEADER = 1
_MOST_UNITS = 10_000  # a picture has a handful


def coded_pixels(data: bytes) -> int:
    """
    The most pixels that any sequence header in `data` announces; 0 if there is none. Raises IndexError for what is cut
    off, and for what consists of far more units than a picture.
    """
    most = at = 0
    for _ in range(_MOST_UNITS):
        if at >= len(data):
            return most
        first = data[at]
        at += 2 if first & 4 else 1
        length = len(data) - at
        if first & 2:
            length, at = _length_at(data, at)
        if first >> 3 & 15 == _SEQUENCE_HEADER:
            width, height = _size_in(_Bits(data[at : at + min(length, 256)]))
            most = max(most, width * height)
        at += length
    raise IndexError


def _length_at(data: bytes, at: int) -> tuple[int, int]:
    """A length in groups of seven bits, and where it ends."""
    length = 0
    for shift in range(0, 56, 7):
        length |= (data[at + shift // 7] & 127) << shift
        if data[at + shift // 7] < 128:
            return length, at + shift // 7 + 1
    raise IndexError


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def __call__(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError
        return self._bits >> self._left & (1 << count) - 1


def _size_in(bits: _Bits) -> tuple[int, int]:
    """AV1 bitstream specification, 5.5.1."""
    bits(4)  # profile, still picture
    if bits():  # reduced header
        bits(5)
    else:
        _skip_timing_and_levels(bits)
    width_bits, height_bits = bits(4) + 1, bits(4) + 1
    return bits(width_bits) + 1, bits(height_bits) + 1


def _skip_timing_and_levels(bits: _Bits) -> None:
    delay_bits = 0
    if bits():  # timing
        bits(64)
        if bits():  # equal intervals: a number with as many bits as there are zeros before it
            zeros = 0
            while not bits():
                zeros += 1
            bits(zeros)
        if bits():  # decoder model
            delay_bits = bits(5) + 1
            bits(42)
    has_display_delay = bits()
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:
            bits()
        if delay_bits and bits():
            bits(2 * delay_bits + 1)
        if has_display_delay and bits():
            bits(4)
