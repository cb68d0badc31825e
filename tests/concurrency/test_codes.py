"""Codes collide only once in a billion draws; here they are drawn from three, by threads that save at once."""

from __future__ import annotations

import secrets
from collections import Counter

import pytest
from django.db import OperationalError

from accounts.models import App, User
from tests.concurrency.books import assert_everything_is_proved, deadlocks
from tests.concurrency.crowd import background, cancel_statement, held, together, waiting_for_a_lock
from tests.conftest import make_user
from tests.workspace.contents import content_of
from workspace import codes, services
from workspace.models import Project, ProjectContent, Storage

THREE = ("AAAAAA", "BBBBBB", "CCCCCC")
NAMES = ("alice", "bob", "cyd", "dora")


@pytest.fixture
def people(committed_db: None) -> list[User]:
    return [make_user(name) for name in NAMES]


@pytest.fixture
def three_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "generate", lambda: secrets.choice(THREE))


def save(user: User, app: App) -> str:
    about = {"project_type": "page", "title": "Page", "metadata": {}}
    return services.save_project(user=user, app=app, content=content_of("ten bytes."), **about)[0].code


def assert_kept(taken: int) -> None:
    """So many projects, each whole and counted, and nothing of those that found no code."""
    assert Project.objects.count() == ProjectContent.objects.count() == taken
    assert sum(Storage.objects.values_list("used_bytes", flat=True)) == 10 * taken
    assert_everything_is_proved()


@pytest.mark.usefixtures("three_codes")
def test_three_codes_are_given_to_three_of_a_crowd_and_to_nobody_twice(people: list[User], penora: App) -> None:
    """
    Sixteen threads for four people, whose storage rows do not hold them apart: the unique index does. Those who draw
    nothing but taken codes are told so, and keep nothing.

    Seen to fail: without the savepoint around the insert the first collision made the whole transaction useless, and
    callers were told of that instead; with a look whether the code is free in place of the index's answer, those who
    had looked at the same moment crashed.
    """
    before = deadlocks()

    outcomes = together(16, lambda index: save(people[index % 4], penora))

    given = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert sorted(given) == list(THREE)
    assert {type(outcome) for outcome in outcomes if not isinstance(outcome, str)} == {services.NoFreeCode}
    assert deadlocks() == before
    assert_kept(3)


@pytest.mark.usefixtures("three_codes")
def test_the_code_of_a_project_in_the_trash_is_not_given_away_before_it_is_gone_for_good(
    people: list[User], penora: App
) -> None:
    alice, bob = people[:2]
    mine = [save(alice, penora) for _ in range(3)]
    services.delete_project(user=alice, code=mine[0])

    outcomes = together(6, lambda index: save(people[index % 4], penora))
    assert {type(outcome) for outcome in outcomes} == {services.NoFreeCode}
    assert services.restore_project(user=alice, code=mine[0])[0].code == mine[0]

    services.delete_project(user=alice, code=mine[0])
    services.empty_trash(user=alice)
    outcomes = together(6, lambda index: save(people[index % 4], penora))
    assert Counter(map(type, outcomes)) == {str: 1, services.NoFreeCode: 5}
    assert mine[0] in outcomes
    assert Project.objects.filter(user=bob).count() <= 1
    assert_kept(3)


@pytest.mark.parametrize("first_commits", [True, False], ids=["which is kept", "which is undone"])
def test_who_draws_a_code_that_another_is_about_to_take_waits_and_sees(
    people: list[User], penora: App, monkeypatch: pytest.MonkeyPatch, first_commits: bool
) -> None:
    """
    Seen to fail: without the attempt at another code the second crashed on the unique index when the first was kept.
    """
    alice, bob = people[:2]
    drawn = {"alice": ["AAAAAA"], "bob": ["AAAAAA", "BBBBBB"]}

    def work(user: User) -> str:
        return save(user, penora)

    def generate() -> str:
        return drawn[whose.pop(0)].pop(0)

    whose = ["alice", "bob", "bob"]
    monkeypatch.setattr(codes, "generate", generate)
    # Alice's save stops behind the insert of her project, before that of its content.
    with background() as start, held("LOCK TABLE workspace_projectcontent IN SHARE MODE") as release:
        first = start(lambda: work(alice))
        (backend,) = waiting_for_a_lock(1)
        second = start(lambda: work(bob))
        waiting_for_a_lock(2)  # Bob's for the end of Alice's transaction
        if not first_commits:
            cancel_statement(backend)
            with pytest.raises(OperationalError):
                first.result()
        release()
        codes_given = [] if not first_commits else [first.result()]
        codes_given.append(second.result())

    assert codes_given == (["AAAAAA", "BBBBBB"] if first_commits else ["AAAAAA"])
    assert_kept(len(codes_given))
