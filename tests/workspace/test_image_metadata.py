"""What rides along with a picture: where it was taken and by whom, and what somebody hid behind it."""

from __future__ import annotations

import functools
import io
import struct
import zipfile

import pytest
from PIL import Image

from tests.workspace.pictures import (
    FORMATS,
    SECRET,
    box,
    chunk,
    corners,
    deep_png,
    display_p3,
    encoded,
    jpeg_markers,
    jpeg_with,
    photograph,
    png_chunks,
    png_with,
    segment,
    telling,
    webp_with,
)
from tests.workspace.viewer import difference, opened, samples, shown, turned_for
from workspace import images

ROOM = 1_000_000
every_format = pytest.mark.parametrize("format", FORMATS)
changing = pytest.mark.parametrize("compression", ["lossless", "auto"])
LARGE = (1300, 1000)  # more than is kept as it came


def keep(body: bytes, compression: str = "auto") -> images.KeptImage:
    return images.keep(body, compression=compression, room_bytes=ROOM)


@functools.cache
def large(format: str) -> bytes:
    return telling(format, photograph(LARGE), quality=95)


def assert_tells_nothing(body: bytes) -> None:
    assert SECRET not in body
    assert b"x:xmpmeta" not in body
    image = opened(body)
    exif = image.getexif()
    assert set(exif) <= {0x0112}, "only the orientation may stay"
    assert not exif.get_ifd(0x8825), "where it was taken"
    assert not exif.get_ifd(0x8769)
    told = {
        name: str(image.info.get(name, "")) for name in ("xmp", "XML:com.adobe.xmp", "comment", "Author", "photoshop")
    }
    assert not "".join(told.values()).strip(" b'"), "in an AVIF the place of the XMP stays, and is empty"
    assert "mp" not in image.info
    assert not getattr(image, "text", {})


# A maker that tells nothing would let every test here pass
@every_format
def test_the_pictures_of_this_test_do_tell(format: str) -> None:
    assert telling(format).count(SECRET) >= 2
    with pytest.raises(AssertionError):
        assert_tells_nothing(telling(format))


@changing
@every_format
def test_a_picture_does_not_tell_who_took_it_and_where(format: str, compression: str) -> None:
    body = telling(format)

    kept = keep(body, compression)

    assert_tells_nothing(kept.body)
    assert_tells_nothing(kept.thumbnail)
    assert difference(shown(kept.body), shown(body)) < 6


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_a_large_picture_does_not_tell_either(format: str) -> None:
    """Encoders write the EXIF and XMP of the picture that they are given, where nobody takes it out."""
    kept = keep(large(format))

    assert len(kept.body) < len(large(format)) / 2
    assert_tells_nothing(kept.body)


@every_format
def test_nothing_is_taken_from_a_picture_that_is_to_stay_as_it_is(format: str) -> None:
    body = telling(format)

    kept = keep(body, "none")

    assert kept.body == body
    assert kept.is_lossless
    assert_tells_nothing(kept.thumbnail)


@every_format
def test_fallbacks_and_thumbnails_of_a_picture_that_tells_do_not(format: str) -> None:
    body = telling(format)

    for made in (*(images.convert(body, to=to) for to in ("image/jpeg", "image/png")), images.make_thumbnail(body)):
        assert_tells_nothing(made)


@changing
@every_format
def test_what_is_taken_out_takes_no_pixel_with_it(format: str, compression: str) -> None:
    """Small and lossy: it is kept in the coding that it came in, and decodes to the very same samples."""
    body = telling(format)

    kept = keep(body, compression)

    if compression == "lossless" or format in ("JPEG", "AVIF", "WEBP"):
        assert samples(kept.body) == samples(body)
        assert kept.is_lossless
        assert len(kept.body) < len(body) or format == "AVIF"


@changing
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_of_the_camera_data_at_most_the_direction_stays(format: str, orientation: int, compression: str) -> None:
    body = telling(format, turned_for(corners(), orientation), orientation=orientation, quality=90)

    kept = keep(body, compression)

    assert_tells_nothing(kept.body)
    assert difference(shown(kept.body), corners()) < 4
    if orientation == 1:
        assert "exif" not in opened(kept.body).info, "the usual direction needs no words"


@changing
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF"])
def test_a_small_picture_that_is_held_upright_by_a_word_keeps_the_word_and_its_coding(
    format: str, compression: str
) -> None:
    body = telling(format, turned_for(photograph((203, 149)), 6), orientation=6, quality=80)

    kept = keep(body, compression)

    assert kept.content_type == FORMATS[format]
    assert samples(kept.body) == samples(body)
    assert (kept.width, kept.height) == (203, 149)
    assert SECRET not in kept.body


@changing
@every_format
def test_what_is_clean_stays_as_clean_and_small(format: str, compression: str) -> None:
    """A second pass finds nothing more: what was stripped is stripped."""
    once = keep(telling(format), compression)
    twice = keep(once.body, compression)

    assert len(twice.body) <= len(once.body)
    assert difference(shown(twice.body), shown(once.body)) < 1


# JPEG


@functools.cache
def progressive() -> bytes:
    return encoded(photograph((200, 150)), "JPEG", progressive=True, quality=80)


@changing
def test_texts_between_the_scans_of_a_jpeg_go_too(compression: str) -> None:
    """Who copies everything from the first scan to the end copies them."""
    body = jpeg_with(
        progressive(),
        segment(0xFE, b"SECRET COMMENT"),
        segment(0xE1, b"Exif\0\0II*\0SECRET"),
        segment(0xED, b"SECRET IPTC"),
        between_scans=True,
    )
    assert body.count(SECRET) >= 9

    kept = keep(body, compression)

    assert SECRET not in kept.body
    assert samples(kept.body) == samples(body)
    assert kept.content_type == "image/jpeg"
    assert kept.is_lossless


@changing
@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"progressive": True, "restart_marker_rows": 1},
        {"restart_marker_blocks": 3},
        {"subsampling": 0, "optimize": True},
        {"subsampling": 2, "quality": 20},
        {"keep_rgb": True},
    ],
    ids=str,
)
def test_a_jpeg_of_every_coding_keeps_its_pixels(options: dict[str, int], compression: str) -> None:
    body = telling("JPEG", photograph((203, 149)), **options)

    kept = keep(body, compression)

    assert_tells_nothing(kept.body)
    assert samples(kept.body) == samples(body)


@changing
def test_filling_before_a_marker_does_not_lead_past_it(compression: str) -> None:
    """Any number of 0xFF may stand before a marker (ITU T.81, B.1.1.2)."""
    plain = encoded(corners(), "JPEG", quality=90)
    place = list(jpeg_markers(plain))[2][1]
    comment = segment(0xFE, b"SECRET")
    for body in (
        plain[:place] + b"\xff" * 5 + comment + b"\xff\xff" + plain[place:],
        plain[:-2] + b"\xff" * 7 + plain[-2:] + b"SECRET TAIL",
    ):
        kept = keep(body, compression)

        assert SECRET not in kept.body
        assert samples(kept.body) == samples(plain)


@changing
def test_the_preview_in_the_first_segment_of_a_jpeg_goes(compression: str) -> None:
    """JFIF has room for one in its own header, of which nobody thinks."""
    plain = encoded(photograph((200, 150)), "JPEG")
    length = struct.unpack_from(">H", plain, 4)[0]
    head = plain[6:18] + bytes([4, 2]) + b"SECRET PREVIEW FULL OF ME"[:24]
    body = plain[:2] + segment(0xE0, head) + plain[4 + length :]
    assert opened(body).size == (200, 150)

    kept = keep(body, compression)

    assert SECRET not in kept.body
    assert samples(kept.body) == samples(plain)


@changing
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_the_marker_of_adobe_stays_as_the_colours_hang_on_it(mode: str, compression: str) -> None:
    options = {"keep_rgb": True} if mode == "RGB" else {}
    body = telling("JPEG", photograph((200, 150)).convert(mode), **options)

    kept = keep(body, compression)

    assert SECRET not in kept.body
    if kept.content_type == "image/jpeg":
        assert samples(kept.body) == samples(body)
        kinds = [marker for marker, _ in jpeg_markers(body)]
        assert (0xEE in kinds) == (0xEE in [marker for marker, _ in jpeg_markers(kept.body)])
    assert difference(shown(kept.body), shown(body)) < 4


# What is needed to show it right


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_profile_of_several_segments_is_kept_whole_where_nothing_may_be_lost(format: str) -> None:
    """A JPEG has 64 KB to a segment; a long profile is in several, and in none of them alone."""
    profile = display_p3() + b"\0" * 150_000
    profile = struct.pack(">I", len(profile)) + profile[4:]
    body = telling(format, photograph((300, 200)), icc_profile=profile, quality=90)

    kept = keep(body, "lossless")

    assert opened(kept.body).info["icc_profile"] == profile
    assert kept.is_lossless
    assert samples(kept.body) == samples(body)
    assert SECRET not in kept.body


@changing
@pytest.mark.parametrize("kind", [b"gAMA", b"sRGB", b"tRNS"])
def test_chunks_that_say_how_a_png_is_shown_do_no_harm(kind: bytes, compression: str) -> None:
    data = {b"gAMA": struct.pack(">I", 45_455), b"sRGB": b"\0", b"tRNS": struct.pack(">HHH", 255, 255, 255)}[kind]
    image = photograph((96, 64))
    image = image.copy()
    image.paste("white", (0, 0, 20, 20))
    body = png_with(telling("PNG", image), chunk(kind, data))

    kept = keep(body, compression)

    assert_tells_nothing(kept.body)
    assert difference(shown(kept.body), shown(body)) < 6


def test_a_stripped_png_has_only_chunks_that_show_something() -> None:
    """16 bits, so that it is kept as the PNG that it is."""
    needless = [chunk(kind, b"SECRET") for kind in (b"tEXt", b"prVt", b"dSIG", b"vpAg", b"caBX", b"tIME")]
    body = png_with(deep_png((90, 60), 2, *needless), *needless, before=b"IEND")

    kept = keep(body, "lossless")

    shows = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"sBIT", b"pHYs"}
    assert {kind for kind, _ in png_chunks(kept.body)} <= shows
    assert SECRET not in kept.body


# Two files in one


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("SECRET.js", "alert('SECRET')")
    return file.getvalue()


TAILS = {
    "HTML": b"<!DOCTYPE html><script>alert('SECRET')</script>",
    "ZIP": archive(),
    "JS": b"*/=1;alert('SECRET')//",
    "another JPEG": telling("JPEG"),
    "an end, and more": b"\xff\xd9 SECRET \xff\xd9",
    "another PNG's end": chunk(b"tEXt", b"SECRET\0SECRET") + chunk(b"IEND"),
}


@changing
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "PNG of 16 bits", "GIF", "WEBP"])
def test_what_hides_behind_a_picture_is_cut_off(kind: str, tail: str, compression: str) -> None:
    """A picture to one program, a page or an archive to another. The file has to end where the picture does."""
    plain = deep_png((96, 64), 2) if "16" in kind else encoded(photograph((96, 64)), kind)

    kept = keep(plain + TAILS[tail], compression)

    assert SECRET not in kept.body
    assert b"PK\x05\x06" not in kept.body
    assert len(kept.body) <= len(plain)
    assert difference(shown(kept.body), shown(plain)) < 6


@changing
def test_what_hides_inside_the_container_of_a_webp_goes_too(compression: str) -> None:
    for options in ({"quality": 80}, {"lossless": True}, {"quality": 80, "exif": Image.Exif().tobytes()}):
        plain = encoded(photograph((96, 64)), "WEBP", **options)
        body = webp_with(webp_with(plain, b"XYZW", TAILS["HTML"]), b"EXIF", b"SECRET")

        kept = keep(body, compression)

        assert SECRET not in kept.body
        assert difference(shown(kept.body), shown(plain)) < 6
        assert compression == "auto" or samples(kept.body) == samples(plain)


@changing
@pytest.mark.parametrize("kind", [b"free", b"skip", b"uuid", b"mdat", b"wxyz"])
def test_what_hides_in_a_box_behind_an_avif_is_not_kept(kind: bytes, compression: str) -> None:
    plain = encoded(photograph((96, 64)), "AVIF", quality=80)
    body = plain + box(kind, b"0123456789abcdef" + TAILS["HTML"] + archive())

    try:
        kept = keep(body, compression)
    except images.InvalidImage:
        return
    assert SECRET not in kept.body
    assert difference(shown(kept.body), shown(plain)) < 4


@changing
def test_what_hides_beside_the_pixels_of_an_avif_is_not_kept(compression: str) -> None:
    """In the box of the pixels, where no picture in the file refers to it."""
    plain = encoded(photograph((96, 64)), "AVIF", quality=80)
    place = plain.index(b"mdat") - 4
    (length,) = struct.unpack_from(">I", plain, place)
    assert place + length == len(plain)
    body = plain[:place] + struct.pack(">I", length + len(TAILS["HTML"])) + plain[place + 4 :] + TAILS["HTML"]
    assert samples(body) == samples(plain)

    kept = keep(body, compression)

    assert SECRET not in kept.body
    assert difference(shown(kept.body), shown(plain)) < 4


@changing
def test_bytes_that_are_no_box_behind_an_avif_are_not_kept(compression: str) -> None:
    body = encoded(photograph((96, 64)), "AVIF", quality=80) + TAILS["HTML"]

    try:
        kept = keep(body, compression)
    except images.InvalidImage:
        return
    assert SECRET not in kept.body


@changing
def test_a_comment_in_a_gif_is_not_kept_wherever_it_is(compression: str) -> None:
    plain = encoded(corners().quantize(8), "GIF")
    comment = b"\x21\xfe" + bytes([len(TAILS["JS"])]) + TAILS["JS"] + b"\0"
    text = b"\x21\x01\x0c" + b"\0" * 12 + b"\x06SECRET\0"
    start, end = plain.index(b"\x2c\0\0\0\0"), len(plain) - 1
    for body in (
        plain[:start] + comment + plain[start:],
        plain[:end] + comment + plain[end:],
        plain[:start] + text + plain[start:],
    ):
        kept = keep(body, compression)

        assert SECRET not in kept.body
        assert difference(shown(kept.body), shown(plain)) < 4


@changing
def test_what_a_picture_behind_a_picture_tells_is_not_kept(compression: str) -> None:
    """Telephones put a second JPEG behind the first (further views, brightness maps), with camera data of its own."""
    first = photograph((200, 150))
    with_views = encoded(first, "MPO", save_all=True, append_images=[first], quality=85)
    body = with_views + telling("JPEG")

    kept = keep(body, compression)

    assert SECRET not in kept.body
    assert opened(kept.body).size == (200, 150)
    assert Image.open(io.BytesIO(kept.body)).format != "MPO"
