"""
Credits added and taken by staff, through the real form: opened, looked at, confirmed. Once, within the limits of the
role, with one row in the audit, and with every bad input told in the form.
"""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import App, AuditEntry, User
from credits import services as credits
from credits.models import Account, AdjustmentLimit, Grant, LedgerEntry
from tests.conftest import make_user
from tests.credits.books import broken
from tests.sso.conftest import browser_of
from unified import services

WHY = "Agreed on the telephone"
HEADERS = {"X-Request-ID": "request-of-a-test"}


class Deed:
    """A form as a person sees it: what it has is read off the page, typed over, and sent on."""

    def __init__(self, browser: Browser, path: str) -> None:
        self.browser = browser
        self.path = path
        self.answer: Any = browser.get(path)

    @property
    def text(self) -> str:
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.answer.content.decode())))

    @property
    def fields(self) -> dict[str, str]:
        """What a browser would send of the page's last form, as it stands."""
        html = self.answer.content.decode().replace("\r\n", "\n").split('id="content"')[-1]
        found = {}
        for tag in re.findall(r"<input[^>]*>", html):
            kept = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
            if "name" in kept:
                found[kept["name"]] = unescape(kept.get("value", ""))
        for name, typed in re.findall(r'<textarea name="([a-z_]+)"[^>]*>\n?(.*?)</textarea>', html, re.DOTALL):
            found[name] = unescape(typed)
        return found

    def send(self, step: str, **typed: str) -> Any:
        form = {name: value.replace("\n", "\r\n") for name, value in {**self.fields, **typed, "step": step}.items()}
        self.answer = self.browser.post(self.path, form, headers=HEADERS)
        return self.answer

    def look(self, amount: str, **typed: str) -> Any:
        return self.send("preview", amount=amount, **{"reason": WHY, **typed})

    def confirm(self, **typed: str) -> Any:
        return self.send("confirm", **typed)

    @property
    def is_ready(self) -> bool:
        return 'value="confirm"' in self.answer.content.decode()


def adjusting(browser: Browser, user: User) -> Deed:
    return Deed(browser, f"/admin/people/{user.pk}/adjust/")


def adjusting_many(browser: Browser, *users: User) -> Deed:
    return Deed(browser, f"/admin/people/adjust/?people={','.join(str(user.pk) for user in users)}")


def member(role: str | None, name: str = "clerk", *permissions: str) -> User:
    """A member of staff in this role."""
    user = make_user(name, initial_credits=0)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    if role is not None:
        user.groups.set([Group.objects.get(name=role)])
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return User.objects.get(pk=user.pk)


def adjustments() -> list[tuple[str, int]]:
    found = LedgerEntry.objects.filter(type="adjustment").order_by("account__user__user_id", "seq")
    return list(found.values_list("account__user__user_id", "amount"))


def balance(user: User) -> int:
    return Account.objects.get(user=user).balance


@pytest.fixture(autouse=True)
def proved(db: None) -> Any:
    yield
    assert broken() == {}


# --- One person ------------------------------------------------------------------------------------------------------


def test_it_is_looked_at_first_and_then_done(staff: Browser, superuser: User, alice: User) -> None:
    deed = adjusting(staff, alice)
    deed.look("+20")
    assert deed.answer.status_code == 200
    assert "Balance now 50" in deed.text
    assert "Change +20 Balance after 70 Expires never" in deed.text
    assert adjustments() == []

    answer = deed.confirm()

    entry = LedgerEntry.objects.get(type="adjustment")
    assert (entry.amount, entry.balance_after, entry.actor, entry.description) == (20, 70, superuser, WHY)
    assert answer.headers["Location"] == f"/admin/people/{alice.pk}/"
    (said,) = [str(message) for message in staff.get("/admin/accounts/user/").context["messages"]]
    assert "Added 20 credits to" in said
    assert "the balance is 70 now" in said
    assert f"/admin/credits/ledgerentry/{entry.pk}/change/" in said


@pytest.mark.parametrize(("typed", "amount"), [("20", 20), ("-20", -20), ("−20", -20), (" +1,000 ", 1_000), ("007", 7)])
def test_one_row_of_the_audit_says_who_what_was_and_is_why_and_where_from(
    staff: Browser, superuser: User, alice: User, typed: str, amount: int
) -> None:
    deed = adjusting(staff, alice)
    deed.look(typed)
    deed.confirm()

    row = AuditEntry.objects.get()
    entry = LedgerEntry.objects.get(type="adjustment")
    assert (row.event, row.actor, row.subject, row.reason) == ("credits-adjusted", superuser, alice, WHY)
    assert (row.ip, row.request_id) == ("127.0.0.1", "request-of-a-test")
    assert row.details == {
        "before": {"balance": 50},
        "after": {"balance": 50 + amount},
        "amount": amount,
        "entry": str(entry.pk),
    }


def test_what_is_added_may_expire_at_a_time_in_utc(staff: Browser, alice: User) -> None:
    deed = adjusting(staff, alice)
    deed.look("20", expires_on="2099-12-31", expires_time="23:59")
    assert "Expires 31 December 2099, 23:59 UTC" in deed.text
    deed.confirm()

    assert f"{Grant.objects.get().expires_at:%Y-%m-%d %H:%M %Z}" == "2099-12-31 23:59 UTC"
    assert AuditEntry.objects.get().details["expires_at"] == "2099-12-31T23:59:00.000000Z"


def test_a_reason_of_several_lines_comes_through_as_it_was_typed(staff: Browser, alice: User) -> None:
    deed = adjusting(staff, alice)
    reason = "a\n" * 248 + "<b>!"  # 500 characters, and as browsers send them 748
    deed.look("20", reason=reason)
    assert deed.is_ready, deed.text
    deed.confirm()

    assert LedgerEntry.objects.get(type="adjustment").description == reason


def test_sent_twice_it_is_done_once_and_says_the_same(staff: Browser, alice: User) -> None:
    deed = adjusting(staff, alice)
    deed.look("20")
    page = deed.answer
    said = []
    for _ in range(3):
        deed.answer = page
        assert deed.confirm().headers["Location"] == f"/admin/people/{alice.pk}/"
        said += [str(message) for message in staff.get("/admin/accounts/user/").context["messages"]]

    assert adjustments() == [("alice", 20)]
    assert len(said) == 3
    assert len(set(said)) == 1
    assert AuditEntry.objects.count() == 1


def test_a_form_that_was_sent_with_other_values_says_so_and_can_go_on(staff: Browser, alice: User) -> None:
    deed = adjusting(staff, alice)
    deed.look("20")
    first = deed.answer
    deed.confirm()
    deed.answer = first
    deed.send("edit")
    deed.look("30")
    deed.confirm(seen="70")

    assert "This form was sent before, for something else" in deed.text
    assert deed.fields["amount"] == "30"
    assert adjustments() == [("alice", 20)]

    deed.look("30")
    deed.confirm()
    assert adjustments() == [("alice", 20), ("alice", 30)]


@pytest.mark.parametrize("key", ["", "1", "x" * 300])
def test_a_form_without_its_key_is_not_done(staff: Browser, alice: User, key: str) -> None:
    deed = adjusting(staff, alice)
    deed.look("20")
    deed.confirm(key=key)

    assert "This form was not complete" in deed.text
    assert deed.fields["amount"] == "20"
    assert adjustments() == []
    deed.look("20")
    deed.confirm()
    assert adjustments() == [("alice", 20)]


def test_a_balance_that_has_changed_is_looked_at_again(staff: Browser, alice: User, penora: App) -> None:
    deed = adjusting(staff, alice)
    deed.look("-20")
    credits.deduct(user=alice, app=penora, amount=10, description="meanwhile")
    deed.confirm()

    assert "the balance has changed meanwhile, and is 40 now" in deed.text
    assert "Balance now 40" in deed.text
    assert adjustments() == []
    assert not AuditEntry.objects.exists()
    deed.confirm()
    assert adjustments() == [("alice", -20)]


@pytest.mark.parametrize("seen", ["", "x", "50,50", "-50", "9" * 40])
def test_what_was_not_looked_at_is_not_done(staff: Browser, alice: User, seen: str) -> None:
    deed = adjusting(staff, alice)
    deed.look("20")
    deed.confirm(seen=seen)

    assert "Nothing was done yet" in deed.text
    assert adjustments() == []
    deed.confirm()
    assert adjustments() == [("alice", 20)]


@pytest.mark.parametrize("amount", ["1001", "-1001"])
def test_much_is_typed_again(staff: Browser, alice: User, amount: str) -> None:
    credits.adjust(user=alice, amount=5_000, reason="much", actor=User.objects.get(user_id="root"), idempotency_key="k")
    deed = adjusting(staff, alice)
    deed.look(amount)
    for again in ("", "1000", "yes", amount.replace("1001", "1002"), str(-int(amount))):
        deed.confirm(again=again)
        assert "To confirm, type" in deed.text, again
        assert len(adjustments()) == 1
    deed.confirm(again=amount)

    assert adjustments() == [("alice", 5_000), ("alice", int(amount))]


@pytest.mark.parametrize(("above", "amount"), [(1_000, "1000"), (20, "20"), (20, "-20")])
def test_up_to_the_setting_once_is_enough(staff: Browser, alice: User, settings: Any, above: int, amount: str) -> None:
    settings.STAFF_CONFIRM_ABOVE = above
    deed = adjusting(staff, alice)
    deed.look(amount)
    assert "again" not in deed.fields
    deed.confirm()

    assert adjustments() == [("alice", int(amount))]


TOO_LONG = "x" * 501
YESTERDAY = f"{timezone.now() - timedelta(days=1):%Y-%m-%d}"
BAD: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({"amount": ""}, "Say how many credits"),
    "zero": ({"amount": "0"}, "Zero credits would change nothing"),
    "minus zero": ({"amount": "-0"}, "Zero credits would change nothing"),
    "a fraction": ({"amount": "2.5"}, "Credits are whole"),
    "a fraction of nothing": ({"amount": "2.0"}, "Credits are whole"),
    "a comma": ({"amount": "2,5"}, "Credits are whole"),
    "an exponent": ({"amount": "1e9"}, "Credits are whole"),
    "an underscore": ({"amount": "1_000"}, "Credits are whole"),
    "words": ({"amount": "twenty"}, "Credits are whole"),
    "digits of another script": ({"amount": "٢٠"}, "Credits are whole"),
    "two signs": ({"amount": "--5"}, "Credits are whole"),
    "infinite": ({"amount": "inf"}, "Credits are whole"),
    "a thousand million": ({"amount": "1000000000"}, "At the most 1,000,000 credits"),
    "enormous": ({"amount": "9" * 5_000}, "At the most 1,000,000 credits"),
    "enormous and less": ({"amount": "-" + "9" * 5_000}, "At the most 1,000,000 credits"),
    "one too many": ({"amount": "1000001"}, "At the most 1,000,000 credits"),
    "no reason": ({"reason": ""}, "Say why"),
    "a reason of blanks": ({"reason": " \t\n\u00a0"}, "Say why"),
    "a long reason": ({"reason": TOO_LONG}, "at most 500 characters"),
    "too little to take": ({"amount": "-51"}, "Only 50 credits can be spent, and 51 would be taken"),
    "an expiry that is over": ({"expires_on": YESTERDAY, "expires_time": "12:00"}, "That time is over"),
    "an expiry of what is taken": (
        {"amount": "-5", "expires_on": "2099-01-01", "expires_time": "12:00"},
        "Only credits that are added can expire",
    ),
    "half an expiry": ({"expires_on": "2099-01-01"}, "Say at what time, too"),
    "the other half": ({"expires_time": "12:00"}, "Say on which day, too"),
    "no day": ({"expires_on": "2099-02-30", "expires_time": "12:00"}, "Write the day as year-month-day"),
    "a far day": ({"expires_on": "99999-01-01", "expires_time": "12:00"}, "Write the day as year-month-day"),
    "no time": ({"expires_on": "2099-02-01", "expires_time": "25:00"}, "Write the time as hours:minutes"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("step", ["preview", "confirm"])
def test_bad_input_is_told_in_the_form_which_keeps_what_was_typed(
    staff: Browser, alice: User, bad: str, step: str
) -> None:
    typed, told = BAD[bad]
    deed = adjusting(staff, alice)
    if step == "confirm":  # as somebody sends it who leaves the preview out
        typed = {**typed, "seen": "50"}
    answer = deed.send(step, **{"amount": "20", "reason": WHY, **typed})

    assert answer.status_code == 200
    assert told in deed.text
    assert adjustments() == []
    assert not AuditEntry.objects.exists()
    assert not deed.is_ready
    fields = deed.fields
    for name in ("amount", "expires_on", "expires_time"):
        if name in typed:
            assert fields[name] == typed[name]
    assert fields["reason"].strip() == typed.get("reason", WHY).strip()


@pytest.mark.parametrize("field", ["amount", "reason", "key", "expires_on", "seen"])
def test_what_no_browser_sends_is_refused_before_it_comes_to_the_form(staff: Browser, alice: User, field: str) -> None:
    deed = adjusting(staff, alice)
    deed.look("20")

    assert deed.confirm(**{field: "2\0"}).status_code == 400
    assert adjustments() == []


def test_who_has_left_meanwhile_is_left_alone(staff: Browser, alice: User) -> None:
    deed = adjusting(staff, alice)
    deed.look("20")
    services.delete_member(user=alice)
    deed.confirm()

    assert "This person has left meanwhile" in deed.text
    assert deed.fields["amount"] == "20"
    assert adjustments() == []
    assert "This person has left" in adjusting(staff, alice).text
    assert "amount" not in adjusting(staff, alice).fields


def test_who_is_nobody_is_not_found(staff: Browser) -> None:
    for pk in ("999999999", "9" * 30):
        assert staff.get(f"/admin/people/{pk}/adjust/").status_code == 404


def test_who_has_no_account_yet_is_given_one(staff: Browser, alice: User) -> None:
    carol = User.objects.create(user_id="carol", username="Carol", email="c@example.com", plan=alice.plan)
    deed = adjusting(staff, carol)
    deed.look("5")
    assert "Balance now 0" in deed.text
    deed.confirm()

    assert balance(carol) == 5


# --- Who may ---------------------------------------------------------------------------------------------------------

ROLES = {"Viewer": False, "Support": True, "Finance": True, "Admin": True, None: False}


@pytest.mark.parametrize(("role", "may"), ROLES.items())
def test_each_role_may_or_is_refused(role: str | None, may: bool, alice: User, bob: User) -> None:
    browser = browser_of(member(role))
    for path in (f"/admin/people/{alice.pk}/adjust/", f"/admin/people/adjust/?people={alice.pk},{bob.pk}"):
        deed = Deed(browser, path)
        assert deed.answer.status_code == (200 if may else 403)
        if not may:
            form = {"amount": "5", "reason": WHY, "key": "5b1c8c5e-3c0f-4c62-a4ce-7a8a1f5f9f53", "seen": "50"}
            assert browser.post(path, {**form, "step": "confirm"}).status_code == 403
            continue
        deed.look("5")
        assert deed.confirm().status_code == 302

    assert adjustments() == ([("alice", 5), ("alice", 5), ("bob", 5)] if may else [])
    assert AuditEntry.objects.filter(event="credits-adjusted").count() == (3 if may else 0)


def test_who_is_not_signed_in_or_no_staff_gets_nowhere(alice: User, bob: User) -> None:
    path = f"/admin/people/{alice.pk}/adjust/"
    for browser in (Browser(), browser_of(bob)):
        for answer in (browser.get(path), browser.post(path, {"amount": "5", "step": "confirm"})):
            assert (answer.status_code, answer.headers["Location"][:13]) == (302, "/admin/login/")


def test_another_site_s_form_is_refused(superuser: User, alice: User) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(superuser)
    assert browser.post(f"/admin/people/{alice.pk}/adjust/", {"amount": "5"}).status_code == 403


def test_the_permission_without_a_limit_is_told_in_the_form(alice: User) -> None:
    browser = browser_of(member(None, "clerk", "view_user", "adjust_account"))
    deed = adjusting(browser, alice)
    assert "None of your roles may move credits" in deed.text
    form = {"amount": "5", "reason": WHY, "key": "5b1c8c5e-3c0f-4c62-a4ce-7a8a1f5f9f53", "seen": "50"}
    for step in ("preview", "confirm"):
        deed.send(step, **form)
        assert deed.answer.status_code == 200
        assert "None of your roles may move credits" in deed.text
        assert deed.fields["amount"] == "5"
    assert adjustments() == []


def test_what_is_over_the_role_s_limit_is_refused_with_what_is_left_today(alice: User) -> None:
    AdjustmentLimit.objects.filter(group__name="Support").update(per_adjustment=20, per_day=30)
    browser = browser_of(member("Support"))
    deed = adjusting(browser, alice)
    assert "You may move 20 credits at a time, and 30 of 30 more in these 24 hours" in deed.text
    deed.look("21")
    assert "Your role may move 20 credits at a time, and 30 more in these 24 hours" in deed.text
    deed.look("20")
    deed.confirm()

    other = adjusting(browser, alice)
    other.look("-11")
    assert "and 10 more in these 24 hours" in other.text
    other.look("-10")
    assert "and 10 of 30 more" in other.text
    credits.adjust(
        user=alice, amount=1, reason="x", actor=User.objects.get(user_id="clerk"), idempotency_key="in another window"
    )
    other.confirm(seen="71")
    assert "and 9 more in these 24 hours" in other.text
    assert other.fields["amount"] == "-10"
    assert adjustments() == [("alice", 20), ("alice", 1)]


@pytest.mark.parametrize("role", ["Support", "Finance", "Admin"])
def test_nobody_gives_to_themselves(role: str, alice: User) -> None:
    clerk = member(role)
    browser = browser_of(clerk)
    deed = adjusting(browser, clerk)
    assert "This is your own account: somebody else has to do it" in deed.text
    assert "amount" not in deed.fields
    form = {"amount": "5", "reason": WHY, "key": "5b1c8c5e-3c0f-4c62-a4ce-7a8a1f5f9f53", "seen": "0"}
    for step in ("preview", "confirm"):
        deed.send(step, **form)
        assert "This is your own account" in deed.text
    many = adjusting_many(browser, alice, clerk)
    many.look("5")
    assert "This is your own account" in many.text
    many.send("confirm", seen="50,0")
    assert "This is your own account" in many.text
    assert adjustments() == []


def test_but_a_superuser_may_and_the_audit_says_that_it_is_their_own(staff: Browser, superuser: User) -> None:
    deed = adjusting(staff, superuser)
    deed.look("5")
    deed.confirm()

    row = AuditEntry.objects.get()
    assert (row.actor, row.subject, row.details["own_account"]) == (superuser, superuser, True)


# --- Many people -----------------------------------------------------------------------------------------------------


def test_many_are_looked_at_and_then_all_are_done(staff: Browser, superuser: User, alice: User, bob: User) -> None:
    credits.adjust(user=bob, amount=7, reason="x", actor=superuser, idempotency_key="k")
    earlier = AuditEntry.objects.count()
    deed = adjusting_many(staff, bob, alice)
    assert "Alice alice 50 50" in deed.text
    deed.look("-5")
    assert "Alice alice 50 50 −5 45" in deed.text
    assert "Bob bob 57 57 −5 52" in deed.text
    assert "For all together −10" in deed.text
    page = deed.answer
    for _ in range(2):
        deed.answer = page
        assert deed.confirm().headers["Location"] == "/admin/accounts/user/"
    said = {str(message) for message in staff.get("/admin/accounts/user/").context["messages"]}

    assert adjustments() == [("alice", -5), ("bob", 7), ("bob", -5)]
    (text,) = said
    assert "Took 5 credits from each of 2 people, −10 in all" in text
    rows = AuditEntry.objects.order_by("id")[earlier:]
    told = [
        (row.subject.user_id, row.details["before"], row.details["after"], row.reason) for row in rows if row.subject
    ]
    assert told[0] == ("alice", {"balance": 50}, {"balance": 45}, WHY)
    assert AuditEntry.objects.count() == earlier + 2


def test_if_one_cannot_be_adjusted_nobody_is_and_it_is_said_who_and_why(
    staff: Browser, alice: User, bob: User, penora: App
) -> None:
    deed = adjusting_many(staff, alice, bob)
    deed.look("-50")
    page = deed.answer
    credits.deduct(user=bob, app=penora, amount=1, description="meanwhile")
    deed.confirm(seen="50,49")
    assert "Nobody's credits were changed, because of Bob (bob): Only 49 credits can be spent, and 50" in deed.text
    deed.answer = page
    deed.look("-50")
    assert not deed.is_ready
    assert "because of 1 person" in deed.text
    assert "no Only 49 credits can be spent, and 50 would be taken" in deed.text

    assert adjustments() == []
    assert not AuditEntry.objects.exists()


def test_many_who_have_changed_are_looked_at_again(staff: Browser, alice: User, bob: User, penora: App) -> None:
    deed = adjusting_many(staff, alice, bob)
    deed.look("5")
    credits.deduct(user=bob, app=penora, amount=1, description="meanwhile")
    deed.confirm()

    assert "because of Bob (bob)" in deed.text
    assert "is 49 now" in deed.text
    assert adjustments() == []
    deed.confirm()
    assert adjustments() == [("alice", 5), ("bob", 5)]


def test_one_who_has_left_meanwhile_keeps_all_as_they_are(staff: Browser, alice: User, bob: User) -> None:
    deed = adjusting_many(staff, alice, bob)
    deed.look("5")
    services.delete_member(user=bob)
    deed.confirm()

    assert "has left meanwhile" in deed.text
    assert adjustments() == []


def test_the_day_s_limit_counts_all_of_them_together(alice: User, bob: User) -> None:
    AdjustmentLimit.objects.filter(group__name="Support").update(per_adjustment=20, per_day=30)
    deed = adjusting_many(browser_of(member("Support")), alice, bob)
    deed.look("16")
    assert "Your role may move 20 credits at a time, and 30 more" in deed.text
    deed.look("15")
    deed.confirm()

    assert adjustments() == [("alice", 15), ("bob", 15)]


def test_many_much_is_what_all_of_them_get(staff: Browser, alice: User, bob: User) -> None:
    deed = adjusting_many(staff, alice, bob)
    deed.look("501")
    deed.confirm(again="501")
    assert "type 1,002 here" in deed.text
    deed.confirm(again="1,002")

    assert adjustments() == [("alice", 501), ("bob", 501)]


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ("", "Whom?"),
        ("x", "Whom?"),
        ("1,,2", "Whom?"),
        ("-1", "Whom?"),
        ("9" * 40, "Whom?"),
        ("999999999999", "There is nobody with row id 999999999999"),
        (",".join(str(number) for number in range(1, 102)), "101 are too many people"),
    ],
)
def test_people_who_cannot_be_are_told(staff: Browser, people: str, told: str) -> None:
    for answer in (
        staff.get("/admin/people/adjust/", {"people": people}),
        staff.post("/admin/people/adjust/", {"amount": "5"}, query_params={"people": people}),
    ):
        assert answer.status_code == 400
        assert told in answer.content.decode()


def test_a_form_of_two_is_not_sent_again_for_one_of_them_or_a_third(staff: Browser, alice: User, bob: User) -> None:
    carol = make_user("carol")
    deed = adjusting_many(staff, alice, bob)
    deed.look("5")
    page = deed.answer
    deed.confirm()
    for people in ((alice,), (alice, bob, carol)):
        deed.answer = page
        deed.path = f"/admin/people/adjust/?people={','.join(str(user.pk) for user in people)}"
        deed.confirm(seen=",".join("50" for _ in people))
        assert "This form was sent before, for something else" in deed.text

    assert adjustments() == [("alice", 5), ("bob", 5)]


def test_the_list_of_people_leads_here(staff: Browser, alice: User, bob: User) -> None:
    form = {"action": "adjust_credits", "_selected_action": [str(alice.pk), str(bob.pk)], "index": "0"}
    answer = staff.post("/admin/accounts/user/", form)

    assert answer.headers["Location"] == f"/admin/people/adjust/?people={alice.pk},{bob.pk}"


# --- What it looks like ----------------------------------------------------------------------------------------------


def test_every_control_has_a_label_and_nothing_is_inline(staff: Browser, alice: User, bob: User) -> None:
    pages = []
    for deed in (adjusting(staff, alice), adjusting_many(staff, alice, bob)):
        pages.append(deed.answer.content.decode())
        deed.look("0")
        pages.append(deed.answer.content.decode())
        deed.look("5000")
        pages.append(deed.answer.content.decode())
    for html in pages:
        content = html.split('id="content"')[-1]
        controls = re.findall(r"<(?:input|textarea|select)[^>]*>", content)
        for control in controls:
            kept = dict(re.findall(r'([a-z-]+)="([^"]*)"', control))
            assert kept.get("type") == "hidden" or f'for="{kept["id"]}"' in content, control
        assert " style=" not in content
        assert "<script" not in content


def test_many_cost_a_query_each_to_look_at(staff: Browser, django_assert_max_num_queries: Any) -> None:
    people = [make_user(f"p{number}") for number in range(30)]
    adjusting_many(staff, *people)
    with django_assert_max_num_queries(30 + 15):
        deed = adjusting_many(staff, *people)
    assert deed.answer.status_code == 200
