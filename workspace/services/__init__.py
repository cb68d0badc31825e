"""
What changes the workspace: one module a kind of deed, each function owning its transaction. Projects and counters
change in one transaction, under the lock of the person's storage row.

Locks: the storage row (`SELECT … FOR UPDATE`), after any account that the transaction also locks; see CONTRIBUTING.md.
"""

from workspace.services.cleanup import (
    Cleanup,
    CleanupOutcome,
    NotEnoughToRemove,
    ShownHasChanged,
    Strategy,
    clean_up,
    clean_up_as_shown,
    restore_projects,
    trash_lost_to,
    try_clean_up,
)
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
    LimitChange,
    NotAsShown,
    OwnRoom,
    StorageLimitExceeded,
    change_limit,
    open_storage,
    release_due_room,
    release_room,
    removed_in_words,
    reserve_room,
    try_change_limit,
    users_with_due_room,
)
from workspace.services.trash import (
    delete_project,
    empty_trash,
    purge_due_trash,
    remove_from_trash,
    restore_project,
    users_with_due_trash,
)
from workspace.services.upkeep import recount, remove_everything

__all__ = [
    "Change",
    "Cleanup",
    "CleanupOutcome",
    "EditConflict",
    "LimitChange",
    "MetadataTooLarge",
    "NoFreeCode",
    "NotAsShown",
    "NotEnoughToRemove",
    "OwnRoom",
    "ProjectLimitReached",
    "ProjectNotFound",
    "ShownHasChanged",
    "StorageLimitExceeded",
    "Strategy",
    "add_thumbnail",
    "change_limit",
    "check_metadata",
    "clean_up",
    "clean_up_as_shown",
    "delete_project",
    "edit_project",
    "empty_trash",
    "open_storage",
    "purge_due_trash",
    "recount",
    "release_due_room",
    "release_room",
    "remove_everything",
    "remove_from_trash",
    "removed_in_words",
    "reserve_room",
    "restore_project",
    "restore_projects",
    "save_project",
    "trash_lost_to",
    "try_change_limit",
    "try_clean_up",
    "users_with_due_room",
    "users_with_due_trash",
]
