"""Making room: which projects would go, and their going. What is said beforehand and what is done are one function."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import models, transaction
from django.db.models.functions import Now

from accounts import audit
from accounts.models import App, AuditEntry, User
from workspace.codes import fold
from workspace.models import Project, Storage
from workspace.queries import storage_of
from workspace.services.projects import ProjectNotFound
from workspace.services.room import Change, NotAsShown, locked_storage, over_the_bounds, removed_in_words
from workspace.services.trash import move_to_trash, restore_project


class Strategy(models.TextChoices):
    OLDEST = "oldest"  # by when a project was last changed
    LARGEST = "largest"


class NotEnoughToRemove(Exception):
    """All that may be removed would not free what is asked for. Figures in bytes."""

    def __init__(self, *, wanted_bytes: int, freeable_bytes: int) -> None:
        super().__init__(f"{wanted_bytes} bytes wanted, {freeable_bytes} can be freed")
        self.wanted_bytes = wanted_bytes
        self.freeable_bytes = freeable_bytes


class ShownHasChanged(NotAsShown):
    """Of the projects that were shown, some have gone meanwhile, or are not what they were: their codes."""

    def __init__(self, *, gone: Collection[str] = (), changed: Collection[str] = ()) -> None:
        super().__init__(f"gone: {', '.join(gone)}; changed: {', '.join(changed)}")
        self.gone = gone
        self.changed = changed


@dataclass(frozen=True, slots=True)
class Cleanup:
    """
    What is to be removed: of the projects that match every filter, all, or with `free_bytes` just as many as free that
    much, in the order of `strategy`. Without any filter, any project may go.
    """

    free_bytes: int | None = None
    older_than: timedelta | None = None  # not changed for so long
    codes: Collection[str] | None = None  # as typed
    app: App | None = None
    strategy: Strategy = Strategy.OLDEST


@dataclass(frozen=True, slots=True)
class CleanupOutcome:
    removed: list[Project]  # or what would be
    freed_bytes: int
    enough: bool  # whether that is as much as was asked for
    storage: Storage  # afterwards; of a trial, as it is


def try_clean_up(*, user: User, wanted: Cleanup) -> CleanupOutcome:
    """
    What `clean_up` would do now; nothing is written, and no lock is taken. Where it would raise NotEnoughToRemove, all
    that may be removed, and `enough` is False. Raises ProjectNotFound.
    """
    chosen, enough = _choose(user, wanted)
    return CleanupOutcome(chosen, _sum(chosen), enough, storage_of(user))


@transaction.atomic
def clean_up(*, user: User, wanted: Cleanup) -> CleanupOutcome:
    """
    Puts into the trash what is asked for. Raises NotEnoughToRemove, and ProjectNotFound for the first code
    that is none of the person's; then nothing is removed. Locks: the storage row.
    """
    storage = locked_storage(user)
    chosen, enough = _choose(user, wanted)
    if not enough:
        raise NotEnoughToRemove(wanted_bytes=wanted.free_bytes or 0, freeable_bytes=_sum(chosen))
    if chosen:
        move_to_trash(storage, chosen)
    return CleanupOutcome(chosen, _sum(chosen), enough, storage)


def trash_lost_to(outcome: CleanupOutcome) -> list[Project]:
    """What a trial's outcome would push out of the trash, for good."""
    return over_the_bounds(outcome.storage, coming=Change(outcome.freed_bytes, len(outcome.removed)))


@transaction.atomic
def clean_up_as_shown(
    *, user: User, actor: User, shown: Mapping[str, int], lost: Collection[str] = ()
) -> CleanupOutcome:
    """
    Puts into the trash what the actor was shown and has confirmed: the projects with these codes, at these versions,
    and no others; `lost` are the codes of what the trash loses for it. It goes into the audit.

    Raises ShownHasChanged if any of them is not there as it was shown; then nothing is removed. Locks: the storage row.
    """
    storage = locked_storage(user)
    found = Project.objects.kept().filter(user=user, code__in=list(shown)).select_related("app").defer("metadata")
    chosen = list(found.order_by("updated_at", "id"))
    versions = {project.code: project.version for project in chosen}
    gone = [code for code in shown if code not in versions]
    changed = [code for code, version in versions.items() if version != shown[code]]
    losing = over_the_bounds(storage, coming=Change(_sum(chosen), len(chosen)))
    if gone or changed or {project.code for project in losing} != set(lost):
        raise ShownHasChanged(gone=gone, changed=changed)
    before = {"used_bytes": storage.used_bytes, "project_count": storage.project_count}
    if chosen:
        move_to_trash(storage, chosen)
        audit.record(
            AuditEntry.Event.CLEANED_UP,
            actor=actor,
            subject=user,
            codes=[project.code for project in chosen],
            freed_bytes=_sum(chosen),
            before=before,
            after={"used_bytes": storage.used_bytes, "project_count": storage.project_count},
            **removed_in_words(losing),
        )
    return CleanupOutcome(chosen, _sum(chosen), True, storage)


@transaction.atomic
def restore_projects(*, user: User, actor: User, codes: Collection[str]) -> list[Project]:
    """
    Takes these projects out of the trash on the person's behalf, all or none; those that were in it. It goes into the
    audit, if there was any. Raises as `restore_project` does. Locks: the storage row.
    """
    before = locked_storage(user)
    trash = Project.objects.in_trash().filter(user=user, code__in=codes)
    in_trash = set(trash.values_list("code", flat=True))
    after, restored = before, []
    for code in codes:
        project, after = restore_project(user=user, code=code)
        if project.code in in_trash:
            restored.append(project)
    if restored:
        audit.record(
            AuditEntry.Event.CHANGED,
            actor=actor,
            subject=user,
            what="workspace.project",
            restored=[project.code for project in restored],
            before={"used_bytes": before.used_bytes, "project_count": before.project_count},
            after={"used_bytes": after.used_bytes, "project_count": after.project_count},
        )
    return restored


def _choose(user: User, wanted: Cleanup) -> tuple[list[Project], bool]:
    """The projects to remove, in the order of the strategy, and whether they are enough."""
    candidates = _candidates(user, wanted)
    if wanted.free_bytes is None:
        return candidates, True
    enough = just_enough([project.size_bytes for project in candidates], wanted.free_bytes)
    if enough is None:
        return candidates, False
    return [candidates[index] for index in enough], True


def _candidates(user: User, wanted: Cleanup) -> list[Project]:
    found = Project.objects.kept().filter(user=user).select_related("app").defer("metadata")
    if wanted.codes is not None:
        meant: dict[str | None, str] = {}  # as first typed; under None what cannot be a code
        for typed in wanted.codes:
            meant.setdefault(fold(typed), typed)
        found = found.filter(code__in=filter(None, meant))
        known = set(found.values_list("code", flat=True))
        for code, typed in meant.items():
            if code not in known:
                raise ProjectNotFound(typed)
    if wanted.app is not None:
        found = found.filter(app=wanted.app)
    if wanted.older_than is not None:
        found = found.filter(updated_at__lte=Now() - wanted.older_than)
    if wanted.strategy == Strategy.LARGEST:
        return list(found.order_by("-size_bytes", "updated_at", "id"))
    return list(found.order_by("updated_at", "id"))


def just_enough(sizes: Sequence[int], wanted: int) -> list[int] | None:
    """
    Which of `sizes`, by index and in their order, to take so that they sum to `wanted` or more: the first ones, less
    those that turn out not to be needed, the last ones spared first. None if all together are too little.
    """
    taken: list[int] = []
    total = 0
    for index, size in enumerate(sizes):
        if total >= wanted:
            break
        taken.append(index)
        total += size
    if total < wanted:
        return None
    needed = []
    for index in reversed(taken):
        if total - sizes[index] >= wanted:
            total -= sizes[index]
        else:
            needed.append(index)
    return needed[::-1]


def _sum(projects: list[Project]) -> int:
    return sum(project.size_bytes for project in projects)
