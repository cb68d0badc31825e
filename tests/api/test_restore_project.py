"""POST projects/{code}/restore: out of the trash, if there is room, a place and time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import assert_replayed, everything_of, refused, tripwire
from tests.api.pictures import as_base64, draw
from tests.api.projects import MEGABYTE, code_of, codes_of_sizes, counters, deleted, in_trash, restored, row
from tests.client import ApiClient
from tests.clock import let_pass
from workspace.models import Project

ALICE = {"user_id": "alice"}
WEEK, MINUTE = timedelta(days=7), timedelta(minutes=1)


def refused_restoring(client: ApiClient, project: str, about: User, status: int, code: str) -> dict[str, Any]:
    return refused(client, f"projects/{project}/restore", ALICE, about=about, status=status, code=code)


@pytest.mark.parametrize("content", ["Azulejos", as_base64(draw("PNG", size=(40, 30)))])
def test_it_is_again_as_it_was(alice: User, as_penora: ApiClient, as_imagegene: ApiClient, content: str) -> None:
    """Also when it was last changed, and its version: what an app has seen of it is true again."""
    code = code_of(as_imagegene, "imagegene", content=content, metadata={"style": "poster"})
    as_imagegene.patch(f"projects/{code}", user_id="alice", title="Edited")
    (listed,) = as_penora.get("projects", user_id="alice").json()["all_projects"]
    whole, rows = as_penora.get(f"projects/{code}", user_id="alice").json(), everything_of(alice)
    deleted(as_penora, code)

    answer = restored(as_penora, code)

    assert everything_of(alice) == {**rows, "by_app": everything_of(alice)["by_app"]}
    assert counters(alice) == {
        "all": (listed["size_bytes"], 1),
        "trash": (0, 0),
        "imagegene": (listed["size_bytes"], 1),
    }
    assert answer["success"] is True
    assert answer["project"] == listed
    assert (answer["image"] is None) == (content == "Azulejos")
    assert answer["storage_stats"]["used_bytes"] == listed["size_bytes"]
    assert as_imagegene.get(f"projects/{code}", user_id="alice").json() == whole
    assert as_imagegene.client.get(listed["content_url"]).status_code == 200
    assert in_trash(as_penora) == []


def test_a_repeat_on_a_live_project_changes_nothing(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)
    first = restored(as_penora, code)
    before = everything_of(alice)

    assert restored(as_imagegene, code) == first

    assert everything_of(alice) == before


def test_one_that_was_never_deleted_is_a_repeat_too(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    before = everything_of(alice)

    assert restored(as_penora, code)["project"]["code"] == code

    assert everything_of(alice) == before


def test_it_goes_and_comes_as_often_as_one_likes(alice: User, as_penora: ApiClient) -> None:
    code, _ = codes_of_sizes(as_penora, 100, 7)
    for _ in range(3):
        deleted(as_penora, code)
        restored(as_penora, code)

    assert counters(alice) == {"all": (107, 2), "trash": (0, 0), "penora": (107, 2)}
    assert row(code).version == 1


@pytest.mark.parametrize("free", [999, 0])
def test_without_room_it_stays_in_the_trash(alice: User, as_penora: ApiClient, free: int) -> None:
    code, filler = codes_of_sizes(as_penora, 1_000, MEGABYTE - 1_000)
    deleted(as_penora, code)
    codes_of_sizes(as_penora, 1_000 - free)

    answer = refused_restoring(as_penora, code, alice, 413, "storage_limit_exceeded")

    assert answer["details"] == "Adding 0.001MB would exceed 1MB limit"
    assert (answer["needed_bytes"], answer["available_bytes"]) == (1_000, free)
    assert answer["largest"][0]["code"] == filler
    assert [offer["plan"] for offer in answer["upgrade"]] == ["plus", "pro"]
    assert in_trash(as_penora) == [code]
    deleted(as_penora, filler)
    restored(as_penora, code)


def test_an_exact_fit_fits(alice: User, as_penora: ApiClient) -> None:
    code, _ = codes_of_sizes(as_penora, 1_000, 500)
    deleted(as_penora, code)
    codes_of_sizes(as_penora, MEGABYTE - 1_500)

    assert restored(as_penora, code)["storage_stats"]["available_bytes"] == 0


def test_reserved_room_is_not_free(alice: User, as_imagegene: ApiClient) -> None:
    (code,) = codes_of_sizes(as_imagegene, 1_000, app="imagegene")
    deleted(as_imagegene, code)
    hold = {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "A picture"}
    held = as_imagegene.post("reserve-credits", {**hold, "storage_bytes": MEGABYTE - 999}).json()

    assert refused_restoring(as_imagegene, code, alice, 413, "storage_limit_exceeded")["available_bytes"] == 999

    as_imagegene.post("release-credits", hold_id=held["hold_id"])
    restored(as_imagegene, code)


def test_without_a_place_it_stays_in_the_trash(alice: User, as_penora: ApiClient, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 2
    code, _ = codes_of_sizes(as_penora, 10, 20)
    deleted(as_penora, code)
    (third,) = codes_of_sizes(as_penora, 30)

    answer = refused_restoring(as_penora, code, alice, 413, "project_limit_reached")

    assert (answer["limit"], in_trash(as_penora)) == (2, [code])
    deleted(as_penora, third)
    restored(as_penora, code)


def test_it_can_be_restored_for_seven_days_and_not_longer(alice: User, as_penora: ApiClient) -> None:
    """By the database's clock, swept or not. Red where the query looks at deleted_at alone."""
    early, late = code_of(as_penora), code_of(as_penora)
    for code in (early, late):
        deleted(as_penora, code)

    let_pass(WEEK - MINUTE)
    restored(as_penora, early)

    let_pass(MINUTE)
    assert refused_restoring(as_penora, late, alice, 404, "project_not_found")["project_code"] == late
    assert Project.objects.filter(code=late).exists()


def test_its_days_count_from_the_last_deletion(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)
    let_pass(WEEK - MINUTE)
    restored(as_penora, code)
    deleted(as_penora, code)

    let_pass(WEEK - MINUTE)

    restored(as_penora, code)


def test_what_was_removed_for_good_does_not_come_back(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)
    as_penora.delete("trash", user_id="alice")

    refused_restoring(as_penora, code, alice, 404, "project_not_found")


# --- idempotency keys ------------------------------------------------------------------------------------------------


def test_a_repeat_with_the_same_key_gets_the_first_answer(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)

    assert_replayed(as_penora, f"projects/{code}/restore", ALICE, about=alice, status=200)


def test_a_late_repeat_does_not_undo_a_second_deletion(alice: User, as_penora: ApiClient) -> None:
    code, key = code_of(as_penora), {"Idempotency-Key": "k1"}
    deleted(as_penora, code)
    as_penora.post(f"projects/{code}/restore", ALICE, headers=key)
    deleted(as_penora, code)

    late = as_penora.post(f"projects/{code}/restore", ALICE, headers=key)

    assert (late.status_code, late["Idempotent-Replayed"]) == (200, "true")
    assert in_trash(as_penora) == [code]


def test_a_late_repeat_of_a_refusal_does_not_succeed_by_surprise(alice: User, as_penora: ApiClient) -> None:
    code, filler = codes_of_sizes(as_penora, 1_000, 1_000)
    deleted(as_penora, code)
    codes_of_sizes(as_penora, MEGABYTE - 1_000)
    key = {"Idempotency-Key": "k1"}
    first = as_penora.post(f"projects/{code}/restore", ALICE, headers=key)
    assert first.status_code == 413
    deleted(as_penora, filler)

    late = as_penora.post(f"projects/{code}/restore", ALICE, headers=key)

    assert (late.status_code, late.content, late["Idempotent-Replayed"]) == (413, first.content, "true")
    restored(as_penora, code)


def test_a_404_is_not_kept_with_the_key(alice: User, as_penora: ApiClient) -> None:
    key = {"Idempotency-Key": "k1"}

    assert as_penora.post("projects/000000/restore", ALICE, headers=key).status_code == 404

    assert everything_of(alice)["keys"] == 0


def test_a_key_that_was_used_for_another_project_is_refused(alice: User, as_penora: ApiClient) -> None:
    """
    The body is the same for every project, so the address has to tell the two calls apart. Seen to fail: the second
    answer was the first project's, as a success, and the second project stayed in the trash.
    """
    first, second = code_of(as_penora), code_of(as_penora)
    for code in (first, second):
        deleted(as_penora, code)
    key = {"Idempotency-Key": "k1"}
    assert as_penora.post(f"projects/{first}/restore", ALICE, headers=key).status_code == 200

    response = as_penora.post(f"projects/{second}/restore", ALICE, headers=key)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert in_trash(as_penora) == [second]


def test_a_key_holds_with_and_without_a_slash_and_however_the_code_is_typed(alice: User, as_penora: ApiClient) -> None:
    code, key = code_of(as_penora), {"Idempotency-Key": "k1"}
    deleted(as_penora, code)
    first = as_penora.post(f"projects/{code}/restore", ALICE, headers=key)

    for typed in (f"{code}/restore/", f"{code.lower()}/restore", f"{code[:3]}-{code[3:]}/restore"):
        again = as_penora.post(f"projects/{typed}", ALICE, headers=key)
        assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "x" * 256, "a\nb", 7, True, None, [], {}, ...])
def test_the_person_has_to_be_named(alice: User, as_penora: ApiClient, value: Any) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)

    wanted = {} if value is ... else {"user_id": value}
    refused(as_penora, f"projects/{code}/restore", wanted, about=alice, field="user_id")


@pytest.mark.parametrize("table", ["workspace_project", "workspace_storage", "workspace_appstorage"])
def test_a_crash_leaves_all_as_it_was(alice: User, as_penora: ApiClient, table: str) -> None:
    code = code_of(as_penora)
    deleted(as_penora, code)
    before = everything_of(alice)

    with tripwire(table, "UPDATE", "RAISE EXCEPTION 'crash';"):
        response = as_penora.post(f"projects/{code}/restore", ALICE, headers={"Idempotency-Key": "k1"})

    assert response.status_code == 500
    assert everything_of(alice) == before
