"""What stands on every page of a person: where they can go, what they can spend, how full their workspace is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from django.urls import reverse

from accounts.models import UpgradeRequest, User
from credits.queries import Position, position_of
from unified.web.version import version_of
from workspace.models import WARNING_PERCENTS, Storage
from workspace.queries import storage_of

PAGES = (
    ("Projects", "web:projects"),
    ("Storage", "web:storage"),
    ("Credits", "web:credits"),
    ("Plans", "web:plans"),
    ("Account", "web:account"),
)
NEARLY_PERCENT, NEARLY_FULL_PERCENT, FULL_PERCENT = WARNING_PERCENTS


class Link(NamedTuple):
    """A way to a section; `current` says, as `aria-current` does, whether it is this page or this page is within it."""

    name: str
    address: str
    current: Literal["", "page", "true"]


@dataclass(frozen=True, slots=True)
class Frame:
    member: User
    links: list[Link]
    position: Position
    storage: Storage
    version: str
    decided: UpgradeRequest | None  # a decision about a plan that the person has not read yet

    @property
    def percent_used(self) -> int:
        return self.storage.percent_used

    @property
    def level(self) -> Literal["", "near", "nearly", "full"]:
        """Which of the marks it has reached: what the bar and the banner say, by colour and in words."""
        percent = self.percent_used
        if percent >= FULL_PERCENT:
            return "full"
        if percent >= NEARLY_FULL_PERCENT:
            return "nearly"
        return "near" if percent >= NEARLY_PERCENT else ""

    @property
    def banner(self) -> str:
        """Which banner there is: the same word for the same sentences."""
        return f"{self.level}-{self.percent_used}" if self.level else ""

    @property
    def low_bytes(self) -> int:
        """The most with which it is not near its limit yet: a `<meter>` changes its colour beyond it."""
        return self._below(NEARLY_PERCENT)

    @property
    def high_bytes(self) -> int:
        """The most with which it is not nearly full yet."""
        return self._below(NEARLY_FULL_PERCENT)

    def _below(self, percent: int) -> int:
        return max(0, -(-self.storage.limit_bytes * percent // 100) - 1)


def frame_of(user: User, *, path: str) -> Frame:
    """Four queries. The version is asked for first: what changes meanwhile is then shown again, and never missed."""
    version = version_of(user)
    return Frame(
        member=user,
        links=[_link(name, reverse(address), path) for name, address in PAGES],
        position=position_of(user),
        storage=storage_of(user),
        version=version,
        decided=decision_of(user),
    )


def _link(name: str, address: str, path: str) -> Link:
    within: Literal["", "true"] = "true" if path.startswith(address) else ""
    return Link(name, address, "page" if path == address else within)


def decision_of(user: User) -> UpgradeRequest | None:
    """What was decided last of the person's wishes, if they have not read it yet. One query."""
    wishes = UpgradeRequest.objects.select_related("plan").filter(user=user, seen_at=None)
    return wishes.filter(status__in=UpgradeRequest.DECIDED).first()
