"""
What the admin asks of the database with 10,000 people and 1,000,000 entries is what it asks with one person: the
number of statements does not grow, and none of them reads everything to show a page of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from credits.models import LedgerEntry
from tests.admin import crowd
from tests.admin.conftest import FIRST_PAGE_QUERIES
from unified import seed
from unified.figures import rollups

PEOPLE, ENTRIES_EACH = 10_000, 100


class World:
    """What each page asked, with one person and with all of them."""

    def __init__(self) -> None:
        self.staff = Browser()
        self.staff.force_login(
            User.objects.create_superuser(user_id="root", username="Root", email="root@example.com", password=None)
        )
        seed.seed_demo()
        self.person = User.objects.get(user_id=seed.DEMO_USER_ID)
        rollups.roll_up()
        self.few = {path: self.asked(path) for path in self.paths()}
        crowd.fill(people=PEOPLE, entries=ENTRIES_EACH)
        rollups.roll_up()
        self.many = {path: self.asked(path) for path in self.paths()}

    def paths(self) -> list[str]:
        lists = [
            f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            for model in admin.site._registry
            if model._default_manager.exists()
        ]
        ledger, people = "/admin/credits/ledgerentry/", "/admin/accounts/user/"
        return [
            *("/admin/", "/admin/?days=90", f"/admin/people/{self.person.pk}/"),
            *lists,
            *(
                f"{ledger}?{query}"
                for query in ("created_at_from=2026-01-01", "q=demo", "type__exact=deduction", "p=2")
            ),
            *(f"{people}?{query}" for query in ("q=demo", "o=1", "p=2")),
            "/admin/workspace/storage/?q=demo",
        ]

    def asked(self, path: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert self.staff.get(path).status_code == 200, path
        return [query["sql"] for query in captured.captured_queries]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield World()
        transaction.set_rollback(True)


def test_there_is_as_much_as_was_asked_for(world: World) -> None:
    assert User.objects.count() > PEOPLE
    assert LedgerEntry.objects.count() > PEOPLE * ENTRIES_EACH


def test_no_page_asks_more_often_for_many_than_for_few(world: World) -> None:
    counts = {path: (len(world.few[path]), len(world.many[path])) for path in world.few}

    print("\n".join(f"{many:3} queries  {path}" for path, (_, many) in sorted(counts.items())))
    # With few, a page may leave out what it does not need: how many there are beyond this page.
    assert not {path: count for path, count in counts.items() if count[1] > count[0] + 1}


def test_the_dashboard_needs_few(world: World) -> None:
    for path in ("/admin/", "/admin/?days=90"):
        assert len(world.many[path]) <= FIRST_PAGE_QUERIES, "\n".join(world.many[path])


@pytest.mark.parametrize("path", ["/admin/", "/admin/?days=90"])
def test_the_dashboard_reads_neither_the_ledger_nor_all_people_nor_all_room(world: World, path: str) -> None:
    """Asked of PostgreSQL itself: how many rows each of its statements goes through."""
    for statement in world.many[path]:
        if not statement.lstrip().upper().startswith(("SELECT", "WITH")):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement)
            read = _rows(cursor.fetchone()[0][0]["Plan"])
        assert read < 5_000, f"{read} rows: {statement}"


def _rows(plan: dict[str, Any]) -> int:
    """Rows that the scans of a plan have gone through, those that a filter then dropped included."""
    own = 0
    if "Scan" in plan["Node Type"]:
        own = int(plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)))
    return own + sum(_rows(part) for part in plan.get("Plans", []))
