"""
What has to be true of storage counters, as SQL that finds every row of which it is not. Sharing nothing with the code
that keeps the counters. Each query returns (who or what, what was expected, what was found).
"""

from typing import Final

INVARIANTS: Final[dict[str, str]] = {
    "each person's used bytes are the sum of their projects": """
        SELECT 'storage ' || s.user_id, COALESCE(p.bytes, 0), s.used_bytes
        FROM workspace_storage s
        LEFT JOIN (SELECT user_id, SUM(size_bytes) AS bytes FROM workspace_project GROUP BY user_id) p
            ON p.user_id = s.user_id
        WHERE s.used_bytes <> COALESCE(p.bytes, 0)
    """,
    "each person's project count is the number of their projects": """
        SELECT 'storage ' || s.user_id, COALESCE(p.projects, 0), s.project_count
        FROM workspace_storage s
        LEFT JOIN (SELECT user_id, COUNT(*) AS projects FROM workspace_project GROUP BY user_id) p
            ON p.user_id = s.user_id
        WHERE s.project_count <> COALESCE(p.projects, 0)
    """,
    "each app's part is the sum of the projects made with it": """
        SELECT 'storage ' || COALESCE(p.user_id, a.storage_id) || ', app ' || COALESCE(p.app_id, a.app_id),
               COALESCE(p.bytes, 0) || ' bytes in ' || COALESCE(p.projects, 0),
               COALESCE(a.used_bytes, 0) || ' bytes in ' || COALESCE(a.project_count, 0)
        FROM (SELECT user_id, app_id, SUM(size_bytes) AS bytes, COUNT(*) AS projects
              FROM workspace_project GROUP BY user_id, app_id) p
        FULL JOIN workspace_appstorage a ON a.storage_id = p.user_id AND a.app_id = p.app_id
        WHERE COALESCE(p.bytes, 0) <> COALESCE(a.used_bytes, 0)
           OR COALESCE(p.projects, 0) <> COALESCE(a.project_count, 0)
    """,
    "each project's size is the length of its content": """
        SELECT 'project ' || p.code, COALESCE(OCTET_LENGTH(c.body), -1), p.size_bytes
        FROM workspace_project p LEFT JOIN workspace_projectcontent c ON c.project_id = p.id
        WHERE c.project_id IS NULL OR OCTET_LENGTH(c.body) <> p.size_bytes
    """,
    "whoever has projects has a storage row": """
        SELECT 'user ' || p.user_id, 1, 0
        FROM workspace_project p LEFT JOIN workspace_storage s ON s.user_id = p.user_id
        WHERE s.user_id IS NULL GROUP BY p.user_id
    """,
    "each person's reserved bytes are the sum of their reservations": """
        SELECT 'storage ' || s.user_id, COALESCE(r.bytes, 0), s.reserved_bytes
        FROM workspace_storage s
        LEFT JOIN (SELECT storage_id, SUM(size_bytes) AS bytes FROM workspace_reservation GROUP BY storage_id) r
            ON r.storage_id = s.user_id
        WHERE s.reserved_bytes <> COALESCE(r.bytes, 0)
    """,
    "whoever has reservations has a storage row": """
        SELECT 'reservation ' || r.id, 'a storage row', 'none'
        FROM workspace_reservation r LEFT JOIN workspace_storage s ON s.user_id = r.storage_id
        WHERE s.user_id IS NULL
    """,
    "nobody uses more than their limit": """
        SELECT 'storage ' || user_id, limit_bytes, used_bytes + reserved_bytes
        FROM workspace_storage WHERE used_bytes + reserved_bytes > limit_bytes OR used_bytes < 0 OR reserved_bytes < 0
    """,
}
