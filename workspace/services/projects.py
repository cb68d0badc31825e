"""What people keep: a project comes, and is edited by any app. How it goes is in `trash`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.models import App, User
from workspace import codes
from workspace.content import Content
from workspace.models import Project, ProjectContent, Storage
from workspace.services.room import Change, count, locked_storage, require_room

METADATA_MAX_BYTES = 8 * 1024
CODE_ATTEMPTS = 20


class ProjectLimitReached(Exception):
    """The person has as many projects as anyone may have."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"{limit} projects")
        self.limit = limit


class MetadataTooLarge(ValueError):
    """The metadata, as compact JSON in UTF-8, is over 8 KB."""


class NoFreeCode(Exception):
    """Every code that was drawn is taken: the space of codes is all but used up."""


class ProjectNotFound(Exception):
    """The person has no such project. Its text is the code as it was given."""


class EditConflict(Exception):
    """The project is not what the caller last saw; `project` is what it is now."""

    def __init__(self, project: Project) -> None:
        super().__init__(f"{project.code} is at version {project.version}")
        self.project = project


def check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """
    `metadata` itself, if it is small enough to keep. Raises MetadataTooLarge.

    Numbers count as PostgreSQL's jsonb writes them, without an exponent: a thousand of 1e300 are 5 KB as they come in
    and 300 KB as they come out.
    """
    size_bytes = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
    if size_bytes <= METADATA_MAX_BYTES:  # else there may be a million of them
        size_bytes += sum(len(f"{Decimal(repr(number)):f}") - len(repr(number)) for number in _floats_in(metadata))
    if size_bytes > METADATA_MAX_BYTES:
        raise MetadataTooLarge(f"The metadata takes {size_bytes} bytes; at most {METADATA_MAX_BYTES} are kept.")
    return metadata


def _floats_in(value: Any) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _floats_in(item)


@transaction.atomic
def save_project(
    *, user: User, app: App, project_type: str, title: str, content: Content, metadata: dict[str, Any]
) -> tuple[Project, Storage]:
    """
    Keeps a new project under a fresh code, and returns it with the storage as it is afterwards.

    An exact fit fits. Raises StorageLimitExceeded, ProjectLimitReached, MetadataTooLarge, NoFreeCode, and what
    `locked_storage` raises; then nothing is written. Locks: the storage row.
    """
    check_metadata(metadata)
    storage = locked_storage(user)
    require_a_place(storage)
    require_room(storage, content.size_bytes)
    project = Project(user=user, app=app, title=title, project_type=project_type, metadata=metadata)
    _describe(project, content)
    _insert_with_free_code(project)
    ProjectContent.objects.create(
        project=project, body=content.body, encoding=content.encoding, thumbnail=content.thumbnail
    )
    count(storage, {app.pk: Change(content.size_bytes, 1)})
    return project, storage


@transaction.atomic
def edit_project(
    *,
    user: User,
    code: str,
    seen_versions: Collection[int] | None = None,
    title: str | None = None,
    project_type: str | None = None,
    metadata: dict[str, Any] | None = None,
    content: Content | None = None,
) -> tuple[Project, Storage]:
    """
    Changes what is given of the person's project with this code, as typed, and nothing else. With `seen_versions` only
    if the project is still at one of them. New content takes the place of the old: its room counts as free.

    Raises ProjectNotFound, EditConflict, StorageLimitExceeded, MetadataTooLarge; then nothing is written. Locks: the
    storage row, which every writer of the person's projects locks first, so that of two edits the second sees the
    first.
    """
    if metadata is not None:
        check_metadata(metadata)
    storage = locked_storage(user)
    project = require_project(user=user, code=code, seen_versions=seen_versions)
    if title is not None:
        project.title = title
    if project_type is not None:
        project.project_type = project_type
    if metadata is not None:
        project.metadata = metadata
    if content is not None:
        require_room(storage, content.size_bytes, given_up_bytes=project.size_bytes)
        grown = content.size_bytes - project.size_bytes
        _describe(project, content)
        ProjectContent.objects.update_or_create(
            project=project,
            defaults={"body": content.body, "encoding": content.encoding, "thumbnail": content.thumbnail},
        )
        count(storage, {project.app_id: Change(grown)})
    project.version += 1
    project.updated_at = Now()
    project.save(force_update=True)
    project.refresh_from_db(fields=["updated_at"])
    return project, storage


def add_thumbnail(*, project: Project, thumbnail: bytes) -> None:
    """Keeps a thumbnail for the content that `project` was read with, if that is still there and has none."""
    content = ProjectContent.objects.filter(project=project, digest=project.content.digest, thumbnail=None)
    content.update(thumbnail=thumbnail)


def require_project(*, user: User, code: str, seen_versions: Collection[int] | None = None) -> Project:
    """
    The person's project with this code, as typed, outside the trash and at one of `seen_versions`, if they are given.
    Raises ProjectNotFound, EditConflict. One query.
    """
    project = Project.objects.kept().select_related("app").filter(user=user, code=codes.fold(code)).first()
    if project is None:
        raise ProjectNotFound(code)
    if seen_versions is not None and project.version not in seen_versions:
        raise EditConflict(project)
    return project


def require_a_place(storage: Storage) -> None:
    """Raises ProjectLimitReached if the person can keep no further project. `storage` must be locked by the caller."""
    if storage.project_count >= settings.MAX_PROJECTS_PER_USER:
        raise ProjectLimitReached(limit=settings.MAX_PROJECTS_PER_USER)


def _describe(project: Project, content: Content) -> None:
    """Notes on the project what its content is."""
    project.content_type = content.content_type
    project.size_bytes = content.size_bytes
    project.original_bytes = content.original_bytes
    project.width = content.width
    project.height = content.height
    project.is_lossless = content.is_lossless
    project.excerpt = content.excerpt


def _insert_with_free_code(project: Project) -> None:
    """Inserts `project` under a random code. The unique index finds a taken one, also among uncommitted inserts."""
    for _ in range(CODE_ATTEMPTS):
        project.code = codes.generate()
        try:
            with transaction.atomic():
                project.save(force_insert=True)
        except IntegrityError as conflict:
            if "code" not in (conflict.__cause__.diag.constraint_name or ""):  # type: ignore[union-attr]
                raise
        else:
            return
    raise NoFreeCode
