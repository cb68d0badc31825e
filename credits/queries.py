"""Reads of the ledger: a page of a person's history, filtered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from accounts.models import App, User
from credits.models import Account, LedgerEntry


@dataclass(frozen=True, slots=True)
class HistoryPage:
    entries: list[LedgerEntry]
    total_count: int  # of everything that matches, whatever the page
    next_before_seq: int | None  # where the next page starts, None on the last


def account_of(user: User) -> Account:
    """The person's account as it is now; an empty one, not saved, if there is none yet. One query."""
    return Account.objects.filter(user=user).first() or Account(user=user)


def history(
    *,
    user: User,
    limit: int,
    before_seq: int | None = None,
    app: App | None = None,
    type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> HistoryPage:
    """
    Up to `limit` entries, newest first, older than `before_seq`; `since` is inclusive, `until` is not.

    Two queries, of which the one for the page reads `limit` + 1 rows at the most when nothing is filtered.
    """
    matching = LedgerEntry.objects.filter(account_id=user.pk)
    if app is not None:
        matching = matching.filter(app=app)
    if type is not None:
        matching = matching.filter(type=type)
    if since is not None:
        matching = matching.filter(created_at__gte=since)
    if until is not None:
        matching = matching.filter(created_at__lt=until)
    total_count = matching.count()
    page = matching if before_seq is None else matching.filter(seq__lt=before_seq)
    entries = list(page.select_related("app", "operation").order_by("-seq")[: limit + 1])
    more = len(entries) > limit
    entries = entries[:limit]
    return HistoryPage(entries, total_count, entries[-1].seq if more else None)
