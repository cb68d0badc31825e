"""Reads of the workspace: lists, counts and totals. None of them reads a project's content, but `content_of`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Now

from accounts.models import App, User
from workspace.models import AppStorage, Project, ProjectContent, Reservation, Storage


@dataclass(frozen=True, slots=True)
class ProjectPage:
    projects: list[Project]
    count_by_app: Mapping[str, int]  # of everything that matches, whatever the page
    next_before_id: int | None  # where the next page starts, None on the last


class AppTotals(TypedDict):
    used_bytes: int
    project_count: int


def storage_of(user: User) -> Storage:
    """
    The person's storage as it is now, without reservations whose time is over; an empty one, not saved, if there is
    none yet. One query.
    """
    due = Reservation.objects.filter(storage=OuterRef("pk"), expires_at__lte=Now()).order_by()
    due_bytes = due.values("storage").annotate(total=Sum("size_bytes")).values("total")
    storage = Storage.objects.filter(user=user).annotate(due_bytes=Subquery(due_bytes)).first()
    if storage is None:
        return Storage(user=user, limit_bytes=user.plan.storage_limit_bytes)
    storage.reserved_bytes -= int(storage.due_bytes or 0)
    return storage


def totals_by_app(user: User) -> dict[str, AppTotals]:
    """Bytes and projects by app slug; apps without any are left out. One query."""
    rows = AppStorage.objects.filter(storage=user.pk).values_list("app__slug", "used_bytes", "project_count")
    return {slug: AppTotals(used_bytes=used, project_count=count) for slug, used, count in rows}


def projects_of(
    *,
    user: User,
    app: App | None = None,
    title_contains: str | None = None,
    project_type: str | None = None,
    limit: int | None = None,
    before_id: int | None = None,
) -> ProjectPage:
    """
    The person's projects that match, newest first. One query for all of them, when the counts are those of the list
    itself; two for a page.
    """
    matching: QuerySet[Project] = Project.objects.filter(user=user)
    if app is not None:
        matching = matching.filter(app=app)
    if title_contains:
        matching = matching.filter(title__icontains=title_contains)
    if project_type is not None:
        matching = matching.filter(project_type=project_type)
    page = matching if before_id is None else matching.filter(id__lt=before_id)
    page = page.select_related("app").order_by("-id")
    projects = list(page if limit is None else page[: limit + 1])
    more = limit is not None and len(projects) > limit
    projects = projects[:limit]
    if limit is None and before_id is None:
        counts: Mapping[str, int] = Counter(project.app.slug for project in projects)
    else:
        counts = dict(matching.order_by().values_list("app__slug").annotate(Count("id")))
    return ProjectPage(projects, counts, projects[-1].pk if more else None)


def largest_projects(user: User, *, limit: int = 5) -> list[Project]:
    """The projects that take the most room, largest first. One query."""
    return list(Project.objects.filter(user=user).select_related("app").order_by("-size_bytes", "-id")[:limit])


def content_of(code: str) -> tuple[Project, bytes] | None:
    """The project with this (folded) code and its bytes, or None. One query."""
    content = ProjectContent.objects.select_related("project").filter(project__code=code).first()
    return (content.project, bytes(content.body)) if content else None
