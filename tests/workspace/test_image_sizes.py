"""
How small pictures become, and how like they stay. A guard for every change of the policy or of an encoder; the figures
on real pictures are `make bench-images`'s. No test here looks at the clock.
"""

from __future__ import annotations

import functools
import io
import random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFont, ImageStat

from workspace import images

MB = 1_048_576
SIDE = 768


def test_a_photograph_takes_a_small_part_and_looks_as_it_did() -> None:
    body = png(photograph())
    assert len(body) > 1_000_000

    kept = images.keep(body, room_bytes=MB)

    assert (kept.content_type, kept.width, kept.height) == ("image/avif", SIDE, SIDE)
    assert len(kept.body) < 60_000
    assert distance(photograph(), kept) < 5


def test_a_page_of_text_stays_legible_at_its_full_size_however_little_room_there_is() -> None:
    for room_bytes in (MB, 200_000, 80_000):
        kept = images.keep(png(page()), room_bytes=room_bytes)

        assert (kept.width, kept.height) == page().size
        assert len(kept.body) < 60_000
        assert distance(page(), kept) < 1.5


def test_coloured_letters_on_a_coloured_ground_keep_their_colours() -> None:
    """With half the colour resolution they differ by 15 steps of 255 on the average."""
    page_in_red = page(ink="#d00000", paper="#0000a0", is_grainy=True)

    kept = images.keep(png(page_in_red), room_bytes=MB)

    assert kept.content_type == "image/avif"
    assert distance(page_in_red, kept) < 8


def test_flat_drawings_are_kept_without_loss_in_a_few_thousand_bytes() -> None:
    drawing = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(drawing)
    for number in range(12):
        draw.rectangle((30 + 60 * number, 700 - 50 * number, 75 + 60 * number, 720), fill=(20 * number, 90, 160))

    kept = images.keep(png(drawing), room_bytes=MB)

    assert kept.is_lossless
    assert len(kept.body) < 4_000
    assert distance(drawing, kept) == 0


def test_a_sticker_keeps_its_transparency() -> None:
    sticker = photograph().convert("RGBA")
    mask = Image.new("L", sticker.size, 0)
    ImageDraw.Draw(mask).ellipse((80, 80, SIDE - 80, SIDE - 80), fill=255)
    sticker.putalpha(mask)

    kept = images.keep(png(sticker), room_bytes=MB)

    assert len(kept.body) < len(png(sticker)) / 8
    with Image.open(io.BytesIO(kept.body)) as seen:
        assert seen.mode == "RGBA"
        assert ImageStat.Stat(ImageChops.difference(seen.getchannel("A"), mask)).mean[0] < 1
    with Image.open(io.BytesIO(kept.thumbnail)) as seen:
        assert (seen.mode, seen.size) == ("RGBA", (256, 256))


def test_the_room_that_is_left_decides_how_much_a_photograph_takes() -> None:
    sizes = [len(images.keep(png(photograph()), room_bytes=room).body) for room in (MB, 200_000, 40_000)]

    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 40_000


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (9_000, 2), (1, 20_000)])
def test_pictures_of_odd_shapes_are_kept(size: tuple[int, int]) -> None:
    kept = images.keep(png(photograph().resize(size)), room_bytes=MB)

    assert len(kept.body) < 40_000
    assert 1 <= kept.width <= size[0]
    assert 1 <= kept.height <= size[1]


@functools.cache
def photograph() -> Image.Image:
    """Soft shapes, edges and grain, from the largest scale to the finest."""
    chance = random.Random(7)
    total = Image.new("RGB", (SIDE, SIDE), "gray")
    for step in (384, 192, 96, 48, 24, 12, 6, 3, 1):
        cells = SIDE // step
        noise = Image.frombytes("RGB", (cells, cells), chance.randbytes(3 * cells * cells))
        total = Image.blend(total, noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC), 0.05 + step / 900)
    draw = ImageDraw.Draw(total)
    for number in range(6):
        draw.ellipse((90 * number, 70 * number, 90 * number + 160, 70 * number + 120), outline=(40 * number, 80, 60))
    return total


@functools.cache
def page(ink: str = "black", paper: str = "white", *, is_grainy: bool = False) -> Image.Image:
    image = Image.new("RGB", (900, 700), paper)
    draw, font, chance = ImageDraw.Draw(image), ImageFont.load_default(15), random.Random(3)
    for line in range(34):
        words = ("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(16))
        draw.text((20, 8 + 20 * line), " ".join(words), fill=ink, font=font)
    if is_grainy:
        grain = Image.frombytes("L", image.size, random.Random(4).randbytes(image.width * image.height))
        image = ImageChops.add(image, Image.merge("RGB", [grain.point(lambda value: value // 24)] * 3))
    return image


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def distance(before: Image.Image, kept: images.KeptImage) -> float:
    """Mean difference of all channels, in steps of 255, at the size that was sent."""
    with Image.open(io.BytesIO(kept.body)) as seen:
        after = seen.convert("RGB").resize(before.size)
    means: list[float] = ImageStat.Stat(ImageChops.difference(before.convert("RGB"), after)).mean
    return sum(means) / 3
