"""Grant files that are started and run by several at once, and by one that dies: each line once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.models import AuditEntry, User
from credits import services as credits
from credits.models import Account, AdjustmentLimit, GrantFile, GrantLine, LedgerEntry
from tests.concurrency.books import assert_everything_is_proved, deadlocks
from tests.concurrency.crowd import background, end_backend, held, together, waiting_for_a_lock
from tests.conftest import make_user
from unified import services

PEOPLE = 40
THE_ACTOR = "SELECT 1 FROM accounts_user WHERE id = %s FOR UPDATE"


@pytest.fixture
def fiona(committed_db: None) -> User:
    return of_finance("fiona")


def of_finance(name: str) -> User:
    user = make_user(name, initial_credits=0)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.set([Group.objects.get(name="Finance")])
    return User.objects.get(pk=user.pk)


@pytest.fixture
def people(committed_db: None) -> list[User]:
    return [make_user(f"person-{number}", initial_credits=0) for number in range(PEOPLE)]


def checked(actor: User, people: list[User], *, amount: int = 5) -> GrantFile:
    lines = "".join(f"{person.user_id},{amount}\n" for person in people)
    return credits.check_file(name="may.csv", data=f"user_id,amount\n{lines}".encode(), reason="May", actor=actor)


def started(actor: User, people: list[User], *, amount: int = 5) -> GrantFile:
    return credits.start_file(file=checked(actor, people, amount=amount), actor=actor)


def run_to_the_end(file: GrantFile) -> int:
    done = 0
    while ran := credits.run_lines(file=file, limit=3):
        done += ran
    return done


def assert_each_has_it_once(file: GrantFile) -> None:
    file.refresh_from_db()
    assert file.state == "done"
    given = LedgerEntry.objects.filter(type="adjustment").values_list("account", flat=True)
    assert Counter(given) == dict.fromkeys(file.lines.values_list("user", flat=True), 1)
    assert not file.lines.exclude(outcome="granted").exists()
    assert_everything_is_proved()


def test_runners_at_once_share_the_lines(people: list[User], fiona: User) -> None:
    """Seen to fail: without the line's lock each of four ran nearly all of them (the keys kept the books right)."""
    file, before = started(fiona, people), deadlocks()

    ran = together(4, lambda _: run_to_the_end(file))

    assert sum(ran) == PEOPLE
    assert_each_has_it_once(file)
    assert deadlocks() == before


def test_a_runner_that_dies_within_a_line_leaves_it_to_the_next(people: list[User], fiona: User) -> None:
    file = started(fiona, people)

    with background() as start, held(THE_ACTOR, fiona.pk):
        dying = start(lambda: run_to_the_end(file))
        (pid,) = waiting_for_a_lock(1)
        end_backend(pid)
        assert dying.exception() is not None

    assert run_to_the_end(file) == PEOPLE
    assert_each_has_it_once(file)


def test_one_that_comes_while_another_is_at_the_last_line_does_not_call_the_file_done(
    people: list[User], fiona: User
) -> None:
    file = started(fiona, people[:1])

    with background() as start, held(THE_ACTOR, fiona.pk) as release:
        first = start(lambda: run_to_the_end(file))
        waiting_for_a_lock(1)
        assert run_to_the_end(file) == 0
        file.refresh_from_db()
        assert file.state == "running"
        release()
        assert first.result() == 1

    assert_each_has_it_once(file)


def test_a_file_that_is_started_by_two_at_once_is_started_once(people: list[User], fiona: User) -> None:
    """Seen to fail: without the locks on the actor and the file there were four rows in the audit."""
    file = checked(fiona, people)

    answers = together(4, lambda _: credits.start_file(file=file, actor=fiona).state)

    assert answers == ["running"] * 4
    assert AuditEntry.objects.filter(event="file-started").count() == 1


def test_of_two_files_that_are_the_same_only_one_is_started_unasked(people: list[User], fiona: User) -> None:
    """Seen to fail: without the lock on all files of the same content, both were started."""
    files = [checked(fiona, people), checked(of_finance("frank"), people)]

    def start(index: int) -> Any:
        return credits.start_file(file=files[index], actor=files[index].actor).state

    answers = together(2, start)

    assert sorted(type(answer).__name__ for answer in answers) == ["RunBefore", "str"]
    assert sorted(GrantFile.objects.values_list("state", flat=True)) == ["checked", "running"]


def test_files_beside_adjustments_keep_within_the_days_limit(people: list[User], fiona: User) -> None:
    limit = AdjustmentLimit.objects.get(group__name="Finance")
    AdjustmentLimit.objects.filter(pk=limit.pk).update(per_adjustment=10, per_day=PEOPLE * 5)
    try:
        file = started(fiona, people)

        def work(index: int) -> Any:
            if index < 2:
                return run_to_the_end(file)
            return credits.adjust(
                user=people[index], amount=5, reason="Beside", actor=fiona, idempotency_key=f"beside-{index}"
            ).amount

        together(6, work)
    finally:  # the roles outlive the test
        limit.save()

    assert sum(Account.objects.values_list("balance", flat=True)) == PEOPLE * 5
    failed = file.lines.filter(outcome="failed")
    assert failed.count() <= 4
    assert all("left in these 24 hours" in line.problem for line in failed)
    assert_everything_is_proved()


def test_people_who_leave_while_the_file_runs_either_have_the_credits_or_a_failed_line(
    people: list[User], fiona: User
) -> None:
    file, before = started(fiona, people), deadlocks()

    def work(index: int) -> Any:
        if index < 2:
            return run_to_the_end(file)
        for person in people[PEOPLE - 2 * (index - 1) : PEOPLE - 2 * (index - 2)]:
            services.delete_member(user=person)
        return None

    outcomes = together(6, work)

    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    for line in GrantLine.objects.select_related("user__account"):
        assert line.user is not None
        assert (line.outcome, line.user.account.balance) in {("granted", 5), ("failed", 0)}
    for line in GrantLine.objects.filter(outcome="granted", user__deleted_at__isnull=False).select_related("entry"):
        assert line.entry is not None
    assert deadlocks() == before
    assert_everything_is_proved()
