"""What is promised of every picture that is kept: how large it may become, and how much of it may be lost."""

from __future__ import annotations

import functools
import io
import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.workspace.pictures import (
    FORMATS,
    chunk,
    corners,
    deep_png,
    display_p3,
    drawing,
    encoded,
    page,
    palette_see_through,
    photograph,
    picture,
    see_through,
    telling,
)
from tests.workspace.viewer import deep_samples, difference, on, opened, samples, shown, turned_for
from workspace import images

ROOM = 1_000_000  # of an empty workspace on the smallest plan
SMALL = 100_000  # the size that is aimed at


@functools.cache
def large() -> bytes:
    """1.4 MB, as hard as what a model makes."""
    return encoded(photograph(), "PNG", compress_level=1)


@functools.cache
def kept(compression: str = "auto", room_bytes: int = ROOM) -> images.KeptImage:
    """The photograph, kept. It takes a second, so each answer is used by several tests."""
    return images.keep(large(), compression=compression, room_bytes=room_bytes)


def distance(result: images.KeptImage) -> float:
    """From the photograph, both at its size: also what scaling down has lost counts."""
    return difference(shown(result.body).resize((1024, 1024), Image.Resampling.BICUBIC), photograph())


# Small


def test_a_photograph_without_loss_shrinks_to_a_tenth() -> None:
    assert len(large()) > 1_400_000

    assert len(kept().body) <= SMALL * 1.15
    assert kept().content_type == "image/avif"
    assert (kept().width, kept().height) == (1024, 1024)
    assert not kept().is_lossless
    assert distance(kept()) < 3.5


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_large_lossy_photograph_shrinks_too(format: str) -> None:
    body = encoded(photograph(), format, quality=97)

    result = images.keep(body, room_bytes=ROOM)

    assert len(result.body) < min(len(body) / 2, SMALL * 1.2)
    assert distance(result) < 4


def test_a_photograph_in_a_small_form_without_loss_shrinks_as_any_other() -> None:
    """A WebP can be either; that it is one does not say that it has lost something already."""
    body = encoded(photograph((300, 200)), "WEBP", lossless=True, method=1)
    assert 60_000 < len(body) < SMALL

    assert len(images.keep(body, room_bytes=ROOM).body) < len(body) / 3


def test_flat_colours_are_kept_without_loss_as_that_is_smaller() -> None:
    body = encoded(drawing((800, 600)), "PNG", compress_level=1)

    result = images.keep(body, room_bytes=ROOM)

    assert result.is_lossless
    assert samples(result.body) == samples(body)
    assert len(result.body) < 5_000


@pytest.mark.parametrize(("width", "height"), [(3000, 2000), (2500, 600), (1201, 1999)])
def test_a_picture_of_many_megapixels_keeps_its_shape(width: int, height: int) -> None:
    image = photograph((600, 400), seed=3).resize((width, height), Image.Resampling.BICUBIC)

    result = images.keep(encoded(image, "JPEG", quality=92), room_bytes=ROOM)

    seen = opened(result.body)
    assert seen.size == (result.width, result.height)
    assert abs(result.height - result.width * height / width) <= 1
    assert len(result.body) <= SMALL * 1.2
    assert difference(shown(result.body), image.resize(seen.size)) < 4


KINDS = {
    "one colour": lambda size: Image.new("RGB", size, "#c04080"),
    "noise": lambda size: Image.frombytes("RGB", size, bytes(x * x * 7 % 251 for x in range(size[0] * size[1] * 3))),
    "gradient": lambda size: Image.linear_gradient("L").resize(size),
    "photograph": photograph,
    "drawing": drawing,
    "soft alpha": see_through,
    "palette": lambda size: photograph(size).quantize(32),
    "palette and alpha": palette_see_through,
    "two colours": lambda size: drawing(size, "1"),
    "ink": lambda size: photograph(size).convert("CMYK"),
}


def stored_as(image: Image.Image, format: str) -> bytes:
    """What the format cannot store is made something that it can."""
    if format == "JPEG" and image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGBA").convert("RGB")
    elif format != "JPEG" and image.mode == "CMYK":
        image = image.convert("RGB")
    elif format == "GIF" and "transparency" in image.info:
        return encoded(image, "GIF", transparency=0)
    return encoded(image, format)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(sorted(FORMATS)),
    st.tuples(st.integers(1, 160), st.integers(1, 160)),
    st.sampled_from(["auto", "lossless", "none"]),
    st.sampled_from([1, 3_000, 100_000, ROOM, 100_000_000]),
)
@example("one colour", "GIF", (1, 1), "auto", ROOM)
@example("one colour", "PNG", (1, 1), "lossless", ROOM)
@example("two colours", "GIF", (3, 2), "lossless", ROOM)
@example("noise", "AVIF", (160, 160), "auto", 1)
def test_nothing_becomes_larger_and_all_that_is_said_of_it_is_true(
    kind: str, format: str, size: tuple[int, int], compression: str, room_bytes: int
) -> None:
    """Other services answered a small picture with a larger one, because another format is better on the average."""
    body = stored_as(KINDS[kind](size), format)

    result = images.keep(body, compression=compression, room_bytes=room_bytes)

    assert len(result.body) <= len(body)
    assert result.content_type == images.sniff(result.body)
    image = opened(result.body)
    assert image.size == (result.width, result.height)
    if result.is_lossless:
        assert samples(result.body) == samples(body)
    if compression != "auto":
        assert result.is_lossless
        assert image.size == size
    if compression == "none":
        assert result.body == body
    assert abs(result.height - result.width * size[1] / size[0]) <= 1 + size[1] / size[0]
    small = opened(result.thumbnail).size
    assert max(small) == min(256, *[max(size)])
    assert abs(small[1] - small[0] * size[1] / size[0]) <= 1


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "AVIF", "GIF"])
def test_camera_data_of_a_small_picture_does_not_make_it_larger(format: str) -> None:
    """The words for the direction stay, and are no longer than they were."""
    for image in (Image.new("RGB", (1, 1)), Image.new("RGB", (2, 1), "red"), corners((40, 30))):
        for orientation in (1, 6):
            body = telling(format, turned_for(image, orientation), orientation=orientation)
            for compression in ("auto", "lossless"):
                assert len(images.keep(body, compression=compression, room_bytes=ROOM).body) <= len(body)


# Faithful


@pytest.mark.parametrize(
    ("format", "options"),
    [
        *(("JPEG", {"quality": 80}), ("JPEG", {"quality": 60, "progressive": True}), ("WEBP", {"quality": 70})),
        *(("AVIF", {"quality": 50, "speed": 10}), ("AVIF", {"quality": 40, "speed": 10, "subsampling": "4:4:4"})),
    ],
)
def test_a_small_lossy_picture_keeps_its_very_pixels(format: str, options: dict[str, int]) -> None:
    """To encode it anew saves nothing and loses a little each time."""
    body = telling(format, photograph((480, 360)), **options)
    assert 5_000 < len(body) < SMALL

    result = images.keep(body, room_bytes=ROOM)

    assert result.content_type == FORMATS[format]
    assert result.is_lossless
    assert samples(result.body) == samples(body)


def test_what_was_kept_once_is_not_made_worse_by_keeping_it_again() -> None:
    """An app that reads a picture, copies it and stores the copy."""
    again = images.keep(kept().body, room_bytes=ROOM)

    assert samples(again.body) == samples(kept().body)


EXACT = {
    "RGB": lambda: encoded(photograph((300, 200)), "PNG"),
    "RGBA": lambda: encoded(see_through((300, 200)), "PNG"),
    "L": lambda: encoded(photograph((300, 200), "L"), "PNG"),
    "LA": lambda: encoded(see_through((300, 200)).convert("LA"), "PNG"),
    "P": lambda: encoded(photograph((300, 200)).quantize(256), "PNG"),
    "P with alpha": lambda: encoded(palette_see_through((300, 200)), "PNG"),
    "1": lambda: encoded(photograph((300, 200), "1"), "PNG"),
    "RGB with a colour to see through": lambda: encoded(drawing(), "PNG", transparency=(255, 255, 255)),
    "L with a grey to see through": lambda: encoded(drawing(mode="L"), "PNG", transparency=255),
    "RGB with a profile": lambda: encoded(photograph((300, 200)), "PNG", icc_profile=display_p3()),
    "lossless WebP": lambda: encoded(photograph((300, 200)), "WEBP", lossless=True),
    "lossless WebP with alpha": lambda: encoded(see_through((300, 200)), "WEBP", lossless=True, exact=True),
    "lossy WebP": lambda: encoded(photograph((300, 200)), "WEBP"),
    "lossy WebP with alpha": lambda: encoded(see_through((300, 200)), "WEBP"),
    "JPEG": lambda: encoded(photograph((300, 200)), "JPEG"),
    "CMYK": lambda: encoded(photograph((300, 200)).convert("CMYK"), "JPEG"),
    "AVIF": lambda: encoded(photograph((300, 200)), "AVIF", speed=10),
    "AVIF with alpha": lambda: encoded(see_through((300, 200)), "AVIF", speed=10),
    "GIF": lambda: encoded(photograph((300, 200)).quantize(128), "GIF"),
    "GIF to see through": lambda: encoded(drawing().quantize(16), "GIF", transparency=0),
    "large": large,
}


@pytest.mark.parametrize("name", EXACT)
def test_lossless_is_without_loss(name: str) -> None:
    """Also the colour where nothing of it is seen: WebP throws that away unless it is told not to (`exact`)."""
    body = EXACT[name]()

    result = images.keep(body, compression="lossless", room_bytes=ROOM) if name != "large" else kept("lossless")

    assert result.is_lossless
    assert samples(result.body) == samples(body)
    assert len(result.body) <= len(body)
    assert opened(result.body).info.get("icc_profile") == opened(body).info.get("icc_profile")


def test_there_is_something_under_full_transparency_in_these_pictures() -> None:
    image = see_through((300, 200))
    hidden = [image.getpixel((x, 0)) for x in range(300)]
    assert {alpha for *_, alpha in hidden} == {255} or any(image.getchannel("A").point(lambda a: a == 0).getdata())


def test_lossless_makes_a_careless_png_smaller() -> None:
    assert len(kept("lossless").body) < len(large()) * 0.9
    assert len(images.keep(encoded(drawing(), "PNG"), compression="lossless", room_bytes=ROOM).body) < 3_000


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_what_says_that_it_is_without_loss_has_all_sixteen_bits(colour: int) -> None:
    for size in ((4, 4), (80, 60), (400, 300)):
        body = deep_png(size, colour, chunk(b"tEXt", b"Author\0somebody"))
        for compression in ("lossless", "auto"):
            result = images.keep(body, compression=compression, room_bytes=ROOM)

            whole = result.content_type == "image/png" and deep_samples(result.body) == deep_samples(body)
            assert result.is_lossless == whole
            assert whole or compression == "auto"


def test_what_was_converted_or_scaled_does_not_say_that_nothing_was_lost() -> None:
    flat = Image.new("RGB", (3000, 3000), "#c83c32")
    other_screen = encoded(drawing((600, 400)), "PNG", icc_profile=display_p3(), compress_level=0)

    for body in (encoded(flat, "PNG", compress_level=0), other_screen):
        result = images.keep(body, room_bytes=ROOM)
        as_sent = opened(result.body).info.get("icc_profile") == opened(body).info.get("icc_profile")
        assert result.is_lossless == (as_sent and samples(result.body) == samples(body))


# Room


ROOMS = [3_000, 6_000, 12_000, 25_000, 50_000, 100_000, 200_000, ROOM]


@pytest.mark.parametrize("room_bytes", ROOMS[:-1])
def test_a_photograph_fits_the_room_that_is_left_whenever_it_can(room_bytes: int) -> None:
    smallest = len(kept(room_bytes=1).body)

    result = kept(room_bytes=room_bytes)

    assert len(result.body) <= max(room_bytes, smallest)
    assert abs(result.width - result.height) <= 1
    assert opened(result.body).size == (result.width, result.height)
    assert images.sniff(result.body) == result.content_type


def test_a_photograph_can_be_made_small_enough_for_an_almost_full_workspace() -> None:
    """The likeness is poor, and still it is the picture. Without any room the answer is the same, for its size."""
    smallest = kept(room_bytes=1)

    assert len(smallest.body) <= 40_000
    assert distance(smallest) < 8
    assert len(kept(room_bytes=3_000).body) <= len(smallest.body) * 1.05
    assert len(kept(room_bytes=0).body) == len(smallest.body)


def test_more_room_never_gives_a_worse_picture() -> None:
    results = [kept(room_bytes=room) for room in ROOMS]

    for less, more in itertools.pairwise(results):
        assert len(more.body) >= len(less.body) * 0.95
        assert distance(more) <= distance(less) * 1.05 + 0.1


def test_one_picture_does_not_fill_an_empty_workspace_nor_starve_in_a_large_one() -> None:
    assert len(kept(room_bytes=100_000_000).body) >= len(kept().body)
    assert len(kept(room_bytes=100_000_000).body) < 1_600_000


def test_room_is_no_reason_to_change_what_may_not_be_changed() -> None:
    body = encoded(photograph((300, 200)), "PNG")
    for compression in ("none", "lossless"):
        tight, wide = (images.keep(body, compression=compression, room_bytes=room) for room in (1, ROOM))
        assert tight == wide


def test_a_small_lossy_picture_that_does_not_fit_is_made_smaller() -> None:
    body = encoded(photograph((700, 500)), "JPEG", quality=85)
    assert len(body) > 60_000

    result = images.keep(body, room_bytes=40_000)

    assert len(result.body) <= 40_000


# Thumbnails


@pytest.mark.parametrize(
    ("size", "small"),
    [
        *(((1024, 512), (256, 128)), ((512, 1024), (128, 256)), ((256, 256), (256, 256)), ((257, 257), (256, 256))),
        *(((100, 30), (100, 30)), ((1, 1), (1, 1)), ((2000, 3), (256, 1)), ((3, 2000), (1, 256))),
    ],
)
def test_a_thumbnail_is_small_and_never_larger_than_the_picture(size: tuple[int, int], small: tuple[int, int]) -> None:
    body = encoded(photograph((64, 64)).resize(size), "PNG")

    made = images.make_thumbnail(body)

    assert images.sniff(made) == "image/avif"
    assert opened(made).size == small
    assert len(made) < 25_000
    assert opened(images.keep(body, room_bytes=ROOM).thumbnail).size == small


def test_a_thumbnail_of_a_photograph_is_a_few_kilobytes_and_looks_like_it() -> None:
    assert len(kept().thumbnail) < 12_000
    small = shown(kept().thumbnail)
    assert difference(small, photograph().resize((256, 256), Image.Resampling.LANCZOS)) < 6


def test_a_thumbnail_can_be_seen_through_where_the_picture_can() -> None:
    made = opened(images.make_thumbnail(encoded(see_through((600, 400)), "PNG")))

    assert made.mode == "RGBA"
    lowest, highest = made.getchannel("A").getextrema()
    assert lowest < 12
    assert highest > 243
    assert not {"exif", "xmp", "icc_profile"} & set(made.info)


# Fallbacks


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
def test_a_fallback_without_alpha_lies_on_white(format: str) -> None:
    """What is not seen is often stored as black, and black it came out."""
    image = Image.new("RGBA", (96, 64), (0, 0, 0, 0))
    image.paste((200, 30, 30, 255), (48, 0, 96, 64))
    image.paste((0, 0, 0, 128), (0, 0, 16, 64))

    made = opened(images.convert(encoded(image, format, quality=95), to="image/jpeg"))

    assert made.format == "JPEG"
    assert made.mode == "RGB"
    for place, colour in (((32, 32), (255, 255, 255)), ((72, 32), (200, 30, 30)), ((8, 32), (127, 127, 127))):
        assert max(abs(a - b) for a, b in zip(made.getpixel(place), colour, strict=True)) <= 8


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "GIF"])
def test_a_fallback_that_can_be_seen_through_keeps_that(format: str) -> None:
    image = palette_see_through((96, 64)) if format == "GIF" else see_through((96, 64))
    options = {"transparency": 0} if format == "GIF" else {}
    body = encoded(image, format, **options)

    made = images.convert(body, to="image/png")

    assert images.sniff(made) == "image/png"
    assert samples(made) == samples(body)


@pytest.mark.parametrize("to", ["image/jpeg", "image/png"])
def test_a_fallback_is_upright_and_in_the_right_colours(to: str) -> None:
    body = encoded(turned_for(corners(), 6), "JPEG", exif=_turned(6), icc_profile=display_p3(), quality=95)

    made = images.convert(body, to=to)

    assert difference(shown(made), shown(body)) < 4
    assert opened(made).size == (120, 72)


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("to", ["image/gif", "image/webp", "image/avif", "image/svg+xml", "text/html", "jpeg", ""])
def test_there_are_two_fallbacks_and_no_more(to: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        images.convert(picture(), to=to)


def test_a_fallback_of_what_is_kept_is_good() -> None:
    for to, limit in (("image/jpeg", 2.5), ("image/png", 0.01)):
        assert difference(shown(images.convert(kept().body, to=to)), shown(kept().body)) <= limit


# Pure


@functools.cache
def mixed() -> tuple[bytes, ...]:
    size = (180, 120)
    return (
        encoded(photograph(size), "PNG"),
        encoded(see_through(size), "PNG"),
        encoded(page("black", "white", size), "PNG"),
        encoded(photograph(size).convert("CMYK"), "JPEG", icc_profile=display_p3()),
        telling("JPEG", orientation=6),
        encoded(photograph(size), "JPEG", quality=97, icc_profile=display_p3()),
        encoded(palette_see_through(size), "PNG"),
        encoded(drawing(size).quantize(16), "GIF"),
    )


def _all_of(body: bytes) -> list[images.KeptImage | bytes]:
    return [
        *(images.keep(body, compression=compression, room_bytes=30_000) for compression in ("auto", "lossless")),
        images.make_thumbnail(body),
        images.convert(body, to="image/jpeg"),
    ]


def test_the_same_picture_becomes_the_same_bytes_also_in_eight_threads_at_once() -> None:
    """No state is shared: neither a profile nor an encoder, nor what one picture has left behind."""
    alone = [_all_of(body) for body in mixed()]

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(_all_of, mixed() * 2))

    assert together == alone * 2


def test_what_was_sent_is_not_changed() -> None:
    for body in mixed():
        copy = bytes(bytearray(body))
        _all_of(body)
        assert body == copy


def test_a_kept_picture_can_be_shown_by_who_knows_only_the_old_formats() -> None:
    file = io.BytesIO(images.convert(kept().body, to="image/jpeg"))
    with Image.open(file, formats=["JPEG"]) as seen:
        assert on(seen, "white").size == (kept().width, kept().height)
