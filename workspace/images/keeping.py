"""What is kept of a picture that was sent: the bytes, and what is told about them."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from workspace.images import encoding
from workspace.images.delivering import thumbnail_of
from workspace.images.encoding import Encoded
from workspace.images.normalising import exact, normalise
from workspace.images.reading import InvalidImage, Source, read
from workspace.images.stripping import strip

COMPRESSIONS = ("auto", "lossless", "none")
_THUMBNAIL_DRAFT = 1024 * 1024  # pixels


@dataclass(frozen=True, slots=True)
class KeptImage:
    body: bytes
    content_type: str  # image/avif, image/webp, image/png, image/jpeg or image/gif
    width: int  # pixels, as a viewer shows it
    height: int
    is_lossless: bool  # every pixel is as it was sent
    thumbnail: bytes  # AVIF


def keep(body: bytes, *, declared_type: str | None = None, compression: str = "auto", room_bytes: int) -> KeptImage:
    """
    What of `body` is to be kept where `room_bytes` are left. If even the smallest form does not fit, that form.

    `auto` looks as it was sent and takes few bytes; `lossless` has every pixel as it was sent; `none` is `body` itself.
    Raises InvalidImage; ValueError for another `compression`.
    """
    if compression not in COMPRESSIONS:
        raise ValueError(f"The compression is one of {', '.join(COMPRESSIONS)}, not {compression}.")
    draft = encoding.MAX_EARLY_PIXELS if compression == "auto" else None
    source = read(body, declared_type=declared_type, draft_pixels=draft)
    if source.is_animated and compression != "none":
        raise InvalidImage(
            "The picture is animated, and only its first frame would be kept: "
            "send `compression: none` to keep it whole."
        )
    try:
        normal = normalise(source, max_pixels=encoding.MAX_EARLY_PIXELS, max_side=encoding.MAX_SIDE)
        if compression == "none":
            kept = _as_it_is(source, body)
        elif compression == "lossless":
            kept = _lossless(source)
        else:
            kept = _auto(source, normal.picture, normal.is_exact, room_bytes)
        thumbnail = thumbnail_of(normal.picture)
    except InvalidImage:
        raise
    except Exception:  # noqa: BLE001  what a decoder let through, an encoder may still refuse
        raise InvalidImage("The picture cannot be encoded.") from None
    return KeptImage(kept.body, kept.content_type, kept.width, kept.height, kept.is_lossless, thumbnail)


def _as_it_is(source: Source, body: bytes) -> Encoded:
    return Encoded(body, source.content_type, *source.shown_size, is_lossless=True)


def _lossless(source: Source) -> Encoded:
    stripped = strip(source)
    forms = [] if stripped is None else [_as_it_is(source, stripped)]
    if stripped is None or not source.is_lossy:
        picture = exact(source)
        if picture is not None:
            webp = encoding.webp_lossless(picture, source.picture.info.get("icc_profile"))
            if webp is not None:
                forms.append(webp)
    if not forms:
        raise InvalidImage("The picture cannot be kept without loss and without its metadata.")
    return min(forms, key=lambda form: len(form.body))


def _auto(source: Source, picture: Image.Image, is_exact: bool, room_bytes: int) -> Encoded:
    cap = encoding.soft_cap(room_bytes)
    small = max(cap, 8192) if source.is_lossy else 2048
    stripped = strip(source) if len(source.body) <= 2 * small else None
    if stripped is not None and len(stripped) <= small and len(stripped) <= max(cap, 2048):
        return _as_it_is(source, stripped)
    encoded = encoding.encode(picture, cap)
    if len(encoded.body) >= len(source.body) // 2:
        stripped = stripped or strip(source)
        if stripped is not None and len(stripped) <= len(encoded.body):
            return _as_it_is(source, stripped)
    return Encoded(encoded.body, encoded.content_type, encoded.width, encoded.height, encoded.is_lossless and is_exact)
