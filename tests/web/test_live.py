"""That an open page follows what the apps do: cheaply, and with nothing missed. And the frame that it is in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
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
    workspace.save_project(
        user=alice,
        app=penora,
        project_type="page",
        title="Full",
        content=text_content(b"x" * 100, "text/plain"),
        metadata={},
    )

    answer = alices.get(BAR, headers=HTMX)

    text = text_of(answer)
    assert "43 credits" in text
    assert "Your workspace is full" in text
    assert 'id="notices" hx-swap-oob="true"' in answer.content.decode()
    assert "<html" not in answer.content.decode()


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
