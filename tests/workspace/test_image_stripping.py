"""What is taken off a picture without touching a pixel, and what stays because it would look different without it."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms

from workspace.images import InvalidImage
from workspace.images.reading import read
from workspace.images.stripping import strip

SECRET = b"Alice, 12 Example Street"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"</x:xmpmeta>"
TRAILER = b"PK\x03\x04 a second file behind the picture"
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")

every_format = pytest.mark.parametrize("format", FORMATS)


@every_format
@pytest.mark.parametrize("orientation", [1, 6])
def test_position_words_and_trailing_bytes_go_and_every_pixel_stays(format: str, orientation: int) -> None:
    body = telling(format, orientation) + TRAILER
    assert SECRET in body
    assert TRAILER in body

    stripped = strip(read(body)[0])

    assert stripped is not None
    for told in (SECRET, b"GPS", b"Canon", TRAILER, b"PK\x03\x04"):
        assert told not in stripped
    before, after = shown(body), shown(stripped)
    assert after.tobytes() == before.tobytes()
    assert after.info.get("icc_profile") == before.info["icc_profile"]
    assert read(stripped)[0].orientation == orientation
    assert len(stripped) < len(body)


@every_format
def test_what_has_been_stripped_can_be_stripped_again(format: str) -> None:
    once = strip(read(telling(format, 6) + TRAILER)[0])
    assert once is not None

    assert strip(read(once)[0]) == once


def test_a_jpeg_loses_its_preview_comment_and_further_segments_but_not_what_its_colours_need() -> None:
    cmyk = encoded(Image.linear_gradient("L").resize((40, 30)).convert("CMYK"), "JPEG", comment=SECRET)
    assert b"Adobe" in cmyk
    with_segments = cmyk[:2] + b"\xff\xed" + struct.pack(">H", len(SECRET) + 2) + SECRET + cmyk[2:]

    stripped = strip(read(with_segments)[0])

    assert stripped is not None
    assert SECRET not in stripped
    assert b"Adobe" in stripped
    assert shown(stripped).tobytes() == shown(cmyk).tobytes()


def test_a_progressive_jpeg_with_restarts_keeps_each_of_its_scans() -> None:
    body = encoded(gradient(), "JPEG", progressive=True, restart_marker_blocks=2, comment=SECRET)

    stripped = strip(read(body)[0])

    assert stripped is not None
    assert stripped.count(b"\xff\xda") == body.count(b"\xff\xda") > 1
    assert shown(stripped).tobytes() == shown(body).tobytes()


def test_only_the_first_view_of_a_multi_picture_jpeg_stays() -> None:
    file = io.BytesIO()
    gradient().save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (48, 32), "red")])

    stripped = strip(read(file.getvalue())[0])

    assert stripped is not None
    assert b"MPF" not in stripped
    assert stripped.count(b"\xff\xd8") == 1
    assert shown(stripped).tobytes() == shown(file.getvalue()).tobytes()


def test_a_png_keeps_its_gamma_palette_and_transparency_and_loses_its_texts() -> None:
    palette = gradient().quantize(16)
    plain = encoded(palette, "PNG", transparency=3)
    head, tail = plain[:33], plain[33:]  # behind IHDR
    body = head + chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"tEXt", b"Author\0" + SECRET) + tail

    stripped = strip(read(body)[0])

    assert stripped is not None
    assert SECRET not in stripped
    assert {b"gAMA", b"PLTE", b"tRNS"} <= {stripped[at : at + 4] for at in range(len(stripped))}
    assert shown(stripped).convert("RGBA").tobytes() == shown(body).convert("RGBA").tobytes()


@pytest.mark.parametrize("interlace", [0, 1])
def test_a_gif_loses_comments_and_keeps_its_transparency(interlace: int) -> None:
    body = encoded(gradient().quantize(16), "GIF", comment=SECRET, transparency=2, interlace=interlace) + TRAILER
    assert SECRET in body

    stripped = strip(read(body)[0])

    assert stripped is not None
    assert SECRET not in stripped
    assert TRAILER not in stripped
    assert shown(stripped).convert("RGBA").tobytes() == shown(body).convert("RGBA").tobytes()


def test_a_webp_says_no_longer_that_it_has_what_it_has_lost() -> None:
    stripped = strip(read(telling("WEBP", 1))[0])

    assert stripped is not None
    assert stripped[12:16] == b"VP8X"
    assert stripped[20] & 0x0C == 0
    assert struct.unpack_from("<I", stripped, 4)[0] == len(stripped) - 8


def test_bytes_of_an_avif_that_belong_to_no_picture_are_blanked_where_they_are() -> None:
    plain = encoded(gradient(), "AVIF")
    hidden = struct.pack(">I4s", 8 + len(SECRET), b"mdat") + SECRET
    unknown = struct.pack(">I4s", 8 + len(SECRET), b"uuid") + SECRET

    stripped = strip(read(plain + hidden + unknown)[0])

    assert stripped is not None
    assert SECRET not in stripped
    assert len(stripped) == len(plain + hidden + unknown)
    assert shown(stripped).tobytes() == shown(plain).tobytes()


@every_format
def test_any_byte_may_be_wrong_and_the_answer_is_the_same_pixels_or_none(format: str) -> None:
    body = telling(format, 6)
    for at in range(0, len(body), max(1, len(body) // 250)):
        damaged = body[:at] + bytes([body[at] ^ 0x55]) + body[at + 1 :]
        try:
            source, picture = read(damaged)
        except InvalidImage:
            continue
        stripped = strip(source)
        assert stripped is None or shown(stripped).tobytes() == picture.tobytes()


def gradient() -> Image.Image:
    light = Image.linear_gradient("L").resize((48, 32))
    return Image.merge("RGB", (light, light.transpose(Image.Transpose.ROTATE_180), Image.new("L", light.size, 90)))


def telling(format: str, orientation: int) -> bytes:
    """A picture that says where it was taken, by whom and with what."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Canon"
    exif[0x013B] = SECRET.decode()
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0), 3: "E", 4: (13.0, 20.0, 0.0), 29: "GPS 2026"}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return encoded(gradient(), format, exif=exif, icc_profile=profile, **({} if format == "PNG" else {"xmp": XMP}))


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def shown(body: bytes) -> Image.Image:
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        return image


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
