"""Making room, by properties: enough is freed and nothing more, and what was said beforehand is what is done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Sum
from django.db.models.functions import Now
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.models import App, User
from tests.api.projects import counters, undone
from tests.workspace.test_storage import keep
from workspace import services
from workspace.models import Project
from workspace.services import Cleanup, Strategy
from workspace.services.cleanup import just_enough

SIZES = st.lists(st.integers(1, 60), max_size=7)


def plainly(sizes: list[int], wanted: int) -> list[int] | None:
    """The same as `just_enough` as the contract words it: by trying each number of first ones, then each to spare."""
    for number in range(len(sizes) + 1):
        if sum(sizes[:number]) >= wanted:
            taken = list(range(number))
            break
    else:
        return None
    for spared in reversed(range(len(taken))):
        rest = [index for index in taken if index != spared]
        if sum(sizes[index] for index in rest) >= wanted:
            taken = rest
    return taken


@settings(max_examples=300, deadline=None)
@given(sizes=SIZES, wanted=st.integers(1, 300))
@example(sizes=[], wanted=1)
@example(sizes=[10, 5, 100], wanted=100)
@example(sizes=[100, 400], wanted=101)
@example(sizes=[1, 1, 1], wanted=3)
def test_just_enough_is_enough_and_nothing_of_it_could_be_spared(sizes: list[int], wanted: int) -> None:
    """Red without the second pass (100 and 400 bytes for 101), and where it stops at the first that is needed."""
    taken = just_enough(sizes, wanted)

    assert taken == plainly(sizes, wanted)
    assert (taken is None) == (sum(sizes) < wanted)
    if taken is not None:
        total = sum(sizes[index] for index in taken)
        assert total >= wanted
        assert all(total - sizes[index] < wanted for index in taken)
        assert taken == sorted(set(taken))
        assert sum(sizes[: taken[-1]]) < wanted  # nothing further down the order than it had to be


@settings(max_examples=200, deadline=None)
@given(sizes=SIZES, wanted=st.integers(1, 300), more=st.integers(1, 60))
def test_more_to_remove_never_makes_it_impossible(sizes: list[int], wanted: int, more: int) -> None:
    if just_enough(sizes, wanted) is not None:
        assert just_enough([*sizes, more], wanted) == just_enough(sizes, wanted)


def test_a_thousand_projects_are_chosen_from_at_once() -> None:
    sizes = [1_000] * 999 + [1_000_000]

    assert just_enough(sizes, 1_000_000) == [999]
    assert just_enough(sizes, 1_000_001) == [0, 999]


# --- through the service ---------------------------------------------------------------------------------------------


@st.composite
def workspaces(draw: st.DrawFn) -> list[tuple[int, int, bool]]:
    """Projects: bytes, days for which it has not been changed, and whether it is Penora's."""
    return draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.booleans()), max_size=6))


@st.composite
def wishes(draw: st.DrawFn) -> dict[str, Any]:
    """What is to be removed; `codes` by the place of the project."""
    return {
        "free_bytes": draw(st.none() | st.integers(1, 60)),
        "older_than": draw(st.none() | st.integers(0, 3).map(lambda days: timedelta(days=days))),
        "places": draw(st.none() | st.sets(st.integers(0, 5), min_size=1)),
        "of_penora": draw(st.none() | st.booleans()),
        "strategy": draw(st.sampled_from(Strategy)),
    }


def set_up(user: User, apps: dict[bool, App], projects: list[tuple[int, int, bool]]) -> list[Project]:
    kept = []
    for size, days, of_penora in projects:
        project, _ = keep(user, apps[of_penora], "x" * size)
        Project.objects.filter(pk=project.pk).update(updated_at=Now() - timedelta(days=days))
        project.refresh_from_db()
        kept.append(project)
    return kept


def expected(kept: list[Project], ages: list[int], wanted: Cleanup) -> list[Project] | None:
    """What should go of `kept`, which have not been changed for `ages` days, in its order; None if not enough."""
    may_go = [
        project
        for project, days in zip(kept, ages, strict=True)
        if (wanted.codes is None or project.code in wanted.codes)
        and (wanted.app is None or project.app_id == wanted.app.pk)
        and (wanted.older_than is None or timedelta(days=days) >= wanted.older_than)
    ]
    may_go.sort(key=lambda project: (project.updated_at, project.pk))
    if wanted.strategy == Strategy.LARGEST:
        may_go.sort(key=lambda project: -project.size_bytes)
    if wanted.free_bytes is None:
        return may_go
    taken = plainly([project.size_bytes for project in may_go], wanted.free_bytes)
    return None if taken is None else [may_go[index] for index in taken]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(projects=workspaces(), wish=wishes())
def test_what_is_said_beforehand_is_what_is_done_and_what_was_asked_for(
    alice: User, bob: User, penora: App, imagegene: App, projects: list[tuple[int, int, bool]], wish: dict[str, Any]
) -> None:
    """Red where the trial and the deed choose apart, where a filter is left out, and where an order is turned round."""
    apps = {True: penora, False: imagegene}
    with undone():
        kept = set_up(alice, apps, projects)
        his, _ = keep(bob, penora)
        codes = None if wish["places"] is None else {kept[place].code for place in wish["places"] if place < len(kept)}
        app = None if wish["of_penora"] is None else apps[wish["of_penora"]]
        wanted = Cleanup(wish["free_bytes"], wish["older_than"], codes, app, wish["strategy"])
        should_go = expected(kept, [days for _, days, _ in projects], wanted)
        before = counters(alice)

        said = services.try_clean_up(user=alice, wanted=wanted)

        assert counters(alice) == before
        assert not Project.objects.exclude(deleted_at=None).exists()
        assert said.enough == (should_go is not None)
        assert said.freed_bytes == sum(project.size_bytes for project in said.removed)
        if should_go is None:
            with pytest.raises(services.NotEnoughToRemove) as refusal:
                services.clean_up(user=alice, wanted=wanted)
            assert (refusal.value.wanted_bytes, refusal.value.freeable_bytes) == (wish["free_bytes"], said.freed_bytes)
            assert counters(alice) == before
            return
        assert said.removed == should_go
        done = services.clean_up(user=alice, wanted=wanted)
        assert (done.removed, done.freed_bytes, done.enough) == (said.removed, said.freed_bytes, True)
        assert done.storage.available_bytes == said.storage.available_bytes + said.freed_bytes
        gone = Project.objects.exclude(deleted_at=None)
        assert set(gone) == set(should_go)
        assert counters(alice)["trash"] == (gone.aggregate(Sum("size_bytes", default=0))["size_bytes__sum"], len(gone))
        his.refresh_from_db()
        assert his.deleted_at is None
