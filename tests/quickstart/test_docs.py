"""The worked example of docs/credits.md, as it stands there, against the real service."""

from __future__ import annotations

import io
import re
import runpy
from collections.abc import Callable
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
def generate(enforced_service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's function, from the document's only Python block."""
    (sample,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "credits.md").read_text(), re.DOTALL)
    monkeypatch.setenv("UNIFIED_URL", enforced_service.url)
    monkeypatch.setenv("UNIFIED_KEY", enforced_service.facts["app_keys"]["imagegene"])
    (tmp_path / "sample.py").write_text(sample)
    return runpy.run_path(str(tmp_path / "sample.py"))["generate"]


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
