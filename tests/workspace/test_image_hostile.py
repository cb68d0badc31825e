"""Files that were made to do harm: each is refused in words or kept, with bounded memory, and nothing else happens."""

from __future__ import annotations

import contextlib
import functools
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.workspace.pictures import (
    FORMATS,
    PNG_SIGNATURE,
    animation,
    bomb_png,
    box,
    chunk,
    claimed_png,
    claiming,
    corners,
    deep_png,
    display_p3,
    encoded,
    palette_see_through,
    photograph,
    picture,
    png_chunks,
    png_with,
    see_through,
    telling,
)
from tests.workspace.viewer import opened
from workspace import images

ROOM = 1_000_000
WAYS = ["none", "lossless", "auto"]
every_way = pytest.mark.parametrize("compression", WAYS)
every_format = pytest.mark.parametrize("format", FORMATS)
on_linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def refused(body: bytes, compression: str = "auto", **options: str) -> str:
    with pytest.raises(images.InvalidImage) as refusal:
        images.keep(body, compression=compression, room_bytes=ROOM, **options)
    return str(refusal.value)


def kept_or_refused(body: bytes, compression: str) -> None:
    """Whatever it is: a picture that can be shown, or InvalidImage; never another exception."""
    try:
        kept = images.keep(body, compression=compression, room_bytes=ROOM)
    except images.InvalidImage:
        return
    assert kept.content_type == images.sniff(kept.body)
    assert kept.content_type in FORMATS.values()
    assert 0 < kept.width * kept.height <= images.MAX_PIXELS
    image = opened(kept.body)
    assert sorted(image.size) == sorted((kept.width, kept.height))
    assert max(opened(kept.thumbnail).size) <= images.THUMBNAIL_PIXELS
    assert compression != "none" or kept.body == body


# Too many pixels


@every_way
@pytest.mark.parametrize(("width", "height"), [(4097, 4096), (4096, 4097), (9000, 9000), (60_000, 60_000)])
def test_one_row_more_than_sixteen_megapixels_is_refused_by_the_header(
    width: int, height: int, compression: str
) -> None:
    """There are no pixels behind it: who decodes before he looks would call it damaged."""
    assert "16 megapixels" in refused(claimed_png(width, height), compression)


@every_way
@pytest.mark.parametrize("format", ["JPEG", "GIF", "WEBP", "AVIF"])
def test_the_header_of_every_format_is_believed_when_it_claims_too_much(format: str, compression: str) -> None:
    assert "16 megapixels" in refused(claiming(format, 9000, 9000), compression)


@functools.cache
def largest() -> bytes:
    return encoded(Image.linear_gradient("L").resize((4096, 4096)), "PNG", compress_level=1)


def test_exactly_sixteen_megapixels_are_accepted() -> None:
    kept = images.keep(largest(), room_bytes=ROOM)

    assert kept.width == kept.height
    assert opened(kept.body).size == (kept.width, kept.height)
    as_sent = images.keep(largest(), compression="none", room_bytes=ROOM)
    assert (as_sent.width, as_sent.height) == (4096, 4096)


# A program that keeps one picture and says by how much its memory grew at most. (getrusage would tell the parent's.)
WEIGH = """
import io, re, sys
from PIL import Image
from workspace import images
file = io.BytesIO()
Image.new("RGBA", (64, 64)).save(file, "PNG")
images.keep(file.getvalue(), room_bytes=1_000_000)
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
body, before = sys.stdin.buffer.read(), peak()
try:
    kept = images.keep(body, compression=sys.argv[1], room_bytes=1_000_000)
    said = f"kept {kept.width} x {kept.height}"
except images.InvalidImage as refusal:
    said = f"refused: {refusal}"
print(peak() - before, said)
"""


def weighed(body: bytes, compression: str) -> tuple[int, str]:
    """By how many MB the memory grew, and what became of the picture."""
    program = [sys.executable, "-c", WEIGH, compression]
    answer = subprocess.run(program, input=body, capture_output=True, check=False)
    assert answer.returncode == 0, answer.stderr.decode()
    grown, said = answer.stdout.decode().split(" ", 1)
    return int(grown), said


def gif_that_grows() -> bytes:
    """A screen of one pixel, and on it a picture of 9000 × 9000: Pillow makes the screen larger."""
    body = bytearray(encoded(corners((32, 32)).quantize(4), "GIF"))
    body[6:10] = struct.pack("<HH", 1, 1)
    place = body.index(b"\x2c\0\0\0\0")
    body[place + 5 : place + 9] = struct.pack("<HH", 9000, 9000)
    return bytes(body)


def gif_that_grows_later() -> bytes:
    body = bytearray(animation("GIF"))
    place = body.index(b"\x2c", body.index(b"\x21\xf9", body.index(b"\x2c") + 30))
    body[place : place + 9] = b"\x2c" + struct.pack("<HHHH", 0, 0, 9000, 9000)
    return bytes(body)


def packed_png(kind: bytes, head: bytes) -> bytes:
    """64 MB of nothing in a chunk of 64 KB."""
    return png_with(encoded(corners(), "PNG"), chunk(kind, head + zlib.compress(b"\0" * 64_000_000, 9)))


@functools.cache
def bombs() -> dict[str, bytes]:
    return {
        "81 megapixels": bomb_png(),
        "400 megapixels": bomb_png(20_000),
        "text in a PNG": packed_png(b"zTXt", b"a\0\0"),
        "long text in a PNG": packed_png(b"iTXt", b"a\0\x01\0\0\0"),
        "profile in a PNG": packed_png(b"iCCP", b"a\0\0"),
        "GIF that grows": gif_that_grows(),
        "GIF that grows later": gif_that_grows_later(),
        **{f"claims of {format}": claiming(format, 12_000, 12_000) for format in FORMATS},
    }


@on_linux
@pytest.mark.parametrize("name", bombs())
def test_a_few_kilobytes_do_not_take_the_memory_that_they_claim(name: str) -> None:
    """81 megapixels of one bit were 77 MB more when the header was asked after the pixels."""
    body = bombs()[name]
    assert len(body) < 80_000

    for compression in ("auto", "none"):
        grown, said = weighed(body, compression)

        assert grown < 30, said
        if "megapixels" in name or "claims" in name:
            assert "16 megapixels" in said


@on_linux
def test_the_largest_picture_takes_no_more_memory_than_its_pixels_a_few_times() -> None:
    """64 MB of pixels in red, green, blue and alpha."""
    image = photograph((512, 512)).convert("RGBA").resize((4096, 4096), Image.Resampling.NEAREST)
    image.putalpha(Image.linear_gradient("L").resize(image.size))

    grown, said = weighed(encoded(image, "PNG", compress_level=1), "auto")

    assert said.startswith("kept")
    assert grown < 330


@functools.cache
def lying_avifs() -> dict[str, bytes]:
    """17.6 megapixels that call themselves 64 × 64; in some the size for the decoder comes late."""
    image = Image.new("RGB", (4200, 4200), "grey")
    plain = bytearray(encoded(image, "AVIF", quality=5, speed=10, max_threads=1))
    place, length = avif_place(plain)
    units = bytes(plain[place : place + length])
    struct.pack_into(">II", plain, plain.index(b"ispe") + 8, 64, 64)
    filling = b"\x7a\xf0\xa2\x04" + b"\1" * 69_999 + b"\x80"  # a unit that decoders pass over, of 70,000 bytes
    return {
        "plainly": bytes(plain),
        "behind a long filling": with_pixels_of(filling + units),
        "behind many fillings": with_pixels_of(b"\x7a\x01\x80" * 40 + units),
    }


def avif_place(body: bytes) -> tuple[int, int]:
    """Where the first item begins, and its length (in the box of locations as libavif writes it)."""
    place, length = struct.unpack_from(">II", body, body.index(b"iloc") + 18)
    return place, length


def with_pixels_of(units: bytes) -> bytes:
    """A small picture with alpha, which says its size truly, whose colours come from `units`."""
    body = bytearray(encoded(see_through((64, 64)), "AVIF", speed=10))
    struct.pack_into(">II", body, body.index(b"iloc") + 18, len(body) + 8, len(units))
    return bytes(body) + box(b"mdat", units)


@pytest.mark.parametrize("name", ["plainly", "behind a long filling", "behind many fillings"])
@every_way
def test_an_avif_whose_pixels_are_more_than_it_claims_is_refused(name: str, compression: str) -> None:
    """
    Its size is written twice: for programs that look at the file, and for the decoder. Of 81 megapixels that called
    themselves 64 × 64, in 1.4 KB, the decoder made 232 MB.
    """
    body = lying_avifs()[name]
    assert opened(body).size == (64, 64), "a decoder takes it"

    assert refused(body, compression).endswith(".")


# Not pictures


@every_way
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        b"\0\0\0\x1cftypavif",
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><svg>&a;</svg>',
        b"\xef\xbb\xbf<?xml version='1.0'?><svg/>",
        b"<!DOCTYPE html><html><body onload=alert(1)>",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"\0\0\x01\0\x01\0",
        encoded(Image.new("RGB", (4, 4)), "BMP"),
        encoded(Image.new("RGB", (4, 4)), "TIFF"),
        encoded(Image.new("RGB", (4, 4)), "JPEG2000"),
        encoded(Image.new("RGB", (4, 4)), "PPM"),
        encoded(Image.new("RGB", (4, 4)), "TGA"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_picture_is_refused(body: bytes, compression: str) -> None:
    assert refused(body, compression).endswith(".")
    for declared in ("image/png", "image/svg+xml", "text/html"):
        assert refused(body, compression, declared_type=declared)


@pytest.mark.parametrize("body", [b"", b"<svg/>", b"GIF89a", claimed_png(9000, 9000), picture("BMP"), picture()[:60]])
def test_what_is_no_picture_has_no_thumbnail_and_no_fallback(body: bytes) -> None:
    for make in (images.make_thumbnail, lambda body: images.convert(body, to="image/png")):
        with pytest.raises(images.InvalidImage):
            make(body)


@every_way
@every_format
def test_a_picture_is_what_it_was_declared_as_or_refused(format: str, compression: str) -> None:
    body, real = picture(format), FORMATS[format]

    assert images.keep(body, declared_type=real, compression=compression, room_bytes=ROOM)
    for other in {*FORMATS.values(), "image/svg+xml", "text/html", "image/", ""} - {real}:
        assert refused(body, compression, declared_type=other) == (
            f"The content was declared as {other} but is {real}."
        )


@pytest.mark.parametrize(("format", "alias"), [("JPEG", "image/jpg"), ("JPEG", "image/pjpeg"), ("PNG", "image/x-png")])
def test_other_names_of_a_type_are_the_same_type(format: str, alias: str) -> None:
    assert images.keep(picture(format), declared_type=alias, room_bytes=ROOM).width == 24


# Damage


@functools.cache
def wholes() -> dict[str, bytes]:
    image = photograph((200, 150))
    return {
        "PNG": encoded(image, "PNG"),
        "palette": encoded(image.quantize(64), "PNG"),
        "JPEG": encoded(image, "JPEG", quality=85),
        "progressive": encoded(image, "JPEG", quality=85, progressive=True),
        "CMYK": encoded(image.convert("CMYK"), "JPEG", quality=85),
        "WEBP": encoded(image, "WEBP", quality=80),
        "lossless WEBP": encoded(image, "WEBP", lossless=True),
        "WEBP and alpha": encoded(see_through((200, 150)), "WEBP"),
        "AVIF": encoded(image, "AVIF", quality=70, speed=10),
        "AVIF and alpha": encoded(see_through((200, 150)), "AVIF", speed=10),
        "GIF": encoded(image.quantize(64), "GIF"),
    }


@every_way
@pytest.mark.parametrize("name", wholes())
def test_a_picture_that_is_cut_off_is_refused_wherever_it_is_cut(name: str, compression: str) -> None:
    body = wholes()[name]
    for length in (*range(9), 12, 20, 32, 45, *(len(body) * part // 20 for part in range(1, 20))):
        assert refused(body[:length], compression).endswith(".")


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])
def test_what_moves_and_is_cut_off_is_refused_though_its_first_frame_is_whole(format: str) -> None:
    """Half of a GIF and of a PNG were kept as if they were all."""
    body = animation(format, 6, (200, 100))

    assert images.keep(body, compression="none", room_bytes=ROOM).body == body
    for part in (5, 7, 9):
        assert refused(body[: len(body) * part // 10], "none")


@every_way
@pytest.mark.parametrize("name", wholes())
def test_a_picture_without_its_last_bytes_is_kept_whole_or_refused(name: str, compression: str) -> None:
    """Some decoders do without the end marker. Then what is kept has to have one, or the next viewer refuses it."""
    body = wholes()[name]
    for missing in (1, 2, 3, 4, 8, 12, 13):
        kept_or_refused(body[:-missing], compression)


@functools.cache
def small_ones() -> list[bytes]:
    size = (24, 16)
    return [
        *(picture(format, size) for format in FORMATS),
        *(telling(format, corners(size), orientation=6) for format in FORMATS),
        *(animation(format) for format in ("GIF", "PNG", "WEBP", "AVIF", "MPO")),
        encoded(palette_see_through(size), "PNG"),
        encoded(see_through(size), "WEBP"),
        encoded(see_through(size), "AVIF"),
        encoded(see_through(size).convert("LA"), "PNG", icc_profile=display_p3()),
        encoded(corners(size).convert("CMYK"), "JPEG", progressive=True, icc_profile=display_p3()),
        encoded(corners(size), "JPEG", progressive=True, keep_rgb=True),
        deep_png(size, 0),
        deep_png(size, 6),
    ]


ODD_BYTES = st.sampled_from([0, 1, 0x7F, 0x80, 0xD8, 0xD9, 0xDA, 0xFE, 0xFF]) | st.integers(0, 255)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with some bytes changed, cut out, doubled or put in."""
    body = bytearray(draw(st.sampled_from(small_ones())))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(body) - 1)))
        length = draw(st.integers(1, 12))
        match draw(st.sampled_from(["change", "change", "cut", "double", "insert"])):
            case "change" if body:
                body[place] = draw(ODD_BYTES)
            case "cut":
                del body[place : place + length]
            case "double":
                body[place:place] = body[place : place + length]
            case "insert":
                body[place:place] = bytes(draw(st.lists(ODD_BYTES, min_size=1, max_size=12)))
    return bytes(body)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage, and goes on
@settings(max_examples=250, deadline=None)
@given(damaged(), st.sampled_from(WAYS))
def test_a_damaged_picture_is_kept_or_refused(body: bytes, compression: str) -> None:
    kept_or_refused(body, compression)


@st.composite
def well_wrapped(draw: st.DrawFn) -> bytes:
    """A PNG with damage inside its chunks, and the checksums right, so that no decoder stops at the first one."""
    body = draw(st.sampled_from([body for body in small_ones() if body.startswith(PNG_SIGNATURE)]))
    parts = [(kind, bytearray(data)) for kind, data in png_chunks(body)]
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(parts) - 1))
        kind, data = parts[number]
        match draw(st.sampled_from(["change", "change", "shorten", "drop", "double", "move"])):
            case "change" if data:
                data[draw(st.integers(0, len(data) - 1))] = draw(ODD_BYTES)
            case "shorten":
                del data[draw(st.integers(0, len(data))) :]
            case "drop" if len(parts) > 1:
                del parts[number]
            case "double":
                parts.insert(number, (kind, data))
            case "move":
                parts.insert(draw(st.integers(0, len(parts) - 1)), parts.pop(number))
    return PNG_SIGNATURE + b"".join(chunk(kind, bytes(data)) for kind, data in parts)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(well_wrapped(), st.sampled_from(WAYS))
def test_a_png_with_senseless_chunks_is_kept_or_refused(body: bytes, compression: str) -> None:
    kept_or_refused(body, compression)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([PNG_SIGNATURE, b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBP", b"\0\0\0\x1cftypavif", b""]),
    st.binary(max_size=64),
    st.sampled_from(WAYS),
)
def test_no_bytes_make_it_fail_otherwise_than_by_refusing(start: bytes, rest: bytes, compression: str) -> None:
    assert refused(start + rest, compression)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=80, deadline=None)
@given(damaged(), st.sampled_from(["image/jpeg", "image/png"]))
def test_a_damaged_picture_has_fallback_and_thumbnail_or_is_refused(body: bytes, to: str) -> None:
    with contextlib.suppress(images.InvalidImage):
        assert images.sniff(images.convert(body, to=to)) == to
    with contextlib.suppress(images.InvalidImage):
        assert images.sniff(images.make_thumbnail(body)) == "image/avif"
