"""Small pictures of every kind, made here."""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFont

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(format: str = "PNG", size: tuple[int, int] = (24, 16), **options: Any) -> bytes:
    """A picture with something to see in it, so that every encoder has something to write."""
    return encoded(Image.linear_gradient("L").resize(size).convert("RGB"), format, **options)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def animation(format: str, frames: int = 3, size: tuple[int, int] = (24, 16)) -> bytes:
    images = [Image.new("RGB", size, (60 * number, 0, 0)) for number in range(frames)]
    return encoded(images[0], format, save_all=True, append_images=images[1:])


# What can be seen


@functools.cache
def photograph(size: tuple[int, int] = (1024, 1024), mode: str = "RGB", seed: int = 1) -> Image.Image:
    """
    As hard to compress as what a camera or a model makes: detail at every scale, edges, soft colours and some grain.

    As a PNG 1024² of it are 1.4 MB. It is kept for the next caller, who must not draw on it.
    """
    chance = random.Random(seed)
    channels = [
        _clouds(size, chance, finest=1, roughness=0.78),
        *(_clouds(size, chance, finest=16, roughness=0.5).point(lambda value: 64 + value // 2) for _ in range(2)),
    ]
    image = Image.merge("YCbCr", channels).convert("RGB")
    edges, draw = image.copy(), ImageDraw.Draw(image)
    for number in range(12):
        middle, reach = (chance.randrange(size[0]), chance.randrange(size[1])), max(size) // (6 + number)
        colour = tuple(chance.randrange(40, 220) for _ in range(3))
        draw.regular_polygon((*middle, max(1, reach)), 3 + number % 5, rotation=chance.randrange(90), fill=colour)
    return Image.blend(image, edges, 0.6).convert(mode)


def _clouds(size: tuple[int, int], chance: random.Random, *, finest: int, roughness: float) -> Image.Image:
    """Noise of every scale down to `finest` pixels, each finer one `roughness` times as strong."""
    total, strength, step = Image.new("L", size, 128), 110.0, max(size) // 2 or 1
    while step >= finest:
        cells = (max(2, size[0] // step), max(2, size[1] // step))
        layer = Image.frombytes("L", cells, chance.randbytes(cells[0] * cells[1])).resize(
            size, Image.Resampling.BICUBIC
        )
        part = strength / 255
        layer = layer.point([round(value * part) for value in range(256)])
        total = ImageChops.add(total, layer, offset=-round(strength / 2))
        strength, step = strength * roughness, step // 2
    return total


def drawing(size: tuple[int, int] = (320, 240), mode: str = "RGB") -> Image.Image:
    """Few colours in flat areas, as in a logo or a chart."""
    image = Image.new("RGB", size, "white")
    draw, (width, height) = ImageDraw.Draw(image), size
    for number, colour in enumerate(["#0b5", "#d22", "#25c", "#fc0", "#111"]):
        left = width * number // 6
        draw.rectangle((left, height // (number + 2), left + width // 8, height), fill=colour)
        draw.ellipse((left, 0, left + width // 10, height // 4), fill=colour)
    return image.convert(mode)


@functools.cache
def page(ink: str, paper: str, size: tuple[int, int] = (640, 400)) -> Image.Image:
    """A page of writing in 12 to 20 points, no two lines alike, as on a screenshot. Not to be drawn on."""
    image = Image.new("RGB", size, paper)
    draw, top, chance = ImageDraw.Draw(image), 8, random.Random(ink + paper)
    words = "Sphinx of black quartz, judge my vow: 0123456789 (il1I|) 9.99 @#%&; fjord Waltz, rn m cl d vv w"
    for line in range(size[1]):
        points = 12 + line % 5 * 2
        if top + points > size[1]:
            break
        text = " ".join(chance.choices(words.split(), k=size[0] // 24))
        draw.text((8, top), text, fill=ink, font=ImageFont.load_default(size=points))
        top += points + 6
    return image


def scanned(image: Image.Image) -> Image.Image:
    """With the faint grain of paper and camera, so that hardly a pixel equals its neighbour."""
    grain = random.Random(3).randbytes(image.width * image.height)
    noise = Image.frombytes("L", image.size, grain).point([value % 9 for value in range(256)])
    return ImageChops.add(image, Image.merge("RGB", (noise, noise, noise)), offset=-4)


def see_through(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Every alpha from 0 to 255 as a soft edge, and colours also where nothing of them is seen."""
    image = photograph(size, seed=2).convert("RGBA")
    image.putalpha(Image.radial_gradient("L").resize(size).point([min(255, value * 2) for value in range(256)]))
    return image


def corners(size: tuple[int, int] = (120, 72)) -> Image.Image:
    """Red, green, blue and yellow quarters from the top left: turned or mirrored, it is another picture."""
    image = Image.new("RGB", size)
    for number, colour in enumerate(["#d01010", "#10a010", "#1010d0", "#d0c010"]):
        quarter = (size[0] // 2 * (number % 2), size[1] // 2 * (number // 2))
        image.paste(Image.new("RGB", (size[0] - quarter[0], size[1] - quarter[1]), colour), quarter)
    return image


def palette_see_through(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A palette with an alpha for each colour (PNG's tRNS): opaque, half seen, and unseen."""
    image = drawing(size).quantize(16)
    image.info["transparency"] = bytes([0, 128, 255, 40] + [255] * 12)
    return image


# Files that Pillow does not write, or not so


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, depth: int, colour: int, lines: bytes, *before: bytes) -> bytes:
    """A PNG of raw lines (each with its filter byte), with the chunks `before` them."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG_SIGNATURE + header + b"".join(before) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND")


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size; all its pixels would be 0, if there were any."""
    return png_of(width, height, 1, 0, b"\0" * 64)


def bomb_png(side: int = 9000) -> bytes:
    """Black and white, every pixel really there: 81 megapixels in a few kilobytes."""
    return png_of(side, side, 1, 0, (b"\0" * (side // 8 + 2))[: (side + 7) // 8 + 1] * side)


def deep_png(size: tuple[int, int] = (64, 64), colour: int = 0, *before: bytes) -> bytes:
    """16 bits a sample, from black at the left to white at the right; the lower bytes say something, too."""
    width, height = size
    samples = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    line = b"".join(
        struct.pack(">H", 65_535 * x // (width - 1) ^ 0x5A if x % 3 else 65_535 * x // (width - 1)) * samples
        for x in range(width)
    )
    return png_of(width, height, 16, colour, (b"\0" + line) * height, *before)


def png_chunks(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each chunk."""
    place = len(PNG_SIGNATURE)
    while place < len(body):
        (length,) = struct.unpack_from(">I", body, place)
        yield body[place + 4 : place + 8], body[place + 8 : place + 8 + length]
        place += length + 12


def png_with(body: bytes, *more: bytes, before: bytes = b"IDAT") -> bytes:
    """The PNG with more chunks before the first of a kind."""
    place = body.index(before, len(PNG_SIGNATURE)) - 4
    return body[:place] + b"".join(more) + body[place:]


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpeg_markers(body: bytes) -> Iterator[tuple[int, int]]:
    """Each marker and where it is; what is coded in a scan is passed over."""
    place = 2
    while place + 4 <= len(body):
        marker = body[place + 1]
        yield marker, place
        if marker == 0xD9:
            return
        place += 2 + struct.unpack_from(">H", body, place + 2)[0]
        if marker == 0xDA:
            while body[place] != 0xFF or body[place + 1] == 0 or 0xD0 <= body[place + 1] <= 0xD7:
                place += 1


def jpeg_with(body: bytes, *more: bytes, between_scans: bool = False) -> bytes:
    """The JPEG with more segments after its first one, or before each scan but the first."""
    markers = list(jpeg_markers(body))
    places = [place for marker, place in markers if marker == 0xDA][1:] if between_scans else [markers[1][1]]
    for place in reversed(places):
        body = body[:place] + b"".join(more) + body[place:]
    return body


def webp_with(body: bytes, kind: bytes, data: bytes) -> bytes:
    """The WebP with one more chunk at its end, inside the container."""
    padded = data + b"\0" * (len(data) % 2)
    body += kind + struct.pack("<I", len(data)) + padded
    return body[:4] + struct.pack("<I", len(body) - 8) + body[8:]


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data) + 8) + kind + data


def claiming(format: str, width: int, height: int) -> bytes:
    """A small picture whose header claims another size, for each format that has one."""
    body = bytearray(picture(format, (32, 32), **({"lossless": True} if format == "WEBP" else {})))
    if format == "JPEG":
        place = next(place for marker, place in jpeg_markers(bytes(body)) if marker in (0xC0, 0xC2))
        struct.pack_into(">HH", body, place + 5, height, width)
    elif format == "GIF":
        struct.pack_into("<HH", body, 6, width, height)
    elif format == "WEBP":
        flags = struct.unpack_from("<I", body, 21)[0] & 0xF0000000
        struct.pack_into("<I", body, 21, flags | (height - 1) << 14 | width - 1)
    elif format == "AVIF":
        struct.pack_into(">II", body, body.index(b"ispe") + 8, width, height)
    else:
        return claimed_png(width, height)
    return bytes(body)


# What rides along

SECRET = b"SECRET"  # begins each text that is nobody's business


def camera_data(orientation: int | None = None) -> bytes:
    """An EXIF block as a telephone writes it: camera, maker's note, place, and a preview behind all that."""
    exif = Image.Exif()
    exif[0x010F] = "SECRET CAMERA"
    if orientation is not None:
        exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x927C] = b"SECRET MAKER NOTE"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0), 18: "SECRET PLACE"})
    return exif.tobytes() + b"\xff\xd8SECRET PREVIEW\xff\xd9"


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="SECRET AUTHOR"/></rdf:RDF></x:xmpmeta>'
)


def telling(format: str, image: Image.Image | None = None, *, orientation: int | None = None, **options: Any) -> bytes:
    """A picture with all that a format can tell about its maker."""
    image = image or photograph((96, 64))
    if format == "GIF":
        body = encoded(image, "GIF", comment=b"SECRET COMMENT")
        extension = b"\x21\xff\x0bXMP DataXMP" + bytes([len(SECRET)]) + SECRET + b"\0"
        end = body.index(b"\x21\xfe")
        return body[:end] + extension + body[end:]
    exif = camera_data(orientation)
    if format == "PNG":
        body = encoded(image, "PNG", exif=exif, **options)
        body = png_with(
            body,
            chunk(b"tEXt", b"Author\0SECRET AUTHOR"),
            chunk(b"zTXt", b"SECRET KEY\0\0" + zlib.compress(b"SECRET TEXT")),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
            chunk(b"prVt", b"SECRET OF A PROGRAM"),
        )
        return png_with(body, chunk(b"tEXt", b"Comment\0SECRET COMMENT"), chunk(b"tIME", b"SECRETS"), before=b"IEND")
    if format == "JPEG":
        body = encoded(image, "JPEG", exif=exif, xmp=XMP, comment=b"SECRET COMMENT", **options)
        return jpeg_with(
            body,
            segment(0xE0, b"JFXX\0\x10SECRET PREVIEW"),
            segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + b"SECRET MORE"),
            segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x10\x1c\x02\x50\0\x0bSECRET IPTC"),
            segment(0xEC, b"Ducky\0SECRET"),
        )
    if format == "WEBP":
        return webp_with(encoded(image, "WEBP", exif=exif, xmp=XMP, **options), b"SCRT", b"SECRET OF A PROGRAM")
    return encoded(image, "AVIF", exif=exif, xmp=XMP, **options)


def display_p3() -> bytes:
    """An ICC profile, version 2, of the screens of many telephones: P3 primaries, sRGB's curve."""
    curve = [value / 1023 for value in range(1024)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in curve]
    tone = b"curv\0\0\0\0" + struct.pack(">I1024H", 1024, *(round(value * 65_535) for value in linear))
    text = b"Display P3"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + b"\0" * 78,
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        **{kind + b"XYZ": _xyz(*P3_PRIMARIES[kind]) for kind in P3_PRIMARIES},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone),
    }
    table, data, place = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        padded = value + b"\0" * (-len(value) % 4)
        table += tag + struct.pack(">II", place + len(data), len(value))
        data += padded
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sI4sIQI12s4s44s",
        *(place + len(data), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"\x07\xea\0\x01\0\x01" + b"\0" * 6),
        *(b"acsp", b"APPL", 0, b"none", 0, 0, 0, struct.pack(">3i", 63190, 65536, 54061), b"none", b""),
    )
    return header + struct.pack(">I", len(tags)) + table + data


P3_PRIMARIES = {  # in XYZ, adapted to the white of profiles (D50)
    b"r": (0.51512, 0.24120, -0.00105),
    b"g": (0.29198, 0.69225, 0.04189),
    b"b": (0.15710, 0.06657, 0.78407),
}


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65_536) for value in values))
