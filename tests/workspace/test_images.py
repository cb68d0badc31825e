"""What is taken for a picture, and what is refused before or after it has been decoded."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workspace.pictures import FORMATS, animation, claimed_png, picture
from workspace import images

every_format = pytest.mark.parametrize(("format", "content_type"), FORMATS.items())


@every_format
def test_each_accepted_format_is_recognised_and_measured(format: str, content_type: str) -> None:
    body = picture(format, (24, 16))

    assert images.sniff(body) == content_type
    assert images.inspect(body) == images.ImageFacts(content_type, width=24, height=16)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "AVIF"])
def test_an_animation_that_is_kept_whole_loses_nothing(format: str) -> None:
    assert images.inspect(animation(format, frames=3)).width > 0


def test_a_jpeg_with_further_pictures_in_it_as_telephones_make_them_is_a_jpeg() -> None:
    """Multi-picture format (CIPA DC-007): every viewer shows the first one."""
    body = animation("MPO", frames=2)
    assert body.startswith(b"\xff\xd8\xff")

    assert images.inspect(body, declared_type="image/jpeg").content_type == "image/jpeg"


@every_format
def test_a_picture_that_is_cut_off_is_refused(format: str, content_type: str) -> None:
    body = picture(format, (200, 100))

    for length in (len(body) // 2, len(body) * 9 // 10, 40, 16):
        with pytest.raises(images.InvalidImage):
            images.inspect(body[:length])


@every_format
def test_a_picture_is_what_it_was_declared_as_or_refused(format: str, content_type: str) -> None:
    body = picture(format)

    assert images.inspect(body, declared_type=content_type).content_type == content_type
    for other in {*FORMATS.values(), "image/svg+xml", "image/tiff", "image/"} - {content_type}:
        with pytest.raises(images.InvalidImage, match=f"declared as {other.replace('+', '.')} but is {content_type}"):
            images.inspect(body, declared_type=other)


@pytest.mark.parametrize(("format", "alias"), [("JPEG", "image/jpg"), ("JPEG", "image/pjpeg"), ("PNG", "image/x-png")])
def test_other_names_of_a_type_are_the_same_type(format: str, alias: str) -> None:
    assert images.inspect(picture(format), declared_type=alias).content_type == FORMATS[format]


@pytest.mark.parametrize(
    ("width", "height"), [(4097, 4096), (4096, 4097), (10_000, 10_000), (60_000, 60_000), (16_777_217, 1)]
)
def test_a_picture_that_claims_too_many_pixels_is_refused_before_they_are_decoded(width: int, height: int) -> None:
    body = claimed_png(width, height)
    assert len(body) < 200

    tracemalloc.start()
    with pytest.raises(images.InvalidImage, match="16 megapixels"):
        images.inspect(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2_000_000


def test_sixteen_megapixels_are_not_too_many() -> None:
    assert images.inspect(picture("PNG", (4096, 4096), compress_level=1)).width == 4096


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_without_pixels_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(images.InvalidImage):
        images.inspect(claimed_png(*size))


@pytest.mark.parametrize("format", ["BMP", "TIFF", "ICO", "PPM", "TGA"])
def test_other_formats_are_not_accepted(format: str) -> None:
    body = picture(format)

    assert images.sniff(body) is None
    with pytest.raises(images.InvalidImage, match="not a PNG, JPEG, WebP, AVIF or GIF"):
        images.inspect(body)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=64),
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF0000WEBP", b"0000ftypavif", b""]),
)
def test_no_bytes_make_the_inspection_fail_otherwise_than_by_refusing(rest: bytes, start: bytes) -> None:
    with pytest.raises(images.InvalidImage):
        images.inspect(start + rest)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_a_damaged_picture_is_decoded_or_refused(format: str, data: st.DataObject) -> None:
    body = bytearray(picture(format))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(images.InvalidImage):
        facts = images.inspect(bytes(body))
        assert facts.content_type in FORMATS.values()
        assert 0 < facts.width * facts.height <= images.MAX_PIXELS
