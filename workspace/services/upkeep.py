"""What happens to a person's workspace as a whole: another limit, mended counters, the end."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Count, Sum

from accounts.models import User
from workspace.models import AppStorage, Project, Reservation, Storage, StorageWarning
from workspace.services.room import StorageLimitExceeded, lock_row, note_marks


@transaction.atomic
def recount(*, user: User) -> bool:
    """
    Sets the person's counters to what their rows say; whether any was wrong. Takes the lock that every writer takes, so
    it sees no write by halves and none is lost to it.

    Raises StorageLimitExceeded if what they keep and have reserved is over their limit: which of them is to give way
    is not for a program to say. Then nothing is written. Locks: the storage row.
    """
    storage = lock_row(user)
    before = _counters(storage)
    kept = Project.objects.kept().filter(user=user)
    trash = Project.objects.filter(user=user).exclude(deleted_at=None)
    storage.used_bytes, storage.project_count = _totals(kept)
    storage.trash_bytes, storage.trash_count = _totals(trash)
    storage.reserved_bytes = (
        Reservation.objects.filter(storage=storage).aggregate(total=Sum("size_bytes"))["total"] or 0
    )
    if storage.available_bytes < 0:
        raise StorageLimitExceeded(
            needed_bytes=storage.used_bytes + storage.reserved_bytes,
            available_bytes=storage.limit_bytes,
            limit_bytes=storage.limit_bytes,
        )
    note_marks(storage)
    storage.save()
    parts_before = _parts(storage)
    AppStorage.objects.filter(storage=storage).update(used_bytes=0, project_count=0)
    for app_id, used, number in kept.values_list("app").annotate(Sum("size_bytes"), Count("id")).order_by():
        AppStorage.objects.update_or_create(
            storage=storage, app_id=app_id, defaults={"used_bytes": used, "project_count": number}
        )
    return _counters(storage) != before or _parts(storage) != parts_before


@transaction.atomic
def remove_everything(*, user: User) -> None:
    """
    Removes for good all that the person keeps, in the trash too, what is reserved for them, and what was recorded of
    it. Their storage row stays, empty, with their plan's limit. Locks: the storage row.
    """
    storage = lock_row(user)
    Project.objects.kept().filter(user=user).delete()  # in two statements, each of which an index serves
    Project.objects.filter(user=user).exclude(deleted_at=None).delete()
    Reservation.objects.filter(storage=storage).delete()
    StorageWarning.objects.filter(storage=storage).delete()
    AppStorage.objects.filter(storage=storage).delete()
    storage.used_bytes = storage.project_count = storage.reserved_bytes = 0
    storage.trash_bytes = storage.trash_count = storage.warned_percent = 0
    storage.limit_bytes = user.plan.storage_limit_bytes
    storage.save()


def _totals(projects: object) -> tuple[int, int]:
    totals = projects.aggregate(used=Sum("size_bytes"), number=Count("id"))  # type: ignore[attr-defined]
    return totals["used"] or 0, totals["number"]


def _counters(storage: Storage) -> tuple[int, ...]:
    return (
        storage.used_bytes,
        storage.project_count,
        storage.trash_bytes,
        storage.trash_count,
        storage.reserved_bytes,
        storage.warned_percent,
    )


def _parts(storage: Storage) -> dict[int, tuple[int, int]]:
    rows = AppStorage.objects.filter(storage=storage).values_list("app", "used_bytes", "project_count")
    return {app: (used, number) for app, used, number in rows if used or number}
