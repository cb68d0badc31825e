"""POST cleanup: what goes, in which order and how much of it. What is refused: test_cleanup_refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tests.api.conftest import everything_of
from tests.api.projects import MEGABYTE, code_of, codes_of_sizes, counters, in_trash, restored, row, text, undone
from tests.client import ApiClient
from tests.clock import let_pass
from unified.api.figures import timestamp
from workspace.models import Project

ROUTE = "cleanup"
WEEK = timedelta(days=7)
# Title, app, bytes, and for how many days it has not been changed.
CAST = (("a", "penora", 100, 10), ("b", "imagegene", 400, 5), ("c", "penora", 200, 3), ("d", "imagegene", 50, 0))


@pytest.fixture
def cast(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> dict[str, str]:
    """The codes of the CAST, which is alice's, by title."""
    clients = {"penora": as_penora, "imagegene": as_imagegene}
    codes: dict[str, str] = {}
    for (title, app, size, days), (*_, next_days) in zip(CAST, (*CAST[1:], (0,)), strict=True):
        codes[title] = code_of(clients[app], app, title=title, content=text(size))
        let_pass(timedelta(days=days - next_days))
    return codes


def cleaned_up(client: ApiClient, **wanted: Any) -> dict[str, Any]:
    """The answer to a clean-up of alice's that succeeds."""
    response = client.post(ROUTE, {"user_id": "alice", **wanted})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    assert answer["removed_count"] == len(answer["removed"])
    assert answer["freed_bytes"] == sum(item["size_bytes"] for item in answer["removed"])
    return answer


def titles(answer: dict[str, Any]) -> str:
    return "".join(item["title"] for item in answer["removed"])


def test_a_cleanup_is_answered_and_written_whole(cast: dict[str, str], alice: User, as_penora: ApiClient) -> None:
    rows = {project.code: project for project in Project.objects.all()}

    answer = cleaned_up(as_penora, free_bytes=550, strategy="largest")

    deleted_at = row(cast["b"]).deleted_at
    assert deleted_at is not None
    assert answer == {
        "success": True,
        "dry_run": False,
        "removed": [
            {"code": cast["b"], "title": "b", "app_source": "imagegene", "size_mb": 0.0004, "size_bytes": 400},
            {"code": cast["c"], "title": "c", "app_source": "penora", "size_mb": 0.0002, "size_bytes": 200},
        ],
        "removed_count": 2,
        "freed_bytes": 600,
        "freed_mb": 0.0006,
        "enough": True,
        "restorable_until": timestamp(deleted_at + WEEK),
        "available_bytes_after": MEGABYTE - 150,
        "storage_stats": as_penora.get("storage-stats", user_id="alice").json()["storage_stats"],
    }
    assert counters(alice) == {"all": (150, 2), "trash": (600, 2), "penora": (100, 1), "imagegene": (50, 1)}
    for code, before in rows.items():
        now = row(code)
        assert (now.updated_at, now.version) == (before.updated_at, before.version)
        assert now.deleted_at == (deleted_at if code in (cast["b"], cast["c"]) else None)
    assert sorted(in_trash(as_penora)) == sorted([cast["b"], cast["c"]])


def test_a_dry_run_says_the_same_and_removes_nothing(
    cast: dict[str, str], alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    before = everything_of(alice)

    dry = cleaned_up(as_imagegene, free_bytes=550, strategy="largest", dry_run=True)

    assert everything_of(alice) == before
    stats = as_penora.get("storage-stats", user_id="alice").json()["storage_stats"]
    assert stats["used_bytes"] == 750
    real = cleaned_up(as_penora, free_bytes=550, strategy="largest", dry_run=False)
    assert dry == {**real, "dry_run": True, "restorable_until": None, "storage_stats": stats}


WISHES: list[tuple[dict[str, Any], str]] = [
    # Without a number, all that match the filters go; the strategy is their order.
    ({"older_than_days": 0}, "abcd"),
    ({"older_than_days": 0, "strategy": "largest"}, "bcad"),
    ({"older_than_days": 3}, "abc"),
    ({"older_than_days": 4}, "ab"),
    ({"older_than_days": 10}, "a"),
    ({"older_than_days": 11}, ""),
    ({"older_than_days": 3, "app": "penora"}, "ac"),
    ({"older_than_days": 36_500, "app": "imagegene"}, ""),
    ({"codes": "d"}, "d"),
    ({"codes": "dbca", "strategy": "oldest"}, "abcd"),
    ({"codes": "abc", "app": "imagegene"}, "b"),
    ({"codes": "bd", "older_than_days": 1}, "b"),
    ({"codes": "d", "app": "penora"}, ""),
    ({"codes": "abcd", "app": "penora", "older_than_days": 4, "strategy": "largest"}, "a"),
    # With one, in the order of the strategy until it is enough, and nothing that turns out not to be needed.
    ({"free_bytes": 1}, "a"),
    ({"free_bytes": 100}, "a"),
    ({"free_bytes": 101}, "b"),
    ({"free_bytes": 400}, "b"),
    ({"free_bytes": 401}, "ab"),
    ({"free_bytes": 500}, "ab"),
    ({"free_bytes": 501}, "bc"),
    ({"free_bytes": 601}, "abc"),
    ({"free_bytes": 750}, "abcd"),
    ({"free_bytes": 1, "strategy": "largest"}, "b"),
    ({"free_bytes": 401, "strategy": "largest"}, "bc"),
    ({"free_bytes": 601, "strategy": "largest"}, "bca"),
    ({"free_bytes": 701, "strategy": "largest"}, "bcad"),
    ({"free_bytes": 2.0}, "a"),
    ({"free_bytes": 150, "app": "penora"}, "c"),
    ({"free_bytes": 1, "app": "imagegene", "strategy": "oldest"}, "b"),
    ({"free_bytes": 60, "codes": "dca"}, "a"),
    ({"free_bytes": 60, "codes": "dca", "strategy": "largest"}, "c"),
    ({"free_bytes": 450, "older_than_days": 5}, "ab"),
    ({"free_bytes": 1, "codes": "bcd", "app": "penora", "older_than_days": 1}, "c"),
    # Megabytes, up to whole bytes.
    ({"free_mb": 100 / MEGABYTE}, "a"),
    ({"free_mb": 100.1 / MEGABYTE}, "b"),
    ({"free_mb": 1e-12}, "a"),
    ({"free_mb": 0.0007, "strategy": "largest"}, "bcad"),
]


def test_what_goes_is_what_is_asked_for(cast: dict[str, str], alice: User, as_penora: ApiClient) -> None:
    for wish, removed in WISHES:
        wanted = {**wish, **({"codes": [cast[title] for title in wish["codes"]]} if "codes" in wish else {})}
        with undone():
            dry = cleaned_up(as_penora, **wanted, dry_run=True)
            real = cleaned_up(as_penora, **wanted)

            assert titles(dry) == titles(real) == removed, wish
            left = MEGABYTE - counters(alice)["all"][0]
            assert dry["available_bytes_after"] == real["available_bytes_after"] == left
            assert dry["enough"] is real["enough"] is True
            assert sorted(in_trash(as_penora)) == sorted(cast[title] for title in removed), wish
            assert (real["restorable_until"] is None) == (removed == "")


def test_how_old_it_is_counts_from_the_last_edit(cast: dict[str, str], as_penora: ApiClient) -> None:
    as_penora.patch(f"projects/{cast['a']}", user_id="alice", metadata={"looked": "at"})

    assert titles(cleaned_up(as_penora, older_than_days=5, dry_run=True)) == "b"
    assert titles(cleaned_up(as_penora, older_than_days=0, dry_run=True)) == "bcda"


def test_of_equals_the_first_goes_first(alice: User, as_penora: ApiClient) -> None:
    for title in "abc":
        code_of(as_penora, title=title)
    Project.objects.update(updated_at=row(code_of(as_penora, title="d")).updated_at)

    for strategy in ("oldest", "largest"):
        assert titles(cleaned_up(as_penora, free_bytes=5, strategy=strategy, dry_run=True)) == "ab"


def test_of_two_that_are_as_large_the_longer_unchanged_goes_first(cast: dict[str, str], as_penora: ApiClient) -> None:
    as_penora.patch(f"projects/{cast['c']}", user_id="alice", content=text(100))

    assert titles(cleaned_up(as_penora, older_than_days=0, strategy="largest", dry_run=True)) == "bacd"


def test_it_makes_room_in_a_workspace_that_is_full(alice: User, as_penora: ApiClient) -> None:
    codes_of_sizes(as_penora, 400_000, 600_000, MEGABYTE - 1_000_000)

    answer = cleaned_up(as_penora, free_mb=0.5)

    assert [item["size_bytes"] for item in answer["removed"]] == [600_000]
    assert answer["available_bytes_after"] == answer["storage_stats"]["available_bytes"] == 600_000
    codes_of_sizes(as_penora, 600_000)


def test_reserved_room_is_not_told_as_free(alice: User, as_imagegene: ApiClient) -> None:
    codes_of_sizes(as_imagegene, 1_000, 500, app="imagegene")
    hold = {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "A picture"}
    as_imagegene.post("reserve-credits", {**hold, "storage_bytes": MEGABYTE - 1_500})

    dry = cleaned_up(as_imagegene, free_bytes=1_000, dry_run=True)

    assert dry["available_bytes_after"] == cleaned_up(as_imagegene, free_bytes=1_000)["available_bytes_after"] == 1_000


def test_what_went_can_be_restored(cast: dict[str, str], alice: User, as_penora: ApiClient) -> None:
    before = counters(alice)
    cleaned_up(as_penora, codes=[cast["a"], cast["b"]])

    for title in "ab":
        restored(as_penora, cast[title])

    assert counters(alice) == before


def test_codes_are_taken_as_people_type_them_and_count_once(cast: dict[str, str], as_penora: ApiClient) -> None:
    code = cast["b"]
    typed = [code, code.lower(), f"{code[:3]}-{code[3:]}", f" {code} ", code.replace("0", "O").replace("1", "l")]

    answer = cleaned_up(as_penora, codes=typed)

    assert (titles(answer), answer["freed_bytes"]) == ("b", 400)


def test_a_thousand_codes_may_be_named(cast: dict[str, str], as_penora: ApiClient) -> None:
    assert titles(cleaned_up(as_penora, codes=[cast["a"]] * 999 + [cast["d"]])) == "ad"


def test_what_is_in_the_trash_cannot_free_anything(cast: dict[str, str], as_penora: ApiClient) -> None:
    cleaned_up(as_penora, codes=[cast["b"]])

    assert titles(cleaned_up(as_penora, older_than_days=0, dry_run=True)) == "acd"
    assert titles(cleaned_up(as_penora, free_bytes=101)) == "c"


def test_nobody_elses_projects_go(cast: dict[str, str], bob: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora, user_id="bob")
    before = everything_of(bob)

    assert titles(cleaned_up(as_penora, older_than_days=0)) == "abcd"

    assert everything_of(bob) == before
    assert row(code).deleted_at is None


def test_where_there_is_nothing_there_is_nothing_to_remove(alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    answer = cleaned_up(as_penora, older_than_days=0)

    assert (answer["removed"], answer["freed_mb"], answer["enough"], answer["restorable_until"]) == (
        [],
        0.0,
        True,
        None,
    )
    assert answer["available_bytes_after"] == MEGABYTE
    assert everything_of(alice) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_it_reads_no_content_and_costs_the_same_for_any_number(
    alice: User, as_penora: ApiClient, dry_run: bool
) -> None:
    costs = []
    for number in (1, 6):
        codes_of_sizes(as_penora, *[10] * number)
        with CaptureQueriesContext(connection) as captured:
            cleaned_up(as_penora, older_than_days=0, dry_run=dry_run)
        assert not any("workspace_projectcontent" in query["sql"] for query in captured)
        costs.append(len(captured))

    assert costs[0] == costs[1]
