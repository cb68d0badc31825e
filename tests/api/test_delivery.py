"""Which form of a content a client takes, and which part of it: the rules, apart from any request."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from unified.api.delivery import UnsatisfiableRange, accepts_brotli, byte_range, picture_type

CONTENT = bytes(range(200))
KEPT = ["image/avif", "image/webp", "image/png", "image/jpeg", "image/gif"]
NAMES = [*KEPT, "image/*", "*/*", "image/apng", "image/svg+xml", "text/html", "application/json", "IMAGE/AVIF", ""]
QUALITIES = ["", ";q=0", ";q=0.0", "; q=0.5", ";q=1", ";Q=0", ";q=x", ";level=1", ";level=1;q=0"]

positions = st.one_of(st.just(""), st.integers(0, 250).map(str), st.just("9" * 18))
accept_headers = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(QUALITIES)), max_size=6).map(
    lambda items: ",".join(name + quality for name, quality in items)
)


@given(first=positions, last=positions, length=st.integers(1, 200))
@example(first="0", last="0", length=1)
@example(first="199", last="", length=200)
@example(first="", last="200", length=200)
def test_a_range_is_the_slice_that_it_names(first: str, last: str, length: int) -> None:
    content = CONTENT[:length]
    if not first and not last:
        wanted = None  # says nothing
    elif not first:
        wanted = content[-int(last) :] if int(last) else b""
    elif last and int(last) < int(first):
        wanted = None  # says nothing that could be meant
    else:
        wanted = content[int(first) : int(last) + 1 if last else None]

    try:
        found = byte_range(f"bytes={first}-{last}", length=length)
    except UnsatisfiableRange:
        assert wanted == b""
        return

    if found is None:
        assert wanted is None
    else:
        assert 0 <= found[0] <= found[1] < length
        assert content[found[0] : found[1] + 1] == wanted


@given(st.one_of(st.text(), st.text(alphabet="bytes=-,0123456789 \t")), st.integers(0, 200))
@example("bytes=0-" + "9" * 5_000, 10)
@example("bytes=٠-١", 10)
@example("bytes=0-1,3-4", 10)
@example("bytes=0-1, ", 10)
@example("items=0-1", 10)
@example("bytes 0-1/10", 10)
def test_whatever_a_range_header_says_the_answer_is_whole_or_within(header: str, length: int) -> None:
    with contextlib.suppress(UnsatisfiableRange):
        found = byte_range(header, length=length)
        assert found is None or 0 <= found[0] <= found[1] < length


def test_without_a_range_all_is_meant() -> None:
    assert byte_range(None, length=10) is None


@given(accept_headers, st.sampled_from(KEPT))
@example("image/avif;q=0, */*", "image/avif")
@example("image/jpeg;q=0,image/*", "image/webp")
def test_a_picture_is_served_as_something_that_the_client_did_not_refuse(accept: str, kept: str) -> None:
    """Told by a reading of its own. Before refusals were heeded, `image/avif;q=0, */*` was answered with AVIF."""
    named, refused = set(), set()
    for item in accept.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        (refused if {"q=0", "q=0.0"} & set(parameters) else named).add(name)
    refused -= named

    served = picture_type(accept, kept=kept)

    assert served in {kept, "image/jpeg", "image/png", None}
    if kept in named or kept in {"image/png", "image/jpeg", "image/gif"}:
        assert served == kept
    else:
        forms = {"image/jpeg", "image/png"} if served is None else {served}
        assert not forms & refused or {"image/jpeg", "image/png"} <= refused


@given(st.one_of(st.none(), st.text()), st.sampled_from(KEPT))
@example(",;,=;q=;q=0;;", "image/avif")
@example("image/avif;q=" + "9" * 5_000, "image/webp")
def test_no_header_is_too_strange_to_be_read(header: str | None, kept: str) -> None:
    assert picture_type(header, kept=kept) in {kept, "image/jpeg", "image/png", None}
    assert accepts_brotli(header) in {True, False}


@pytest.mark.parametrize(
    "header", ["br", "BR", "gzip, deflate, br, zstd", "gzip;q=1.0, br;q=0.001", "br ; q = 1", "br;q=0.9;x=1,*;q=0"]
)
def test_brotli_is_sent_to_who_names_it(header: str) -> None:
    assert accepts_brotli(header)


@pytest.mark.parametrize(
    "header", [None, "", "gzip, deflate", "identity", "*", "br;q=0", "br;q=0.000, gzip", "brotli", "x-br", "b r"]
)
def test_brotli_is_sent_to_nobody_else(header: str | None) -> None:
    """`*` names everything, and is sent by programs that cannot know Brotli."""
    assert not accepts_brotli(header)
