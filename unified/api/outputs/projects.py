"""Answers about one project, the trash, and making room."""

from __future__ import annotations

import base64
from typing import Any

from django.http import HttpRequest
from rest_framework import serializers

from unified.api.figures import megabytes, project_size, storage_stats, timestamp
from unified.api.outputs.shapes import Shape, StorageStatsShape, SuccessShape, success
from unified.api.outputs.workspace import ImageShape, LargestShape, ProjectShape, image, largest, project
from workspace.models import Project, Storage
from workspace.services import Change, CleanupOutcome


class ProjectWithContentShape(ProjectShape):
    content = serializers.CharField(help_text="The text itself, or the base64 of the picture as it is kept.")
    content_encoding = serializers.ChoiceField(choices=["text", "base64"])


class ProjectAnswer(SuccessShape):
    project = ProjectWithContentShape()


def project_with_content(request: HttpRequest, item: Project, body: bytes) -> dict[str, Any]:
    text = not item.is_image
    return success(
        project={
            **project(request, item),
            "content": body.decode() if text else base64.b64encode(body).decode(),
            "content_encoding": "text" if text else "base64",
        }
    )


class ChangedProjectAnswer(SuccessShape):
    project = ProjectShape()
    image = ImageShape(allow_null=True, help_text="What is kept of a picture; null for a text.")
    storage_stats = StorageStatsShape()


def changed_project(request: HttpRequest, item: Project, storage: Storage) -> dict[str, Any]:
    return success(project=project(request, item), image=image(item), storage_stats=storage_stats(storage))


class DeletedProjectAnswer(SuccessShape):
    project_code = serializers.CharField()
    title = serializers.CharField()
    freed_bytes = serializers.IntegerField()
    restorable_until = serializers.DateTimeField(help_text="Until then POST restore brings it back.")
    storage_stats = StorageStatsShape()


def deleted_project(item: Project, storage: Storage) -> dict[str, Any]:
    return success(
        project_code=item.code,
        title=item.title,
        freed_bytes=item.size_bytes,
        restorable_until=timestamp(item.restorable_until),
        storage_stats=storage_stats(storage),
    )


class TrashedProjectShape(Shape):
    code = serializers.CharField()
    title = serializers.CharField()
    project_type = serializers.CharField()
    app_source = serializers.CharField()
    size_mb = serializers.FloatField()
    size_bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    created_at = serializers.DateTimeField()
    deleted_at = serializers.DateTimeField()
    restorable_until = serializers.DateTimeField()


class TrashAnswer(SuccessShape):
    projects = TrashedProjectShape(many=True)
    total_count = serializers.IntegerField()
    total_bytes = serializers.IntegerField(help_text="Not part of what is used.")
    storage_stats = StorageStatsShape()


def trash(items: list[Project], storage: Storage) -> dict[str, Any]:
    return success(
        projects=[
            {
                "code": item.code,
                "title": item.title,
                "project_type": item.project_type,
                "app_source": item.app.slug,
                **project_size(item),
                "content_type": item.content_type,
                "created_at": timestamp(item.created_at),
                "deleted_at": timestamp(item.deleted_at),
                "restorable_until": timestamp(item.restorable_until),
            }
            for item in items
        ],
        total_count=len(items),
        total_bytes=sum(item.size_bytes for item in items),
        storage_stats=storage_stats(storage),
    )


class EmptiedTrashAnswer(SuccessShape):
    removed_count = serializers.IntegerField(help_text="Projects that are gone for good.")
    removed_bytes = serializers.IntegerField()
    storage_stats = StorageStatsShape()


def emptied_trash(removed: Change, storage: Storage) -> dict[str, Any]:
    return success(
        removed_count=removed.projects, removed_bytes=removed.size_bytes, storage_stats=storage_stats(storage)
    )


class CleanupAnswer(SuccessShape):
    dry_run = serializers.BooleanField()
    removed = LargestShape(many=True, help_text="What went into the trash, or would, in the order of the strategy.")
    removed_count = serializers.IntegerField()
    freed_bytes = serializers.IntegerField()
    freed_mb = serializers.FloatField()
    enough = serializers.BooleanField(help_text="Whether that is as much as was asked for.")
    restorable_until = serializers.DateTimeField(allow_null=True, help_text="null if nothing was removed.")
    available_bytes_after = serializers.IntegerField(help_text="The room when these are gone.")
    storage_stats = StorageStatsShape(help_text="After the call; a dry run changes nothing.")


def cleaned_up(outcome: CleanupOutcome, *, dry_run: bool) -> dict[str, Any]:
    available = outcome.storage.available_bytes + outcome.freed_bytes * dry_run
    removed = bool(outcome.removed) and not dry_run
    return success(
        dry_run=dry_run,
        removed=largest(outcome.removed),
        removed_count=len(outcome.removed),
        freed_bytes=outcome.freed_bytes,
        freed_mb=megabytes(outcome.freed_bytes),
        enough=outcome.enough,
        restorable_until=timestamp(outcome.removed[0].restorable_until) if removed else None,
        available_bytes_after=available,
        storage_stats=storage_stats(outcome.storage),
    )
