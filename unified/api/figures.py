"""How numbers, times and versions look in answers. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from accounts.queries import Offer
from workspace.models import Project, Storage

MEGABYTE = 1_048_576  # bytes


def megabytes(size_bytes: int) -> float:
    """To 4 decimals; what takes space is never shown as 0."""
    if size_bytes == 0:
        return 0.0
    return max(round(size_bytes / MEGABYTE, 4), 0.0001)


def megabytes_text(size_bytes: int) -> str:
    """As in a sentence: at most 4 decimals and no trailing zeros ("1", "0.5", "0.0001")."""
    return f"{megabytes(size_bytes):.4f}".rstrip("0").rstrip(".")


def percentage(part: int, whole: int) -> float:
    """To 2 decimals. Something of nothing is 100 %."""
    if whole == 0:
        return 100.0 if part else 0.0
    return round(100 * part / whole, 2)


def plural(count: int, noun: str, several: str | None = None) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {several or noun + 's'}"


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 in UTC with microseconds and Z; of now, if no moment is given."""
    return (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def storage_stats(storage: Storage) -> dict[str, Any]:
    """The contract's `storage` and `storage_stats` object."""
    used_mb, limit_mb = megabytes(storage.used_bytes), megabytes(storage.limit_bytes)
    return {
        "used_mb": used_mb,
        "limit_mb": limit_mb,
        "available_mb": round(limit_mb - used_mb, 4),
        "usage_percentage": percentage(storage.used_bytes, storage.limit_bytes),
        "used_bytes": storage.used_bytes,
        "limit_bytes": storage.limit_bytes,
        "available_bytes": storage.available_bytes,
        "reserved_bytes": storage.reserved_bytes,
    }


def project_size(project: Project) -> dict[str, Any]:
    return {"size_mb": megabytes(project.size_bytes), "size_bytes": project.size_bytes}


def etag_of(project: Project) -> str:
    """The version of a project as an entity tag (RFC 9110, 8.8.3), to be sent in If-Match."""
    return f'"{project.code}-{project.version}"'


def file_name(code: str, content_type: str) -> str:
    """What a project's content is called as a file, such as `7K3M9Q.avif`."""
    return f"{code}.{_SUFFIXES.get(content_type.partition(';')[0], 'txt')}"


# What is not here is a text that somebody gave a type of their own: as a file it must not be something that runs.
_SUFFIXES = {
    "image/avif": "avif",
    "image/webp": "webp",
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
    "application/json": "json",
}


def described_offer(offer: Offer) -> dict[str, Any]:
    """A plan as a client shows it."""
    return {**offer, "storage_limit_mb": megabytes(offer["storage_limit_bytes"])}
