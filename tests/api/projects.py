"""Projects for the tests: how they are saved, and how they are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from tests.client import ApiClient
from workspace.models import AppStorage, Project, Storage
from workspace.verify import INVARIANTS

MEGABYTE = 1_048_576


def save(client: ApiClient, app: str = "penora", **changes: Any) -> dict[str, Any]:
    """The answer to a save of alice's by this app, or of what `changes` say."""
    wanted = {"user_id": "alice", "app_source": app, "project_type": "page", "title": "A page", "content": "text"}
    response = client.post("save-project", {**wanted, **changes})
    assert response.status_code == 201, response.content
    answer: dict[str, Any] = response.json()
    return answer


def code_of(client: ApiClient, app: str = "penora", **changes: Any) -> str:
    """The code of a project that has just been saved."""
    code: str = save(client, app, **changes)["project_code"]
    return code


def text(size_bytes: int) -> str:
    return "x" * size_bytes


def codes_of_sizes(client: ApiClient, *sizes: int, app: str = "penora") -> list[str]:
    """The codes of texts of these sizes, saved in this order."""
    return [code_of(client, app, title=f"{size} bytes", content=text(size)) for size in sizes]


def counters(user: User) -> dict[str, Any]:
    """(bytes, projects) of all that is kept, of each app, and of the trash, as the counters say; and they are right."""
    with connection.cursor() as cursor:
        for name, sql in INVARIANTS.items():
            cursor.execute(sql)
            assert cursor.fetchall() == [], name
    storage = Storage.objects.get(user=user)
    by_app = AppStorage.objects.filter(storage=storage).values_list("app__slug", "used_bytes", "project_count")
    return {
        "all": (storage.used_bytes, storage.project_count),
        "trash": (storage.trash_bytes, storage.trash_count),
        **{slug: (used, number) for slug, used, number in by_app if number},
    }


def row(code: str) -> Project:
    return Project.objects.get(code=code)


def deleted(client: ApiClient, code: str) -> dict[str, Any]:
    """The answer to the deletion of alice's project, which succeeds."""
    response = client.delete(f"projects/{code}", user_id="alice")
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def restored(client: ApiClient, code: str) -> dict[str, Any]:
    """The answer to the restoring of alice's project, which succeeds."""
    response = client.post(f"projects/{code}/restore", user_id="alice")
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def in_trash(client: ApiClient) -> list[str]:
    """The codes in alice's trash, most recently deleted first."""
    answer = client.get("trash", user_id="alice").json()
    assert answer["total_count"] == len(answer["projects"])
    assert answer["total_bytes"] == sum(item["size_bytes"] for item in answer["projects"])
    return [item["code"] for item in answer["projects"]]


@contextmanager
def undone() -> Iterator[None]:
    """What happens in here has not happened afterwards: each example starts from nothing."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
