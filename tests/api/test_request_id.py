"""X-Request-ID: taken or made, returned, and logged."""

from __future__ import annotations

import logging
import re

import pytest

from accounts.models import User
from tests.client import ApiClient
from unified.logs import RequestIdFilter

MADE = re.compile(r"[0-9a-f]{32}")


def test_an_id_is_made_and_is_a_new_one_each_time(alice: User, as_penora: ApiClient) -> None:
    first, second = (as_penora.get("user-info", user_id="alice")["X-Request-ID"] for _ in range(2))

    assert MADE.fullmatch(first)
    assert MADE.fullmatch(second)
    assert first != second


@pytest.mark.parametrize("given", ["x", "0b9f2c1e-8f1d-4b43-a7a8-6a4c1f1f3b11", "a.b_c:d/e+f=g@h-i", "x" * 128])
def test_a_decent_id_is_taken_and_returned(alice: User, as_penora: ApiClient, given: str) -> None:
    response = as_penora.get("user-info", user_id="alice", headers={"X-Request-ID": given})

    assert response["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "a b",
        "a\nb",
        "a\r\nSet-Cookie: x=1",
        "a\x1b[31m",
        "a\x00",
        "é",
        "\x85",
        "x" * 129,
        "x" * 10_000,
        '"',
        "<b>",
    ],
)
def test_an_id_that_could_forge_a_line_is_replaced(alice: User, as_penora: ApiClient, given: str) -> None:
    response = as_penora.get("user-info", user_id="alice", headers={"X-Request-ID": given})

    assert response.status_code == 200
    assert MADE.fullmatch(response["X-Request-ID"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/unified/user-info?user_id=alice", 200),
        ("POST", "/api/unified/create-user", 400),
        ("GET", "/api/unified/user-info?user_id=nobody", 404),
        ("GET", "/api/unified/nowhere", 404),
        ("DELETE", "/api/unified/user-info", 405),
        ("GET", "/healthz", 200),
        ("GET", "/nowhere", 404),
    ],
)
def test_it_is_returned_with_success_and_with_failure(
    alice: User, as_penora: ApiClient, method: str, path: str, status: int
) -> None:
    response = as_penora.request(method, path, headers={"X-Request-ID": "trace-1"})

    assert response.status_code == status
    assert response["X-Request-ID"] == "trace-1"


def test_it_is_returned_to_who_may_not_call(db: None, anonymous: ApiClient) -> None:
    response = anonymous.get("user-info", user_id="alice", headers={"X-Request-ID": "trace-1"})

    assert (response.status_code, response["X-Request-ID"]) == (401, "trace-1")


def test_it_is_returned_where_the_host_is_unknown(db: None, as_penora: ApiClient) -> None:
    response = as_penora.get("pricing", headers={"Host": "evil.example", "X-Request-ID": "trace-1"})

    assert (response.status_code, response["X-Request-ID"]) == (400, "trace-1")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log as the service writes it: every record with the id of its request."""
    caplog.set_level(logging.INFO)
    caplog.handler.addFilter(RequestIdFilter())
    return caplog


def test_the_log_has_one_line_a_request_with_its_id(
    alice: User, as_penora: ApiClient, lines: pytest.LogCaptureFixture
) -> None:
    as_penora.get("user-info", user_id="alice", headers={"X-Request-ID": "trace-1"})
    as_penora.get("user-info", user_id="nobody", headers={"X-Request-ID": "trace-2"})

    logged = [(record.request_id, record.getMessage()) for record in lines.records]  # type: ignore[attr-defined]
    assert [request_id for request_id, _ in logged] == ["trace-1", "trace-2"]
    assert re.fullmatch(r"GET /api/unified/user-info 200 [0-9.]+ms app:penora", logged[0][1])
    assert re.fullmatch(r"GET /api/unified/user-info 404 [0-9.]+ms app:penora", logged[1][1])


def test_a_line_break_in_an_address_cannot_forge_a_line(
    db: None, as_penora: ApiClient, lines: pytest.LogCaptureFixture
) -> None:
    as_penora.request("GET", "/api/a%0A2026-01-01 INFO forged%0D%1B[31m%C2%85%E2%80%A8")

    (record,) = lines.records
    assert record.getMessage().isprintable()


def test_a_credential_is_never_logged(db: None, penora_key: str, lines: pytest.LogCaptureFixture) -> None:
    ApiClient(key=penora_key).get("pricing")
    ApiClient(key=penora_key[:-1] + "x").get("pricing")

    assert len(lines.records) == 2
    assert penora_key[:-1] not in lines.text
