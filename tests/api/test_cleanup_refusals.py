"""POST cleanup where it is refused, or repeated: then nothing is removed."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import assert_replayed, everything_of, refused, tripwire
from tests.api.projects import code_of, codes_of_sizes, counters, deleted, in_trash
from tests.client import ApiClient

ROUTE = "cleanup"
ALICE = {"user_id": "alice"}


@pytest.fixture
def projects(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> list[str]:
    """The codes of alice's 100 and 20 bytes of Penora's, and 3 of ImageGene's."""
    return [*codes_of_sizes(as_penora, 100, 20), *codes_of_sizes(as_imagegene, 3, app="imagegene")]


# --- not enough ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "freeable"),
    [
        ({"free_bytes": 124}, 123),
        ({"free_bytes": 1_000_000_000}, 123),
        ({"free_mb": 0.5}, 123),
        ({"free_mb": 123.1 / 1_048_576}, 123),
        ({"free_bytes": 121, "app": "penora"}, 120),
        ({"free_bytes": 4, "app": "imagegene", "strategy": "largest"}, 3),
        ({"free_bytes": 1, "older_than_days": 1}, 0),
    ],
)
def test_what_cannot_be_freed_is_refused_with_what_can_be(
    projects: list[str], alice: User, as_penora: ApiClient, wanted: dict[str, Any], freeable: int
) -> None:
    (field,) = {"free_bytes", "free_mb"} & wanted.keys()
    before = everything_of(alice)
    dry = as_penora.post(ROUTE, {**ALICE, **wanted, "dry_run": True})
    assert everything_of(alice) == before

    answer = refused(as_penora, ROUTE, {**ALICE, **wanted}, about=alice, field=field)

    assert answer["freeable_bytes"] == freeable
    assert answer["details"] == f"Removing all that may go would free {freeable} bytes only; nothing was removed."
    assert (dry.status_code, dry.json()["enough"], dry.json()["freed_bytes"]) == (200, False, freeable)
    assert dry.json()["restorable_until"] is None
    assert dry.json()["available_bytes_after"] == dry.json()["storage_stats"]["available_bytes"] + freeable


def test_a_dry_run_that_finds_too_little_lists_all_that_may_go(projects: list[str], as_penora: ApiClient) -> None:
    answer = as_penora.post(ROUTE, user_id="alice", free_bytes=124, strategy="largest", dry_run=True).json()

    assert [item["code"] for item in answer["removed"]] == projects


# --- codes that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("also", [{}, {"dry_run": True}, {"free_bytes": 1}, {"app": "penora", "older_than_days": 9}])
def test_a_code_that_is_none_of_the_persons_stops_all_of_it(
    projects: list[str], alice: User, bob: User, as_penora: ApiClient, also: dict[str, Any]
) -> None:
    in_it, foreign = code_of(as_penora), code_of(as_penora, user_id="bob")
    deleted(as_penora, in_it)
    before = everything_of(bob)

    for code in ("000000", "nothing at all", foreign, in_it, "é", "0"):
        wanted = {**ALICE, "codes": [projects[0], code, projects[1]], **also}
        answer = refused(as_penora, ROUTE, wanted, about=alice, status=404, code="project_not_found")
        assert answer["project_code"] == code
    assert everything_of(bob) == before


@pytest.mark.parametrize("typed", [["first!", "second!"], ["00-0000", "000000"], ["000000", "first!", "000001"]])
def test_of_several_that_are_none_the_first_is_named_as_typed(
    projects: list[str], alice: User, as_penora: ApiClient, typed: list[str]
) -> None:
    """Seen to fail: of two that can be no code, and of two ways to type one, the last was named."""
    wanted = {**ALICE, "codes": [projects[0], *typed]}

    answer = refused(as_penora, ROUTE, wanted, about=alice, status=404, code="project_not_found")

    assert answer["project_code"] == typed[0]


# --- bad input -------------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, list[Any]]] = [
    ("free_mb", [0, -1, 0.0, -0.5, 954, 1e30, "1", True, None, [], {}]),
    ("free_bytes", [0, -1, 1.5, 1_000_000_001, 1e30, 2**63, "1", True, None, [], {}]),
    ("older_than_days", [-1, 0.5, 36_501, 1e30, "1", True, None, [], {}]),
    ("codes", [[], "000000", 7, True, None, {}, {"0": "000000"}, ["000000"] * 1_001]),
    ("codes.0", [[value] for value in ("", "0" * 65, 7, True, None, [], {})]),
    ("app", ["", "nobody", "Penora", "x" * 31, 7, True, None, [], {}]),
    ("strategy", ["", "newest", "OLDEST", 7, True, None, [], {}]),
    ("dry_run", ["", "true", "false", 0, 1, None, [], {}]),
    ("user_id", ["", "x" * 256, "a\nb", 7, True, None, [], {}]),
]


@pytest.mark.parametrize(("field", "values"), WRONG)
def test_a_field_of_the_wrong_kind_is_named(
    projects: list[str], alice: User, as_penora: ApiClient, field: str, values: list[Any]
) -> None:
    """`dry_run` above all: "true" must not be taken for anything, least of all for false."""
    for value in values:
        wanted = {**ALICE, "older_than_days": 0, field.partition(".")[0]: value}
        refused(as_penora, ROUTE, wanted, about=alice, field=field)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"free_mb": 1, "free_bytes": 1}, "free_bytes"),
        ({}, "free_mb"),
        ({"app": "penora"}, "free_mb"),
        ({"strategy": "largest", "dry_run": False}, "free_mb"),
        ({"free": 1}, "free_mb"),
    ],
)
def test_what_does_not_say_what_to_remove_removes_nothing(
    projects: list[str], alice: User, as_penora: ApiClient, wanted: dict[str, Any], field: str
) -> None:
    refused(as_penora, ROUTE, {**ALICE, **wanted}, about=alice, field=field)


@pytest.mark.parametrize("number", [953.7, 954, 1e9])
def test_a_number_that_the_message_allows_is_not_refused_by_it(
    projects: list[str], alice: User, as_penora: ApiClient, number: float
) -> None:
    """Seen to fail: "up to 954" was the answer to 953.7, and to 954."""
    answer = refused(as_penora, ROUTE, {**ALICE, "free_mb": number}, about=alice, field="free_mb")

    assert float(answer["details"].rpartition("up to ")[2].split()[0]) < number


def test_nobody_by_this_id_is_a_404(projects: list[str], alice: User, as_penora: ApiClient) -> None:
    answer = refused(
        as_penora, ROUTE, {"user_id": "nobody", "free_bytes": 1}, about=alice, status=404, code="user_not_found"
    )

    assert answer["user_id"] == "nobody"


# --- repeats and crashes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [{"free_bytes": 1}, {"free_bytes": 1, "dry_run": True}, {"older_than_days": 0}])
def test_a_repeat_with_the_same_key_removes_nothing_more(
    projects: list[str], alice: User, as_penora: ApiClient, wanted: dict[str, Any]
) -> None:
    assert_replayed(as_penora, ROUTE, {**ALICE, **wanted}, about=alice, status=200)


def test_without_a_key_a_repeat_frees_as_much_again(projects: list[str], alice: User, as_penora: ApiClient) -> None:
    for _ in range(2):
        assert as_penora.post(ROUTE, {**ALICE, "free_bytes": 1}).json()["removed_count"] == 1

    assert in_trash(as_penora) == [projects[1], projects[0]]


def test_the_key_of_a_dry_run_is_not_good_for_the_real_one(
    projects: list[str], alice: User, as_penora: ApiClient
) -> None:
    key = {"Idempotency-Key": "k1"}
    as_penora.post(ROUTE, {**ALICE, "free_bytes": 1, "dry_run": True}, headers=key)

    response = as_penora.post(ROUTE, {**ALICE, "free_bytes": 1}, headers=key)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert in_trash(as_penora) == []


def test_too_little_is_no_answer_that_is_kept(projects: list[str], alice: User, as_penora: ApiClient) -> None:
    """It is bad input; when there is more to remove, the same call with the same key removes it."""
    key, wanted = {"Idempotency-Key": "k1"}, {**ALICE, "free_bytes": 124}
    assert as_penora.post(ROUTE, wanted, headers=key).status_code == 400
    codes_of_sizes(as_penora, 1)

    response = as_penora.post(ROUTE, wanted, headers=key)

    assert (response.status_code, response.json()["freed_bytes"]) == (200, 124)
    assert counters(alice) == {"all": (0, 0), "trash": (124, 4)}


@pytest.mark.parametrize("table", ["workspace_project", "workspace_storage", "workspace_appstorage"])
def test_a_crash_removes_nothing(projects: list[str], alice: User, as_penora: ApiClient, table: str) -> None:
    before = everything_of(alice)

    with tripwire(table, "UPDATE", "RAISE EXCEPTION 'crash';"):
        response = as_penora.post(ROUTE, {**ALICE, "codes": projects}, headers={"Idempotency-Key": "k1"})

    assert response.status_code == 500
    assert everything_of(alice) == before
