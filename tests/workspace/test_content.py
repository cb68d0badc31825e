"""How a caller's `content` is read: a data: URI, else base64 of a picture, else text, exactly."""

from __future__ import annotations

import base64
import contextlib
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workspace.pictures import FORMATS, picture
from workspace.content import TEXT_TYPE, Content, InvalidContent, read_content
from workspace.images import InvalidImage

texts = st.text(st.characters(exclude_categories=["Cs"]))  # the request parser lets no surrogates through
examples = settings(max_examples=300, deadline=None)
every_format = pytest.mark.parametrize(("format", "content_type"), FORMATS.items())


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
        content = read_content(text)
    except InvalidImage:
        bare = text.strip().replace("\r", "").replace("\n", "")
        assert bare.startswith(("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "AAAA"))
        assert not set(bare) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    except InvalidContent:
        assert not text
    else:
        assert content == Content(text.encode(), TEXT_TYPE, original_bytes=len(text.encode()))
        assert content.size_bytes == len(text.encode())


@examples
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["plain", "html", "markdown"]))
def test_a_text_comes_out_of_a_data_uri_as_it_went_in(text: str, kind: str) -> None:
    for uri in (
        f"data:text/{kind};base64,{base64.b64encode(text.encode()).decode()}",
        f"data:text/{kind};charset=utf-8,{quote(text)}",
    ):
        content = read_content(uri)

        assert content == Content(text.encode(), f"text/{kind}; charset=utf-8", original_bytes=len(text.encode()))


@examples
@given(st.text("dataimgetx/:;,=base64 png", max_size=40))
def test_no_data_uri_makes_the_reader_fail_otherwise_than_by_refusing(rest: str) -> None:
    with contextlib.suppress(InvalidContent, InvalidImage):
        assert read_content("data:" + rest).size_bytes > 0


@every_format
def test_a_picture_is_kept_as_it_came_however_it_was_sent(format: str, content_type: str) -> None:
    body = picture(format)
    plain = base64.b64encode(body).decode()

    for sent in (
        plain,
        plain.rstrip("="),
        base64.encodebytes(body).decode(),
        f"  {plain}\r\n",
        f"data:{content_type};base64,{plain[:8]} {plain[8:]}\n",
        f"data:{content_type};base64,{plain}",
        f"DATA:{content_type.upper()};BASE64,{plain}",
        f"data:{content_type};name=a.b;base64,{plain}",
        f"data:{content_type},{quote_from_bytes(body)}",
    ):
        assert read_content(sent) == Content(body, content_type, original_bytes=len(body))


@pytest.mark.parametrize("sent", ["", "data:,", "data:;base64,", "data:text/plain;base64,", "data:text/html,"])
def test_nothing_is_not_a_content(sent: str) -> None:
    with pytest.raises(InvalidContent, match="empty"):
        read_content(sent)


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
    assert read_content(sent) == Content(sent.encode(), TEXT_TYPE, original_bytes=len(sent.encode()))


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
        read_content(sent)


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
        read_content(sent)


def test_a_picture_under_the_name_of_another_format_is_refused() -> None:
    with pytest.raises(InvalidImage, match="declared as image/png but is image/jpeg"):
        read_content(f"data:image/png;base64,{base64.b64encode(picture('JPEG')).decode()}")


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
    assert read_content(sent).body == sent.encode()
