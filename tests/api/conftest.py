"""For tests of the API that need more than one connection, or a look at an account and a storage row as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from django.db import connection

from accounts import services as accounts
from accounts.models import App, User
from credits.models import Account
from tests.client import ApiClient
from tests.conftest import make_user
from tests.credits.books import rows_of
from unified.api.models import IdempotencyRecord
from workspace.models import AppStorage, Project, ProjectContent, Reservation, Storage, StorageWarning

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
NO_AMOUNTS: list[Any] = [0, -1, 1_000_001, 2.5, "2", True, None, [], {}, 1e30, 2**63]
NO_QUANTITIES: list[Any] = [0, -1, 1_000_001, 1.5, "1", True, None, [], {}, 1e30]
NO_OPERATIONS: list[Any] = ["nothing", "BASIC_ART", "", " basic_art", "x" * 65, 7, True, None, [], {}]
# What could be an id, of a hold or of a transaction, and is the id of none.
NO_IDS = [
    "00000000-0000-0000-0000-000000000000",
    "0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10",
    "0b8b3e4c6c0f4d3a9a535d0f5a6f9f10",
    "{0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10}",
    " 0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10",
    "urn:uuid:0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10",
    "1",
    "é",
    "' OR 1=1 --",
    "a\nb",
    "x" * 64,
]


def everything_of(user: User) -> dict[str, Any]:
    """Every row that a call about `user` may change, so that "nothing was written" can be said in one line."""
    return {
        **rows_of(user),
        "account": Account.objects.filter(user=user).values().get(),
        "storage": Storage.objects.filter(user=user).values().get(),
        "reservations": list(Reservation.objects.filter(storage=user.pk).order_by("pk").values()),
        "by_app": list(AppStorage.objects.filter(storage=user.pk).order_by("pk").values()),
        "projects": list(Project.objects.filter(user=user).order_by("pk").values()),
        "contents": list(ProjectContent.objects.filter(project__user=user).order_by("pk").values()),
        "warnings": list(StorageWarning.objects.filter(storage=user.pk).order_by("pk").values()),
        "user": User.objects.filter(pk=user.pk).values().get(),
        "keys": IdempotencyRecord.objects.count(),
    }


def refused(
    client: ApiClient,
    route: str,
    wanted: dict[str, Any],
    *,
    about: User,
    status: int = 400,
    code: str = "validation_error",
    field: str | None = None,
    method: str = "post",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """
    The answer to a POST (or PATCH, or DELETE with `wanted` as its query) that is refused as said, naming `field` alone
    if the input is bad; nothing is written.
    """
    before = everything_of(about)
    if method == "delete":
        response = client.delete(route, headers=headers, **wanted)
    else:
        response = getattr(client, method)(route, wanted, headers=headers)
    assert response.status_code == status, response.content
    answer: dict[str, Any] = response.json()
    assert (answer["success"], answer["code"]) == (False, code)
    if status == 400:
        assert list(answer.get("fields", [])) == ([field] if field else [])
    assert everything_of(about) == before
    return answer


def reserve(client: ApiClient, **changes: Any) -> dict[str, Any]:
    """The answer to a hold of 20 of alice's credits by ImageGene, or of what `changes` say."""
    wanted = {"user_id": "alice", "amount": 20, "app_name": "imagegene", "description": "A picture", **changes}
    response = client.post("reserve-credits", {name: value for name, value in wanted.items() if value is not ...})
    assert response.status_code == 201, response.content
    answer: dict[str, Any] = response.json()
    return answer


def misspelt(some_id: str) -> list[str]:
    """What a lenient reader would take for this id; answers write it in one way only, and are read in that way."""
    return [some_id.replace("-", ""), f"{{{some_id}}}", f"urn:uuid:{some_id}", f" {some_id}", f"{some_id}\n"]


def position(client: ApiClient) -> tuple[int, int]:
    """Alice's credits that can be spent, and those that are held, as user-info says."""
    answer = client.get("user-info", user_id="alice").json()
    return answer["credits"], answer["held_credits"]


def available_bytes(client: ApiClient) -> int:
    """Alice's room, as user-info and storage-stats both say."""
    stats = client.get("user-info", user_id="alice").json()["storage"]
    assert stats == client.get("storage-stats", user_id="alice").json()["storage_stats"]
    assert stats["available_bytes"] == stats["limit_bytes"] - stats["used_bytes"] - stats["reserved_bytes"]
    told: int = stats["available_bytes"]
    return told


def assert_replayed(client: ApiClient, route: str, wanted: dict[str, Any], *, about: User, status: int) -> None:
    """Sent three times with one key, the call has one effect and one answer, which has `status`."""
    key = {"Idempotency-Key": f"{route}-{status}"}
    first = client.post(route, wanted, headers=key)
    assert first.status_code == status, first.content
    assert "Idempotent-Replayed" not in first
    after = everything_of(about)
    for _ in range(2):
        again = client.post(route, wanted, headers=key)
        assert (again.status_code, again.content) == (status, first.content)
        assert again["Idempotent-Replayed"] == "true"
    assert everything_of(about) == after


@pytest.fixture
def committed_alice(committed_db: None) -> User:
    """Alice as other connections see her, too."""
    return make_user("alice")


@pytest.fixture
def as_committed_imagegene(committed_db: None) -> ApiClient:
    return ApiClient(key=accounts.create_key(app=App.objects.get(slug="imagegene"), label="tests")[1])


@pytest.fixture
def second_connection(committed_db: None) -> Iterator[Any]:
    """Another connection to the same database, in a transaction that is rolled back in the end."""
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    other = psycopg2.connect(**parameters)
    try:
        yield other
    finally:
        other.rollback()
        other.close()


@contextmanager
def tripwire(table: str, event: str, does: str) -> Iterator[None]:
    """While this lasts, the database itself does the PL/pgSQL `does` before each `event` on `table`."""
    set_up = f"""
        SET CONSTRAINTS ALL IMMEDIATE;
        CREATE FUNCTION tests_trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does} RETURN NEW; END $$;
        CREATE TRIGGER tests_trip BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION tests_trip();
        SET CONSTRAINTS ALL DEFERRED;
    """
    with connection.cursor() as cursor:
        cursor.execute(set_up)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; DROP FUNCTION tests_trip CASCADE")
