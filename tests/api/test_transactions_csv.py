"""GET transactions.csv."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, User
from credits import services as credits
from credits.models import Account, LedgerEntry
from credits.queries import EXPORT_BATCH
from tests.api.conftest import STAMP, everything_of, reserve
from tests.client import ApiClient
from tests.clock import let_pass

ROUTE = "transactions.csv"
HEADER = [
    *("seq", "created_at", "type", "amount", "balance_after", "app_name", "description", "project_code"),
    *("operation", "quantity", "unit_credits", "price_version", "source", "id", "related_transaction_id", "metadata"),
]


def whole(response: Any) -> str:
    """The file that was streamed."""
    assert response.status_code == 200, response.content
    file: bytes = response.getvalue()
    return file.decode()


def lines(client: ApiClient, **query: Any) -> list[dict[str, str]]:
    """Each line of the file by its header's names, as a program would read them."""
    text = whole(client.get(ROUTE, **{"user_id": "alice", **query}))
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert rows[0] == HEADER
    return [dict(zip(HEADER, row, strict=True)) for row in rows[1:]]


def spend(user: User, app: str, amount: int = 1, description: str = "A page", **changes: Any) -> LedgerEntry:
    owner = App.objects.get(slug=app)
    return credits.deduct(user=user, app=owner, amount=amount, description=description, **changes)[0]


def test_a_file_with_a_header_and_everything_that_the_list_has_oldest_first(
    alice: User, as_imagegene: ApiClient, as_penora: ApiClient
) -> None:
    held = reserve(as_imagegene, amount=..., operation="basic_art", quantity=3, project_code="IMG123")["hold_id"]
    spent = as_imagegene.post("capture-credits", hold_id=held).json()["transaction_id"]
    as_imagegene.post("refund-credits", transaction_id=spent, amount=2, reason="One failed")

    response = as_penora.get(ROUTE, user_id="alice")

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="transactions.csv"'
    text = whole(response)
    assert text.splitlines()[0] == ",".join(HEADER)
    found = lines(as_penora)
    assert [line["seq"] for line in found] == ["1", "2", "3"]
    listed = as_penora.get("transactions", user_id="alice").json()["all_transactions"][::-1]
    for line, entry in zip(found, listed, strict=True):
        assert re.fullmatch(STAMP, line["created_at"])
        assert json.loads(line["metadata"] or "{}") == entry["metadata"]
        for name in set(HEADER) - {"metadata"}:
            assert line[name] == ("" if entry[name] is None else str(entry[name])), name
    assert found[1]["operation"] == "basic_art"
    assert found[2]["related_transaction_id"] == spent


def test_every_line_ends_as_rfc_4180_says(alice: User, as_penora: ApiClient) -> None:
    spend(alice, "penora")

    text = whole(as_penora.get(ROUTE, user_id="alice"))

    assert text.endswith("\r\n")
    assert text.count("\r\n") == text.count("\n") == 3


@pytest.mark.parametrize(
    "description",
    [
        "one, two, three",
        'he said "no"',
        '"',
        '","',
        "two\nlines",
        "two\r\nlines, and more",
        "Überschrift – größer, ñ, 日本語, 👩‍🎨",
        "  padded  ",
        "semi;colon\tand tab",
        "a - b",
        "1+1=2",
        "x@y",
    ],
)
def test_a_description_is_read_as_it_was_written(alice: User, as_penora: ApiClient, description: str) -> None:
    spend(alice, "penora", description=description)

    (_, line) = lines(as_penora)

    assert line["description"] == description
    assert (line["seq"], line["amount"], line["balance_after"]) == ("2", "-1", "49")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_marked_as_text(
    alice: User, as_penora: ApiClient, first: str
) -> None:
    formula = f'{first}HYPERLINK("https://evil.example","x")'
    spend(alice, "penora", description=formula, project_code=f"{first}1,2"[:64])

    (_, line) = lines(as_penora)

    assert line["description"] == f"'{formula}"
    assert line["project_code"] == f"'{first}1,2"
    assert (line["amount"], line["balance_after"]) == ("-1", "49")


def test_a_negative_amount_stays_a_number(alice: User, as_penora: ApiClient) -> None:
    spend(alice, "penora", 7)

    assert ",deduction,-7,43,penora," in whole(as_penora.get(ROUTE, user_id="alice"))


def test_it_is_filtered_as_the_list_is(alice: User, as_penora: ApiClient) -> None:
    spend(alice, "penora")
    spend(alice, "imagegene")
    let_pass(timedelta(hours=2))
    spend(alice, "penora")
    now = datetime.now().astimezone()
    hour = {"since": (now - timedelta(hours=1)).isoformat()}
    before = {"until": (now - timedelta(hours=1)).isoformat()}

    for query, expected in (
        ({}, ["1", "2", "3", "4"]),
        ({"app": "penora"}, ["2", "4"]),
        ({"app": "imagegene"}, ["3"]),
        ({"type": "grant"}, ["1"]),
        ({"type": "deduction"}, ["2", "3", "4"]),
        ({"type": "refund"}, []),
        (hour, ["4"]),
        (before, ["1", "2", "3"]),
        ({**hour, **before}, []),
        ({**before, "app": "penora", "type": "deduction"}, ["2"]),
        ({"app": "", "type": "", "since": "", "until": ""}, ["1", "2", "3", "4"]),
    ):
        assert [line["seq"] for line in lines(as_penora, **query)] == expected, query
        listed = as_penora.get("transactions", user_id="alice", **query).json()["all_transactions"]
        assert [str(entry["seq"]) for entry in reversed(listed)] == expected


def test_since_is_inclusive_and_until_is_not(alice: User, as_penora: ApiClient) -> None:
    (grant,) = lines(as_penora)

    assert len(lines(as_penora, since=grant["created_at"])) == 1
    assert lines(as_penora, until=grant["created_at"]) == []


def test_an_empty_history_is_a_header(db: None, as_penora: ApiClient) -> None:
    as_penora.post("create-user", user_id="dora", username="Dora", email="dora@example.com", initial_credits=0)

    assert whole(as_penora.get(ROUTE, user_id="dora")) == ",".join(HEADER) + "\r\n"


def test_other_peoples_entries_are_not_in_it(alice: User, bob: User, as_penora: ApiClient) -> None:
    spend(bob, "penora")

    assert [line["seq"] for line in lines(as_penora)] == ["1"]


def test_expiries_and_adjustments_are_in_it(alice: User, as_penora: ApiClient) -> None:
    ends = timezone.now() + timedelta(hours=1)
    gift = LedgerEntry.Source.PROMOTION
    credits.grant(user=alice, amount=10, source=gift, description="A gift", expires_at=ends)
    let_pass(timedelta(hours=2))
    spend(alice, "penora")

    found = lines(as_penora)

    assert [(line["type"], line["amount"], line["source"]) for line in found] == [
        ("grant", "50", "signup"),
        ("grant", "10", "promotion"),
        ("expiry", "-10", ""),
        ("deduction", "-1", ""),
    ]
    assert found[2]["related_transaction_id"] == found[1]["id"]


def write_history(user: User, count: int) -> None:
    """Brings the person's history to `count` entries, at one go."""
    app = App.objects.get(slug="penora")
    account = Account.objects.get(user=user)
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            account=account,
            seq=seq,
            type="grant",
            amount=1,
            balance_after=account.balance + seq - account.seq,
            app=app,
            description=f"Entry {seq}",
            source=LedgerEntry.Source.PROMOTION,
        )
        for seq in range(account.seq + 1, count + 1)
    )
    Account.objects.filter(user=user).update(seq=count, balance=account.balance + count - account.seq)


@pytest.mark.parametrize("count", [1_999, 2_000, 2_001, 4_000, 4_003])
def test_a_long_history_comes_whole_in_few_queries(alice: User, as_penora: ApiClient, count: int) -> None:
    assert EXPORT_BATCH == 2_000
    write_history(alice, count)
    lines(as_penora)  # the first call also notes that the key was used

    with CaptureQueriesContext(connection) as queries:
        found = lines(as_penora)

    assert [int(line["seq"]) for line in found] == list(range(1, count + 1))
    assert found[-1]["description"] == f"Entry {count}"
    reads = [query for query in queries.captured_queries if "credits_ledgerentry" in query["sql"]]
    assert len(reads) == 1 + -(-count // 2_000)
    assert len(queries) <= len(reads) + 4


def test_a_filtered_long_history_comes_whole(alice: User, as_penora: ApiClient) -> None:
    spend(alice, "imagegene")
    write_history(alice, 4_003)
    spend(alice, "imagegene")

    assert [line["seq"] for line in lines(as_penora, app="imagegene")] == ["2", "4004"]
    assert len(lines(as_penora, app="penora")) == 4_001


@pytest.mark.parametrize("count", [2, 2_001])
def test_what_is_written_while_it_is_sent_is_not_in_it(alice: User, as_penora: ApiClient, count: int) -> None:
    """Else somebody who writes as fast as it is read would make it endless."""
    write_history(alice, count)
    response = as_penora.get(ROUTE, user_id="alice")
    spend(alice, "penora")

    assert len(whole(response).splitlines()) == count + 1


def test_a_page_is_not_asked_for(alice: User, as_penora: ApiClient) -> None:
    """The list's `limit` and `cursor` mean nothing here: it is all of it."""
    spend(alice, "penora")

    assert len(lines(as_penora, limit="1")) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("type", value) for value in ("Grant", "purchase", "a\x00b")),
        *(("app", value) for value in ("nobody", "Penora", "a\x00b")),
        *(("since", value) for value in ("yesterday", "2026-13-01", "1767225600", "a\x00b")),
        *(("until", value) for value in ("never", "2026-02-30")),
        *(("user_id", value) for value in ("", "a\x00b", "x" * 256)),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named_in_json(
    alice: User, as_penora: ApiClient, field: str, value: str
) -> None:
    response = as_penora.get(ROUTE, **{"user_id": "alice", field: value})

    assert (response.status_code, response["Content-Type"]) == (400, "application/json")
    assert response.json()["code"] == "validation_error"
    assert list(response.json()["fields"]) == [field]
    assert "Content-Disposition" not in response


def test_nobody_by_this_id_is_a_404_in_json(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="Alice")

    assert (response.status_code, response["Content-Type"]) == (404, "application/json")
    assert (response.json()["code"], response.json()["user_id"]) == ("user_not_found", "Alice")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_only_read(alice: User, as_penora: ApiClient, method: str) -> None:
    before = everything_of(alice)

    response = as_penora.request(method, f"/api/unified/{ROUTE}?user_id=alice")

    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert everything_of(alice) == before


def test_a_trailing_slash_is_the_same_file(alice: User, as_penora: ApiClient) -> None:
    spend(alice, "penora")

    bare, twin = (whole(as_penora.get(route, user_id="alice")) for route in (ROUTE, f"{ROUTE}/"))

    assert bare == twin
    assert len(bare.splitlines()) == 3


@pytest.mark.parametrize("accept", ["text/csv", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"])
def test_it_is_csv_whatever_accept_says(alice: User, as_penora: ApiClient, accept: str) -> None:
    response = as_penora.get(ROUTE, user_id="alice", headers={"Accept": accept})

    assert (response["Content-Type"], len(whole(response).splitlines())) == ("text/csv; charset=utf-8", 2)


def test_a_deactivated_persons_history_can_still_be_read(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert len(lines(as_penora)) == 1


def test_looking_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    ends = timezone.now() + timedelta(hours=1)
    gift = LedgerEntry.Source.PROMOTION
    credits.grant(user=alice, amount=10, source=gift, description="A gift", expires_at=ends)
    let_pass(timedelta(hours=2))
    before = everything_of(alice)

    lines(as_penora)

    assert everything_of(alice) == before
