"""
Pictures that naive code spoils: what is shown has to look as it did before, whatever way it was stored.

Each is compared with what a browser shows of the source (`viewer.shown`), so it does not matter as what it was kept.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import subprocess
import sys
import zlib

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from tests.workspace.pictures import (
    FORMATS,
    P3_PRIMARIES,
    XMP,
    animation,
    camera_data,
    chunk,
    corners,
    deep_png,
    display_p3,
    drawing,
    encoded,
    palette_see_through,
    photograph,
    png_of,
    png_with,
    see_through,
)
from tests.workspace.viewer import (
    brightness,
    deep_samples,
    difference,
    on,
    opened,
    shown,
    turned_for,
)
from workspace import images

ROOM = 1_000_000  # of an empty workspace on the smallest plan
every_way = pytest.mark.parametrize("compression", ["none", "lossless", "auto"])


def keep(body: bytes, compression: str = "auto", room_bytes: int = ROOM) -> images.KeptImage:
    """Keeps it, and holds what is said about it against what it is."""
    kept = images.keep(body, compression=compression, room_bytes=room_bytes)
    seen = shown(kept.body)
    assert (kept.width, kept.height) == seen.size
    assert kept.content_type == images.sniff(kept.body)
    assert images.sniff(kept.thumbnail) == "image/avif"
    assert compression == "none" or len(kept.body) <= len(body)
    return kept


def grey_scale(mode: str, size: tuple[int, int] = (300, 200)) -> Image.Image:
    return photograph(size, "L", seed=4).convert(mode)


@functools.cache
def stored() -> dict[str, bytes]:
    """One picture in each way of storing it that has been seen to go wrong."""
    half = see_through((300, 200))
    return {
        "RGB": encoded(photograph((300, 200)), "PNG"),
        "RGBA with soft edges": encoded(half, "PNG"),
        "RGBA as WebP": encoded(half, "WEBP", quality=95),
        "RGBA as lossless WebP": encoded(half, "WEBP", lossless=True, exact=True),
        "RGBA as AVIF": encoded(half, "AVIF", quality=95, speed=10),
        "RGBA without anything to see through": encoded(photograph((300, 200)).convert("RGBA"), "PNG"),
        "LA": encoded(half.convert("LA"), "PNG"),
        "L": encoded(grey_scale("L"), "PNG"),
        "L as JPEG": encoded(grey_scale("L"), "JPEG", quality=95),
        "L with a colour to see through": encoded(drawing((300, 200), "L"), "PNG", transparency=255),
        "RGB with a colour to see through": encoded(drawing((300, 200)), "PNG", transparency=(255, 255, 255)),
        "1 bit": encoded(grey_scale("1"), "PNG"),
        "1 bit with a colour to see through": encoded(grey_scale("1"), "PNG", transparency=0),
        "palette": encoded(photograph((300, 200)).quantize(200), "PNG"),
        "palette of two": encoded(drawing((300, 200)).quantize(2), "PNG"),
        "palette to see through": encoded(palette_see_through((300, 200)), "PNG"),
        "palette with one unseen colour": encoded(drawing((300, 200)).quantize(16), "PNG", transparency=0),
        "GIF": encoded(drawing((300, 200)).quantize(64), "GIF"),
        "GIF to see through": encoded(drawing((300, 200)).quantize(64), "GIF", transparency=0),
        "CMYK": encoded(photograph((300, 200)).convert("CMYK"), "JPEG", quality=95),
        "JPEG of red, green and blue": encoded(photograph((300, 200)), "JPEG", quality=95, keep_rgb=True),
        "16 bits of grey": deep_png((300, 200), 0),
        "16 bits of grey and alpha": deep_png((300, 200), 4),
        "16 bits of colour": deep_png((300, 200), 2),
        "16 bits of colour and alpha": deep_png((300, 200), 6),
        "16 bits with a colour to see through": png_of(
            *(300, 200, 16, 2),
            (b"\0" + b"\x80\x12" * 450 + b"\x20\x34" * 450) * 200,
            chunk(b"tRNS", b"\x80\x12" * 3),
        ),
        "16 bits with a grey to see through": deep_png((300, 200), 0, chunk(b"tRNS", b"\0\0")),
    }


every_store = pytest.mark.parametrize("name", stored())


@every_way
@every_store
def test_a_picture_looks_as_it_did_however_it_was_stored(name: str, compression: str) -> None:
    body = stored()[name]
    before = shown(body)

    kept = keep(body, compression)

    limit = 5.0 if compression == "auto" else 0.0  # a picture in scattered colours has much to lose
    assert difference(shown(kept.body), before) <= limit
    small = shown(kept.thumbnail)
    assert difference(small, before.resize(small.size, Image.Resampling.LANCZOS)) < 8


@every_store
def test_the_fallbacks_of_a_picture_look_as_it_does(name: str) -> None:
    kept = keep(stored()[name]).body
    before = shown(kept)

    assert difference(shown(images.convert(kept, to="image/png")), before) < 1
    as_jpeg = shown(images.convert(kept, to="image/jpeg"))
    assert difference(as_jpeg, on(before, "white").convert("RGBA")) < 6


@every_way
@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits_of_a_sample_do_not_come_out_white(colour: int, compression: str) -> None:
    """Pillow cuts such a grey off at 255 of 65,535 where it is told to convert it, and all of it is white."""
    kept = keep(deep_png((256, 64), colour), compression)

    seen = shown(kept.body).getchannel(0)
    for x in (0, 64, 128, 192, 255):
        assert abs(seen.getpixel((x, 32)) - x) <= 6
    if colour in (0, 2):
        assert 124 < brightness(shown(kept.thumbnail)) < 131


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits_are_still_sixteen_bits_where_nothing_may_be_lost(colour: int) -> None:
    body = deep_png((256, 64), colour)

    kept = keep(body, "lossless")

    assert kept.is_lossless
    assert deep_samples(kept.body) == deep_samples(body)


def test_a_soft_edge_is_as_soft_as_it_was() -> None:
    image = see_through((400, 300))

    kept = keep(encoded(image, "PNG"))

    seen = shown(kept.body)
    apart = ImageChops.difference(seen.getchannel("A"), image.getchannel("A"))
    assert ImageStat.Stat(apart).mean[0] < 2
    assert opened(kept.thumbnail).mode == "RGBA"


@every_way
def test_alpha_that_hides_nothing_does_not_disturb(compression: str) -> None:
    image = photograph((300, 200)).convert("RGBA")

    kept = keep(encoded(image, "PNG"), compression)

    assert difference(shown(kept.body), image) < 4
    if compression == "auto":
        assert opened(kept.body).mode == "RGB"


@pytest.mark.parametrize("name", ["L", "LA", "L as JPEG", "1 bit", "16 bits of grey"])
def test_grey_stays_grey(name: str) -> None:
    kept = keep(stored()[name])

    for body in (kept.body, kept.thumbnail):
        red, green, blue, _ = shown(body).split()
        assert ImageChops.difference(red, green).getextrema()[1] <= 2
        assert ImageChops.difference(green, blue).getextrema()[1] <= 2


def test_a_grey_photograph_pays_for_no_colours() -> None:
    kept = keep(encoded(photograph((600, 400), "L"), "PNG"))

    assert kept.content_type == "image/avif"
    flags = kept.body[kept.body.index(b"av1C") + 6]
    assert flags & 0x10, "not monochrome (AV1 codec configuration, third byte)"


@every_way
@pytest.mark.parametrize("size", [(300, 200), (1400, 1000)])
def test_the_colours_of_ink_are_right(size: tuple[int, int], compression: str) -> None:
    """
    Adobe writes CMYK inverted and says so in a segment (APP14): without it the picture is a negative.

    The larger one is above what is kept as it came.
    """
    image = corners(size).convert("CMYK")
    body = encoded(ImageChops.add(image, photograph(size).convert("CMYK"), scale=1.5), "JPEG", quality=97)

    kept = keep(body, compression)

    seen = shown(kept.body)
    assert difference(seen, shown(body).resize(seen.size)) < 5


def test_a_profile_of_a_screen_in_a_picture_of_ink_is_not_followed() -> None:
    """It cannot describe four inks. Profile and pixels that do not fit each other are an error in some scanners."""
    body = encoded(photograph((1200, 900)).convert("CMYK"), "JPEG", quality=97, icc_profile=display_p3())

    kept = keep(body)

    seen = shown(kept.body)
    assert difference(seen, shown(body).resize(seen.size)) < 6


# Which way is up


@every_way
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_shown_upright(format: str, orientation: int, compression: str) -> None:
    """The EXIF block says which way the camera was held. Who drops the block has to turn the picture first."""
    image = corners((120, 72))
    body = encoded(turned_for(image, orientation), format, exif=camera_data(orientation), quality=90)
    assert difference(shown(body), image) < 4

    kept = keep(body, compression)

    assert (kept.width, kept.height) == (120, 72)
    assert difference(shown(kept.body), image) < 5
    small = opened(kept.thumbnail)
    assert "exif" not in small.info
    assert difference(small, image) < 8


@pytest.mark.parametrize("orientation", [2, 3, 5, 6, 8])
def test_a_large_photograph_is_turned_before_its_orientation_is_dropped(orientation: int) -> None:
    """Above the size that is kept as it came, so encoded anew, and scaled on the way."""
    image = photograph((1500, 1100))
    body = encoded(turned_for(image, orientation), "JPEG", quality=95, exif=camera_data(orientation))

    kept = keep(body)

    seen = shown(kept.body)
    assert "exif" not in opened(kept.body).info
    assert abs(kept.width / kept.height - 1500 / 1100) < 0.01
    assert difference(seen, image.resize(seen.size, Image.Resampling.LANCZOS)) < 5


@every_way
@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535])
def test_a_direction_that_does_not_exist_turns_nothing(orientation: int, compression: str) -> None:
    body = encoded(corners(), "JPEG", exif=camera_data(orientation), quality=90)

    assert difference(shown(keep(body, compression).body), corners()) < 5


@every_way
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_what_xmp_says_about_the_direction_is_not_what_browsers_show(format: str, compression: str) -> None:
    """Pillow reads the orientation from XMP where EXIF has none; browsers do not, and width and height were swapped."""
    xmp = XMP.replace(b"dc:creator", b'tiff:Orientation="6" dc:creator')
    if format == "PNG":
        body = png_with(encoded(corners(), "PNG"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp))
    else:
        body = encoded(corners(), format, xmp=xmp, quality=90)

    kept = keep(body, compression)

    assert (kept.width, kept.height) == (120, 72)
    assert difference(shown(kept.body), corners()) < 5
    assert opened(kept.thumbnail).size == (120, 72)


@every_way
@pytest.mark.filterwarnings("ignore:.*orrupt EXIF data", "ignore:Tag data larger than file")
@pytest.mark.parametrize(
    "exif",
    [
        *(b"", b"II*\0", b"Exif\0\0", b"MM\0*\0\0\0\x08\xff\xff", b"\0" * 40, b"II*\0\xff\xff\xff\xff"),
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0\0\0\0\0",  # the orientation is a text
        b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\x7f\x06\0\0\0\0\0\0\0",  # of two thousand million numbers
        b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0",  # a directory that holds itself
    ],
)
def test_broken_camera_data_is_no_reason_to_refuse_a_picture(exif: bytes, compression: str) -> None:
    data = b"Exif\0\0" + exif
    jpeg = encoded(corners(), "JPEG", quality=90)
    bodies = [
        jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:],
        png_with(encoded(corners(), "PNG"), chunk(b"eXIf", exif)),
    ]
    for body in bodies:
        assert difference(shown(keep(body, compression).body), corners()) < 5


# Colours of other screens


def as_srgb(p3: tuple[int, int, int]) -> tuple[int, int, int]:
    """What a colour of the P3 profile is in sRGB, by the book and without a colour library."""
    linear = [(value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4) for value in p3]
    x, y, z = (
        sum(part * P3_PRIMARIES[kind][axis] for part, kind in zip(linear, P3_PRIMARIES, strict=True))
        for axis in range(3)
    )
    mixed = (  # from XYZ at D50 to sRGB's primaries
        3.1338561 * x - 1.6168667 * y - 0.4906146 * z,
        -0.9787684 * x + 1.9161415 * y + 0.0334540 * z,
        0.0719453 * x - 0.2289914 * y + 1.4052427 * z,
    )
    bent = [value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055 for value in mixed]
    return tuple(round(255 * min(1.0, max(0.0, value))) for value in bent)  # type: ignore[return-value]


P3_COLOURS = [(200, 60, 50), (40, 170, 70), (60, 70, 200), (230, 190, 40), (128, 128, 128), (90, 200, 210)]


def p3_stripes(size: tuple[int, int], *, seen: bool = False) -> Image.Image:
    image = Image.new("RGB", size)
    for number, colour in enumerate(P3_COLOURS):
        width = size[0] // len(P3_COLOURS)
        image.paste(as_srgb(colour) if seen else colour, (width * number, 0, width * (number + 1), size[1]))
    return image


def stripes_of(image: Image.Image) -> list[tuple[int, ...]]:
    width = image.width // len(P3_COLOURS)
    return [image.getpixel((width * number + width // 2, image.height // 2)) for number in range(len(P3_COLOURS))]  # type: ignore[misc]


@every_way
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_the_colours_of_a_wide_screen_are_as_they_were_meant(format: str, mode: str, compression: str) -> None:
    """
    A profile that is dropped without its colours converted leaves them pale: (200, 60, 50) in P3 is (216, 49, 42) in
    sRGB. Both encoders for the web drop it unless told otherwise.
    """
    if (mode != "RGB" and format == "JPEG") or (mode == "P" and format != "PNG"):
        pytest.skip(f"{format} has no {mode}")
    image = p3_stripes((240, 60))
    image = image.quantize(16) if mode == "P" else image.convert(mode)
    body = encoded(image, format, icc_profile=display_p3(), quality=95)

    kept = keep(body, compression)

    for file in (kept.body, kept.thumbnail):
        for is_shown, meant in zip(stripes_of(shown(file)), P3_COLOURS, strict=True):
            assert max(abs(a - b) for a, b in zip(is_shown[:3], as_srgb(meant), strict=True)) <= 8
    if compression == "lossless":
        assert opened(kept.body).info["icc_profile"] == display_p3()
    small = opened(kept.thumbnail).info.get("icc_profile")
    assert small is None, "a thumbnail is in sRGB, without a profile"


def test_a_large_picture_of_a_wide_screen_is_converted_and_its_profile_dropped() -> None:
    noise = photograph((1200, 900)).point(lambda value: value // 8)
    body = encoded(ImageChops.add(p3_stripes((1200, 900)), noise), "JPEG", quality=97, icc_profile=display_p3())

    kept = keep(body)

    assert not kept.is_lossless
    assert "icc_profile" not in opened(kept.body).info
    seen = shown(kept.body)
    assert difference(seen, shown(body).resize(seen.size, Image.Resampling.LANCZOS)) < 4
    without = opened(body).convert("RGBA").resize(seen.size, Image.Resampling.LANCZOS)
    assert difference(seen, without) > 5, "this test can tell the two apart"


def test_alpha_stays_beside_colours_that_are_converted() -> None:
    image = p3_stripes((240, 60)).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((240, 60)))
    body = encoded(ImageChops.add_modulo(image, Image.new("RGBA", (240, 60))), "PNG", icc_profile=display_p3())

    assert difference(shown(keep(body).body), shown(body)) < 4


@every_way
@pytest.mark.parametrize("profile", [b"\0", b"not a profile" * 20, display_p3()[:200], b"\xff" * 400])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_broken_profile_is_ignored(format: str, profile: bytes, compression: str) -> None:
    body = encoded(corners(), format, icc_profile=profile, quality=90)

    assert difference(shown(keep(body, compression).body), corners()) < 5


@every_way
def test_a_profile_for_another_kind_of_picture_is_ignored(compression: str) -> None:
    """A profile of red, green and blue in a grey picture, and one that is no profile of a device."""
    grey = encoded(photograph((300, 200), "L"), "PNG", icc_profile=display_p3())
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    coloured = encoded(corners(), "PNG", icc_profile=lab)

    assert difference(shown(keep(grey, compression).body), photograph((300, 200), "L")) < 5
    assert difference(shown(keep(coloured, compression).body), corners()) < 5


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"gAMA", struct.pack(">I", 100_000)),  # linear light
        (b"cICP", bytes([9, 16, 0, 1])),  # BT.2020 with PQ: high dynamic range
        (b"cHRM", struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000)),
    ],
)
def test_what_a_png_says_about_its_colours_is_said_still_where_nothing_may_be_lost(kind: bytes, data: bytes) -> None:
    """WebP has no place for it, so a picture with equal samples in it would be shown in other colours."""
    body = png_with(encoded(photograph((200, 150)), "PNG"), chunk(kind, data))

    kept = keep(body, "lossless")

    assert kept.is_lossless
    assert chunk(kind, data) in kept.body


# Sizes


@every_way
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_single_pixel_is_a_picture(format: str, mode: str, compression: str) -> None:
    try:
        body = encoded(Image.new("RGB", (1, 1), "#808080").convert(mode), format)
    except (OSError, ValueError):
        pytest.skip(f"{format} has no {mode}")

    kept = keep(body, compression)

    assert (kept.width, kept.height) == (1, 1)
    assert difference(shown(kept.body), shown(body)) < 4
    assert opened(kept.thumbnail).size == (1, 1)


@every_way
@pytest.mark.parametrize("size", [(16_383, 40), (16_384, 40), (40, 16_384), (1, 16_000), (16_000, 1), (30_000, 200)])
def test_a_very_long_picture_is_kept(size: tuple[int, int], compression: str) -> None:
    """WebP ends at 16,383 pixels a side; a scale that rounds a side to nothing is an error in every encoder."""
    body = encoded(Image.linear_gradient("L").resize(size).convert("RGB"), "PNG")

    kept = keep(body, compression)

    assert kept.width / kept.height == pytest.approx(size[0] / size[1], rel=0.05) or min(kept.width, kept.height) == 1
    if compression != "auto":
        assert (kept.width, kept.height) == size
    small = opened(kept.thumbnail)
    assert max(small.size) <= 256
    assert min(small.size) >= 1


@every_way
def test_the_longest_picture_that_is_allowed_is_kept_or_refused(compression: str) -> None:
    """16,777,216 × 1: no encoder but PNG's takes it, and PNG's does."""
    line = zlib.compress(b"\0" * (1 + images.MAX_PIXELS // 8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", images.MAX_PIXELS, 1, 1, 0, 0, 0, 0))
    body = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", line) + chunk(b"IEND")

    kept = images.keep(body, compression=compression, room_bytes=ROOM)

    assert opened(kept.body).size == (kept.width, kept.height)
    assert max(opened(kept.thumbnail).size) <= 256


def test_a_picture_too_long_for_the_fallback_is_refused_in_words() -> None:
    """A JPEG has at most 65,535 pixels a side."""
    body = encoded(Image.new("L", (70_000, 2), 90), "PNG")

    with contextlib.suppress(images.InvalidImage):
        assert images.sniff(images.convert(body, to="image/jpeg")) == "image/jpeg"


# What moves


moving = pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF"])


@moving
@pytest.mark.parametrize("compression", ["auto", "lossless"])
def test_what_moves_is_not_made_to_stand_still(format: str, compression: str) -> None:
    """Other services kept the first frame and said nothing. Here the answer names the way to keep it all."""
    with pytest.raises(images.InvalidImage, match=r"(?i)(animat|frames|moves).*compression\W*none"):
        images.keep(animation(format), compression=compression, room_bytes=ROOM)


@moving
def test_what_moves_is_kept_to_the_byte_where_nothing_is_changed(format: str) -> None:
    body = animation(format)

    kept = keep(body, "none")

    assert kept.body == body
    assert kept.is_lossless
    assert brightness(shown(kept.thumbnail)) < 3, "the first frame is black"
    assert getattr(opened(kept.thumbnail), "n_frames", 1) == 1


@every_way
@moving
def test_one_frame_is_a_picture_also_where_more_were_possible(format: str, compression: str) -> None:
    body = encoded(corners(), format, save_all=True, quality=95)

    assert difference(shown(keep(body, compression).body), corners()) < 5


@pytest.mark.parametrize("compression", ["auto", "lossless"])
def test_an_animation_of_one_frame_is_a_picture(compression: str) -> None:
    """A PNG with an animation control chunk that counts one, as some programs write."""
    plain = encoded(corners(), "PNG")
    control = struct.pack(">IIIIIHHBB", 0, 120, 72, 0, 0, 1, 10, 0, 0)
    body = png_with(plain, chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", control))

    assert difference(shown(keep(body, compression).body), corners()) < 5


@every_way
def test_of_a_jpeg_with_further_views_the_first_one_is_kept(compression: str) -> None:
    first, second = photograph((300, 200)), photograph((300, 200), seed=9)
    body = encoded(first, "MPO", save_all=True, append_images=[second], quality=90)

    kept = keep(body, compression)

    assert difference(shown(kept.body), shown(body)) < 4
    assert difference(shown(kept.thumbnail).resize((300, 200)), first) < 8
    if compression == "none":
        assert kept.body == body
    else:
        assert kept.body.count(b"\xff\xd8\xff") <= 1
        assert b"MPF\0" not in kept.body
        assert len(kept.body) < len(body) * 2 / 3


def test_the_pipeline_needs_no_django() -> None:
    """Pure functions: they run in a thread, a child process or a command, without settings."""
    told = "import sys, workspace.images; print([name for name in sys.modules if name.split('.')[0] == 'django'])"
    answer = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
