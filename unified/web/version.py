"""
One word that changes with what an open page of a person follows: their credits and holds, projects and trash, room,
plan and wishes. It is made of what every change of these moves, read in one statement without any lock; that two of
them differ is all that it says. Before the dot it says whose it is: a browser may have come to be somebody else's while
a page was open.

What it does not know of shows when a page is opened next: another name or e-mail address, what plans offer, what things
cost, which apps there are, and which of them act for the person.
"""

from __future__ import annotations

import hashlib
from typing import Final

from django.db import connection

from accounts.models import User
from workspace.models import undo_time

# What is over by the clock changes what can be spent, kept and restored without a write: so live holds are summed, and
# credits that have expired, room that is no longer reserved, and what can still be restored. Kept projects and those in
# the trash are asked for apart, because the indexes of a person's projects have the ones or the others.
_STATE: Final = """
    SELECT a.seq, a.balance, a.held,
           (SELECT (COUNT(*), SUM(amount), MAX(created_at)) FROM credits_hold
            WHERE account_id = %(user)s AND status = 'active' AND expires_at > STATEMENT_TIMESTAMP()),
           (SELECT SUM(remaining) FROM credits_grant
            WHERE account_id = %(user)s AND remaining > 0 AND expires_at <= STATEMENT_TIMESTAMP()),
           s.used_bytes, s.reserved_bytes, s.limit_bytes, s.project_count,
           (SELECT SUM(size_bytes) FROM workspace_reservation
            WHERE storage_id = %(user)s AND expires_at <= STATEMENT_TIMESTAMP()),
           (SELECT (MAX(updated_at), SUM(version), SUM(id)) FROM workspace_project
            WHERE user_id = %(user)s AND deleted_at IS NULL),
           (SELECT (COUNT(*), MAX(deleted_at), SUM(id)) FROM workspace_project
            WHERE user_id = %(user)s AND NOT deleted_at IS NULL
              AND deleted_at > STATEMENT_TIMESTAMP() - make_interval(secs => %(undo)s)),
           u.plan_id,
           (SELECT (MAX(id), MAX(decided_at), MAX(seen_at)) FROM accounts_upgraderequest WHERE user_id = %(user)s)
    FROM accounts_user u
    LEFT JOIN credits_account a ON a.user_id = u.id LEFT JOIN workspace_storage s ON s.user_id = u.id
    WHERE u.id = %(user)s
"""


def version_of(user: User) -> str:
    """The version of what the person's open pages follow. One query, of their own rows alone."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"user": user.pk, "undo": undo_time().total_seconds()})
        row = cursor.fetchone()
    return f"{_digest(user.pk)[:8]}.{_digest(row)[:16]}"


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
