"""How a caller's `content` is read: a data: URI, else base64 of a picture, else text, exactly."""

from __future__ import annotations

import base64
import contextlib
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workspace.contents import content_of, plain
from tests.workspace.pictures import FORMATS, picture
from workspace.content import TEXT_TYPE, Content, InvalidContent
from workspace.images import InvalidImage

texts = st.text(st.characters(exclude_categories=["Cs"]))  # the request parser lets no surrogates through
examples = settings(max_examples=300, deadline=None)
every_format = pytest.mark.parametrize(("format", "content_type"), FORMATS.items())


def assert_is_text(content: Content, text: str, content_type: str = TEXT_TYPE) -> None:
    """Kept to the byte and counted at its plain length; compressed at rest only where that is smaller."""
    assert plain(content) == text.encode()
    assert content.content_type == content_type
    assert content.size_bytes == content.original_bytes == len(text.encode())
    assert (content.encoding == "br") == (len(content.body) < content.size_bytes)
    assert (content.width, content.height, content.is_lossless, content.thumbnail) == (None, None, None, None)


@examples
@given(
    st.one_of(
        texts,
        st.builds(
            "{}{}".format, st.sampled_from(["iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "AAAA", "data", "Data:x"]), texts
        ),
        st.from_regex(r"(iVBORw0KGgo|/9j/|R0lGOD|UklGR|AAAA)[A-Za-z0-9+/\r\n]*={0,2}", fullmatch=True),
    )
)
def test_any_text_is_kept_to_the_byte_or_refused(text: str) -> None:
    """Only what begins as base64 of a picture, is nothing else but base64, and is no picture, is refused."""
    try:
        content = content_of(text)
    except InvalidImage:
        bare = text.strip().replace("\r", "").replace("\n", "")
        assert bare.startswith(("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "AAAA"))
        assert not set(bare) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    except InvalidContent:
        assert not text
    else:
        assert_is_text(content, text)


@examples
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["plain", "html", "markdown"]))
def test_a_text_comes_out_of_a_data_uri_as_it_went_in(text: str, kind: str) -> None:
    for uri in (
        f"data:text/{kind};base64,{base64.b64encode(text.encode()).decode()}",
        f"data:text/{kind};charset=utf-8,{quote(text)}",
    ):
        content = content_of(uri)

        assert_is_text(content, text, f"text/{kind}; charset=utf-8")


@examples
@given(st.text("dataimgetx/:;,=base64 png", max_size=40))
def test_no_data_uri_makes_the_reader_fail_otherwise_than_by_refusing(rest: str) -> None:
    with contextlib.suppress(InvalidContent, InvalidImage):
        assert content_of("data:" + rest).size_bytes > 0


@every_format
def test_a_picture_is_kept_as_it_came_however_it_was_sent(format: str, content_type: str) -> None:
    body = picture(format)
    encoded = base64.b64encode(body).decode()

    for sent in (
        encoded,
        encoded.rstrip("="),
        base64.encodebytes(body).decode(),
        f"  {encoded}\r\n",
        f"data:{content_type};base64,{encoded[:8]} {encoded[8:]}\n",
        f"data:{content_type};base64,{encoded}",
        f"DATA:{content_type.upper()};BASE64,{encoded}",
        f"data:{content_type};name=a.b;base64,{encoded}",
        f"data:{content_type},{quote_from_bytes(body)}",
    ):
        content = content_of(sent, compression="none")
        assert (content.body, content.content_type, content.encoding) == (body, content_type, "")
        assert content.size_bytes == content.original_bytes == len(body)
        assert (content.width, content.height, content.is_lossless) == (24, 16, True)


@pytest.mark.parametrize("sent", ["", "data:,", "data:;base64,", "data:text/plain;base64,", "data:text/html,"])
def test_nothing_is_not_a_content(sent: str) -> None:
    with pytest.raises(InvalidContent, match="empty"):
        content_of(sent)


@pytest.mark.parametrize(
    "sent",
    [
        "data: my notes",
        "data:",
        "data:image/png;base64",
        "data:text/plain\n,x",
        "Dear all,\n\nplease",
        "x iVBORw0KGgo=",
        "AAAA",
        "AAAAGGZ0eXBoZWljAAAAAGhlaWM=",
        "/9j/ is how a JPEG begins",
        "UklGR!",
        "\u00a0",
        "\ufeffwith a mark",
        "tail\r\n\t ",
    ],
)
def test_what_merely_looks_like_something_else_is_a_text(sent: str) -> None:
    assert_is_text(content_of(sent), sent)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("data:text/plain;base64,%%%", "not valid base64"),
        ("data:text/plain;base64,QQ=Q", "not valid base64"),
        ("data:text/plain;base64,Q", "not valid base64"),
        ("data:text/plain;base64,/////w==", "not UTF-8"),
        ("data:text/plain,%ff", "not UTF-8"),
        ("data:application/pdf;base64,QUJD", "not application/pdf"),
        ("data:video/mp4;base64,QUJD", "not video/mp4"),
        (f"data:text/{'x' * 76},abc", "more than 80 characters"),
    ],
)
def test_a_data_uri_that_is_not_what_it_says_is_refused(sent: str, told: str) -> None:
    with pytest.raises(InvalidContent, match=told):
        content_of(sent)


@pytest.mark.parametrize(
    "sent",
    [
        "data:image/png;base64,QUJD",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/jpeg;base64,",
        " iVBORw0KGgo=",
        "iVBORw0KGgoAAAA",
        "/9j/AAAA",
        "/9j/A",
        "UklGRiQAAABXRUJQ",
    ],
)
def test_what_says_that_it_is_a_picture_and_is_none_is_refused(sent: str) -> None:
    with pytest.raises(InvalidImage):
        content_of(sent)


def test_a_picture_under_the_name_of_another_format_is_refused() -> None:
    with pytest.raises(InvalidImage, match="declared as image/png but is image/jpeg"):
        content_of(f"data:image/png;base64,{base64.b64encode(picture('JPEG')).decode()}")


@pytest.mark.parametrize(
    "sent",
    [
        "iVBORw0KGgo" + "\n" * 2_000_000 + "!",
        "/9j/" + "\r\n" * 1_000_000 + "!",
        "iVBORw0KGgo" + "A" * 2_000_000 + "!",
        "data:" + "a" * 2_000_000,
        "data:a/" + "a" * 2_000_000,
        "data:" + ";a=b" * 500_000,
        "data:" + ";a=" * 500_000,
        "data:text/plain" + ";a=b" * 500_000 + ";base64",
    ],
    ids=["line breaks", "other line breaks", "letters", "type", "subtype", "parameters", "empty parameters", "unended"],
)
@pytest.mark.usefixtures("within_a_minute")
def test_megabytes_are_read_whatever_they_are(sent: str) -> None:
    """
    Each character is looked at once. (Thirty kilobytes of line breaks took three seconds of processor time, and four
    times that for twice as many, while two parts of one pattern could both match them: megabytes would take days.)
    """
    assert_is_text(content_of(sent), sent)
