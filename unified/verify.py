"""
What has to be true between credits and workspace, which do not know each other, as SQL that finds every row of which it
is not. Each query returns (who or what, what was expected, what was found).
"""

from typing import Final

INVARIANTS: Final[dict[str, str]] = {
    "room is reserved for holds that live, or that nobody has tidied up after": """
        SELECT 'reservation ' || r.id, 'a hold of user ' || r.storage_id || ' until ' || r.expires_at,
               COALESCE(h.status || ', of user ' || h.account_id || ', until ' || h.expires_at, 'none')
        FROM workspace_reservation r LEFT JOIN credits_hold h ON h.id = r.id
        WHERE h.id IS NULL OR h.account_id <> r.storage_id OR h.expires_at <> r.expires_at
           OR h.status NOT IN ('active', 'expired') OR (h.status = 'expired' AND r.expires_at > NOW())
    """,
}
