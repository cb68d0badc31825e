"""
What stands between pages: where a form's own address leads, what a browser says of where it was, who reads a message,
and what is left of a wish for a plan when something else has become of it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.utils.http import urlencode

from accounts import services as accounts
from accounts.models import App, Plan, UpgradeRequest, User
from credits import services as credits
from tests.client import ApiClient
from tests.clock import let_pass
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from tests.web.pages import kept
from unified import services
from unified.web import trash
from workspace.models import Project

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
NO_ADDRESSES = ["http://[", "http://[::1", "http://testserver/\ud800", "http://testserver]/", "//testserver", "\ud800"]


@pytest.fixture
def alices(alice: User) -> Browser:
    return browser_of(alice)


@pytest.fixture
def sue(db: None) -> User:
    return make_user("sue")


@pytest.fixture
def story(alice: User, penora: App) -> Project:
    return kept(alice, penora, title="A walk")


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def text_of(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def wish(user: User, slug: str) -> UpgradeRequest:
    return accounts.request_upgrade(user=user, plan=plan(slug))


# --- Where a form's address leads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [{"title": "", "version": "1"}, {"title": "Mine", "version": "0"}])
def test_from_a_refused_rename_on_a_decision_is_read_and_the_project_stands_there(
    sent: dict[str, str], alice: User, sue: User, alices: Browser, story: Project
) -> None:
    """Seen to fail: the way back led to the form's own address, which answered 405 with nothing on it."""
    asked = wish(alice, "plus")
    services.approve_upgrade(wish=asked, actor=sue)
    address = f"/projects/{story.code}/rename/"
    assert alices.post(address, sent).status_code in {400, 409}

    page = alices.post(
        "/plans/seen/", {"wish": asked.pk}, headers={"Referer": f"http://testserver{address}"}, follow=True
    )

    assert page.redirect_chain[-1] == (f"/projects/{story.code}/", 302)
    assert (page.status_code, page.context["project"].title) == (200, "A walk")


@pytest.mark.parametrize("deed", ["rename", "delete"])
def test_a_session_that_ends_there_comes_back_to_the_project(
    deed: str, alices: Browser, client: Browser, story: Project
) -> None:
    address = f"/projects/{story.code}/{deed}/"
    sent_away = client.post(address, {"title": "x"}, headers={"Referer": f"http://testserver{address}?q=walk"})
    assert sent_away["Location"] == f"/signin/?next={address}%3Fq%3Dwalk"

    assert alices.get(f"{address}?q=walk")["Location"] == f"/projects/{story.code}/?q=walk"
    assert alices.head(address).status_code == 302
    for method in (alices.put, alices.patch, alices.delete):
        assert method(address).status_code == 405
    story.refresh_from_db()
    assert (story.title, story.deleted_at) == ("A walk", None)


# --- What a browser says of where it was ------------------------------------------------------------------------------


@pytest.mark.parametrize("told", NO_ADDRESSES)
def test_what_is_no_address_is_none_of_our_pages(told: str, client: Browser, alices: Browser, story: Project) -> None:
    """Seen to fail: a 500 for most, and a traceback in the log that anybody could put there."""
    asked = {**HTMX, "HX-Current-URL": told}

    assert client.post("/plans/ask/", headers={"Referer": told})["Location"] == "/signin/?next=/"
    assert client.get("/live/", headers=asked)["HX-Redirect"] == "/signin/?next=%2F"
    assert alices.post(f"/projects/{story.code}/restore/", headers={"Referer": told})["Location"] == "/projects/"
    found = alices.get("/projects/?q=walk", headers={**asked, "HX-Target": "found"})
    assert found["HX-Push-Url"] == "/projects/?q=walk"
    assert alices.post("/plans/seen/", {"wish": "1"}, headers={"Referer": told})["Location"] == "/plans/"


@pytest.mark.parametrize(
    "told", ["http://evil.example/plans/", "http://testserver//evil.example/", "ftp://testserver/plans/", "/plans/"]
)
def test_another_sites_page_is_none_of_ours(told: str, client: Browser) -> None:
    assert client.post("/plans/ask/", headers={"Referer": told})["Location"] == "/signin/?next=/"
    assert client.get("/live/", headers={**HTMX, "HX-Current-URL": told})["HX-Redirect"] == "/signin/?next=%2F"


def test_ones_own_page_is_come_back_to_with_what_was_looked_for(client: Browser) -> None:
    told = "http://testserver/projects/?q=a+b"

    assert client.post("/plans/ask/", headers={"Referer": told})["Location"] == "/signin/?next=/projects/%3Fq%3Da%2Bb"
    asked = client.get("/live/", headers={**HTMX, "HX-Current-URL": told})
    assert asked["HX-Redirect"] == "/signin/?next=%2Fprojects%2F%3Fq%3Da%2Bb"


# --- Who reads a message ----------------------------------------------------------------------------------------------


def test_what_one_person_is_told_the_next_in_that_browser_never_reads(
    alices: Browser, bob: User, story: Project
) -> None:
    """Seen to fail: a cookie of its own kept the message beyond the sign-out, with the title and the way to undo."""
    alices.post(f"/projects/{story.code}/delete/")  # and the next page is never looked at
    alices.post("/signin/out/")

    alices.force_login(bob, backend="unified.sso.google.GoogleSignIn")
    page = alices.get("/projects/")

    assert page.context["frame"].member == bob
    assert "A walk" not in text_of(page)
    assert list(page.context["messages"]) == []


# --- A decision that says what is no longer so ------------------------------------------------------------------------


def test_what_was_granted_and_taken_away_again_is_not_said_to_be_so(alice: User, sue: User, alices: Browser) -> None:
    services.approve_upgrade(wish=wish(alice, "plus"), actor=sue, note="Enjoy it")
    assert "You are on Plus now. Enjoy it" in text_of(alices.get("/projects/"))

    services.change_plan(user=alice, plan=plan("free"), actor=sue)

    for address in ("/projects/", "/plans/decided/"):
        page = alices.get(address)
        assert "You are on Plus" not in text_of(page)
        assert "Your request for Plus was granted. Enjoy it" in text_of(page)


def test_who_comes_back_is_told_nothing_of_before_and_no_note_is_kept(alice: User, sue: User) -> None:
    services.approve_upgrade(wish=wish(alice, "plus"), actor=sue, note="Dear Alice")
    accounts.decide_upgrade(wish=wish(alice, "pro"), approved=False, actor=sue, note="Not yet, Alice")
    wish(alice, "pro")

    services.delete_member(user=alice)

    wishes = UpgradeRequest.objects.filter(user=alice).order_by("pk")
    assert [(one.status, one.note) for one in wishes] == [("approved", ""), ("declined", ""), ("withdrawn", "")]
    assert not wishes.filter(seen_at=None).exists()
    back = make_user("alice")
    pages = browser_of(back)
    assert pages.get("/projects/").context["frame"].decided is None
    assert "Alice" not in text_of(pages.get("/plans/")).replace("Alice alice@example.com", "")


def test_when_it_was_read_stays_when_somebody_leaves(alice: User, sue: User) -> None:
    asked = services.approve_upgrade(wish=wish(alice, "plus"), actor=sue)
    accounts.note_upgrade_seen(user=alice, wish_id=asked.pk)
    asked.refresh_from_db()
    read_at = asked.seen_at
    let_pass(timedelta(days=1))

    services.delete_member(user=alice)

    asked.refresh_from_db()
    assert asked.seen_at == read_at


# --- Wishes ----------------------------------------------------------------------------------------------------------


def test_put_on_the_plan_that_they_asked_for_the_wish_is_granted_and_told(
    alice: User, sue: User, alices: Browser
) -> None:
    """Seen to fail: the plan was theirs, and the page went on to say that staff would decide."""
    wish(alice, "plus")

    services.change_plan(user=alice, plan=plan("plus"), actor=sue)

    granted = UpgradeRequest.objects.get()
    assert (granted.status, granted.decided_by) == ("approved", sue)
    page = text_of(alices.get("/plans/"))
    assert "You are on Plus now." in page
    assert "You asked for it" not in page
    alices.post("/plans/seen/", {"wish": granted.pk})
    assert "You are on Plus now." not in text_of(alices.get("/plans/"))


def test_at_the_command_line_too(alice: User, alices: Browser) -> None:
    asked = wish(alice, "plus")

    services.change_plan(user=alice, plan=plan("plus"))

    assert "You are on Plus now." in text_of(alices.get("/plans/"))
    alices.post("/plans/seen/", {"wish": asked.pk})
    assert "You are on Plus now." not in text_of(alices.get("/plans/"))


def test_put_on_a_bigger_plan_nothing_is_left_of_the_wish(alice: User, sue: User, alices: Browser) -> None:
    wish(alice, "plus")

    services.change_plan(user=alice, plan=plan("pro"), actor=sue)

    assert UpgradeRequest.objects.get().status == "withdrawn"
    page = alices.get("/plans/")
    assert "You asked for it" not in text_of(page)
    assert page.context["frame"].decided is None


def test_put_on_a_plan_that_gives_less_than_the_wish_it_stays_open(alice: User, sue: User) -> None:
    wish(alice, "pro")

    services.change_plan(user=alice, plan=plan("plus"), actor=sue)

    assert UpgradeRequest.objects.get().status == "open"


def test_what_is_only_tried_closes_no_wish(alice: User) -> None:
    wish(alice, "plus")

    services.try_change_plan(user=alice, plan=plan("plus"))

    assert UpgradeRequest.objects.get().status == "open"


def test_what_is_paid_for_elsewhere_is_not_asked_for(alices: Browser) -> None:
    Plan.objects.filter(slug="plus").update(checkout_url="https://pay.example/{user_id}")

    page = alices.post("/plans/ask/", {"plan": "plus"}, follow=True)

    assert "Plus is not a plan that you can ask for now." in text_of(page)
    assert not UpgradeRequest.objects.exists()


@pytest.mark.parametrize("address", ["https://[pay", "https://[pay/{user_id}", "https://:80/", "http://]"])
def test_a_checkout_that_is_no_address_spoils_nobodys_page(address: str, alices: Browser) -> None:
    Plan.objects.filter(slug="plus").update(checkout_url=address)

    page = alices.get("/plans/")

    assert page.status_code == 200
    assert address not in page.content.decode()
    assert "Ask for Plus" in text_of(page)
    assert "You have asked for Plus." in text_of(alices.post("/plans/ask/", {"plan": "plus"}, follow=True))


def test_who_cannot_decide_makes_no_more_wishes_than_a_few_a_day(alice: User, alices: Browser) -> None:
    """Seen to fail: each change of mind left a row, for ever."""
    for number in range(accounts.upgrades.WISHES_A_DAY):
        wish(alice, ("plus", "pro")[number % 2])
    assert accounts.request_upgrade(user=alice, plan=plan("pro")).status == "open"  # the same once more is no new one

    page = alices.post("/plans/ask/", {"plan": "plus"}, follow=True)

    assert "You have asked many times today. Nothing was changed; try again tomorrow." in text_of(page)
    assert UpgradeRequest.objects.count() == accounts.upgrades.WISHES_A_DAY
    assert UpgradeRequest.objects.get(status="open").plan.slug == "pro"
    day_before = UpgradeRequest.objects.earliest("pk").created_at - timedelta(days=1)
    UpgradeRequest.objects.filter(pk__lte=UpgradeRequest.objects.earliest("pk").pk).update(created_at=day_before)
    assert wish(alice, "plus").status == "open"


# --- Taking along and making room -------------------------------------------------------------------------------------


def manifest_in(body: bytes) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(zipfile.ZipFile(io.BytesIO(body)).read("manifest.json"))
    return manifest


def test_a_person_takes_along_what_is_no_apps_to_know(
    alice: User, bob: User, sue: User, penora: App, as_penora: ApiClient
) -> None:
    accounts.decide_upgrade(wish=wish(alice, "pro"), approved=False, actor=sue, note="Not yet")
    wish(alice, "plus")
    wish(bob, "pro")
    for user in (alice, bob):
        credits.reserve(user=user, app=penora, amount=3, description=f"A book of {user}", expires_in_seconds=600)
        accounts.note_sign_in(user=user, method="google")

    own = manifest_in(b"".join(browser_of(alice).get("/account/export/")))  # type: ignore[arg-type]
    apps = manifest_in(as_penora.get("export", user_id="alice").getvalue())

    told = [(one["plan"], one["status"], one["note"]) for one in own["plan_requests"]]
    assert told == [("pro", "declined", "Not yet"), ("plus", "open", "")]
    assert own["plan_requests"][1]["decided_at"] is None
    (hold,) = own["holds"]
    assert (hold["app_name"], hold["amount"], hold["description"]) == ("penora", 3, f"A book of {alice}")
    (came,) = own["sign_ins"]
    assert (came["by"], set(came)) == ("google", {"at", "from", "by"})
    assert own["signed_in_apps"] == []
    private = {"plan_requests", "holds", "sign_ins", "signed_in_apps"}
    assert set(own) - set(apps) == private
    assert not private & set(apps)


def test_all_that_is_shown_ticked_fits_into_an_address_and_a_form() -> None:
    """Proxies take lines of 8 KB; with 500 shown and ticked, 8.5 KB were asked for, and too many fields sent."""
    query = urlencode([("show", trash.SHOWN_MOST), *[("project", f"7K3M9Q-{n:05}") for n in range(trash.SHOWN_MOST)]])

    assert len(query) < 8_000 - 500  # what else stands in the line
    assert (settings.DATA_UPLOAD_MAX_NUMBER_FIELDS or 0) > 2 * trash.SHOWN_MOST + 10


def test_the_history_is_saved_by_what_the_answer_says(alices: Browser, client: Browser) -> None:
    """`download` on the link would save the sign-in page as a file, once the session has ended."""
    page = alices.get("/credits/").content.decode()

    link = re.search(r"<a [^>]*transactions\.csv[^>]*>", page)
    assert link
    assert "download" not in link[0]
    assert alices.get("/credits/transactions.csv")["Content-Disposition"].startswith("attachment;")
    assert client.get("/credits/transactions.csv")["Location"].startswith("/signin/")
