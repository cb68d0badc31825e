"""Storage and projects for staff to look at: who has how much of what. The content itself is not shown here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.template.defaultfilters import filesizeformat

from accounts.admin import ReadOnlyAdmin
from workspace.models import (
    WARNING_PERCENTS,
    AppStorage,
    Project,
    ProjectContent,
    Reservation,
    Storage,
    StorageWarning,
)


class FullnessFilter(admin.SimpleListFilter):
    title = "how full"
    parameter_name = "reached"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(percent), f"{percent} % and more") for percent in WARNING_PERCENTS]

    def queryset(self, request: Any, queryset: Any) -> Any:
        chosen = self.value()
        known = {value for value, _ in self.lookup_choices}
        return queryset.filter(warned_percent__gte=int(chosen)) if chosen in known else queryset


class ContentFilter(admin.SimpleListFilter):
    title = "content"
    parameter_name = "content"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("picture", "Pictures"), ("text", "Texts")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        pictures = Q(content_type__startswith="image/")
        chosen = {"picture": pictures, "text": ~pictures}.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class TrashFilter(admin.SimpleListFilter):
    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("out", "Kept"), ("in", "In the trash")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        chosen = self.value()
        return queryset.filter(deleted_at__isnull=chosen == "out") if chosen in ("in", "out") else queryset


@admin.register(Storage)
class StorageAdmin(ReadOnlyAdmin):
    list_display = ("user", "used", "reserved", "limit", "percentage", "project_count", "trash")
    list_filter = (FullnessFilter,)
    list_select_related = ("user",)
    ordering = ("-used_bytes",)
    search_fields = ("user__user_id", "user__username", "user__email")
    search_help_text = "User id, name or e-mail"

    @admin.display(description="used", ordering="used_bytes")
    def used(self, storage: Storage) -> str:
        return filesizeformat(storage.used_bytes)

    @admin.display(description="reserved", ordering="reserved_bytes")
    def reserved(self, storage: Storage) -> str:
        return filesizeformat(storage.reserved_bytes)

    @admin.display(description="limit", ordering="limit_bytes")
    def limit(self, storage: Storage) -> str:
        return filesizeformat(storage.limit_bytes)

    @admin.display(description="trash", ordering="trash_bytes")
    def trash(self, storage: Storage) -> str:
        return f"{filesizeformat(storage.trash_bytes)} in {storage.trash_count}" if storage.trash_count else "–"

    @admin.display(description="full")
    def percentage(self, storage: Storage) -> str:
        return f"{100 * storage.used_bytes / storage.limit_bytes:.1f} %" if storage.limit_bytes else "–"


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "size", "expires_at")
    list_filter = ("expires_at",)
    list_select_related = ("storage__user",)
    search_fields = ("id", "storage__user__user_id", "storage__user__username", "storage__user__email")
    search_help_text = "Hold id, user id, name or e-mail"

    @admin.display(description="user")
    def user(self, reservation: Reservation) -> str:
        return str(reservation.storage.user)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, reservation: Reservation) -> str:
        return filesizeformat(reservation.size_bytes)


@admin.register(StorageWarning)
class StorageWarningAdmin(ReadOnlyAdmin):
    list_display = ("user", "percent", "used", "limit", "created_at")
    list_filter = ("percent", "created_at")
    list_select_related = ("storage__user",)
    search_fields = ("storage__user__user_id", "storage__user__username", "storage__user__email")
    search_help_text = "User id, name or e-mail"

    @admin.display(description="user")
    def user(self, warning: StorageWarning) -> str:
        return str(warning.storage.user)

    @admin.display(description="used", ordering="used_bytes")
    def used(self, warning: StorageWarning) -> str:
        return filesizeformat(warning.used_bytes)

    @admin.display(description="limit", ordering="limit_bytes")
    def limit(self, warning: StorageWarning) -> str:
        return filesizeformat(warning.limit_bytes)


@admin.register(AppStorage)
class AppStorageAdmin(ReadOnlyAdmin):
    list_display = ("user", "app", "used", "project_count")
    list_filter = ("app",)
    list_select_related = ("storage__user", "app")
    search_fields = ("storage__user__user_id", "storage__user__username", "storage__user__email")
    search_help_text = "User id, name or e-mail"

    @admin.display(description="user")
    def user(self, part: AppStorage) -> str:
        return str(part.storage.user)

    @admin.display(description="used", ordering="used_bytes")
    def used(self, part: AppStorage) -> str:
        return filesizeformat(part.used_bytes)


@admin.register(Project)
class ProjectAdmin(ReadOnlyAdmin):
    list_display = ("code", "title", "user", "app", "project_type", "size", "created_at", "deleted_at")
    list_filter = ("app", ContentFilter, "created_at", TrashFilter)
    list_select_related = ("user", "app")
    search_fields = ("code", "title", "user__user_id", "user__email")
    search_help_text = "Project code, title, user id or e-mail"
    show_full_result_count = False

    @admin.display(description="size", ordering="size_bytes")
    def size(self, project: Project) -> str:
        return filesizeformat(project.size_bytes)


@admin.register(ProjectContent)
class ProjectContentAdmin(ReadOnlyAdmin):
    list_display = ("project", "encoding")
    list_select_related = ("project",)
    search_fields = ("project__code",)
    exclude = ("body", "thumbnail", "digest")

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).defer("body", "thumbnail")
