"""GET projects/{code}/content: the form in which each client gets a picture or a text, and how forms are told apart."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.api.conftest import everything_of
from tests.api.pictures import MEDIA_TYPES, draw
from tests.api.served import assert_inert, path_of, plain, saved, seen, varies_by
from tests.client import ApiClient
from workspace.models import ProjectContent

TEXT = "# Lisbon, Porto, Évora 🌞\r\n" * 200  # long enough to be kept compressed
PICTURES = {
    "avif": lambda: draw("AVIF"),
    "transparent avif": lambda: draw("AVIF", mode="RGBA", colour="#3366cc80"),
    "webp": lambda: draw("WEBP"),
}
AVIF, WEBP, PNG, JPEG = MEDIA_TYPES["AVIF"], MEDIA_TYPES["WEBP"], MEDIA_TYPES["PNG"], MEDIA_TYPES["JPEG"]
# What each gets for a picture kept as AVIF, a transparent one, and one kept as WebP.
CLIENTS = {
    "Chrome 130, <img>": (
        "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        (AVIF, AVIF, WEBP),
    ),
    "Chrome 130, address bar": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
        "application/signed-exchange;v=b3;q=0.7",
        (AVIF, AVIF, WEBP),
    ),
    "Firefox 132, <img>": (
        "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
        (AVIF, AVIF, WEBP),
    ),
    "Firefox 91, <img>": ("image/webp,*/*", (JPEG, PNG, WEBP)),
    "Safari 17, <img>": (
        "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
        "image/*;q=0.8,*/*;q=0.5",
        (AVIF, AVIF, WEBP),
    ),
    "Safari 15, <img>": (
        "image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5",
        (JPEG, PNG, WEBP),
    ),
    "Safari 15, address bar": (
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        (JPEG, PNG, JPEG),
    ),
    "curl, python-requests": ("*/*", (AVIF, AVIF, WEBP)),
    "a program that says nothing": (None, (AVIF, AVIF, WEBP)),
    "a program that wants JSON only": ("application/json", (AVIF, AVIF, WEBP)),
    "an e-mail client": ("image/jpeg", (JPEG, JPEG, JPEG)),
    "an old e-mail client": ("image/gif, image/png", (PNG, PNG, PNG)),
    "a slide show": ("image/jpeg, image/png", (JPEG, PNG, JPEG)),
    "a browser told to do without AVIF": ("image/avif;q=0, image/*", (JPEG, PNG, JPEG)),
    "curl told to do without AVIF": ("image/avif;q=0, */*", (JPEG, PNG, WEBP)),
    "shouting": ("IMAGE/AVIF , IMAGE/WEBP", (AVIF, AVIF, WEBP)),
}


@pytest.fixture
def save(alice: User, as_penora: ApiClient) -> Any:
    """Saves for alice and returns the path of the content."""
    return lambda content, **changes: path_of(saved(as_penora, content, **changes))


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_gets_a_picture_that_it_can_show(save: Any, as_penora: ApiClient, client: str) -> None:
    """With `image/*` taken as a promise, Safari 15 was sent the AVIF that it cannot show."""
    accept, wanted = CLIENTS[client]

    for picture, media_type in zip(PICTURES.values(), wanted, strict=True):
        path = save(picture())
        response = as_penora.get(path, headers={"Accept": accept} if accept else {})

        assert response.status_code == 200
        assert response["Content-Type"] == media_type
        assert seen(response) == (media_type, (24, 16))
        assert "accept" in varies_by(response)
        assert response["Content-Disposition"].startswith("inline; filename=")
        assert response["Content-Disposition"].endswith(f'.{media_type.removeprefix("image/").replace("jpeg", "jpg")}"')
        assert_inert(response)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_what_everybody_can_show_is_never_converted(save: Any, as_penora: ApiClient, kind: str) -> None:
    picture = draw(kind)
    path = save(picture)

    for accept in ("image/avif", "image/webp,image/*", "text/html", "*/*"):
        response = as_penora.get(path, headers={"Accept": accept})
        assert (response["Content-Type"], response.content) == (MEDIA_TYPES[kind], picture)


@pytest.mark.parametrize("accept", ["image/avif,image/webp", "image/gif", "*/*", None])
@pytest.mark.parametrize(("format", "media_type"), [("jpeg", JPEG), ("png", PNG)])
@pytest.mark.parametrize("kind", sorted(MEDIA_TYPES))
def test_a_format_that_is_asked_for_comes_before_what_accept_says(
    save: Any, as_penora: ApiClient, kind: str, format: str, media_type: str, accept: str | None
) -> None:
    picture = draw(kind)

    response = as_penora.get(save(picture), format=format, headers={"Accept": accept} if accept else {})

    assert seen(response) == (media_type, (24, 16))
    assert response["Content-Type"] == media_type
    assert (response.content == picture) == (media_type == MEDIA_TYPES[kind])


@pytest.mark.parametrize("format", ["gif", "avif", "JPEG", "jpg", "image/jpeg", "jpeg,png", "x", " png", "é", "\x00"])
def test_a_format_that_there_is_not_is_refused(save: Any, as_penora: ApiClient, format: str) -> None:
    response = as_penora.get(save(draw("AVIF")), format=format)

    assert response.status_code == 400
    assert (response.json()["code"], list(response.json()["fields"])) == ("validation_error", ["format"])


def test_an_empty_format_is_none(save: Any, as_penora: ApiClient) -> None:
    assert as_penora.get(save(draw("AVIF")), format="")["Content-Type"] == AVIF


def test_a_text_has_no_picture_format(save: Any, as_penora: ApiClient) -> None:
    response = as_penora.get(save("A week in Lisbon"), format="png")

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["format"]


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (None, None),
        ("gzip, deflate", None),
        ("gzip, deflate, br, zstd", "br"),  # browsers, by HTTPS
        ("br;q=0, gzip", None),
        ("*", None),
        ("identity", None),
    ],
)
def test_a_text_comes_compressed_to_who_takes_brotli(
    save: Any, as_penora: ApiClient, accepted: str | None, encoding: str | None
) -> None:
    path = save(TEXT)

    response = as_penora.get(path, headers={"Accept-Encoding": accepted} if accepted else {})

    assert response.status_code == 200
    assert response.headers.get("Content-Encoding") == encoding
    assert plain(response) == TEXT.encode()
    assert (len(response.content) < len(TEXT)) == (encoding == "br")
    assert int(response["Content-Length"]) == len(response.content)
    assert "accept-encoding" in varies_by(response)
    assert_inert(response)


def test_a_text_that_is_kept_as_it_is_comes_as_it_is(save: Any, as_penora: ApiClient) -> None:
    response = as_penora.get(save("short"), headers={"Accept-Encoding": "br"})

    assert (response.content, "Content-Encoding" in response) == (b"short", False)


def test_a_picture_is_not_compressed_again(save: Any, as_penora: ApiClient) -> None:
    picture = draw("PNG")

    response = as_penora.get(save(picture), headers={"Accept-Encoding": "br"})

    assert (response.content, "Content-Encoding" in response) == (picture, False)


@pytest.mark.parametrize(
    "content",
    [
        "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "<!doctype html><script>alert(1)</script>",
        "MZ\x90",
    ],
)
@pytest.mark.parametrize("declared", ["", "text/html", "text/xml", "text/css", "text/javascript", "application/json"])
def test_a_text_that_a_browser_might_run_is_a_file(
    save: Any, as_penora: ApiClient, content: str, declared: str
) -> None:
    response = as_penora.get(
        save(f"data:{declared};charset=utf-8,{content}" if declared else content),
        headers={"Accept": "image/svg+xml,text/html,*/*", "Accept-Encoding": "br"},
    )

    assert plain(response) == content.encode()
    assert response["Content-Type"].partition(";")[0] in {"text/plain", "text/html", "application/json"}
    assert response["Content-Disposition"].startswith("attachment; filename=")
    assert_inert(response)


@pytest.mark.parametrize("encoded", [",%3Csvg%20onload=alert(1)%3E", ";base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+"])
def test_an_svg_is_no_picture_here(alice: User, as_penora: ApiClient, encoded: str) -> None:
    before = everything_of(alice)

    response = as_penora.post(
        "save-project",
        user_id="alice",
        app_source="penora",
        project_type="page",
        title="A title",
        content=f"data:image/svg+xml{encoded}",
    )

    assert (response.status_code, response.json()["code"]) == (400, "invalid_image")
    assert everything_of(alice) == before


# --- how forms are told apart ----------------------------------------------------------------------------------------

FORMS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "as it is kept": ({}, {}),
    "as JPEG": ({"format": "jpeg"}, {}),
    "as PNG": ({"format": "png"}, {}),
    "as what suits": ({}, {"Accept": "image/png,image/*,*/*"}),
}


def of_text(path: str) -> dict[str, tuple[str, dict[str, str], dict[str, str]]]:
    return {"plain": (path, {}, {}), "compressed": (path, {}, {"Accept-Encoding": "br"})}


def of_picture(path: str) -> dict[str, tuple[str, dict[str, str], dict[str, str]]]:
    return {name: (path, query, headers) for name, (query, headers) in FORMS.items()}


@pytest.mark.parametrize("what", ["a text", "a picture"])
def test_each_form_has_a_strong_tag_of_its_own(save: Any, as_penora: ApiClient, what: str) -> None:
    forms = of_text(save(TEXT)) if what == "a text" else of_picture(save(draw("AVIF")))

    first = {name: as_penora.get(path, headers=headers, **query) for name, (path, query, headers) in forms.items()}
    again = {name: as_penora.get(path, headers=headers, **query) for name, (path, query, headers) in forms.items()}

    tags = {name: response["ETag"] for name, response in first.items()}
    assert len(set(tags.values())) == len(forms)
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags.values())
    assert {name: response["ETag"] for name, response in again.items()} == tags
    assert {name: response.content for name, response in again.items()} == {
        name: response.content for name, response in first.items()
    }


@pytest.mark.parametrize("what", ["a text", "a picture"])
def test_a_form_is_known_by_its_own_tag_only_and_then_nothing_is_read(
    save: Any, as_penora: ApiClient, what: str
) -> None:
    """Looked for in what is asked of the database: the columns with the bytes. A 304 that read them was seen red."""
    forms = of_text(save(TEXT)) if what == "a text" else of_picture(save(draw("AVIF")))
    tags = {
        name: as_penora.get(path, headers=headers, **query)["ETag"] for name, (path, query, headers) in forms.items()
    }

    for (asked, (path, query, headers)), (known, tag) in itertools.product(forms.items(), tags.items()):
        with CaptureQueriesContext(connection) as captured:
            response = as_penora.get(path, headers={**headers, "If-None-Match": tag}, **query)
        read = [sql for sql in (query["sql"] for query in captured.captured_queries) if '"body"' in sql]
        assert response.status_code == (304 if asked == known else 200), (asked, known)
        assert bool(read) == (asked != known)
        if asked == known:
            assert (response.content, response["ETag"]) == (b"", tag)
            assert {"accept", "accept-encoding"} & varies_by(response)
            assert "Content-Type" not in response
            assert_inert(response)


def test_other_bytes_have_another_tag_and_the_same_bytes_the_same(save: Any, as_penora: ApiClient) -> None:
    one, two, other = save(TEXT), save(TEXT, title="Another"), save(TEXT + "!")
    for headers in ({}, {"Accept-Encoding": "br"}):
        tag = as_penora.get(one, headers=headers)["ETag"]
        assert as_penora.get(two, headers=headers)["ETag"] == tag
        assert as_penora.get(other, headers=headers)["ETag"] != tag


@pytest.mark.parametrize("header", ["", "*/*", ",", '"', '"a', "W/", "a, b", "\x7f", '"' * 1_000])
def test_a_condition_that_is_none_is_passed_over(save: Any, as_penora: ApiClient, header: str) -> None:
    assert as_penora.get(save("A text"), headers={"If-None-Match": header}).content == b"A text"


def test_a_head_says_what_a_get_would_without_the_bytes(save: Any, as_penora: ApiClient) -> None:
    text, picture = save(TEXT), save(draw("AVIF"))

    for path, headers in (
        (text, {}),
        (text, {"Accept-Encoding": "br"}),
        (picture, {}),
        (picture, {"Accept": "image/jpeg"}),
    ):
        got = as_penora.get(path, headers=headers)
        asked = as_penora.request("HEAD", f"/api/unified/{path}", headers=headers)
        assert (asked.status_code, asked.content) == (200, b"")
        named = ("Content-Type", "Content-Length", "ETag", "Vary", "Accept-Ranges", "Content-Disposition")
        assert [asked[name] for name in named] == [got[name] for name in named]
        assert asked.headers.get("Content-Encoding") == got.headers.get("Content-Encoding")
        assert_inert(asked)
        known = as_penora.request("HEAD", f"/api/unified/{path}", headers={**headers, "If-None-Match": got["ETag"]})
        assert known.status_code == 304


def test_what_is_read_changes_nothing(save: Any, alice: User, as_penora: ApiClient) -> None:
    path = save(draw("AVIF"))
    before = everything_of(alice), list(ProjectContent.objects.values_list("digest", "thumbnail"))

    for query, headers in FORMS.values():
        as_penora.get(path, headers=headers, **query)

    assert (everything_of(alice), list(ProjectContent.objects.values_list("digest", "thumbnail"))) == before
