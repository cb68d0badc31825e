"""Staff who change somebody's room while somebody else does, and while the person works: once each, and it adds up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import App, AuditEntry, Plan, User
from credits.models import LedgerEntry
from tests.admin.test_room import WHY, hidden, saved
from tests.concurrency.books import assert_everything_is_proved, deadlocks
from tests.concurrency.crowd import THE_STORAGE, one_after_the_other, together
from tests.concurrency.rooms import Caller, live_codes, storage_of, trashed_codes, witnessed
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from workspace import services as workspace


@pytest.fixture
def staff(committed_db: None) -> list[Browser]:
    """Two members of the support, each in a browser of their own."""
    browsers = []
    for name in ("sue", "sam"):
        user = make_user(name)
        User.objects.filter(pk=user.pk).update(is_staff=True)
        user.groups.set([Group.objects.get(name="Support")])
        browsers.append(browser_of(User.objects.get(pk=user.pk)))
    return browsers


def at(name: str, user: User) -> str:
    return reverse(f"admin:{name}", args=[user.pk])


def of_audit(user: User) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(subject=user)


def ready(browser: Browser, name: str, user: User, **form: Any) -> dict[str, str]:
    """What the confirmation of a preview sends."""
    page = browser.post(at(name, user), {"reason": WHY, "step": "preview", **form})
    return {**hidden(page), "step": "confirm"}


def test_a_form_that_is_sent_twice_at_once_is_done_once(alice: User, staff: list[Browser]) -> None:
    """
    Seen to fail: with the plan read before the person is locked, and no mark compared, there were six rows in the
    audit. Either of the two is enough.
    """
    plus = Plan.objects.get(slug="plus")
    form = ready(staff[0], "change-plan", alice, plan=plus.pk)

    answers = together(6, lambda index: staff[index % 2].post(at("change-plan", alice), form))

    assert Counter(answer.status_code for answer in answers) == {302: 6}
    assert User.objects.get(pk=alice.pk).plan == plus
    assert LedgerEntry.objects.filter(account=alice.pk, source="plan").count() == 1
    assert of_audit(alice).count() == 1
    assert_everything_is_proved()


def test_of_two_who_give_another_limit_the_second_is_shown_the_first(alice: User, staff: list[Browser]) -> None:
    forms = [ready(staff[index], "change-limit", alice, limit=str(5 + index)) for index in range(2)]

    first, second = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: staff[0].post(at("change-limit", alice), forms[0]),
        lambda: staff[1].post(at("change-limit", alice), forms[1]),
    )

    assert (first.status_code, second.status_code) == (302, 200)
    assert b"it has changed meanwhile" in second.content
    assert storage_of(alice).limit_bytes == 5 * 1_048_576
    assert of_audit(alice).get().details["after"] == {"limit_bytes": 5 * 1_048_576}


def test_a_clean_up_that_is_sent_twice_at_once_removes_once(alice: User, penora: App, staff: list[Browser]) -> None:
    """Seen to fail: with the projects read before the lock the counters went below what is kept."""
    codes = {saved(alice, penora, 300, days=9).code for _ in range(4)}
    form = ready(staff[0], "clean-up", alice, older_than="1")

    with witnessed() as witness:
        answers = together(4, lambda index: staff[index % 2].post(at("clean-up", alice), form))
        witness.assert_never_wrong()

    assert Counter(answer.status_code for answer in answers) == {302: 1, 200: 3}
    assert trashed_codes(alice) == codes
    assert of_audit(alice).get().details["freed_bytes"] == 1_200
    assert_everything_is_proved()


def test_an_edit_that_comes_before_the_clean_up_keeps_everything(
    alice: User, penora: App, by_penora: Caller, staff: list[Browser]
) -> None:
    first, second = saved(alice, penora, 300, days=9), saved(alice, penora, 300, days=9)
    form = ready(staff[0], "clean-up", alice, older_than="1")

    edited, cleaned = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: by_penora.edit(first.code, content="y" * 50),
        lambda: staff[0].post(at("clean-up", alice), form),
    )

    assert (edited.status_code, cleaned.status_code) == (200, 200)
    assert live_codes(alice) == {first.code, second.code}
    assert not of_audit(alice).exists()
    assert_everything_is_proved()


def test_a_limit_and_a_save_that_do_not_both_fit_are_not_both_done(
    alice: User, by_penora: Caller, staff: list[Browser]
) -> None:
    form = ready(staff[0], "change-limit", alice, limit="0.001")  # 1,049 bytes

    saved_first, refused = one_after_the_other(
        THE_STORAGE,
        alice,
        lambda: by_penora.save("x" * 2_000),
        lambda: staff[0].post(at("change-limit", alice), form),
    )

    assert (saved_first.status_code, refused.status_code) == (201, 200)
    assert b"Nothing was done: they keep or have reserved" in refused.content
    assert (storage_of(alice).limit_bytes, of_audit(alice).count()) == (1_048_576, 0)
    assert_everything_is_proved()


def test_staff_and_apps_all_at_it_leave_no_counter_wrong(
    alice: User, penora: App, by_penora: Caller, by_imagegene: Caller, staff: list[Browser]
) -> None:
    for _ in range(6):
        saved(alice, penora, 200, days=9)
    gone = saved(alice, penora, 200)
    workspace.delete_project(user=alice, code=gone.code)
    before = deadlocks()
    sent = {
        0: ("clean-up", ready(staff[0], "clean-up", alice, older_than="1")),
        1: ("change-limit", ready(staff[0], "change-limit", alice, limit="2")),
        2: ("change-plan", ready(staff[1], "change-plan", alice, plan=Plan.objects.get(slug="plus").pk)),
        3: ("restore", {"codes": gone.code, "reason": WHY}),
    }

    def act(index: int) -> int:
        if index in sent:
            name, form = sent[index]
            return int(staff[index % 2].post(at(name, alice), form).status_code)
        caller = (by_penora, by_imagegene)[index % 2]
        return int(caller.save("x" * (100 + index)).status_code)

    with witnessed() as witness:
        answers = together(12, act)
        witness.assert_never_wrong()

    assert not [answer for answer in answers if not isinstance(answer, int) or answer >= 500], answers
    assert answers[4:] == [201] * 8
    done = of_audit(alice).count()
    assert done == sum(answer == 302 for answer in answers[:4])
    assert deadlocks() == before
    assert_everything_is_proved()
