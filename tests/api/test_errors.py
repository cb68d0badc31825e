"""Every failure under /api/ in its one form: who is told what, and that nothing was written. Trouble: see beside."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.cache import cache

from accounts.models import User
from tests.api.conftest import everything_of, reserve
from tests.client import ApiClient, document
from unified.api.errors import ERRORS
from unified.api.throttling import CallerThrottle

# The contract's table, as far as its calls exist: code -> status and title ("" where it leaves the title open).
CONTRACT = {
    "edit_conflict": (412, ""),
    "range_not_satisfiable": (416, ""),  # beyond the table
    "insufficient_credits": (402, "Insufficient credits"),
    "storage_limit_exceeded": (413, "Storage limit exceeded"),
    "project_limit_reached": (413, "Project limit reached"),
    "user_not_found": (404, "User not found"),
    "project_not_found": (404, "Project not found"),
    "hold_not_found": (404, "Hold not found"),
    "transaction_not_found": (404, "Transaction not found"),
    "not_found": (404, "Not found"),
    "validation_error": (400, "Invalid request"),
    "invalid_json": (400, "Invalid JSON"),
    "invalid_image": (400, "Invalid image"),
    "not_authenticated": (401, "Authentication required"),
    "permission_denied": (403, "Permission denied"),
    "method_not_allowed": (405, ""),
    "unsupported_media_type": (415, ""),
    "payload_too_large": (413, ""),
    "throttled": (429, ""),
    "hold_not_active": (409, ""),
    "refund_exceeds_charge": (409, ""),
    "request_in_progress": (409, ""),
    "idempotency_key_reused": (422, "Idempotency key reused"),
    "service_unavailable": (503, ""),
    "internal_error": (500, "Internal error"),
}
DEDUCTION = {"user_id": "alice", "amount": 2, "app_name": "imagegene", "description": "A picture"}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")


def assert_failure(response: Any, code: str, *, also: tuple[str, ...] = ()) -> dict[str, Any]:
    """The contract's form, with no key beside it but `also`."""
    status, title = CONTRACT[code]
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    assert response["X-Request-ID"]
    answer: dict[str, Any] = response.json()
    assert answer["success"] is False
    assert answer["code"] == code
    assert answer["error"] == (title or answer["error"])
    assert answer["error"]
    assert answer["details"]
    assert set(answer) == {"success", "error", "details", "code", *also}
    return answer


def test_the_codes_are_the_contracts_with_its_statuses_and_titles() -> None:
    assert set(ERRORS) == set(CONTRACT)
    for code, (status, title) in CONTRACT.items():
        assert ERRORS[code] == (status, title or ERRORS[code][1])


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/nowhere",
        "/api/unified",
        "/api/unified/",
        "/api/unified/nowhere",
        "/api/unified/user-info/more",
        "/api/unified/User-Info",
        "/api/unified//user-info",
        "/api/unified/projects/ABC123/contents",
        "/api/unified/%FF%00%0A",
        "/api/v2/unified/user-info",
        "/api/schema.json",
    ],
)
def test_nothing_at_this_address_is_a_404_for_everybody(
    db: None, anonymous: ApiClient, as_penora: ApiClient, path: str
) -> None:
    for method in (*METHODS, "TRACE"):
        for client in (anonymous, as_penora):
            assert_failure(client.request(method, path, data=b"{", content_type="application/json"), "not_found")


@pytest.mark.parametrize("path", document()["paths"])
def test_a_wrong_method_is_a_401_when_bare_and_a_405_with_a_key(
    db: None, anonymous: ApiClient, as_penora: ApiClient, path: str
) -> None:
    right = {method for method in METHODS if method.lower() in document()["paths"][path]}
    address = path.replace("{code}", "ABC123")

    for method in sorted(set(METHODS) - right):
        bare = anonymous.request(method, address)
        assert_failure(bare, "not_authenticated")
        assert bare["WWW-Authenticate"] == "Bearer"
        response = as_penora.request(method, address)
        assert_failure(response, "method_not_allowed")
        assert right == set(re.split(r",\s*", response["Allow"])) - {"HEAD", "OPTIONS"}


def test_bad_input_names_its_fields(alice: User, as_imagegene: ApiClient) -> None:
    answer = assert_failure(
        as_imagegene.post("deduct-credits", {"user_id": "alice"}), "validation_error", also=("fields",)
    )

    assert all(isinstance(messages, list) and messages for messages in answer["fields"].values())


def test_bad_input_within_an_object_is_named_flat(alice: User, as_imagegene: ApiClient) -> None:
    project = {"user_id": "alice", "app_source": "imagegene", "project_type": "art", "title": "x", "content": "x"}

    for charge, field in (({"amount": 0}, "charge.amount"), ("x", "charge"), ([], "charge")):
        response = as_imagegene.post("save-project", {**project, "charge": charge})
        answer = assert_failure(response, "validation_error", also=("fields",))
        assert list(answer["fields"]) == [field]
        assert answer["details"] == f"{field}: {answer['fields'][field][0]}"


def test_what_is_not_found_is_said_with_its_id(alice: User, as_imagegene: ApiClient) -> None:
    hold = as_imagegene.post("capture-credits", hold_id="H-1")
    assert assert_failure(hold, "hold_not_found", also=("hold_id",))["hold_id"] == "H-1"
    entry = as_imagegene.post("refund-credits", transaction_id="T-1", reason="x")
    assert assert_failure(entry, "transaction_not_found", also=("transaction_id",))["transaction_id"] == "T-1"
    user = as_imagegene.post("quote", user_id="U-1", amount=1)
    assert assert_failure(user, "user_not_found", also=("user_id",))["user_id"] == "U-1"


def test_a_hold_that_has_ended_is_said_with_how_and_when(alice: User, as_imagegene: ApiClient) -> None:
    held = reserve(as_imagegene)
    as_imagegene.post("release-credits", hold_id=held["hold_id"])

    answer = assert_failure(
        as_imagegene.post("capture-credits", hold_id=held["hold_id"]),
        "hold_not_active",
        also=("hold_id", "status", "expires_at", "transaction_id", "project_code"),
    )

    assert (answer["hold_id"], answer["expires_at"]) == (held["hold_id"], held["expires_at"])


def test_a_refund_of_too_much_is_said_with_what_is_left(alice: User, as_imagegene: ApiClient) -> None:
    spent = as_imagegene.post("deduct-credits", DEDUCTION).json()["transaction_id"]

    answer = assert_failure(
        as_imagegene.post("refund-credits", transaction_id=spent, amount=3, reason="x"),
        "refund_exceeds_charge",
        also=("charged", "refunded", "refundable"),
    )

    assert (answer["charged"], answer["refunded"], answer["refundable"]) == (2, 0, 2)


def test_broken_json_is_said_to_be_broken(alice: User, as_imagegene: ApiClient) -> None:
    assert_failure(as_imagegene.post("deduct-credits", raw=b'{"user_id": '), "invalid_json")


def test_a_body_of_over_twelve_megabytes_is_a_413(alice: User, as_imagegene: ApiClient, anonymous: ApiClient) -> None:
    limit = 12 * 1_048_576
    before = everything_of(alice)
    wanted = json.dumps(DEDUCTION).encode()

    over = as_imagegene.post("deduct-credits", raw=wanted.ljust(limit + 1))
    assert_failure(over, "payload_too_large", also=("limit_bytes",))
    assert over.json()["limit_bytes"] == limit
    assert_failure(anonymous.post("deduct-credits", raw=wanted.ljust(limit + 1)), "not_authenticated")
    assert everything_of(alice) == before
    assert as_imagegene.post("deduct-credits", raw=wanted.ljust(limit)).status_code == 200


@pytest.mark.parametrize("length", ["abc", "-1", "", "1e3", "99999999999999999999"])
def test_a_length_that_is_none_is_a_4xx(alice: User, as_imagegene: ApiClient, length: str) -> None:
    before = everything_of(alice)

    response = as_imagegene.request(
        "POST",
        "/api/unified/deduct-credits",
        data=json.dumps(DEDUCTION),
        content_type="application/json",
        CONTENT_LENGTH=length,
    )

    assert response.status_code in (400, 413)
    assert response.json()["success"] is False
    assert everything_of(alice) == before


@pytest.mark.parametrize("host", ["evil.example", "a b", "localhost:port", "", "testserver@evil.example", "a/b"])
def test_a_host_that_is_not_served_is_a_400(alice: User, as_imagegene: ApiClient, host: str) -> None:
    before = everything_of(alice)

    for response in (
        as_imagegene.post("deduct-credits", DEDUCTION, headers={"Host": host}),
        as_imagegene.get("user-info", user_id="alice", headers={"Host": host}),
    ):
        assert response.status_code == 400
        assert response["Content-Type"] == "application/json"
        answer = response.json()
        assert answer["success"] is False
        assert answer["code"] in CONTRACT
        assert answer["details"]
        assert b"DisallowedHost" not in response.content
    assert everything_of(alice) == before


def test_more_parameters_than_anybody_needs_are_a_400(alice: User, as_penora: ApiClient) -> None:
    query = {f"p{number}": "1" for number in range(2_000)}

    assert_failure(as_penora.get("user-info", user_id="alice", **query), "validation_error", also=("fields",))


def test_who_calls_too_often_is_told_when_to_try_again(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CallerThrottle, "THROTTLE_RATES", {"caller": "2/minute"})
    cache.clear()
    try:
        for _ in range(2):
            assert as_imagegene.post("deduct-credits", DEDUCTION).status_code == 200
        before = everything_of(alice)

        response = as_imagegene.post("deduct-credits", DEDUCTION)

        assert_failure(response, "throttled")
        assert 1 <= int(response["Retry-After"]) <= 60
        assert everything_of(alice) == before
        assert as_penora.get("user-info", user_id="alice").status_code == 200
    finally:
        cache.clear()


def test_a_throttled_call_keeps_no_key(alice: User, as_imagegene: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallerThrottle, "THROTTLE_RATES", {"caller": "1/minute"})
    cache.clear()
    try:
        as_imagegene.get("user-info", user_id="alice")
        assert_failure(as_imagegene.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": "k1"}), "throttled")
    finally:
        cache.clear()
    monkeypatch.undo()

    assert as_imagegene.post("deduct-credits", DEDUCTION, headers={"Idempotency-Key": "k1"}).status_code == 200


def test_answers_of_no_view_are_in_the_form_also_where_debug_is_on(
    db: None, settings: Any, as_penora: ApiClient
) -> None:
    settings.DEBUG = True

    assert_failure(as_penora.request("GET", "/api/unified/nowhere"), "not_found")
    response = as_penora.request("GET", "/api/unified/pricing", headers={"Host": "evil.example"})
    assert (response.status_code, response.json()["success"]) == (400, False)


def test_a_page_outside_of_the_api_has_no_such_form(db: None, as_penora: ApiClient) -> None:
    assert not as_penora.request("GET", "/nowhere")["Content-Type"].startswith("application/json")
