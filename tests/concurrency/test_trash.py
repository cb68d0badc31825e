"""How projects go and come back, when several want it at once: each is moved once, and nobody is told otherwise."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from tests.concurrency.books import assert_everything_is_proved, rows
from tests.concurrency.crowd import THE_STORAGE, background, held, one_after_the_other, together, waiting_for_a_lock
from tests.concurrency.rooms import Caller, give_room, live_codes, statuses, storage_of, trashed_codes, witnessed
from workspace import services
from workspace.models import Project


def assert_counted(user: User, *, used: int, trash: int) -> None:
    storage = storage_of(user)
    assert (storage.used_bytes, storage.trash_bytes) == (used, trash)
    assert_everything_is_proved()


def test_of_two_deletions_one_is_done_and_one_finds_nothing(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked the second would have freed the room again; the
    database refused the counter below 0, with a 500.
    """
    code = by_penora.keep(100)

    done, late = one_after_the_other(
        THE_STORAGE, alice, lambda: by_penora.delete(code), lambda: by_imagegene.delete(code)
    )

    assert (done.status_code, late.status_code) == (200, 404)
    assert (done.json()["freed_bytes"], late.json()["project_code"]) == (100, code)
    assert_counted(alice, used=0, trash=100)


def test_of_a_crowd_that_deletes_a_project_one_is_told_that_it_did(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked five of six were 500; without select_for_update in
    locked_storage too.
    """
    codes = [by_penora.keep(100) for _ in range(3)]

    answers = together(18, lambda index: (by_penora, by_imagegene)[index % 2].delete(codes[index % 3]))

    for number in range(3):
        assert statuses(answers[number::3]) == {200: 1, 404: 5}
    assert trashed_codes(alice) == set(codes)
    assert_counted(alice, used=0, trash=300)


def test_a_project_that_a_crowd_restores_comes_back_once_and_everybody_is_told_that_it_is_there(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked 10 of the 12 were 500, by the trash's counter below
    0; without select_for_update in locked_storage nine callers restored it.
    """
    code = by_penora.keep(100)
    by_penora.delete(code)

    with witnessed() as witness:
        answers = together(12, lambda index: (by_penora, by_imagegene)[index % 2].restore(code))
        assert witness.commits() == 1

    assert statuses(answers) == {200: 12}
    assert {answer.json()["storage_stats"]["used_bytes"] for answer in answers} == {100}
    assert len({answer.json()["project"]["etag"] for answer in answers}) == 1
    assert live_codes(alice) == {code}
    assert_counted(alice, used=100, trash=0)


def test_a_deletion_and_a_restoring_are_done_in_the_order_in_which_they_come(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    code = by_penora.keep(100)

    deleted, restored = one_after_the_other(
        THE_STORAGE, alice, lambda: by_penora.delete(code), lambda: by_imagegene.restore(code)
    )
    assert (deleted.status_code, restored.status_code) == (200, 200)
    assert_counted(alice, used=100, trash=0)

    by_penora.delete(code)
    restored, deleted = one_after_the_other(
        THE_STORAGE, alice, lambda: by_imagegene.restore(code), lambda: by_penora.delete(code)
    )
    assert (restored.status_code, deleted.status_code) == (200, 200)
    assert_counted(alice, used=0, trash=100)


# --- emptying it ------------------------------------------------------------------------------------------------------


def test_what_is_restored_is_not_emptied_and_what_is_emptied_is_not_restored(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the trash listed before the storage is locked in empty_trash the call behind the restoring was
    500; without select_for_update in locked_storage the restored project was removed for good, too.
    """
    back, other = by_penora.keep(100), by_penora.keep(10)
    for code in (back, other):
        by_penora.delete(code)

    restored, emptied = one_after_the_other(THE_STORAGE, alice, lambda: by_imagegene.restore(back), by_penora.empty)
    assert (restored.status_code, emptied.status_code) == (200, 200)
    assert (emptied.json()["removed_count"], emptied.json()["removed_bytes"]) == (1, 10)
    assert_counted(alice, used=100, trash=0)
    assert by_penora.read(back)["content"] == "x" * 100

    by_penora.delete(back)
    emptied, lost = one_after_the_other(THE_STORAGE, alice, by_penora.empty, lambda: by_imagegene.restore(back))
    assert (emptied.json()["removed_count"], lost.status_code) == (1, 404)
    assert Project.objects.count() == 0
    assert_counted(alice, used=0, trash=0)


def test_one_project_is_removed_for_good_once(alice: User, by_penora: Caller, by_imagegene: Caller) -> None:
    """
    Seen to fail: without select_for_update in locked_storage both said that they had removed it.
    """
    code = by_penora.keep(100)
    by_penora.delete(code)

    done, late = one_after_the_other(
        THE_STORAGE, alice, lambda: by_penora.empty(code=code), lambda: by_imagegene.empty(code=code)
    )

    assert (done.json().get("removed_bytes"), late.status_code) == (100, 404)
    assert_counted(alice, used=0, trash=0)


def test_what_is_chosen_is_removed_for_good_unless_it_comes_back_first(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with the trash read before the storage is locked in remove_from_trash the call behind the restoring
    wanted to remove the restored project for good, and was refused by the trash's counter below 0.
    """
    back, other = by_penora.keep(100), by_penora.keep(10)
    for code in (back, other):
        by_penora.delete(code)

    def remove() -> list[str]:
        removed = services.remove_from_trash(user=alice, actor=alice, shown=shown)
        return sorted(project.code for project in removed)

    shown = since_when()
    restored, removed = one_after_the_other(THE_STORAGE, alice, lambda: by_imagegene.restore(back), remove)
    assert (restored.status_code, removed) == (200, [other])
    assert by_penora.read(back)["content"] == "x" * 100
    assert_counted(alice, used=100, trash=0)

    by_penora.delete(back)
    shown = since_when()
    removed, lost = one_after_the_other(THE_STORAGE, alice, remove, lambda: by_imagegene.restore(back))
    assert (removed, lost.status_code) == ([back], 404)
    assert Project.objects.count() == 0
    assert_counted(alice, used=0, trash=0)


def test_what_is_restored_edited_and_deleted_again_while_its_removal_waits_stays_in_the_trash(
    alice: User, by_penora: Caller
) -> None:
    """
    Seen to fail: without the moments compared in remove_from_trash the edited work was removed for good.
    """
    back, other = by_penora.keep(100), by_penora.keep(10)
    for code in (back, other):
        by_penora.delete(code)
    shown = since_when()

    @transaction.atomic
    def work_on() -> None:
        services.restore_project(user=alice, code=back)
        services.edit_project(user=alice, code=back, title="Now dear to me")
        services.delete_project(user=alice, code=back)

    def remove() -> list[str]:
        return [project.code for project in services.remove_from_trash(user=alice, actor=alice, shown=shown)]

    _, removed = one_after_the_other(THE_STORAGE, alice, work_on, remove)

    assert removed == [other]
    assert trashed_codes(alice) == {back}
    assert_counted(alice, used=0, trash=100)


def since_when() -> dict[str, datetime]:
    """What is in the trash, as a page would have shown it."""
    return {project.code: project.deleted_at for project in Project.objects.all() if project.deleted_at}


def test_what_a_crowd_removes_beside_others_that_empty_the_trash_goes_once(alice: User, by_penora: Caller) -> None:
    """
    Seen to fail: with the trash read before the storage is locked in remove_from_trash some were refused by the trash's
    counter below 0.
    """
    codes = [by_penora.keep(100 + number) for number in range(6)]
    for code in codes:
        by_penora.delete(code)
    since = since_when()

    def work(index: int) -> int:
        if index % 4 == 3:
            return int(by_penora.empty().json()["removed_count"])
        shown = {code: since[code] for code in codes[index % 3 : index % 3 + 3]}
        return len(services.remove_from_trash(user=alice, actor=alice, shown=shown))

    assert sum(together(12, work)) == 6
    assert Project.objects.count() == 0
    assert_counted(alice, used=0, trash=0)


def test_a_crowd_that_empties_the_trash_removes_each_project_once_beside_deletions(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    codes = [by_penora.keep(100 + number) for number in range(8)]
    for code in codes[:4]:
        by_penora.delete(code)

    def work(index: int) -> Any:
        return by_penora.empty() if index % 2 else by_imagegene.delete(codes[4 + index // 2 % 4])

    answers = together(16, work)

    removed = [answer.json() for answer in answers[1::2]]
    left = storage_of(alice)
    assert sum(answer["removed_count"] for answer in removed) + left.trash_count == 8
    assert sum(answer["removed_bytes"] for answer in removed) + left.trash_bytes == 8 * 100 + 28
    assert statuses(answers[0::2]) == {200: 4, 404: 4}
    assert live_codes(alice) == set()
    assert_counted(alice, used=0, trash=left.trash_bytes)


def test_the_trash_is_within_its_bounds_at_every_commit_of_a_crowd_that_deletes(
    alice: User, by_penora: Caller, by_imagegene: Caller, settings: Any
) -> None:
    """
    By bytes, and by number: what was deleted first went for good first.

    Seen to fail: without select_for_update in locked_storage 780 bytes were counted where 500 were kept.
    """
    give_room(alice, 1_000)
    settings.MAX_PROJECTS_PER_USER = 7
    callers = (by_penora, by_imagegene)
    codes = [callers[number % 2].keep(140) for number in range(7)]
    for code in codes:
        by_penora.delete(code)
    fresh = [callers[number % 2].keep(140 - 20 * (number % 2)) for number in range(7)]

    with witnessed() as witness:
        answers = together(14, lambda index: callers[index % 2].delete(fresh[index // 2]))
        witness.assert_never_wrong()

    assert statuses(answers) == {200: 7, 404: 7}
    assert trashed_codes(alice) == set(fresh)
    assert_everything_is_proved()


# --- the sweep --------------------------------------------------------------------------------------------------------


def sweep() -> str:
    out = StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue()


def make_nearly_due(code: str, *, seconds: float = 1) -> None:
    """So soon its days in the trash are over."""
    Project.objects.filter(code=code).update(deleted_at=Now() - timedelta(days=7, seconds=-seconds))


def wait_until_due(code: str) -> None:
    """By the database's clock."""
    left = "extract(epoch FROM deleted_at + interval '7 days' - clock_timestamp()) + 0.01"
    rows(f"SELECT pg_sleep({left}) FROM workspace_project WHERE code = %s", code)


def test_a_project_whose_days_run_out_while_its_restoring_waits_is_gone(alice: User, by_penora: Caller) -> None:
    """
    What counts is the time once the storage is locked, not the time at which the call began to wait for it.

    Seen to fail: with the project read before the storage is locked it came back after its days.
    """
    in_time = False
    while not in_time:  # once, unless the machine takes more than a second for what lies between
        code = by_penora.keep(100)
        by_penora.delete(code)
        make_nearly_due(code)
        with background() as start, held(THE_STORAGE, alice.pk) as release:
            restoring = start(lambda code=code: by_penora.restore(code))
            (backend,) = waiting_for_a_lock(1)
            ((in_time,),) = rows(
                "SELECT query_start < deleted_at + interval '7 days' FROM pg_stat_activity, workspace_project"
                " WHERE pid = %s AND code = %s",
                backend,
                code,
            )
            wait_until_due(code)
            release()

    assert (restoring.result().status_code, restoring.result().json()["project_code"]) == (404, code)
    assert services.purge_due_trash(user=alice) > 0
    assert_counted(alice, used=0, trash=0)


def test_a_project_that_is_restored_in_time_is_not_swept_away_though_its_days_run_out_while_it_is_written(
    alice: User, by_penora: Caller
) -> None:
    """
    The restoring has the storage and has looked at the clock; then it waits for the counters of the apps until the
    project would have been due. The sweep still sees it in the trash, and waits to remove it.

    Seen to fail: with what is due found before the storage is locked in purge_due_trash, the sweep took the restored
    project out of the trash that it was no longer in, was refused by a counter below 0, and left the person undone;
    without select_for_update in locked_storage it removed the restored project for good.
    """
    code = by_penora.keep(100)
    by_penora.delete(code)
    make_nearly_due(code, seconds=5)  # a hundred times as long as the restoring needs to come to its lock
    with background() as start, held("LOCK TABLE workspace_appstorage IN SHARE MODE") as release:
        restoring = start(lambda: by_penora.restore(code))
        (backend,) = waiting_for_a_lock(1)
        assert "UPDATE" in rows("SELECT query FROM pg_stat_activity WHERE pid = %s", backend)[0][0]
        wait_until_due(code)
        sweeping = start(sweep)
        waiting_for_a_lock(2)
        release()

    assert restoring.result().status_code == 200
    assert "0 of old trash" in sweeping.result()
    assert live_codes(alice) == {code}
    assert_counted(alice, used=100, trash=0)


def test_projects_at_the_end_of_their_days_are_restored_or_swept_away_and_never_both(
    alice: User, by_penora: Caller
) -> None:
    """
    Seen to fail: with the project read before the storage is locked some were 500: they were gone already. With what is
    due found before the lock in purge_due_trash sweeps left the person undone.
    """
    codes = [by_penora.keep(100 + number) for number in range(12)]
    for code in codes:
        by_penora.delete(code)
        make_nearly_due(code)

    def restore_at_the_last_moment(index: int) -> Any:
        if index >= len(codes):
            wait_until_due(codes[index - len(codes)])
            return sweep()
        left = "extract(epoch FROM deleted_at + interval '7 days' - clock_timestamp()) - 0.03"
        rows(f"SELECT pg_sleep({left}) FROM workspace_project WHERE code = %s", codes[index])
        return by_penora.restore(codes[index])

    answers = together(len(codes) + 3, restore_at_the_last_moment)[: len(codes)]

    wait_until_due(codes[-1])
    services.purge_due_trash(user=alice)
    assert statuses(answers).keys() <= {200, 404}
    back = {code for code, answer in zip(codes, answers, strict=True) if answer.status_code == 200}
    assert live_codes(alice) == back
    assert trashed_codes(alice) == set()
    assert_counted(alice, used=sum(100 + codes.index(code) for code in back), trash=0)


def test_sweeps_beside_each_other_and_beside_traffic_remove_old_trash_once(
    alice: User, by_penora: Caller, by_imagegene: Caller
) -> None:
    """
    Seen to fail: with what is due found before the storage is locked in purge_due_trash sweeps were refused by a
    counter below 0 and left the person undone; without select_for_update in locked_storage 500 bytes of trash were
    counted where there were 600.
    """
    codes = [by_penora.keep(100) for _ in range(6)]
    for code in codes[:4]:
        by_penora.delete(code)
    Project.objects.exclude(deleted_at=None).update(deleted_at=Now() - timedelta(days=8))

    def work(index: int) -> Any:
        if index % 3 == 0:
            return sweep()
        if index % 3 == 1:
            return by_penora.restore(codes[index % 6]).status_code
        return by_imagegene.delete(codes[4 + index % 2]).status_code

    with witnessed() as witness:
        outcomes = together(12, work)
        witness.assert_never_wrong()

    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert trashed_codes(alice) | live_codes(alice) == set(codes[4:])
    assert_everything_is_proved()
