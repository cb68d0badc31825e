"""
The monthly credits of plans: once a person and period, however often and from wherever they are given.

Periods run from the moment when the person's plan months began, and are counted from there, not from one to the next:
who came on 31 January has them on 28 (or 29) February and again on 31 March. Credits of a period expire with it; those
of periods that nobody was there for are not made up, since they would have expired.

Periods are the person's, not the plan's: who changes plans within one keeps its days, and gets the difference.
"""

from __future__ import annotations

import calendar
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Sum
from django.db.models.functions import Now

from accounts.models import User
from credits.models import Grant, LedgerEntry
from credits.services.books import Books


def period_at(anchor: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The month from `anchor` on that contains `now`: its start, and its end, which is the next one's start."""
    months = (now.year - anchor.year) * 12 + now.month - anchor.month
    if add_months(anchor, months) > now:
        months -= 1
    return add_months(anchor, months), add_months(anchor, months + 1)


def add_months(moment: datetime, months: int) -> datetime:
    """The same day and time `months` later, or the last day of that month where it has no such day."""
    years, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(years, month + 1)[1])
    return moment.replace(year=years, month=month + 1, day=day)


@transaction.atomic
def grant_plan_credits(*, user: User) -> LedgerEntry | None:
    """
    Gives the person what their plan gives in the present period, less what this period has brought them already; the
    entry, or None if there is nothing to give.

    Locks: the account, under which it is looked whether they have it; a unique index stands behind.
    """
    books = Books(user)
    member = User.objects.select_related("plan").get(pk=user.pk)  # as they are now that nobody else is at it
    if not member.is_active or not member.plan.monthly_credits or member.plan_since > books.now:
        return None
    start, end = period_at(member.plan_since, books.now)
    given = Grant.objects.filter(account=books.account, period_start=start)
    if given.filter(plan=member.plan).exists():
        return None
    # Who changed plans within a month gets what the new one gives more, so that going to and fro earns nothing.
    amount = member.plan.monthly_credits - given.aggregate(total=Sum("amount", default=0))["total"]
    if amount <= 0:
        return None
    entry = books.enter(
        LedgerEntry.Type.GRANT,
        amount,
        description=f"{member.plan.name} plan, {start:%-d %B %Y} to {end:%-d %B %Y}",
        source=LedgerEntry.Source.PLAN,
        metadata={"plan": member.plan.slug},
    )
    books.add_lot(entry, amount, expires_at=end, plan=member.plan, period_start=start)
    books.write()
    return entry


@transaction.atomic
def has_plan_credits(*, user: User) -> bool:
    """
    Whether a month of plan credits is running: given, and not over, spent or not. Locks: the account, so that no month
    begins before the caller's transaction has ended.
    """
    books = Books(user)
    return Grant.objects.filter(account=books.account, period_start__isnull=False, expires_at__gt=books.now).exists()


def users_to_give_plan_credits(*, after_id: int = 0, limit: int) -> list[User]:
    """Up to `limit` active people, by row id and after the one with `after_id`, who lack their plan's credits."""
    given = Grant.objects.filter(account=OuterRef("pk"), period_start__gte=OuterRef("plan_since"), expires_at__gt=Now())
    due = User.objects.filter(~Exists(given), is_active=True, plan__monthly_credits__gt=0, plan_since__lte=Now())
    return list(due.filter(pk__gt=after_id).order_by("pk")[:limit])
