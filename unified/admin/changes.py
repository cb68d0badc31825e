"""What an entry of the audit says, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounts.templatetags.figures import counted, size, whole

NOTHING = "–"
LONGEST = 200  # of one value; the entry's own page has all of it


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was changed; without a name if the entry gives none."""

    name: str
    before: str
    after: str


def changes_of(details: dict[str, Any]) -> list[Change]:
    """`before` and `after` of an entry, field by field. What does not differ is left out."""
    before, after = details.get("before"), details.get("after")
    if before is None and after is None:
        return []
    if not isinstance(before or {}, dict) or not isinstance(after or {}, dict):
        return [Change("", in_words("", before), in_words("", after))]
    old, new = before or {}, after or {}
    return [
        Change(named(name), in_words(name, old.get(name)), in_words(name, new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]


def remarks_of(details: dict[str, Any]) -> list[tuple[str, str]]:
    """What else the entry tells."""
    return [(named(name), in_words(name, value)) for name, value in details.items() if name not in ("before", "after")]


def named(name: str) -> str:
    return name.removesuffix("_bytes").removeprefix("is_").replace("_", " ")


def in_words(name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{size(value)} ({counted(value, 'byte')})" if name.endswith("_bytes") else whole(value)
    if isinstance(value, list):
        text = ", ".join(in_words("", item) for item in value)
    elif isinstance(value, dict):
        text = ", ".join(f"{named(str(key))}: {in_words(str(key), item)}" for key, item in value.items())
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
