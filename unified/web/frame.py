"""What stands on every page of a person: where they can go, what they can spend, how full their workspace is."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from accounts.models import UpgradeRequest, User
from credits.queries import Position, position_of
from unified.web.version import version_of
from workspace.models import Storage
from workspace.queries import storage_of

PAGES = (
    ("Projects", "web:projects"),
    ("Storage", "web:storage"),
    ("Credits", "web:credits"),
    ("Plans", "web:plans"),
    ("Account", "web:account"),
)
FULL_PERCENT, NEARLY_PERCENT = 100, 80


@dataclass(frozen=True, slots=True)
class Frame:
    member: User
    here: str
    links: list[tuple[str, str]]
    position: Position
    storage: Storage
    version: str
    decided: UpgradeRequest | None  # a decision about a plan that the person has not read yet

    @property
    def percent_used(self) -> int:
        """Of the limit, rounded down: 100 only when it is full. Something of nothing is full."""
        limit = self.storage.limit_bytes
        return 100 * self.storage.used_bytes // limit if limit else FULL_PERCENT


def frame_of(user: User, *, path: str) -> Frame:
    """Four queries. The version is asked for first: what changes meanwhile is then shown again, and never missed."""
    version = version_of(user)
    return Frame(
        member=user,
        here=path,
        links=[(name, reverse(address)) for name, address in PAGES],
        position=position_of(user),
        storage=storage_of(user),
        version=version,
        decided=decision_of(user),
    )


def decision_of(user: User) -> UpgradeRequest | None:
    """What was decided last of the person's wishes, if they have not read it yet. One query."""
    wishes = UpgradeRequest.objects.select_related("plan").filter(user=user, decided_by__isnull=False, seen_at=None)
    return wishes.first()
