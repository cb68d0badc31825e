"""
Reads of the workspace: lists, counts and totals. None of them reads what a project holds, but the last few, which say
so. What is in the trash is found by those alone that say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypedDict
from uuid import UUID

import brotli
from django.db import models
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Lower, Now

from accounts.models import App, User
from workspace import codes
from workspace.models import AppStorage, Project, ProjectContent, Reservation, Storage


@dataclass(frozen=True, slots=True)
class ProjectPage:
    projects: list[Project]
    count_by_app: Mapping[str, int]  # of everything that matches, whatever the page
    next_before_id: int | None  # where the next page starts, None on the last


class Order(models.TextChoices):
    """How a person's projects are sorted. What is equal is sorted newest first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LARGEST = "largest"
    TITLE = "title"


class Kind(models.TextChoices):
    PICTURE = "picture"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Found:
    """A page of what a person looks for; `total` is of everything that matches."""

    projects: list[Project]
    total: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project stands among what a person looks for; `number` counts from 1, and is 0 if it is not among it."""

    previous: Project | None
    next: Project | None
    number: int
    total: int


class Size(NamedTuple):
    """What one project takes, and what tells whether it is missed."""

    code: str
    size_bytes: int
    is_picture: bool
    updated_at: datetime


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
    matching: QuerySet[Project] = Project.objects.kept().filter(user=user)
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


def browse(
    *,
    user: User,
    app: App | None = None,
    kind: Kind | None = None,
    text: str = "",
    order: Order = Order.NEWEST,
    first: int = 0,
    limit: int,
) -> Found:
    """
    What the person looks for among their projects: `limit` of them from the one at place `first` on. `text` is found in
    titles, first lines and as a code as typed. Two queries, of a person's own rows; no content is read.
    """
    matching = _matching(user=user, app=app, kind=kind, text=text)
    page = matching.select_related("app").defer("metadata").order_by(*_ORDERS[order])
    return Found(list(page[first : first + limit]), matching.count())


def place_of(
    project: Project,
    *,
    user: User,
    app: App | None = None,
    kind: Kind | None = None,
    text: str = "",
    order: Order = Order.NEWEST,
) -> Place:
    """
    Where a project stands among what the person looks for, in the order of `browse`. One that does not match (any more)
    has no number, but still neighbours. Three queries, however many there are.
    """
    matching = _matching(user=user, app=app, kind=kind, text=text).annotate(lower_title=Lower("title"))
    newer, title = Q(id__gt=project.pk), Lower(Value(project.title))
    before = {
        Order.NEWEST: newer,
        Order.OLDEST: Q(id__lt=project.pk),
        Order.LARGEST: Q(size_bytes__gt=project.size_bytes) | Q(size_bytes=project.size_bytes) & newer,
        Order.TITLE: Q(lower_title__lt=title) | Q(lower_title=title) & newer,
    }[order]
    others = matching.exclude(pk=project.pk).only("code", "title").order_by(*_ORDERS[order])
    counts = matching.aggregate(
        total=Count("id"), before=Count("id", filter=before), itself=Count("id", filter=Q(pk=project.pk))
    )
    return Place(
        previous=others.filter(before).last(),
        next=others.filter(~before).first(),
        number=counts["before"] + 1 if counts["itself"] else 0,
        total=counts["total"],
    )


_ORDERS: dict[Order, tuple[str | Lower, ...]] = {
    Order.NEWEST: ("-id",),
    Order.OLDEST: ("id",),
    Order.LARGEST: ("-size_bytes", "-id"),
    Order.TITLE: (Lower("title"), "-id"),
}


def _matching(*, user: User, app: App | None, kind: Kind | None, text: str) -> QuerySet[Project]:
    matching: QuerySet[Project] = Project.objects.kept().filter(user=user)
    if app is not None:
        matching = matching.filter(app=app)
    if kind is not None:
        pictures = Q(content_type__startswith="image/")
        matching = matching.filter(pictures if kind == Kind.PICTURE else ~pictures)
    if text:
        matching = matching.filter(Q(title__icontains=text) | Q(excerpt__icontains=text) | Q(code=codes.fold(text)))
    return matching


def largest_projects(user: User, *, limit: int = 5) -> list[Project]:
    """The projects that take the most room, largest first. One query."""
    kept = Project.objects.kept().filter(user=user)
    return list(kept.select_related("app").order_by("-size_bytes", "-id")[:limit])


def sizes_of(user: User) -> list[Size]:
    """What each of the person's projects takes, largest first. One query, without the rest of the rows."""
    kept = Project.objects.kept().filter(user=user).order_by("-size_bytes", "-id")
    rows = kept.values_list("code", "size_bytes", "content_type", "updated_at")
    return [Size(code, size, content_type.startswith("image/"), updated) for code, size, content_type, updated in rows]


def kept_of(user: User, chosen: Collection[str]) -> list[Project]:
    """The person's projects with these codes, those in the trash left out, largest first. One query."""
    kept = Project.objects.kept().filter(user=user, code__in=chosen)
    return list(kept.select_related("app").defer("metadata").order_by("-size_bytes", "-id"))


def put_away_at(user: User, moment: datetime) -> list[Project]:
    """What went into the trash in one deed, at exactly this moment, and can still be restored. One query."""
    return list(Project.objects.in_trash().filter(user=user, deleted_at=moment).order_by("-id").defer("metadata"))


def trash_of(user: User) -> list[Project]:
    """What can be restored, most recently deleted first. One query."""
    trash = Project.objects.in_trash().filter(user=user)
    return list(trash.select_related("app").defer("metadata").order_by("-deleted_at", "-id"))


def reserved_by(reservation_id: UUID) -> int:
    """The bytes that this reservation keeps free; 0 if there is none (any more)."""
    live = Reservation.objects.filter(pk=reservation_id, expires_at__gt=Now())
    return live.values_list("size_bytes", flat=True).first() or 0


def find_project(
    typed: str, *, user: User | None = None, reading: Literal["body", "thumbnail"] | None = None
) -> Project | None:
    """
    The project with this code, as typed, that is not in the trash, of this person if one is named, or None. With its
    content's facts (`project.content`: encoding, digest), and the bytes that are asked for. One query, so that facts
    and bytes are of one version.
    """
    found = Project.objects.kept().filter(code=codes.fold(typed)).select_related("app", "user", "content")
    if user is not None:
        found = found.filter(user=user)
    return found.defer(*{"content__body", "content__thumbnail"} - {f"content__{reading}"}).first()


def find_in_trash(typed: str, *, user: User) -> Project | None:
    """
    The project with this code, as typed, that the person can still restore, or None; with its content's facts and its
    thumbnail, for its owner to know it again. One query.
    """
    trash = Project.objects.in_trash().filter(user=user, code=codes.fold(typed))
    return trash.select_related("content").defer("metadata", "content__body").first()


def plain(content: ProjectContent) -> bytes:
    """The bytes of a content row as a person would download them."""
    body = bytes(content.body)
    return brotli.decompress(body) if content.encoding == ProjectContent.Encoding.BROTLI else body


def everything_of(user: User) -> Iterator[tuple[Project, bytes]]:
    """
    Each of the person's projects with its bytes, the trash last, one at a time: a query for the list of ids, and one
    for each project. What is removed meanwhile is left out.
    """
    ids = list(
        (Project.objects.kept() | Project.objects.in_trash())
        .filter(user=user)
        .order_by(F("deleted_at").asc(nulls_first=True), "id")
        .values_list("id", flat=True)
    )
    for project_id in ids:
        content = (
            ProjectContent.objects.select_related("project__app").defer("thumbnail").filter(project=project_id).first()
        )
        if content is not None:
            project, body = content.project, plain(content)
            del content.body  # the two hold each other, so it would wait for the garbage collector
            yield project, body
