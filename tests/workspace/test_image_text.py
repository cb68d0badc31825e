"""
Writing in a picture stays legible: a screenshot, a scanned letter, a chart with its labels.

Photographs forgive what letters do not. Halves of a pixel carry them, and colours are stored at half the resolution.
Each test looks at the strokes themselves, cell by cell: what was ink is still ink, what was paper still paper.
"""

from __future__ import annotations

import array
import functools

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.workspace.pictures import encoded, page, photograph, scanned
from tests.workspace.viewer import difference, on, opened, shown
from workspace import images

ROOM = 1_000_000
CELL = 16  # pixels: about a letter

INKS = [
    *(("black", "white"), ("white", "black"), ("#555", "#fff"), ("#1a237e", "#fff8e1")),
    *(("#b00020", "#fde7e9"), ("#ffd54f", "#263238"), ("#2e7d32", "#c8e6c9"), ("#d00000", "#0000a0")),
]


def contrast_kept(before: Image.Image, after: Image.Image) -> list[float]:
    """
    For each cell with writing in it, how much of the distance between ink and paper is left, from 0 to 1.

    Ink are the pixels of the strokes' cores in the source, paper those well away from ink. Of both the mean colour
    is taken before and after, and their distance along the line between the two colours of the source.
    """
    grey = before.convert("L")
    low, high = grey.getextrema()
    middle = (low + high) / 2
    light_paper = ImageStat.Stat(grey).mean[0] > middle
    third = (high - low) / 3
    is_ink = grey.point(
        lambda value: 255 if (value < low + third) == light_paper and abs(value - middle) > third / 2 else 0
    )
    near = Image.eval(
        grey, lambda value: 255 if (value < high - third / 3 if light_paper else value > low + third / 3) else 0
    )
    is_paper = ImageChops.invert(near)
    ink, paper = (_sums(Image.new("L", grey.size, 255), mask) for mask in (is_ink, is_paper))
    enough = 255 * 12 / CELL**2
    cells = [cell for cell in range(len(ink)) if ink[cell] >= enough and paper[cell] >= enough]
    distances = []
    for image in (before, after):
        pairs = [(_sums(channel, is_paper), _sums(channel, is_ink)) for channel in image.split()]
        distances.append([[p[cell] / paper[cell] - i[cell] / ink[cell] for p, i in pairs] for cell in cells])
    return [
        sum(a * b for a, b in zip(was, now, strict=True)) / sum(a * a for a in was)
        for was, now in zip(*distances, strict=True)
    ]


def _sums(channel: Image.Image, mask: Image.Image) -> array.array[float]:
    """Of each whole cell the mean of what the mask lets through."""
    whole = (0, 0, channel.width // CELL * CELL, channel.height // CELL * CELL)
    masked = ImageChops.multiply(channel, mask).crop(whole).convert("F").reduce(CELL)
    return array.array("f", masked.tobytes())


def assert_legible(source: Image.Image, result: images.KeptImage, *, at_least: float = 0.85) -> None:
    assert (result.width, result.height) == source.size, "letters of 12 points do not survive scaling down"
    after = on(shown(result.body), "white")
    shares = sorted(contrast_kept(source, after))
    assert len(shares) > 200, "this page has no writing on it"
    assert shares[0] >= at_least - 0.1, f"in the worst cell {shares[0]:.2f} of the contrast is left"
    assert shares[len(shares) // 50] >= at_least
    assert shares[len(shares) // 2] >= at_least + 0.1
    assert difference(after, source) < 10, "the colours of thin strokes are stored at half the resolution"


@pytest.mark.parametrize(("ink", "paper"), INKS)
def test_a_page_of_writing_stays_legible(ink: str, paper: str) -> None:
    source = page(ink, paper)

    result = images.keep(encoded(source, "PNG"), room_bytes=ROOM)

    assert_legible(source, result)


@pytest.mark.parametrize(("ink", "paper"), INKS)
def test_a_scanned_page_stays_legible(ink: str, paper: str) -> None:
    """
    The grain makes it a photograph for who asks how many pixels equal their neighbours, and it is too much for a form
    without loss. Red on blue had 0.43 of its contrast left where colours were stored at half the resolution, and 0.9 at
    the full one, for a fifth more bytes.
    """
    source = scanned(page(ink, paper))

    result = images.keep(encoded(source, "PNG"), room_bytes=ROOM)

    assert result.content_type == "image/avif"
    pure_colours = (ink, paper) == ("#d00000", "#0000a0")
    assert_legible(source, result, at_least=0.65 if pure_colours else 0.8)


@functools.cache
def poster() -> Image.Image:
    """Writing on a soft change of colours, as on a slide: too many colours for a palette."""
    paper = Image.merge(
        "RGB", [Image.linear_gradient("L").resize((640, 400)).rotate(turn).resize((640, 400)) for turn in (0, 180, 90)]
    )
    paper = paper.point(lambda value: 170 + value // 3)
    return ImageChops.multiply(page("#101030", "white"), paper)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "JPEG"])
def test_writing_on_many_colours_stays_legible(format: str) -> None:
    """Hasty encoders of AVIF spoil letters or pay for them: here 57 KB up to a speed of 8, and 72 KB above."""
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}.get(format, {})
    body = encoded(poster(), format, **options)

    result = images.keep(body, room_bytes=ROOM)

    assert_legible(poster(), result)
    assert len(result.body) < 65_000


def test_writing_beside_a_photograph_stays_legible() -> None:
    """Half of the picture is a photograph, so what is true of the average is not true of the letters."""
    source = page("black", "white", (1000, 700)).copy()
    source.paste(photograph((480, 700), seed=5), (520, 0))

    result = images.keep(encoded(source, "PNG"), room_bytes=ROOM)

    half = (0, 0, 512, 700)
    after = on(shown(result.body), "white")
    assert after.size == source.size
    shares = sorted(contrast_kept(source.crop(half), after.crop(half)))
    assert shares[len(shares) // 50] >= 0.8
    assert shares[len(shares) // 2] >= 0.93


def test_grey_writing_and_writing_to_see_through_stay_legible() -> None:
    source = page("black", "white")
    clear = Image.new("RGBA", source.size, "black")
    clear.putalpha(ImageChops.invert(source.convert("L")))

    for image in (source.convert("L"), source.convert("P"), source.convert("LA"), clear):
        assert_legible(source, images.keep(encoded(image, "PNG"), room_bytes=ROOM))


def test_a_long_screenshot_is_scaled_no_further_than_it_can_be_read() -> None:
    """A page of a web site in one picture, 6.4 megapixels: at least two thirds of its size are left."""
    source = Image.new("RGB", (1600, 4000), "white")
    for top in range(0, 4000, 500):
        source.paste(page("#222", "white", (1600, 500)), (0, top))

    result = images.keep(encoded(source, "PNG"), room_bytes=ROOM)

    assert result.width >= 1060
    assert abs(result.height - result.width * 2.5) <= 1
    after = on(shown(result.body), "white").resize(source.size, Image.Resampling.BICUBIC)
    shares = sorted(contrast_kept(source, after))
    assert shares[len(shares) // 2] >= 0.75


def test_the_measure_sees_what_cannot_be_read() -> None:
    """A test that cannot fail is a defect: writing scaled to a half, or at a poor quality, does not pass."""
    source = page("black", "white")
    width, height = source.size
    blurred = source.resize((width * 45 // 100, height * 45 // 100)).resize(source.size, Image.Resampling.BICUBIC)
    poor = opened(encoded(source, "AVIF", quality=12, speed=10))

    for spoilt in (blurred, poor):
        shares = sorted(contrast_kept(source, spoilt.convert("RGB")))
        assert shares[len(shares) // 50] < 0.85
    assert min(contrast_kept(source, source)) == pytest.approx(1.0)
