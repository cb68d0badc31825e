"""GET projects/{code}: a project with its content, for whichever app asks. Codes that are none: test_unknown_codes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.api.conftest import everything_of
from tests.api.pictures import MEDIA_TYPES, as_base64, draw
from tests.api.projects import code_of, save
from tests.client import ApiClient
from unified.api import content_urls

LOCALHOST = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


def tag(code: str, version: int) -> str:
    """Of an answer, whose signed addresses change with time: of the project's version, and of their period."""
    return f'"{code}-{version}.{content_urls.period()}"'


def test_what_was_known_before_the_addresses_changed_is_read_again(
    alice: User, as_penora: ApiClient, settings: Any
) -> None:
    """Seen to fail with the version alone as the tag: 304, and the address that the client had kept was over."""
    code = code_of(as_penora)
    before = as_penora.get(f"projects/{code}", user_id="alice")["ETag"]
    settings.CONTENT_URL_SECONDS += 7  # another period

    response = as_penora.get(f"projects/{code}", user_id="alice", headers={"If-None-Match": before})

    assert response.status_code == 200
    edited = as_penora.patch(f"projects/{code}", user_id="alice", title="New", headers={"If-Match": before})
    assert edited.status_code == 200  # it is still the same version


def test_a_text_comes_with_all_that_a_listing_says_and_its_content(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    code = code_of(as_penora, title="Lisbon", content="Azulejos", metadata={"tags": ["é", None, 1.5]})
    (listed,) = as_penora.get("projects", user_id="alice").json()["all_projects"]

    for client in (as_penora, as_imagegene):
        response = client.get(f"projects/{code}", user_id="alice")

        assert response.status_code == 200
        assert response.json() == {
            "success": True,
            "project": {**listed, "content": "Azulejos", "content_encoding": "text"},
        }
        assert listed["etag"] == f'"{code}-1"'
        assert response["ETag"] == tag(code, 1)


@pytest.mark.parametrize("text", ["é\r\n\t “日本語” 👩‍🎨", " ", '{"json": 1}', "Ein Absatz. " * 2_000])
def test_a_text_comes_exactly_as_it_was_sent(alice: User, as_penora: ApiClient, text: str) -> None:
    code = code_of(as_penora, content=text)

    project = as_penora.get(f"projects/{code}", user_id="alice").json()["project"]

    assert (project["content"], project["content_encoding"]) == (text, "text")
    assert project["size_bytes"] == len(text.encode())
    assert (project["width"], project["height"], project["lossless"]) == (None, None, None)
    assert project["thumbnail_url"] is None


@pytest.mark.parametrize("kind", MEDIA_TYPES)
def test_a_picture_comes_as_base64_with_its_own_type(alice: User, as_imagegene: ApiClient, kind: str) -> None:
    picture = draw(kind)
    code = code_of(as_imagegene, "imagegene", content=as_base64(picture), compression="none")

    project = as_imagegene.get(f"projects/{code}", user_id="alice").json()["project"]

    assert project["content_encoding"] == "base64"
    assert base64.b64decode(project["content"], validate=True) == picture
    assert (project["content_type"], project["width"], project["height"]) == (MEDIA_TYPES[kind], 24, 16)


def test_what_is_got_can_be_saved_again_as_it_is(alice: User, as_imagegene: ApiClient) -> None:
    code = code_of(as_imagegene, "imagegene", content=as_base64(draw("PNG")))
    first = as_imagegene.get(f"projects/{code}", user_id="alice").json()["project"]

    again = save(as_imagegene, "imagegene", content=first["content"], compression="none")

    second = as_imagegene.get(f"projects/{again['project_code']}", user_id="alice").json()["project"]
    assert (second["content"], second["content_type"]) == (first["content"], first["content_type"])


@pytest.mark.parametrize("known", ["{tag}", "W/{tag}", '"other", {tag}', "*", " * ", '"x",{tag} , W/"y"'])
def test_a_version_that_is_known_is_a_304(alice: User, as_penora: ApiClient, known: str) -> None:
    code = code_of(as_penora)

    response = as_penora.get(
        f"projects/{code}", user_id="alice", headers={"If-None-Match": known.format(tag=tag(code, 1))}
    )

    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == tag(code, 1)
    assert "Content-Type" not in response


@pytest.mark.parametrize(
    "known", ['"{code}-2"', '"{code}-11"', "{code}-1", '"{lower}-1"', '"', "", "W/*", '"{code}-1', "é" * 50]
)
def test_another_version_or_no_tag_at_all_is_answered_whole(alice: User, as_penora: ApiClient, known: str) -> None:
    code = "1"
    while code.isdigit():  # one that has a lower case
        code = code_of(as_penora)
    header = known.format(code=code, lower=code.lower())

    response = as_penora.get(f"projects/{code}", user_id="alice", headers={"If-None-Match": header})

    assert (response.status_code, response.json()["project"]["content"]) == (200, "text")


def test_an_edit_makes_what_was_known_old(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    code = code_of(as_penora)
    known = as_imagegene.get(f"projects/{code}", user_id="alice")["ETag"]
    as_penora.patch(f"projects/{code}", user_id="alice", title="Renamed")

    response = as_imagegene.get(f"projects/{code}", user_id="alice", headers={"If-None-Match": known})

    assert (response.status_code, response.json()["project"]["title"]) == (200, "Renamed")
    assert response["ETag"] == tag(code, 2)
    assert response.json()["project"]["etag"] == f'"{code}-2"'


def test_a_304_reads_no_content(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)

    with CaptureQueriesContext(connection) as asked:
        as_penora.get(f"projects/{code}", user_id="alice", headers={"If-None-Match": tag(code, 1)})
    with CaptureQueriesContext(connection) as whole:
        as_penora.get(f"projects/{code}", user_id="alice")

    def reads(captured: CaptureQueriesContext) -> list[str]:
        return [query["sql"] for query in captured if '"workspace_projectcontent"."body"' in query["sql"]]

    assert reads(asked) == []
    assert len(reads(whole)) == 1


def test_it_may_be_kept_by_the_caller_alone_and_is_asked_for_again(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(f"projects/{code_of(as_penora)}", user_id="alice")

    assert response["Cache-Control"] == "private, no-cache"
    assert not response.cookies


def test_reading_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    before = everything_of(alice)

    as_penora.get(f"projects/{code}", user_id="alice")

    assert everything_of(alice) == before


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "x" * 256}, {"user_id": "a\nb"}])
def test_the_person_has_to_be_named(alice: User, as_penora: ApiClient, query: dict[str, Any]) -> None:
    response = as_penora.get(f"projects/{code_of(as_penora)}", **query)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["user_id"]


def test_a_deactivated_persons_projects_can_be_read(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert as_penora.get(f"projects/{code}", user_id="alice").json()["project"]["content"] == "text"
    assert as_penora.get("trash", user_id="alice").status_code == 200


def test_no_key_no_project(alice: User, as_penora: ApiClient, anonymous: ApiClient) -> None:
    response = anonymous.get(f"projects/{code_of(as_penora)}", user_id="alice")

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_on_a_developers_own_machine_no_key_is_needed(
    alice: User, as_penora: ApiClient, anonymous: ApiClient, settings: Any
) -> None:
    code = code_of(as_penora)
    settings.DEBUG = settings.QUICKSTART_OPEN = True

    response = anonymous.request("GET", f"/api/unified/projects/{code}?user_id=alice", **LOCALHOST)

    assert (response.status_code, response.json()["project"]["content"]) == (200, "text")
    assert response["X-Unified-Auth"] == "quickstart-open"


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_another_method_is_told_which_there_are(alice: User, as_penora: ApiClient, method: str) -> None:
    code = code_of(as_penora)

    response = as_penora.request(
        method, f"/api/unified/projects/{code}", data=b'{"user_id": "alice"}', content_type="application/json"
    )

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "PATCH", "DELETE"} <= set(response["Allow"].split(", "))


def test_a_head_has_the_headers_and_no_body(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)

    response = as_penora.request("HEAD", f"/api/unified/projects/{code}?user_id=alice")

    assert (response.status_code, response.content, response["ETag"]) == (200, b"", tag(code, 1))
