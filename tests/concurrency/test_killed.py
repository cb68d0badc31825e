"""
A database backend killed in the middle of a call, at each place where the call can be made to stop: nothing of it is
left, and a repeat with the same key does it exactly once.

Where a call stops is decided by a lock that another connection holds: the row it will lock, the table it will write
next, or the app's row, which PostgreSQL looks at when it checks the deferred foreign keys in COMMIT.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from credits.models import Account, LedgerEntry
from tests.client import ApiClient
from tests.concurrency.books import assert_the_books_are_right, assert_the_storage_is_right, rows
from tests.concurrency.crowd import background, end_backend, held, waiting_for_a_lock
from unified.api.models import IdempotencyRecord
from workspace.models import Project, Storage

AT_COMMIT = "SELECT 1 FROM accounts_app WHERE slug = 'penora' FOR UPDATE"


def call_killed_where_it_waits(sql: str, call: Callable[[], Any], *, statement: str) -> Any:
    """The answer of `call`, whose backend is killed while it waits for the locks that `sql` takes."""
    with background() as start, held(sql) as release:
        answer = start(call)
        (backend,) = waiting_for_a_lock(1)
        assert statement in rows("SELECT query FROM pg_stat_activity WHERE pid = %s", backend)[0][0]
        end_backend(backend)
        result = answer.result()
        release()
    connection.close()
    return result


def assert_killed(answer: Any) -> None:
    assert answer.status_code == 503
    assert answer.json()["code"] == "service_unavailable"
    assert "the outcome is unknown" in answer.json()["details"]
    assert answer["Retry-After"] == "2"


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("SELECT 1 FROM credits_account FOR UPDATE", 'FROM "credits_account"'),
        ("LOCK TABLE credits_ledgerentry IN SHARE MODE", 'INSERT INTO "credits_ledgerentry"'),
        (AT_COMMIT, "COMMIT"),
    ],
    ids=["before the account is locked", "after the account, before the entry", "in the commit"],
)
def test_a_deduction_whose_backend_is_killed_leaves_nothing_and_its_repeat_is_done_once(
    alice: User, penora_key: str, sql: str, statement: str
) -> None:
    """
    Seen to fail: with every atomic block of the way taken out, the account stood at 43 without an entry for it;
    with only the claim committed apart, its record stayed behind and the repeat was answered with nothing.
    """

    def deduct() -> Any:
        return ApiClient(key=penora_key).post(
            "deduct-credits",
            user_id="alice",
            amount=7,
            app_name="penora",
            description="page",
            headers={"Idempotency-Key": "k1"},
        )

    assert_killed(call_killed_where_it_waits(sql, deduct, statement=statement))
    assert list(LedgerEntry.objects.values_list("type", "amount")) == [("grant", 50)]
    account = Account.objects.get(user=alice)
    assert (account.balance, account.seq) == (50, 1)
    assert IdempotencyRecord.objects.count() == 0

    again, repeat = deduct(), deduct()

    assert (again.status_code, again.json()["new_balance"]) == (200, 43)
    assert "Idempotent-Replayed" not in again
    assert (repeat.content, repeat["Idempotent-Replayed"]) == (again.content, "true")
    assert LedgerEntry.objects.filter(type="deduction").count() == 1
    assert_the_books_are_right()


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("SELECT 1 FROM workspace_storage FOR UPDATE", 'FROM "workspace_storage"'),
        ("LOCK TABLE workspace_projectcontent IN SHARE MODE", 'INSERT INTO "workspace_projectcontent"'),
        ("LOCK TABLE workspace_appstorage IN SHARE MODE", '"workspace_appstorage"'),
        (AT_COMMIT, "COMMIT"),
    ],
    ids=["before the storage is locked", "after the project, before its content", "between counters", "in the commit"],
)
def test_a_save_whose_backend_is_killed_leaves_nothing_and_its_repeat_is_done_once(
    alice: User, penora_key: str, sql: str, statement: str
) -> None:
    """
    Seen to fail: without the atomic blocks the project stayed behind; with only the claim committed apart, its
    record stayed behind.
    """

    def save() -> Any:
        return ApiClient(key=penora_key).post(
            "save-project",
            user_id="alice",
            app_source="penora",
            project_type="page",
            title="Page",
            content="some text",
            headers={"Idempotency-Key": "k1"},
        )

    assert_killed(call_killed_where_it_waits(sql, save, statement=statement))
    assert Project.objects.count() == 0
    storage = Storage.objects.get(user=alice)
    assert (storage.used_bytes, storage.project_count) == (0, 0)
    assert_the_storage_is_right()
    assert IdempotencyRecord.objects.count() == 0

    again, repeat = save(), save()

    assert again.status_code == 201
    assert (repeat.content, repeat["Idempotent-Replayed"]) == (again.content, "true")
    assert list(Project.objects.values_list("code", "size_bytes")) == [(again.json()["project_code"], 9)]
    assert Storage.objects.get(user=alice).used_bytes == 9
    assert_the_storage_is_right()


def test_a_person_whose_making_is_killed_is_not_there_by_halves(penora_key: str, committed_db: None) -> None:
    """
    Seen to fail: without the atomic blocks the person, the account and the storage stayed behind.
    """

    def log_in() -> Any:
        return ApiClient(key=penora_key).post(
            "create-user", user_id="sub-1", username="Ada", email="ada@example.com", headers={"Idempotency-Key": "k1"}
        )

    sql, statement = "LOCK TABLE credits_ledgerentry IN SHARE MODE", 'INSERT INTO "credits_ledgerentry"'
    assert_killed(call_killed_where_it_waits(sql, log_in, statement=statement))
    assert [User.objects.count(), Account.objects.count(), Storage.objects.count()] == [0, 0, 0]
    assert IdempotencyRecord.objects.count() == 0

    again = log_in()

    assert (again.status_code, again.json()["created"], again.json()["credits"]) == (201, True, 50)
    assert_the_books_are_right()
