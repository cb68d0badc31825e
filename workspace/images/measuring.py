"""What can be said of a picture cheaply, and a sample that stands for it."""

from __future__ import annotations

from PIL import Image, ImageChops

from workspace.images.normalising import over_white

_TILE = 64  # pixels, the largest block that AV1 predicts as one
_SAMPLE = 512 * 512  # pixels


def share_of_equal_neighbours(picture: Image.Image) -> float:
    """The share of pixels as light as the one to their left, 0 to 1."""
    light = picture.convert("L")
    width, height = light.size
    if width == 1:
        return 1.0
    steps = ImageChops.difference(light.crop((1, 0, width, height)), light.crop((0, 0, width - 1, height))).histogram()
    return steps[0] / sum(steps)


def loss_by_halved_colour(picture: Image.Image) -> int:
    """
    What 4:2:0 does to colours where it does most (in the worst fiftieth of the picture, in steps of 255): up to 5 in
    photographs, 15 and more in coloured letters on a ground of another colour.
    """
    worst = 0
    for channel in over_white(picture).convert("RGB").convert("YCbCr").split()[1:]:
        halved = channel.reduce(2).resize(channel.size, Image.Resampling.BILINEAR)
        histogram = ImageChops.difference(channel, halved).reduce(16).histogram()
        rest, step = sum(histogram) // 50, 255
        while step and rest >= histogram[step]:
            rest -= histogram[step]
            step -= 1
        worst = max(worst, step)
    return worst


def sample(picture: Image.Image) -> Image.Image:
    """Tiles from all over the picture, side by side: about 512 × 512 pixels, or the picture if it has no more."""
    width, height = picture.size
    if width * height <= _SAMPLE:
        return picture
    tile_width, tile_height = min(_TILE, width), min(_TILE, height)
    count = _SAMPLE // (tile_width * tile_height)
    columns = max(1, min(width // tile_width, round((count * width * tile_height / (height * tile_width)) ** 0.5)))
    rows = max(1, min(height // tile_height, count // columns))
    columns = max(1, min(width // tile_width, count // rows))
    tiles = Image.new(picture.mode, (columns * tile_width, rows * tile_height))
    for row in range(rows):
        top = (height - tile_height) * (2 * row + 1) // (2 * rows)
        for column in range(columns):
            left = (width - tile_width) * (2 * column + 1) // (2 * columns)
            tile = picture.crop((left, top, left + tile_width, top + tile_height))
            tiles.paste(tile, (column * tile_width, row * tile_height))
    return tiles
