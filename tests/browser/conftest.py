"""
Chromium and what `make demo` starts. The servers live as long as the run (one set for each worker of pytest-xdist);
Playwright only as long as this folder's tests: its event loop sits in their thread, where Django would refuse to touch
the database for every test that came after. So these tests ask the service by HTTP alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.stack import Stack, production_policy, stack
from tests.browser.visitor import Visitor

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PATIENCE_MS = 20_000


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = shutil.which("chromium")
    if path is None:
        why = "There is no Chromium: install Debian's package 'chromium' to run the browser tests."
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return path


@pytest.fixture(scope="session")
def demo(chromium_path: str) -> Iterator[Stack]:
    with stack() as started:
        yield started


@pytest.fixture(scope="session")
def policy() -> str:
    return production_policy()


@pytest.fixture(scope="package")
def chromium(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def new_visitor(chromium: Browser, demo: Stack, policy: str) -> Iterator[Callable[[], Visitor]]:
    """Makes people with browsers of their own. What these complained of in the end fails the test."""
    visitors: list[Visitor] = []

    def make() -> Visitor:
        context = chromium.new_context()
        context.set_default_timeout(PATIENCE_MS)
        visitors.append(Visitor(context, stack=demo, policy=policy))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest.fixture
def visitor(new_visitor: Callable[[], Visitor]) -> Visitor:
    return new_visitor()


@pytest.fixture
def staff(visitor: Visitor, demo: Stack) -> Visitor:
    """Somebody who has signed in to the admin with a password, and has arrived where they wanted to go."""
    admin = demo.unified.facts["admin"]
    page = visitor.open(f"{demo.unified.url}/admin/")
    page.get_by_label("User id").fill(admin["user_id"])
    page.get_by_label("Password", exact=True).fill(admin["password"])
    visitor.click("Sign in")
    expect(page.get_by_role("heading", level=1)).to_have_text("Users, credits and storage")
    return visitor
