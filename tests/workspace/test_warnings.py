"""Marks of a workspace that fills up: 80, 95 and 100 %, each recorded once for each time it is reached from below."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import App, Plan, User
from tests.api.conftest import tripwire
from tests.api.projects import counters, undone
from tests.credits.books import database_time
from tests.workspace.contents import content_of
from tests.workspace.test_storage import CHECK_VIOLATION, keep, refused
from unified import services as unified
from workspace import services
from workspace.models import Project, Storage, StorageWarning
from workspace.services import Cleanup

LIMIT = 1_000  # bytes; so that a mark is a round number


@pytest.fixture(autouse=True)
def small(alice: User) -> None:
    services.change_limit(user=alice, limit_bytes=LIMIT)


def warned(user: User) -> list[int]:
    """The marks that were recorded, in order; and the storage row knows the highest that holds."""
    counters(user)
    return list(StorageWarning.objects.filter(storage=user.pk).order_by("id").values_list("percent", flat=True))


def keep_bytes(user: User, app: App, *sizes: int) -> list[Project]:
    return [keep(user, app, "x" * size)[0] for size in sizes]


@pytest.mark.parametrize(
    ("used", "marks"),
    [
        *((1, []), (799, []), (800, [80]), (801, [80]), (949, [80])),
        *((950, [80, 95]), (999, [80, 95]), (1_000, [80, 95, 100])),
    ],
)
def test_a_save_that_reaches_a_mark_is_recorded_for_each_it_reaches(
    alice: User, penora: App, used: int, marks: list[int]
) -> None:
    """Reached is reached: exactly 80 % is 80 %. Red with > for >=."""
    keep_bytes(alice, penora, used)

    assert warned(alice) == marks
    assert Storage.objects.get(user=alice).warned_percent == max(marks, default=0)


def test_a_warning_says_how_it_was_then(alice: User, penora: App) -> None:
    before = database_time()
    keep_bytes(alice, penora, 300, 510, 150)

    first, second = StorageWarning.objects.order_by("id")

    assert (first.percent, first.used_bytes, first.limit_bytes) == (80, 810, LIMIT)
    assert (second.percent, second.used_bytes, second.limit_bytes) == (95, 960, LIMIT)
    assert before <= first.created_at <= second.created_at <= database_time()
    assert first.storage_id == alice.pk


def test_above_a_mark_nothing_more_is_recorded(alice: User, penora: App) -> None:
    keep_bytes(alice, penora, 800, 1, 1, 100, 20)

    assert warned(alice) == [80]


def test_below_a_mark_and_up_again_is_another_crossing(alice: User, penora: App) -> None:
    for _ in range(3):
        _, second = keep_bytes(alice, penora, 700, 100)
        services.delete_project(user=alice, code=second.code)
        assert warned(alice)[-1] == 80
        services.clean_up(user=alice, wanted=Cleanup(free_bytes=700))
    assert warned(alice) == [80, 80, 80]


def test_only_the_marks_it_fell_below_are_recorded_again(alice: User, penora: App) -> None:
    _, small = keep_bytes(alice, penora, 900, 100)
    assert warned(alice) == [80, 95, 100]

    services.delete_project(user=alice, code=small.code)
    assert Storage.objects.get(user=alice).warned_percent == 80
    services.restore_project(user=alice, code=small.code)

    assert warned(alice) == [80, 95, 100, 95, 100]


def test_an_edit_counts(alice: User, penora: App) -> None:
    (project,) = keep_bytes(alice, penora, 10)
    for size in (790, 960, 960, 500, 800):
        services.edit_project(user=alice, code=project.code, content=content_of("y" * size))
    services.edit_project(user=alice, code=project.code, title="Renamed", metadata={"k": "x" * 2_000})

    assert warned(alice) == [80, 95, 80]


def test_a_restoring_counts(alice: User, penora: App) -> None:
    first, _ = keep_bytes(alice, penora, 400, 390)
    services.delete_project(user=alice, code=first.code)
    keep_bytes(alice, penora, 20)
    assert warned(alice) == []

    services.restore_project(user=alice, code=first.code)

    assert warned(alice) == [80]


def test_a_lowered_limit_counts_and_a_raised_one_lets_it_happen_again(alice: User, penora: App) -> None:
    keep_bytes(alice, penora, 790)
    services.change_limit(user=alice, limit_bytes=831)
    assert warned(alice) == [80, 95]
    assert list(StorageWarning.objects.values_list("used_bytes", "limit_bytes")) == [(790, 831)] * 2
    services.change_limit(user=alice, limit_bytes=790)
    assert warned(alice) == [80, 95, 100]

    services.change_limit(user=alice, limit_bytes=5_000)
    assert Storage.objects.get(user=alice).warned_percent == 0
    services.change_limit(user=alice, limit_bytes=900)

    assert warned(alice) == [80, 95, 100, 80]


def test_a_smaller_plan_counts(alice: User, penora: App) -> None:
    unified.change_plan(user=alice, plan=Plan.objects.get(slug="plus"))
    keep_bytes(alice, penora, 1_000_000)
    assert warned(alice) == []

    unified.change_plan(user=alice, plan=Plan.objects.get(slug="free"))

    assert warned(alice) == [80, 95]  # 1,000,000 of 1,048,576


def test_reserved_room_does_not_count(alice: User, penora: App) -> None:
    until = timezone.now() + timedelta(hours=1)
    keep_bytes(alice, penora, 100)
    services.reserve_room(user=alice, reservation_id=uuid.uuid4(), size_bytes=890, expires_at=until)
    keep_bytes(alice, penora, 10)

    assert warned(alice) == []
    assert Storage.objects.get(user=alice).available_bytes == 0


def test_what_is_in_the_trash_does_not_count(alice: User, penora: App) -> None:
    for _ in range(4):
        (project,) = keep_bytes(alice, penora, 500)
        services.delete_project(user=alice, code=project.code)

    assert warned(alice) == []


def test_what_is_refused_records_nothing(alice: User, penora: App) -> None:
    (project,) = keep_bytes(alice, penora, 700)

    with pytest.raises(services.StorageLimitExceeded):
        keep_bytes(alice, penora, 301)
    with pytest.raises(services.StorageLimitExceeded):
        services.edit_project(user=alice, code=project.code, content=content_of("x" * 1_001))
    with pytest.raises(services.StorageLimitExceeded):
        services.change_limit(user=alice, limit_bytes=699)
    crash = tripwire("workspace_appstorage", "UPDATE", "RAISE EXCEPTION 'after the warnings';")
    with crash, pytest.raises(DatabaseError, match="after the warnings"):
        keep_bytes(alice, penora, 200)

    assert warned(alice) == []


def test_of_nothing_nothing_is_full(alice: User) -> None:
    services.change_limit(user=alice, limit_bytes=0)

    assert warned(alice) == []


def test_everybody_has_their_own(alice: User, bob: User, penora: App) -> None:
    keep_bytes(alice, penora, 800)
    keep_bytes(bob, penora, 999)

    assert (warned(alice), warned(bob)) == ([80], [])


@pytest.mark.parametrize("percent", [0, 79, 90, 101])
def test_the_database_knows_no_other_marks(alice: User, percent: int) -> None:
    sqlstate, _ = refused(
        "INSERT INTO workspace_storagewarning (storage_id, percent, used_bytes, limit_bytes) VALUES (%s, %s, 1, 1)",
        *(alice.pk, percent),
    )

    assert sqlstate == CHECK_VIOLATION


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(levels=st.lists(st.sampled_from([1, 799, 800, 801, 949, 950, 999, 1_000]), min_size=1, max_size=8))
def test_however_it_goes_up_and_down_each_crossing_is_one_row(alice: User, penora: App, levels: list[int]) -> None:
    """The used room is put to each level in turn, by edits of one project."""
    crossings = []
    before = 1
    for level in levels:
        crossings += [mark for mark in (80, 95, 100) if before * 100 < mark * LIMIT <= level * 100]
        before = level
    with undone():
        (project,) = keep_bytes(alice, penora, 1)

        for level in levels:
            services.edit_project(user=alice, code=project.code, content=content_of("x" * level))

        assert warned(alice) == crossings
