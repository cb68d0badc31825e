"""One workspace for all apps: what the one has made, the other opens, renames, replaces, deletes and restores."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import services as accounts
from accounts.models import App, User
from tests.api.pictures import as_base64, draw
from tests.api.projects import code_of, counters, deleted, in_trash, restored, row, save, text
from tests.client import ApiClient
from tests.workspace.contents import body_of

MAKER_AND_OTHER = pytest.mark.parametrize(("maker", "other"), [("penora", "imagegene"), ("imagegene", "penora")])


@pytest.fixture
def clients(as_penora: ApiClient, as_imagegene: ApiClient) -> dict[str, ApiClient]:
    return {"penora": as_penora, "imagegene": as_imagegene}


@MAKER_AND_OTHER
def test_what_one_app_saved_the_other_opens_renames_replaces_and_deletes(
    alice: User, clients: dict[str, ApiClient], maker: str, other: str
) -> None:
    first, second = clients[maker], clients[other]
    code = code_of(first, maker, title="Lisbon", content="Azulejos", metadata={"from": maker})

    opened = second.get(f"projects/{code}", user_id="alice").json()["project"]
    assert (opened["title"], opened["content"], opened["app_source"]) == ("Lisbon", "Azulejos", maker)

    renamed = second.patch(f"projects/{code}", user_id="alice", title="Porto", headers={"If-Match": opened["etag"]})
    assert renamed.status_code == 200
    seen = first.get(f"projects/{code}", user_id="alice").json()["project"]
    assert (seen["title"], seen["content"], seen["metadata"]) == ("Porto", "Azulejos", {"from": maker})

    picture = draw("PNG", size=(50, 30))
    replaced = second.patch(
        f"projects/{code}", user_id="alice", content=as_base64(picture), compression="none", project_type="ai_art"
    )
    assert replaced.json()["image"]["format"] == "png"
    project = row(code)
    assert (body_of(project), project.project_type, project.app.slug) == (picture, "ai_art", maker)
    assert counters(alice) == {"all": (len(picture), 1), "trash": (0, 0), maker: (len(picture), 1)}
    (listed,) = first.get("projects", user_id="alice", app=maker).json()["all_projects"]
    assert (listed["code"], listed["content_type"], listed["width"]) == (code, "image/png", 50)
    assert second.get("projects", user_id="alice", app=other).json()["all_projects"] == []

    deleted(second, code)
    assert first.get(f"projects/{code}", user_id="alice").status_code == 404
    assert counters(alice) == {"all": (0, 0), "trash": (len(picture), 1)}
    assert in_trash(first) == in_trash(second) == [code]

    assert restored(first, code)["project"]["app_source"] == maker
    assert second.get(f"projects/{code}", user_id="alice").json()["project"]["title"] == "Porto"
    deleted(first, code)
    assert second.delete("trash", user_id="alice", code=code).json()["removed_count"] == 1
    assert in_trash(first) == []


@MAKER_AND_OTHER
def test_what_one_app_saved_makes_room_for_the_other(
    alice: User, clients: dict[str, ApiClient], maker: str, other: str
) -> None:
    save(clients[maker], maker, content=text(1_048_576))
    full = clients[other].post(
        "save-project", user_id="alice", app_source=other, project_type="page", title="T", content="x"
    )
    assert (full.status_code, full.json()["largest"][0]["app_source"]) == (413, maker)

    answer = clients[other].post("cleanup", user_id="alice", free_bytes=1, app=maker).json()

    assert [item["app_source"] for item in answer["removed"]] == [maker]
    save(clients[other], other, content=text(1_048_576))
    assert counters(alice) == {"all": (1_048_576, 1), "trash": (1_048_576, 1), other: (1_048_576, 1)}


def test_an_edit_never_makes_a_project_the_other_apps(alice: User, clients: dict[str, ApiClient]) -> None:
    codes = {app: code_of(client, app, content=text(10)) for app, client in clients.items()}

    for app, client in clients.items():
        for code in codes.values():
            client.patch(f"projects/{code}", user_id="alice", content=text(10 + len(app)), app_source=app)

    assert {app: row(code).app.slug for app, code in codes.items()} == {app: app for app in clients}
    assert counters(alice) == {"all": (38, 2), "trash": (0, 0), "penora": (19, 1), "imagegene": (19, 1)}


def test_a_third_app_does_all_of_it_as_soon_as_it_is_registered(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    sketch_pad = App.objects.create(slug="sketch_pad", name="Sketch Pad")
    client = ApiClient(key=accounts.create_key(app=sketch_pad, label="tests")[1])

    assert client.patch(f"projects/{code}", user_id="alice", content="sketch").status_code == 200
    deleted(client, code)
    restored(client, code)
    own = code_of(client, "sketch_pad", content="own")

    assert counters(alice) == {"all": (9, 2), "trash": (0, 0), "penora": (6, 1), "sketch_pad": (3, 1)}
    assert as_penora.get(f"projects/{own}", user_id="alice").json()["project"]["content"] == "own"


def test_what_an_app_kept_that_is_switched_off_stays_the_persons(
    alice: User, clients: dict[str, ApiClient], imagegene: App
) -> None:
    code = code_of(clients["imagegene"], "imagegene", content="mine")
    App.objects.filter(pk=imagegene.pk).update(is_active=False)
    penora = clients["penora"]

    assert penora.get(f"projects/{code}", user_id="alice").json()["project"]["content"] == "mine"
    assert penora.patch(f"projects/{code}", user_id="alice", title="Still mine").status_code == 200
    deleted(penora, code)
    restored(penora, code)
    answer: dict[str, Any] = penora.post("cleanup", user_id="alice", older_than_days=0, app="imagegene").json()
    assert [item["title"] for item in answer["removed"]] == ["Still mine"]
