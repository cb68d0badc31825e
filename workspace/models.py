"""
What people keep: projects, their content, and how much room it takes.

Kept here: `used + reserved <= limit` on every storage row, by the database itself; and the counters of a storage row
change only in the transaction that changes the projects, under the row's lock.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from workspace import codes

TITLE_MAX_LENGTH = 200
PROJECT_TYPE_MAX_LENGTH = 64


class Storage(models.Model):
    """One person's room, in bytes. The row is the lock: whoever changes their projects locks it first."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True, related_name="storage"
    )
    limit_bytes = models.PositiveBigIntegerField()
    used_bytes = models.PositiveBigIntegerField(default=0)
    reserved_bytes = models.PositiveBigIntegerField(
        default=0, help_text="Sum of the reservations, those whose time is over and that nobody has removed included."
    )
    project_count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "storage"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(limit_bytes__gte=F("used_bytes") + F("reserved_bytes")), name="storage_within_limit"
            ),
            models.CheckConstraint(
                condition=Q(used_bytes__gte=0, reserved_bytes__gte=0), name="storage_counters_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"storage of {self.user}"

    @property
    def available_bytes(self) -> int:
        return self.limit_bytes - self.used_bytes - self.reserved_bytes


class Reservation(models.Model):
    """
    Room kept free for something that is being made, until it is saved, given up, or `expires_at` has come. Guarded by
    the storage row's lock.
    """

    id = models.UUIDField(primary_key=True, editable=False, help_text="Of the hold that it goes with.")
    storage = models.ForeignKey(Storage, on_delete=models.PROTECT, related_name="reservations")
    size_bytes = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(size_bytes__gte=1), name="reservation_of_something")
        ]

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes until {self.expires_at:%Y-%m-%d %H:%M}"


class AppStorage(models.Model):
    """One app's part of a person's used room. Guarded by the storage row's lock."""

    storage = models.ForeignKey(Storage, on_delete=models.PROTECT, related_name="by_app", db_index=False)
    app = models.ForeignKey("accounts.App", on_delete=models.PROTECT, related_name="+", db_index=False)
    used_bytes = models.PositiveBigIntegerField(default=0)
    project_count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "storage by app"
        verbose_name_plural = "storage by app"
        constraints: ClassVar = [models.UniqueConstraint(fields=["storage", "app"], name="app_storage_unique")]

    def __str__(self) -> str:
        return f"{self.used_bytes} bytes in {self.project_count} projects"


class Project(models.Model):
    """Something a person made with one app and can open in every app. Its bytes are in `ProjectContent`."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="projects", db_index=False
    )
    app = models.ForeignKey(
        "accounts.App", on_delete=models.PROTECT, related_name="+", db_index=False, help_text="Which app made it."
    )
    code = models.CharField(max_length=codes.LENGTH, unique=True, db_collation="C", editable=False)
    title = models.CharField(max_length=TITLE_MAX_LENGTH)
    project_type = models.CharField(max_length=PROJECT_TYPE_MAX_LENGTH)
    content_type = models.CharField(max_length=100, help_text="Media type of the kept content.")
    size_bytes = models.PositiveBigIntegerField(help_text="What a person would download, and what counts.")
    original_bytes = models.PositiveBigIntegerField(help_text="What was sent, before any re-encoding.")
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ("-id",)
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="project_user_newest"),
            models.Index(fields=["user", "-size_bytes"], name="project_user_largest"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.title}"

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")


class ProjectContent(models.Model):
    """The bytes of a project, apart from it so that a listing never reads them (stored out of line, as they are)."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="content")
    body = models.BinaryField()

    class Meta:
        verbose_name = "project content"

    def __str__(self) -> str:
        return f"content of project {self.project_id}"
