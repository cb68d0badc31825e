"""What a page weighs without its pictures: its HTML as it is, and styles and scripts as production compresses them."""

from __future__ import annotations

import re
from pathlib import Path

import brotli
import pytest
from django.contrib.staticfiles import finders

from accounts.models import App, User
from credits import services as credits
from tests.web.pages import at_pages, kept

pytestmark = pytest.mark.django_db
MOST_BYTES = 150_000
PAGES = ("/projects/", "/projects/?view=list", "/storage/", "/storage/trash/", "/credits/", "/plans/", "/account/")


@pytest.fixture
def much(alice: User, penora: App, imagegene: App) -> User:
    """More than one page shows of anything."""
    for nth in range(60):
        app = penora if nth % 2 else imagegene
        kept(alice, app, title=f"A title of some length, as people give them, no. {nth}", content=f"{nth} " * 100)
        if nth < 50:
            credits.deduct(user=alice, app=app, amount=1, description=f"A page of some length, no. {nth}")
    return alice


@pytest.mark.parametrize("address", PAGES)
def test_no_page_weighs_more_than_it_may(much: User, address: str) -> None:
    page = at_pages(much).get(address).content
    files = set(re.findall(r'(?:href|src)="/static/([^"]+\.(?:css|js))"', page.decode()))

    assert "unified.css" in files
    assert any("htmx" in file for file in files)
    found = [Path(str(finders.find(file))) for file in files]
    assert len(page) + sum(len(brotli.compress(file.read_bytes())) for file in found) <= MOST_BYTES
