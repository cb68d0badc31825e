"""A person is found by whatever is known of them, from every page; and the list of people tells the most of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, AuditEntry, Plan, User
from credits import services as credits
from credits.models import Hold, LedgerEntry
from tests.admin.conftest import WHY, notices
from tests.admin.test_access import helper
from tests.clock import let_pass
from tests.conftest import make_user
from tests.workspace.contents import content_of
from unified import services
from unified.figures.models import LastActive
from workspace import services as workspace
from workspace.models import Project

LIST = "/admin/accounts/user/"
FIND = "/admin/find/"


def page_of(user: User, anchor: str = "") -> str:
    return reverse("admin:person", args=[user.pk]) + anchor


def saved(user: User, app: App, title: str = "A page") -> Project:
    return workspace.save_project(
        user=user, app=app, project_type="page", title=title, content=content_of("x" * 100), metadata={}
    )[0]


def people_in(response: Any) -> set[str]:
    return {user.user_id for user in response.context["cl"].result_list}


# --- To one person ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["alice", " alice ", "ALICE@EXAMPLE", "lice@example.com", "Alic"])
@pytest.mark.usefixtures("bob")
def test_a_user_id_or_a_part_of_a_name_or_an_e_mail_leads_to_the_person(text: str, alice: User, staff: Browser) -> None:
    response = staff.get(FIND, {"q": text})

    assert (response.status_code, response["Location"]) == (302, page_of(alice))


def test_a_user_id_is_found_in_full_and_as_it_is_written_only(alice: User, staff: Browser) -> None:
    User.objects.filter(pk=alice.pk).update(user_id="Case-1", username="N", email="")

    assert staff.get(FIND, {"q": "Case-1"})["Location"] == page_of(alice)
    for other in ("case-1", "Case-", "Case-11"):
        assert staff.get(FIND, {"q": other}).status_code == 200


@pytest.mark.usefixtures("bob")
def test_a_project_code_is_taken_as_a_person_types_it(alice: User, penora: App, staff: Browser) -> None:
    project = saved(alice, penora)
    Project.objects.filter(pk=project.pk).update(code="7K0M1Q")

    for typed in ("7K0M1Q", "7k0m1q", " 7K0-M1Q ", "7KOMLQ", "7komiq"):
        assert staff.get(FIND, {"q": typed})["Location"] == page_of(alice, "#projects")


def test_a_project_in_the_trash_still_leads_to_whose_it_was(alice: User, penora: App, staff: Browser) -> None:
    project = saved(alice, penora)
    workspace.delete_project(user=alice, code=project.code)

    assert staff.get(FIND, {"q": project.code})["Location"] == page_of(alice, "#trash")


@pytest.mark.usefixtures("bob")
def test_a_project_that_is_gone_for_good_leads_to_who_paid_for_it(alice: User, penora: App, staff: Browser) -> None:
    paid, unpaid = saved(alice, penora), saved(alice, penora)
    credits.deduct(user=alice, app=penora, amount=1, description="A page", project_code=paid.code)
    Project.objects.filter(pk__in=[paid.pk, unpaid.pk]).delete()

    assert staff.get(FIND, {"q": paid.code.lower()})["Location"] == page_of(alice, "#transactions")
    assert staff.get(FIND, {"q": unpaid.code}).status_code == 200


def test_what_was_found_is_named_with_the_way_to_it(alice: User, penora: App, staff: Browser) -> None:
    """The person's page shows the latest of everything, and this may be older."""
    project = saved(alice, penora)
    entry = LedgerEntry.objects.get(account=alice.pk)

    for text, link in (
        (project.code, reverse("admin:workspace_project_change", args=[project.pk])),
        (str(entry.pk), reverse("admin:credits_ledgerentry_change", args=[entry.pk])),
    ):
        response = staff.get(FIND, {"q": text}, follow=True)
        assert f'<a href="{link}">' in "".join(map(str, response.context["messages"]))


def test_an_open_request_for_a_plan_stands_on_the_page(alice: User, bob: User, staff: Browser) -> None:
    accounts.request_upgrade(user=alice, plan=Plan.objects.get(slug="plus"))

    assert "Asks for Plus" in staff.get(page_of(alice)).content.decode()
    assert "Asks for" not in staff.get(page_of(bob)).content.decode()
    assert "Asks for" not in helper(bob, "view_user").get(page_of(alice)).content.decode()


def test_a_transaction_and_a_hold_lead_to_whose_they_are(alice: User, penora: App, staff: Browser) -> None:
    entry, _ = credits.deduct(user=alice, app=penora, amount=2, description="A page")
    hold, _ = services.reserve(user=alice, app=penora, amount=3, description="Another")

    assert staff.get(FIND, {"q": str(entry.pk)})["Location"] == page_of(alice, "#transactions")
    assert staff.get(FIND, {"q": str(entry.pk).upper()})["Location"] == page_of(alice, "#transactions")
    assert staff.get(FIND, {"q": str(hold.pk)})["Location"] == page_of(alice, "#holds")


def test_who_has_left_is_found_by_their_user_id(alice: User, staff: Browser) -> None:
    services.delete_member(user=alice)

    assert staff.get(FIND, {"q": "alice"})["Location"] == page_of(alice)
    assert staff.get(FIND, {"q": "alice@example.com"}).status_code == 200


# --- To several, to none ---------------------------------------------------------------------------------------------


def test_several_people_are_shown_as_a_list_of_just_them(alice: User, bob: User, staff: Browser) -> None:
    make_user("carol")
    User.objects.filter(pk=bob.pk).update(username="Alice & Bob")

    response = staff.get(FIND, {"q": "alice"})

    assert (response.status_code, response["Location"]) == (302, f"{LIST}?q=alice")
    assert people_in(staff.get(response["Location"])) == {"alice", "bob"}
    awkward = staff.get(FIND, {"q": "alice & bob"})  # what is asked goes on as it was typed
    assert awkward["Location"] == page_of(bob)
    everybody = staff.get(FIND, {"q": "@example.com"})
    assert everybody["Location"] == f"{LIST}?q={quote('@example.com', safe='')}"


def test_a_code_that_is_also_a_name_shows_both(alice: User, bob: User, penora: App, staff: Browser) -> None:
    project = saved(bob, penora)
    Project.objects.filter(pk=project.pk).update(code="MARTHA")
    User.objects.filter(pk=alice.pk).update(username="Martha")

    response = staff.get(FIND, {"q": "martha"})

    assert people_in(staff.get(response["Location"])) == {"alice", "bob"}


@pytest.mark.parametrize(
    "text",
    ["nobody", "ZZZZZZ", "00000000-0000-0000-0000-000000000000", "%", "_", "'; DROP", "\u202e", "é" * 255, "<b>"],
)
@pytest.mark.usefixtures("alice")
def test_nobody_is_said_with_what_can_be_searched_by(text: str, staff: Browser) -> None:
    response = staff.get(FIND, {"q": text})

    shown = response.content.decode()
    assert response.status_code == 200
    assert "Nobody found" in shown
    for way in ("user id", "name", "e-mail", "project code", "transaction", "hold"):
        assert way in shown
    assert "<b>" not in shown


def test_nothing_or_too_much_to_look_for_has_a_clear_answer(staff: Browser, alice: User) -> None:
    for query in ({}, {"q": ""}, {"q": "   "}):
        response = staff.get(FIND, query)
        assert response.status_code == 200
        assert "Type something to look for." in response.content.decode()

    with CaptureQueriesContext(connection) as captured:
        response = staff.get(FIND, {"q": "x" * 10_000})
    assert response.status_code == 200
    assert "longer than 255 characters" in response.content.decode()
    assert len(response.content) < 20_000
    assert not [query for query in captured if "xxx" in query["sql"]]

    assert staff.get(f"{FIND}?q=a%00b").status_code == 400
    assert staff.get(LIST, {"q": "x" * 5_000}).status_code == 200
    assert staff.post(FIND, {"q": "alice"}).status_code == 405


def test_finding_takes_the_permission_to_view_people(bob: User, client: Browser) -> None:
    assert client.get(FIND, {"q": "bob"})["Location"].startswith("/admin/login/")
    assert helper(bob, "view_account").get(FIND, {"q": "bob"}).status_code == 403
    assert helper(bob, "view_user").get(FIND, {"q": "bob"})["Location"] == page_of(bob)


def test_the_field_is_on_every_page_for_who_may_view_people(staff: Browser, alice: User, bob: User) -> None:
    pages = ("/admin/", LIST, f"{LIST}{alice.pk}/change/", page_of(alice), FIND, "/admin/credits/ledgerentry/")
    for address in pages:
        shown = staff.get(address).content.decode()
        assert shown.count('action="/admin/find/"') == 1
        assert '<label for="find-person">' in shown
    assert "/admin/find/" not in helper(bob, "view_account").get("/admin/").content.decode()
    assert "/admin/find/" not in Browser().get("/admin/login/").content.decode()


# --- The list --------------------------------------------------------------------------------------------------------


def test_the_list_tells_balance_held_room_plan_and_when_somebody_was_last_active(
    alice: User, penora: App, staff: Browser
) -> None:
    saved(alice, penora)
    services.reserve(user=alice, app=penora, amount=7, description="Held")
    LastActive.objects.update_or_create(user=alice, defaults={"day": timezone.now().date()})

    row = " ".join(staff.get(LIST, {"q": "alice"}).content.decode().split())

    assert f'<a href="{page_of(alice)}' in row
    assert '<td class="field-balance">50</td>' in row
    assert '<td class="field-held">7</td>' in row
    assert '<meter class="room" min="0" max="1048576" value="100" title="100 bytes of 1,048,576">' in row
    assert ">Free</td>" in row
    assert ">today</time>" in row
    assert '<span class="tag good">active</span>' in row


def test_the_list_shows_who_has_no_account_and_no_storage(superuser: User, staff: Browser) -> None:
    row = " ".join(staff.get(LIST, {"q": superuser.user_id}).content.decode().split())

    assert '<td class="field-balance">0</td>' in row
    assert '<td class="field-room">–</td>' in row


def test_the_list_is_searched_by_everything_that_finds_a_person(
    alice: User, bob: User, penora: App, staff: Browser
) -> None:
    project = saved(bob, penora)
    entry = LedgerEntry.objects.get(account=alice.pk)
    services.reserve(user=bob, app=penora, amount=3, description="Held")
    hold = Hold.objects.get()

    for text, found in (
        (project.code.lower(), "bob"),
        (str(entry.pk), "alice"),
        (str(hold.pk), "bob"),
        ("BOB@", "bob"),
    ):
        assert people_in(staff.get(LIST, {"q": text})) == {found}


def test_the_list_is_filtered(alice: User, bob: User, superuser: User, staff: Browser) -> None:
    credits.grant(user=bob, amount=500, source=LedgerEntry.Source.PROMOTION, description="A gift")
    services.change_plan(user=bob, plan=Plan.objects.get(slug="plus"))
    accounts.set_active(user=alice, is_active=False)
    today = str(timezone.now().date())
    tomorrow = str(timezone.now().date() + timedelta(days=1))

    for query, found in (
        ({"in_account_from": "51"}, {"bob"}),
        ({"in_account_to": "50"}, {"alice"}),
        ({"plan__id__exact": str(Plan.objects.get(slug="plus").pk)}, {"bob"}),
        ({"is_active__exact": "0"}, {"alice"}),
        ({"is_staff__exact": "1"}, {superuser.user_id}),
        ({"date_joined_from": today}, {"alice", "bob", superuser.user_id}),
        ({"date_joined_from": tomorrow}, set()),
        ({"in_account_from": "lots"}, set()),
    ):
        response = staff.get(LIST, query)
        assert response.status_code == 200, query
        assert people_in(response) == found, query


def test_the_list_is_sorted_by_every_column(alice: User, staff: Browser) -> None:
    for column in range(1, 12):
        assert staff.get(LIST, {"o": str(column)}).status_code == 200


def test_a_search_costs_the_same_however_many_are_found(staff: Browser, penora: App) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(LIST, {"q": "@example.com", "all": ""}).status_code == 200
        return len(captured)

    saved(make_user("one"), penora)
    with_one = queries()
    for number in range(40):
        saved(make_user(f"user-{number}"), penora)

    assert queries() == with_one


def test_the_file_of_the_list_says_how_much_and_not_who(alice: User, penora: App, staff: Browser) -> None:
    saved(alice, penora)
    services.reserve(user=alice, app=penora, amount=7, description="Held")

    response: Any = staff.get("/admin/export/accounts/user/", {"q": "alice"})
    head, row = b"".join(response.streaming_content).decode().strip().splitlines()

    assert head.removeprefix("\ufeff") == "user_id,plan,balance,held,used_bytes,limit_bytes,date_joined,is_active"
    assert row.startswith("alice,free,50,7,100,1048576,")
    assert row.endswith(",true")
    assert "example.com" not in row


# --- What is done to the rows that are ticked ------------------------------------------------------------------------


def test_adjusting_leads_to_the_page_that_asks(alice: User, bob: User, staff: Browser) -> None:
    response = staff.post(LIST, {"action": "adjust_credits", "_selected_action": [bob.pk, alice.pk]})

    expected = f"{reverse('admin:adjust-many')}?people={alice.pk},{bob.pk}"
    assert (response.status_code, response["Location"]) == (302, expected)
    assert not AuditEntry.objects.exists()


def test_a_hundred_people_are_adjusted_at_once_and_no_more(staff: Browser, superuser: User) -> None:
    plan = Plan.objects.get(slug="free")
    everybody = [User(user_id=f"u{number}", username="U", email="", plan=plan) for number in range(100)]
    User.objects.bulk_create(everybody)
    chosen = {"action": "adjust_credits", "_selected_action": [everybody[0].pk], "select_across": "1"}

    allowed = staff.post(f"{LIST}?is_staff__exact=0", chosen)
    refused = staff.post(LIST, chosen, follow=True)

    assert allowed["Location"].count(",") == 99
    assert len(notices(refused)) == 1
    assert "100 people" in notices(refused)[0]
    assert "Grants from a file" in notices(refused)[0]


def test_who_may_not_adjust_is_not_offered_it(alice: User, bob: User) -> None:
    browser = helper(bob, "view_user", "change_user")

    assert "adjust_credits" not in browser.get(LIST).content.decode()
    response = browser.post(LIST, {"action": "adjust_credits", "_selected_action": [alice.pk], **WHY})
    assert reverse("admin:adjust-many") not in response.get("Location", "")


def test_signing_out_everywhere_is_still_done_from_the_list_with_a_reason(alice: User, staff: Browser) -> None:
    chosen = {"action": "cut_off", "_selected_action": [alice.pk]}

    staff.post(LIST, chosen)
    assert not AuditEntry.objects.filter(event="cut-off").exists()
    staff.post(LIST, {**chosen, **WHY})
    assert AuditEntry.objects.get(event="cut-off").reason == WHY["reason"]


def test_what_has_expired_is_in_the_list_until_it_is_entered(alice: User, staff: Browser) -> None:
    """The list has the books' figures; the page of the person what they can spend."""
    soon = timezone.now() + timedelta(hours=1)
    credits.grant(user=alice, amount=5, source=LedgerEntry.Source.PROMOTION, description="A gift", expires_at=soon)
    let_pass(timedelta(hours=2))

    assert '<td class="field-balance">55</td>' in staff.get(LIST).content.decode()
    credits.settle(user=alice)
    assert '<td class="field-balance">50</td>' in staff.get(LIST).content.decode()
