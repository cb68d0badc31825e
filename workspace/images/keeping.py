"""What is kept of a picture that was sent: the bytes, and what is told about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workspace.images import encoding
from workspace.images.delivering import thumbnail_of
from workspace.images.formats import MAX_SIDE, Encoded, webp_lossless
from workspace.images.normalising import Normal, eight_bits, exact, has_own_colours, normalise
from workspace.images.reading import InvalidImage, Source, check_frames, read
from workspace.images.stripping import strip

COMPRESSIONS = ("auto", "lossless", "none")
_TINY = 1024  # bytes of a lossless picture that are not worth an encoder's time
_METADATA_BYTES = 256 * 1024  # a picture with more of them is encoded anew without asking what it would be without


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
    try:
        return _keep(body, declared_type, compression, room_bytes)
    except InvalidImage:
        raise
    except Exception:  # noqa: BLE001  what a decoder let through, an encoder may still refuse
        raise InvalidImage("The picture cannot be encoded.") from None


def _keep(body: bytes, declared_type: str | None, compression: str, room_bytes: int) -> KeptImage:
    draft = None if compression == "none" else encoding.DRAFT_PIXELS
    source, picture = read(body, declared_type=declared_type, draft_pixels=draft)
    if source.is_animated:
        if compression != "none":
            raise InvalidImage(
                "The picture is animated, and only its first frame would be kept: "
                "send `compression: none` to keep it whole."
            )
        check_frames(body)
    info, plain = picture.info, eight_bits(source, picture)
    del picture  # up to 64 megabytes
    graphic = encoding.is_graphic(plain)
    most = encoding.most_pixels(source.width * source.height, graphic=graphic)
    normal = normalise(source, plain, info, max_pixels=most, max_side=MAX_SIDE)
    del plain
    thumbnail = thumbnail_of(normal.picture)
    if compression == "auto":
        kept = _auto(source, normal, room_bytes, graphic=graphic)
    else:
        del normal
        kept = _lossless(source, most) if compression == "lossless" else _as_it_is(source, body)
    return KeptImage(kept.body, kept.content_type, kept.width, kept.height, kept.is_lossless, thumbnail)


def _as_it_is(source: Source, body: bytes) -> Encoded:
    return Encoded(body, source.content_type, *source.shown_size, is_lossless=True)


def _lossless(source: Source, most_pixels: int) -> Encoded:
    """The source without metadata, or a WebP of up to `most_pixels` (it takes 25 bytes of memory for each)."""
    stripped = strip(source)
    kept = None if stripped is None else _as_it_is(source, stripped)
    if kept is None or (not source.is_lossy and source.width * source.height <= most_pixels):
        webp = _webp_lossless(source)
        if webp is not None and len(webp.body) < len(source.body if kept is None else kept.body):
            return webp
    if kept is None:
        raise InvalidImage(
            "The picture cannot be kept smaller without loss and without its metadata: "
            "send `compression: none` to keep it as it is."
        )
    return kept


def _webp_lossless(source: Source) -> Encoded | None:
    """None where a WebP would look different: deep colours, a grey profile, colours that only a PNG can tell of."""
    _, picture = read(source.body)
    profile = picture.info.get("icc_profile")
    if (profile and picture.mode in ("1", "L", "LA")) or has_own_colours(source, picture.info):
        return None
    upright = exact(source, picture)
    return None if upright is None else webp_lossless(upright, profile)


def _auto(source: Source, normal: Normal, room_bytes: int, *, graphic: bool) -> Encoded:
    cap = encoding.soft_cap(room_bytes)
    # A lossy picture that is small already would lose again and save nothing.
    enough = cap if source.is_lossy else min(cap, _TINY)
    stripped = strip(source) if len(source.body) <= enough + _METADATA_BYTES else None
    if stripped is not None and len(stripped) <= enough:
        return _as_it_is(source, stripped)
    encoded = encoding.encode(normal.picture, room_bytes, graphic=graphic)
    if len(source.body) <= len(encoded.body) + _METADATA_BYTES:
        stripped = stripped or strip(source)
        if stripped is not None and len(stripped) <= len(encoded.body):
            return _as_it_is(source, stripped)
        if len(source.body) < len(encoded.body):  # built so oddly that its metadata cannot be told from its pixels
            encoded = encoding.encode(normal.picture, len(source.body), graphic=graphic)
    return replace(encoded, is_lossless=encoded.is_lossless and normal.is_exact)
