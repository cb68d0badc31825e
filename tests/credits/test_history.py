"""Pages of a person's history."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, User
from credits import queries, services
from credits.models import Account, LedgerEntry, Operation
from credits.queries import export, history, position_of


@pytest.fixture
def busy(alice: User, bob: User, penora: App, imagegene: App) -> User:
    """Alice with entries 1 to 9: her welcome, and then a deduction by each app in turn. Bob has some too."""
    for number in range(8):
        services.deduct(user=alice, app=(penora, imagegene)[number % 2], amount=1, description=f"call {number}")
        services.deduct(user=bob, app=penora, amount=2, description="bob's")
    return alice


def numbers(entries: list[LedgerEntry]) -> list[int]:
    return [entry.seq for entry in entries]


def test_the_newest_comes_first_and_only_ones_own(busy: User) -> None:
    page = history(user=busy, limit=100)

    assert numbers(page.entries) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert {entry.account_id for entry in page.entries} == {busy.pk}
    assert (page.total_count, page.next_before_seq) == (9, None)


@pytest.mark.parametrize("limit", [1, 2, 4, 8, 9, 10])
def test_the_pages_together_are_the_whole_each_entry_once(busy: User, limit: int) -> None:
    seen: list[int] = []
    before = None
    for _ in range(20):  # more pages than there are
        page = history(user=busy, limit=limit, before_seq=before)
        assert page.total_count == 9
        assert 1 <= len(page.entries) <= limit
        seen += numbers(page.entries)
        before = page.next_before_seq
        if before is None:
            break

    assert seen == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_a_page_that_is_just_full_is_the_last(busy: User) -> None:
    assert history(user=busy, limit=9).next_before_seq is None
    assert history(user=busy, limit=8).next_before_seq == 2


def test_what_is_written_between_two_pages_moves_nothing(busy: User, penora: App) -> None:
    first = history(user=busy, limit=4)
    services.deduct(user=busy, app=penora, amount=1, description="meanwhile")
    second = history(user=busy, limit=4, before_seq=first.next_before_seq)

    assert numbers(first.entries) + numbers(second.entries) == [9, 8, 7, 6, 5, 4, 3, 2]


def test_filters_narrow_the_count_as_well_as_the_page(busy: User, penora: App) -> None:
    page = history(user=busy, limit=2, app=penora)
    assert (numbers(page.entries), page.total_count, page.next_before_seq) == ([8, 6], 4, 6)

    page = history(user=busy, limit=2, type="grant")
    assert (numbers(page.entries), page.total_count, page.next_before_seq) == ([1], 1, None)

    page = history(user=busy, limit=2, app=penora, type="grant")
    assert (page.entries, page.total_count, page.next_before_seq) == ([], 0, None)


def test_since_is_inclusive_and_until_is_not(alice: User) -> None:
    moment = timezone.now() - timedelta(days=1)
    for seq, minutes in ((2, 0), (3, 1), (4, 2)):
        LedgerEntry.objects.create(
            account_id=alice.pk,
            seq=seq,
            type="grant",
            amount=1,
            balance_after=49 + seq,
            description="dated",
            created_at=moment + timedelta(minutes=minutes),
        )

    page = history(user=alice, limit=10, since=moment, until=moment + timedelta(minutes=2))

    assert numbers(page.entries) == [3, 2]
    assert page.total_count == 2


def test_a_page_is_two_queries_and_its_apps_and_operations_are_read_with_it(busy: User, penora: App) -> None:
    line = Operation.objects.get(slug="page")
    services.deduct(user=busy, app=penora, amount=1, description="priced", operation=line, quantity=1)

    with CaptureQueriesContext(connection) as captured:
        page = history(user=busy, limit=100)
        named = [(entry.app and entry.app.slug, entry.operation and entry.operation.slug) for entry in page.entries]

    assert named[0] == ("penora", "page")
    assert named[-1] == (None, None)
    assert len(captured) == 2


def test_the_account_of_someone_without_one_is_empty_and_is_not_written(alice: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    assert (position_of(bob).balance, position_of(bob).spendable) == (0, 0)
    assert not Account.objects.filter(user=bob).exists()
    assert position_of(alice).balance == 50


# --- export ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 3, 8, 9, 10])
def test_an_export_is_every_entry_once_oldest_first_and_only_ones_own(
    busy: User, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(queries, "EXPORT_BATCH", batch)

    entries = list(export(user=busy))

    assert numbers(entries) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert {entry.account_id for entry in entries} == {busy.pk}
    assert numbers(list(export(user=busy, newest_first=True))) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("batch", [1, 2, 2_000])
def test_an_export_is_filtered_as_a_page_is(
    busy: User, penora: App, imagegene: App, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(queries, "EXPORT_BATCH", batch)
    moments = dict(LedgerEntry.objects.filter(account=busy.pk).values_list("seq", "created_at"))

    assert numbers(list(export(user=busy, app=penora))) == [2, 4, 6, 8]
    assert numbers(list(export(user=busy, app=imagegene, type="deduction"))) == [3, 5, 7, 9]
    assert numbers(list(export(user=busy, type="grant"))) == [1]
    assert numbers(list(export(user=busy, type="refund"))) == []
    assert numbers(list(export(user=busy, since=moments[3], until=moments[6]))) == [3, 4, 5]


def test_what_is_written_while_an_export_runs_is_not_in_it(
    busy: User, penora: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EXPORT_BATCH", 4)
    running = export(user=busy)
    first = next(running)
    services.deduct(user=busy, app=penora, amount=1, description="meanwhile")

    assert numbers([first, *running]) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len(list(export(user=busy))) == 10


def test_an_export_reads_a_batch_a_statement_with_apps_and_operations(
    busy: User, penora: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EXPORT_BATCH", 4)
    line = Operation.objects.get(slug="page")
    services.deduct(user=busy, app=penora, amount=1, description="priced", operation=line, quantity=1)

    with CaptureQueriesContext(connection) as captured:
        entries = list(export(user=busy))
        named = [(entry.app and entry.app.slug, entry.operation and entry.operation.slug) for entry in entries]

    assert (named[0], named[-1]) == ((None, None), ("penora", "page"))
    assert len(captured) == 1 + 3  # where it ends, and ten entries by four
    assert all("LIMIT" in query["sql"] for query in captured)


def test_the_export_of_someone_without_an_account_is_empty(alice: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    assert list(export(user=bob)) == []
