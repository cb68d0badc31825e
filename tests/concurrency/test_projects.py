"""
One project in the hands of both apps at once: no edit is lost without its author being told, and none is done to a
project that is gone.
"""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from tests.concurrency.books import assert_everything_is_proved
from tests.concurrency.crowd import THE_STORAGE, one_after_the_other, together
from tests.concurrency.rooms import Caller, live_codes, statuses, storage_of, trashed_codes
from workspace.models import Project


def etag(code: str, version: int) -> str:
    return f'"{code}-{version}"'


# --- edit and edit ----------------------------------------------------------------------------------------------------


def test_of_two_edits_of_what_both_have_seen_the_second_is_told(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked both were 200, and ImageGene's words were gone;
    without select_for_update in locked_storage too.
    """
    code = by_penora.keep(10)

    won, lost = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: by_penora.edit(code, seen=etag(code, 1), title="Penora's", content="p" * 20),
        lambda: by_imagegene.edit(code, seen=etag(code, 1), title="ImageGene's", content="i" * 30),
    )

    assert (won.status_code, won["ETag"]) == (200, etag(code, 2))
    assert (lost.status_code, lost.json().get("code")) == (412, "edit_conflict")
    assert lost.json()["etag"] == lost["ETag"] == etag(code, 2)
    project = by_penora.read(code)
    assert (project["title"], project["content"], project["etag"]) == ("Penora's", "p" * 20, etag(code, 2))
    assert storage_of(alice).used_bytes == 20
    assert_everything_is_proved()


def test_of_a_crowd_that_edits_what_all_have_seen_one_wins(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked, or without the look at the version, all 16 were
    200; without select_for_update in locked_storage 13.
    """
    code = by_penora.keep(10)

    def edit(index: int) -> Any:
        caller = (by_penora, by_imagegene)[index % 2]
        return caller.edit(code, seen=etag(code, 1), title=f"Number {index}", content=str(index) * 20)

    answers = together(16, edit)

    assert statuses(answers) == {200: 1, 412: 15}
    (winner,) = (index for index, answer in enumerate(answers) if answer.status_code == 200)
    assert {answer.json()["etag"] for answer in answers if answer.status_code == 412} == {etag(code, 2)}
    project = by_penora.read(code)
    assert (project["title"], project["content"]) == (f"Number {winner}", str(winner) * 20)
    assert project["etag"] == answers[winner]["ETag"] == etag(code, 2)
    assert_everything_is_proved()


def test_nothing_is_lost_when_everybody_repeats_a_refused_edit_on_what_the_project_is_now(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Six callers each add their letter to the text that they have read.

    Seen to fail: without select_for_update in locked_storage the letters b and d were left of the six; with the project
    read before the lock nobody was ever refused.
    """
    letters = "abcdef"
    code = by_penora.save("-").json()["project_code"]

    def add(index: int) -> int:
        caller = (by_penora, by_imagegene)[index % 2]
        for refusals in range(100):
            seen = caller.read(code)
            answer = caller.edit(code, seen=seen["etag"], content=seen["content"] + letters[index])
            if answer.status_code == 200:
                return refusals
            assert answer.status_code == 412
        raise AssertionError("refused a hundred times")

    refusals = together(6, add)

    assert all(isinstance(number, int) for number in refusals), refusals
    assert sum(refusals) > 0  # they did meet
    project = by_penora.read(code)
    assert sorted(project["content"]) == sorted("-" + letters)
    assert project["etag"] == etag(code, 7)
    assert_everything_is_proved()


FIELDS: list[dict[str, Any]] = [
    {"title": "New title"},
    {"project_type": "new_type"},
    {"metadata": {"new": True}},
    {"content": "new content"},
]


@pytest.mark.parametrize("turn", range(4))
def test_edits_of_different_fields_without_a_condition_all_stay(
    alice: User, by_penora: Caller, by_imagegene: Caller, turn: int
) -> None:
    """
    Seen to fail: with the project read before the storage is locked each answer said that this was version 2, and the
    last one had put back what it had read.
    """
    code = by_penora.keep(10, metadata={"old": True})
    fields = FIELDS[turn:] + FIELDS[:turn]

    def edit(index: int) -> Any:
        return (by_penora, by_imagegene)[index % 2].edit(code, **fields[index])

    answers = one_after_the_other(THE_STORAGE, alice, *(lambda i=index: edit(i) for index in range(4)))

    done = {answer["ETag"]: answer.json()["project"] for answer in answers}
    assert done.keys() == {etag(code, version) for version in range(2, 6)}
    project = by_penora.read(code)
    for field in fields:
        assert field.items() <= project.items()
    assert (project["size_bytes"], project["etag"]) == (len("new content"), etag(code, 5))
    moments = [done[etag(code, version)]["updated_at"] for version in range(2, 6)]
    assert moments == sorted(set(moments))
    assert project["created_at"] < moments[0]
    assert project["updated_at"] == moments[-1]
    assert_everything_is_proved()


def test_edits_of_one_field_without_a_condition_are_all_done_and_the_last_one_stays(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: without select_for_update in locked_storage there were twelve answers and two versions.
    """
    code = by_penora.keep(10)

    answers = together(
        12, lambda index: (by_penora, by_imagegene)[index % 2].edit(code, content="x" * (100 + index), title=f"{index}")
    )

    assert statuses(answers) == {200: 12}
    done = {answer["ETag"]: answer.json()["project"] for answer in answers}
    assert done.keys() == {etag(code, version) for version in range(2, 14)}
    last = done[etag(code, 13)]
    project = by_penora.read(code)
    assert (project["title"], project["size_bytes"]) == (last["title"], last["size_bytes"])
    assert len(project["content"]) == last["size_bytes"] == storage_of(alice).used_bytes
    assert_everything_is_proved()


# --- edit and delete, edit and restore --------------------------------------------------------------------------------


def test_an_edit_behind_a_deletion_finds_nothing_and_writes_nothing(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked in edit_project the counter went below 0, and the
    database refused it with a 500.
    """
    code = by_penora.keep(10)

    deleted, lost = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: by_penora.delete(code),
        lambda: by_imagegene.edit(code, title="Too late", content="y" * 500),
    )

    assert (deleted.status_code, lost.status_code, lost.json().get("code")) == (200, 404, "project_not_found")
    gone = Project.objects.get(code=code)
    assert (gone.title, gone.size_bytes, gone.version) == ("Page", 10, 1)
    assert storage_of(alice).used_bytes == 0
    assert_everything_is_proved()


def test_a_deletion_behind_an_edit_frees_what_the_edit_has_made_of_it_and_brings_that_back(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked in delete_project the answer was of the old title
    and 10 freed bytes; without select_for_update in locked_storage the deletion was stopped by a deadlock.
    """
    code = by_penora.keep(10)

    edited, deleted = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: by_imagegene.edit(code, title="In time", content="y" * 500),
        lambda: by_penora.delete(code),
    )

    assert (edited.status_code, deleted.status_code) == (200, 200)
    assert (deleted.json()["title"], deleted.json()["freed_bytes"]) == ("In time", 500)
    assert deleted.json()["storage_stats"]["used_bytes"] == 0
    assert by_penora.restore(code).status_code == 200
    assert by_penora.read(code)["content"] == "y" * 500
    assert_everything_is_proved()


def test_a_deletion_of_what_was_seen_is_refused_behind_an_edit(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked in delete_project it was deleted.
    """
    code = by_penora.keep(10)

    edited, refused = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: by_imagegene.edit(code, title="Worth keeping"),
        lambda: by_penora.delete(code, seen=etag(code, 1)),
    )

    assert (edited.status_code, refused.status_code, refused["ETag"]) == (200, 412, etag(code, 2))
    assert live_codes(alice) == {code}
    assert_everything_is_proved()


def test_an_edit_sees_a_restored_project_if_it_comes_behind_the_restoring(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    code = by_penora.keep(10)

    def edit() -> Any:
        return by_penora.edit(code, seen=etag(code, 1), title="New title")

    def restore() -> Any:
        return by_imagegene.restore(code)

    by_penora.delete(code)
    lost, restored = one_after_the_other(THE_STORAGE, alice, edit, restore)
    assert (lost.status_code, restored.status_code) == (404, 200)
    assert restored.json()["project"]["title"] == "Page"

    by_penora.delete(code)
    restored, edited = one_after_the_other(THE_STORAGE, alice, restore, edit)
    assert (restored.status_code, edited.status_code) == (200, 200)
    assert by_penora.read(code)["title"] == "New title"
    assert_everything_is_proved()


def test_a_crowd_that_edits_deletes_and_restores_one_project_leaves_one_whole_project(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked calls were 500, in edit_project, in delete_project
    and in restore_project alike: counters below 0.
    """
    code = by_penora.keep(10)

    def work(index: int) -> list[Any]:
        caller = (by_penora, by_imagegene)[index % 2]
        return [caller.edit(code, content="y" * (20 + index)), caller.delete(code), caller.restore(code)]

    answers = together(12, work)

    edits, deletes, restores = zip(*answers, strict=True)
    assert statuses(edits).keys() | statuses(deletes).keys() <= {200, 404}
    assert statuses(restores) == {200: 12}
    assert live_codes(alice) | trashed_codes(alice) == {code}
    done = statuses(edits)[200]
    project = Project.objects.get(code=code)
    assert project.version == 1 + done
    sizes = {answer["ETag"]: answer.json()["project"]["size_bytes"] for answer in edits if answer.status_code == 200}
    assert project.size_bytes == sizes[etag(code, project.version)]
    assert_everything_is_proved()
