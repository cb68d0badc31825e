"""The integration guide, sample by sample: its curl commands, its Python functions, its answers, its errors."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from PIL import Image

from tests.quickstart import imagegene
from tests.quickstart.conftest import DEMO_USER_ID
from tests.quickstart.curl import Runner
from tests.quickstart.service import Answer, Service

GUIDE_HOST = "https://penora.replit.dev"
CODE = re.compile(r"[A-Z0-9]{6}")

# The guide's testing commands, word for word.
CREATE_USER = """\
curl -X POST "https://penora.replit.dev/api/unified/create-user" \\
  -H "Content-Type: application/json" \\
  -d '{"user_id":"test123","username":"Test User","email":"test@example.com"}'
"""
DEDUCT_CREDITS = """\
curl -X POST "https://penora.replit.dev/api/unified/deduct-credits" \\
  -H "Content-Type: application/json" \\
  -d '{"user_id":"test123","amount":2,"app_name":"imagegene","description":"Test generation"}'
"""
SAVE_PROJECT = """\
curl -X POST "https://penora.replit.dev/api/unified/save-project" \\
  -H "Content-Type: application/json" \\
  -d '{"user_id":"test123","app_source":"imagegene","project_type":"ai_art","title":"Test Project",\
"content":"test content"}'
"""

# The guide's answers; `[]` stands for its `[...]`.
USER_INFO_ANSWER = """{
  "success": true,
  "user_id": "101902121794505144784",
  "credits": 43,
  "storage": {
    "used_mb": 0.15,
    "limit_mb": 1.0,
    "available_mb": 0.85,
    "usage_percentage": 15.0
  },
  "timestamp": "2025-08-20T07:25:00.000000"
}"""
PROJECTS_ANSWER = """{
  "success": true,
  "all_projects": [],
  "penora_projects": [],
  "imagegene_projects": [],
  "total_count": 8,
  "penora_count": 4,
  "imagegene_count": 4,
  "storage_stats": {
    "used_mb": 0.15,
    "limit_mb": 1.0,
    "available_mb": 0.85
  }
}"""
SAVE_PROJECT_BODY = """{
  "user_id": "101902121794505144784",
  "app_source": "imagegene",
  "project_type": "ai_art",
  "title": "Generated Landscape Art",
  "content": "base64_image_data_or_text_content",
  "metadata": {
    "style": "photorealistic",
    "dimensions": "1024x1024",
    "model": "dalle-3",
    "prompt": "Beautiful mountain landscape at sunset"
  }
}"""
SAVE_PROJECT_ANSWER = """{
  "success": true,
  "project_code": "IMG123",
  "title": "Generated Landscape Art",
  "size_mb": 0.05,
  "app_source": "imagegene"
}"""
DEDUCT_CREDITS_BODY = """{
  "user_id": "101902121794505144784",
  "amount": 2,
  "app_name": "imagegene",
  "description": "AI Art Generation - Landscape Style",
  "project_code": "IMG123"
}"""
DEDUCT_CREDITS_ANSWER = """{
  "success": true,
  "credits_deducted": 2,
  "new_balance": 41,
  "app_name": "imagegene"
}"""
TRANSACTIONS_ANSWER = """{
  "success": true,
  "all_transactions": [],
  "penora_transactions": [],
  "imagegene_transactions": [],
  "total_count": 15
}"""
STORAGE_STATS_ANSWER = """{
  "success": true,
  "storage_stats": {
    "used_mb": 0.15,
    "limit_mb": 1.0,
    "available_mb": 0.85,
    "usage_percentage": 15.0
  },
  "breakdown": {
    "penora_mb": 0.10,
    "imagegene_mb": 0.05,
    "total_projects": 8,
    "penora_projects": 4,
    "imagegene_projects": 4
  }
}"""


def assert_shaped_like(sample: Any, answer: Any, *, where: str = "answer") -> None:
    """Every key of the sample is there, with a value of the sample's type. Further keys are allowed."""
    if isinstance(sample, dict):
        assert isinstance(answer, dict), where
        for name, value in sample.items():
            assert name in answer, f"{where} has no {name}"
            assert_shaped_like(value, answer[name], where=f"{where}.{name}")
    elif isinstance(sample, float):
        assert type(answer) in (int, float), f"{where} is {answer!r}, not a number"
    else:  # bool, int, str, list; True is not taken for an int
        assert type(answer) is type(sample), f"{where} is {answer!r}, unlike {sample!r}"


def assert_answers(answer: Answer, sample: str, *, status: int = 200) -> Any:
    assert answer.status == status, answer.body
    assert_shaped_like(json.loads(sample), answer.json())
    assert answer.json()["success"] is True
    return answer.json()


@pytest.fixture(scope="module")
def seeded(open_service: Service) -> dict[str, Answer]:
    """What the guide's four GET samples give for its user, before any test changes them."""
    return {
        route: open_service.call("GET", route)
        for route in (
            f"user-info?user_id={DEMO_USER_ID}",
            f"projects?user_id={DEMO_USER_ID}",
            f"projects?user_id={DEMO_USER_ID}&app=penora",
            f"projects?user_id={DEMO_USER_ID}&app=imagegene",
            f"transactions?user_id={DEMO_USER_ID}&limit=50",
            f"storage-stats?user_id={DEMO_USER_ID}",
        )
    }


@pytest.fixture
def app(open_service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    """ImageGene with the guide's functions, on the open service. Its generator makes a picture and counts itself."""
    generated: list[tuple[str, str]] = []

    def generate(prompt: str, style: str) -> dict[str, Any]:
        generated.append((prompt, style))
        return {"success": True, "image_data": picture()}

    monkeypatch.setattr(imagegene, "BASE_URL", open_service.url)
    monkeypatch.setattr(imagegene, "your_ai_generation_function", generate)
    monkeypatch.setattr(imagegene, "generated", generated, raising=False)
    return imagegene


def picture() -> str:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


# --- the endpoints ---------------------------------------------------------------------------------------------------


def test_user_info_of_the_guides_user(seeded: dict[str, Answer]) -> None:
    info = assert_answers(seeded[f"user-info?user_id={DEMO_USER_ID}"], USER_INFO_ANSWER)
    assert (info["user_id"], info["credits"], info["storage"]["limit_mb"]) == (DEMO_USER_ID, 43, 1.0)
    storage = info["storage"]
    assert 0 < storage["used_mb"] < 1
    assert storage["available_mb"] == pytest.approx(storage["limit_mb"] - storage["used_mb"])
    assert storage["usage_percentage"] == pytest.approx(100 * storage["used_mb"], abs=0.01)
    assert datetime.fromisoformat(info["timestamp"])


def test_projects_of_the_guides_user(seeded: dict[str, Answer]) -> None:
    answer = assert_answers(seeded[f"projects?user_id={DEMO_USER_ID}"], PROJECTS_ANSWER)
    assert [answer[name] for name in ("total_count", "penora_count", "imagegene_count")] == [8, 4, 4]
    assert [len(answer[name]) for name in ("all_projects", "penora_projects", "imagegene_projects")] == [8, 4, 4]
    for project in answer["all_projects"]:
        assert CODE.fullmatch(project["code"])
        assert project in answer[f"{project['app_source']}_projects"]
        assert project["size_mb"] > 0


@pytest.mark.parametrize(("app", "other"), [("penora", "imagegene"), ("imagegene", "penora")])
def test_projects_of_one_app_only(seeded: dict[str, Answer], app: str, other: str) -> None:
    answer = assert_answers(seeded[f"projects?user_id={DEMO_USER_ID}&app={app}"], PROJECTS_ANSWER)
    assert answer["all_projects"] == answer[f"{app}_projects"]
    assert [project["app_source"] for project in answer["all_projects"]] == [app] * 4
    assert answer[f"{other}_projects"] == []


def test_transactions_of_the_guides_user(seeded: dict[str, Answer]) -> None:
    answer = assert_answers(seeded[f"transactions?user_id={DEMO_USER_ID}&limit=50"], TRANSACTIONS_ANSWER)
    entries = answer["all_transactions"]
    assert len(entries) == answer["total_count"]
    assert sum(entry["amount"] for entry in entries) == 43
    assert entries[0]["balance_after"] == 43
    for app in ("penora", "imagegene"):
        assert answer[f"{app}_transactions"] == [entry for entry in entries if entry["app_name"] == app] != []


def test_storage_stats_of_the_guides_user(seeded: dict[str, Answer]) -> None:
    answer = assert_answers(seeded[f"storage-stats?user_id={DEMO_USER_ID}"], STORAGE_STATS_ANSWER)
    parts = answer["breakdown"]
    assert [parts[name] for name in ("total_projects", "penora_projects", "imagegene_projects")] == [8, 4, 4]
    assert parts["penora_mb"] > 0
    assert parts["imagegene_mb"] > 0
    assert parts["penora_bytes"] + parts["imagegene_bytes"] == answer["storage_stats"]["used_bytes"]


def test_save_project_with_the_guides_body(seeded: dict[str, Answer], open_service: Service) -> None:
    before = seeded[f"projects?user_id={DEMO_USER_ID}"].json()["imagegene_count"]
    answer = assert_answers(
        open_service.call("POST", "save-project", SAVE_PROJECT_BODY.encode()), SAVE_PROJECT_ANSWER, status=201
    )
    assert CODE.fullmatch(answer["project_code"])
    assert (answer["title"], answer["app_source"]) == ("Generated Landscape Art", "imagegene")
    assert answer["size_mb"] > 0
    listed = open_service.call("GET", f"projects?user_id={DEMO_USER_ID}&app=imagegene").json()
    assert listed["imagegene_count"] == before + 1
    newest = listed["all_projects"][0]
    assert newest["code"] == answer["project_code"]
    assert newest["metadata"] == json.loads(SAVE_PROJECT_BODY)["metadata"]


def test_deduct_credits_with_the_guides_body(seeded: dict[str, Answer], open_service: Service) -> None:
    answer = assert_answers(
        open_service.call("POST", "deduct-credits", DEDUCT_CREDITS_BODY.encode()), DEDUCT_CREDITS_ANSWER
    )
    assert {name: answer[name] for name in json.loads(DEDUCT_CREDITS_ANSWER)} == json.loads(DEDUCT_CREDITS_ANSWER)
    newest = open_service.call("GET", f"transactions?user_id={DEMO_USER_ID}&limit=1").json()["imagegene_transactions"]
    assert newest[0]["amount"] == -2
    assert newest[0]["description"] == "AI Art Generation - Landscape Style"
    assert newest[0]["project_code"] == "IMG123"


def test_the_three_testing_commands(open_service: Service, run_curl: Runner) -> None:
    """In the guide's order, by each runner in turn: creating the person again is harmless."""
    before = open_service.call("GET", "user-info?user_id=test123")
    balance = before.json()["credits"] if before.status == 200 else 50

    created = run_curl(CREATE_USER.replace(GUIDE_HOST, open_service.url))
    assert created.status == (200 if before.status == 200 else 201), created.body
    assert created.json()["success"] is True
    assert created.json()["created"] is (before.status == 404)
    assert created.json()["credits"] == balance
    assert [created.json()[name] for name in ("user_id", "username", "email")] == [
        *("test123", "Test User", "test@example.com")
    ]

    deducted = run_curl(DEDUCT_CREDITS.replace(GUIDE_HOST, open_service.url))
    assert assert_answers(deducted, DEDUCT_CREDITS_ANSWER)["new_balance"] == balance - 2

    saved = run_curl(SAVE_PROJECT.replace(GUIDE_HOST, open_service.url))
    assert assert_answers(saved, SAVE_PROJECT_ANSWER, status=201)["title"] == "Test Project"
    for answer in (created, deducted, saved):
        assert answer.headers["X-Unified-Auth"] == "quickstart-open"


# --- the errors ------------------------------------------------------------------------------------------------------


def test_the_insufficient_credits_example(open_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(open_service, credits=1)
    body = {"user_id": user, "amount": 2, "app_name": "imagegene", "description": "Test generation"}
    answer = open_service.call("POST", "deduct-credits", body)
    assert answer.status == 402
    shown = {name: answer.json()[name] for name in ("success", "error", "details")}
    assert shown == {
        "success": False,
        "error": "Insufficient credits",
        "details": "User has 1 credit but needs 2",
    }
    assert open_service.call("GET", f"user-info?user_id={user}").json()["credits"] == 1


def test_the_storage_limit_example(open_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(open_service)

    def save(size_bytes: int) -> Answer:
        body = {"user_id": user, "app_source": "penora", "project_type": "page", "title": "Long"}
        return open_service.call("POST", "save-project", {**body, "content": "x" * size_bytes})

    assert save(600_000).status == 201
    answer = save(524_288)
    assert answer.status == 413
    shown = {name: answer.json()[name] for name in ("success", "error", "details")}
    assert shown == {
        "success": False,
        "error": "Storage limit exceeded",
        "details": "Adding 0.5MB would exceed 1MB limit",
    }
    stats = open_service.call("GET", f"storage-stats?user_id={user}").json()
    assert stats["storage_stats"]["used_bytes"] == 600_000
    assert stats["breakdown"]["total_projects"] == 1


# --- the functions ---------------------------------------------------------------------------------------------------


def test_initialize_user_in_unified_system_at_every_login(app: Any) -> None:
    first = app.initialize_user_in_unified_system("ada", "Ada", "ada@example.com")
    assert first["success"] is True
    assert first["credits"] == 50
    again = app.initialize_user_in_unified_system("ada", "Ada", "ada@example.com")
    assert again["success"] is True
    assert (again["created"], again["credits"]) == (False, 50)


def test_check_user_credits(app: Any, open_service: Service, new_user: Callable[..., str]) -> None:
    assert app.check_user_credits(new_user(open_service, credits=7)) == 7
    assert app.check_user_credits("nobody-of-this-name") == 0


def test_generate_ai_art_with_credits(app: Any, open_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(open_service, credits=3)
    prompt = "Beautiful mountain landscape at sunset"
    result = app.generate_ai_art_with_credits(user, prompt, style="watercolour")
    assert result == {
        "success": True,
        "image": picture(),
        "project_code": result["project_code"],
        "credits_remaining": 1,
    }
    assert CODE.fullmatch(result["project_code"])
    assert app.generated == [(prompt, "watercolour")]

    (project,) = open_service.call("GET", f"projects?user_id={user}").json()["imagegene_projects"]
    assert project["code"] == result["project_code"]
    assert project["title"] == f"AI Art - {prompt[:30]}"
    assert project["metadata"] == {"style": "watercolour", "prompt": prompt, "model": "dalle-3"}
    assert project["content_type"].startswith("image/")
    (charge,) = open_service.call("GET", f"transactions?user_id={user}&type=deduction").json()["all_transactions"]
    assert (charge["amount"], charge["balance_after"], charge["project_code"]) == (-2, 1, project["code"])

    # The one credit left is not enough: nothing is generated, kept or paid for.
    assert app.generate_ai_art_with_credits(user, prompt) == {"error": "Insufficient credits"}
    assert len(app.generated) == 1
    assert app.check_user_credits(user) == 1
    assert open_service.call("GET", f"projects?user_id={user}").json()["total_count"] == 1


def test_a_failed_generation_costs_nothing(
    app: Any, open_service: Service, new_user: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = new_user(open_service)
    monkeypatch.setattr(app, "your_ai_generation_function", lambda prompt, style: {"success": False})
    assert app.generate_ai_art_with_credits(user, "A cat") == {"error": "Generation failed"}
    assert app.check_user_credits(user) == 50
    assert app.get_user_projects_for_dropdown(user) == []


def test_get_user_projects_for_dropdown(app: Any, open_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(open_service)
    art = app.generate_ai_art_with_credits(user, "A cat")
    page = {"user_id": user, "app_source": "penora", "project_type": "page", "title": "Lisbon", "content": "x" * 52_429}
    code = open_service.call("POST", "save-project", page).json()["project_code"]
    newest, oldest = app.get_user_projects_for_dropdown(user)
    assert newest == {"value": code, "label": "[PENORA] Lisbon", "type": "page", "size": "0.05MB"}
    assert re.fullmatch(r"0\.\d{1,4}MB", oldest["size"])
    assert oldest == {
        "value": art["project_code"],
        "label": "[IMAGEGENE] AI Art - A cat",
        "type": "ai_art",
        "size": oldest["size"],
    }
    assert app.get_user_projects_for_dropdown("nobody-of-this-name") == []


def test_get_storage_display_info(app: Any, open_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(open_service)
    assert app.get_storage_display_info(user) == {
        "used": 0,
        "total": 1,
        "percentage": 0,
        "penora_usage": 0,
        "imagegene_usage": 0,
    }
    page = {"user_id": user, "app_source": "penora", "project_type": "page", "title": "Half", "content": "x" * 524_288}
    assert open_service.call("POST", "save-project", page).status == 201
    assert app.get_storage_display_info(user) == {
        "used": 0.5,
        "total": 1,
        "percentage": 50,
        "penora_usage": 0.5,
        "imagegene_usage": 0,
    }
    assert app.get_storage_display_info("nobody-of-this-name") == {"used": 0, "total": 1, "percentage": 0}
