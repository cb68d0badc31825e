"""
What people keep: projects, their content, and how much room it takes.

Kept here: `used + reserved <= limit` on every storage row, by the database itself; and the counters of a storage row
change only in the transaction that changes the projects, under the row's lock. What is in the trash is not used room.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from workspace import codes, titles

TITLE_MAX_LENGTH = 200
PROJECT_TYPE_MAX_LENGTH = 64
EXCERPT_MAX_LENGTH = 240
WARNING_PERCENTS = (80, 95, 100)


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
    project_count = models.PositiveIntegerField(default=0, help_text="Without the trash.")
    trash_bytes = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="In the trash; not part of what is used."
    )
    trash_count = models.PositiveIntegerField(default=0, db_default=0)
    warned_percent = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="The highest mark (80, 95, 100) that used has reached and not fallen below since.",
    )

    class Meta:
        verbose_name_plural = "storage"
        permissions: ClassVar = [
            ("resize_storage", "Can give somebody another limit"),
            ("clean_up_storage", "Can put somebody's projects into the trash"),
        ]
        indexes: ClassVar = [
            # Changes with a mark only, not with every save.
            models.Index(
                fields=["-warned_percent", "user"], name="storage_near_limit", condition=Q(warned_percent__gt=0)
            )
        ]
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

    @property
    def percent_used(self) -> int:
        """Of the limit, rounded down: 100 only when it is full. Something of nothing is full."""
        return 100 * self.used_bytes // self.limit_bytes if self.limit_bytes else 100


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


class StorageWarning(models.Model):
    """Used room has reached a mark, from below. One for each crossing; guarded by the storage row's lock."""

    storage = models.ForeignKey(Storage, on_delete=models.PROTECT, related_name="warnings")
    percent = models.PositiveSmallIntegerField(help_text="Of the limit: 80, 95 or 100.")
    used_bytes = models.PositiveBigIntegerField(help_text="As it was then.")
    limit_bytes = models.PositiveBigIntegerField(help_text="As it was then.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(percent__in=WARNING_PERCENTS), name="storage_warning_percent")
        ]

    def __str__(self) -> str:
        return f"{self.percent} % at {self.created_at:%Y-%m-%d %H:%M}"


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


class ProjectQuerySet(models.QuerySet["Project"]):
    def kept(self) -> ProjectQuerySet:
        """Those that are not in the trash."""
        return self.filter(deleted_at=None)

    def in_trash(self) -> ProjectQuerySet:
        """Those that can still be restored, by the database's clock."""
        return self.filter(deleted_at__gt=Now() - undo_time())

    def past_undo(self) -> ProjectQuerySet:
        """Those whose time in the trash is over."""
        return self.filter(deleted_at__lte=Now() - undo_time())


def undo_time() -> timedelta:
    """For how long a deleted project can be restored."""
    return timedelta(days=settings.TRASH_DAYS)


class Project(models.Model):
    """
    Something a person made with one app and can open in every app. Its bytes are in `ProjectContent`. With `deleted_at`
    it is in the trash: not counted, not listed, not served.
    """

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
    width = models.PositiveIntegerField(null=True, editable=False, help_text="Of a picture, in pixels.")
    height = models.PositiveIntegerField(null=True, editable=False)
    is_lossless = models.BooleanField(
        null=True, editable=False, help_text="Whether every pixel of a picture is as it was sent."
    )
    excerpt = models.CharField(
        max_length=EXCERPT_MAX_LENGTH,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The first lines of a text, so that a list need not read it.",
    )
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.PositiveIntegerField(
        default=1, db_default=1, editable=False, help_text="One more with every edit."
    )
    deleted_at = models.DateTimeField(null=True, editable=False, help_text="Since when it is in the trash.")

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="project_newest", condition=Q(deleted_at=None)),
            models.Index(fields=["user", "-size_bytes"], name="project_largest", condition=Q(deleted_at=None)),
            models.Index(fields=["user", "deleted_at"], name="project_trash", condition=~Q(deleted_at=None)),
            models.Index(fields=["deleted_at"], name="project_past_undo", condition=~Q(deleted_at=None)),
            models.Index(fields=["updated_at"], name="project_changed"),  # who was active on a day
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.title}"

    @property
    def shown_title(self) -> str:
        """The title for people: on pages, not for apps."""
        return titles.displayed(self.title)

    @property
    def is_image(self) -> bool:
        return self.content_type.startswith("image/")

    @property
    def restorable_until(self) -> datetime | None:
        """Of a project in the trash: until when it can be restored."""
        return self.deleted_at + undo_time() if self.deleted_at else None


class ProjectContent(models.Model):
    """The bytes of a project, apart from it so that a listing never reads them (stored out of line, as they are)."""

    class Encoding(models.TextChoices):
        PLAIN = "", "as it is"
        BROTLI = "br", "Brotli"

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="content")
    body = models.BinaryField(help_text="At rest: a text may be compressed, a picture is as it is served.")
    encoding = models.CharField(
        max_length=2, choices=Encoding, default=Encoding.PLAIN, db_default=Encoding.PLAIN, blank=True
    )
    digest = models.GeneratedField(
        expression=Func(F("body"), function="sha256"),
        output_field=models.BinaryField(),
        db_persist=True,
        help_text="SHA-256 of `body`, by the database; tells versions apart without reading them.",
    )
    thumbnail = models.BinaryField(null=True, help_text="Of a picture: AVIF, at most 256 pixels a side; not counted.")

    class Meta:
        verbose_name = "project content"
        permissions: ClassVar = [("inspect_projectcontent", "Can open and download what people keep")]

    def __str__(self) -> str:
        return f"content of project {self.project_id}"
