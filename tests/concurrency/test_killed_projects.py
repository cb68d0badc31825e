"""
A database backend killed in the middle of an edit, a deletion, a restoring or a cleanup, at each place where the call
can be made to stop (see test_killed): nothing of it is left, and a repeat does it exactly once.

Seen to fail: with a commit in `workspace.services.room.count`, before the counters or between those of the person and
those of the apps, each of these but the emptying left something wherever it was killed behind that commit, and the key
of a restoring or a cleanup stood there without an answer; with one in delete_member behind the person's row, the name
was gone and the projects were there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from accounts.models import User
from tests.api.conftest import everything_of
from tests.concurrency.books import assert_everything_is_proved
from tests.concurrency.rooms import Caller, live_codes, storage_of, trashed_codes
from tests.concurrency.test_killed import assert_killed, call_killed_where_it_waits
from unified import services
from unified.api.models import IdempotencyRecord
from workspace.models import Project

# Where a call can be made to stop: what locks it out there, and what it is about to run.
PLACES = {
    "before the lock": ("SELECT 1 FROM workspace_storage FOR UPDATE", 'FROM "workspace_storage"'),
    "at the project": ("LOCK TABLE workspace_project IN SHARE MODE", ' "workspace_project"'),
    "at the content": ("LOCK TABLE workspace_projectcontent IN SHARE MODE", ' "workspace_projectcontent"'),
    "at a warning": ("LOCK TABLE workspace_storagewarning IN SHARE MODE", ' "workspace_storagewarning"'),
    "between counters": ("LOCK TABLE workspace_appstorage IN SHARE MODE", ' "workspace_appstorage"'),
    "in the commit": ("SELECT pg_advisory_xact_lock(4)", "COMMIT"),  # see `gate`
}
KEY = {"Idempotency-Key": "k1"}
# A tenth of the room that each person has, and nine tenths: beyond them lies a warning.
SMALL, LARGE = 104_858, 943_718


@pytest.fixture
def code(alice: User, by_penora: Caller) -> str:
    """One small project, and another one in the trash."""
    by_penora.delete(by_penora.keep(7))
    return by_penora.keep(SMALL)


@pytest.fixture(autouse=True)
def gate(committed_db: None) -> Iterator[None]:
    """The last thing that a commit does with a storage row is to take a lock that another connection may hold."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION tests_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                PERFORM pg_advisory_xact_lock(4); RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER tests_gate AFTER UPDATE ON workspace_storage
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tests_gate();
            """
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION tests_gate CASCADE")


def places(*named: str) -> Any:
    return pytest.mark.parametrize(("sql", "statement"), [PLACES[name] for name in named], ids=named)


def killed(user: User, call: Callable[[], Any], sql: str, statement: str) -> None:
    """`call` is killed where it waits, and leaves everything as it was."""
    before = everything_of(user)
    assert_killed(call_killed_where_it_waits(sql, call, statement=statement))
    assert everything_of(user) == before
    assert IdempotencyRecord.objects.count() == before["keys"] == 0
    assert_everything_is_proved()


@places("before the lock", "at the content", "at a warning", "between counters", "at the project", "in the commit")
def test_a_killed_edit(alice: User, by_imagegene: Caller, code: str, sql: str, statement: str) -> None:
    def edit() -> Any:
        return by_imagegene.edit(code, seen=f'"{code}-1"', title="New", metadata={"a": 1}, content="y" * LARGE)

    killed(alice, edit, sql, statement)

    again, repeat = edit(), edit()
    assert (again.status_code, again["ETag"]) == (200, f'"{code}-2"')
    assert repeat.status_code == 412  # what it had seen is not there any more
    project = by_imagegene.read(code)
    assert (project["title"], project["metadata"], project["content"]) == ("New", {"a": 1}, "y" * LARGE)
    assert storage_of(alice).used_bytes == LARGE
    assert_everything_is_proved()


@places("before the lock", "at the project", "between counters", "in the commit")
def test_a_killed_deletion(alice: User, by_imagegene: Caller, code: str, sql: str, statement: str) -> None:
    def delete() -> Any:
        return by_imagegene.delete(code)

    killed(alice, delete, sql, statement)

    again, repeat = delete(), delete()
    assert (again.status_code, again.json()["freed_bytes"], repeat.status_code) == (200, SMALL, 404)
    assert code in trashed_codes(alice)
    assert storage_of(alice).used_bytes == 0
    assert_everything_is_proved()


@places("before the lock", "at the project", "between counters", "in the commit")
def test_a_killed_restoring(alice: User, by_imagegene: Caller, code: str, sql: str, statement: str) -> None:
    (gone,) = trashed_codes(alice)

    def restore() -> Any:
        return by_imagegene.api.post(f"projects/{gone}/restore", {"user_id": "alice"}, headers=KEY)

    killed(alice, restore, sql, statement)

    again, repeat = restore(), restore()
    assert (again.status_code, "Idempotent-Replayed" in again) == (200, False)
    assert (repeat.content, repeat["Idempotent-Replayed"]) == (again.content, "true")
    assert live_codes(alice) == {code, gone}
    assert storage_of(alice).used_bytes == SMALL + 7
    assert_everything_is_proved()


@places("before the lock", "at the project", "between counters", "in the commit")
def test_a_killed_cleanup(alice: User, by_imagegene: Caller, code: str, sql: str, statement: str) -> None:
    other = by_imagegene.keep(10)

    def clean_up() -> Any:
        return by_imagegene.api.post("cleanup", {"user_id": "alice", "codes": [code, other]}, headers=KEY)

    killed(alice, clean_up, sql, statement)

    again, repeat = clean_up(), clean_up()
    assert (again.status_code, again.json()["removed_count"], again.json()["freed_bytes"]) == (200, 2, SMALL + 10)
    assert (repeat.content, repeat["Idempotent-Replayed"]) == (again.content, "true")
    assert live_codes(alice) == set()
    assert_everything_is_proved()


@places("before the lock", "at the content", "at the project", "in the commit")
def test_a_killed_emptying_of_the_trash(alice: User, by_imagegene: Caller, code: str, sql: str, statement: str) -> None:
    killed(alice, by_imagegene.empty, sql, statement)

    again, repeat = by_imagegene.empty(), by_imagegene.empty()
    assert [answer.json()["removed_count"] for answer in (again, repeat)] == [1, 0]
    assert set(Project.objects.values_list("code", flat=True)) == {code}
    assert_everything_is_proved()


@places("before the lock", "at the content", "at the project", "at a warning", "between counters", "in the commit")
def test_a_killed_deletion_of_a_person(alice: User, by_imagegene: Caller, code: str, sql: str, statement: str) -> None:
    """The worst by halves: a name without its projects, or projects without a name."""
    before = everything_of(alice)

    def leave() -> Any:
        try:
            return services.delete_member(user=alice)
        except (OperationalError, InterfaceError) as trouble:
            return trouble

    assert isinstance(call_killed_where_it_waits(sql, leave, statement=statement), (OperationalError, InterfaceError))
    assert everything_of(alice) == before
    assert by_imagegene.read(code)["title"] == "Page"
    assert_everything_is_proved()

    again, repeat = leave(), leave()
    assert isinstance(again, User)
    assert isinstance(repeat, User)
    assert Project.objects.count() == 0
    assert User.objects.get(pk=alice.pk).username == "Deleted user"
    assert_everything_is_proved()
