"""GET transactions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, User
from credits import services as credits
from credits.models import LedgerEntry
from credits.pricing import change_price
from tests.api.conftest import STAMP, everything_of
from tests.client import ApiClient
from tests.clock import let_pass

ROUTE = "transactions"


@pytest.fixture
def spend(alice: User) -> Any:
    """Spends for alice as the app named."""

    def spend(app: str, amount: int = 1, **changes: Any) -> LedgerEntry:
        owner = App.objects.get(slug=app)
        return credits.deduct(user=alice, app=owner, amount=amount, description=f"{amount} for {app}", **changes)[0]

    return spend


def seqs(transactions: list[dict[str, Any]]) -> list[int]:
    return [transaction["seq"] for transaction in transactions]


def test_a_deduction_is_listed_with_everything_that_was_said_of_it(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    spent = as_imagegene.post(
        "deduct-credits",
        user_id="alice",
        operation="basic_art",
        quantity=3,
        app_name="imagegene",
        description="Three pictures",
        project_code="img123",
    ).json()

    response = as_penora.get(ROUTE, user_id="alice")

    assert response.status_code == 200
    newest = response.json()["all_transactions"][0]
    assert re.fullmatch(STAMP, newest["created_at"])
    assert newest == {
        "id": spent["transaction_id"],
        "seq": 2,
        "type": "deduction",
        "amount": -6,
        "balance_after": 44,
        "app_name": "imagegene",
        "description": "Three pictures",
        "project_code": "img123",
        "operation": "basic_art",
        "quantity": 3,
        "unit_credits": 2,
        "price_version": 1,
        "related_transaction_id": None,
        "source": None,
        "metadata": {},
        "created_at": spent["timestamp"],
    }


def test_an_entry_keeps_the_price_that_it_was_charged_at(alice: User, as_imagegene: ApiClient) -> None:
    wanted = {"user_id": "alice", "operation": "basic_art", "app_name": "imagegene", "description": "A picture"}
    as_imagegene.post("deduct-credits", wanted)
    change_price(slug="basic_art", credits=7)
    as_imagegene.post("deduct-credits", wanted)

    newest, before, _ = as_imagegene.get(ROUTE, user_id="alice").json()["all_transactions"]

    assert (newest["amount"], newest["unit_credits"], newest["price_version"]) == (-7, 7, 2)
    assert (before["amount"], before["unit_credits"], before["price_version"]) == (-2, 2, 1)


def test_what_staff_or_the_system_did_has_no_app(alice: User, as_penora: ApiClient) -> None:
    (grant,) = as_penora.get(ROUTE, user_id="alice").json()["all_transactions"]

    assert (grant["type"], grant["amount"], grant["balance_after"], grant["seq"]) == ("grant", 50, 50, 1)
    assert grant["app_name"] is None
    assert grant["operation"] is grant["quantity"] is grant["project_code"] is None
    assert grant["unit_credits"] is grant["price_version"] is None


def test_newest_first_in_all_and_in_each_apps_list(spend: Any, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    for app in ("penora", "imagegene", "penora"):
        spend(app)

    for client in (as_penora, as_imagegene):
        answer = client.get(ROUTE, user_id="alice").json()
        assert answer["success"] is True
        assert seqs(answer["all_transactions"]) == [4, 3, 2, 1]
        assert seqs(answer["penora_transactions"]) == [4, 2]
        assert seqs(answer["imagegene_transactions"]) == [3]
        assert answer["total_count"] == 4
        assert answer["next_cursor"] is None


def test_every_balance_follows_from_the_one_before(spend: Any, as_penora: ApiClient) -> None:
    for amount in (3, 1, 20):
        spend("penora", amount)

    listed = as_penora.get(ROUTE, user_id="alice").json()["all_transactions"][::-1]

    assert seqs(listed) == [1, 2, 3, 4]
    balance = 0
    for transaction in listed:
        balance += transaction["amount"]
        assert transaction["balance_after"] == balance
    assert balance == as_penora.get("user-info", user_id="alice").json()["credits"] == 26


def test_fifty_are_listed_if_no_number_is_given(spend: Any, as_penora: ApiClient) -> None:
    for _ in range(50):
        spend("penora")

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert seqs(answer["all_transactions"]) == list(range(51, 1, -1))
    assert answer["total_count"] == 51
    rest = as_penora.get(ROUTE, user_id="alice", cursor=answer["next_cursor"]).json()
    assert seqs(rest["all_transactions"]) == [1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 500])
def test_pages_of_any_size_hold_every_entry_once(spend: Any, as_penora: ApiClient, limit: int) -> None:
    for app in ("penora", "imagegene", "penora"):
        spend(app)

    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        answer = as_penora.get(ROUTE, user_id="alice", limit=limit, **cursor).json()
        assert answer["total_count"] == 4
        page = seqs(answer["all_transactions"])
        assert sorted(seqs(answer["penora_transactions"]) + seqs(answer["imagegene_transactions"])) == sorted(
            seq for seq in page if seq != 1
        )
        found += page
        assert len(found) <= 4
        if answer["next_cursor"] is None:
            break
        assert len(page) == limit
        cursor = {"cursor": answer["next_cursor"]}
    assert found == [4, 3, 2, 1]


def test_an_entry_written_between_two_pages_shifts_nothing(spend: Any, as_penora: ApiClient) -> None:
    spend("penora")
    first = as_penora.get(ROUTE, user_id="alice", limit=1).json()

    spend("penora")

    second = as_penora.get(ROUTE, user_id="alice", limit=1, cursor=first["next_cursor"]).json()
    assert seqs(second["all_transactions"]) == [1]


def test_filters_by_app_and_by_type(spend: Any, as_penora: ApiClient) -> None:
    spend("penora")
    spend("imagegene")

    by_app = as_penora.get(ROUTE, user_id="alice", app="imagegene").json()
    assert seqs(by_app["all_transactions"]) == seqs(by_app["imagegene_transactions"]) == [3]
    assert (by_app["penora_transactions"], by_app["total_count"]) == ([], 1)
    by_type = as_penora.get(ROUTE, user_id="alice", type="grant").json()
    assert (seqs(by_type["all_transactions"]), by_type["total_count"]) == ([1], 1)
    both = as_penora.get(ROUTE, user_id="alice", type="deduction", app="penora").json()
    assert (seqs(both["all_transactions"]), both["total_count"]) == ([2], 1)
    assert as_penora.get(ROUTE, user_id="alice", type="refund").json()["all_transactions"] == []


def test_since_and_until_bound_the_time(alice: User, as_penora: ApiClient) -> None:
    (grant,) = as_penora.get(ROUTE, user_id="alice").json()["all_transactions"]
    moment = datetime.fromisoformat(grant["created_at"])
    before, after = moment - timedelta(hours=1), moment + timedelta(hours=1)

    def count(**times: str) -> int:
        answer = as_penora.get(ROUTE, user_id="alice", **times).json()
        assert len(answer["all_transactions"]) == answer["total_count"]
        return len(answer["all_transactions"])

    assert count(since=before.isoformat(), until=after.isoformat()) == 1
    assert count(since=after.isoformat()) == 0
    assert count(until=before.isoformat()) == 0
    assert count(since=grant["created_at"]) == 1
    assert count(since=after.isoformat(), until=before.isoformat()) == 0
    # The same moments on other clocks, and as a person would type them.
    assert count(since=before.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")) == 1
    assert count(since="2000-01-01T00:00:00+02:00", until="2999-12-31T00:00:00-08:00") == 1
    assert count(since="2000-01-01") == 1
    assert count(since=grant["created_at"].replace("Z", "999Z")) == 1  # nanoseconds, as some languages print them


def test_a_page_within_a_span_goes_on_within_it(alice: User, spend: Any, as_penora: ApiClient) -> None:
    spend("penora")
    spend("imagegene")

    first = as_penora.get(ROUTE, user_id="alice", type="deduction", limit=1).json()
    second = as_penora.get(ROUTE, user_id="alice", type="deduction", limit=1, cursor=first["next_cursor"]).json()

    assert (seqs(first["all_transactions"]), seqs(second["all_transactions"])) == ([3], [2])
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("limit", value) for value in ("0", "501", "-1", "1.0", "x", "1e2", "٣", "9" * 30)),
        *(("cursor", value) for value in ("x", "!", "é", "\x00", "dHJhbnNhY3Rpb25zOg")),
        *(("type", value) for value in ("Grant", "purchase", "a\x00b")),
        *(("app", value) for value in ("nobody", "Penora", "a\x00b")),
        *(("since", value) for value in ("yesterday", "2026-13-01", "2026-01-01T25:00:00Z", "1767225600", "a\x00b")),
        *(("until", value) for value in ("never", "2026-02-30", "0001-01-01T00:00:00+14:00")),
        *(("user_id", value) for value in ("", "a\x00b")),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(alice: User, as_penora: ApiClient, field: str, value: str) -> None:
    response = as_penora.get(ROUTE, **{"user_id": "alice", field: value})

    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == [field]


def test_an_empty_parameter_is_one_that_was_left_out(spend: Any, as_penora: ApiClient) -> None:
    spend("penora")
    empty = dict.fromkeys(("limit", "cursor", "app", "type", "since", "until"), "")

    assert as_penora.get(ROUTE, user_id="alice", **empty).json() == as_penora.get(ROUTE, user_id="alice").json()


def test_the_cursor_of_another_list_is_refused(alice: User, as_penora: ApiClient) -> None:
    for title in ("one", "two"):
        as_penora.post(
            "save-project", user_id="alice", app_source="penora", project_type="page", title=title, content="x"
        )
    other = as_penora.get("projects", user_id="alice", limit=1).json()["next_cursor"]

    response = as_penora.get(ROUTE, user_id="alice", cursor=other)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["cursor"]


def test_other_peoples_entries_are_not_listed(spend: Any, bob: User, as_penora: ApiClient) -> None:
    spend("penora")

    answer = as_penora.get(ROUTE, user_id="bob").json()

    assert (seqs(answer["all_transactions"]), answer["total_count"]) == ([1], 1)


def test_nobody_by_this_id_is_a_404(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="nobody")

    assert response.status_code == 404
    assert (response.json()["code"], response.json()["user_id"]) == ("user_not_found", "nobody")


def test_a_further_app_has_its_own_list_at_once(alice: User, as_penora: ApiClient) -> None:
    App.objects.create(slug="sketch_pad", name="Sketch Pad")

    assert as_penora.get(ROUTE, user_id="alice").json()["sketch_pad_transactions"] == []


def test_a_longer_history_takes_no_more_queries(
    spend: Any, as_penora: ApiClient, django_assert_num_queries: Any
) -> None:
    as_penora.get(ROUTE, user_id="alice")  # the first call also notes that the key was used
    with CaptureQueriesContext(connection) as few:
        as_penora.get(ROUTE, user_id="alice")
    for _ in range(5):
        spend("imagegene")
    with django_assert_num_queries(len(few)):
        as_penora.get(ROUTE, user_id="alice")


def test_looking_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    as_penora.get(ROUTE, user_id="alice")

    assert everything_of(alice) == before


def of_every_type(alice: User, penora: App) -> None:
    """Entries 1 to 6: welcome, gift, what was spent, what was refunded, what staff added, and the gift's expiry."""
    ends = timezone.now() + timedelta(hours=1)
    gift = LedgerEntry.Source.PROMOTION
    credits.grant(user=alice, amount=10, source=gift, description="A gift", expires_at=ends)
    spent, _ = credits.deduct(user=alice, app=penora, amount=4, description="A page")
    credits.refund(entry=spent, amount=1, reason="Half of it failed")
    staff = User.objects.create_superuser(user_id="staff", username="Staff", email="staff@example.com", password="x")
    credits.adjust(user=alice, amount=5, reason="An apology", actor=staff, idempotency_key="k1")
    let_pass(timedelta(hours=2))
    credits.settle(user=alice)


def test_every_type_is_listed_with_its_source_and_what_it_is_about(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    of_every_type(alice, penora)

    listed = as_penora.get(ROUTE, user_id="alice").json()["all_transactions"][::-1]

    assert [
        (entry["seq"], entry["type"], entry["amount"], entry["balance_after"], entry["source"], entry["app_name"])
        for entry in listed
    ] == [
        (1, "grant", 50, 50, "signup", None),
        (2, "grant", 10, 60, "promotion", None),
        (3, "deduction", -4, 56, None, "penora"),
        (4, "refund", 1, 57, "refund", "penora"),
        (5, "adjustment", 5, 62, "adjustment", None),
        (6, "expiry", -7, 55, None, None),
    ]
    ids = [entry["id"] for entry in listed]
    assert [entry["related_transaction_id"] for entry in listed] == [None, None, None, ids[2], None, ids[1]]
    assert all(entry["description"] for entry in listed)
    assert (listed[3]["description"], listed[4]["description"]) == ("Half of it failed", "An apology")


@pytest.mark.parametrize(
    ("type", "expected"),
    [("grant", [2, 1]), ("deduction", [3]), ("refund", [4]), ("adjustment", [5]), ("expiry", [6])],
)
def test_each_type_can_be_asked_for(
    alice: User, penora: App, as_penora: ApiClient, type: str, expected: list[int]
) -> None:
    of_every_type(alice, penora)

    answer = as_penora.get(ROUTE, user_id="alice", type=type).json()

    assert (seqs(answer["all_transactions"]), answer["total_count"]) == (expected, len(expected))


def test_a_refund_through_the_api_names_its_deduction(alice: User, spend: Any, as_penora: ApiClient) -> None:
    spent = str(spend("penora", 4).pk)
    refund = as_penora.post("refund-credits", transaction_id=spent, reason="It failed").json()

    (newest,) = as_penora.get(ROUTE, user_id="alice", type="refund").json()["all_transactions"]

    assert (newest["id"], newest["related_transaction_id"]) == (refund["transaction_id"], spent)
    assert (newest["amount"], newest["source"], newest["operation"]) == (4, "refund", None)
