"""Crashes and database trouble: 500 with the request id and nothing else, 503 with what became of the call."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from credits.models import Account
from tests.api.conftest import everything_of, tripwire
from tests.api.test_errors import DEDUCTION, assert_failure
from tests.client import ApiClient

K1 = {"Idempotency-Key": "k1"}
SECRET = "the innermost secret"
TERMINATE = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10);"


def hold_account(other: Any, user: User) -> None:
    """Locks the account from a second connection, as a transaction that does not end would."""
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM credits_account WHERE user_id = %s FOR UPDATE", [user.pk])


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("headers", [{}, K1])
def test_a_crash_tells_the_request_id_and_nothing_else(
    alice: User, as_imagegene: ApiClient, settings: Any, headers: dict[str, str], debug: bool
) -> None:
    settings.DEBUG = debug
    before = everything_of(alice)

    with tripwire("credits_ledgerentry", "INSERT", f"RAISE EXCEPTION '{SECRET}';"):
        response = as_imagegene.post("deduct-credits", DEDUCTION, headers={**headers, "X-Request-ID": "trace-1"})

    answer = assert_failure(response, "internal_error")
    assert "trace-1" in answer["details"]
    assert SECRET.encode() not in response.content
    assert b"Traceback" not in response.content
    assert everything_of(alice) == before


def test_a_crash_is_logged_whole_under_the_request_id(
    alice: User, as_imagegene: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    with tripwire("credits_ledgerentry", "INSERT", f"RAISE EXCEPTION '{SECRET}';"):
        as_imagegene.post("deduct-credits", DEDUCTION)

    crashes = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(crashes) == 1
    assert SECRET in caplog.text


def test_a_crash_while_reading_is_no_different(
    alice: User, as_penora: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("unified.api.credits.queries.history", crash)

    response = as_penora.get("transactions", user_id="alice", headers={"X-Request-ID": "trace-1"})

    assert "trace-1" in assert_failure(response, "internal_error")["details"]
    assert SECRET.encode() not in response.content


def test_a_crash_before_any_view_is_no_different(
    alice: User, as_penora: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", crash)

    response = as_penora.get("pricing", headers={"X-Request-ID": "trace-1"})

    assert "trace-1" in assert_failure(response, "internal_error")["details"]
    assert SECRET.encode() not in response.content


def test_an_account_that_stays_locked_is_a_503_and_nothing_is_kept(
    committed_alice: User, as_committed_imagegene: ApiClient, second_connection: Any
) -> None:
    before = everything_of(committed_alice)
    hold_account(second_connection, committed_alice)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")

    response = as_committed_imagegene.post("deduct-credits", DEDUCTION)

    answer = assert_failure(response, "service_unavailable")
    assert "nothing was kept" in answer["details"]
    assert int(response["Retry-After"]) >= 1
    assert everything_of(committed_alice) == before
    second_connection.rollback()
    assert as_committed_imagegene.post("deduct-credits", DEDUCTION).status_code == 200


@pytest.mark.parametrize("headers", [{}, K1])
def test_a_statement_that_takes_too_long_is_a_503_and_nothing_is_kept(
    committed_alice: User, as_committed_imagegene: ApiClient, headers: dict[str, str]
) -> None:
    before = everything_of(committed_alice)
    with tripwire("credits_ledgerentry", "INSERT", "PERFORM pg_sleep(10);"):
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '100ms'")
        response = as_committed_imagegene.post("deduct-credits", DEDUCTION, headers=headers)
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")

    assert "nothing was kept" in assert_failure(response, "service_unavailable")["details"]
    assert int(response["Retry-After"]) >= 1
    assert everything_of(committed_alice) == before
    assert as_committed_imagegene.post("deduct-credits", DEDUCTION, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [{}, K1])
def test_a_connection_that_breaks_in_the_middle_is_a_503_that_does_not_claim_to_know(
    committed_alice: User, as_committed_imagegene: ApiClient, headers: dict[str, str]
) -> None:
    before = everything_of(committed_alice)
    with tripwire("credits_ledgerentry", "INSERT", TERMINATE):
        response = as_committed_imagegene.post("deduct-credits", DEDUCTION, headers=headers)
        connection.close()

    answer = assert_failure(response, "service_unavailable")
    assert "unknown" in answer["details"] or "nothing was kept" in answer["details"]
    assert int(response["Retry-After"]) >= 1
    assert everything_of(committed_alice) == before
    # With the same key a repeat finds out.
    again = as_committed_imagegene.post("deduct-credits", DEDUCTION, headers=headers)
    assert (again.status_code, again.json()["new_balance"]) == (200, 48)


def test_a_database_that_is_not_there_is_a_503_for_reads_and_writes(
    committed_alice: User, as_committed_imagegene: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything_of(committed_alice)
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")

    written = as_committed_imagegene.post("deduct-credits", DEDUCTION, headers=K1)
    read = as_committed_imagegene.get("user-info", user_id="alice")
    monkeypatch.undo()

    for response in (written, read):
        assert "nothing was kept" in assert_failure(response, "service_unavailable")["details"]
        assert int(response["Retry-After"]) >= 1
        assert b"/nonexistent" not in response.content
    assert everything_of(committed_alice) == before


def test_while_the_first_call_is_running_its_repeat_is_told_to_wait(
    committed_alice: User, as_committed_imagegene: ApiClient, second_connection: Any, settings: Any
) -> None:
    """Two calls with one key while the account is locked: one holds the key and waits, the other must not."""
    settings.IDEMPOTENCY_WAIT_MS = 100
    hold_account(second_connection, committed_alice)

    def call() -> Any:
        try:
            return ApiClient(key=as_committed_imagegene.key).post("deduct-credits", DEDUCTION, headers=K1)
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=2) as pool:
        done, running = wait([pool.submit(call), pool.submit(call)], timeout=9, return_when=FIRST_COMPLETED)
        second_connection.rollback()
    (told,), (first,) = ([one.result() for one in some] for some in (done, running))

    assert_failure(told, "request_in_progress")
    assert int(told["Retry-After"]) >= 1
    assert first.status_code == 200
    assert Account.objects.get(user=committed_alice).balance == 48
    again = as_committed_imagegene.post("deduct-credits", DEDUCTION, headers=K1)
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")
