"""Many first logins of one person at once: one person, one welcome."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from accounts import services as accounts
from accounts.models import App, AppKey, User
from credits.models import Account, LedgerEntry
from tests.client import ApiClient
from tests.concurrency.books import assert_the_books_are_right, assert_the_storage_is_right
from tests.concurrency.crowd import together
from unified import seed, services
from workspace.models import Project, Storage

CROWD = 32


def assert_there_is_one_whole_person(user_id: str, *, credits: int) -> None:
    user = User.objects.get(user_id=user_id)
    assert list(Account.objects.values_list("user_id", "balance", "seq")) == [(user.pk, credits, 1)]
    assert list(LedgerEntry.objects.values_list("account_id", "type", "amount")) == [(user.pk, "grant", credits)]
    assert list(Storage.objects.values_list("user_id", "used_bytes", "limit_bytes")) == [(user.pk, 0, 1_048_576)]
    assert_the_books_are_right()
    assert_the_storage_is_right()


def test_thirty_two_first_logins_make_one_person_with_one_grant(penora_key: str, imagegene_key: str) -> None:
    """
    Seen to fail: with unified.services.create_member no longer atomic some were told of a person with 0 credits;
    without the unique index on user_id all 32 were told 201.
    """

    def log_in(index: int) -> Any:
        return ApiClient(key=imagegene_key if index % 2 else penora_key).post(
            "create-user", user_id="sub-1", username="Ada", email="ada@example.com", initial_credits=30
        )

    answers = together(CROWD, log_in)

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: CROWD - 1}
    assert [answer.json()["created"] for answer in answers if answer.status_code == 201] == [True]
    assert {answer.json()["created"] for answer in answers if answer.status_code == 200} == {False}
    # Also who came second finds the person whole: with the credits, not before them.
    assert {answer.json()["credits"] for answer in answers} == {30}
    assert {answer.json()["storage"]["limit_bytes"] for answer in answers} == {1_048_576}
    assert_there_is_one_whole_person("sub-1", credits=30)


def test_with_one_idempotency_key_all_of_them_are_told_that_they_were_first(penora_key: str, settings: Any) -> None:
    """
    Seen to fail: without the unique index on the key one answer was 201 and 15 were 200.
    """
    settings.IDEMPOTENCY_WAIT_MS = 9_000

    def log_in(_: int) -> Any:
        return ApiClient(key=penora_key).post(
            "create-user",
            user_id="sub-1",
            username="Ada",
            email="ada@example.com",
            headers={"Idempotency-Key": "login-1"},
        )

    answers = together(16, log_in)

    assert Counter(answer.status_code for answer in answers) == {201: 16}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer for answer in answers) == 1
    assert_there_is_one_whole_person("sub-1", credits=50)


def test_a_key_rotated_by_many_at_once_has_one_successor(penora: App) -> None:
    """
    Seen to fail: without select_for_update in rotate_key the one key had 12 successors.
    """
    key, _ = accounts.create_key(app=penora, label="server")

    outcomes = together(12, lambda _: accounts.rotate_key(key_id=key.key_id)[0].key_id)

    new = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(new) == 1
    assert Counter(type(outcome) for outcome in outcomes) == {str: 1, accounts.KeyNotActive: 11}
    assert AppKey.objects.count() == 2
    assert AppKey.objects.get(key_id=key.key_id).replaced_by == AppKey.objects.get(key_id=new[0])


@pytest.mark.parametrize("had_left", [False, True])
@pytest.mark.usefixtures("committed_db")
def test_the_demo_person_is_made_once_however_many_ask(had_left: bool) -> None:
    """Two tabs at the demo door. Seen to fail: without the lock four made 32 projects."""
    if had_left:
        seed.seed_demo()
        services.delete_member(user=User.objects.get(user_id=seed.DEMO_USER_ID))

    assert together(4, lambda _: seed.seed_demo()) == [None] * 4

    demo = User.objects.get(user_id=seed.DEMO_USER_ID)
    assert Project.objects.filter(user=demo).count() == 8
    assert demo.deleted_at is None
    assert_the_books_are_right()
    assert_the_storage_is_right()
