"""One idempotency key, many calls at the same moment: the work is done once, whatever happens to the first of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from credits.models import Account, LedgerEntry
from tests.client import ApiClient
from tests.concurrency.books import assert_the_books_are_right
from tests.concurrency.crowd import background, cancel_statement, end_backend, held, together, waiting_for_a_lock
from unified.api.models import IdempotencyRecord

HOLD_THE_ACCOUNT = "SELECT 1 FROM credits_account WHERE user_id = %s FOR UPDATE"


@pytest.fixture(autouse=True)
def patience(settings: Any) -> None:
    """A slow machine must not turn a wait that ends well into a 409."""
    settings.IDEMPOTENCY_WAIT_MS = 9_000


@pytest.fixture
def deduct(alice: User, imagegene_key: str) -> Callable[..., Any]:
    def call(*, amount: int = 2, key: str = "k1") -> Any:
        return ApiClient(key=imagegene_key).post(
            "deduct-credits",
            user_id="alice",
            amount=amount,
            app_name="imagegene",
            description="picture",
            headers={"Idempotency-Key": key},
        )

    return call


def assert_spent(user: User, *amounts: int) -> None:
    spent = LedgerEntry.objects.filter(account=user.pk, type="deduction").values_list("amount", flat=True)
    assert sorted(spent) == sorted(-amount for amount in amounts)
    assert Account.objects.get(user=user).balance == 50 - sum(amounts)
    assert_the_books_are_right()


def test_sixteen_calls_with_one_key_are_one_deduction_and_sixteen_equal_answers(
    alice: User, deduct: Callable[..., Any]
) -> None:
    """
    Seen to fail: without the unique index on the key there were 16 deductions; with the claim committed apart from
    the work, calls were answered with the empty body of an unfinished record.
    """
    answers = together(16, lambda _: deduct())

    assert Counter(answer.status_code for answer in answers) == {200: 16}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(answer.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": 15}
    assert_spent(alice, 2)
    record = IdempotencyRecord.objects.get()
    assert (record.status, record.body.encode()) == (200, answers[0].content)


def test_sixteen_refused_calls_with_one_key_are_equally_refused(alice: User, deduct: Callable[..., Any]) -> None:
    """
    Seen to fail: without the unique index 5 of the 16 in one run, and 15 in another, did the work themselves.
    """
    answers = together(16, lambda _: deduct(amount=51))

    assert Counter(answer.status_code for answer in answers) == {402: 16}
    assert len({answer.content for answer in answers}) == 1
    assert Counter(answer.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": 15}
    assert_spent(alice)
    assert IdempotencyRecord.objects.get().status == 402


def test_of_one_key_with_different_bodies_one_call_wins_and_the_others_are_told(
    alice: User, deduct: Callable[..., Any]
) -> None:
    """
    Seen to fail: without the unique index five and more amounts were deducted; without the comparison of digests
    all 16 were answered with the winner's 200.
    """
    answers = together(16, lambda index: deduct(amount=1 + index))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 422: 15}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"idempotency_key_reused"}
    (winner,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert_spent(alice, winner["credits_deducted"])


def test_different_keys_are_different_calls(alice: User, deduct: Callable[..., Any]) -> None:
    """
    Seen to fail: without the account's lock 12 or 13 of the 16 were answered 500.
    """
    answers = together(16, lambda index: deduct(key=f"k{index}"))

    assert Counter(answer.status_code for answer in answers) == {200: 16}
    assert sorted(answer.json()["new_balance"] for answer in answers) == list(range(18, 50, 2))
    assert_spent(alice, *[2] * 16)


def test_while_the_first_call_runs_a_second_one_waits_a_moment_and_is_told_to_come_again(
    alice: User, deduct: Callable[..., Any], settings: Any
) -> None:
    """
    Seen to fail: without the unique index the second waited for the account and was answered 503; with a fixed
    bound in place of the setting it waited for 9 seconds.
    """
    settings.IDEMPOTENCY_WAIT_MS = 200
    with background() as start, held(HOLD_THE_ACCOUNT, alice.pk) as release:
        first = start(deduct)
        waiting_for_a_lock(1)

        started = time.monotonic()
        second = deduct()

        assert 0.2 <= time.monotonic() - started < 5
        assert second.status_code == 409
        assert second.json()["code"] == "request_in_progress"
        assert second["Retry-After"] == "1"
        assert not first.done()
        assert_spent(alice)
        release()
        answer = first.result()

    assert answer.status_code == 200
    assert_spent(alice, 2)
    repeat = deduct()
    assert (repeat.content, repeat["Idempotent-Replayed"]) == (answer.content, "true")
    assert_spent(alice, 2)


def test_a_second_call_that_waits_long_enough_gets_the_answer_of_the_first(
    alice: User, deduct: Callable[..., Any]
) -> None:
    """
    Seen to fail: without the unique index both did the work; with the claim committed apart, or with a wait of 1
    ms, the second did not wait at all.
    """
    with background() as start, held(HOLD_THE_ACCOUNT, alice.pk) as release:
        first = start(deduct)
        waiting_for_a_lock(1)
        second = start(deduct)
        waiting_for_a_lock(2)
        release()

    assert (first.result().status_code, second.result().status_code) == (200, 200)
    assert first.result().content == second.result().content
    assert "Idempotent-Replayed" not in first.result()
    assert second.result()["Idempotent-Replayed"] == "true"
    assert_spent(alice, 2)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (end_backend, "the outcome is unknown"),
        (cancel_statement, "nothing was kept"),
    ],
)
def test_when_the_first_call_comes_to_grief_the_one_that_waits_does_the_work(
    alice: User, deduct: Callable[..., Any], trouble: Callable[[int], None], told: str
) -> None:
    """
    Seen to fail: with the claim committed apart from the work the second call did not wait.
    """
    with background() as start, held(HOLD_THE_ACCOUNT, alice.pk) as release:
        first = start(deduct)
        (backend,) = waiting_for_a_lock(1)
        second = start(deduct)
        assert waiting_for_a_lock(2)[0] == backend
        trouble(backend)
        assert first.result().status_code == 503
        waiting_for_a_lock(1)  # the second has the key now and waits for the account
        assert not second.done()
        release()

    assert first.result().json()["code"] == "service_unavailable"
    assert told in first.result().json()["details"]
    assert second.result().status_code == 200
    assert "Idempotent-Replayed" not in second.result()
    assert_spent(alice, 2)
    assert deduct().content == second.result().content
    assert_spent(alice, 2)


def test_the_key_of_one_app_does_not_hold_up_the_other(
    alice: User, deduct: Callable[..., Any], penora_key: str
) -> None:
    """
    Seen to fail: with a scope that all callers and routes share, the other app was answered 409.
    """
    with background() as start, held(HOLD_THE_ACCOUNT, alice.pk) as release:
        first = start(deduct)
        waiting_for_a_lock(1)

        other = ApiClient(key=penora_key).post(
            "save-project",
            user_id="alice",
            app_source="penora",
            project_type="page",
            title="Page",
            content="text",
            headers={"Idempotency-Key": "k1"},
        )

        assert other.status_code == 201
        assert not first.done()
        release()
    assert first.result().status_code == 200
