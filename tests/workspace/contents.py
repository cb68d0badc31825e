"""Content as a save would keep it."""

from __future__ import annotations

import brotli

from workspace import queries
from workspace.content import Content, read_content
from workspace.models import Project, ProjectContent

MEGABYTE = 1_048_576


def content_of(sent: str, *, compression: str = "auto") -> Content:
    """What an empty workspace would keep of `sent`."""
    return read_content(sent, compression=compression, room_bytes=MEGABYTE)


def plain(content: Content) -> bytes:
    """The bytes as a person would download them."""
    return brotli.decompress(content.body) if content.encoding == "br" else content.body


def body_of(project: Project) -> bytes:
    """What a person would download now."""
    return queries.plain(ProjectContent.objects.get(project=project))
