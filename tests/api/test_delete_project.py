"""DELETE projects/{code}: into the trash, which frees the room at once. If-Match: test_edit_conflicts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import everything_of, refused, tripwire
from tests.api.pictures import as_base64, draw
from tests.api.projects import MEGABYTE, code_of, codes_of_sizes, counters, deleted, row, text
from tests.client import ApiClient
from unified.api.figures import timestamp
from workspace.models import Project, ProjectContent

LOCALHOST = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


def test_a_deletion_is_answered_and_written_whole(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    code, _ = codes_of_sizes(as_penora, 1_000, 50)
    codes_of_sizes(as_imagegene, 7, app="imagegene")
    before = Project.objects.values().get(code=code)

    response = as_imagegene.delete(f"projects/{code}", user_id="alice")

    project = row(code)
    assert project.deleted_at is not None
    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "project_code": code,
        "title": "1000 bytes",
        "freed_bytes": 1_000,
        "restorable_until": timestamp(project.deleted_at + timedelta(days=7)),
        "storage_stats": as_penora.get("storage-stats", user_id="alice").json()["storage_stats"],
    }
    assert response.json()["storage_stats"]["used_bytes"] == 57
    assert Project.objects.values().get(code=code) == {**before, "deleted_at": project.deleted_at}
    assert ProjectContent.objects.filter(project=project).exists()
    assert counters(alice) == {"all": (57, 2), "trash": (1_000, 1), "penora": (50, 1), "imagegene": (7, 1)}


def test_it_works_in_a_workspace_that_is_full_and_its_room_is_free_at_once(alice: User, as_penora: ApiClient) -> None:
    code, _ = codes_of_sizes(as_penora, 1_000, MEGABYTE - 1_000)

    assert deleted(as_penora, code)["storage_stats"]["available_bytes"] == 1_000

    codes_of_sizes(as_penora, 1_000)
    assert counters(alice) == {"all": (MEGABYTE, 2), "trash": (1_000, 1), "penora": (MEGABYTE, 2)}


def test_it_works_when_all_of_the_rest_is_reserved(alice: User, as_imagegene: ApiClient) -> None:
    (code,) = codes_of_sizes(as_imagegene, 1_000, app="imagegene")
    hold = {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "A picture"}
    as_imagegene.post("reserve-credits", {**hold, "storage_bytes": MEGABYTE - 1_000})

    stats = deleted(as_imagegene, code)["storage_stats"]

    assert (stats["available_bytes"], stats["reserved_bytes"]) == (1_000, MEGABYTE - 1_000)


def test_it_makes_a_place_where_there_are_as_many_projects_as_may_be(
    alice: User, as_penora: ApiClient, settings: Any
) -> None:
    settings.MAX_PROJECTS_PER_USER = 2
    code, _ = codes_of_sizes(as_penora, 1, 2)

    deleted(as_penora, code)

    codes_of_sizes(as_penora, 3)
    assert counters(alice)["all"] == (5, 2)


def test_it_is_gone_from_everywhere_but_the_trash(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient, anonymous: ApiClient
) -> None:
    code = code_of(as_imagegene, "imagegene", content=as_base64(draw("PNG")), title="Sunset")
    (listed,) = as_penora.get("projects", user_id="alice").json()["all_projects"]
    addresses = [listed["content_url"], listed["thumbnail_url"]]
    assert [anonymous.client.get(address).status_code for address in addresses] == [200, 200]

    deleted(as_penora, code)

    assert [anonymous.client.get(address).status_code for address in addresses] == [404, 404]
    for route in (f"projects/{code}", f"projects/{code}/content", f"projects/{code}/thumbnail"):
        response = as_imagegene.get(route, user_id="alice")
        assert (response.status_code, response.json()["code"]) == (404, "project_not_found")
        known = as_imagegene.get(route, user_id="alice", headers={"If-None-Match": "*"})
        assert known.status_code == 404
    for query in ({}, {"app": "imagegene"}, {"q": "Sunset"}, {"limit": 5}, {"project_type": "page"}):
        answer = as_penora.get("projects", user_id="alice", **query).json()
        assert (answer["all_projects"], answer["imagegene_projects"], answer["total_count"]) == ([], [], 0)
        assert answer["imagegene_count"] == 0
    stats = as_penora.get("storage-stats", user_id="alice").json()
    assert stats["storage_stats"]["used_bytes"] == stats["breakdown"]["imagegene_bytes"] == 0
    assert (stats["breakdown"]["total_projects"], stats["breakdown"]["largest"]) == (0, [])
    info = as_penora.get("user-info", user_id="alice").json()
    assert info["storage"] == stats["storage_stats"]
    assert [item["code"] for item in as_penora.get("trash", user_id="alice").json()["projects"]] == [code]


def test_a_refusal_for_want_of_room_does_not_name_it_either(alice: User, as_penora: ApiClient) -> None:
    first, second = codes_of_sizes(as_penora, 600_000, 100)
    deleted(as_penora, first)

    wanted = {"user_id": "alice", "app_source": "penora", "project_type": "page", "title": "T"}
    response = as_penora.post("save-project", {**wanted, "content": text(MEGABYTE)})

    assert [item["code"] for item in response.json()["largest"]] == [second]


def test_again_is_a_404_and_changes_nothing(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)

    for client in (as_penora, as_imagegene):
        answer = refused(
            client,
            f"projects/{code}",
            {"user_id": "alice"},
            about=alice,
            method="delete",
            status=404,
            code="project_not_found",
        )
        assert answer["project_code"] == code
    patch = {"user_id": "alice", "title": "No"}
    for wanted in (patch, {**patch, "content": "No"}):
        refused(
            as_penora,
            f"projects/{code}",
            wanted,
            about=alice,
            method="patch",
            status=404,
            code="project_not_found",
        )


def test_an_idempotency_key_means_nothing_here(alice: User, as_penora: ApiClient) -> None:
    """It belongs to POST; a deletion is told from its repeat by the 404."""
    code, key = code_of(as_penora), {"Idempotency-Key": "k1"}

    answers = [as_penora.delete(f"projects/{code}", user_id="alice", headers=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 404]
    assert everything_of(alice)["keys"] == 0


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "x" * 256}, {"user_id": "a\nb"}])
def test_the_person_has_to_be_named(alice: User, as_penora: ApiClient, query: dict[str, Any]) -> None:
    refused(as_penora, f"projects/{code_of(as_penora)}", query, about=alice, method="delete", field="user_id")


def test_nothing_is_deleted_of_a_deactivated_person(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    wanted = {"user_id": "alice"}
    route, how = f"projects/{code}", {"about": alice, "status": 403, "code": "permission_denied"}
    refused(as_penora, route, wanted, method="delete", **how)
    refused(as_penora, "trash", wanted, method="delete", **how)
    refused(as_penora, f"{route}/restore", wanted, **how)
    refused(as_penora, "cleanup", {**wanted, "free_bytes": 1}, **how)
    refused(as_penora, "cleanup", {**wanted, "codes": [code]}, **how)


@pytest.mark.parametrize("table", ["workspace_project", "workspace_storage", "workspace_appstorage"])
def test_a_crash_leaves_all_as_it_was(alice: User, as_penora: ApiClient, table: str) -> None:
    code = code_of(as_penora)
    before = everything_of(alice)

    with tripwire(table, "UPDATE", "RAISE EXCEPTION 'crash';"):
        response = as_penora.delete(f"projects/{code}", user_id="alice")

    assert response.status_code == 500
    assert everything_of(alice) == before


def test_on_a_developers_own_machine_no_key_is_needed(
    alice: User, as_penora: ApiClient, anonymous: ApiClient, settings: Any
) -> None:
    code = code_of(as_penora)
    settings.DEBUG = settings.QUICKSTART_OPEN = True
    address = f"/api/unified/projects/{code}?user_id=alice"

    from_a_page = anonymous.request("DELETE", address, **LOCALHOST, HTTP_ORIGIN="http://localhost:8000")
    assert (from_a_page.status_code, row(code).deleted_at) == (401, None)
    response = anonymous.request("DELETE", address, **LOCALHOST)

    assert (response.status_code, response["X-Unified-Auth"]) == (200, "quickstart-open")
    assert row(code).deleted_at is not None
