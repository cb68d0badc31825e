"""A stopped clock, and the figures worked out a second time, from the rows themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from accounts.models import AuditEntry, User
from credits.models import LedgerEntry
from tests.credits.books import Clock
from unified.figures import failures
from unified.figures.models import CreditDay, LastActive, ServiceDay
from workspace.models import Project

NOON = datetime(2100, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock(db: None) -> Clock:
    return Clock(NOON)


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser(user_id="root", username="Root", email="root@example.com", password=None)


@pytest.fixture(autouse=True)
def nothing_failed() -> Iterator[None]:
    """What other tests' calls have left in this process is none of ours, and ours is none of theirs."""
    failures.forget()
    yield
    failures.forget()


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def credit_days() -> dict[tuple[Any, ...], tuple[int, int]]:
    """What is kept, by what it is of: (entries, credits)."""
    return {
        (row.day, row.app_id, row.type, row.is_addition, row.operation): (row.entries, row.credits)
        for row in CreditDay.objects.all()
    }


def credit_days_from_the_ledger() -> dict[tuple[Any, ...], tuple[int, int]]:
    found: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for entry in LedgerEntry.objects.select_related("operation"):
        slug = entry.operation.slug if entry.operation else ""
        found[day_of(entry.created_at), entry.app_id, entry.type, entry.amount > 0, slug].append(entry.amount)
    return {kind: (len(amounts), sum(amounts)) for kind, amounts in found.items()}


def seen() -> dict[date, set[int]]:
    """Who was active on each day, as far as the rows still tell."""
    found: defaultdict[date, set[int]] = defaultdict(set)
    for entry in LedgerEntry.objects.exclude(app=None):
        found[day_of(entry.created_at)].add(entry.account_id)
    for project in Project.objects.all():
        found[day_of(project.created_at)].add(project.user_id)
        found[day_of(project.updated_at)].add(project.user_id)
    for line in AuditEntry.objects.filter(event="signed-in"):
        assert line.subject_id is not None
        found[day_of(line.created_at)].add(line.subject_id)
    return found


def active(day: date, days: int = 1) -> int:
    """Distinct people of the days that end with this one."""
    by_day = seen()
    return len(set().union(*(by_day.get(day - timedelta(days=back), set()) for back in range(days))))


def last_active() -> dict[int, date]:
    return dict(LastActive.objects.values_list("user_id", "day"))


def last_active_from_the_rows() -> dict[int, date]:
    return {user: max(day for day, who in seen().items() if user in who) for user in set().union(*seen().values())}


def of(day: date) -> ServiceDay:
    return ServiceDay.objects.get(day=day)
