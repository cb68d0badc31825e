"""GET projects/{code}/content: parts of it (RFC 9110, 14), as players, download managers and broken downloads ask."""

from __future__ import annotations

import pytest

from accounts.models import User
from tests.api.pictures import draw
from tests.api.served import assert_inert, opened, path_of, saved, signed
from tests.client import ApiClient

TEXT = "".join(f"{number:04} é\n" for number in range(500))  # is kept compressed
BYTES = TEXT.encode()
N = len(BYTES)
PARTS = {
    "bytes=0-0": (0, 0),
    "bytes=0-9": (0, 9),
    "bytes=5-5": (5, 5),
    "bytes=100-": (100, N - 1),
    f"bytes={N - 1}-": (N - 1, N - 1),
    f"bytes=0-{N - 1}": (0, N - 1),
    f"bytes=0-{N}": (0, N - 1),
    "bytes=10-999999999999999999": (10, N - 1),
    "bytes=-1": (N - 1, N - 1),
    "bytes=-100": (N - 100, N - 1),
    f"bytes=-{N + 1}": (0, N - 1),
    "Bytes=3-4 ": (3, 4),
    "bytes=003-004": (3, 4),
}
WHOLE = [
    *("bytes=0-1,3-4", "bytes=0-1,", "bytes=-", "bytes=", "bytes", "", "0-1", "items=0-1", "bytes=a-b", "bytes=1-x"),
    *("bytes=5-2", "bytes=--1", "bytes=-1-2", "bytes=1.0-2", "bytes=+1-2", "bytes=0x1-2", "bytes=0-1;q=1", "chars=-1"),
]
NOTHING = [f"bytes={N}-", f"bytes={N}-{N + 5}", "bytes=999999999999999999-", "bytes=-0"]


@pytest.fixture
def text(alice: User, as_penora: ApiClient) -> str:
    """The path of a text's content."""
    return path_of(saved(as_penora, TEXT))


@pytest.mark.parametrize("asked", PARTS)
def test_a_part_is_a_206_with_those_bytes_of_the_plain_text(text: str, as_penora: ApiClient, asked: str) -> None:
    """Also to who takes Brotli. Parts of the compressed text were seen red: nobody could put them together."""
    first, last = PARTS[asked]

    for headers in ({}, {"Accept-Encoding": "gzip, br"}):
        response = as_penora.get(text, headers={**headers, "Range": asked})

        assert response.status_code == 206
        assert response.content == BYTES[first : last + 1]
        assert response["Content-Range"] == f"bytes {first}-{last}/{N}"
        assert int(response["Content-Length"]) == last - first + 1
        assert response["Content-Type"] == "text/plain; charset=utf-8"
        assert "Content-Encoding" not in response
        assert_inert(response)


@pytest.mark.parametrize("asked", WHOLE)
def test_what_is_no_single_range_is_answered_with_all_of_it(text: str, as_penora: ApiClient, asked: str) -> None:
    response = as_penora.get(text, headers={"Range": asked})

    assert (response.status_code, response.content) == (200, BYTES)
    assert response["Accept-Ranges"] == "bytes"
    assert "Content-Range" not in response


@pytest.mark.parametrize("asked", NOTHING)
def test_a_range_beyond_the_end_is_a_416_that_says_how_long_it_is(text: str, as_penora: ApiClient, asked: str) -> None:
    response = as_penora.get(text, headers={"Range": asked, "Accept-Encoding": "br"})

    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{N}"
    answer = response.json()
    assert (answer["success"], answer["code"], answer["size_bytes"]) == (False, "range_not_satisfiable", N)


def test_a_broken_download_is_taken_up_where_it_broke(text: str, as_penora: ApiClient) -> None:
    first = as_penora.get(text, headers={"Range": "bytes=0-999"})

    rest = as_penora.get(text, headers={"Range": "bytes=1000-", "If-Range": first["ETag"]})

    assert (first.status_code, rest.status_code) == (206, 206)
    assert first.content + rest.content == BYTES


@pytest.mark.parametrize(
    "condition",
    ['"other"', "W/{etag}", "{etag}, {etag}", "Wed, 21 Oct 2026 07:28:00 GMT", "*", "", "{bare}"],
)
def test_if_range_names_another_version_and_so_all_of_it_comes(text: str, as_penora: ApiClient, condition: str) -> None:
    """A part of the new bytes put behind a part of the old would be neither. Weak tags never match here."""
    etag = as_penora.get(text)["ETag"]
    sent = condition.replace("{etag}", etag).replace("{bare}", etag.strip('"'))

    response = as_penora.get(text, headers={"Range": "bytes=1000-", "If-Range": sent})

    assert (response.status_code, response.content) == (200, BYTES)


def test_the_tag_of_the_compressed_text_is_not_that_of_a_part(text: str, as_penora: ApiClient) -> None:
    """Its bytes are others: who has the first half of them cannot go on in the plain text."""
    compressed = as_penora.get(text, headers={"Accept-Encoding": "br"})
    assert compressed["Content-Encoding"] == "br"

    for headers in ({}, {"Accept-Encoding": "br"}):
        response = as_penora.get(text, headers={**headers, "Range": "bytes=10-", "If-Range": compressed["ETag"]})
        assert (response.status_code, response.content) == (200, BYTES)


def test_after_an_edit_the_old_tag_brings_all_of_the_new(text: str, as_penora: ApiClient) -> None:
    old = as_penora.get(text)["ETag"]
    code = text.split("/")[1]
    edited = as_penora.request(
        "PATCH",
        f"/api/unified/projects/{code}",
        data=b'{"user_id": "alice", "content": "Another text"}',
        content_type="application/json",
    )
    assert edited.status_code == 200

    response = as_penora.get(text, headers={"Range": "bytes=0-3", "If-Range": old})

    assert (response.status_code, response.content) == (200, b"Another text")
    assert response["ETag"] != old


def test_who_has_it_already_is_told_so_before_any_part(text: str, as_penora: ApiClient) -> None:
    etag = as_penora.get(text)["ETag"]

    for asked in ("bytes=0-9", f"bytes={N}-"):
        response = as_penora.get(text, headers={"Range": asked, "If-None-Match": etag})
        assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize("query", [{}, {"format": "jpeg"}, {"format": "png"}])
def test_a_picture_comes_in_parts_too_in_each_of_its_forms(
    alice: User, as_penora: ApiClient, query: dict[str, str]
) -> None:
    path = path_of(saved(as_penora, draw("AVIF", size=(64, 64))))
    whole = as_penora.get(path, **query)
    length = len(whole.content)

    part = as_penora.get(path, headers={"Range": "bytes=10-19"}, **query)
    beyond = as_penora.get(path, headers={"Range": f"bytes={length}-"}, **query)

    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert (part["Content-Range"], part["Content-Type"]) == (f"bytes 10-19/{length}", whole["Content-Type"])
    assert part["ETag"] == whole["ETag"]
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{length}")
    assert_inert(part)


def test_a_signed_address_gives_parts(alice: User, as_penora: ApiClient, anonymous: ApiClient) -> None:
    code = saved(as_penora, TEXT)
    path, query = signed(as_penora, code)

    whole = opened(anonymous, (path, query))
    part = anonymous.get(path.removeprefix("/api/unified/"), headers={"Range": "bytes=-5"}, **query)

    assert (whole.status_code, whole.content) == (200, BYTES)
    assert (part.status_code, part.content) == (206, BYTES[-5:])


@pytest.mark.parametrize("asked", ["bytes=0-9", f"bytes={N}-", "bytes=-0"])
@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "br"}])
def test_a_head_has_no_parts(text: str, as_penora: ApiClient, asked: str, headers: dict[str, str]) -> None:
    """RFC 9110, 14.2: a Range means something with GET only. It was answered with 206 and 416."""
    got = as_penora.get(text, headers=headers)

    response = as_penora.request("HEAD", f"/api/unified/{text}", headers={**headers, "Range": asked})

    assert (response.status_code, response.content) == (200, b"")
    assert [response[name] for name in ("Content-Length", "ETag")] == [got[name] for name in ("Content-Length", "ETag")]
    assert "Content-Range" not in response
