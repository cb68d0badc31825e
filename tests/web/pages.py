"""People at the pages, and what they keep."""

from __future__ import annotations

from typing import Any

from django.test import Client

from accounts.models import App, User
from tests.workspace.contents import content_of
from workspace import services
from workspace.models import Project


def at_pages(user: User) -> Client:
    """A browser in which they are signed in."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def kept(
    user: User, app: App, *, title: str = "A title", content: str = "Some words", kind: str = "page", **metadata: Any
) -> Project:
    """A project as an app would have saved it."""
    project, _ = services.save_project(
        user=user, app=app, project_type=kind, title=title, content=content_of(content), metadata=metadata
    )
    return project
