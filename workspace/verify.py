"""
What has to be true of storage counters, as SQL that finds every row of which it is not. Sharing nothing with the code
that keeps the counters. Each query returns (who or what, what was expected, what was found).
"""

from collections.abc import Iterator
from typing import Final

import brotli
from django.db import connection

INVARIANTS: Final[dict[str, str]] = {
    "each person's used bytes are the sum of their projects": """
        SELECT 'storage ' || s.user_id, COALESCE(p.bytes, 0), s.used_bytes
        FROM workspace_storage s
        LEFT JOIN (SELECT user_id, SUM(size_bytes) AS bytes FROM workspace_project
                   WHERE deleted_at IS NULL GROUP BY user_id) p
            ON p.user_id = s.user_id
        WHERE s.used_bytes <> COALESCE(p.bytes, 0)
    """,
    "each person's project count is the number of their projects": """
        SELECT 'storage ' || s.user_id, COALESCE(p.projects, 0), s.project_count
        FROM workspace_storage s
        LEFT JOIN (SELECT user_id, COUNT(*) AS projects FROM workspace_project
                   WHERE deleted_at IS NULL GROUP BY user_id) p
            ON p.user_id = s.user_id
        WHERE s.project_count <> COALESCE(p.projects, 0)
    """,
    "each app's part is the sum of the projects made with it": """
        SELECT 'storage ' || COALESCE(p.user_id, a.storage_id) || ', app ' || COALESCE(p.app_id, a.app_id),
               COALESCE(p.bytes, 0) || ' bytes in ' || COALESCE(p.projects, 0),
               COALESCE(a.used_bytes, 0) || ' bytes in ' || COALESCE(a.project_count, 0)
        FROM (SELECT user_id, app_id, SUM(size_bytes) AS bytes, COUNT(*) AS projects
              FROM workspace_project WHERE deleted_at IS NULL GROUP BY user_id, app_id) p
        FULL JOIN workspace_appstorage a ON a.storage_id = p.user_id AND a.app_id = p.app_id
        WHERE COALESCE(p.bytes, 0) <> COALESCE(a.used_bytes, 0)
           OR COALESCE(p.projects, 0) <> COALESCE(a.project_count, 0)
    """,
    "each person's trash is counted as what is in it": """
        SELECT 'storage ' || s.user_id,
               COALESCE(p.bytes, 0) || ' bytes in ' || COALESCE(p.projects, 0),
               s.trash_bytes || ' bytes in ' || s.trash_count
        FROM workspace_storage s
        LEFT JOIN (SELECT user_id, SUM(size_bytes) AS bytes, COUNT(*) AS projects FROM workspace_project
                   WHERE deleted_at IS NOT NULL GROUP BY user_id) p ON p.user_id = s.user_id
        WHERE s.trash_bytes <> COALESCE(p.bytes, 0) OR s.trash_count <> COALESCE(p.projects, 0)
    """,
    "each project's size is the length of its content, or more where that is compressed": """
        SELECT 'project ' || p.code, p.size_bytes, COALESCE(OCTET_LENGTH(c.body), -1)
        FROM workspace_project p LEFT JOIN workspace_projectcontent c ON c.project_id = p.id
        WHERE c.project_id IS NULL
           OR (c.encoding = '' AND OCTET_LENGTH(c.body) <> p.size_bytes)
           OR (c.encoding = 'br' AND OCTET_LENGTH(c.body) >= p.size_bytes)
           OR c.encoding NOT IN ('', 'br')
           OR (c.encoding <> '' AND STARTS_WITH(p.content_type, 'image/'))
    """,
    "the marks that the used room has reached are noted, and none else": """
        SELECT 'storage ' || s.user_id, r.percent, s.warned_percent
        FROM workspace_storage s
        CROSS JOIN LATERAL (SELECT COALESCE(MAX(m), 0) AS percent FROM UNNEST(ARRAY[80, 95, 100]) AS m
                            WHERE 100 * s.used_bytes >= m * GREATEST(s.limit_bytes, 1)) r
        WHERE s.warned_percent <> r.percent
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


def damaged_contents() -> Iterator[tuple[str, str, str]]:
    """
    What SQL cannot see, as the queries above return it: compressed contents that do not come out at their size. Reads
    every one of them, a row at a time.
    """
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT p.id, p.code, p.size_bytes, c.body FROM workspace_project p"
                " JOIN workspace_projectcontent c ON c.project_id = p.id"
                " WHERE c.encoding = 'br' AND p.id > %s ORDER BY p.id LIMIT 1",
                [last],
            )
            row = cursor.fetchone()
        if row is None:
            return
        last, code, size_bytes, body = row
        try:
            found = f"{len(brotli.decompress(bytes(body)))} bytes"
        except brotli.error:
            found = "no Brotli stream"
        if found != f"{size_bytes} bytes":
            yield f"project {code}", f"{size_bytes} bytes", found
