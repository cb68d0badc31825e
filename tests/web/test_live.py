"""That an open page follows what the apps do: cheaply, and with nothing missed. And the frame that it is in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import LedgerEntry
from tests.clock import let_pass
from tests.web.test_account import browser_of, keep, text_of
from unified import services
from unified.web.version import version_of
from workspace import services as workspace
from workspace.content import text_content
from workspace.models import Project

pytestmark = pytest.mark.django_db
LIVE, BAR, PROJECTS = "/live/", "/live/bar/", "/projects/"
HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/projects/?app=penora"}


@pytest.fixture
def alices(alice: User) -> Browser:
    return browser_of(alice)


def version_on(page: Any) -> str:
    found = re.search(r'data-version="([0-9a-f.]+)"', page.content.decode())
    assert found
    return found[1]


# --- The question -----------------------------------------------------------------------------------------------------


def test_nothing_has_changed(alice: User, alices: Browser, django_assert_max_num_queries: Any) -> None:
    version = version_on(alices.get(PROJECTS))

    with django_assert_max_num_queries(3):  # the session, the person, the version
        answer = alices.get(LIVE, {"v": version}, headers=HTMX)

    assert (answer.status_code, answer.content) == (204, b"")
    assert "no-store" in answer["Cache-Control"]


def test_something_has(alice: User, alices: Browser, penora: App, django_assert_max_num_queries: Any) -> None:
    before = version_on(alices.get(PROJECTS))
    keep(alice, penora)

    with django_assert_max_num_queries(3):
        answer = alices.get(LIVE, {"v": before}, headers=HTMX)

    after = answer.json()["v"]
    assert after != before
    assert alices.get(LIVE, {"v": after}, headers=HTMX).status_code == 204


def test_the_question_reads_the_persons_own_rows_alone(alice: User, penora: App) -> None:
    """Every open page asks it all the time: what others have must not make it dearer."""
    workspace.delete_project(user=alice, code=keep(alice, penora).code)
    keep(alice, penora)
    plant_others(penora, people=100, of_each=60)
    with CaptureQueriesContext(connection) as asked:
        version_of(alice)
    (question,) = asked.captured_queries

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {question['sql']}")
        ((told,),) = cursor.fetchall()
        cursor.execute("SELECT SUM(pg_relation_size(oid) / 8192) FROM pg_class WHERE relname = 'workspace_project'")
        ((pages_of_projects,),) = cursor.fetchall()
    plan = told[0]["Plan"]
    assert OF_OTHERS.keys().isdisjoint(
        node["Relation Name"] for node in nodes_of(plan) if node["Node Type"] == "Seq Scan"
    )
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 60 < pages_of_projects


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes_of(below)


def plant_others(app: App, *, people: int, of_each: int) -> None:
    """In the database alone: people with projects, a third of them in the trash, holds, lots, kept room and wishes."""
    plan = Plan.objects.get(slug="plus")
    User.objects.bulk_create(User(user_id=f"other-{n}", username=f"Other {n}", plan=plan) for n in range(people))
    ids = {"app": app.pk, "plan": plan.pk, "of_each": of_each}
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # they have no accounts and no storage
        for table, (columns, values) in OF_OTHERS.items():
            who = "FROM accounts_user u, generate_series(1, %(of_each)s) n WHERE u.user_id LIKE 'other-%%'"
            cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {values} {who}", ids)
            cursor.execute(f"ANALYZE {table}")
        cursor.execute("SET session_replication_role = origin")


OF_OTHERS = {
    "workspace_project": (
        "user_id, app_id, code, title, project_type, content_type, size_bytes, original_bytes, metadata, deleted_at",
        "u.id, %(app)s, to_char(row_number() OVER (), 'FM000000'), 'A title', 'page', 'text/plain', 10, 10, '{}',"
        " CASE n %% 3 WHEN 0 THEN now() END",
    ),
    "credits_hold": (
        "id, account_id, app_id, amount, status, description, created_at, expires_at",
        "gen_random_uuid(), u.id, %(app)s, 1, 'active', '', now(), now() + '1 hour'",
    ),
    "credits_grant": (
        "account_id, entry_id, amount, remaining, held, priority, created_at, expires_at",
        "u.id, gen_random_uuid(), 1, 1, 0, 100, now() - interval '1 hour', now()",
    ),
    "workspace_reservation": ("id, storage_id, size_bytes, expires_at", "gen_random_uuid(), u.id, 1, now()"),
    "accounts_upgraderequest": (
        "user_id, plan_id, status, note, created_at, decided_at",
        "u.id, %(plan)s, 'withdrawn', '', now(), now()",
    ),
}


def test_it_is_everybodys_own(alice: User, alices: Browser, bob: User, penora: App) -> None:
    """Before the dot it says whose: the two have the same, and a page of one is none of the other."""
    version = version_of(alice)
    assert version.split(".")[0] != version_of(bob).split(".")[0]
    keep(bob, penora)

    assert alices.get(LIVE, {"v": version}, headers=HTMX).status_code == 204


def test_every_change_is_one(alice: User, bob: User, penora: App) -> None:
    """What an app, the person and staff do."""
    seen = [version_of(alice)]

    def changed(what: str) -> None:
        seen.append(version_of(alice))
        assert seen[-1] != seen[-2], what

    project = keep(alice, penora)
    changed("saved")
    workspace.edit_project(user=alice, code=project.code, title="Another")
    changed("renamed")
    workspace.delete_project(user=alice, code=project.code)
    changed("put into the trash")
    workspace.restore_project(user=alice, code=project.code)
    changed("restored")
    credits.deduct(user=alice, app=penora, amount=1, description="A page")
    changed("spent")
    hold, _ = services.reserve(
        user=alice, app=penora, amount=2, description="A book", expires_in_seconds=3600, storage_bytes=50
    )
    changed("reserved")
    services.release(hold=hold)
    changed("released")
    credits.grant(user=alice, amount=5, source=LedgerEntry.Source.ADJUSTMENT, description="Sorry")
    changed("given")
    wish = accounts.request_upgrade(user=alice, plan=Plan.objects.get(slug="plus"))
    changed("asked for a plan")
    accounts.decide_upgrade(wish=wish, approved=False, actor=bob)
    changed("declined")
    accounts.note_upgrade_seen(user=alice, wish_id=wish.pk)
    changed("read")
    services.change_plan(user=alice, plan=Plan.objects.get(slug="plus"))
    changed("put on another plan")


def test_one_for_another_of_the_same_size_is_a_change(alice: User, penora: App) -> None:
    """Two deeds between two questions that leave every count as it was."""
    first, second = keep(alice, penora), keep(alice, penora)
    workspace.delete_project(user=alice, code=first.code)
    before = version_of(alice)

    workspace.restore_project(user=alice, code=first.code)
    workspace.delete_project(user=alice, code=second.code)

    assert version_of(alice) != before


def test_one_hold_for_another_of_the_same_amount_is_a_change(alice: User, penora: App) -> None:
    """Of a tab that nobody has looked at meanwhile: what it says is held for, and until when, is over."""
    first, _ = credits.reserve(user=alice, app=penora, amount=2, description="First", expires_in_seconds=3600)
    before = version_of(alice)

    services.release(hold=first)
    credits.reserve(user=alice, app=penora, amount=2, description="Second", expires_in_seconds=60)

    assert version_of(alice) != before


def test_what_can_be_restored_no_longer_is_a_change(alice: User, penora: App, settings: Any) -> None:
    """By the clock, before anybody has cleared the trash; what is over already is no change any more."""
    workspace.delete_project(user=alice, code=keep(alice, penora).code)
    days = timedelta(days=settings.TRASH_DAYS)
    let_pass(days - timedelta(hours=1))
    before = version_of(alice)
    let_pass(timedelta(hours=2))
    after = version_of(alice)
    assert after != before
    workspace.purge_due_trash(user=alice)

    assert version_of(alice) == after


@pytest.mark.parametrize("what", ["hold", "credits", "room"])
def test_what_is_over_by_the_clock_is_a_change(alice: User, penora: App, what: str) -> None:
    """Nothing is written when a hold, credits or a reservation end; what can be spent or kept is another."""
    soon = timezone.now() + timedelta(hours=1)
    if what == "hold":
        credits.reserve(user=alice, app=penora, amount=2, description="A book", expires_in_seconds=3600)
    elif what == "credits":
        credits.grant(user=alice, amount=5, source=LedgerEntry.Source.ADJUSTMENT, description="A gift", expires_at=soon)
    else:
        workspace.reserve_room(user=alice, reservation_id=uuid4(), size_bytes=50, expires_at=soon)
    let_pass(timedelta(minutes=30))
    before = version_of(alice)
    let_pass(timedelta(minutes=29))
    calm = version_of(alice)
    let_pass(timedelta(hours=1))

    assert version_of(alice) not in (before, calm)


# --- The end of a session ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [LIVE, BAR, PROJECTS])
def test_a_session_that_has_ended_sends_the_whole_page_to_sign_in(client: Browser, address: str) -> None:
    answer = client.get(address, headers=HTMX)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["HX-Redirect"] == "/signin/?next=%2Fprojects%2F%3Fapp%3Dpenora"


def test_it_leads_back_to_no_other_site(client: Browser) -> None:
    answer = client.get(LIVE, headers={**HTMX, "HX-Current-URL": "https://elsewhere.example/projects/"})

    assert answer["HX-Redirect"] == "/signin/?next=%2F"


@pytest.mark.parametrize(
    ("referer", "onwards"),
    [
        ("http://testserver/account/", "/account/"),
        ("http://testserver/storage/?show=all", "/storage/%3Fshow%3Dall"),
        ("https://elsewhere.example/account/", "/"),
        ("", "/"),
    ],
)
def test_a_form_that_is_sent_too_late_leads_back_to_its_page(client: Browser, referer: str, onwards: str) -> None:
    answer = client.post("/account/everywhere/", headers={"Referer": referer})

    assert answer["Location"] == f"/signin/?next={onwards}"


def test_after_signing_in_one_is_at_ones_projects(alice: User, alices: Browser) -> None:
    page = alices.get("/signin/", follow=True)

    assert page.redirect_chain == [("/", 302), (PROJECTS, 302)]


# --- The frame --------------------------------------------------------------------------------------------------------


def test_the_bar_and_the_banner_come_as_they_are_now(alice: User, alices: Browser, penora: App) -> None:
    credits.deduct(user=alice, app=penora, amount=7, description="Pages")
    workspace.change_limit(user=alice, limit_bytes=100)
    keep_bytes(alice, penora, 100)

    answer = alices.get(BAR, headers=HTMX)

    text = text_of(answer)
    assert "43 credits" in text
    assert "Your workspace is full" in text
    assert 'id="notices" role="status" hx-swap-oob="innerHTML"' in answer.content.decode()
    assert "<html" not in answer.content.decode()


def test_the_banner_is_not_told_again_while_it_says_the_same(alice: User, alices: Browser, penora: App) -> None:
    """What is put into a page anew is read out anew by a screen reader: with each page that is spent."""
    workspace.change_limit(user=alice, limit_bytes=100)
    keep_bytes(alice, penora, 85)
    asks_with = re.compile(r'id="bar".*?hx-get="([^"]*)"', re.DOTALL)
    found = asks_with.search(alices.get(PROJECTS).content.decode())
    assert found

    credits.deduct(user=alice, app=penora, amount=7, description="Pages")
    calm = alices.get(found[1], headers=HTMX)
    assert "43 credits" in text_of(calm)
    assert "notices" not in calm.content.decode()
    keep_bytes(alice, penora, 10)
    worse = alices.get(found[1], headers=HTMX)
    assert "Your workspace is 95 % full." in text_of(worse)
    for project in Project.objects.filter(user=alice):
        workspace.delete_project(user=alice, code=project.code)
    found = asks_with.search(worse.content.decode())
    assert found
    better = alices.get(found[1], headers=HTMX)
    assert 'id="notices"' in better.content.decode()
    assert "full" not in text_of(better)


def keep_bytes(user: User, app: App, count: int) -> None:
    content = text_content(b"x" * count, "text/plain")
    workspace.save_project(user=user, app=app, project_type="page", title="Full", content=content, metadata={})


def test_a_decision_is_not_told_again_while_it_says_the_same(alice: User, alices: Browser, bob: User) -> None:
    decided, plus = "/plans/decided/", Plan.objects.get(slug="plus")
    assert alices.get(decided, headers=HTMX).status_code == 204
    wish = accounts.request_upgrade(user=alice, plan=plus)
    services.approve_upgrade(wish=wish, actor=bob)
    first = alices.get(decided, headers=HTMX)
    assert "You are on Plus now." in text_of(first)
    told = re.search(r'name="told" value="([^"]+)"', first.content.decode())
    assert told

    assert alices.get(decided, {"told": told[1]}, headers=HTMX).status_code == 204
    services.change_plan(user=alice, plan=Plan.objects.get(slug="free"))
    assert "was granted" in text_of(alices.get(decided, {"told": told[1]}, headers=HTMX))
    accounts.note_upgrade_seen(user=alice, wish_id=wish.pk)
    gone = alices.get(decided, {"told": told[1]}, headers=HTMX)
    assert (gone.status_code, text_of(gone).strip()) == (200, "")


def test_the_frame_costs_few_queries(alices: Browser, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(6):  # the session, the person; the version, wishes, credits, storage
        alices.get(BAR, headers=HTMX)


def test_who_is_signed_in_and_the_way_out_are_on_every_page(alice: User, alices: Browser) -> None:
    page = alices.get(PROJECTS)

    assert "Alice" in text_of(page)
    assert "Sign out" in text_of(page)
    assert "Staff admin" not in text_of(page)
    assert alices.get("/")["Location"] == PROJECTS


def test_staff_have_pages_of_their_own_and_a_way_to_the_admin(alice: User, alices: Browser) -> None:
    User.objects.update(is_staff=True)

    assert 'href="/admin/"' in alices.get(PROJECTS).content.decode()
    home = alices.get("/").content.decode()
    assert f'href="{PROJECTS}"' in home
    assert 'href="/admin/"' in home


def test_a_hostile_name_is_only_text_in_the_frame(alice: User, alices: Browser) -> None:
    User.objects.update(username="<img src=x>")

    page = alices.get(PROJECTS).content.decode()

    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page
