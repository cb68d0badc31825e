"""GET storage-stats."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import App, User
from tests.api.conftest import everything_of
from tests.client import ApiClient

ROUTE = "storage-stats"


def save(client: ApiClient, app: str, size: int, title: str = "A title") -> str:
    code: str = client.post(
        "save-project", user_id="alice", app_source=app, project_type="page", title=title, content="x" * size
    ).json()["project_code"]
    return code


def test_an_empty_workspace(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="alice")

    assert response.status_code == 200
    assert response.json() == {
        "success": True,
        "storage_stats": {
            "used_mb": 0.0,
            "limit_mb": 1.0,
            "available_mb": 1.0,
            "usage_percentage": 0.0,
            "used_bytes": 0,
            "limit_bytes": 1_048_576,
            "available_bytes": 1_048_576,
            "reserved_bytes": 0,
        },
        "breakdown": {
            "penora_mb": 0.0,
            "imagegene_mb": 0.0,
            "penora_bytes": 0,
            "imagegene_bytes": 0,
            "total_projects": 0,
            "penora_projects": 0,
            "imagegene_projects": 0,
            "largest": [],
        },
    }


def test_the_samples_own_figures(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    for size in (104_857, 1):
        save(as_penora, "penora", size)
    code = save(as_imagegene, "imagegene", 52_429, title="The larger one")

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert answer["storage_stats"]["used_bytes"] == 157_287
    assert (answer["storage_stats"]["used_mb"], answer["storage_stats"]["available_mb"]) == (0.15, 0.85)
    assert answer["storage_stats"]["usage_percentage"] == 15.0
    breakdown = answer["breakdown"]
    assert (breakdown["penora_mb"], breakdown["imagegene_mb"]) == (0.1, 0.05)
    assert (breakdown["penora_bytes"], breakdown["imagegene_bytes"]) == (104_858, 52_429)
    assert breakdown["penora_bytes"] + breakdown["imagegene_bytes"] == answer["storage_stats"]["used_bytes"]
    counts = [breakdown[key] for key in ("total_projects", "penora_projects", "imagegene_projects")]
    assert counts == [3, 2, 1]
    assert [item["size_bytes"] for item in breakdown["largest"]] == [104_857, 52_429, 1]
    assert breakdown["largest"][1] == {
        "code": code,
        "title": "The larger one",
        "app_source": "imagegene",
        "size_mb": 0.05,
        "size_bytes": 52_429,
    }
    assert breakdown["largest"][2]["size_mb"] == 0.0001


def test_both_apps_are_told_the_same(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    save(as_penora, "penora", 10)

    assert as_penora.get(ROUTE, user_id="alice").json() == as_imagegene.get(ROUTE, user_id="alice").json()


def test_other_peoples_projects_do_not_count(alice: User, bob: User, as_penora: ApiClient) -> None:
    save(as_penora, "penora", 10)

    answer = as_penora.get(ROUTE, user_id="bob").json()

    assert answer["storage_stats"]["used_bytes"] == answer["breakdown"]["total_projects"] == 0
    assert answer["breakdown"]["largest"] == []


def test_a_further_app_has_its_own_keys_at_once(alice: User, as_penora: ApiClient) -> None:
    App.objects.create(slug="sketch_pad", name="Sketch Pad")

    breakdown = as_penora.get(ROUTE, user_id="alice").json()["breakdown"]

    assert (breakdown["sketch_pad_mb"], breakdown["sketch_pad_bytes"], breakdown["sketch_pad_projects"]) == (0.0, 0, 0)


def test_what_was_kept_in_an_app_that_is_switched_off_still_counts(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    save(as_imagegene, "imagegene", 10)
    App.objects.filter(slug="imagegene").update(is_active=False)

    assert as_penora.get(ROUTE, user_id="alice").json()["breakdown"]["imagegene_bytes"] == 10


def test_nobody_by_this_id_is_a_404(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="nobody")

    assert response.status_code == 404
    assert (response.json()["code"], response.json()["user_id"]) == ("user_not_found", "nobody")


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "a\x00b"}, {"user_id": "x" * 256}])
def test_a_call_that_names_nobody_is_refused(db: None, as_penora: ApiClient, query: dict[str, Any]) -> None:
    response = as_penora.get(ROUTE, **query)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["user_id"]


def test_looking_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    as_penora.get(ROUTE, user_id="alice")

    assert everything_of(alice) == before
