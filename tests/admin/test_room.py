"""
Staff change somebody's plan and limit, clean up for them and restore what they have lost: looked at first, done once,
with a reason and one row in the audit; and nothing half done, whatever is sent.
"""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import App, AuditEntry, Plan, User
from credits.models import LedgerEntry
from tests.admin.conftest import notices
from tests.clock import let_pass
from tests.concurrency.books import assert_the_books_are_right, assert_the_storage_is_right
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from tests.workspace.contents import content_of
from unified import services
from workspace import services as workspace
from workspace.models import Project, Storage

WHY = "Asked for on the telephone"
MEGABYTE = 1_048_576
ROLES = ("Viewer", "Support", "Finance", "Admin")
MAY = {
    "change-plan": {"Support", "Finance", "Admin"},
    "change-limit": {"Support", "Admin"},
    "clean-up": {"Support", "Admin"},
    "restore": {"Support", "Admin"},
}
HOSTILE = (
    "",
    "abc",
    "0",
    "-5",
    "1e3",
    "NaN",
    "Infinity",
    "2,5",
    "1,000",
    "٣",
    "9" * 400,
    "0.0000001",
    "102400.1",
)


def of_role(role: str) -> Browser:
    user = make_user(f"{role.lower()}-of-staff")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    return browser_of(User.objects.get(pk=user.pk))


@pytest.fixture
def support(db: None) -> Browser:
    return of_role("Support")


def at(name: str, user: User) -> str:
    return reverse(f"admin:{name}", args=[user.pk])


def words(response: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def saved(user: User, app: App, size: int, title: str = "A page", *, days: int = 0) -> Project:
    project, _ = workspace.save_project(
        user=user, app=app, project_type="page", title=title, content=content_of("x" * size), metadata={}
    )
    if days:
        Project.objects.filter(pk=project.pk).update(updated_at=Now() - timedelta(days=days))
    return project


def hidden(response: Any) -> dict[str, str]:
    """What the page's confirmation sends along, as a browser would."""
    assert response.status_code == 200
    form = response.content.decode().split('value="confirm"')[0].rpartition("<form")[2]
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in fields if name != "csrfmiddlewaretoken"}


def previewed(browser: Browser, name: str, user: User, **form: Any) -> Any:
    return browser.post(at(name, user), {"reason": WHY, "step": "preview", **form})


def confirmed(browser: Browser, name: str, user: User, page: Any) -> Any:
    return browser.post(at(name, user), {**hidden(page), "step": "confirm"}, follow=True)


def plus() -> Plan:
    return Plan.objects.get(slug="plus")


def limit_of(user: User) -> int:
    return Storage.objects.get(user=user).limit_bytes


def kept(user: User) -> set[str]:
    return set(Project.objects.kept().filter(user=user).values_list("code", flat=True))


def of_audit() -> AuditEntry:
    """The one row."""
    return AuditEntry.objects.get()


# --- Who may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", MAY)
def test_each_page_is_for_its_roles_and_nobody_else(name: str, role: str, alice: User, penora: App) -> None:
    workspace.delete_project(user=alice, code=saved(alice, penora, 100).code)
    browser = of_role(role)

    statuses = {browser.get(at(name, alice)).status_code, browser.post(at(name, alice), {}).status_code}

    assert statuses == ({200} if role in MAY[name] else {403})
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("name", MAY)
def test_nobody_but_staff_comes_near(name: str, alice: User, bob: User) -> None:
    for browser in (Browser(), browser_of(bob)):
        assert browser.get(at(name, alice)).status_code == 302
        assert browser.post(at(name, alice), {"reason": WHY}).status_code == 302


@pytest.mark.parametrize("name", MAY)
def test_nobody_is_there_and_whoever_has_left_has_nothing_to_change(name: str, alice: User, staff: Browser) -> None:
    services.delete_member(user=alice)
    written = AuditEntry.objects.count()

    assert staff.get(reverse(f"admin:{name}", args=[999_999])).status_code == 404
    form = {"plan": plus().pk, "limit": "5", "free": "1", "codes": "000000", "reason": WHY, "step": "confirm"}
    assert "This person has left" in words(staff.post(at(name, alice), form))

    assert AuditEntry.objects.count() == written


# --- The plan ------------------------------------------------------------------------------------------------------


def test_a_plan_is_looked_at_then_changed_once_with_room_and_credits(alice: User, support: Browser) -> None:
    page = previewed(support, "change-plan", alice, plan=plus().pk)

    text = words(page)
    assert "Limit 1 MB 10 MB" in text
    assert f"Credits a month 0 {plus().monthly_credits}" in text
    assert f"Credits at once +{plus().monthly_credits}" in text
    assert User.objects.get(pk=alice.pk).plan.slug == "free"  # nothing is done yet
    assert limit_of(alice) == MEGABYTE
    assert not LedgerEntry.objects.filter(source="plan").exists()
    assert not AuditEntry.objects.exists()

    done = confirmed(support, "change-plan", alice, page)
    again = confirmed(support, "change-plan", alice, page)

    assert notices(done) == ["Alice (alice) is on the plan Plus now."]
    assert notices(again) == ["Alice (alice) is on the plan Plus already: nothing more was done."]
    assert User.objects.get(pk=alice.pk).plan == plus()
    assert limit_of(alice) == plus().storage_limit_bytes
    assert LedgerEntry.objects.get(source="plan").amount == plus().monthly_credits
    row = of_audit()
    assert (row.event, row.subject, row.reason) == ("plan-changed", alice, WHY)
    assert row.actor is not None
    assert row.actor.user_id == "support-of-staff"
    assert row.details == {
        "before": {"plan": "free", "limit_bytes": MEGABYTE},
        "after": {"plan": "plus", "limit_bytes": plus().storage_limit_bytes},
        "credits": plus().monthly_credits,
    }
    assert_the_books_are_right()
    assert_the_storage_is_right()


def test_back_and_forth_within_a_month_says_that_there_are_no_more_credits(alice: User, support: Browser) -> None:
    services.change_plan(user=alice, plan=plus())
    services.change_plan(user=alice, plan=Plan.objects.get(slug="free"))

    page = previewed(support, "change-plan", alice, plan=plus().pk)

    assert "Credits at once none" in words(page)
    assert "They get no credits at once" in words(page)
    confirmed(support, "change-plan", alice, page)
    assert LedgerEntry.objects.filter(source="plan").count() == 1


def test_a_limit_given_by_hand_goes_with_the_next_plan_and_both_are_in_one_row(alice: User, support: Browser) -> None:
    workspace.change_limit(user=alice, limit_bytes=3 * MEGABYTE)

    page = previewed(support, "change-plan", alice, plan=plus().pk)
    assert "Their limit was set by hand" in words(page)
    confirmed(support, "change-plan", alice, page)

    assert of_audit().details["before"] == {"plan": "free", "limit_bytes": 3 * MEGABYTE}


@pytest.mark.parametrize("how", ["plan", "limit", "price of the plan"])
def test_a_stale_plan_form_does_nothing_and_shows_how_it_stands(how: str, alice: User, support: Browser) -> None:
    page = previewed(support, "change-plan", alice, plan=Plan.objects.get(slug="pro").pk)
    if how == "plan":
        services.change_plan(user=alice, plan=plus())
    elif how == "limit":
        workspace.change_limit(user=alice, limit_bytes=5 * MEGABYTE)
    else:
        Plan.objects.filter(slug="pro").update(monthly_credits=1)
    written = AuditEntry.objects.count()
    now = User.objects.get(pk=alice.pk).plan.slug, limit_of(alice)

    again = confirmed(support, "change-plan", alice, page)

    assert "Nothing was done yet: it has changed meanwhile." in words(again)
    assert (User.objects.get(pk=alice.pk).plan.slug, limit_of(alice)) == now
    assert AuditEntry.objects.count() == written
    assert "is on the plan Pro now" in notices(confirmed(support, "change-plan", alice, again))[0]


def test_what_they_do_meanwhile_does_not_stand_in_the_way(alice: User, penora: App, support: Browser) -> None:
    page = previewed(support, "change-plan", alice, plan=plus().pk)
    saved(alice, penora, 5_000)

    assert "is on the plan Plus now" in notices(confirmed(support, "change-plan", alice, page))[0]


def test_a_plan_that_is_too_small_says_by_how_much_and_leads_to_the_clean_up(
    alice: User, penora: App, support: Browser
) -> None:
    services.change_plan(user=alice, plan=plus())
    saved(alice, penora, MEGABYTE)
    saved(alice, penora, MEGABYTE // 2)
    written = AuditEntry.objects.count()

    page = previewed(support, "change-plan", alice, plan=Plan.objects.get(slug="free").pk)

    assert "they keep or have reserved 1.5 MB, which is 0.5 MB more than the 1 MB that they would have" in words(page)
    assert "Clean up 0.5 MB first" in words(page)
    assert f"{at('clean-up', alice)}?free=0.5" in page.content.decode()
    assert 'value="0.5"' in support.get(f"{at('clean-up', alice)}?free=0.5").content.decode()
    by_finance = previewed(of_role("Finance"), "change-plan", alice, plan=Plan.objects.get(slug="free").pk)
    assert "Clean up 0.5 MB first" not in words(by_finance)
    assert (User.objects.get(pk=alice.pk).plan, AuditEntry.objects.count()) == (plus(), written)


def test_a_smaller_room_says_what_the_trash_loses_for_good(alice: User, penora: App, support: Browser) -> None:
    workspace.change_limit(user=alice, limit_bytes=2 * MEGABYTE)
    lost, stays = saved(alice, penora, MEGABYTE, "Lost"), saved(alice, penora, 500, "Stays")
    for project in (lost, stays):
        workspace.delete_project(user=alice, code=project.code)
        let_pass(timedelta(minutes=1))

    page = previewed(support, "change-limit", alice, limit="1")
    assert "1 project of it would be gone for good" in words(page)
    assert lost.code in words(page)
    confirmed(support, "change-limit", alice, page)

    assert list(Project.objects.filter(user=alice)) == [stays]
    assert of_audit().details["removed_for_good"] == [lost.code]
    assert_the_books_are_right()
    assert_the_storage_is_right()


def test_what_the_trash_would_lose_beyond_what_was_shown_is_shown_first(
    alice: User, penora: App, support: Browser
) -> None:
    workspace.change_limit(user=alice, limit_bytes=2 * MEGABYTE)
    project = saved(alice, penora, 100)
    page = previewed(support, "change-limit", alice, limit="1")
    workspace.edit_project(user=alice, code=project.code, content=content_of("x" * MEGABYTE))
    workspace.delete_project(user=alice, code=project.code)
    workspace.delete_project(user=alice, code=saved(alice, penora, 10).code)

    again = confirmed(support, "change-limit", alice, page)

    assert "it has changed meanwhile" in words(again)
    assert "for good" in words(again)
    assert limit_of(alice) == 2 * MEGABYTE
    assert Project.objects.filter(pk=project.pk).exists()


@pytest.mark.parametrize("plan", ["", "0", "abc", "999999", "1" * 30])
def test_a_plan_that_is_none_is_said_at_its_field(plan: str, alice: User, support: Browser) -> None:
    page = previewed(support, "change-plan", alice, plan=plan)

    assert page.status_code == 200
    assert page.context["form"].errors["plan"]
    assert not AuditEntry.objects.exists()


def test_the_plan_that_they_are_on_is_no_change(alice: User, support: Browser) -> None:
    assert "They are on this plan already." in words(previewed(support, "change-plan", alice, plan=alice.plan_id))


@pytest.mark.parametrize(
    ("name", "form"),
    [("change-plan", {"plan": "2"}), ("change-limit", {"limit": "5"}), ("clean-up", {"free": "0.0001"})],
)
@pytest.mark.parametrize("reason", ["", "   ", "\n", "x" * 501])
def test_without_a_fit_reason_nothing_is_done(
    name: str, form: dict[str, str], reason: str, alice: User, penora: App, support: Browser
) -> None:
    project = saved(alice, penora, 200)
    for step in ("preview", "confirm"):
        page = support.post(
            at(name, alice), {**form, "reason": reason, "step": step, "seen": f"{project.code}-1"}, follow=True
        )
        assert page.context["form"].errors["reason"]
    assert (limit_of(alice), kept(alice), AuditEntry.objects.count()) == (MEGABYTE, {project.code}, 0)


@pytest.mark.parametrize(("name", "form"), [("change-plan", {"plan": "2"}), ("change-limit", {"limit": "5"})])
def test_ones_own_room_is_somebody_elses_to_change(name: str, form: dict[str, str], support: Browser) -> None:
    me = User.objects.get(user_id="support-of-staff")

    page = support.post(at(name, me), {**form, "reason": WHY, "step": "confirm", "seen": ""})

    assert "This is your own account" in words(page)
    for call in (
        lambda: services.change_plan(user=me, plan=plus(), actor=me),
        lambda: workspace.change_limit(user=me, limit_bytes=5, actor=me),
    ):
        with pytest.raises(workspace.OwnRoom):
            call()
    assert (limit_of(me), AuditEntry.objects.count()) == (MEGABYTE, 0)


# --- The limit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "bytes_"), [("2.5", 2_621_440), ("102400", 107_374_182_400), ("0.000001", 1)])
def test_a_limit_is_looked_at_then_given_once(typed: str, bytes_: int, alice: User, support: Browser) -> None:
    page = previewed(support, "change-limit", alice, limit=typed)
    assert "It holds until the person’s plan is changed" in words(page)
    assert limit_of(alice) == MEGABYTE

    done = confirmed(support, "change-limit", alice, page)
    again = confirmed(support, "change-limit", alice, page)

    assert "MB of room now" in notices(done)[0]
    assert "has this limit already: nothing more was done" in notices(again)[0]
    assert limit_of(alice) == bytes_
    row = of_audit()
    assert (row.event, row.subject, row.reason) == ("limit-changed", alice, WHY)
    assert row.details == {"before": {"limit_bytes": MEGABYTE}, "after": {"limit_bytes": bytes_}}


@pytest.mark.parametrize("typed", HOSTILE)
def test_a_limit_that_is_none_is_said_at_its_field(typed: str, alice: User, support: Browser) -> None:
    for step in ("preview", "confirm"):
        page = support.post(at("change-limit", alice), {"limit": typed, "reason": WHY, "step": step, "seen": "x"})
        assert page.status_code == 200
        assert page.context["form"].errors["limit"]
    assert (limit_of(alice), AuditEntry.objects.count()) == (MEGABYTE, 0)


def test_the_limit_as_it_stands_is_shown_to_the_byte(alice: User, support: Browser) -> None:
    for limit in (1, 1_234_567, 99_999_999_999):
        workspace.change_limit(user=alice, limit_bytes=limit)
        typed = support.get(at("change-limit", alice)).context["form"]["limit"].value()
        assert "This is their limit already." in words(previewed(support, "change-limit", alice, limit=typed))


def test_a_limit_below_what_they_keep_is_refused(alice: User, penora: App, support: Browser) -> None:
    saved(alice, penora, MEGABYTE // 2)

    page = previewed(support, "change-limit", alice, limit="0.25")

    assert "they keep or have reserved 0.5 MB, which is 0.25 MB more than the 0.25 MB" in words(page)
    assert (limit_of(alice), AuditEntry.objects.count()) == (MEGABYTE, 0)


def test_a_stale_limit_form_does_nothing(alice: User, support: Browser) -> None:
    page = previewed(support, "change-limit", alice, limit="5")
    workspace.change_limit(user=alice, limit_bytes=7 * MEGABYTE)

    again = confirmed(support, "change-limit", alice, page)

    assert "it has changed meanwhile" in words(again)
    assert "Limit 7 MB 5 MB" in words(again)
    assert (limit_of(alice), AuditEntry.objects.count()) == (7 * MEGABYTE, 0)


def test_to_change_it_leads_back_to_the_form_with_what_was_typed(alice: User, support: Browser) -> None:
    page = support.post(at("change-limit", alice), {"limit": "5", "reason": WHY, "step": "edit"})

    assert page.context["change"] is None
    assert WHY in words(page)


# --- Clean-up ------------------------------------------------------------------------------------------------------


def test_what_is_shown_goes_into_the_trash_once_and_nothing_else(alice: User, penora: App, support: Browser) -> None:
    old = [saved(alice, penora, 300, f"Old {number}", days=40) for number in range(2)]
    new = saved(alice, penora, 400, "New")

    page = previewed(support, "clean-up", alice, older_than="30")
    text = words(page)
    for project in old:
        assert f"{project.code} {project.title} Penora 300" in text
    assert "Used 1,000" in text
    assert "400" in text
    assert "can restore them until" in text
    assert new.code not in text
    assert len(kept(alice)) == 3  # a dry run

    later = saved(alice, penora, 100, days=50)  # matches as well, and has not been seen
    done = confirmed(support, "clean-up", alice, page)
    again = confirmed(support, "clean-up", alice, page)

    assert "Put 2 projects (0.0006 MB) into the trash of Alice (alice), for 7 days." in notices(done)[0]
    assert "no longer there" in words(again).lower()
    assert kept(alice) == {new.code, later.code}
    row = of_audit()
    assert (row.event, row.subject, row.reason) == ("cleaned-up", alice, WHY)
    assert row.details == {
        "codes": [project.code for project in old],
        "freed_bytes": 600,
        "before": {"used_bytes": 1_100, "project_count": 4},
        "after": {"used_bytes": 500, "project_count": 2},
    }
    assert_the_books_are_right()
    assert_the_storage_is_right()


@pytest.mark.parametrize(
    ("form", "goes"),
    [
        ({"free": "0.0002"}, [0]),
        ({"free": "0.0002", "strategy": "largest"}, [2]),
        ({"older_than": "15"}, [0, 1]),
        ({"app": "penora"}, [0, 2]),
        ({"app": "penora", "older_than": "5"}, [0]),
        ({"codes": "1 2"}, [1, 2]),
    ],
)
def test_each_way_to_say_what_may_go(
    form: dict[str, str], goes: list[int], alice: User, penora: App, imagegene: App, support: Browser
) -> None:
    projects = [
        saved(alice, penora, 300, days=30),
        saved(alice, imagegene, 300, days=20),
        saved(alice, penora, 900),
    ]
    if "codes" in form:
        typed = " ,\n".join(projects[int(place)].code.lower() for place in form["codes"].split())
        form = {"codes": typed}
    if "app" in form:
        form = {**form, "app": str(penora.pk)}

    page = previewed(support, "clean-up", alice, **{"strategy": "oldest", **form})
    confirmed(support, "clean-up", alice, page)

    assert kept(alice) == {project.code for place, project in enumerate(projects) if place not in goes}


@pytest.mark.parametrize("what", ["edited", "deleted", "moved into the trash with more than is lost"])
def test_what_was_shown_and_is_no_longer_so_stops_the_whole_clean_up(
    what: str, alice: User, penora: App, support: Browser
) -> None:
    first, second = saved(alice, penora, 300, days=9), saved(alice, penora, 300, days=8)
    page = previewed(support, "clean-up", alice, older_than="1")
    if what == "edited":
        workspace.edit_project(user=alice, code=first.code, title="Wanted after all")
    elif what == "deleted":
        workspace.delete_project(user=alice, code=first.code)
    else:  # now the trash is so full that it would lose something for this
        gone = saved(alice, penora, MEGABYTE - 700)
        workspace.delete_project(user=alice, code=gone.code)
        workspace.change_limit(user=alice, limit_bytes=MEGABYTE - 500)

    again = confirmed(support, "clean-up", alice, page)

    assert "Nothing was done yet: it has changed meanwhile." in words(again)
    assert second.code in kept(alice)
    assert not AuditEntry.objects.exists()
    if what == "edited":
        assert f"Edited since: {first.code.lower()}" in words(again)
        assert [project.code for project in again.context["outcome"].removed] == [second.code]
    elif what != "deleted":
        assert "gone for good" in words(again)
        assert "Put 2 projects" in notices(confirmed(support, "clean-up", alice, again))[0]
        assert of_audit().details["removed_for_good"] == [gone.code]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "Say what may go"),
        ({"older_than": "400"}, "None of their projects matches"),
        ({"free": "0.5"}, "All that matches would free 0.0003 MB"),
        ({"codes": "000000"}, "They keep no project with the code “000000”"),
        ({"codes": "not-a-code-at-all"}, "They keep no project with the code “not-a-code-at-all”"),
        ({"codes": "\u202e<b>"}, "They keep no project with the code"),
        ({"older_than": "-1"}, "One day at the least"),
        ({"older_than": "99999999999"}, "At the most 36500 days"),
        ({"older_than": "x"}, "Write whole days"),
        ({"app": "999999"}, "Select a valid choice"),
        ({"strategy": "rm -rf", "older_than": "1"}, "Select a valid choice"),
        *(({"free": typed}, "") for typed in HOSTILE if typed),
    ],
)
def test_a_choice_of_nothing_is_said_and_nothing_goes(
    form: dict[str, str], message: str, alice: User, penora: App, support: Browser
) -> None:
    project = saved(alice, penora, 300)
    for step in ("preview", "confirm"):
        page = support.post(
            at("clean-up", alice), {"strategy": "oldest", "reason": WHY, "step": step, "seen": "", **form}
        )
        assert page.status_code == 200
        assert page.context["form"].errors
        assert message in words(page)
    assert (kept(alice), AuditEntry.objects.count()) == ({project.code}, 0)


@pytest.mark.parametrize("seen", ["", ",", "7K3M9Q", "7K3M9Q-x", "-1", "7k3m9q-1", "7K3M9Q-" + "9" * 30])
def test_a_confirmation_without_what_was_seen_removes_nothing(
    seen: str, alice: User, penora: App, support: Browser
) -> None:
    saved(alice, penora, 300)

    page = support.post(
        at("clean-up", alice), {"free": "0.0001", "strategy": "oldest", "reason": WHY, "step": "confirm", "seen": seen}
    )

    assert "Nothing was done yet" in words(page)
    assert (len(kept(alice)), AuditEntry.objects.count()) == (1, 0)


def test_somebody_elses_project_does_not_go_with_it(alice: User, bob: User, penora: App, support: Browser) -> None:
    mine, other = saved(alice, penora, 300), saved(bob, penora, 300)
    form = {"codes": mine.code, "strategy": "oldest", "reason": WHY, "step": "confirm"}

    support.post(at("clean-up", alice), {**form, "seen": f"{mine.code}-1,{other.code}-1"})

    assert (kept(alice), kept(bob), AuditEntry.objects.count()) == ({mine.code}, {other.code}, 0)


# --- Back from the trash -------------------------------------------------------------------------------------------


def test_what_is_ticked_comes_back_with_one_row(alice: User, penora: App, support: Browser) -> None:
    gone = [saved(alice, penora, 300) for _ in range(3)]
    for project in gone:
        workspace.delete_project(user=alice, code=project.code)
    form = {"codes": [gone[0].code, gone[2].code], "reason": WHY}

    done = support.post(at("restore", alice), form, follow=True)
    again = support.post(at("restore", alice), form, follow=True)

    assert notices(done) == ["Restored 2 projects of Alice (alice)."]
    assert "is not in the trash (any more)" in words(again)
    assert kept(alice) == {gone[0].code, gone[2].code}
    row = of_audit()
    assert (row.event, row.subject, row.reason) == ("changed", alice, WHY)
    assert row.details == {
        "what": "workspace.project",
        "restored": [gone[0].code, gone[2].code],
        "before": {"used_bytes": 0, "project_count": 0},
        "after": {"used_bytes": 600, "project_count": 2},
    }
    assert_the_books_are_right()
    assert_the_storage_is_right()


@pytest.mark.parametrize("why", ["room", "places", "too late", "somebody else's", "nothing ticked", "no reason"])
def test_all_come_back_or_none(why: str, alice: User, bob: User, penora: App, support: Browser, settings: Any) -> None:
    gone = [saved(alice, penora, 300) for _ in range(2)]
    other = saved(bob, penora, 300)
    for project in gone:
        workspace.delete_project(user=alice, code=project.code)
    workspace.delete_project(user=bob, code=other.code)
    form: dict[str, Any] = {"codes": [project.code for project in gone], "reason": WHY}
    if why == "room":
        saved(alice, penora, MEGABYTE - 400)
    elif why == "places":
        saved(alice, penora, 10)
        settings.MAX_PROJECTS_PER_USER = 2
    elif why == "too late":
        let_pass(timedelta(days=8))
    elif why == "somebody else's":
        form["codes"].append(other.code)
    elif why == "nothing ticked":
        form["codes"] = []
    else:
        form["reason"] = " "
    before = kept(alice)

    page = support.post(at("restore", alice), form)

    assert page.status_code == 200
    assert page.context["form"].errors or not page.context["trash"]
    assert (kept(alice), kept(bob), AuditEntry.objects.count()) == (before, set(), 0)


def test_an_empty_trash_says_so(alice: User, support: Browser) -> None:
    assert "Their trash is empty" in words(support.get(at("restore", alice)))


# --- The command line ----------------------------------------------------------------------------------------------


def test_a_plan_set_at_the_command_line_is_in_the_audit_too(alice: User) -> None:
    call_command("setplan", "alice", "plus", "--reason", WHY)

    row = of_audit()
    assert (row.event, row.actor, row.subject, row.reason) == ("plan-changed", None, alice, WHY)
