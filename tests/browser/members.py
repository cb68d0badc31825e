"""People at their own pages, by themselves, and what the apps do for them meanwhile."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Locator, Page

from tests.browser.stack import Stack
from tests.browser.visitor import Visitor
from tests.quickstart.service import Answer

AT_ONCE_MS = 5_000  # two seconds, on a machine that does other things as well


def sign_in(visitor: Visitor, demo: Stack, sub: str, onwards: str = "/") -> Page:
    """Somebody of their own, by way of Google's stand-in."""
    page = visitor.open(f"{demo.unified.url}/signin/?next={onwards}")
    visitor.click("Continue with Google")
    page.get_by_text("Be somebody else").click()
    page.get_by_label("Any number or name").fill(sub)
    visitor.click("Continue")
    return page


def call(demo: Stack, method: str, route: str, app: str = "penora", body: dict[str, Any] | None = None) -> Answer:
    """What an app asks for, whatever comes of it."""
    return demo.unified.call(method, route, body, key=demo.unified.facts["app_keys"][app])


def api(demo: Stack, route: str, app: str = "penora", **body: Any) -> dict[str, Any]:
    """What an app does, and that it is done."""
    answer = call(demo, "POST", route, app, body)
    told: dict[str, Any] = json.loads(answer.body)
    assert answer.status < 300, told
    return told


def save(
    demo: Stack, sub: str, title: str, app: str = "penora", *, content: str = "", kind: str = "page", **more: Any
) -> str:
    """The code of what an app has saved; its content is its title, unless said otherwise."""
    made = api(
        demo,
        "save-project",
        app,
        user_id=sub,
        app_source=app,
        project_type=kind,
        title=title,
        content=content or title,
        **more,
    )
    return str(made["project_code"])


def spend(demo: Stack, sub: str, amount: int, description: str = "Pages", **more: Any) -> None:
    api(demo, "deduct-credits", user_id=sub, amount=amount, app_name="penora", description=description, **more)


def tiles(page: Page) -> Locator:
    return page.locator("#found li")
