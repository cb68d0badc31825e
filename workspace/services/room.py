"""
Room: who has how much, what is kept free, and what is counted. Every other deed of the workspace begins with
`locked_storage` and ends with `count`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from accounts import audit
from accounts.models import App, AuditEntry, User
from accounts.services import require_present
from workspace.models import WARNING_PERCENTS, AppStorage, Project, Reservation, Storage, StorageWarning

_COUNTERS = ("used_bytes", "reserved_bytes", "project_count", "trash_bytes", "trash_count", "warned_percent")


class StorageLimitExceeded(Exception):
    """The workspace has not enough room. All figures are bytes."""

    def __init__(self, *, needed_bytes: int, available_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{needed_bytes} bytes needed, {available_bytes} available")
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes
        self.limit_bytes = limit_bytes


class OwnRoom(Exception):
    """Nobody but a superuser gives themselves another limit: it takes somebody else."""


class NotAsShown(Exception):
    """What would come of it is no longer what the actor was shown before they confirmed it."""


class Change(NamedTuple):
    """By how much a counter moves."""

    size_bytes: int = 0
    projects: int = 0


@dataclass(frozen=True, slots=True)
class LimitChange:
    """What another limit comes to. How much is used is no part of its `mark`: the person may be at work."""

    storage: Storage  # with the new limit
    before_bytes: int
    removed: list[Project]  # from the trash and for good, as it never holds more than the limit

    @property
    def mark(self) -> str:
        """Whoever is shown the same, is shown the same mark."""
        codes = sorted(project.code for project in self.removed)
        return " ".join([str(self.before_bytes), str(self.storage.limit_bytes), *codes])


def open_storage(*, user: User) -> Storage:
    """The person's storage row, made empty with their plan's limit if there is none. Locks: a new row, until commit."""
    storage, _ = Storage.objects.get_or_create(user=user, defaults={"limit_bytes": user.plan.storage_limit_bytes})
    return storage


@transaction.atomic
def change_limit(
    *, user: User, limit_bytes: int, actor: User | None = None, as_shown: str | None = None
) -> LimitChange:
    """
    Gives the person `limit_bytes` of room, until their plan is changed; with `actor`, who has done it goes into the
    audit. With `as_shown`, the mark that `try_change_limit` gave, only if that is still what comes of it.

    Raises OwnRoom, NotAsShown, and StorageLimitExceeded if they use or have reserved more; then nothing is written.
    Locks: the storage row.
    """
    if actor is not None and actor.pk == user.pk and not actor.is_superuser:
        raise OwnRoom
    storage = locked_storage(user)
    taken = storage.used_bytes + storage.reserved_bytes
    if taken > limit_bytes:
        raise StorageLimitExceeded(needed_bytes=taken, available_bytes=limit_bytes, limit_bytes=limit_bytes)
    before_bytes = storage.limit_bytes
    storage.limit_bytes = limit_bytes
    storage.save(update_fields=["limit_bytes"])
    count(storage, {})  # a lower limit may reach a mark
    change = LimitChange(storage, before_bytes, bound_trash(storage))
    if as_shown is not None and change.mark != as_shown:
        raise NotAsShown
    if actor is not None and limit_bytes != before_bytes:
        audit.record(
            AuditEntry.Event.LIMIT_CHANGED,
            actor=actor,
            subject=user,
            before={"limit_bytes": before_bytes},
            after={"limit_bytes": limit_bytes},
            **removed_in_words(change.removed),
        )
    return change


@transaction.atomic
def try_change_limit(*, user: User, limit_bytes: int) -> LimitChange:
    """What `change_limit` would come to now: it is done, and undone. Raises StorageLimitExceeded. Locks as it does."""
    change = change_limit(user=user, limit_bytes=limit_bytes)
    transaction.set_rollback(True)
    return change


@transaction.atomic
def reserve_room(*, user: User, reservation_id: UUID, size_bytes: int, expires_at: datetime) -> Reservation:
    """
    Keeps `size_bytes` (1 and more) free until `expires_at`. Raises StorageLimitExceeded; then nothing is written.
    Locks: the storage row.
    """
    storage = locked_storage(user)
    require_room(storage, size_bytes)
    storage.reserved_bytes += size_bytes
    storage.save(update_fields=["reserved_bytes"])
    return Reservation.objects.create(id=reservation_id, storage=storage, size_bytes=size_bytes, expires_at=expires_at)


@transaction.atomic
def release_room(*, user: User, reservation_id: UUID) -> None:
    """Gives the reservation's room back, if there is such a reservation (yet). Locks: the storage row, if there is."""
    if not Reservation.objects.filter(pk=reservation_id).exists():
        return
    storage = locked_storage(user)
    _remove(storage, Reservation.objects.filter(pk=reservation_id, storage=storage))


@transaction.atomic
def release_due_room(*, user: User) -> bool:
    """Gives back what reservations whose time is over still claim; whether there was any. Locks: the storage row."""
    if not Reservation.objects.filter(storage=user.pk, expires_at__lte=Now()).exists():
        return False
    return _remove_due(lock_row(user))


def users_with_due_room(*, after_id: int = 0, limit: int) -> list[User]:
    """Up to `limit` people, by row id and after the one with `after_id`, with a reservation whose time is over."""
    due = Reservation.objects.filter(expires_at__lte=Now(), storage__gt=after_id).order_by("storage")
    return list(User.objects.filter(pk__in=due.values("storage").distinct()[:limit]).order_by("pk"))


def lock_row(user: User) -> Storage:
    """The person's storage row as it is, locked until the transaction ends; made here at a person's first use."""
    try:
        return Storage.objects.select_for_update().get(user=user)
    except Storage.DoesNotExist:
        open_storage(user=user)
        return Storage.objects.select_for_update().get(user=user)


def locked_storage(user: User) -> Storage:
    """
    The person's storage row, locked until the transaction ends, without reservations whose time is over by the
    database's clock. Raises accounts.services.UserHasLeft, asked under the lock: whoever is removed while a picture is
    being encoded keeps nothing of it.
    """
    storage = lock_row(user)
    require_present(user=user)
    if storage.reserved_bytes:
        _remove_due(storage)
    return storage


def require_room(storage: Storage, size_bytes: int, *, given_up_bytes: int = 0) -> None:
    """
    Raises StorageLimitExceeded if `size_bytes` do not fit in place of `given_up_bytes`, which are used now; an exact
    fit fits.
    """
    available = storage.available_bytes + given_up_bytes
    if size_bytes > available:
        raise StorageLimitExceeded(needed_bytes=size_bytes, available_bytes=available, limit_bytes=storage.limit_bytes)


def count(storage: Storage, by_app: Mapping[int, Change], *, trash: Change | None = None) -> None:
    """
    Moves the person's counters, each app's (by its row id) and the trash's, and records what marks the used room has
    reached. `storage` must be locked by the caller.
    """
    storage.used_bytes += sum(change.size_bytes for change in by_app.values())
    storage.project_count += sum(change.projects for change in by_app.values())
    if trash is not None:
        storage.trash_bytes += trash.size_bytes
        storage.trash_count += trash.projects
    note_marks(storage)
    storage.save(update_fields=_COUNTERS)
    for app_id, change in by_app.items():
        moved = AppStorage.objects.filter(storage=storage, app=app_id).update(
            used_bytes=F("used_bytes") + change.size_bytes, project_count=F("project_count") + change.projects
        )
        if not moved:
            AppStorage.objects.create(
                storage=storage,
                app=App(pk=app_id),
                used_bytes=change.size_bytes,
                project_count=change.projects,
            )


def bound_trash(storage: Storage) -> list[Project]:
    """
    Removes the longest deleted until the trash is within its bounds; which those were. `storage` must be locked by the
    caller.
    """
    over = over_the_bounds(storage)
    remove_for_good(storage, over)
    return over


def over_the_bounds(storage: Storage, *, coming: Change | None = None) -> list[Project]:
    """
    What the trash cannot hold any longer, with what is `coming` into it: the longest deleted. Exactly so only under the
    lock. No query where there is room, else one.
    """
    size_bytes, number = coming or Change()
    too_many = storage.trash_count + number - settings.MAX_PROJECTS_PER_USER
    too_large = storage.trash_bytes + size_bytes - storage.limit_bytes
    over: list[Project] = []
    if too_many <= 0 and too_large <= 0:
        return over
    oldest = Project.objects.filter(user=storage.user_id).exclude(deleted_at=None).order_by("deleted_at", "id")
    for project in oldest.only("id", "code", "size_bytes"):
        if too_many <= 0 and too_large <= 0:
            break
        over.append(project)
        too_many -= 1
        too_large -= project.size_bytes
    return over


def removed_in_words(removed: Collection[Project]) -> dict[str, Any]:
    """For the audit: what the trash has lost with a deed, if it has lost anything."""
    return {"removed_for_good": [project.code for project in removed]} if removed else {}


def remove_for_good(storage: Storage, projects: Collection[Project]) -> Change:
    """Removes projects of the trash with their content; how much that was. `storage` must be locked by the caller."""
    removed = Change(sum(project.size_bytes for project in projects), len(projects))
    if projects:
        Project.objects.filter(pk__in=[project.pk for project in projects]).delete()
        count(storage, {}, trash=Change(-removed.size_bytes, -removed.projects))
    return removed


def note_marks(storage: Storage) -> None:
    """
    Records each mark that the used room has reached and that was not noted yet, and forgets those that are no longer
    reached. The caller has locked `storage`, and saves it.
    """
    limit_bytes = max(storage.limit_bytes, 1)
    reached = [percent for percent in WARNING_PERCENTS if 100 * storage.used_bytes >= percent * limit_bytes]
    for percent in reached:
        if percent > storage.warned_percent:
            StorageWarning.objects.create(
                storage=storage,
                percent=percent,
                used_bytes=storage.used_bytes,
                limit_bytes=storage.limit_bytes,
            )
    storage.warned_percent = max(reached, default=0)


def _remove_due(storage: Storage) -> bool:
    """Removes reservations whose time is over; whether there was any. `storage` must be locked by the caller."""
    return _remove(storage, Reservation.objects.filter(storage=storage, expires_at__lte=Now()))


def _remove(storage: Storage, reservations: QuerySet[Reservation]) -> bool:
    """
    Removes reservations and what they claim; whether there was any. `storage` must be locked by the caller.
    """
    gone = list(reservations)
    if gone:
        Reservation.objects.filter(pk__in=[reservation.pk for reservation in gone]).delete()
        # Never below 0, whatever the counter said: a wrong one is for `recount`, and must not stop every save.
        storage.reserved_bytes = max(0, storage.reserved_bytes - sum(reservation.size_bytes for reservation in gone))
        storage.save(update_fields=["reserved_bytes"])
    return bool(gone)
