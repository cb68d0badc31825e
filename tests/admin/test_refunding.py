"""
A transaction refunded by staff, through the real form on its own page: once, never more than it was, within the limits
of the role, and with one row in the audit.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client as Browser
from django.utils import timezone

from accounts.models import App, AuditEntry, User
from credits import services as credits
from credits.models import AdjustmentLimit, LedgerEntry
from tests.admin.test_adjusting import HEADERS, WHY, Deed, balance, member
from tests.clock import let_pass
from tests.credits.books import broken
from tests.sso.conftest import browser_of
from unified import services


@pytest.fixture(autouse=True)
def proved(db: None) -> Any:
    yield
    assert broken() == {}


@pytest.fixture
def charge(alice: User, penora: App) -> LedgerEntry:
    """Twenty of Alice's fifty credits."""
    return credits.deduct(user=alice, app=penora, amount=20, description="Pages", project_code="ABC")[0]


def refunding(browser: Browser, entry: LedgerEntry) -> Deed:
    return Deed(browser, f"/admin/entries/{entry.pk}/refund/")


def refunds() -> list[int]:
    return list(LedgerEntry.objects.filter(type="refund").order_by("seq").values_list("amount", flat=True))


def test_all_that_is_left_is_offered_looked_at_and_given_back(
    staff: Browser, superuser: User, alice: User, charge: LedgerEntry
) -> None:
    credits.refund(entry=charge, reason="by the app", amount=5)
    deed = refunding(staff, charge)
    assert deed.fields["amount"] == "15"
    assert "Refunded already 5 Left to refund 15" in deed.text
    deed.look("15")
    assert "This refund +15 Left to refund after 0 Balance now 35" in deed.text
    assert "Balance after 50" in deed.text
    assert refunds() == [5]

    answer = deed.confirm()

    entry = LedgerEntry.objects.get(type="refund", amount=15)
    assert (entry.related, entry.actor, entry.app, entry.description) == (charge, superuser, None, WHY)
    assert (entry.balance_after, entry.project_code) == (50, "ABC")
    assert answer.headers["Location"] == f"/admin/people/{alice.pk}/"
    (said,) = [str(message) for message in staff.get("/admin/accounts/user/").context["messages"]]
    assert "Refunded 15 credits" in said
    assert "the balance is 50 now" in said
    assert f"/admin/credits/ledgerentry/{entry.pk}/change/" in said
    (row,) = AuditEntry.objects.all()
    assert (row.event, row.actor, row.subject, row.reason) == ("credits-refunded", superuser, alice, WHY)
    assert (row.ip, row.request_id) == ("127.0.0.1", HEADERS["X-Request-ID"])
    assert row.details == {
        "before": {"balance": 35},
        "after": {"balance": 50},
        "amount": 15,
        "entry": str(entry.pk),
        "transaction": str(charge.pk),
    }


@pytest.mark.parametrize("amount", ["3", "20"])
def test_sent_twice_it_is_done_once_and_says_the_same(
    staff: Browser, alice: User, charge: LedgerEntry, amount: str
) -> None:
    deed = refunding(staff, charge)
    deed.look(amount)
    page = deed.answer
    said = set()
    for _ in range(3):
        deed.answer = page
        assert deed.confirm().status_code == 302
        said |= {str(message) for message in staff.get("/admin/accounts/user/").context["messages"]}

    assert refunds() == [int(amount)]
    assert len(said) == 1
    assert AuditEntry.objects.count() == 1


def test_a_form_that_was_sent_with_other_values_says_so(staff: Browser, alice: User, charge: LedgerEntry) -> None:
    deed = refunding(staff, charge)
    deed.look("3")
    page = deed.answer
    deed.confirm()
    deed.answer = page
    deed.confirm(amount="4", seen="17")

    assert "This form was sent before, for something else" in deed.text
    assert deed.fields["amount"] == "4"
    assert refunds() == [3]


def test_what_was_refunded_meanwhile_is_looked_at_again(staff: Browser, alice: User, charge: LedgerEntry) -> None:
    deed = refunding(staff, charge)
    deed.look("3")
    credits.refund(entry=charge, reason="by the app", amount=10)
    deed.confirm()

    assert "meanwhile 10 credits are left to refund" in deed.text
    assert "Left to refund after 7" in deed.text
    assert refunds() == [10]
    deed.confirm()
    assert refunds() == [10, 3]


def test_nothing_is_left_if_all_was_refunded_meanwhile(staff: Browser, alice: User, charge: LedgerEntry) -> None:
    deed = refunding(staff, charge)
    deed.look("3")
    credits.refund(entry=charge, reason="by the app")
    deed.confirm()

    assert "All of this transaction has been refunded already" in deed.text
    assert not deed.is_ready
    assert deed.fields["amount"] == "3"
    assert refunds() == [20]


def test_much_is_typed_again(staff: Browser, alice: User, charge: LedgerEntry, settings: Any) -> None:
    settings.STAFF_CONFIRM_ABOVE = 19
    deed = refunding(staff, charge)
    deed.look("20")
    for again in ("", "19", "-20"):
        deed.confirm(again=again)
        assert "To confirm, type 20 here" in deed.text
    assert refunds() == []
    deed.confirm(again="20")
    assert refunds() == [20]


BAD: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({"amount": ""}, "Say how many credits"),
    "zero": ({"amount": "0"}, "Zero credits would change nothing"),
    "less than nothing": ({"amount": "-5"}, "A number above zero"),
    "a fraction": ({"amount": "2.5"}, "Credits are whole"),
    "an exponent": ({"amount": "1e9"}, "Credits are whole"),
    "enormous": ({"amount": "9" * 5_000}, "At the most 1,000,000 credits"),
    "more than it was": ({"amount": "21"}, "Only 20 credits of this transaction can be refunded"),
    "no reason": ({"reason": "  "}, "Say why"),
    "a long reason": ({"reason": "x" * 501}, "at most 500 characters"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("step", ["preview", "confirm"])
def test_bad_input_is_told_in_the_form_which_keeps_what_was_typed(
    staff: Browser, alice: User, charge: LedgerEntry, bad: str, step: str
) -> None:
    typed, told = BAD[bad]
    deed = refunding(staff, charge)
    answer = deed.send(step, **{"amount": "5", "reason": WHY, "seen": "20", **typed})

    assert answer.status_code == 200
    assert told in deed.text
    assert not deed.is_ready
    assert refunds() == []
    assert not AuditEntry.objects.exists()
    assert deed.fields["amount"] == typed.get("amount", "5")


@pytest.mark.parametrize("seen", ["", "x", "1,2", "9" * 40])
def test_what_was_not_looked_at_is_not_done(staff: Browser, alice: User, charge: LedgerEntry, seen: str) -> None:
    deed = refunding(staff, charge)
    deed.look("5")
    deed.confirm(seen=seen)

    assert "Nothing was done yet" in deed.text
    assert refunds() == []


def test_what_is_no_deduction_is_not_refunded(staff: Browser, superuser: User, alice: User) -> None:
    given = LedgerEntry.objects.get(account=alice.pk)
    taken = credits.adjust(user=alice, amount=-5, reason="x", actor=superuser, idempotency_key="k")
    form = {"amount": "5", "reason": WHY, "key": str(uuid4()), "seen": "5"}
    for entry in (given, taken):
        deed = refunding(staff, entry)
        assert "Only a deduction can be refunded" in deed.text
        assert "amount" not in deed.fields
        for step in ("preview", "confirm"):
            assert deed.send(step, **form).status_code == 200
            assert "Only a deduction can be refunded" in deed.text
    assert refunds() == []


def test_there_is_no_page_for_what_is_no_transaction(staff: Browser) -> None:
    for pk in (uuid4(), "1", "x"):
        assert staff.get(f"/admin/entries/{pk}/refund/").status_code == 404


def test_who_has_left_is_left_alone(staff: Browser, alice: User, charge: LedgerEntry) -> None:
    deed = refunding(staff, charge)
    deed.look("5")
    services.delete_member(user=alice)
    deed.confirm()

    assert "This person has left" in deed.text
    assert refunds() == []


def test_what_came_from_credits_that_have_expired_is_said_to_last_a_while(
    staff: Browser, alice: User, penora: App
) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    source = LedgerEntry.Source.PROMOTION
    credits.grant(user=alice, amount=5, source=source, description="A gift", expires_at=tomorrow)
    entry = credits.deduct(user=alice, app=penora, amount=5, description="Pages")[0]
    deed = refunding(staff, entry)
    deed.look("5")
    assert "expired since" not in deed.text
    let_pass(timedelta(days=2))
    deed = refunding(staff, entry)
    deed.look("5")
    assert "Some were taken from credits that have expired since: those can be spent for 72 hours" in deed.text
    deed.confirm()

    assert balance(alice) == 55


# --- Who may ---------------------------------------------------------------------------------------------------------

ROLES = {"Viewer": False, "Support": True, "Finance": True, "Admin": True, None: False}


@pytest.mark.parametrize(("role", "may"), ROLES.items())
def test_each_role_may_or_is_refused(role: str | None, may: bool, alice: User, charge: LedgerEntry) -> None:
    browser = browser_of(member(role))
    deed = refunding(browser, charge)
    assert deed.answer.status_code == (200 if may else 403)
    form = {"amount": "5", "reason": WHY, "key": str(uuid4()), "seen": "20"}
    assert deed.send("confirm", **form).status_code == (302 if may else 403)
    assert refunds() == ([5] if may else [])
    page = browser.get(f"/admin/credits/ledgerentry/{charge.pk}/change/")
    assert page.status_code == (403 if role is None else 200)
    assert (f"/admin/entries/{charge.pk}/refund/" in page.content.decode()) == may


def test_the_permission_without_a_limit_is_told_in_the_form(alice: User, charge: LedgerEntry) -> None:
    permissions = ("view_user", "view_ledgerentry", "refund_ledgerentry")
    deed = refunding(browser_of(member(None, "clerk", *permissions)), charge)
    assert "None of your roles may move credits" in deed.text
    for step in ("preview", "confirm"):
        form = {"amount": "5", "reason": WHY, "key": str(uuid4()), "seen": "20"}
        assert deed.send(step, **form).status_code == 200
        assert "None of your roles may move credits" in deed.text
    assert refunds() == []


def test_what_is_over_the_role_s_limit_is_refused_with_what_is_left_today(alice: User, charge: LedgerEntry) -> None:
    AdjustmentLimit.objects.filter(group__name="Support").update(per_adjustment=10, per_day=15)
    browser = browser_of(member("Support"))
    deed = refunding(browser, charge)
    deed.look("11")
    assert "Your role may move 10 credits at a time, and 15 more in these 24 hours" in deed.text
    deed.look("10")
    deed.confirm()
    deed = refunding(browser, charge)
    deed.look("6")
    assert "and 5 more in these 24 hours" in deed.text
    assert refunds() == [10]


@pytest.mark.parametrize("role", ["Support", "Finance", "Admin"])
def test_nobody_refunds_themselves(role: str, superuser: User, penora: App) -> None:
    clerk = member(role)
    credits.adjust(user=clerk, amount=20, reason="x", actor=superuser, idempotency_key="k")
    entry = credits.deduct(user=clerk, app=penora, amount=20, description="Pages")[0]
    deed = refunding(browser_of(clerk), entry)
    assert "This is your own account" in deed.text
    for step in ("preview", "confirm"):
        deed.send(step, amount="5", reason=WHY, key=str(uuid4()), seen="20")
        assert "This is your own account" in deed.text
    assert refunds() == []


# --- The transaction's page ------------------------------------------------------------------------------------------


def test_the_page_of_a_transaction_says_what_was_refunded_and_leads_to_what_belongs_to_it(
    staff: Browser, alice: User, charge: LedgerEntry
) -> None:
    def page(entry: LedgerEntry) -> Any:
        return staff.get(f"/admin/credits/ledgerentry/{entry.pk}/change/").content.decode()

    first = page(charge)
    assert "0 of 20 credits" in first
    assert ">Refund</a>" in first
    assert f"/admin/people/{alice.pk}/" in first
    back = credits.refund(entry=charge, reason="by the app", amount=5)[0]
    part = page(charge)
    assert "5 of 20 credits" in part
    assert ">Refund the rest</a>" in part
    assert f"/admin/credits/ledgerentry/{back.pk}/change/" in part
    assert f"/admin/credits/ledgerentry/{charge.pk}/change/" in page(back)
    assert "/refund/" not in page(back)
    credits.refund(entry=charge, reason="by the app")
    assert "all of it" in page(charge)
    assert "/refund/" not in page(charge)


def test_an_entry_that_is_not_there_is_told(staff: Browser) -> None:
    for pk in (uuid4(), "x"):
        assert staff.get(f"/admin/credits/ledgerentry/{pk}/change/").status_code == 302
