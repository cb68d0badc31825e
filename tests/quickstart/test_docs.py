"""The worked examples of docs/credits.md and docs/workspace.md, as they stand there, against the real service."""

from __future__ import annotations

import io
import re
import runpy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.quickstart.service import PROJECT, Service


def picture(title: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def sample(
    enforced_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """Runs a document's only Python block, and gives what it defines."""

    def run(document: str) -> dict[str, Any]:
        (block,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / document).read_text(), re.DOTALL)
        monkeypatch.setenv("UNIFIED_URL", enforced_service.url)
        monkeypatch.setenv("UNIFIED_KEY", enforced_service.facts["app_keys"]["imagegene"])
        (tmp_path / "sample.py").write_text(block)
        return runpy.run_path(str(tmp_path / "sample.py"))

    return run


@pytest.fixture
def generate(sample: Callable[[str], dict[str, Any]]) -> Any:
    return sample("credits.md")["generate"]


@pytest.fixture
def workspace(sample: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    return sample("workspace.md")


def standing(service: Service, user: str) -> tuple[int, int, int, list[tuple[str, int]]]:
    """What can be spent, what is held, how many projects there are, and the history, newest first."""
    key = service.facts["app_keys"]["penora"]
    info = service.call("GET", f"user-info?user_id={user}", key=key).json()
    projects = service.call("GET", f"projects?user_id={user}", key=key).json()
    history = service.call("GET", f"transactions?user_id={user}", key=key).json()["all_transactions"]
    entries = [(entry["type"], entry["amount"]) for entry in history]
    return info["credits"], info["held_credits"], projects["total_count"], entries


def test_the_picture_is_saved_and_paid_for_at_once(
    enforced_service: Service, new_user: Callable[..., str], generate: Any
) -> None:
    user = new_user(enforced_service, credits=10)

    saved = generate(user, "A lake at dawn", picture)

    assert saved["success"]
    assert (saved["charge"]["credits_deducted"], saved["charge"]["new_balance"]) == (2, 8)
    assert standing(enforced_service, user) == (8, 0, 1, [("deduction", -2), ("grant", 10)])


def test_while_it_is_being_made_nobody_can_spend_what_it_will_cost(
    enforced_service: Service, new_user: Callable[..., str], generate: Any
) -> None:
    user = new_user(enforced_service, credits=2)
    seen: list[Any] = []

    def make(title: str) -> bytes:
        seen.append(standing(enforced_service, user)[:2])
        seen.append(generate(user, "Another at the same time", picture)["code"])
        return picture(title)

    assert generate(user, "A lake at dawn", make)["success"]
    assert seen == [(0, 2), "insufficient_credits"]


def test_a_failed_picture_leaves_no_trace_in_the_history(
    enforced_service: Service, new_user: Callable[..., str], generate: Any
) -> None:
    user = new_user(enforced_service, credits=10)

    def fail(title: str) -> bytes:
        raise MemoryError("the model gave up")

    with pytest.raises(MemoryError):
        generate(user, "A lake at dawn", fail)

    assert standing(enforced_service, user) == (10, 0, 0, [("grant", 10)])


def test_a_picture_that_cannot_be_kept_is_not_charged_and_holds_nothing(
    enforced_service: Service, new_user: Callable[..., str], generate: Any
) -> None:
    user = new_user(enforced_service, credits=10)

    refused = generate(user, "Not a picture at all", lambda title: b"\x89PNG\r\n\x1a\n" + b"?" * 99)

    assert refused["code"] == "invalid_image"
    assert standing(enforced_service, user) == (10, 0, 0, [("grant", 10)])


def test_who_cannot_pay_is_refused_before_any_work(
    enforced_service: Service, new_user: Callable[..., str], generate: Any
) -> None:
    user = new_user(enforced_service, credits=1)
    made: list[str] = []

    refused = generate(user, "A lake at dawn", made.append)

    assert (refused["code"], refused["shortfall"], made) == ("insufficient_credits", 1, [])


def keep_text(service: Service, user: str, text: str) -> str:
    """The code of a text that Penora has saved."""
    key = service.facts["app_keys"]["penora"]
    body = {"user_id": user, "app_source": "penora", "project_type": "page", "title": "Long", "content": text}
    code: str = service.call("POST", "save-project", body, key=key).json()["project_code"]
    return code


@pytest.mark.parametrize("agrees", [True, False])
def test_a_picture_that_does_not_fit_goes_in_when_the_person_lets_something_go(
    enforced_service: Service, new_user: Callable[..., str], workspace: dict[str, Any], agrees: bool
) -> None:
    user = new_user(enforced_service)
    code = keep_text(enforced_service, user, "x" * (1_048_576 - 4))
    asked: list[list[str]] = []

    def may_go(projects: list[dict[str, Any]]) -> bool:
        asked.append([project["code"] for project in projects])
        return agrees

    saved = workspace["save"](user, "A lake at dawn", picture(""), may_go)

    assert asked == [[code]]
    left = workspace["call"]("GET", "projects", user_id=user)["all_projects"]
    if agrees:
        assert [project["code"] for project in left] == [saved["project_code"]]
        assert workspace["call"]("GET", "trash", user_id=user)["projects"][0]["code"] == code
    else:
        assert (saved["code"], saved["largest"][0]["code"]) == ("storage_limit_exceeded", code)
        assert [project["code"] for project in left] == [code]


def test_lines_that_are_added_at_the_same_time_are_all_there(
    enforced_service: Service, new_user: Callable[..., str], workspace: dict[str, Any]
) -> None:
    user = new_user(enforced_service)
    code = keep_text(enforced_service, user, "A list\n")
    lines = [f"{who} {number}" for number in range(4) for who in ("Ada", "Bob", "Eve")]

    with ThreadPoolExecutor(6) as crowd:
        answers = list(crowd.map(lambda line: workspace["append"](user, code, line), lines))

    assert all(answer["success"] for answer in answers)
    content = workspace["call"]("GET", f"projects/{code}", user_id=user)["project"]["content"]
    assert sorted(content.splitlines()) == sorted(["A list", *lines])
