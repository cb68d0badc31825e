"""Answers about projects and room."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework import serializers

from accounts.models import App
from credits.models import LedgerEntry
from unified.api.content_urls import content_url, thumbnail_url
from unified.api.figures import etag_of, megabytes, project_size, storage_stats, timestamp
from unified.api.outputs.shapes import Shape, StorageStatsShape, SuccessShape, by_app, success
from unified.api.pages import cursor_for
from workspace.models import Project, Storage
from workspace.queries import AppTotals, ProjectPage


class ProjectShape(Shape):
    code = serializers.CharField(help_text="6 characters; names the project in every app and grants nothing.")
    title = serializers.CharField()
    project_type = serializers.CharField()
    app_source = serializers.CharField(help_text="The app that made it; every app may open it.")
    size_mb = serializers.FloatField()
    size_bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    original_bytes = serializers.IntegerField(help_text="What was sent, decoded, before any re-encoding.")
    width = serializers.IntegerField(allow_null=True, help_text="Of a picture, in pixels.")
    height = serializers.IntegerField(allow_null=True)
    lossless = serializers.BooleanField(
        allow_null=True, help_text="Of a picture: whether every pixel is as it was sent."
    )
    metadata = serializers.DictField(child=serializers.JSONField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    etag = serializers.CharField(help_text="The version, as `If-Match` takes it, quotes included.")
    content_url = serializers.URLField(help_text="Signed and expiring: fit for an `<img>` in any page.")
    thumbnail_url = serializers.URLField(
        allow_null=True, help_text="The same of a small picture, at most 256 pixels a side; null for texts."
    )


def project(request: HttpRequest, item: Project) -> dict[str, Any]:
    return {
        "code": item.code,
        "title": item.title,
        "project_type": item.project_type,
        "app_source": item.app.slug,
        **project_size(item),
        "content_type": item.content_type,
        "original_bytes": item.original_bytes,
        "width": item.width,
        "height": item.height,
        "lossless": item.is_lossless,
        "metadata": item.metadata,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "etag": etag_of(item),
        "content_url": content_url(request, item),
        "thumbnail_url": thumbnail_url(request, item),
    }


class ProjectsAnswer(SuccessShape):
    """Besides the keys of `penora` and `imagegene`, the same two for every further app."""

    all_projects = ProjectShape(many=True)
    penora_projects = ProjectShape(many=True)
    imagegene_projects = ProjectShape(many=True)
    total_count = serializers.IntegerField(help_text="Of everything that matches, whatever the page.")
    penora_count = serializers.IntegerField()
    imagegene_count = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True)
    storage_stats = StorageStatsShape()


def projects(request: HttpRequest, apps: list[App], page: ProjectPage, storage: Storage) -> dict[str, Any]:
    items = [project(request, item) for item in page.projects]
    return success(
        all_projects=items,
        **by_app(apps, items, key="app_source", suffix="projects"),
        total_count=sum(page.count_by_app.values()),
        **{f"{app.slug}_count": page.count_by_app.get(app.slug, 0) for app in apps},
        next_cursor=cursor_for("projects", page.next_before_id),
        storage_stats=storage_stats(storage),
    )


class ImageShape(Shape):
    """What was kept of a picture."""

    format = serializers.ChoiceField(choices=["avif", "webp", "png", "jpeg", "gif"])
    width = serializers.IntegerField(allow_null=True, help_text="Pixels; null for pictures of before this was noted.")
    height = serializers.IntegerField(allow_null=True)
    lossless = serializers.BooleanField(allow_null=True, help_text="Whether every pixel is as it was sent.")
    original_bytes = serializers.IntegerField()
    size_bytes = serializers.IntegerField()


def image(item: Project) -> dict[str, Any] | None:
    """None for a text."""
    if not item.is_image:
        return None
    return {
        "format": item.content_type.partition("/")[2],
        "width": item.width,
        "height": item.height,
        "lossless": item.is_lossless,
        "original_bytes": item.original_bytes,
        "size_bytes": item.size_bytes,
    }


class PaymentShape(Shape):
    credits_deducted = serializers.IntegerField()
    new_balance = serializers.IntegerField(help_text="What can be spent now.")
    transaction_id = serializers.UUIDField()


class SaveProjectAnswer(SuccessShape):
    project_code = serializers.CharField()
    title = serializers.CharField()
    size_mb = serializers.FloatField()
    app_source = serializers.CharField()
    size_bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    original_bytes = serializers.IntegerField(help_text="What was sent, decoded, before any re-encoding.")
    image = ImageShape(allow_null=True, help_text="What was kept of a picture; null for a text.")
    etag = serializers.CharField(help_text="The version, as `If-Match` takes it, quotes included.")
    storage_stats = StorageStatsShape()
    charge = PaymentShape(
        required=False, help_text="With `charge` or `hold_id`: what was paid in the same transaction."
    )


def saved_project(
    item: Project, app: App, storage: Storage, *, paid: tuple[LedgerEntry, int] | None = None
) -> dict[str, Any]:
    """`paid` is the deduction and what can be spent now."""
    return success(
        project_code=item.code,
        title=item.title,
        app_source=app.slug,
        **project_size(item),
        content_type=item.content_type,
        original_bytes=item.original_bytes,
        image=image(item),
        etag=etag_of(item),
        storage_stats=storage_stats(storage),
        **({"charge": _payment(*paid)} if paid else {}),
    )


def _payment(entry: LedgerEntry, spendable: int) -> dict[str, Any]:
    return {"credits_deducted": -entry.amount, "new_balance": spendable, "transaction_id": str(entry.pk)}


class LargestShape(Shape):
    code = serializers.CharField()
    title = serializers.CharField()
    app_source = serializers.CharField()
    size_mb = serializers.FloatField()
    size_bytes = serializers.IntegerField()


class BreakdownShape(Shape):
    """Besides the keys of `penora` and `imagegene`, the same three for every further app."""

    penora_mb = serializers.FloatField()
    imagegene_mb = serializers.FloatField()
    penora_bytes = serializers.IntegerField()
    imagegene_bytes = serializers.IntegerField()
    total_projects = serializers.IntegerField()
    penora_projects = serializers.IntegerField()
    imagegene_projects = serializers.IntegerField()
    largest = LargestShape(many=True)


class StorageStatsAnswer(SuccessShape):
    storage_stats = StorageStatsShape()
    breakdown = BreakdownShape()


def largest(items: list[Project]) -> list[dict[str, Any]]:
    return [
        {"code": item.code, "title": item.title, "app_source": item.app.slug, **project_size(item)} for item in items
    ]


def storage(apps: list[App], row: Storage, totals: dict[str, AppTotals], biggest: list[Project]) -> dict[str, Any]:
    none = AppTotals(used_bytes=0, project_count=0)
    of = {app.slug: totals.get(app.slug, none) for app in apps}
    return success(
        storage_stats=storage_stats(row),
        breakdown={
            **{f"{slug}_mb": megabytes(app["used_bytes"]) for slug, app in of.items()},
            **{f"{slug}_bytes": app["used_bytes"] for slug, app in of.items()},
            "total_projects": row.project_count,
            **{f"{slug}_projects": app["project_count"] for slug, app in of.items()},
            "largest": largest(biggest),
        },
    )
