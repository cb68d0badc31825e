"""The strict JSON parser: by properties, and through HTTP with everything that a body must not be."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from accounts.models import User
from tests.api.conftest import everything_of
from tests.client import ApiClient
from unified.api.parsers import loads

ROUTE = "deduct-credits"

quick = settings(max_examples=150, deadline=None, database=None, derandomize=True)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(texts, values, max_size=5)
nearly_json = st.lists(
    st.sampled_from(
        [*'{}[]":,.-+eE \n\t0129', "true", "null", "NaN", "Infinity", '"a"', '"\\u0000"', '"\\ud83d"', "\\", "\ufeff"]
    ),
    max_size=40,
).map(lambda parts: "".join(parts).encode())


def levels(count: int, *, kind: str = "object") -> bytes:
    """A JSON object that is nested `count` levels deep, itself included."""
    opening, closing = {"object": ('{"a":', "}"), "array": ("[", "]")}[kind]
    return ('{"a":' + opening * (count - 2) + "{}" + closing * (count - 2) + "}").encode()


@quick
@given(objects, st.booleans(), st.sampled_from([None, 2]))
@example({"": {}, "é": [], "\ufeff": "\x7f"}, False, None)
@example({"a": -(2**63), "b": 2**63 - 1, "c": -0.0, "d": 5e-324, "e": 1.7976931348623157e308}, True, None)
def test_every_object_comes_out_as_any_reader_would_read_it(value: dict[str, Any], ascii: bool, indent: Any) -> None:
    sent = json.dumps(value, ensure_ascii=ascii, indent=indent).encode()

    read = loads(sent)

    assert read == value == json.loads(sent)
    # 1, 1.0 and True are equal in Python, so the kinds of the numbers are compared as well.
    assert json.dumps(read) == json.dumps(value)


@quick
@given(st.binary(max_size=200) | nearly_json)
@example(b"")
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"a": ' + b"9" * 5_000 + b"}")
@example(b'{"a": 1' + b"0" * 5_000 + b".0}")
@example(b'{"a": 1e' + b"9" * 5_000 + b"}")
def test_whatever_the_bytes_are_it_is_an_object_or_a_refusal(body: bytes) -> None:
    try:
        read = loads(body)
    except ParseError:
        return
    assert isinstance(read, dict)
    assert read == json.loads(body)


@quick
@given(st.integers(1, 32), st.sampled_from(["object", "array"]))
def test_up_to_thirty_two_levels_are_read(count: int, kind: str) -> None:
    if count > 1:
        assert loads(levels(count, kind=kind)) == json.loads(levels(count, kind=kind))


@pytest.mark.parametrize("kind", ["object", "array"])
@pytest.mark.parametrize("count", [33, 34, 500, 1_000, 100_000])
def test_one_level_more_is_refused(count: int, kind: str) -> None:
    with pytest.raises(ParseError, match="32 levels"):
        loads(levels(count, kind=kind))


@quick
@given(st.integers(min_value=2**64) | st.integers(max_value=-(2**63) - 1))
def test_an_integer_beyond_sixty_four_bits_is_refused(number: int) -> None:
    with pytest.raises(ParseError, match="64 bits"):
        loads(b'{"a": %d}' % number)


BAD: dict[str, bytes] = {
    "a raw NUL": b'{"user_id": "ali\x00ce"}',
    "an escaped NUL": b'{"user_id": "ali\\u0000ce"}',
    "an escaped NUL in a name": b'{"user_id\\u0000": "alice"}',
    "an escaped NUL deep inside": b'{"a": [{"b": ["\\u0000"]}]}',
    "a NUL after the end": b"{}\x00",
    "half of a surrogate pair": b'{"user_id": "\\ud83d"}',
    "the other half": b'{"user_id": "\\ude00"}',
    "both halves the wrong way round": b'{"user_id": "\\ude00\\ud83d"}',
    "a surrogate in a name": b'{"\\udfff": 1}',
    "a surrogate in UTF-8": b'{"user_id": "\xed\xa0\x80"}',
    "a name twice": b'{"amount": 1, "amount": 50}',
    "a name twice, once escaped": b'{"amount": 1, "\\u0061mount": 50}',
    "a name twice deep inside": b'{"a": [{"b": 1, "b": 1}]}',
    "NaN": b'{"amount": NaN}',
    "Infinity": b'{"amount": Infinity}',
    "-Infinity": b'{"amount": -Infinity}',
    "1e400": b'{"amount": 1e400}',
    "-1e400": b'{"amount": -1e400}',
    "2 to the 64": b'{"amount": 18446744073709551616}',
    "below 64 bits": b'{"amount": -9223372036854775809}',
    "a thousand digits": b'{"amount": ' + b"1" * 1_000 + b"}",
    "ten thousand digits": b'{"amount": ' + b"1" * 10_000 + b"}",
    "ten thousand decimals": b'{"amount": 1.' + b"1" * 10_000 + b"}",
    "33 levels": levels(33),
    "33 levels of arrays": levels(33, kind="array"),
    "100,000 levels": levels(100_000),
    "100,000 arrays that never end": b'{"a":' + b"[" * 100_000,
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"user_id": "alice"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"user_id": "alice"}'.encode("utf-16-le"),
    "UTF-32": '{"user_id": "alice"}'.encode("utf-32"),
    "Latin-1": '{"user_id": "é"}'.encode("latin-1"),
    "an overlong slash": b'{"user_id": "\xc0\xaf"}',
    "an array": b"[]",
    "a string": b'"alice"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "two objects": b"{}{}",
    "white space": b" \n",
    "cut off": b'{"user_id": "alice"',
    "a comma too many": b'{"amount": 1,}',
    "single quotes": b"{'amount': 1}",
    "no quotes": b"{amount: 1}",
    "a comment": b'{"amount": 1} // one',
    "a raw line break in a string": b'{"user_id": "a\nb"}',
    "an unknown escape": b'{"user_id": "\\x41"}',
    "hexadecimal": b'{"amount": 0x10}',
    "a leading zero": b'{"amount": 01}',
    "a plus sign": b'{"amount": +1}',
    "form data": b"user_id=alice&amount=1",
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_a_bad_body_is_a_400_and_never_a_500(alice: User, as_imagegene: ApiClient, body: bytes) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, raw=body)

    assert response.status_code == 400, response.content
    answer = response.json()
    assert (answer["success"], answer["error"], answer["code"]) == (False, "Invalid JSON", "invalid_json")
    assert answer["details"]
    assert everything_of(alice) == before


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
def test_no_body_at_all_is_a_400(alice: User, as_imagegene: ApiClient, headers: dict[str, str]) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, raw=b"", headers=headers)

    assert response.status_code == 400
    assert response.json()["success"] is False
    assert everything_of(alice) == before


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}])
def test_a_bad_body_is_a_400_with_an_idempotency_key_too(
    alice: User, as_imagegene: ApiClient, headers: dict[str, str]
) -> None:
    assert as_imagegene.post(ROUTE, raw=b'{"a": NaN}', headers=headers).json()["code"] == "invalid_json"


WANTED = b'{"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "One"}'


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/octet-stream",
        "application",
        "*/*",
    ],
)
def test_another_media_type_is_a_415(alice: User, as_imagegene: ApiClient, content_type: str) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, raw=WANTED, headers={"Content-Type": content_type})

    assert response.status_code == 415
    answer = response.json()
    assert (answer["success"], answer["code"]) == (False, "unsupported_media_type")
    assert answer["error"] == "Unsupported media type"
    assert everything_of(alice) == before


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
def test_json_is_taken_under_all_of_its_names(alice: User, as_imagegene: ApiClient, content_type: str) -> None:
    assert as_imagegene.post(ROUTE, raw=WANTED, headers={"Content-Type": content_type}).status_code == 200


def test_a_body_that_was_packed_is_a_415(alice: User, as_imagegene: ApiClient) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, raw=gzip.compress(WANTED), headers={"Content-Encoding": "gzip"})

    assert response.status_code == 415
    assert response.json()["code"] == "unsupported_media_type"
    assert everything_of(alice) == before


def test_the_largest_numbers_and_deepest_objects_can_be_kept(alice: User, as_imagegene: ApiClient) -> None:
    """What the parser lets through, the database takes."""
    metadata: dict[str, Any] = {"low": -(2**63), "high": 2**63 - 1, "text": "\x01\u2028\U0010ffff"}
    metadata["deep"] = json.loads(levels(29))

    response = as_imagegene.post(
        "save-project",
        user_id="alice",
        app_source="imagegene",
        project_type="page",
        title="A title",
        content="text",
        metadata=metadata,
    )

    assert response.status_code == 201
    (project,) = as_imagegene.get("projects", user_id="alice").json()["all_projects"]
    assert project["metadata"] == metadata
