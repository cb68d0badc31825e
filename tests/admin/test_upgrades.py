"""Staff decide people's wishes for bigger plans: the longest waiting first, looked at, once, and the person is told."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts import services as accounts
from accounts.models import App, AuditEntry, Plan, UpgradeRequest, User
from credits.models import LedgerEntry
from tests.admin.conftest import notices
from tests.concurrency.books import assert_the_books_are_right
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from tests.workspace.contents import content_of
from unified import services
from workspace import services as workspace

pytestmark = pytest.mark.django_db
WHY = "They have asked for it."
QUEUE = "/admin/upgrades/"
HOSTILE = "<script>alert(1)</script>"


def of_role(role: str) -> Browser:
    user = make_user(f"{role.lower()}-of-staff")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return browser_of(User.objects.get(pk=user.pk))


@pytest.fixture
def support(db: None) -> Browser:
    return of_role("Support")


@pytest.fixture
def wish(alice: User) -> UpgradeRequest:
    return accounts.request_upgrade(user=alice, plan=plan("plus"))


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def text_of(response: Any) -> str:
    html = response.content.decode().split('id="content"', 1)[1]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).replace("\u00a0", " ").split())


def at(wish: UpgradeRequest) -> str:
    return f"{QUEUE}{wish.pk}/"


def decided(browser: Browser, wish: UpgradeRequest, deed: str, **form: str) -> Any:
    """As a browser sends the form that it was shown."""
    page = browser.get(at(wish)).content.decode()
    seen = re.search(r'name="seen" value="([^"]*)"', page)
    sent = {"reason": WHY, "deed": deed, "seen": unescape(seen[1]) if seen else "", **form}
    return browser.post(at(wish), sent, follow=True)


def test_who_waits_longest_comes_first_and_each_leads_to_the_person(
    alice: User, bob: User, wish: UpgradeRequest, support: Browser
) -> None:
    other = accounts.request_upgrade(user=bob, plan=plan("pro"))

    page = support.get(QUEUE)

    html = page.content.decode()
    assert html.index(f"/admin/people/{alice.pk}/") < html.index(f"/admin/people/{bob.pk}/")
    assert html.index(at(wish)) < html.index(at(other))
    assert "Alice (alice) Free Plus just now Decide Bob (bob) Free Pro just now Decide" in text_of(page)
    assert "Upgrade requests that wait: 2" in text_of(support.get("/admin/"))


def test_what_is_approved_is_done_told_and_written_down_once(
    alice: User, wish: UpgradeRequest, support: Browser
) -> None:
    shown = text_of(support.get(at(wish)))
    assert "Plan Free Plus" in shown
    assert "Credits at once +200" in shown
    assert User.objects.get(pk=alice.pk).plan.slug == "free"

    page = decided(support, wish, "approve", note="Enjoy it")

    assert notices(page) == ["Alice (alice) is on the plan Plus now, and is told so."]
    assert page.redirect_chain == [(QUEUE, 302)]
    assert "Nobody waits" in text_of(page)
    assert User.objects.get(pk=alice.pk).plan.slug == "plus"
    assert LedgerEntry.objects.get(account=alice.pk, source="plan").amount == 200
    assert_the_books_are_right()
    wish.refresh_from_db()
    assert (wish.status, wish.note, wish.decided_by.user_id) == ("approved", "Enjoy it", "support-of-staff")  # type: ignore[union-attr]
    entries = AuditEntry.objects.filter(subject=alice)
    assert sorted(entries.values_list("event", "reason")) == [("plan-changed", WHY), ("upgrade-decided", WHY)]
    assert "You are on <strong>Plus</strong> now." in browser_of(alice).get("/projects/").content.decode()


def test_what_is_declined_takes_a_note_to_the_person(alice: User, wish: UpgradeRequest, support: Browser) -> None:
    without = decided(support, wish, "decline", note="  ")
    assert "Tell the person why not." in text_of(without)
    assert UpgradeRequest.objects.get().status == "open"

    page = decided(support, wish, "decline", note=HOSTILE)

    assert notices(page) == ["The upgrade request of Alice (alice) for Plus is declined, and they are told so."]
    assert HOSTILE not in page.content.decode()
    assert User.objects.get(pk=alice.pk).plan.slug == "free"
    assert [entry.details["after"] for entry in AuditEntry.objects.all()] == [{"status": "declined"}]
    assert HOSTILE in unescape(browser_of(alice).get("/plans/").content.decode())


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
@pytest.mark.parametrize("deed", ["approve", "decline"])
def test_without_a_fit_reason_nothing_is_done(deed: str, reason: str, wish: UpgradeRequest, support: Browser) -> None:
    page = decided(support, wish, deed, note="Note", reason=reason)

    assert page.context["form"].errors["reason"]
    assert UpgradeRequest.objects.get().status == "open"
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("deed", ["approve", "decline"])
def test_who_comes_second_is_told_who_was_first(deed: str, alice: User, wish: UpgradeRequest, support: Browser) -> None:
    services.approve_upgrade(wish=wish, actor=make_user("finn"))

    page = support.post(at(wish), {"deed": deed, "reason": WHY, "note": "No"}, follow=True)

    assert notices(page) == ["Finn (finn) was first: the upgrade request of Alice (alice) for Plus is approved."]
    assert UpgradeRequest.objects.get().status == "approved"
    assert notices(support.get(at(wish), follow=True))


def test_a_wish_that_is_withdrawn_is_decided_no_more(alice: User, wish: UpgradeRequest, support: Browser) -> None:
    accounts.withdraw_upgrade(user=alice)

    page = decided(support, wish, "approve")

    assert "The upgrade request of Alice (alice) for Plus is withdrawn by now: nothing was done." in notices(page)[-1]
    assert User.objects.get(pk=alice.pk).plan.slug == "free"


def test_what_has_changed_meanwhile_is_shown_first(alice: User, wish: UpgradeRequest, support: Browser) -> None:
    page = support.get(at(wish)).content.decode()
    seen = unescape(re.findall(r'name="seen" value="([^"]*)"', page)[0])
    Plan.objects.filter(slug="plus").update(monthly_credits=900)
    sent = {"reason": WHY, "deed": "approve", "seen": seen}

    again = support.post(at(wish), sent)

    assert "it has changed meanwhile" in text_of(again)
    assert "+900" in text_of(again)
    assert User.objects.get(pk=alice.pk).plan.slug == "free"
    assert not AuditEntry.objects.exists()


def test_who_is_on_a_bigger_plan_by_now_is_not_put_on_a_smaller(
    alice: User, wish: UpgradeRequest, support: Browser
) -> None:
    """Put on it, nothing is left of the wish; but a plan may also have come to be the bigger one."""
    Plan.objects.filter(slug="free").update(rank=7)

    page = decided(support, wish, "approve")

    assert "They are on a bigger plan by now" in text_of(page)
    assert User.objects.get(pk=alice.pk).plan.slug == "free"
    with pytest.raises(accounts.NotAnUpgrade):
        services.approve_upgrade(wish=wish, actor=make_user("finn"))
    assert UpgradeRequest.objects.get().status == "open"


def test_who_is_on_the_plan_already_keeps_the_room_that_staff_have_set(
    alice: User, wish: UpgradeRequest, support: Browser
) -> None:
    User.objects.filter(pk=alice.pk).update(plan=plan("plus"))
    workspace.change_limit(user=alice, limit_bytes=50 * 1_048_576)

    decided(support, wish, "approve")

    assert UpgradeRequest.objects.get().status == "approved"
    assert workspace.change_limit(user=alice, limit_bytes=50 * 1_048_576).before_bytes == 50 * 1_048_576


def test_put_on_the_plan_by_another_page_nobody_waits_any_more(
    alice: User, wish: UpgradeRequest, support: Browser
) -> None:
    services.change_plan(user=alice, plan=plan("plus"), actor=make_user("finn"))

    assert "Nobody waits" in text_of(support.get(QUEUE))
    page = support.post(at(wish), {"deed": "decline", "reason": WHY, "note": "No"}, follow=True)
    assert notices(page) == ["Finn (finn) was first: the upgrade request of Alice (alice) for Plus is approved."]
    events = AuditEntry.objects.filter(subject=alice).values_list("event", "actor__user_id")
    assert sorted(events) == [("plan-changed", "finn"), ("upgrade-decided", "finn")]


def test_who_has_left_is_given_nothing(alice: User, wish: UpgradeRequest, support: Browser) -> None:
    User.objects.filter(pk=alice.pk).update(deleted_at="2026-01-01T00:00Z", is_active=False)

    assert "has left" in text_of(support.get(QUEUE))
    assert "This person has left" in text_of(decided(support, wish, "approve"))
    with pytest.raises(accounts.UserHasLeft):
        services.approve_upgrade(wish=wish, actor=make_user("finn"))
    assert UpgradeRequest.objects.get().status == "open"
    decided(support, wish, "decline", note="They have left")
    assert UpgradeRequest.objects.get().status == "declined"


def test_a_plan_that_is_too_small_for_what_they_keep_cannot_be_granted(
    alice: User, penora: App, support: Browser
) -> None:
    tiny = Plan.objects.create(slug="tiny", name="Tiny", storage_limit_bytes=100, rank=5)
    wish = accounts.request_upgrade(user=alice, plan=tiny)
    workspace.save_project(
        user=alice, app=penora, project_type="page", title="t", content=content_of("x" * 500), metadata={}
    )

    page = decided(support, wish, "approve")

    assert "it cannot be granted" in text_of(page)
    assert 'value="approve"' not in page.content.decode()
    assert UpgradeRequest.objects.get().status == "open"
    assert not AuditEntry.objects.exists()


def test_ones_own_wish_is_somebody_elses_to_grant(support: Browser) -> None:
    me = User.objects.get(user_id="support-of-staff")
    wish = accounts.request_upgrade(user=me, plan=plan("plus"))

    page = decided(support, wish, "approve")

    assert "This is your own account" in text_of(page)
    assert UpgradeRequest.objects.get().status == "open"
    assert not LedgerEntry.objects.filter(account=me.pk, source="plan").exists()


def test_a_viewer_sees_who_waits_and_decides_nothing(wish: UpgradeRequest) -> None:
    viewer = of_role("Viewer")

    page = viewer.get(QUEUE)

    assert "Alice (alice)" in text_of(page)
    assert at(wish) not in page.content.decode()
    assert "that wait" not in text_of(viewer.get("/admin/"))
    assert viewer.get(at(wish)).status_code == 403
    assert viewer.post(at(wish), {"deed": "approve", "reason": WHY}).status_code == 403


def test_what_people_are_called_never_runs(support: Browser) -> None:
    user, _ = services.create_member(user_id="odd", username=HOSTILE, email="odd@example.com", initial_credits=0)
    wish = accounts.request_upgrade(user=user, plan=plan("plus"))

    for address in (QUEUE, at(wish)):
        html = support.get(address).content.decode()
        assert "<script>alert" not in html
        assert not re.search(r"\sstyle=|<style|\son\w+=", html)


def test_the_queue_costs_the_same_however_many_wait(support: Browser) -> None:
    def waits(first: int, last: int) -> None:
        for number in range(first, last):
            accounts.request_upgrade(user=make_user(f"user-{number}"), plan=plan("plus"))
            done = accounts.request_upgrade(user=make_user(f"other-{number}"), plan=plan("plus"))
            accounts.decide_upgrade(wish=done, approved=False, actor=User.objects.get(user_id="support-of-staff"))

    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            support.get(QUEUE)
        return len(captured)

    waits(0, 1)
    few = cost()
    waits(1, 12)

    assert cost() == few


@pytest.mark.parametrize(
    ("address", "is_kept"),
    [
        ("https://pay.example/buy?who={user_id}", True),
        ("", True),
        ("ftp://pay.example/", False),
        ("javascript:alert(1)", False),
    ],
)
def test_a_checkout_is_a_page_of_the_web(address: str, is_kept: bool, staff: Browser) -> None:
    form = {"name": "Plus", "monthly_credits": "200", "rank": "1", "is_offered": "on", "reason": WHY}

    staff.post(f"/admin/accounts/plan/{plan('plus').pk}/change/", {**form, "name": "New", "checkout_url": address})

    assert (plan("plus").name, plan("plus").checkout_url) == (("New", address) if is_kept else ("Plus", ""))
