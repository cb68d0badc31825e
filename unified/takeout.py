"""
What a person has here, as one zip file: every project's bytes and facts, the trash included, the history of their
credits, who they are and what they can spend and keep. For themselves also what is no app's to know: their wishes for
a plan with what was answered, what is set aside just now, which apps are signed in as them, and when and from where
they signed in; and a page by which they find each file by its title. (Not in it: holds that have ended, what apps were
told by idempotent calls, and what staff have done, with their reasons.)

Made while it is sent, a project at a time, so it takes no more memory for more projects, and no database connection
waits in a transaction for a slow reader.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.utils.html import format_html

from accounts.models import AuditEntry, UpgradeRequest, User
from accounts.queries import signed_in_apps
from accounts.templatetags.figures import size
from credits import queries as credits
from unified.api import csv_export
from unified.api.figures import file_name, storage_stats, timestamp
from workspace import queries as workspace
from workspace.models import Project
from workspace.titles import displayed

FORMAT_VERSION = 1
TRANSACTIONS = "transactions.csv"
INDEX = "index.html"
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


def archive(user: User, *, for_themselves: bool = False) -> Iterator[bytes]:
    """
    The zip file in pieces. Its last entry, `manifest.json`, says what it holds: without one it was cut off. An app,
    which may ask for it too, gets less than the person.
    """
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
        if for_themselves:
            with zipped.open(INDEX, "w") as page:
                for piece in _index(projects):
                    page.write(piece.encode())
                    if outbox.size_bytes > _PIECE:
                        yield outbox.take()
        manifest = _manifest(user, projects, transactions=written - 1)
        zipped.writestr("manifest.json", _json({**manifest, **(_private(user) if for_themselves else {})}))
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


def _private(user: User) -> dict[str, Any]:
    """Four queries."""
    wishes = UpgradeRequest.objects.filter(user=user).select_related("plan").order_by("pk")
    sign_ins = AuditEntry.objects.filter(subject=user, event=AuditEntry.Event.SIGNED_IN).order_by("pk")
    return {
        "plan_requests": [
            {
                "plan": wish.plan.slug,
                "status": wish.status,
                "note": wish.note,
                "created_at": timestamp(wish.created_at),
                "decided_at": timestamp(wish.decided_at) if wish.decided_at else None,
            }
            for wish in wishes
        ],
        "holds": [
            {
                "app_name": hold.app.slug,
                "amount": hold.amount,
                "description": hold.description,
                "created_at": timestamp(hold.created_at),
                "expires_at": timestamp(hold.expires_at),
            }
            for hold in credits.live_holds(user)
        ],
        "signed_in_apps": [
            {"name": app.client.name, "may": app.may, "last_seen": timestamp(app.last_seen)}
            for app in signed_in_apps(user)
        ],
        "sign_ins": [
            {"at": timestamp(at), "from": address, "by": method}
            for at, address, method in sign_ins.values_list("created_at", "ip", "details__method")
        ],
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


def _index(projects: list[dict[str, Any]]) -> Iterator[str]:
    """
    A page for people, of what the archive holds: words and links, and a policy that lets nothing on it run. A document
    that somebody has kept is named and not linked: from here, in their own files, it would run.
    """
    yield (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>Your projects</title>\n<style>'
        "body{max-width:60rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif}"
        "ul{padding:0;list-style:none}li{overflow-wrap:anywhere;padding:.5rem 0;border-top:1px solid #8888}"
        "small{display:block}"
        "</style>\n</head>\n<body>\n<h1>Your projects</h1>\n"
        '<p>Also here: <a href="transactions.csv">the history of your credits</a>, and'
        ' <a href="manifest.json">the facts about everything</a>, for programs.</p>\n'
    )
    for heading, folder in (("Kept", "projects/"), ("In the trash", "trash/")):
        found = [project for project in projects if project["file"].startswith(folder)]
        yield format_html("<h2>{}: {}</h2>\n<ul>\n", heading, len(found))
        for project in found:
            yield _line(project)
        yield "</ul>\n"
    yield "</body>\n</html>\n"


def _line(project: dict[str, Any]) -> str:
    title, file = displayed(project["title"]), project["file"]
    named = format_html("<bdi>{}</bdi>", title)
    if not file.endswith(".html"):
        named = format_html('<a href="{}">{}</a>', file, named)
    return format_html(
        "<li>{} <small>{}, {}, {}, saved {}</small></li>\n",
        named,
        file,
        project["app_source"],
        size(project["size_bytes"]),
        project["created_at"][:10],
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def archive_name() -> str:
    return f"unified-export-{datetime.now(UTC):%Y-%m-%d}.zip"
