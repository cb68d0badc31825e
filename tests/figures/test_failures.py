"""Failed API calls are counted, by app and code, at no cost to those that succeed and whatever the database does."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, User
from tests.client import ApiClient
from tests.concurrency.crowd import held, together
from tests.conftest import make_user
from unified.api import middleware
from unified.api.errors import ERRORS, ApiError, envelope
from unified.figures import failures
from unified.figures.models import FailedCalls

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = "figures_failedcalls"
CHARGE = {"user_id": "alice", "amount": 60, "app_name": "penora", "description": "Too dear"}


def written() -> dict[tuple[str | None, str], int]:
    """By app and code, what there is of today."""
    failures.write()
    rows = FailedCalls.objects.filter(day=timezone.now().astimezone(UTC).date())
    return {(app, code): calls for app, code, calls in rows.values_list("app__slug", "code", "calls")}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if ten seconds had passed after every failure."""
    monkeypatch.setattr(failures, "EVERY_SECONDS", 0)


@pytest.fixture
def committed_penora(committed_db: None) -> ApiClient:
    make_user("alice")
    return ApiClient(key=accounts.create_key(app=App.objects.get(slug="penora"), label="tests")[1])


@contextmanager
def no_table() -> Iterator[None]:
    """A database that cannot take the counts."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} RENAME TO mislaid")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE mislaid RENAME TO {TABLE}")


def test_each_failed_call_counts_for_its_app_and_code(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient, anonymous: ApiClient
) -> None:
    as_penora.get("user-info", user_id="nobody")
    as_penora.get("user-info", user_id="nobody")
    as_imagegene.get("user-info", user_id="nobody")
    as_penora.get("user-info")
    as_penora.post("deduct-credits", raw=b"{")
    as_penora.delete("pricing")
    anonymous.get("user-info", user_id="alice")
    ApiClient(key="uni_live_wrong").get("pricing")
    anonymous.request("GET", "/api/unified/nowhere/")
    anonymous.request("GET", "/api")

    assert written() == {
        ("penora", "user_not_found"): 2,
        ("imagegene", "user_not_found"): 1,
        ("penora", "validation_error"): 1,
        ("penora", "invalid_json"): 1,
        ("penora", "method_not_allowed"): 1,
        (None, "not_authenticated"): 2,
        (None, "not_found"): 2,
    }


def test_a_refusal_that_is_told_again_has_failed_again(alice: User, as_penora: ApiClient) -> None:
    for _ in range(3):
        as_penora.post("deduct-credits", CHARGE, headers={"Idempotency-Key": "k"})

    assert written() == {("penora", "insufficient_credits"): 3}


def test_what_is_no_failure_of_the_api_is_not_counted(alice: User, as_penora: ApiClient) -> None:
    assert as_penora.get("user-info", user_id="alice").status_code == 200
    assert Browser().get("/nowhere").status_code == 404

    assert written() == {}


def test_plain_http_counts(settings: object, db: None) -> None:
    settings.SECURE_SSL_REDIRECT = True  # type: ignore[attr-defined]

    assert Browser().get("/api/unified/pricing").status_code == 403

    assert written() == {(None, "permission_denied"): 1}


@pytest.mark.parametrize("code", ERRORS)
def test_every_code_of_the_contract_is_known_by_its_answer(code: str) -> None:
    assert middleware._code_of(envelope(ApiError(code, "Something."))) == code
    assert len(code) <= FailedCalls._meta.get_field("code").max_length


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"code": "made_up"}', b'{"code": ["not_found"]}', b"\xff", b"null"]
)
def test_a_code_that_the_contract_does_not_have_takes_no_room_of_its_own(body: bytes) -> None:
    response = envelope(ApiError("not_found", "Something."))
    response.content = body

    assert middleware._code_of(response) == "unknown"


def test_a_call_that_succeeds_costs_no_query_more(
    committed_penora: ApiClient, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed_penora.get("pricing")
    with CaptureQueriesContext(connection) as before:
        committed_penora.get("pricing")
    monkeypatch.setattr(failures, "EVERY_SECONDS", 60)
    committed_penora.get("user-info", user_id="nobody")
    with CaptureQueriesContext(connection) as waiting:
        committed_penora.get("pricing")

    assert len(before) == len(waiting)
    assert not FailedCalls.objects.exists()


def test_counts_are_written_after_the_next_call_once_they_are_due(committed_penora: ApiClient, at_once: None) -> None:
    committed_penora.get("user-info", user_id="nobody")
    assert FailedCalls.objects.get().calls == 1

    for _ in range(3):
        committed_penora.get("user-info", user_id="nobody")

    assert FailedCalls.objects.get().calls == 4


def test_they_wait_for_ten_seconds_from_the_first(monkeypatch: pytest.MonkeyPatch, committed_db: None) -> None:
    now = 1_000.0
    monkeypatch.setattr(failures.time, "monotonic", lambda: now)
    failures.count(app_id=None, code="not_found")
    now = 1_009.0
    failures.count(app_id=None, code="not_found")
    failures.write_if_due()
    assert not FailedCalls.objects.exists()
    now = 1_010.0

    failures.write_if_due()

    assert FailedCalls.objects.get().calls == 2


def test_nothing_is_written_in_a_transaction_that_may_be_undone(committed_db: None, at_once: None) -> None:
    failures.count(app_id=None, code="not_found")
    with transaction.atomic():
        failures.write_if_due()
        transaction.set_rollback(True)

    assert written() == {(None, "not_found"): 1}


def test_a_database_that_does_not_take_them_changes_no_answer_and_loses_none(
    committed_penora: ApiClient, at_once: None
) -> None:
    with no_table():
        answers = [committed_penora.get("user-info", user_id="nobody") for _ in range(3)]
        answers.append(committed_penora.get("pricing"))
        assert [answer.status_code for answer in answers] == [404, 404, 404, 200]
        assert answers[0].json()["code"] == "user_not_found"

    assert committed_penora.get("pricing").status_code == 200
    assert FailedCalls.objects.get().calls == 3


def test_a_call_waits_a_second_at_most_for_who_holds_the_rows(
    committed_penora: ApiClient, at_once: None, within_a_minute: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "PATIENCE_MS", 50)
    with held(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE"):
        assert committed_penora.get("user-info", user_id="nobody").status_code == 404

    assert written() == {("penora", "user_not_found"): 1}


def test_threads_that_count_and_write_at_once_lose_none_and_do_not_deadlock(
    committed_db: None, within_a_minute: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows in the order of their counting would let two writers wait for each other, until one of them is ended."""
    monkeypatch.setattr(failures, "PATIENCE_MS", 30_000)
    codes = list(ERRORS)

    def work(index: int) -> None:
        for number in range(20):
            for code in random.sample(codes, 5):
                failures.count(app_id=None, code=code)
            if number % 2 == index % 2:
                failures.write()

    assert together(4, work) == [None] * 4
    assert sum(written().values()) == 4 * 20 * 5
    assert not [record for record in caplog.records if record.name == "unified.figures"]


@pytest.mark.parametrize("kind", ["process", "worker"])
def test_a_process_that_ends_writes_what_it_has(kind: str, committed_db: None) -> None:
    """A worker of the web server is forked, which Python ends without a word to `atexit`."""
    count = (
        "import django; django.setup()\n"
        "from unified.figures import failures\n"
        "failures.count(app_id=None, code='throttled')\n"
    )
    fork = (
        "import multiprocessing\n"
        f"worker = multiprocessing.get_context('fork').Process(target=exec, args=({count!r}, {{}}))\n"
        "worker.start(); worker.join()\n"
    )
    server = connection.settings_dict
    address = f"postgresql://{quote(server['USER'])}:{quote(server['PASSWORD'])}@/{server['NAME']}"
    address += f"?host={quote(server['HOST'], safe='')}&port={server['PORT']}"

    done = subprocess.run(
        [sys.executable, "-c", count if kind == "process" else fork],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "unified.settings", "DATABASE_URL": address},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert FailedCalls.objects.get().code == "throttled"


def test_the_day_is_that_of_the_call_in_utc(db: None) -> None:
    before = datetime.now(UTC).date()
    failures.count(app_id=None, code="not_found")
    failures.write()

    assert before <= FailedCalls.objects.get().day <= datetime.now(UTC).date()
