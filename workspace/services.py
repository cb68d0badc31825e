"""
What changes the workspace. Projects and counters change in one transaction, under the lock of the storage row.

Locks: the storage row (`SELECT … FOR UPDATE`), after any account that the transaction also locks; see CONTRIBUTING.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from accounts.models import App, User
from workspace import codes
from workspace.content import Content
from workspace.models import AppStorage, Project, ProjectContent, Reservation, Storage

METADATA_MAX_BYTES = 8 * 1024
CODE_ATTEMPTS = 20


class StorageLimitExceeded(Exception):
    """The workspace has not enough room. All figures are bytes."""

    def __init__(self, *, needed_bytes: int, available_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{needed_bytes} bytes needed, {available_bytes} available")
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes
        self.limit_bytes = limit_bytes


class ProjectLimitReached(Exception):
    """The person has as many projects as anyone may have."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"{limit} projects")
        self.limit = limit


class MetadataTooLarge(ValueError):
    """The metadata, as compact JSON in UTF-8, is over 8 KB."""


class NoFreeCode(Exception):
    """Every code that was drawn is taken: the space of codes is all but used up."""


def open_storage(*, user: User) -> Storage:
    """The person's storage row, made empty with their plan's limit if there is none. Locks: a new row, until commit."""
    storage, _ = Storage.objects.get_or_create(user=user, defaults={"limit_bytes": user.plan.storage_limit_bytes})
    return storage


def check_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """
    `metadata` itself, if it is small enough to keep. Raises MetadataTooLarge.

    Numbers count as PostgreSQL's jsonb writes them, without an exponent: a thousand of 1e300 are 5 KB as they come in
    and 300 KB as they come out.
    """
    size_bytes = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
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

    An exact fit fits. Raises StorageLimitExceeded, ProjectLimitReached, MetadataTooLarge, NoFreeCode; then nothing is
    written. Locks: the storage row.
    """
    check_metadata(metadata)
    storage = _locked_storage(user)
    if storage.project_count >= settings.MAX_PROJECTS_PER_USER:
        raise ProjectLimitReached(limit=settings.MAX_PROJECTS_PER_USER)
    _require_room(storage, content.size_bytes)
    project = _insert_with_free_code(
        Project(
            user=user,
            app=app,
            title=title,
            project_type=project_type,
            content_type=content.content_type,
            size_bytes=content.size_bytes,
            original_bytes=content.original_bytes,
            metadata=metadata,
        )
    )
    ProjectContent.objects.create(project=project, body=content.body)
    _count(storage, app=app, size_bytes=content.size_bytes, projects=1)
    return project, storage


@transaction.atomic
def change_limit(*, user: User, limit_bytes: int) -> Storage:
    """
    Gives the person `limit_bytes` of room. Raises StorageLimitExceeded if they use or have reserved more; then nothing
    is written. Locks: the storage row.
    """
    storage = _locked_storage(user)
    taken = storage.used_bytes + storage.reserved_bytes
    if taken > limit_bytes:
        raise StorageLimitExceeded(needed_bytes=taken, available_bytes=limit_bytes, limit_bytes=limit_bytes)
    storage.limit_bytes = limit_bytes
    storage.save(update_fields=["limit_bytes"])
    return storage


@transaction.atomic
def reserve_room(*, user: User, reservation_id: UUID, size_bytes: int, expires_at: datetime) -> Reservation:
    """
    Keeps `size_bytes` (1 and more) free until `expires_at`. Raises StorageLimitExceeded; then nothing is written.
    Locks: the storage row.
    """
    storage = _locked_storage(user)
    _require_room(storage, size_bytes)
    storage.reserved_bytes += size_bytes
    storage.save(update_fields=["reserved_bytes"])
    return Reservation.objects.create(id=reservation_id, storage=storage, size_bytes=size_bytes, expires_at=expires_at)


@transaction.atomic
def release_room(*, user: User, reservation_id: UUID) -> None:
    """Gives the reservation's room back, if there is such a reservation (yet). Locks: the storage row, if there is."""
    if not Reservation.objects.filter(pk=reservation_id).exists():
        return
    storage = _locked_storage(user)
    _remove(storage, Reservation.objects.filter(pk=reservation_id, storage=storage))


@transaction.atomic
def release_due_room(*, user: User) -> bool:
    """Gives back what reservations whose time is over still claim; whether there was any. Locks: the storage row."""
    before = Reservation.objects.filter(storage=user.pk, expires_at__lte=Now()).exists()
    if before:
        _locked_storage(user)
    return before


def users_with_due_room(*, after_id: int = 0, limit: int) -> list[User]:
    """Up to `limit` people, by row id and after the one with `after_id`, with a reservation whose time is over."""
    due = Reservation.objects.filter(expires_at__lte=Now(), storage__gt=after_id).order_by("storage")
    return list(User.objects.filter(pk__in=due.values("storage").distinct()[:limit]).order_by("pk"))


def _locked_storage(user: User) -> Storage:
    """
    The person's storage row, locked until the transaction ends, without reservations whose time is over by the
    database's clock; made here at a person's first use.
    """
    try:
        storage = Storage.objects.select_for_update().get(user=user)
    except Storage.DoesNotExist:
        open_storage(user=user)
        storage = Storage.objects.select_for_update().get(user=user)
    if storage.reserved_bytes:
        _remove(storage, Reservation.objects.filter(storage=storage, expires_at__lte=Now()))
    return storage


def _require_room(storage: Storage, size_bytes: int) -> None:
    """Raises StorageLimitExceeded if `size_bytes` do not fit; an exact fit fits."""
    if size_bytes > storage.available_bytes:
        raise StorageLimitExceeded(
            needed_bytes=size_bytes, available_bytes=storage.available_bytes, limit_bytes=storage.limit_bytes
        )


def _remove(storage: Storage, reservations: QuerySet[Reservation]) -> None:
    """Removes reservations and what they claim. `storage` must be locked by the caller."""
    gone = list(reservations)
    if gone:
        Reservation.objects.filter(pk__in=[reservation.pk for reservation in gone]).delete()
        storage.reserved_bytes -= sum(reservation.size_bytes for reservation in gone)
        storage.save(update_fields=["reserved_bytes"])


def _count(storage: Storage, *, app: App, size_bytes: int, projects: int) -> None:
    """Moves the person's and the app's counters. `storage` must be locked by the caller."""
    storage.used_bytes += size_bytes
    storage.project_count += projects
    storage.save(update_fields=["used_bytes", "project_count"])
    moved = AppStorage.objects.filter(storage=storage, app=app).update(
        used_bytes=F("used_bytes") + size_bytes, project_count=F("project_count") + projects
    )
    if not moved:
        AppStorage.objects.create(storage=storage, app=app, used_bytes=size_bytes, project_count=projects)


def _insert_with_free_code(project: Project) -> Project:
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
            return project
    raise NoFreeCode
