"""
Staff's own forms under fire: sent twice at once, while people spend, by several at once for the same people, and as
somebody leaves. Whatever happens, the books are right, and each deed has one row in the audit.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client as Browser

from accounts.models import App, AuditEntry, User
from accounts.services import UserHasLeft
from credits import services as credits
from credits.models import Account, AdjustmentLimit, LedgerEntry
from tests.admin.test_adjusting import WHY, Deed, adjusting, adjusting_many
from tests.admin.test_refunding import refunding
from tests.concurrency.books import assert_everything_is_proved, deadlocks
from tests.concurrency.crowd import THE_ACCOUNT, one_after_the_other, together
from tests.concurrency.test_refunds import make_staff
from tests.conftest import make_user
from unified import services


@pytest.fixture
def boss(committed_db: None) -> User:
    return User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)


def browser_of(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def sent_at_once(deed: Deed, times: int) -> list[Any]:
    """The answers to one form that was looked at and is confirmed this often, from as many windows of one browser."""
    form = {**deed.fields, "step": "confirm"}
    browsers = [Browser() for _ in range(times)]
    for browser in browsers:
        browser.cookies = deed.browser.cookies
        browser.get("/healthz")  # a client's first call loads the middleware
    return together(times, lambda index: browsers[index].post(deed.path, form))


def balances() -> Counter[str]:
    return Counter(dict(Account.objects.values_list("user__user_id", "balance")))


def test_a_form_that_is_sent_eight_times_at_once_is_one_adjustment(boss: User, alice: User) -> None:
    """Seen to fail: with the key looked for before anything was locked, others were told to look again."""
    deed = adjusting(browser_of(boss), alice)
    deed.look("20")

    answers = sent_at_once(deed, 8)

    assert [answer.status_code for answer in answers] == [302] * 8
    assert LedgerEntry.objects.filter(type="adjustment").count() == 1
    assert AuditEntry.objects.filter(event="credits-adjusted").count() == 1
    assert Account.objects.get(user=alice).balance == 70
    assert_everything_is_proved()


def test_a_form_for_many_that_is_sent_eight_times_at_once_is_one_adjustment_of_each(boss: User, alice: User) -> None:
    people = [alice, *(make_user(f"user-{number}") for number in range(4))]
    deed = adjusting_many(browser_of(boss), *people)
    deed.look("20")

    answers = sent_at_once(deed, 8)

    assert [answer.status_code for answer in answers] == [302] * 8
    assert LedgerEntry.objects.filter(type="adjustment").count() == 5
    assert AuditEntry.objects.filter(event="credits-adjusted").count() == 5
    assert set(Account.objects.filter(user__in=people).values_list("balance", flat=True)) == {70}
    assert_everything_is_proved()


@pytest.mark.parametrize("amount", ["3", "20"])
def test_a_refund_that_is_sent_eight_times_at_once_is_one(boss: User, alice: User, penora: App, amount: str) -> None:
    """Seen to fail: without the idempotency key, the others were told to look again."""
    charge = credits.deduct(user=alice, app=penora, amount=20, description="Pages")[0]
    deed = refunding(browser_of(boss), charge)
    deed.look(amount)

    answers = sent_at_once(deed, 8)

    assert [answer.status_code for answer in answers] == [302] * 8
    assert list(LedgerEntry.objects.filter(type="refund").values_list("amount", flat=True)) == [int(amount)]
    assert AuditEntry.objects.filter(event="credits-refunded").count() == 1
    assert_everything_is_proved()


def test_forms_that_take_while_the_person_spends(boss: User, alice: User, penora: App) -> None:
    """
    Every form has seen the same balance. Whoever comes after a change is told to look again, and nothing is done twice,
    halfway, or to a balance that was not looked at.
    """
    for _ in range(3):
        start = Account.objects.get(user=alice).balance
        deeds = []
        for number in range(8):
            staff = boss if number % 2 else User.objects.filter(user_id="other").first() or _other_boss()
            deed = adjusting(browser_of(staff), alice)
            deed.look("-1")
            deeds.append(deed)

        def act(index: int, deeds: list[Deed] = deeds) -> Any:
            if index % 2:
                return credits.deduct(user=alice, app=penora, amount=1, description="a page")[0]
            return deeds[index // 2].confirm()

        outcomes = together(16, act)

        done = [outcome for outcome in outcomes[::2] if outcome.status_code == 302]
        again = [outcome for outcome in outcomes[::2] if outcome.status_code == 200]
        assert len(done) + len(again) == 8
        assert len(done) <= 1
        assert all("the balance has changed meanwhile" in outcome.content.decode() for outcome in again)
        assert all(isinstance(outcome, LedgerEntry) for outcome in outcomes[1::2])
        assert Account.objects.get(user=alice).balance == start - 8 - len(done)
    taken = LedgerEntry.objects.filter(type="adjustment").count()
    assert AuditEntry.objects.filter(event="credits-adjusted").count() == taken
    assert_everything_is_proved()


def test_of_two_forms_that_have_seen_the_same_balance_the_second_is_told_to_look_again(boss: User, alice: User) -> None:
    """Seen to fail: with the balance compared before the account was locked, both were done."""
    deeds = [adjusting(browser_of(staff), alice) for staff in (boss, _other_boss())]
    for deed in deeds:
        deed.look("-20")

    first, second = one_after_the_other(THE_ACCOUNT, alice, *(deed.confirm for deed in deeds))

    assert first.status_code == 302
    assert "the balance has changed meanwhile, and is 30 now" in second.content.decode()
    assert Account.objects.get(user=alice).balance == 30
    assert_everything_is_proved()


def _other_boss() -> User:
    return User.objects.create_superuser(user_id="other", username="O", email="other@example.com", password=None)


def test_many_are_adjusted_by_several_at_once_without_waiting_for_each_other_for_ever(
    boss: User, alice: User, penora: App
) -> None:
    """
    Each hands the people over in another order, some adjust those who adjust them, and everybody spends.

    Seen to fail: with the accounts locked in the order in which they were handed over, there were deadlocks.
    """
    bosses = [boss, _other_boss()]
    people = [alice, *bosses, *(make_user(f"user-{number}") for number in range(5))]
    for user in bosses:
        credits.adjust(user=user, amount=50, reason=WHY, actor=user, idempotency_key="start")
    before = deadlocks()

    def act(index: int) -> Any:
        if index % 4 == 3:
            for user in people:
                credits.deduct(user=user, app=penora, amount=1, description="a page")
            return "spent"
        users = people[index:] + people[:index]
        return credits.adjust_many(
            users=users if index % 2 else users[::-1],
            amount=1,
            reason=WHY,
            actor=bosses[index % 2],
            idempotency_key=f"deed-{index}",
        )

    outcomes = together(8, act)

    assert [outcome if outcome == "spent" else len(outcome) for outcome in outcomes] == [8, 8, 8, "spent"] * 2
    assert deadlocks() == before
    assert set(balances().values()) == {50 + 6 - 2}
    assert AuditEntry.objects.filter(event="credits-adjusted").count() == 2 + 6 * 8
    assert_everything_is_proved()


def test_a_day_s_limit_holds_for_forms_for_many_that_are_sent_at_once(alice: User) -> None:
    """
    Two windows, each with three people of its own.

    Seen to fail: without the lock on the actor's row, both were done.
    """
    clerk = make_staff("clerk", per_adjustment=20, per_day=70)
    may_adjust(clerk)
    people = [make_user(f"user-{number}") for number in range(6)]
    deeds = []
    for part in (people[:3], people[3:]):
        deed = adjusting_many(browser_of(clerk), *part)
        deed.look("20")
        deeds.append(deed)

    answers = together(2, lambda index: deeds[index].confirm())

    assert sorted(answer.status_code for answer in answers) == [200, 302]
    refused = next(answer for answer in answers if answer.status_code == 200)
    assert "Your role may move 20 credits at a time, and 10 more" in refused.content.decode()
    assert credits.adjusted_today(clerk) == 60
    assert_everything_is_proved()


def may_adjust(user: User) -> None:
    """What the pages ask for, of one who has a limit of their own."""
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_user", "adjust_account")))
    assert AdjustmentLimit.objects.filter(group__user=user).exists()


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_who_leaves_first_is_not_adjusted_after(boss: User, alice: User, many: bool) -> None:
    """Seen to fail: without looking whether they are still here under the lock, they were."""

    def leave() -> Any:
        return services.delete_member(user=alice)

    def adjust() -> Any:
        terms: dict[str, Any] = {"amount": 5, "reason": WHY, "actor": boss, "idempotency_key": "k"}
        try:
            return credits.adjust_many(users=[alice], **terms) if many else credits.adjust(user=alice, **terms)
        except (UserHasLeft, credits.NotAdjusted) as refusal:
            return refusal

    _, refusal = one_after_the_other(THE_ACCOUNT, alice, leave, adjust)

    assert isinstance(refusal.why if many else refusal, UserHasLeft)
    assert not LedgerEntry.objects.filter(type="adjustment").exists()
    assert_everything_is_proved()
