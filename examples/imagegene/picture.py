"""Draws a landscape from a prompt. Stands where a real app asks an image model; the same prompt, the same picture."""

from __future__ import annotations

import base64
import io
import math
import random
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from examples.shared.api import Work

Colour = tuple[int, int, int]

SIDE = 768
FINE = 2  # drawn at twice the size and scaled down, which makes smooth edges
WATER = 0.74  # where the shore is, from the top

# The sky from the top down to the horizon, then the farthest and the nearest hills.
PALETTES: dict[str, tuple[Colour, Colour, Colour, Colour, Colour]] = {
    "dawn": ((58, 76, 138), (214, 134, 160), (255, 214, 170), (176, 132, 160), (44, 46, 82)),
    "noon": ((46, 122, 204), (134, 194, 238), (228, 244, 250), (138, 178, 196), (30, 84, 84)),
    "dusk": ((38, 28, 82), (188, 66, 104), (255, 172, 94), (150, 76, 108), (34, 22, 56)),
    "night": ((6, 10, 34), (22, 38, 88), (70, 96, 152), (52, 72, 120), (6, 12, 30)),
    "mist": ((126, 150, 168), (188, 204, 212), (238, 238, 232), (170, 190, 194), (52, 74, 82)),
    "ember": ((70, 22, 44), (206, 84, 52), (255, 206, 120), (180, 96, 70), (48, 22, 30)),
}
WORDS = {
    "dawn": ("dawn", "morning", "sunrise", "spring", "pink"),
    "noon": ("noon", "midday", "blue", "summer", "ocean"),
    "dusk": ("dusk", "evening", "sunset", "purple"),
    "night": ("night", "star", "moon", "dark", "midnight"),
    "mist": ("mist", "fog", "rain", "winter", "snow", "cloud"),
    "ember": ("desert", "autumn", "fire", "red", "mars", "canyon"),
}


def make_picture(prompt: str) -> Work:
    buffer = io.BytesIO()
    draw_landscape(prompt).save(buffer, "PNG")
    return Work(
        title=prompt[:1].upper() + prompt[1:],
        content="data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
        metadata={"prompt": prompt, "dimensions": f"{SIDE}x{SIDE}", "model": "landscape"},
    )


def draw_landscape(prompt: str) -> Image.Image:
    chance = random.Random(prompt.casefold())  # noqa: S311 - for variety, not for secrets
    mood = _mood(prompt, chance)
    top, middle, horizon, far, near = PALETTES[mood]
    side = SIDE * FINE
    shore = int(side * WATER)
    scene = _gradient(side, shore, (top, middle, horizon))
    light = (int(side * chance.uniform(0.22, 0.78)), int(shore * chance.uniform(0.3, 0.62)))
    if mood == "night":
        _stars(scene, chance)
    _sun(scene, light, int(side * chance.uniform(0.045, 0.075)), _mix(horizon, (255, 255, 255), 0.6))
    ridges = chance.randint(4, 6)
    for number in range(ridges):
        nearness = number / (ridges - 1)
        _ridge(scene, chance, nearness, _mix(far, near, nearness**1.2), _mix(far, horizon, 0.55))
    picture = Image.new("RGB", (side, side))
    picture.paste(scene)
    picture.paste(_reflection(scene, side - shore, _mix(top, near, 0.5)), (0, shore))
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _mood(prompt: str, chance: random.Random) -> str:
    said = prompt.casefold()
    wished = [mood for mood, words in WORDS.items() if any(word in said for word in words)]
    return chance.choice(wished or sorted(PALETTES))


def _sun(scene: Image.Image, centre: tuple[int, int], radius: int, colour: Colour) -> None:
    glow = ImageChops.invert(Image.radial_gradient("L")).resize((radius * 16, radius * 16), Image.Resampling.BICUBIC)
    glow = glow.point([int(max(0, level - 74) ** 1.6 / 36) for level in range(256)])
    scene.paste(colour, (centre[0] - glow.width // 2, centre[1] - glow.height // 2), glow)
    ImageDraw.Draw(scene).ellipse(
        (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=colour
    )


def _stars(scene: Image.Image, chance: random.Random) -> None:
    draw = ImageDraw.Draw(scene)
    for _ in range(170):
        x, y, size = (
            chance.random() * scene.width,
            chance.random() ** 1.5 * scene.height * 0.8,
            chance.choice((1, 1, 2)),
        )
        draw.ellipse(
            (x, y, x + size * FINE, y + size * FINE), fill=_mix((120, 140, 190), (255, 255, 255), chance.random())
        )


def _ridge(scene: Image.Image, chance: random.Random, nearness: float, crest: Colour, haze: Colour) -> None:
    """A line of hills across the picture; farther ones are higher, calmer, and paler towards their feet."""
    width, height = scene.size
    base = height * (0.5 + 0.42 * nearness)
    waves = [
        (
            height * (0.13 - 0.05 * nearness) / octave**1.1,
            octave * chance.uniform(0.8, 1.4),
            chance.uniform(0, math.tau),
        )
        for octave in (1, 2, 3, 5, 9, 17, 33)
    ]
    line = [
        (x, base - sum(high * math.sin(phase + often * math.tau * x / width) for high, often, phase in waves))
        for x in range(0, width + 4, 4)
    ]
    mask = Image.new("L", scene.size)
    ImageDraw.Draw(mask).polygon([(0, height), *line, (width, height)], fill=255)
    summit = max(0, int(min(y for _, y in line)))
    hills = Image.new("RGB", scene.size, crest)
    hills.paste(
        _gradient(width, max(1, height - summit), (crest, _mix(crest, haze, 0.75 * (1 - nearness)))), (0, summit)
    )
    scene.paste(hills, mask=mask)


def _reflection(scene: Image.Image, height: int, tint: Colour) -> Image.Image:
    water = scene.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((scene.width, height), Image.Resampling.BICUBIC)
    water = water.filter(ImageFilter.GaussianBlur(3 * FINE))
    rippled = Image.new("RGB", water.size)
    for y in range(0, height, FINE):
        depth = y / height
        shift = int(FINE * (1 + 9 * depth) * math.sin(y / (FINE * (2 + 7 * depth))))
        rippled.paste(ImageChops.offset(water.crop((0, y, water.width, y + FINE)), shift, 0), (0, y))
    return Image.blend(rippled, Image.new("RGB", water.size, tint), 0.28)


def _gradient(width: int, height: int, colours: tuple[Colour, ...]) -> Image.Image:
    column = Image.new("RGB", (1, height))
    steps = len(colours) - 1
    for y in range(height):
        place = y / height * steps
        start, end = list(pairwise(colours))[int(place)]
        column.putpixel((0, y), _mix(start, end, place % 1))
    return column.resize((width, height))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue
