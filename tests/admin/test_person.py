"""The page of one person tells what there is, to whom it is meant for, at a constant cost, whatever is in it."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from social_django.models import UserSocialAuth

from accounts import audit
from accounts import services as accounts
from accounts.models import App, AuditEntry, Client, User
from credits import services as credits
from credits.models import LedgerEntry
from credits.queries import history, position_of
from tests.admin.conftest import GIFT, WHY, notices
from tests.admin.test_access import helper
from tests.clock import let_pass
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from tests.sso.flow import signed_in_as
from tests.workspace.contents import content_of
from unified import services
from unified.admin.changes import changes_of
from unified.admin.sections import SECTIONS
from workspace import services as workspace
from workspace.models import Project
from workspace.queries import storage_of, trash_of

MOST_QUERIES = 25
HOSTILE = ("<script>alert(1)</script>", "W" * 200, "\u202eesrever", "\u05d0\u05d1\u05d2" * 20, "' \" & {{ x }}")
Event = AuditEntry.Event


def page(browser: Browser, user: User) -> Any:
    response = browser.get(reverse("admin:person", args=[user.pk]))
    assert response.status_code == 200
    return response


def sections(response: Any) -> dict[str, dict[str, Any]]:
    return {shown.section.name: shown.content for shown in response.context["sections"]}


def words(response: Any, section: str | None = None) -> str:
    """What is to be read, of one section or all of the page."""
    html = response.content.decode()
    if section:
        html = html.split(f'id="{section}"', 1)[1].split("</section>", 1)[0]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def saved(user: User, app: App, title: str = "A page", size: int = 100) -> Project:
    return workspace.save_project(
        user=user, app=app, project_type="page", title=title, content=content_of("x" * size), metadata={}
    )[0]


def busy(user: User, app: App, client: Client, actor: User, times: int) -> None:
    """`times` of everything that the page shows."""
    for number in range(times):
        expires_at = timezone.now() + timedelta(days=number + 1)
        credits.grant(user=user, amount=20, source=GIFT, description="A gift", expires_at=expires_at)
        entry, _ = credits.deduct(user=user, app=app, amount=2, description="A page")
        credits.refund(entry=entry, amount=1, reason="Half of it was empty")
        services.reserve(user=user, app=app, amount=1, description="Another", storage_bytes=10)
        saved(user, app)
        workspace.delete_project(user=user, code=saved(user, app, "Thrown away").code)
    now = timezone.now()
    AuditEntry.objects.bulk_create(
        AuditEntry(event=event, actor=by, subject=user, details={"before": {"plan": "free"}, "after": {"plan": "plus"}})
        for _ in range(times)
        for event, by in ((Event.SIGNED_IN, user), (Event.PLAN_CHANGED, actor), (Event.CREDITS_ADJUSTED, actor))
    )
    token, renewal = get_access_token_model(), get_refresh_token_model()
    offset = token.objects.count()
    made = [
        token(user=user, application=client, token=f"a{offset + n}", expires=now + timedelta(hours=1), scope="openid")
        for n in range(times)
    ]
    for one in made:
        one.save()
        renewal.objects.create(user=user, application=client, token=f"r{one.pk}", access_token=one)


# --- What it tells ---------------------------------------------------------------------------------------------------


def test_the_head_says_who_it_is_and_how_they_stand(alice: User, superuser: User, staff: Browser) -> None:
    text = words(page(staff, alice))

    for fact in ("Alice active", "User id alice", "E-mail alice@example.com", "Plan Free", "Joined just now"):
        assert fact in text
    assert "superuser" not in text
    assert "Root active superuser" in words(page(staff, superuser))
    alice.groups.add(Group.objects.get(name="Support"))
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert "Alice active staff" in words(page(staff, alice))
    assert "Roles Support" in words(page(staff, alice))
    accounts.set_active(user=alice, is_active=False)
    assert "Alice locked out" in words(page(staff, alice))


def test_credits_are_what_the_service_says_and_not_what_has_expired(alice: User, penora: App, staff: Browser) -> None:
    soon = timezone.now() + timedelta(hours=1)
    credits.grant(user=alice, amount=5, source=GIFT, description="A gift", expires_at=soon)
    let_pass(timedelta(hours=2))
    credits.grant(user=alice, amount=7, source=GIFT, description="One", expires_at=timezone.now() + timedelta(days=3))
    services.reserve(user=alice, app=penora, amount=1, description="Held")
    credits_now = position_of(alice)

    response = page(staff, alice)

    assert (credits_now.balance, credits_now.held, credits_now.spendable) == (57, 1, 56)
    assert sections(response)["credits"]["position"] == credits_now
    text = words(response, "credits")
    for figure in ("Balance 57 credits", "Held 1 credit ", "Can be spent 56 credits", "6 credits expire in 3 days"):
        assert figure in text


def test_lots_come_in_the_order_in_which_they_are_spent(alice: User, penora: App, staff: Browser) -> None:
    later, sooner = (timezone.now() + timedelta(days=days, hours=1) for days in (9, 2))
    credits.grant(user=alice, amount=8, source=GIFT, description="Later", expires_at=later)
    credits.grant(user=alice, amount=1_005, source=GIFT, description="Sooner", expires_at=sooner)
    credits.deduct(user=alice, app=penora, amount=3, description="A page")
    services.reserve(user=alice, app=penora, amount=2, description="Held")

    text = words(page(staff, alice), "lots")

    assert text.index("in 2 days Promotion 1,002 of 1,005 2") < text.index("in 9 days Promotion 8 of 8 0")
    assert "50 credits never expire." in text


def test_storage_is_shown_by_app_to_the_byte(alice: User, penora: App, imagegene: App, staff: Browser) -> None:
    saved(alice, penora, size=6_000)
    saved(alice, imagegene, size=2_000)
    saved(alice, imagegene, size=3_000)
    services.reserve(user=alice, app=penora, amount=1, description="Held", storage_bytes=10_000)

    response = page(staff, alice)

    room = storage_of(alice)
    text = words(response, "storage")
    assert (room.used_bytes, room.reserved_bytes) == (11_000, 10_000)
    for line in (
        "Penora 1 5.9\u00a0KB 6,000",
        "ImageGene 2 4.9\u00a0KB 5,000",
        "All 3 11\u00a0KB 11,000",
        "Reserved 9.8\u00a0KB 10,000",
        "Limit 1\u00a0MB 1,048,576",
    ):
        assert " ".join(line.split()) in text
    assert "11,000 bytes" in response.content.decode()
    bar = sections(response)["storage"]["bar"]
    assert [piece["length"] for piece in bar] == [0.57, 0.48]
    assert bar[1]["start"] == 0.57


def test_the_latest_transactions_have_a_running_balance_and_lead_on(alice: User, penora: App, staff: Browser) -> None:
    for number in range(20):
        credits.deduct(user=alice, app=penora, amount=1, description=f"Page {number}")
    entry, _ = credits.deduct(user=alice, app=penora, amount=4, description="A long one")
    credits.refund(entry=entry, amount=3, reason="Mostly empty")
    gone, _ = credits.deduct(user=alice, app=penora, amount=1, description="A mistake")
    credits.refund(entry=gone, reason="A mistake")

    response = page(staff, alice)

    rows = sections(response)["transactions"]["rows"]
    expected = history(user=alice, limit=15).entries
    assert [row.pk for row in rows] == [entry.pk for entry in expected]
    for newer, older in pairwise(rows):
        assert newer.balance_after == older.balance_after + newer.amount
    html, text = response.content.decode(), words(response, "transactions")
    for row in rows:
        assert reverse("admin:credits_ledgerentry_change", args=[row.pk]) in html
        left = row.type == "deduction" and row.pk != gone.pk
        assert (reverse("admin:refund", args=[row.pk]) in html) == left
    assert "−4 26 Deduction A long one Penora Refund the rest 3 refunded" in text
    assert "+3 29 Refund Mostly empty" in text
    assert "More" in text


def test_an_entry_says_the_price_that_it_was_charged_at_and_who_entered_it(demo: User, staff: Browser) -> None:
    member = User.objects.get(user_id="root")
    credits.adjust(user=demo, amount=-3, reason="Paid twice", actor=member, idempotency_key="k")

    text = words(page(staff, demo), "transactions")

    assert "−3 40 Adjustment Paid twice Root (root)" in text
    assert "1 × image at 2 credits" in text
    assert "1 × page at 1 credit " in text


def test_projects_show_their_pictures_to_who_may_open_them(demo: User, bob: User, staff: Browser) -> None:
    response = page(staff, demo)

    kept = sections(response)["projects"]["rows"]
    assert len(kept) == 8
    html = response.content.decode()
    pictures = [address for address in re.findall(r'<img src="([^"]+)"', html) if "/thumbnail?" in address]
    assert len(pictures) == 4
    assert Browser().get(unescape(pictures[0]).removeprefix("http://testserver")).status_code == 200
    for project in kept:
        assert project.code in html
        assert f'title="{project.size_bytes:,} bytes"' in html
        assert reverse("admin:inspect", args=[project.pk]) in html
        assert reverse("admin:workspace_project_change", args=[project.pk]) in html

    without = page(helper(bob, "view_user", "view_project"), demo)
    assert len(sections(without)["projects"]["rows"]) == 8
    assert "/thumbnail" not in without.content.decode()
    assert reverse("admin:inspect", args=[kept[0].pk]) not in without.content.decode()
    assert words(without, "projects").count("Picture") == 4


def test_the_trash_says_what_can_be_restored_until_when(alice: User, penora: App, staff: Browser) -> None:
    for title in ("First", "Second"):
        workspace.delete_project(user=alice, code=saved(alice, penora, title).code)
    saved(alice, penora, "Kept")

    response = page(staff, alice)

    assert sections(response)["trash"]["rows"] == trash_of(alice)
    text = words(response, "trash")
    assert text.index("Second") < text.index("First")
    assert "Kept" not in text
    assert "in 7 days" in text


def test_live_holds_say_what_for_and_how_much_room(alice: User, penora: App, staff: Browser) -> None:
    live, _ = services.reserve(user=alice, app=penora, amount=3, description="A poster", storage_bytes=2_048)
    done, _ = services.reserve(user=alice, app=penora, amount=1, description="Given up")
    services.release(hold=done)

    response = page(staff, alice)

    assert [hold.pk for hold in sections(response)["holds"]["rows"]] == [live.pk]
    assert "A poster Penora 3 and 2 KB" in words(response, "holds")
    let_pass(timedelta(days=2))
    assert "Nothing is set aside." in words(page(staff, alice), "holds")


def test_storage_warnings_are_shown(alice: User, penora: App, staff: Browser) -> None:
    saved(alice, penora, size=900)
    workspace.change_limit(user=alice, limit_bytes=1_000)

    assert "80 % just now 900 bytes of 1,000 bytes" in words(page(staff, alice), "warnings")


def test_sign_ins_say_how_and_from_where(alice: User, staff: Browser) -> None:
    audit.origin.set(audit.Origin("192.0.2.7", "a-request"))
    try:
        accounts.note_sign_in(user=alice, method="google")
        accounts.note_refused_sign_in(user=alice, reason="locked-out")
    finally:
        audit.origin.set(audit.Origin())
    assert "Has not signed in through an identity provider." in words(page(staff, alice), "sign-ins")
    UserSocialAuth.objects.create(user=alice, provider="google", uid="alice")

    response = page(staff, alice)

    text = words(response, "sign-ins")
    assert "Signs in through Google, since just now" in text
    assert "sign-in refused locked-out – 192.0.2.7" in text
    assert "signed in google – 192.0.2.7" in text
    assert "locked-out" not in words(response, "staff-actions")


def test_open_tokens_are_shown_by_app_without_the_tokens(alice: User, oidc_client: Client, staff: Browser) -> None:
    token, renewal, now = get_access_token_model(), get_refresh_token_model(), timezone.now()
    for name, minutes in (("secret-open", 10), ("secret-over", -1)):
        expires = now + timedelta(minutes=minutes, seconds=5)
        made = token.objects.create(
            user=alice, application=oidc_client, token=name, expires=expires, scope=f"openid {name[7:]}"
        )
        revoked = None if minutes > 0 else now
        renewal.objects.create(
            user=alice, application=oidc_client, token=f"secret-r{minutes}", access_token=made, revoked=revoked
        )

    response = page(staff, alice)

    text = words(response, "tokens")
    assert "Penora openid open in 10 minutes" in text
    assert text.count("renew its access") == 1
    assert "openid over" not in text
    assert "secret-" not in response.content.decode()


def test_what_staff_did_says_who_what_why_and_what_it_was_before(alice: User, superuser: User, staff: Browser) -> None:
    with audit.because("Asked for on the telephone"):
        audit.record(
            Event.LIMIT_CHANGED,
            actor=superuser,
            subject=alice,
            before={"limit_bytes": 1_048_576},
            after={"limit_bytes": 2_097_152},
        )
        accounts.set_active(user=alice, is_active=False, actor=superuser)

    text = words(page(staff, alice), "staff-actions")

    assert (
        "given another limit Root (root) Asked for on the telephone "
        "limit: 1 MB (1,048,576 bytes) → 2 MB (2,097,152 bytes)" in text
    )
    assert "rights changed Root (root) Asked for on the telephone active: yes → no" in text
    assert "signed out everywhere Root (root)" in text


def test_what_an_entry_of_the_audit_says_in_words() -> None:
    assert changes_of({}) == []
    assert changes_of({"before": None, "after": None}) == []

    def told(before: Any, after: Any) -> list[tuple[str, str, str]]:
        return [(change.name, change.before, change.after) for change in changes_of({"before": before, "after": after})]

    assert told({"a": 1, "b": 2}, {"a": 1, "b": 1_200}) == [("b", "2", "1,200")]
    assert told(None, {"plan": "plus"}) == [("plan", "–", "plus")]
    assert told({"groups": []}, {"groups": ["Support", "Finance"]}) == [("groups", "–", "Support, Finance")]
    assert told("text", ["other"]) == [("", "text", "other")]
    assert told({"a": {"is_staff": True}}, {"a": None}) == [("a", "staff: yes", "–")]
    assert len(told({"a": "x" * 5_000}, {})[0][1]) < 250


# --- Where it leads --------------------------------------------------------------------------------------------------


def test_every_link_of_the_page_opens_and_every_list_is_of_this_person(
    alice: User, bob: User, penora: App, oidc_client: Client, superuser: User, staff: Browser
) -> None:
    for user in (alice, bob):
        busy(user, penora, oidc_client, superuser, 2)
    response = page(staff, alice)
    counts = {
        "credits": 1,
        "lots": 2,
        "storage": 1,
        "transactions": 7,
        "holds": 2,
        "projects": 2,
        "trash": 2,
        "warnings": 0,
        "sign-ins": 6,
        "tokens": 2,
        "staff-actions": 6,
    }

    assert {shown.section.name for shown in response.context["sections"]} == set(counts)
    for shown in response.context["sections"]:
        whole = staff.get(shown.address)
        assert whole.status_code == 200, shown.address
        assert whole.context["cl"].result_count == counts[shown.section.name], shown.address
    html = response.content.decode().split('id="content"', 1)[1]
    addresses = {unescape(address) for address in re.findall(r'href="(/[^"]*)"', html)}
    assert len(addresses) > 30
    for address in addresses:
        assert staff.get(address).status_code == 200, address


# --- Who sees what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permission", sorted({section.permission for section in SECTIONS}))
def test_each_section_takes_the_permission_to_see_what_is_in_it(permission: str, alice: User, bob: User) -> None:
    browser = helper(bob, "view_user", permission.partition(".")[2])

    expected = {section.name for section in SECTIONS if section.permission == permission}
    assert set(sections(page(browser, alice))) == expected


def test_who_may_only_view_people_sees_who_it_is_and_nothing_else(demo: User, bob: User) -> None:
    response = page(helper(bob, "view_user"), demo)

    assert sections(response) == {}
    assert [words for _, words in response.context["deeds"]] == ["Profile and rights"]
    assert "Nothing more of this person is for you to see." in words(response)
    for secret in ("43", "Lisbon", "Sign out everywhere"):
        assert secret not in words(response)


@pytest.mark.parametrize(
    ("permission", "names"),
    [
        ("adjust_account", ["adjust"]),
        ("switch_plan", ["change-plan"]),
        ("resize_storage", ["change-limit"]),
        ("clean_up_storage", ["clean-up", "restore"]),
        ("reset_second_factor", ["reset-second-factor"]),
    ],
)
def test_each_deed_is_offered_to_who_may_do_it(permission: str, names: list[str], alice: User, bob: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)

    offered = page(helper(bob, "view_user", permission), alice).context["deeds"]

    addresses = {reverse(f"admin:{name}", args=[alice.pk]) for name in names}
    assert {found for found, _ in offered} == {*addresses, f"/admin/accounts/user/{alice.pk}/change/"}


def test_a_second_factor_is_offered_to_be_reset_where_it_can_be(alice: User, bob: User, superuser: User) -> None:
    """Not one's own, and a superuser's by superusers only."""
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    clerk = helper(bob, "view_user", "reset_second_factor")

    offered = [
        "Reset second factor" in [text for _, text in page(clerk, member).context["deeds"]]
        for member in (alice, bob, superuser)
    ]

    assert offered == [True, False, False]


def test_only_staff_have_a_second_factor_to_reset_and_who_has_left_is_left_alone(alice: User, staff: Browser) -> None:
    names = [text for _, text in page(staff, alice).context["deeds"]]
    assert names == ["Adjust credits", "Change plan", "Change limit", "Clean up", "Restore", "Profile and rights"]

    services.delete_member(user=alice)

    response = page(staff, alice)
    assert [text for _, text in response.context["deeds"]] == ["Profile and rights"]
    assert response.context["sign_out_form"] is None


@pytest.mark.parametrize("role", ["Viewer", "Support", "Finance", "Admin"])
def test_every_role_opens_the_page_and_is_offered_what_it_may(role: str, demo: User, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    bob.groups.add(Group.objects.get(name=role))

    response = page(browser_of(User.objects.get(pk=bob.pk)), demo)

    offered = {text for _, text in response.context["deeds"]}
    assert ("Adjust credits" in offered) == (role != "Viewer")
    assert ("Clean up" in offered) == (role in ("Support", "Admin"))
    assert (response.context["sign_out_form"] is not None) == (role in ("Support", "Admin"))
    assert ("tokens" in sections(response)) == (role in ("Support", "Admin"))
    assert ("/thumbnail?" in response.content.decode()) == (role in ("Support", "Admin"))
    assert ("Refund" in words(response, "transactions")) == (role != "Viewer")


def test_it_is_for_staff_only_and_of_somebody_only(alice: User, bob: User, staff: Browser) -> None:
    address = reverse("admin:person", args=[alice.pk])

    assert Browser().get(address)["Location"].startswith("/admin/login/")
    assert browser_of(alice).get(address)["Location"].startswith("/admin/login/")
    assert helper(bob, "view_account").get(address).status_code == 403
    assert staff.get("/admin/people/987654/").status_code == 404
    assert staff.get(f"/admin/people/{10**30}/").status_code == 404
    assert staff.post(address).status_code == 405


# --- Signing out everywhere ------------------------------------------------------------------------------------------


def test_a_person_is_signed_out_everywhere_with_a_reason(alice: User, superuser: User, staff: Browser) -> None:
    theirs = browser_of(alice)
    assert signed_in_as(theirs) == "alice"

    response = staff.post(reverse("admin:sign-out-person", args=[alice.pk]), WHY, follow=True)

    assert notices(response) == ["Alice (alice) is signed out everywhere."]
    assert response.redirect_chain == [(reverse("admin:person", args=[alice.pk]), 302)]
    assert signed_in_as(theirs) is None
    entry = AuditEntry.objects.get(subject=alice)
    assert (entry.event, entry.actor, entry.reason) == ("cut-off", superuser, WHY["reason"])


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_without_a_proper_reason_nobody_is_signed_out(reason: str, alice: User, staff: Browser) -> None:
    theirs = browser_of(alice)

    response = staff.post(reverse("admin:sign-out-person", args=[alice.pk]), {"reason": reason})

    assert response.status_code == 200
    assert response.context["sign_out_form"].errors["reason"]
    assert '<details class="panel sign-out" open>' in response.content.decode()
    assert signed_in_as(theirs) == "alice"
    assert not AuditEntry.objects.exists()


def test_signing_somebody_out_takes_the_permission_to_change_them(alice: User, bob: User, superuser: User) -> None:
    address = reverse("admin:sign-out-person", args=[alice.pk])

    assert helper(bob, "view_user").post(address, WHY).status_code == 403
    changes_people = helper(bob, "view_user", "change_user")
    assert changes_people.post(reverse("admin:sign-out-person", args=[superuser.pk]), WHY).status_code == 403
    assert page(changes_people, superuser).context["sign_out_form"] is None
    assert changes_people.get(address).status_code == 405
    assert not AuditEntry.objects.exists()
    assert changes_people.post(address, WHY).status_code == 302


# --- Whatever there is -----------------------------------------------------------------------------------------------


def test_it_costs_the_same_with_two_hundred_of_everything_and_reads_no_contents(
    penora: App, oidc_client: Client, superuser: User, staff: Browser
) -> None:
    one, many = make_user("one"), make_user("many")
    busy(one, penora, oidc_client, superuser, 1)
    busy(many, penora, oidc_client, superuser, 200)

    def queries(user: User) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            response = page(staff, user)
        assert all(len(content.get("rows", [])) <= 15 for content in sections(response).values())
        assert len(response.content) < 100_000
        return [query["sql"] for query in captured]

    of_one, of_many = queries(one), queries(many)

    assert len(of_many) == len(of_one) <= MOST_QUERIES
    assert not [sql for sql in of_many if '"body"' in sql or '"thumbnail"' in sql or '"token"' in sql]


def test_it_costs_a_member_of_staff_in_a_role_no_more(
    alice: User, bob: User, penora: App, oidc_client: Client, superuser: User
) -> None:
    busy(alice, penora, oidc_client, superuser, 2)
    bob.user_permissions.add(*Permission.objects.all())
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    browser = browser_of(User.objects.get(pk=bob.pk))

    with CaptureQueriesContext(connection) as captured:
        page(browser, alice)

    assert len(captured) <= MOST_QUERIES


def test_a_new_person_has_nothing_and_every_section_says_so(staff: Browser, superuser: User) -> None:
    new = make_user("new", initial_credits=0)

    for nobody in (new, superuser):  # of whom the one has no account
        response = page(staff, nobody)
        assert "Balance 0 credits" in words(response, "credits")
        assert "Nothing was ever entered" in words(response, "transactions")
        for section, empty in (
            ("lots", "Nothing that this person has expires. 0 credits never expire."),
            ("holds", "Nothing is set aside."),
            ("projects", "This person keeps no projects."),
            ("trash", "The trash is empty."),
            ("warnings", "The room was never nearly full."),
            ("sign-ins", "This person has not signed in here."),
            ("tokens", "No app can do anything in this person's name."),
            ("staff-actions", "Nobody of the staff has done anything here."),
        ):
            assert empty in words(response, section)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_and_apps_have_written_is_shown_as_it_is_and_harmless(
    text: str, penora: App, superuser: User, staff: Browser
) -> None:
    user, _ = services.create_member(user_id=text, username=text, email="a@example.com", initial_credits=50)
    saved(user, penora, text[:200])
    workspace.delete_project(user=user, code=saved(user, penora, text[:200]).code)
    credits.deduct(user=user, app=penora, amount=1, description=text, project_code=text[:60])
    services.reserve(user=user, app=penora, amount=1, description=text)
    with audit.because(text):
        audit.record(Event.CHANGED, actor=superuser, subject=user, before={text: text}, after={text: [text]}, what=text)

    response = page(staff, user)
    lists = staff.get("/admin/accounts/user/")

    html = response.content.decode()
    assert "<script>alert" not in html + lists.content.decode()
    shown = words(response)
    assert shown.count(" ".join(text.split())) >= 8
    assert html.count("<bdi>") >= 10
    assert not re.search(r"\sstyle=|<style|<script(?! src=)|\son\w+=", html)


def test_who_has_left_is_shown_with_what_stays(alice: User, penora: App, staff: Browser) -> None:
    credits.deduct(user=alice, app=penora, amount=2, description="A page")
    saved(alice, penora, "A secret title")
    services.delete_member(user=alice)

    response = page(staff, alice)

    text = words(response)
    assert "Deleted user left" in text
    assert "This person has left" in text
    assert "−2 48 Deduction A page" in text
    for gone in ("A secret title", "alice@example.com", "locked out"):
        assert gone not in text


def test_times_are_told_as_people_do_and_exactly_on_hover(alice: User, staff: Browser) -> None:
    let_pass(timedelta(minutes=3, seconds=5))
    entry = LedgerEntry.objects.get(account=alice.pk)

    html = page(staff, alice).content.decode().replace("\u00a0", " ")

    assert ">3 minutes ago</time>" in html
    assert f'<time datetime="{entry.created_at.isoformat()}" title="{entry.created_at.day} ' in html
    assert f'{entry.created_at:%B %Y, %H:%M:%S} UTC">3 minutes ago' in html
    let_pass(timedelta(days=100))
    joined = User.objects.get(pk=alice.pk).date_joined
    assert f"Joined {joined.day} {joined:%B %Y}" in words(page(staff, alice))
