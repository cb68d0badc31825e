"""Credits that are given back, and those that staff give or take: once, and never more than there is to give."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.models import User
from credits import services
from credits.models import Account, AdjustmentLimit, Grant, LedgerEntry
from tests.client import ApiClient
from tests.concurrency.books import assert_everything_is_proved
from tests.concurrency.crowd import together
from tests.conftest import make_user


@pytest.fixture(autouse=True)
def warm(as_imagegene: ApiClient) -> None:
    """A client's first call loads the middleware: that would take longer than the work, and string a crowd out."""
    as_imagegene.get("pricing")


def deduct(api: ApiClient, amount: int) -> str:
    answer = api.post("deduct-credits", user_id="alice", amount=amount, app_name="imagegene", description="picture")
    assert answer.status_code == 200
    return str(answer.json()["transaction_id"])


def refunds_of(transaction_id: str) -> list[int]:
    return list(LedgerEntry.objects.filter(type="refund", related=transaction_id).values_list("amount", flat=True))


def make_staff(name: str, *, per_adjustment: int, per_day: int) -> User:
    staff = make_user(name)
    staff.is_staff = True
    staff.save(update_fields=["is_staff"])
    role, _ = Group.objects.get_or_create(name="Refunders")
    AdjustmentLimit.objects.update_or_create(
        group=role, defaults={"per_adjustment": per_adjustment, "per_day": per_day}
    )
    staff.groups.add(role)
    return staff


@pytest.mark.parametrize("amount", [{"amount": 10}, {}], ids=["named", "all that is left"])
def test_sixteen_refunds_of_all_of_it_under_different_keys_are_one_refund(
    alice: User, as_imagegene: ApiClient, amount: dict[str, int]
) -> None:
    """
    Seen to fail: with the earlier refunds summed up before the account was locked, 10 to 16 of the 16 were paid;
    without the lock most were 500; with entry_account_seq_unique gone as well, 5 to 11 were paid.
    """
    for round_ in range(3):
        transaction_id = deduct(as_imagegene, 10)

        def refund(index: int, transaction_id: str = transaction_id, round_: int = round_) -> Any:
            return as_imagegene.post(
                "refund-credits",
                {"transaction_id": transaction_id, "reason": "it failed", **amount},
                headers={"Idempotency-Key": f"{round_}-{index}"},
            )

        answers = together(16, refund)

        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 15}
        refused = [answer.json() for answer in answers if answer.status_code == 409]
        assert {(answer["code"], answer["refunded"], answer["refundable"]) for answer in refused} == {
            ("refund_exceeds_charge", 10, 0)
        }
        assert refunds_of(transaction_id) == [10]
        assert Account.objects.get(user=alice).balance == 50
    assert_everything_is_proved()


def test_sixteen_refunds_of_a_tenth_each_are_ten_refunds(alice: User, as_imagegene: ApiClient) -> None:
    """
    Seen to fail: with the earlier refunds summed up before the lock, all 16 were paid; without the lock 14 were 500,
    and with entry_account_seq_unique gone as well, all 16 were paid.
    """
    transaction_id = deduct(as_imagegene, 10)

    answers = together(
        16,
        lambda index: as_imagegene.post(
            "refund-credits",
            {"transaction_id": transaction_id, "reason": "one of ten failed", "amount": 1},
            headers={"Idempotency-Key": f"k{index}"},
        ),
    )

    assert Counter(answer.status_code for answer in answers) == {200: 10, 409: 6}
    told = [answer.json() for answer in answers if answer.status_code == 200]
    assert sorted(answer["refundable"] for answer in told) == list(range(10))
    assert sorted(answer["new_balance"] for answer in told) == list(range(41, 51))
    assert refunds_of(transaction_id) == [1] * 10
    assert_everything_is_proved()


def test_refunds_at_once_return_to_a_lot_what_came_from_it_and_no_more(alice: User, as_imagegene: ApiClient) -> None:
    """
    Beside them, others spend: from the same lot, as it fills again.

    Seen to fail: with the earlier refunds summed up before the lock, all 15 refunds were paid; without the lock 17 of
    the 20 calls were 500.
    """
    lot_entry = services.grant(
        user=alice,
        amount=6,
        source=LedgerEntry.Source.PROMOTION,
        description="expiring",
        expires_at=timezone.now() + timedelta(days=1),
    )
    transaction_id = deduct(as_imagegene, 10)  # 6 of the lot and 4 of the rest

    def move(index: int) -> Any:
        if index % 4 == 0:
            return as_imagegene.post(
                "deduct-credits", user_id="alice", amount=1, app_name="imagegene", description="picture"
            )
        return as_imagegene.post("refund-credits", transaction_id=transaction_id, reason="it failed", amount=1)

    answers = together(20, move)

    assert Counter(answer.status_code for answer in answers) == {200: 15, 409: 5}
    assert refunds_of(transaction_id) == [1] * 10
    assert Account.objects.get(user=alice).balance == 56 - 5
    lot = Grant.objects.get(entry=lot_entry)
    assert lot.remaining == 6 + sum(use.amount for use in lot.uses.all())
    assert sum(use.amount for use in lot.uses.filter(entry__type="refund")) == 6
    assert_everything_is_proved()


@pytest.mark.usefixtures("committed_db")
def test_sixteen_adjustments_with_one_key_are_one(alice: User) -> None:
    """
    Seen to fail: without the account's lock one call crashed on a unique index; with entry_idempotency_key_unique and
    entry_account_seq_unique gone as well, there were two adjustments. (The lock on the actor's row is enough for one
    actor; so here are two.)
    """
    staff = [make_staff(f"staff-{number}", per_adjustment=100, per_day=100) for number in range(2)]

    outcomes = together(
        16,
        lambda index: (
            services.adjust(
                user=alice, amount=-5, reason="given twice", actor=staff[index % 2], idempotency_key="a1"
            ).pk
        ),
    )

    # Whoever was first has the key; for the other member of staff it is somebody else's.
    entry = LedgerEntry.objects.get(type="adjustment")
    assert Counter(outcome if outcome == entry.pk else type(outcome) for outcome in outcomes) == {
        entry.pk: 8,
        services.AdjustmentKeyReused: 8,
    }
    assert Account.objects.get(user=alice).balance == 45
    assert_everything_is_proved()


@pytest.mark.usefixtures("committed_db")
def test_a_day_s_limit_holds_for_sixteen_adjustments_of_sixteen_people() -> None:
    """
    The people are different, so no account's lock is in the way of any two of them.

    Seen to fail: without select_for_update of the actor's row, 15 of the 16 were done.
    """
    staff = make_staff("staff", per_adjustment=20, per_day=50)
    people = [make_user(f"user-{number}") for number in range(16)]

    outcomes = together(
        16,
        lambda index: (
            services.adjust(
                user=people[index],
                amount=10 if index % 2 else -10,
                reason="an apology",
                actor=staff,
                idempotency_key="a1",
            ).amount
        ),
    )

    done = [outcome for outcome in outcomes if isinstance(outcome, int)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, int)]
    assert len(done) == 5
    assert {(type(refusal), refusal.left_today) for refusal in refused} == {(services.AdjustmentLimitExceeded, 0)}
    assert services.adjusted_today(staff) == 50
    assert_everything_is_proved()
