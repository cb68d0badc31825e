"""
How projects go: into the trash, which frees their room at once, and back, or for good. The trash holds what was deleted
in the last days (TRASH_DAYS), never more than the person's limit in bytes and as many projects as a person may keep;
beyond that, what was deleted first goes for good first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from accounts import audit
from accounts.models import AuditEntry, User
from workspace import codes
from workspace.models import Project, Storage
from workspace.services.projects import ProjectNotFound, require_a_place, require_project
from workspace.services.room import (
    Change,
    NotAsShown,
    bound_trash,
    count,
    lock_row,
    locked_storage,
    remove_for_good,
    removed_in_words,
    require_room,
)


@transaction.atomic
def delete_project(*, user: User, code: str, seen_versions: Collection[int] | None = None) -> tuple[Project, Storage]:
    """
    Puts the person's project with this code, as typed, into the trash; with `seen_versions` only if it is still at one
    of them. Needs no room, so it works when there is none. Raises ProjectNotFound, EditConflict. Locks: the storage
    row.
    """
    storage = locked_storage(user)
    project = require_project(user=user, code=code, seen_versions=seen_versions)
    move_to_trash(storage, [project])
    return project, storage


def move_to_trash(storage: Storage, projects: Collection[Project]) -> None:
    """
    Puts these projects into the trash, and takes out for good what it cannot hold any longer. `storage` must be locked
    by the caller, and the projects read under that lock.
    """
    gone = Project.objects.filter(pk__in=[project.pk for project in projects])
    gone.update(deleted_at=Now())
    deleted_at = gone.values_list("deleted_at", flat=True).first()
    by_app: dict[int, Change] = defaultdict(Change)
    for project in projects:
        project.deleted_at = deleted_at
        size, number = by_app[project.app_id]
        by_app[project.app_id] = Change(size - project.size_bytes, number - 1)
    count(storage, by_app, trash=Change(sum(project.size_bytes for project in projects), len(projects)))
    bound_trash(storage)


@transaction.atomic
def restore_project(*, user: User, code: str) -> tuple[Project, Storage]:
    """
    Takes the project with this code, as typed, out of the trash. One that is not in it is returned as it is: the call
    was a repeat. Raises ProjectNotFound (also when its days are over), StorageLimitExceeded, ProjectLimitReached; then
    it stays where it is. Locks: the storage row.
    """
    storage = locked_storage(user)
    found = Project.objects.in_trash() | Project.objects.kept()
    project = found.select_related("app").filter(user=user, code=codes.fold(code)).first()
    if project is None:
        raise ProjectNotFound(code)
    if project.deleted_at is None:
        return project, storage
    require_a_place(storage)
    require_room(storage, project.size_bytes)
    project.deleted_at = None
    project.save(update_fields=["deleted_at"])
    count(
        storage,
        {project.app_id: Change(project.size_bytes, 1)},
        trash=Change(-project.size_bytes, -1),
    )
    return project, storage


@transaction.atomic
def empty_trash(
    *,
    user: User,
    actor: User | None = None,
    code: str | None = None,
    until: datetime | None = None,
) -> tuple[Change, Storage]:
    """
    Removes for good all of the person's trash, or the one project in it with this code, as typed: how much that was,
    and the storage afterwards. With `until`, only if nothing has come into it after that moment. With `actor`, who has
    done it and what is gone goes into the audit, if there was any.

    Raises ProjectNotFound if the one is not in the trash, and NotAsShown; then nothing is removed. Locks: the storage
    row.
    """
    storage = locked_storage(user)
    # What is over has gone already, to whoever looks: it goes, and is neither counted nor found.
    remove_for_good(storage, list(Project.objects.past_undo().filter(user=user).only("id", "size_bytes")))
    trash = Project.objects.filter(user=user).exclude(deleted_at=None)
    if code is not None:
        trash = trash.filter(code=codes.fold(code))
        if not trash.exists():
            raise ProjectNotFound(code)
    if until is not None and trash.filter(deleted_at__gt=until).exists():
        raise NotAsShown
    removed = list(trash.only("id", "code", "size_bytes").order_by("-deleted_at", "-id"))
    if actor is not None:
        _note_removal(user, actor, removed)
    return remove_for_good(storage, removed), storage


@transaction.atomic
def remove_from_trash(*, user: User, actor: User, shown: Mapping[str, datetime]) -> list[Project]:
    """
    Removes for good what the actor was shown and has confirmed: the projects with these codes that are in the person's
    trash since these moments; which those were. What is not is left as it is: the call was a repeat, or the project has
    been restored, and perhaps edited and deleted again. It goes into the audit, if there was any. Locks: the storage
    row.
    """
    storage = locked_storage(user)
    trash = Project.objects.in_trash().filter(user=user, code__in=list(shown)).order_by("-deleted_at", "-id")
    found = trash.only("id", "code", "title", "size_bytes", "deleted_at")
    removed = [project for project in found if project.deleted_at == shown[project.code]]
    remove_for_good(storage, removed)
    _note_removal(user, actor, removed)
    return removed


def _note_removal(user: User, actor: User, removed: Collection[Project]) -> None:
    if removed:
        audit.record(
            AuditEntry.Event.CHANGED,
            actor=actor,
            subject=user,
            what="workspace.project",
            **removed_in_words(removed),
        )


@transaction.atomic
def purge_due_trash(*, user: User) -> int:
    """Removes for good what has been in the trash for too long; how many projects. Locks: the storage row."""
    storage = lock_row(user)  # whoever has left meanwhile keeps nothing, and is no trouble
    due = Project.objects.past_undo().filter(user=user).only("id", "size_bytes")
    return remove_for_good(storage, list(due)).projects


def users_with_due_trash(*, after_id: int = 0, limit: int) -> list[User]:
    """Up to `limit` people, by row id and after the one with `after_id`, with a project that is due for removal."""
    due = Project.objects.past_undo().filter(user__gt=after_id).order_by("user")
    return list(User.objects.filter(pk__in=due.values("user").distinct()[:limit]).order_by("pk"))
