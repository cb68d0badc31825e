"""
All that a person has here, as one zip file: every project's bytes and facts, the trash included, and the history of
their credits. Made while it is sent, a project at a time, so it takes no more memory for more projects, and no database
connection waits in a transaction for a slow reader.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from accounts.models import User
from credits import queries as credits
from unified.api import csv_export
from unified.api.figures import file_name, storage_stats, timestamp
from workspace import queries as workspace
from workspace.models import Project

FORMAT_VERSION = 1
TRANSACTIONS = "transactions.csv"
_PIECE = 64 * 1024  # bytes, about what is handed on at a time


class _Outbox(io.RawIOBase):
    """A file that cannot be sought in: what is written waits to be taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self.size_bytes += len(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.size_bytes = 0
        return taken


def archive(user: User) -> Iterator[bytes]:
    """The zip file in pieces. Its last entry, `manifest.json`, says what it holds: without one it was cut off."""
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_DEFLATED) as zipped:
        projects = []
        for project, body in workspace.everything_of(user):
            facts = _facts(project, body)
            # Deflated throughout: some readers of streams take no stored entry whose length only follows it.
            zipped.writestr(facts["file"], body, compresslevel=1 if project.is_image else None)
            zipped.writestr(facts["details"], _json({**facts, "metadata": project.metadata}))
            projects.append(facts)
            yield outbox.take()
        written = 0
        with zipped.open(TRANSACTIONS, "w") as table:
            for line in csv_export.lines(credits.export(user=user)):
                table.write(line.encode())
                written += 1
                if outbox.size_bytes > _PIECE:
                    yield outbox.take()
        zipped.writestr("manifest.json", _json(_manifest(user, projects, transactions=written - 1)))
    yield outbox.take()


def _manifest(user: User, projects: list[dict[str, Any]], *, transactions: int) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "exported_at": timestamp(),
        "user": {
            "user_id": user.user_id,
            "username": user.username,
            "email": user.email,
            "plan": user.plan.slug,
            "member_since": timestamp(user.date_joined),
        },
        "credits": credits.position_of(user).spendable,
        "storage": storage_stats(workspace.storage_of(user)),
        "projects": projects,
        "transactions": {"file": TRANSACTIONS, "count": transactions},
    }


def _facts(project: Project, body: bytes) -> dict[str, Any]:
    folder = "trash" if project.deleted_at else "projects"
    file, details = file_name(project.code, project.content_type), f"{project.code}.json"
    if file == details:
        file = f"{project.code}.content.json"
    return {
        "code": project.code,
        "title": project.title,
        "project_type": project.project_type,
        "app_source": project.app.slug,
        "content_type": project.content_type,
        "size_bytes": project.size_bytes,
        "sha256": hashlib.sha256(body).hexdigest(),
        "file": f"{folder}/{file}",
        "details": f"{folder}/{details}",
        "created_at": timestamp(project.created_at),
        "updated_at": timestamp(project.updated_at),
        "deleted_at": timestamp(project.deleted_at) if project.deleted_at else None,
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def archive_name() -> str:
    return f"unified-export-{datetime.now(UTC):%Y-%m-%d}.zip"
