"""
One word that changes with everything that a person's pages show. It is made of what every change of their credits,
projects and plan moves, read in one statement without any lock; that two of them differ is all that it says. Before the
dot it says whose it is: a browser may have come to be somebody else's while a page was open.
"""

from __future__ import annotations

import hashlib
from typing import Final

from django.db import connection

from accounts.models import User

# What is over by the clock changes what can be spent and kept without a write: so live holds are summed, and credits
# that have expired, and room that is no longer reserved.
_STATE: Final = """
    SELECT a.seq, a.balance, a.held,
           (SELECT SUM(amount) FROM credits_hold h
            WHERE h.account_id = u.id AND status = 'active' AND expires_at > STATEMENT_TIMESTAMP()),
           (SELECT SUM(remaining) FROM credits_grant g
            WHERE g.account_id = u.id AND remaining > 0 AND expires_at <= STATEMENT_TIMESTAMP()),
           s.used_bytes, s.reserved_bytes, s.limit_bytes, s.project_count, s.trash_count,
           (SELECT SUM(size_bytes) FROM workspace_reservation r
            WHERE r.storage_id = u.id AND expires_at <= STATEMENT_TIMESTAMP()),
           (SELECT (MAX(updated_at), SUM(version), MAX(deleted_at), SUM(p.id) FILTER (WHERE deleted_at IS NULL))
            FROM workspace_project p WHERE p.user_id = u.id),
           u.plan_id,
           (SELECT (MAX(id), MAX(decided_at), MAX(seen_at)) FROM accounts_upgraderequest w WHERE w.user_id = u.id)
    FROM accounts_user u
    LEFT JOIN credits_account a ON a.user_id = u.id LEFT JOIN workspace_storage s ON s.user_id = u.id
    WHERE u.id = %s
"""


def version_of(user: User) -> str:
    """The version of everything that the person's pages show. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [user.pk])
        row = cursor.fetchone()
    return f"{_digest(user.pk)[:8]}.{_digest(row)[:16]}"


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
