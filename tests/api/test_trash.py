"""GET and DELETE trash: what can be restored and for how long, what it may hold, and what goes for good."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Plan, User
from tests.api.conftest import everything_of, refused
from tests.api.pictures import as_base64, draw
from tests.api.projects import MEGABYTE, code_of, codes_of_sizes, counters, deleted, in_trash, restored, row, save
from tests.client import ApiClient
from tests.clock import let_pass
from unified import services
from unified.api.figures import timestamp
from workspace.models import Project, ProjectContent
from workspace.services import change_limit

WEEK, MINUTE = timedelta(days=7), timedelta(minutes=1)


def delete_all(client: ApiClient, *codes: str) -> None:
    for code in codes:
        deleted(client, code)


def emptied(client: ApiClient, **query: Any) -> tuple[int, int]:
    """How many projects and bytes a DELETE of alice's trash, or of one in it, says to have removed."""
    response = client.delete("trash", user_id="alice", **query)
    assert response.status_code == 200, response.content
    answer = response.json()
    return answer["removed_count"], answer["removed_bytes"]


def exist(*codes: str) -> list[bool]:
    """Whether each project is there at all, its content with it."""
    found = set(Project.objects.values_list("code", flat=True))
    assert found == set(ProjectContent.objects.values_list("project__code", flat=True))
    return [code in found for code in codes]


# --- GET -------------------------------------------------------------------------------------------------------------


def test_the_trash_is_listed_most_recently_deleted_first(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    picture = draw("PNG")
    first = code_of(as_penora, title="Lisbon", content="text")
    sunset = {"title": "Sunset", "project_type": "ai_art", "content": as_base64(picture), "compression": "none"}
    second = code_of(as_imagegene, "imagegene", **sunset)
    codes_of_sizes(as_penora, 100)
    delete_all(as_penora, second, first)

    for client in (as_penora, as_imagegene):
        answer = client.get("trash", user_id="alice").json()

        assert answer["projects"] == [
            {
                "code": project.code,
                "title": title,
                "project_type": kind,
                "app_source": app,
                "size_mb": 0.0001,
                "size_bytes": size,
                "content_type": content_type,
                "created_at": timestamp(project.created_at),
                "deleted_at": timestamp(project.deleted_at),
                "restorable_until": timestamp((project.deleted_at or project.created_at) + WEEK),
            }
            for project, title, kind, app, size, content_type in (
                (row(first), "Lisbon", "page", "penora", 4, "text/plain; charset=utf-8"),
                (row(second), "Sunset", "ai_art", "imagegene", len(picture), "image/png"),
            )
        ]
        assert (answer["total_count"], answer["total_bytes"]) == (2, 4 + len(picture))
        assert answer["storage_stats"] == client.get("storage-stats", user_id="alice").json()["storage_stats"]
        assert answer["storage_stats"]["used_bytes"] == 100


def test_an_empty_trash_is_an_empty_list(alice: User, as_penora: ApiClient) -> None:
    answer = as_penora.get("trash", user_id="alice").json()

    assert (answer["projects"], answer["total_count"], answer["total_bytes"]) == ([], 0, 0)


def test_what_others_have_deleted_is_not_in_it(alice: User, bob: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora, user_id="bob")
    as_penora.delete(f"projects/{code}", user_id="bob")

    assert in_trash(as_penora) == []
    assert emptied(as_penora) == (0, 0)
    assert exist(code) == [True]


def test_looking_changes_nothing_and_costs_the_same_for_any_number(alice: User, as_penora: ApiClient) -> None:
    codes = codes_of_sizes(as_penora, 1, 2, 3, 4, 5)
    deleted(as_penora, codes[0])
    with CaptureQueriesContext(connection) as few:
        in_trash(as_penora)
    delete_all(as_penora, *codes[1:])
    before = everything_of(alice)

    with CaptureQueriesContext(connection) as many:
        assert in_trash(as_penora) == codes[::-1]

    assert len(many) == len(few)
    assert not any("workspace_projectcontent" in query["sql"] for query in many)
    assert everything_of(alice) == before


# --- seven days ------------------------------------------------------------------------------------------------------


def sweep() -> str:
    out = StringIO()
    call_command("sweep", stdout=out)
    return out.getvalue()


def test_after_seven_days_it_is_not_in_the_trash_and_the_sweep_removes_it(alice: User, as_penora: ApiClient) -> None:
    """By the database's clock. What is over is left out of every answer, swept or not."""
    old, young, kept = codes_of_sizes(as_penora, 100, 20, 3)
    deleted(as_penora, old)
    let_pass(timedelta(days=1))
    deleted(as_penora, young)

    let_pass(WEEK - timedelta(days=1) - MINUTE)
    assert in_trash(as_penora) == [young, old]
    assert "0 of old trash" in sweep()
    let_pass(MINUTE)

    assert in_trash(as_penora) == [young]
    assert exist(old) == [True]
    assert "1 of old trash" in sweep()
    assert exist(old, young, kept) == [False, True, True]
    assert counters(alice) == {"all": (3, 1), "trash": (20, 1), "penora": (3, 1)}
    assert "0 of old trash" in sweep()


def test_the_sweep_removes_all_that_is_over_of_everybody(alice: User, bob: User, as_penora: ApiClient) -> None:
    hers = codes_of_sizes(as_penora, 1, 2, 3)
    his = code_of(as_penora, user_id="bob")
    delete_all(as_penora, *hers)
    as_penora.delete(f"projects/{his}", user_id="bob")
    let_pass(WEEK)

    assert "2 of old trash" in sweep()

    assert exist(*hers, his) == [False] * 4
    assert [counters(user)["trash"] for user in (alice, bob)] == [(0, 0)] * 2


def test_how_long_is_a_setting(alice: User, as_penora: ApiClient, settings: Any) -> None:
    settings.TRASH_DAYS = 1
    code = code_of(as_penora)
    answer = deleted(as_penora, code)

    deleted_at = row(code).deleted_at
    assert deleted_at is not None
    assert answer["restorable_until"] == timestamp(deleted_at + timedelta(days=1))
    let_pass(timedelta(days=1))
    assert in_trash(as_penora) == []


def test_what_is_over_is_not_removed_for_a_second_time(alice: User, as_penora: ApiClient) -> None:
    """To the caller it has gone already. Seen to fail: it was counted, and by its code there was a 200 for it."""
    old, young = codes_of_sizes(as_penora, 100, 20)
    deleted(as_penora, old)
    let_pass(WEEK)
    deleted(as_penora, young)
    query, how = {"user_id": "alice", "code": old}, {"status": 404, "code": "project_not_found"}
    refused(as_penora, "trash", query, about=alice, method="delete", **how)

    assert emptied(as_penora) == (1, 20)

    assert exist(old, young) == [False, False]
    assert counters(alice)["trash"] == (0, 0)


# --- its bounds ------------------------------------------------------------------------------------------------------


def test_it_holds_as_many_bytes_as_the_limit_and_the_longest_deleted_go_first(
    alice: User, as_penora: ApiClient
) -> None:
    """Red where the newest go, and where the bound is one byte off."""
    first, second, third = codes_of_sizes(as_penora, 400_000, 400_000, MEGABYTE - 800_000)
    delete_all(as_penora, second, first, third)
    assert counters(alice) == {"all": (0, 0), "trash": (MEGABYTE, 3)}

    (fourth,) = codes_of_sizes(as_penora, 1)
    deleted(as_penora, fourth)

    assert in_trash(as_penora) == [fourth, third, first]
    assert exist(second) == [False]
    assert counters(alice) == {"all": (0, 0), "trash": (MEGABYTE - 400_000 + 1, 3)}


def test_as_many_go_as_have_to(alice: User, as_penora: ApiClient) -> None:
    small = codes_of_sizes(as_penora, *[1_000] * 5)
    delete_all(as_penora, *small)
    (large,) = codes_of_sizes(as_penora, MEGABYTE - 2_000)

    deleted(as_penora, large)

    assert in_trash(as_penora) == [large, small[4], small[3]]
    assert exist(*small) == [False, False, False, True, True]


def test_it_holds_as_many_projects_as_a_person_may_have(alice: User, as_penora: ApiClient, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 2
    first, second = codes_of_sizes(as_penora, 10, 20)
    delete_all(as_penora, first, second)
    third, fourth = codes_of_sizes(as_penora, 30, 40)
    assert in_trash(as_penora) == [second, first]

    deleted(as_penora, third)
    assert in_trash(as_penora) == [third, second]
    deleted(as_penora, fourth)

    assert in_trash(as_penora) == [fourth, third]
    assert exist(first, second) == [False, False]
    assert counters(alice) == {"all": (0, 0), "trash": (70, 2)}


def test_what_was_restored_and_deleted_again_is_the_youngest(alice: User, as_penora: ApiClient, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 3
    first, second, third = codes_of_sizes(as_penora, 1, 2, 3)
    delete_all(as_penora, first, second, third)
    restored(as_penora, first)
    deleted(as_penora, first)
    (fourth,) = codes_of_sizes(as_penora, 4)

    deleted(as_penora, fourth)

    assert in_trash(as_penora) == [fourth, first, third]


def test_a_cleanup_keeps_to_the_bounds_too(alice: User, as_penora: ApiClient) -> None:
    before = codes_of_sizes(as_penora, 600_000)
    deleted(as_penora, *before)
    codes = codes_of_sizes(as_penora, 300_000, 300_000)

    as_penora.post("cleanup", user_id="alice", codes=codes)

    assert sorted(in_trash(as_penora)) == sorted(codes)
    assert exist(*before) == [False]


def test_a_larger_plan_has_a_larger_trash(alice: User, as_penora: ApiClient) -> None:
    services.change_plan(user=alice, plan=Plan.objects.get(slug="plus"))
    codes = [code_of(as_penora, content="x" * MEGABYTE) for _ in range(3)]

    delete_all(as_penora, *codes)

    assert in_trash(as_penora) == codes[::-1]


def test_a_smaller_limit_bounds_the_trash_as_well(alice: User, as_penora: ApiClient) -> None:
    """Seen to fail: the trash kept three megabytes of somebody with one, until their next deletion."""
    services.change_plan(user=alice, plan=Plan.objects.get(slug="plus"))
    codes = [code_of(as_penora, content="x" * (MEGABYTE // 2)) for _ in range(4)]
    delete_all(as_penora, *codes)

    services.change_plan(user=alice, plan=Plan.objects.get(slug="free"))

    assert in_trash(as_penora) == [codes[3], codes[2]]
    assert counters(alice)["trash"] == (MEGABYTE, 2)
    change_limit(user=alice, limit_bytes=MEGABYTE - 1)
    assert in_trash(as_penora) == [codes[3]]
    assert exist(*codes) == [False, False, False, True]


# --- DELETE ----------------------------------------------------------------------------------------------------------


def test_all_of_it_is_removed_for_good(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    kept = codes_of_sizes(as_penora, 7)
    gone = [*codes_of_sizes(as_penora, 100), *codes_of_sizes(as_imagegene, 20, app="imagegene")]
    delete_all(as_penora, *gone)

    response = as_penora.delete("trash", user_id="alice")

    assert response.status_code == 200
    stats = as_penora.get("storage-stats", user_id="alice").json()["storage_stats"]
    assert response.json() == {"success": True, "removed_count": 2, "removed_bytes": 120, "storage_stats": stats}
    assert exist(*gone, *kept) == [False, False, True]
    assert counters(alice) == {"all": (7, 1), "trash": (0, 0), "penora": (7, 1)}
    assert emptied(as_penora) == (0, 0)


def test_one_of_it_is_removed_however_its_code_is_typed(alice: User, as_penora: ApiClient) -> None:
    first, second = codes_of_sizes(as_penora, 100, 20)
    delete_all(as_penora, first, second)

    assert emptied(as_penora, code=f" {first[:3]}-{first[3:]} ".lower().replace("0", "o").replace("1", "i")) == (1, 100)

    assert exist(first, second) == [False, True]
    assert counters(alice)["trash"] == (20, 1)


@pytest.mark.parametrize("code", ["", "000000", "nothing", "0", "é", "0" * 64, "{kept}", "{foreign}", "{twice}"])
def test_what_is_not_in_it_is_refused_and_nothing_goes(alice: User, bob: User, as_penora: ApiClient, code: str) -> None:
    """An empty code least of all: what was meant to be one project must not be taken for all of them."""
    kept, in_it, twice = codes_of_sizes(as_penora, 1, 2, 3)
    foreign = code_of(as_penora, user_id="bob")
    as_penora.delete(f"projects/{foreign}", user_id="bob")
    delete_all(as_penora, in_it, twice)
    emptied(as_penora, code=twice)
    typed = code.format(kept=kept, foreign=foreign, twice=twice)
    expected = {"status": 404, "code": "project_not_found"} if code else {"field": "code"}

    answer = refused(as_penora, "trash", {"user_id": "alice", "code": typed}, about=alice, method="delete", **expected)

    assert answer.get("project_code", "") == typed
    assert exist(in_it, foreign) == [True, True]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(({"user_id": value}, "user_id") for value in ("", "x" * 256, "a\nb", ["alice", "alice"])),
        ({}, "user_id"),
        *(({"user_id": "alice", "code": value}, "code") for value in ("0" * 65, "a\x00b", ["000000", "000001"])),
    ],
)
def test_bad_input_is_named_and_nothing_goes(
    alice: User, as_penora: ApiClient, query: dict[str, Any], field: str
) -> None:
    deleted(as_penora, save(as_penora)["project_code"])

    refused(as_penora, "trash", query, about=alice, method="delete", field=field)


def test_nobody_by_this_id_has_no_trash(alice: User, as_penora: ApiClient) -> None:
    for response in (as_penora.get("trash", user_id="nobody"), as_penora.delete("trash", user_id="nobody")):
        assert (response.status_code, response.json()["code"]) == (404, "user_not_found")
        assert response.json()["user_id"] == "nobody"


def test_a_misspelt_parameter_does_not_empty_the_trash(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)
    before = everything_of(alice)

    response = as_penora.delete("trash", user_id="alice", project_code=code)

    assert (response.status_code, list(response.json()["fields"])) == (400, ["project_code"])
    assert everything_of(alice) == before
