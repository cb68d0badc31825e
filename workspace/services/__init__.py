"""
What changes the workspace: one module a kind of deed, each function owning its transaction. Projects and counters
change in one transaction, under the lock of the person's storage row.

Locks: the storage row (`SELECT … FOR UPDATE`), after any account that the transaction also locks; see CONTRIBUTING.md.
"""

from workspace.services.cleanup import Cleanup, CleanupOutcome, NotEnoughToRemove, Strategy, clean_up, try_clean_up
from workspace.services.projects import (
    EditConflict,
    MetadataTooLarge,
    NoFreeCode,
    ProjectLimitReached,
    ProjectNotFound,
    add_thumbnail,
    check_metadata,
    edit_project,
    save_project,
)
from workspace.services.room import (
    Change,
    StorageLimitExceeded,
    change_limit,
    open_storage,
    release_due_room,
    release_room,
    reserve_room,
    users_with_due_room,
)
from workspace.services.trash import (
    delete_project,
    empty_trash,
    purge_due_trash,
    restore_project,
    users_with_due_trash,
)
from workspace.services.upkeep import recount, remove_everything

__all__ = [
    "Change",
    "Cleanup",
    "CleanupOutcome",
    "EditConflict",
    "MetadataTooLarge",
    "NoFreeCode",
    "NotEnoughToRemove",
    "ProjectLimitReached",
    "ProjectNotFound",
    "StorageLimitExceeded",
    "Strategy",
    "add_thumbnail",
    "change_limit",
    "check_metadata",
    "clean_up",
    "delete_project",
    "edit_project",
    "empty_trash",
    "open_storage",
    "purge_due_trash",
    "recount",
    "release_due_room",
    "release_room",
    "remove_everything",
    "reserve_room",
    "restore_project",
    "save_project",
    "try_clean_up",
    "users_with_due_room",
    "users_with_due_trash",
]
