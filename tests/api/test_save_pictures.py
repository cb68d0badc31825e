"""POST save-project with pictures: base64 and data: URIs of the accepted formats, and everything that is no picture."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import everything_of
from tests.api.pictures import MEDIA_TYPES, as_base64, as_data_uri, bomb, draw
from tests.api.test_save_project import ROUTE, body, kept
from tests.client import ApiClient

FORMATS = sorted(MEDIA_TYPES)


@pytest.mark.parametrize("kind", FORMATS)
def test_base64_of_a_picture_is_kept_as_the_picture(alice: User, as_imagegene: ApiClient, kind: str) -> None:
    picture = draw(kind)

    response = as_imagegene.post(ROUTE, body(content=as_base64(picture), compression="none"))

    project, content = kept(response)
    assert content == picture
    assert project.content_type == response.json()["content_type"] == MEDIA_TYPES[kind]
    assert response.json()["size_bytes"] == response.json()["original_bytes"] == len(picture)


@pytest.mark.parametrize("compression", ["auto", "lossless", "none"])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_data_uri_of_a_picture_is_kept_as_a_picture(
    alice: User, as_imagegene: ApiClient, kind: str, compression: str
) -> None:
    picture = draw(kind)

    response = as_imagegene.post(ROUTE, body(content=as_data_uri(picture, MEDIA_TYPES[kind]), compression=compression))

    project, content = kept(response)
    answer = response.json()
    assert answer["content_type"] == project.content_type
    assert project.content_type.startswith("image/")
    assert answer["original_bytes"] == len(picture)
    assert answer["size_bytes"] == project.size_bytes == len(content) <= len(picture)


def test_line_breaks_and_missing_padding_in_base64_are_passed_over(alice: User, as_imagegene: ApiClient) -> None:
    picture = draw("JPEG", size=(25, 17))
    text = as_base64(picture)
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76)) + "\r\n"

    for sent in (lines, text.rstrip("=")):
        assert kept(as_imagegene.post(ROUTE, body(content=sent, compression="none")))[1] == picture


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_that_is_cut_off_is_refused(alice: User, as_imagegene: ApiClient, kind: str) -> None:
    picture = draw(kind, size=(200, 200))
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(content=as_base64(picture[: len(picture) // 2])))

    assert_invalid_image(response)
    assert everything_of(alice) == before


@pytest.mark.parametrize(
    "start",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\x10\x00\x00\x00WEBP",
        b"\x00\x00\x00\x1cftypavif",
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\x00" * 100, b"\xff" * 1_000])
def test_bytes_that_only_begin_like_a_picture_are_refused(
    alice: User, as_imagegene: ApiClient, start: bytes, rest: bytes
) -> None:
    assert_invalid_image(as_imagegene.post(ROUTE, body(content=as_base64(start + rest))))


def test_a_few_kilobytes_that_claim_over_sixteen_megapixels_are_refused(alice: User, as_imagegene: ApiClient) -> None:
    picture = bomb()
    assert len(picture) < 10_000

    response = as_imagegene.post(ROUTE, body(content=as_base64(picture)))

    assert_invalid_image(response)
    assert "16 megapixels" in response.json()["details"]


def test_sixteen_megapixels_are_accepted(alice: User, as_imagegene: ApiClient) -> None:
    picture = draw("PNG", size=(4_096, 4_096))

    assert kept(as_imagegene.post(ROUTE, body(content=as_base64(picture), compression="none")))[1] == picture


@pytest.mark.parametrize(
    ("declared", "kind"), [("image/png", "JPEG"), ("image/jpeg", "PNG"), ("image/webp", "GIF"), ("image/bmp", "PNG")]
)
def test_a_picture_under_a_wrong_name_is_refused(
    alice: User, as_imagegene: ApiClient, declared: str, kind: str
) -> None:
    assert_invalid_image(as_imagegene.post(ROUTE, body(content=as_data_uri(draw(kind), declared))))


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E",
        "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4=",
        "data:image/png,hello",
        "data:image/png;base64,",
        "data:image/png;base64,aGVsbG8=",
        "data:image/tiff;base64,SUkqAA==",
    ],
)
def test_a_data_uri_that_is_no_accepted_picture_is_refused(alice: User, as_imagegene: ApiClient, uri: str) -> None:
    assert_invalid_image(as_imagegene.post(ROUTE, body(content=uri)))


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_another_format_in_base64_is_a_text_and_no_picture(alice: User, as_imagegene: ApiClient, kind: str) -> None:
    text = as_base64(draw(kind))

    project, content = kept(as_imagegene.post(ROUTE, body(content=text)))

    assert project.content_type == "text/plain; charset=utf-8"
    assert content == text.encode()


def test_a_picture_of_another_format_behind_a_png_signature_is_refused(alice: User, as_imagegene: ApiClient) -> None:
    """What a browser would sniff and what was checked must be the same thing."""
    disguised = draw("PNG")[:16] + draw("JPEG")

    assert_invalid_image(as_imagegene.post(ROUTE, body(content=as_base64(disguised))))


def assert_invalid_image(response: Any) -> None:
    assert response.status_code == 400, response.content
    answer = response.json()
    assert (answer["error"], answer["code"]) == ("Invalid image", "invalid_image")
    assert list(answer["fields"]) == ["content"]
    assert answer["details"]
