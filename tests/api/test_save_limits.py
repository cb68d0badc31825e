"""POST save-project at the limits: the last byte, the last project."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Plan, User
from tests.api.conftest import everything_of
from tests.api.pictures import as_base64, draw
from tests.api.test_save_project import ROUTE, body, kept
from tests.client import ApiClient
from workspace.models import Project, Storage

MEGABYTE = 1_048_576


def test_an_exact_fit_fits(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(ROUTE, body(content="x" * MEGABYTE))

    assert response.status_code == 201
    stats = response.json()["storage_stats"]
    assert (stats["used_mb"], stats["available_mb"], stats["usage_percentage"]) == (1.0, 0.0, 100.0)
    assert (stats["used_bytes"], stats["available_bytes"]) == (MEGABYTE, 0)


def test_one_byte_more_is_refused_and_nothing_is_written(alice: User, as_imagegene: ApiClient) -> None:
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body(content="x" * (MEGABYTE + 1)))

    assert response.status_code == 413
    assert everything_of(alice) == before


def test_the_room_is_one_room_for_both_apps(alice: User, as_imagegene: ApiClient, as_penora: ApiClient) -> None:
    as_penora.post(ROUTE, body(content="x" * (MEGABYTE - 3), app_source="penora"))

    assert as_imagegene.post(ROUTE, body(content="éé")).status_code == 413
    assert as_imagegene.post(ROUTE, body(content="éx")).status_code == 201
    assert as_imagegene.post(ROUTE, body(content="x")).status_code == 413
    assert Storage.objects.get(user=alice).used_bytes == MEGABYTE


def test_another_persons_room_is_another_room(alice: User, bob: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post(ROUTE, body(content="x" * MEGABYTE))

    assert as_imagegene.post(ROUTE, body(content="x" * MEGABYTE, user_id="bob")).status_code == 201


def test_who_has_no_room_is_told_everything_needed_to_act(alice: User, as_imagegene: ApiClient) -> None:
    codes = [
        as_imagegene.post(ROUTE, body(content="x" * size, title=f"{size} bytes")).json()["project_code"]
        for size in (600_000, 10, 100_000)
    ]

    response = as_imagegene.post(ROUTE, body(content="x" * (MEGABYTE // 2)))

    answer = response.json()
    assert (response.status_code, answer["success"]) == (413, False)
    assert (answer["error"], answer["code"]) == ("Storage limit exceeded", "storage_limit_exceeded")
    assert answer["details"] == "Adding 0.5MB would exceed 1MB limit"
    assert (answer["needed_bytes"], answer["available_bytes"]) == (524_288, MEGABYTE - 700_010)
    assert [(item["code"], item["size_bytes"]) for item in answer["largest"]] == [
        (codes[0], 600_000),
        (codes[2], 100_000),
        (codes[1], 10),
    ]
    assert answer["largest"][0] == {
        "code": codes[0],
        "title": "600000 bytes",
        "app_source": "imagegene",
        "size_mb": 0.5722,
        "size_bytes": 600_000,
    }
    assert [(step["plan"], step["storage_limit_bytes"], step["storage_limit_mb"]) for step in answer["upgrade"]] == [
        ("plus", 10 * MEGABYTE, 10.0),
        ("pro", 100 * MEGABYTE, 100.0),
    ]


@pytest.mark.parametrize(
    ("limit", "size", "sentence"),
    [
        (0, 1, "Adding 0.0001MB would exceed 0MB limit"),
        (MEGABYTE, MEGABYTE + MEGABYTE // 4, "Adding 1.25MB would exceed 1MB limit"),
        (MEGABYTE, 2 * MEGABYTE, "Adding 2MB would exceed 1MB limit"),
        (MEGABYTE // 2, 1_000_000, "Adding 0.9537MB would exceed 0.5MB limit"),
        (MEGABYTE * 5 // 2, 3 * MEGABYTE, "Adding 3MB would exceed 2.5MB limit"),
    ],
)
def test_the_sentence_has_at_most_four_decimals_and_no_trailing_zeros(
    alice: User, as_imagegene: ApiClient, limit: int, size: int, sentence: str
) -> None:
    Storage.objects.filter(user=alice).update(limit_bytes=limit)

    response = as_imagegene.post(ROUTE, body(content="x" * size))

    assert response.status_code == 413
    assert response.json()["details"] == sentence


def test_room_that_a_hold_has_claimed_is_taken(alice: User, as_imagegene: ApiClient) -> None:
    Storage.objects.filter(user=alice).update(reserved_bytes=MEGABYTE - 5)

    response = as_imagegene.post(ROUTE, body(content="x" * 6))

    assert (response.status_code, response.json()["available_bytes"]) == (413, 5)
    assert as_imagegene.post(ROUTE, body(content="x" * 5)).status_code == 201


def test_who_is_on_the_largest_plan_is_offered_nothing(alice: User, as_imagegene: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="pro"))

    assert as_imagegene.post(ROUTE, body(content="x" * (MEGABYTE + 1))).json()["upgrade"] == []


def test_a_picture_counts_as_its_own_bytes_and_not_as_base64(alice: User, as_imagegene: ApiClient) -> None:
    picture = draw("PNG", size=(64, 64))
    Storage.objects.filter(user=alice).update(limit_bytes=len(picture))

    kept(as_imagegene.post(ROUTE, body(content=as_base64(picture), compression="none")))

    assert Storage.objects.get(user=alice).used_bytes == len(picture) < len(as_base64(picture))


def test_a_user_has_at_most_as_many_projects_as_the_setting_says(
    alice: User, bob: User, settings: Any, as_imagegene: ApiClient
) -> None:
    assert settings.MAX_PROJECTS_PER_USER == 1_000
    settings.MAX_PROJECTS_PER_USER = 2
    assert as_imagegene.post(ROUTE, body()).status_code == 201
    assert as_imagegene.post(ROUTE, body()).status_code == 201
    before = everything_of(alice)

    response = as_imagegene.post(ROUTE, body())

    assert response.status_code == 413
    answer = response.json()
    assert (answer["error"], answer["code"]) == ("Project limit reached", "project_limit_reached")
    assert answer["limit"] == 2
    assert everything_of(alice) == before
    assert as_imagegene.post(ROUTE, body(user_id="bob")).status_code == 201


def test_a_refused_project_leaves_no_code_behind(alice: User, as_imagegene: ApiClient) -> None:
    as_imagegene.post(ROUTE, body(content="x" * (MEGABYTE + 1)))

    assert not Project.objects.exists()
    assert as_imagegene.get("projects", user_id="alice").json()["total_count"] == 0
