"""
The figures of each day (UTC), counted from what there is: by the sweep, and whenever staff ask for it.

What is over is counted once. A day is final when an hour has passed since its end: an entry's `created_at` is read in
the transaction that writes it, and none lives for an hour (a statement ends after STATEMENT_TIMEOUT_MS, a transaction
that does nothing after a minute). Until then the day is counted anew each time, by the index on `created_at`, so an
entry that was committed late is not lost. However long nobody has counted, the next run counts everything since the
last day that is not final; the first one counts all days.

All of one run is one transaction, and there is one run at a time: a second one leaves it to the first.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Max, Subquery
from django.db.models.functions import Now

from accounts.models import AuditEntry
from unified.figures.models import CreditDay, ServiceDay, Verification

OPEN_FOR = timedelta(hours=1)  # after its end, until a day is final
ONE_DAY = timedelta(days=1)
MONTH = timedelta(days=29)  # the days before one that make thirty with it
VERIFICATIONS_KEPT = timedelta(days=90)
_THE_RUN = 6_006_001  # the advisory lock's number
_SIGNED_IN = AuditEntry.Event.SIGNED_IN.value

_CREDIT_DAYS = """
    INSERT INTO figures_creditday (day, app_id, type, is_addition, operation, entries, credits)
    SELECT (e.created_at AT TIME ZONE 'UTC')::date, e.app_id, e.type, e.amount > 0, COALESCE(o.slug, ''),
           COUNT(*), SUM(e.amount)
    FROM credits_ledgerentry e LEFT JOIN credits_operation o ON o.id = e.operation_id
    WHERE e.created_at >= %(start)s
    GROUP BY 1, 2, 3, 4, 5
"""

# Who did something when: people for whom an app entered something or whose projects it changed, and who signed in.
# A project that is edited again forgets the edit before it, so it also counts for the day on which it was made.
_SEEN = """
    SELECT account_id AS user_id, created_at AS at FROM credits_ledgerentry
    WHERE app_id IS NOT NULL AND created_at >= %(start)s
    UNION ALL
    SELECT user_id, updated_at FROM workspace_project WHERE updated_at >= %(start)s
    UNION ALL
    SELECT user_id, created_at FROM workspace_project WHERE updated_at >= %(start)s AND created_at >= %(start)s
    UNION ALL
    SELECT subject_id, created_at FROM accounts_auditentry
    WHERE event = %(signed_in)s AND subject_id IS NOT NULL AND created_at >= %(start)s
"""

# By user, so that whoever else writes these rows takes them in the same order.
_LAST_ACTIVE = f"""
    INSERT INTO figures_lastactive (user_id, day)
    SELECT user_id, MAX((at AT TIME ZONE 'UTC')::date) FROM ({_SEEN}) seen GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET day = EXCLUDED.day WHERE figures_lastactive.day < EXCLUDED.day
"""  # noqa: S608  of the texts above

# `figures_lastactive` knows of those who were seen on the day by an earlier run, the rest is looked up. Who has been
# active since is on a later day there, and was counted before: what has been counted never gets less.
_CLOSED = f"""
    UPDATE figures_serviceday SET
        active = GREATEST(active, (
            SELECT COUNT(*) FROM (
                SELECT user_id FROM figures_lastactive WHERE day = %(day)s
                UNION SELECT user_id FROM ({_SEEN}) seen WHERE at < %(end)s) people)),
        active_30_days = GREATEST(active_30_days, (
            SELECT COUNT(*) FROM (
                SELECT user_id FROM figures_lastactive WHERE day BETWEEN %(month)s AND %(day)s
                UNION SELECT user_id FROM ({_SEEN}) seen WHERE at < %(end)s) people)),
        outstanding = (SELECT COALESCE(SUM(credits), 0) FROM figures_creditday WHERE day <= %(day)s),
        is_final = %(is_final)s
    WHERE day = %(day)s
"""  # noqa: S608

# Room: by tenths of the limit, 0 for who keeps nothing and 11 for who is full; whole bytes, so no rounding.
_TODAY = """
    INSERT INTO figures_serviceday (day, as_of, people, active, active_30_days, outstanding, held,
                                    used_bytes, trash_bytes, projects, by_app, fullness, is_final)
    SELECT %(day)s, %(as_of)s,
           (SELECT COUNT(*) FROM accounts_user WHERE deleted_at IS NULL),
           (SELECT COUNT(*) FROM figures_lastactive WHERE day = %(day)s),
           (SELECT COUNT(*) FROM figures_lastactive WHERE day BETWEEN %(month)s AND %(day)s),
           (SELECT COALESCE(SUM(credits), 0) FROM figures_creditday),
           (SELECT COALESCE(SUM(amount), 0) FROM credits_hold WHERE status = 'active' AND expires_at > %(as_of)s),
           room.used_bytes, room.trash_bytes, room.projects,
           (SELECT COALESCE(jsonb_object_agg(slug, jsonb_build_object('bytes', bytes, 'projects', projects)), '{}')
            FROM (SELECT a.slug, SUM(s.used_bytes) AS bytes, SUM(s.project_count) AS projects
                  FROM workspace_appstorage s JOIN accounts_app a ON a.id = s.app_id GROUP BY a.slug) parts),
           room.fullness, FALSE
    FROM (
        SELECT COALESCE(SUM(used), 0) AS used_bytes, COALESCE(SUM(trash), 0) AS trash_bytes,
               COALESCE(SUM(projects), 0) AS projects, jsonb_agg(people ORDER BY tenth) AS fullness
        FROM (
            SELECT tenth, COUNT(user_id) AS people, SUM(used_bytes) AS used, SUM(trash_bytes) AS trash,
                   SUM(project_count) AS projects
            FROM generate_series(0, 11) tenth
            LEFT JOIN (
                SELECT *, CASE WHEN used_bytes = 0 THEN 0 WHEN used_bytes >= limit_bytes THEN 11
                               ELSE (used_bytes * 10 + limit_bytes - 1) / limit_bytes END AS filled
                FROM workspace_storage) rows ON filled = tenth
            GROUP BY tenth) tenths) room
    ON CONFLICT (day) DO UPDATE SET
        as_of = EXCLUDED.as_of, people = EXCLUDED.people,
        active = EXCLUDED.active, active_30_days = EXCLUDED.active_30_days,
        outstanding = EXCLUDED.outstanding, held = EXCLUDED.held, used_bytes = EXCLUDED.used_bytes,
        trash_bytes = EXCLUDED.trash_bytes, projects = EXCLUDED.projects, by_app = EXCLUDED.by_app,
        fullness = EXCLUDED.fullness
"""


def roll_up(*, at_most_ms: int = 0) -> bool:
    """
    Brings the figures up to date; False if somebody else is just doing so, who is left to it. A statement may take
    `at_most_ms` (0: as long as it takes, which on the first run over a large ledger is more than a page may). Raises
    OperationalError, with nothing changed, if it takes longer. Locks: an advisory lock; rows of figures only.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, TRUE)", [str(at_most_ms)])
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_THE_RUN])
        if not cursor.fetchone()[0]:
            return False
        # Before anything is read: what is committed after this may be missing, and then belongs to the next run.
        cursor.execute("SELECT statement_timestamp()")
        _count(cursor, cursor.fetchone()[0].astimezone(UTC))
        return True


def forget_old_verifications() -> int:
    """Removes runs of `verify_ledger` of more than 90 days ago, but for the last one. How many."""
    last = Verification.objects.order_by("-as_of", "-pk").values("pk")[:1]
    old = Verification.objects.filter(as_of__lt=Now() - VERIFICATIONS_KEPT).exclude(pk__in=Subquery(last))
    return old.delete()[0]


def _count(cursor: Any, as_of: datetime) -> None:
    today = as_of.date()
    last_run: datetime | None = ServiceDay.objects.aggregate(last=Max("as_of"))["last"]
    open_days = list(ServiceDay.objects.filter(is_final=False).order_by("day").values_list("day", flat=True))
    # A day that no run has looked at has no row; at the last run it may still have been open.
    first = min([*open_days, (last_run - OPEN_FOR).date()]) if last_run else date.min

    CreditDay.objects.filter(day__gte=first).delete()
    cursor.execute(_CREDIT_DAYS, {"start": _midnight(first)})
    for day in open_days:
        if day < today:
            end = _midnight(day + ONE_DAY)
            whole = {"day": day, "start": _midnight(day), "end": end, "is_final": end + OPEN_FOR <= as_of}
            cursor.execute(_CLOSED, {**whole, "month": day - MONTH, "signed_in": _SIGNED_IN})
    unseen_since = last_run - OPEN_FOR if last_run else _midnight(date.min)
    cursor.execute(_LAST_ACTIVE, {"start": unseen_since, "signed_in": _SIGNED_IN})
    cursor.execute(_TODAY, {"day": today, "as_of": as_of, "month": today - MONTH})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
