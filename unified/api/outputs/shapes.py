"""What several answers have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from accounts.models import App

Shape = serializers.Serializer[Any]


def success(**also: Any) -> dict[str, Any]:
    return {"success": True, **also}


class StorageStatsShape(Shape):
    used_mb = serializers.FloatField()
    limit_mb = serializers.FloatField()
    available_mb = serializers.FloatField(help_text="limit_mb - used_mb")
    usage_percentage = serializers.FloatField()
    used_bytes = serializers.IntegerField()
    limit_bytes = serializers.IntegerField()
    available_bytes = serializers.IntegerField(help_text="limit_bytes - used_bytes - reserved_bytes")
    reserved_bytes = serializers.IntegerField(help_text="Room that holds keep free.")


class UpgradeShape(Shape):
    plan = serializers.CharField()
    name = serializers.CharField()
    storage_limit_mb = serializers.FloatField()
    storage_limit_bytes = serializers.IntegerField()
    monthly_credits = serializers.IntegerField()


class SuccessShape(Shape):
    success = serializers.BooleanField(help_text="Always true here; failures have the Error form.")


def by_app(apps: Iterable[App], items: list[dict[str, Any]], *, key: str, suffix: str) -> dict[str, Any]:
    """One list for each registered app, `<slug>_<suffix>`, of the items whose `key` is that app."""
    lists: dict[str, list[dict[str, Any]]] = {app.slug: [] for app in apps}
    for item in items:
        if item[key] in lists:
            lists[item[key]].append(item)
    return {f"{slug}_{suffix}": found for slug, found in lists.items()}
