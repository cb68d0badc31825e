"""GET projects."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import App, User
from tests.api.conftest import STAMP, everything_of
from tests.api.pictures import as_base64, draw
from tests.client import ApiClient
from workspace.models import Project

ROUTE = "projects"


@pytest.fixture
def save(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> Any:
    """Saves for alice, as the app named, and returns the code."""

    def save(app: str, title: str, **changes: Any) -> str:
        client = {"penora": as_penora, "imagegene": as_imagegene}[app]
        wanted = {"user_id": "alice", "app_source": app, "project_type": "page", "title": title, "content": "text"}
        code: str = client.post("save-project", {**wanted, **changes}).json()["project_code"]
        return code

    return save


def titles(projects: list[dict[str, Any]]) -> list[str]:
    return [project["title"] for project in projects]


def test_a_project_is_listed_as_it_was_saved(save: Any, as_penora: ApiClient) -> None:
    picture = draw("PNG")
    code = save(
        "imagegene",
        "Sunset",
        project_type="ai_art",
        content=as_base64(picture),
        metadata={"style": "poster", "n": [1, {"deep": None}]},
        compression="none",
    )

    response = as_penora.get(ROUTE, user_id="alice")

    assert response.status_code == 200
    (project,) = response.json()["all_projects"]
    assert re.fullmatch(STAMP, project["created_at"])
    assert re.fullmatch(STAMP, project["updated_at"])
    assert f"/api/unified/projects/{code}/content" in project["content_url"]
    assert project == {
        "code": code,
        "title": "Sunset",
        "project_type": "ai_art",
        "app_source": "imagegene",
        "size_mb": 0.0001,
        "size_bytes": len(picture),
        "content_type": "image/png",
        "original_bytes": len(picture),
        "width": 24,
        "height": 16,
        "lossless": True,
        "etag": f'"{code}-1"',
        "metadata": {"style": "poster", "n": [1, {"deep": None}]},
        "created_at": project["created_at"],
        "updated_at": project["updated_at"],
        "content_url": project["content_url"],
        "thumbnail_url": project["thumbnail_url"],
    }


def test_both_apps_see_all_projects_newest_first(save: Any, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    for app, title in (("penora", "one"), ("imagegene", "two"), ("penora", "three")):
        save(app, title)

    for client in (as_penora, as_imagegene):
        answer = client.get(ROUTE, user_id="alice").json()
        assert answer["success"] is True
        assert titles(answer["all_projects"]) == ["three", "two", "one"]
        assert titles(answer["penora_projects"]) == ["three", "one"]
        assert titles(answer["imagegene_projects"]) == ["two"]
        assert (answer["total_count"], answer["penora_count"], answer["imagegene_count"]) == (3, 2, 1)
        assert answer["storage_stats"]["used_bytes"] == 12


def test_with_a_filter_the_other_apps_list_is_empty(save: Any, as_penora: ApiClient) -> None:
    save("penora", "one")
    save("imagegene", "two")

    answer = as_penora.get(ROUTE, user_id="alice", app="imagegene").json()

    assert titles(answer["all_projects"]) == titles(answer["imagegene_projects"]) == ["two"]
    assert answer["penora_projects"] == []
    assert answer["storage_stats"]["used_bytes"] == 8


@pytest.mark.parametrize("app", ["nobody", "Penora", " penora", "penora,imagegene", "*"])
def test_an_unknown_app_is_refused(alice: User, as_penora: ApiClient, app: str) -> None:
    response = as_penora.get(ROUTE, user_id="alice", app=app)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["app"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("lisbon", ["A week in Lisbon"]),
        ("WEEK", ["A week in Lisbon"]),
        ("é", ["Émile's café, 100 %"]),
        ("%", ["Émile's café, 100 %"]),
        ("_", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("'", ["Émile's café, 100 %"]),
        ("nowhere", []),
    ],
)
def test_a_search_finds_titles_by_their_letters_and_by_nothing_else(
    save: Any, as_penora: ApiClient, q: str, found: list[str]
) -> None:
    for title in ("A week in Lisbon", "Émile's café, 100 %", "snake_case", "back\\slash"):
        save("penora", title)

    answer = as_penora.get(ROUTE, user_id="alice", q=q).json()

    assert titles(answer["all_projects"]) == found
    assert answer["total_count"] == len(found)


def test_projects_of_one_type_can_be_listed(save: Any, as_penora: ApiClient) -> None:
    save("penora", "one", project_type="page")
    save("penora", "two", project_type="file")

    assert titles(as_penora.get(ROUTE, user_id="alice", project_type="file").json()["all_projects"]) == ["two"]


def test_pages_hold_every_project_once_and_the_counts_do_not_depend_on_them(save: Any, as_penora: ApiClient) -> None:
    saved = [save(app, str(number)) for number, app in enumerate(["penora", "imagegene", "penora"] * 2)]

    found: list[str] = []
    cursor: dict[str, Any] = {}
    for size in (2, 2, 2):
        answer = as_penora.get(ROUTE, user_id="alice", limit=2, **cursor).json()
        assert len(answer["all_projects"]) == size
        assert (answer["total_count"], answer["penora_count"], answer["imagegene_count"]) == (6, 4, 2)
        assert len(answer["penora_projects"]) + len(answer["imagegene_projects"]) == size
        found += [project["code"] for project in answer["all_projects"]]
        cursor = {"cursor": answer["next_cursor"]}
    assert answer["next_cursor"] is None
    assert found == saved[::-1]


def test_a_project_saved_between_two_pages_shifts_nothing(save: Any, as_penora: ApiClient) -> None:
    for title in ("one", "two", "three"):
        save("penora", title)
    first = as_penora.get(ROUTE, user_id="alice", limit=2).json()

    save("penora", "four")

    second = as_penora.get(ROUTE, user_id="alice", limit=2, cursor=first["next_cursor"]).json()
    assert titles(second["all_projects"]) == ["one"]


def test_without_a_limit_all_are_listed(alice: User, penora: App, as_penora: ApiClient) -> None:
    Project.objects.bulk_create(
        Project(
            user=alice,
            app=penora,
            code=f"{number:06}",
            title=str(number),
            project_type="page",
            content_type="text/plain",
            size_bytes=1,
            original_bytes=1,
        )
        for number in range(501)
    )

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert len(answer["all_projects"]) == answer["total_count"] == 501
    assert answer["next_cursor"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("limit", value) for value in ("0", "501", "-1", "1.0", "x", "1e2", "٣", " 1", "9" * 30)),
        *(("cursor", value) for value in ("x", "!", "é", "cHJvamVjdHM6", "cHJvamVjdHM6LTE", "9" * 5_000)),
        *(("q", value) for value in ("a\x00b", "x" * 201)),
        *(("project_type", value) for value in ("a\x00b", "x" * 65)),
        ("app", "pen\x00ora"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(alice: User, as_penora: ApiClient, field: str, value: str) -> None:
    response = as_penora.get(ROUTE, user_id="alice", **{field: value})

    assert response.status_code == 400
    assert list(response.json()["fields"]) == [field]


def test_an_empty_parameter_is_one_that_was_left_out(save: Any, as_penora: ApiClient) -> None:
    code = save("penora", "one")

    answer = as_penora.get(ROUTE, user_id="alice", app="", q="", project_type="", limit="", cursor="").json()

    assert [project["code"] for project in answer["all_projects"]] == [code]


def test_a_cursor_of_another_list_is_refused(alice: User, as_penora: ApiClient) -> None:
    as_penora.post("deduct-credits", user_id="alice", amount=1, app_name="penora", description="One page")
    other = as_penora.get("transactions", user_id="alice", limit=1).json()["next_cursor"]

    response = as_penora.get(ROUTE, user_id="alice", limit=1, cursor=other)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["cursor"]


def test_other_peoples_projects_are_not_listed(save: Any, bob: User, as_penora: ApiClient) -> None:
    save("penora", "one")

    answer = as_penora.get(ROUTE, user_id="bob").json()

    assert (answer["all_projects"], answer["total_count"]) == ([], 0)


def test_nobody_by_this_id_is_a_404(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="nobody")

    assert response.status_code == 404
    assert (response.json()["code"], response.json()["user_id"]) == ("user_not_found", "nobody")


def test_the_listing_never_reads_content_and_costs_the_same_for_any_number(save: Any, as_penora: ApiClient) -> None:
    save("penora", "one")
    with CaptureQueriesContext(connection) as few:
        as_penora.get(ROUTE, user_id="alice")
    for number in range(5):
        save("penora", str(number), content="x" * 10_000)
    with CaptureQueriesContext(connection) as many:
        as_penora.get(ROUTE, user_id="alice")

    assert len(many) == len(few)
    assert not any("workspace_projectcontent" in query["sql"] for query in many.captured_queries)


def test_a_further_app_has_its_own_keys_at_once(save: Any, as_penora: ApiClient) -> None:
    App.objects.create(slug="sketch_pad", name="Sketch Pad")

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert (answer["sketch_pad_projects"], answer["sketch_pad_count"]) == ([], 0)


def test_listing_changes_nothing(alice: User, save: Any, as_penora: ApiClient) -> None:
    save("penora", "one")
    before = everything_of(alice)

    as_penora.get(ROUTE, user_id="alice")

    assert everything_of(alice) == before
