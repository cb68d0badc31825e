"""Plans side by side, and the way of a wish: asked for, decided, told on every page, read."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts import services as accounts
from accounts.models import AuditEntry, Plan, UpgradeRequest, User
from credits.models import LedgerEntry
from tests.concurrency.books import assert_the_books_are_right
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from unified import services
from workspace.models import Storage

pytestmark = pytest.mark.django_db
HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(1)>"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def alices(alice: User) -> Browser:
    return browser_of(alice)


@pytest.fixture
def sue(db: None) -> User:
    return make_user("sue")


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def text_of(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def main_of(response: Any) -> str:
    html: str = response.content.decode()
    return html[html.index("<main") :]


def ask(browser: Browser, slug: str) -> Any:
    return browser.post("/plans/ask/", {"plan": slug}, follow=True)


def wish_of(user: User) -> UpgradeRequest:
    return UpgradeRequest.objects.get(user=user, status="open")


def test_plans_stand_side_by_side_with_what_each_adds(alices: Browser) -> None:
    page = alices.get("/plans/")

    text = text_of(page)
    assert "Free Your plan 1 MB of room for about 16 pictures of the usual size No monthly credits" in text
    assert "Plus 10 MB of room for about 165 pictures of the usual size 9 MB more than now" in text
    assert "9 MB more than now 200 credits a month 200 more each month" in text
    assert "200 more each month Ask for Plus" in text
    assert (
        "Pro 100 MB of room for about 1,000 pictures of the usual size 99 MB more than now 1,000 credits a month"
        in text
    )
    assert main_of(page).count('action="/plans/ask/"') == 2
    assert "Asking for a plan costs nothing: our staff answer here, and say what the plan costs" in text


def test_of_smaller_plans_none_is_asked_for(alice: User, alices: Browser) -> None:
    services.change_plan(user=alice, plan=plan("pro"))

    page = alices.get("/plans/")

    assert "/plans/ask/" not in main_of(page)
    assert "Asking for a plan" not in text_of(page)
    assert text_of(page).count("Smaller than yours.") == 2


def test_ones_own_plan_is_shown_also_where_it_is_not_offered(alice: User, alices: Browser) -> None:
    hidden = Plan.objects.create(slug="old", name="Old", storage_limit_bytes=5, rank=0, is_offered=False)
    Plan.objects.create(slug="none", name="Nobodys", storage_limit_bytes=5, rank=7, is_offered=False)
    User.objects.filter(pk=alice.pk).update(plan=hidden)

    text = text_of(alices.get("/plans/"))

    assert "Old Your plan" in text
    assert "Nobodys" not in text


def test_from_request_to_approval_to_told_to_read(alice: User, sue: User, alices: Browser) -> None:
    page = ask(alices, "plus")
    assert page.redirect_chain == [("/plans/", 302)]
    assert "You have asked for Plus." in text_of(page)
    assert "You asked for it just now . Staff decide" in text_of(page)

    services.approve_upgrade(wish=wish_of(alice), actor=sue, note="Welcome to Plus")

    assert_the_books_are_right()
    assert User.objects.get(pk=alice.pk).plan.slug == "plus"
    assert Storage.objects.get(user=alice).limit_bytes == 10 * 1_048_576
    assert LedgerEntry.objects.get(account=alice.pk, source="plan").amount == 200
    told = "You are on Plus now. Welcome to Plus"
    for address in ("/projects/", "/credits/", "/plans/", "/storage/", "/account/"):
        assert told in text_of(alices.get(address)), address

    wish = UpgradeRequest.objects.get(user=alice)
    answer = alices.post(
        "/plans/seen/", {"wish": wish.pk}, headers={"Referer": "http://testserver/credits/?kind=grant"}
    )

    assert (answer.status_code, answer["Location"]) == (302, "/credits/?kind=grant")
    assert told not in text_of(alices.get("/projects/"))
    wish.refresh_from_db()
    assert wish.seen_at is not None


def test_each_deed_of_an_approval_is_in_the_audit_once(alice: User, sue: User, alices: Browser) -> None:
    ask(alices, "plus")
    services.approve_upgrade(wish=wish_of(alice), actor=sue)

    events = list(AuditEntry.objects.filter(subject=alice).values_list("event", "actor__user_id"))
    assert sorted(events) == [("plan-changed", "sue"), ("upgrade-decided", "sue")]


def test_a_page_that_is_open_is_told_too_and_loses_it_without_a_reload(alice: User, sue: User, alices: Browser) -> None:
    ask(alices, "plus")
    before = alices.get("/plans/").context["frame"].version
    assert text_of(alices.get("/plans/decided/", headers=HTMX)) == ""

    services.approve_upgrade(wish=wish_of(alice), actor=sue)

    assert alices.get(f"/live/?v={before}").status_code == 200
    part = alices.get("/plans/decided/", headers=HTMX)
    assert text_of(part) == "You are on Plus now. OK"
    choices = alices.get("/plans/", headers={**HTMX, "HX-Target": "choices"})
    assert "Plus Your plan" in text_of(choices)
    assert b"<main" not in choices.content
    wish = UpgradeRequest.objects.get(user=alice)
    assert text_of(alices.post("/plans/seen/", {"wish": wish.pk}, headers=HTMX)) == ""


def test_what_is_declined_is_told_with_the_note_and_gives_nothing(alice: User, sue: User, alices: Browser) -> None:
    ask(alices, "pro")

    accounts.decide_upgrade(wish=wish_of(alice), approved=False, actor=sue, note=HOSTILE)

    page = alices.get("/plans/")
    assert "Your request for Pro was declined." in text_of(page)
    assert unescape(page.content.decode()).count(HOSTILE) == 1  # told on top, and not once more beside the plans
    assert "<script>alert" not in page.content.decode()
    assert "<img src=x" not in page.content.decode()
    assert User.objects.get(pk=alice.pk).plan.slug == "free"
    assert not LedgerEntry.objects.filter(account=alice.pk, source="plan").exists()
    assert "Ask for Pro" in text_of(page)
    read = alices.post("/plans/seen/", {"wish": UpgradeRequest.objects.get(user=alice).pk}, follow=True)
    assert "Your last request, for Pro, was declined" in text_of(read)
    assert unescape(read.content.decode()).count(HOSTILE) == 1  # only beside the plans
    assert "<img src=x" not in read.content.decode()


def test_a_wish_is_withdrawn_and_nobody_is_told_of_it(alice: User, alices: Browser) -> None:
    ask(alices, "plus")

    page = alices.post("/plans/withdraw/", follow=True)

    assert "Your request is withdrawn." in text_of(page)
    assert UpgradeRequest.objects.get(user=alice).status == "withdrawn"
    assert page.context["frame"].decided is None
    assert "There was nothing to withdraw any more." in text_of(alices.post("/plans/withdraw/", follow=True))


def test_asked_twice_it_is_one_wish_and_asked_for_another_the_first_is_withdrawn(alice: User, alices: Browser) -> None:
    ask(alices, "plus")
    ask(alices, "plus")
    assert UpgradeRequest.objects.count() == 1
    assert "Instead of Plus." in text_of(alices.get("/plans/"))

    ask(alices, "pro")

    assert [wish.status for wish in UpgradeRequest.objects.order_by("pk")] == ["withdrawn", "open"]
    assert wish_of(alice).plan.slug == "pro"


@pytest.mark.parametrize("slug", ["free", "plus", "hidden"])
def test_what_is_no_upgrade_is_refused(slug: str, alice: User, alices: Browser) -> None:
    services.change_plan(user=alice, plan=plan("plus"))
    Plan.objects.create(slug="hidden", name="Hidden", storage_limit_bytes=5, rank=9, is_offered=False)

    page = ask(alices, slug)

    assert "is not a plan that you can ask for now." in text_of(page)
    assert not UpgradeRequest.objects.exists()


@pytest.mark.parametrize("slug", ["", "nothing", "x" * 500])
def test_what_is_no_plan_is_not_found(slug: str, alices: Browser) -> None:
    assert alices.post("/plans/ask/", {"plan": slug}).status_code == 404


def test_a_plan_with_a_checkout_leads_there_and_says_who_pays(alices: Browser) -> None:
    odd = make_user("a&b/c d")
    Plan.objects.filter(slug="plus").update(checkout_url="https://pay.example/buy?who={user_id}&plan=plus")

    page = browser_of(odd).get("/plans/")

    assert 'href="https://pay.example/buy?who=a%26b%2Fc%20d&amp;plan=plus"' in page.content.decode()
    assert "You pay at pay.example." in text_of(page)
    assert main_of(page).count('action="/plans/ask/"') == 1


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "ftp://pay.example/", "//pay.example/", "https:///x"]
)
def test_a_checkout_that_is_no_page_of_the_web_leads_nowhere(address: str, alices: Browser) -> None:
    Plan.objects.filter(slug="plus").update(checkout_url=address)

    page = alices.get("/plans/")

    assert address not in main_of(page)
    assert "Ask for Plus" in text_of(page)


def test_reading_what_was_decided_says_nothing_of_what_is_decided_later(
    alice: User, bob: User, sue: User, alices: Browser
) -> None:
    ask(alices, "plus")
    first = wish_of(alice)
    accounts.decide_upgrade(wish=first, approved=False, actor=sue)
    ask(alices, "pro")
    accounts.decide_upgrade(wish=wish_of(alice), approved=False, actor=sue)

    browser_of(bob).post("/plans/seen/", {"wish": first.pk})
    assert UpgradeRequest.objects.filter(seen_at=None).count() == 2
    alices.post("/plans/seen/", {"wish": first.pk})

    assert "Your request for Pro was declined." in text_of(alices.get("/projects/"))
    for odd in ("", "x", "9" * 40, "-1"):
        assert alices.post("/plans/seen/", {"wish": odd}).status_code == 302


@pytest.mark.parametrize("back", ["https://evil.example/", "", "//evil.example/plans/"])
def test_reading_it_leads_to_no_other_site(back: str, alices: Browser) -> None:
    assert alices.post("/plans/seen/", {"wish": "1"}, headers={"Referer": back})["Location"] == "/plans/"


def test_signed_out_there_is_nothing_to_see_or_do(client: Browser, alice: User) -> None:
    assert client.get("/plans/")["Location"] == "/signin/?next=/plans/"
    for address in ("/plans/ask/", "/plans/withdraw/", "/plans/seen/"):
        assert client.post(address, {"plan": "plus"})["Location"].startswith("/signin/")
    answer = client.get("/plans/decided/", headers={**HTMX, "HX-Current-URL": "http://testserver/plans/"})
    assert answer["HX-Redirect"] == "/signin/?next=%2Fplans%2F"
    assert not UpgradeRequest.objects.exists()


def test_wishes_change_by_post_only_and_not_from_other_sites(alice: User) -> None:
    strict = Browser(enforce_csrf_checks=True)
    strict.force_login(alice, backend="unified.sso.google.GoogleSignIn")
    for address in ("/plans/ask/", "/plans/withdraw/", "/plans/seen/"):
        assert strict.get(address).status_code == 405
        assert strict.post(address, {"plan": "plus"}).status_code == 403


def test_it_costs_the_same_with_many_plans(alices: Browser) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            alices.get("/plans/")
        return len(captured)

    few = cost()
    for number in range(20):
        Plan.objects.create(slug=f"plan-{number}", name="Plan", storage_limit_bytes=10**9, rank=5 + number)

    assert cost() == few


def test_who_leaves_wishes_for_nothing_more(alice: User, alices: Browser) -> None:
    ask(alices, "plus")

    services.delete_member(user=alice)

    assert UpgradeRequest.objects.get(user=alice).status == "withdrawn"
