"""POST save-project: what is answered and written, text, and what is refused. Pictures and limits: see beside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import App, User
from tests.api.conftest import everything_of
from tests.client import ApiClient
from workspace import codes
from workspace.models import AppStorage, Project, Storage
from workspace.queries import plain

ROUTE = "save-project"


def body(**changes: Any) -> dict[str, Any]:
    return {
        "user_id": "alice",
        "app_source": "imagegene",
        "project_type": "ai_art",
        "title": "Generated Landscape Art",
        "content": "A mountain at sunset",
        **changes,
    }


def kept(response: Any) -> tuple[Project, bytes]:
    """The row that the answer speaks of, and its bytes."""
    assert response.status_code == 201, response.content
    project = Project.objects.get(code=response.json()["project_code"])
    return project, plain(project.content)


def test_a_project_is_answered_and_written_whole(alice: User, imagegene: App, as_imagegene: ApiClient) -> None:
    metadata = {"style": "photorealistic", "seed": 7, "tags": ["a", None, True, 1.5], "nested": {"é": "ü"}}

    response = as_imagegene.post(ROUTE, body(metadata=metadata))

    assert response.status_code == 201
    answer = response.json()
    project, content = kept(response)
    assert answer == {
        "success": True,
        "project_code": project.code,
        "title": "Generated Landscape Art",
        "size_mb": 0.0001,
        "app_source": "imagegene",
        "size_bytes": 20,
        "content_type": "text/plain; charset=utf-8",
        "original_bytes": 20,
        "image": None,
        "etag": f'"{project.code}-1"',
        "storage_stats": {
            "used_mb": 0.0001,
            "limit_mb": 1.0,
            "available_mb": 0.9999,
            "usage_percentage": 0.0,
            "used_bytes": 20,
            "limit_bytes": 1_048_576,
            "available_bytes": 1_048_556,
            "reserved_bytes": 0,
        },
    }
    assert content == b"A mountain at sunset"
    assert (project.user, project.app, project.project_type) == (alice, imagegene, "ai_art")
    assert (project.title, project.size_bytes, project.original_bytes) == ("Generated Landscape Art", 20, 20)
    assert project.metadata == metadata


def test_a_code_is_six_unambiguous_upper_case_characters(alice: User, as_imagegene: ApiClient) -> None:
    found = [as_imagegene.post(ROUTE, body()).json()["project_code"] for _ in range(20)]

    assert len(set(found)) == 20
    for code in found:
        assert len(code) == 6
        assert set(code) <= set(codes.ALPHABET)
    assert not set(codes.ALPHABET) & set("ILOU")
    assert codes.ALPHABET.upper() == codes.ALPHABET


def test_the_counters_follow_every_project_of_every_app(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    as_imagegene.post(ROUTE, body(content="x" * 100))
    as_imagegene.post(ROUTE, body(content="x" * 11))
    as_penora.post(ROUTE, body(content="x" * 1_000, app_source="penora"))

    storage = Storage.objects.get(user=alice)
    assert (storage.used_bytes, storage.project_count, storage.reserved_bytes) == (1_111, 3, 0)
    by_app = AppStorage.objects.filter(storage=storage).values_list("app__slug", "used_bytes", "project_count")
    assert sorted(by_app) == [("imagegene", 111, 2), ("penora", 1_000, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        " ",
        "\n",
        "  leading and trailing  \n",
        "one\r\ntwo\rthree\nfour",
        "\tTabs\tand \x0b \x1b[31m",
        "# Überschrift\n\n- é è ê – “quotes” 日本語 العربية 👩‍🎨",
        "e\u0301 is not é",
        "\ufeffbegins with a BOM",
        "<script>alert(1)</script>",
        '{"json": "as text"}',
        "\u2028\u2029\u0085",
    ],
)
def test_text_is_kept_exactly_and_counts_as_its_utf8_length(alice: User, as_imagegene: ApiClient, text: str) -> None:
    response = as_imagegene.post(ROUTE, body(content=text))

    project, content = kept(response)
    assert content == text.encode()
    assert response.json()["size_bytes"] == project.size_bytes == len(text.encode())
    assert response.json()["original_bytes"] == len(text.encode())
    assert response.json()["content_type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "text",
    [
        "data:",
        "data: the new oil",
        "data:hello, world",
        "data:text/plain;base64",
        "data: text/plain,hello",
        "database: postgres, of course",
        "iVBORw0KGgo is how every PNG begins",
        "AAAA",
        "AAAAAAAAAAAAAAAA",
        "UklGRg==",
        "dGhpcyBpcyBiYXNlNjQgb2YgYSB0ZXh0",
        "JVBERi0xLjcK",
        "deadbeef",
    ],
)
def test_text_that_looks_like_something_else_is_still_a_text(alice: User, as_imagegene: ApiClient, text: str) -> None:
    project, content = kept(as_imagegene.post(ROUTE, body(content=text)))

    assert content == text.encode()
    assert project.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("uri", "content_type", "kept_as"),
    [
        ("data:text/plain;base64,aGVsbG8=", "text/plain", b"hello"),
        ("data:text/plain;base64,aGVsbG8", "text/plain", b"hello"),
        ("data:text/plain;charset=utf-8;base64,w6k=", "text/plain", "é".encode()),
        ("data:,hello%2C%20world%0A", "text/plain", b"hello, world\n"),
        ("data:text/markdown,%23%20Title", "text/markdown", b"# Title"),
        ("data:text/plain,a+b", "text/plain", b"a+b"),
        ("data:text/plain,%C3%A9é", "text/plain", "éé".encode()),
        ("DATA:Text/Plain;BASE64,aGVsbG8=", "text/plain", b"hello"),
        ("data:application/json,%7B%7D", "application/json", b"{}"),
    ],
)
def test_a_data_uri_of_a_text_is_the_text(
    alice: User, as_imagegene: ApiClient, uri: str, content_type: str, kept_as: bytes
) -> None:
    response = as_imagegene.post(ROUTE, body(content=uri))

    project, content = kept(response)
    assert content == kept_as
    assert project.size_bytes == response.json()["size_bytes"] == len(kept_as)
    assert project.content_type.partition(";")[0] == content_type


@pytest.mark.parametrize(
    "uri",
    [
        "data:application/pdf;base64,JVBERi0xLjcK",
        "data:application/octet-stream;base64,AAEC",
        "data:video/mp4;base64,AAEC",
        "data:text/plain;base64,%%%",
        "data:text/plain;base64,a",
        "data:text/plain;base64,aGVsbG8=!",
        "data:text/plain,%FF%FE",
        "data:text/plain;base64,//8=",
        "data:,",
        f"data:text/{'x' * 300},hello",
        f"data:text/{'x' * 90};base64,aGVsbG8=",
    ],
)
def test_a_data_uri_of_anything_else_is_refused(alice: User, as_imagegene: ApiClient, uri: str) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(content=uri))

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == ["content"]
    assert everything_of(alice) == before


@pytest.mark.usefixtures("within_a_minute")
def test_a_long_text_that_begins_like_a_picture_holds_nobody_up(alice: User, as_imagegene: ApiClient) -> None:
    """A pattern that backtracks would look at each of a million characters a million times, and hold its worker."""
    kept(as_imagegene.post(ROUTE, body(content="AAAA" + "\n" * 1_000_000 + "!")))


def test_metadata_is_up_to_eight_kilobytes(alice: User, as_imagegene: ApiClient) -> None:
    """Counted as compact JSON in UTF-8: {"k":"…"} is 8 bytes around the value."""
    fits, over = {"k": "é" * 4_092}, {"k": "é" * 4_092 + "x"}
    assert len(json.dumps(fits, ensure_ascii=False, separators=(",", ":")).encode()) == 8_192

    assert kept(as_imagegene.post(ROUTE, body(metadata=fits)))[0].metadata == fits
    before = everything_of(alice)
    response = as_imagegene.post(ROUTE, body(metadata=over))
    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["metadata"]
    assert everything_of(alice) == before


def test_metadata_is_as_large_as_it_comes_back(alice: User, as_imagegene: ApiClient) -> None:
    """Eight kilobytes of numbers with an exponent would be over 300 KB in every listing: PostgreSQL writes them out."""
    response = as_imagegene.post(ROUTE, body(metadata={"k": [1e300] * 1_000}))

    listing = as_imagegene.get("projects", user_id="alice")
    assert len(listing.content) < 4 * 8_192
    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["metadata"]


def test_metadata_takes_no_room(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post(ROUTE, body(content="x", metadata={"k": "x" * 8_000}))

    assert Storage.objects.get(user=alice).used_bytes == 1


@pytest.mark.parametrize("left_out", [True, False])
def test_metadata_may_be_left_out_or_empty(alice: User, as_imagegene: ApiClient, left_out: bool) -> None:
    wanted = body() if left_out else body(metadata={})

    assert kept(as_imagegene.post(ROUTE, wanted))[0].metadata == {}


@pytest.mark.parametrize("title", ["x", "x" * 200, "é" * 200, "  padded  ", "👩‍🎨 <b>", "' OR 1=1 --"])
def test_a_title_of_up_to_two_hundred_characters_is_kept_exactly(
    alice: User, as_imagegene: ApiClient, title: str
) -> None:
    response = as_imagegene.post(ROUTE, body(title=title))

    assert kept(response)[0].title == response.json()["title"] == title


WRONG: list[tuple[str, Any]] = [
    *(("title", value) for value in ("", "x" * 201, 7, True, None, [], {})),
    *(("content", value) for value in ("", 7, True, None, [], {})),
    *(("project_type", value) for value in ("", "x" * 65, "a\nb", 7, True, None, [], {})),
    *(("metadata", value) for value in ("", "{}", 7, True, [], [1])),
    *(("app_source", value) for value in ("", "nobody", "Imagegene", 7, True, None, [], {})),
    *(("user_id", value) for value in ("", "x" * 256, "a\nb", 7, True, None, [], {})),
    *(("compression", value) for value in ("", "zip", "AUTO", 7, True, None, [], {})),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_field_of_the_wrong_kind_is_named(alice: User, as_imagegene: ApiClient, field: str, value: Any) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(**{field: value}))

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == [field]
    assert everything_of(alice) == before


def test_all_missing_fields_are_named_at_once(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, {})

    assert response.status_code == 400
    assert sorted(response.json()["fields"]) == ["app_source", "content", "project_type", "title", "user_id"]


def test_nobody_by_this_id_is_a_404(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(user_id="nobody"))

    assert response.status_code == 404
    assert (response.json()["code"], response.json()["user_id"]) == ("user_not_found", "nobody")
    assert not Project.objects.exists()


def test_an_app_cannot_save_in_the_name_of_another(alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    response = as_penora.post(ROUTE, body())

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"
    assert everything_of(alice) == before


def test_nothing_is_kept_for_a_deactivated_person(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body())

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"
    assert everything_of(alice) == before


def test_a_repeat_with_the_same_key_keeps_one_project(alice: User, as_imagegene: ApiClient) -> None:
    first = as_imagegene.post(ROUTE, body(), headers={"Idempotency-Key": "k1"})
    second = as_imagegene.post(ROUTE, body(), headers={"Idempotency-Key": "k1"})

    assert second.status_code == first.status_code == 201
    assert second.content == first.content
    assert second["Idempotent-Replayed"] == "true"
    assert Project.objects.filter(user=alice).count() == 1
