"""
Storage and projects for staff to look at: who has how much of what. What a project holds, and what its metadata says,
is only for who may inspect it, on a page of its own (`admin:inspect`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import F, FloatField, Q, QuerySet
from django.db.models.functions import Cast, Coalesce, NullIf
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from accounts.admin.base import OfPersonMixin, ReadOnlyAdmin, people_called
from accounts.admin.filters import date_range, number_range
from accounts.models import Plan
from accounts.templatetags.figures import MEGABYTE, exact_size, size, whole
from workspace import codes
from workspace.models import (
    WARNING_PERCENTS,
    AppStorage,
    Project,
    ProjectContent,
    Reservation,
    Storage,
    StorageWarning,
)

LONGEST_SHOWN = 40  # characters of a title in the list
WHO = "User id, name or e-mail"
INSPECT = "workspace.inspect_projectcontent"
# What can be done about somebody's room on a page of its own: its name, the permission it takes, and its word.
DEEDS = (
    ("change-plan", "accounts.switch_plan", "Plan"),
    ("change-limit", "workspace.resize_storage", "Limit"),
    ("clean-up", "workspace.clean_up_storage", "Clean up"),
)


class FullnessFilter(admin.SimpleListFilter):
    title = "mark"
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
class StorageAdmin(OfPersonMixin, ReadOnlyAdmin):
    """
    Counters as the rows have them: a reservation whose time is over is in `reserved` until the sweep, or a save, has
    removed it. A page costs one query for its rows, and two for all their apps.
    """

    list_display: tuple[str, ...] = (
        *("person", "plan", "room", "percentage", "reserved", "apps", "projects", "trash"),
    )
    list_display_links = None  # all of it is on the person's page
    list_filter = (
        FullnessFilter,
        number_range("fullness", "how full", unit="%"),
        number_range("used_bytes", "used", unit="MB", factor=MEGABYTE),
        number_range("limit_bytes", "limit", unit="MB", factor=MEGABYTE),
        number_range("project_count", "number of projects"),
        "user__plan",
    )
    list_select_related = ("user__plan",)
    ordering = ("-used_bytes", "user")
    search_fields = ("user",)
    search_help_text = WHO
    # The parts of the apps are a list of their own, with an export of its own.
    export_columns = (
        *("user", "plan", "used_bytes", "reserved_bytes", "limit_bytes", "project_count", "trash_bytes"),
        *("trash_count", "warned_percent"),
    )

    def get_queryset(self, request: Any) -> QuerySet[Storage]:
        share = Cast("used_bytes", FloatField()) * 100 / NullIf(F("limit_bytes"), 0)
        rows: QuerySet[Storage] = super().get_queryset(request).annotate(fullness=Coalesce(share, 0.0))
        return rows.prefetch_related("by_app__app")

    def get_list_display(self, request: Any) -> Any:
        """With the ways to what the viewer may do about it, if they may do anything."""
        deeds = [deed for deed in DEEDS if request.user.has_perms(("accounts.view_user", deed[1]))]
        return [*self.list_display, _ways(deeds)] if deeds else self.list_display

    @admin.display(description="plan", ordering="user__plan__rank")
    def plan(self, storage: Storage) -> Plan:
        return storage.user.plan

    @admin.display(description="used of limit", ordering="used_bytes")
    def room(self, storage: Storage) -> SafeString:
        """A bar, with its figures and the mark that is reached in words: the colour alone says nothing."""
        figures = f"{size(storage.used_bytes)} of {size(storage.limit_bytes)}"
        most = max(storage.limit_bytes, 1)
        bar = format_html(
            '<meter class="room" min="0" max="{}" low="{}" high="{}" optimum="0" value="{}" aria-label="{} used">'
            '</meter> <span class="figures-of-room" title="{} of {} bytes">{}</span>',
            *(most, most * 0.8, most * 0.95, storage.used_bytes, figures),
            *(whole(storage.used_bytes), whole(storage.limit_bytes), figures),
        )
        if not storage.warned_percent:
            return bar
        kind, text = ("bad", "full") if storage.warned_percent == 100 else ("warn", f"over {storage.warned_percent} %")
        return format_html('{} <span class="tag {}">{}</span>', bar, kind, text)

    @admin.display(description="full", ordering="fullness")
    def percentage(self, storage: Any) -> str:
        return f"{storage.fullness:.1f}\u00a0%"

    @admin.display(description="reserved", ordering="reserved_bytes")
    def reserved(self, storage: Storage) -> SafeString | str:
        return exact_size(storage.reserved_bytes) if storage.reserved_bytes else "–"

    @admin.display(description="by app")
    def apps(self, storage: Storage) -> SafeString | str:
        parts = [part for part in storage.by_app.all() if part.project_count]
        parts.sort(key=lambda part: (-part.used_bytes, part.app_id))
        if not parts:
            return "–"
        told = ((part.app, size(part.used_bytes), part.project_count) for part in parts)
        return format_html_join(" · ", '<span class="part-of-room">{} {} in {}</span>', told)

    @admin.display(description="projects", ordering="project_count")
    def projects(self, storage: Storage) -> int:
        return storage.project_count

    @admin.display(description="trash", ordering="trash_bytes")
    def trash(self, storage: Storage) -> str:
        return f"{size(storage.trash_bytes)} in {storage.trash_count}" if storage.trash_count else "–"


class OfStorageAdmin(OfPersonMixin, ReadOnlyAdmin):
    """What belongs to a storage row."""

    person_path = "storage__user"
    list_select_related: ClassVar[tuple[str, ...]] = ("storage__user",)

    @admin.display(description="user id")
    def user_id(self, row: Any) -> str:
        return str(row.storage.user.user_id)


@admin.register(Reservation)
class ReservationAdmin(OfStorageAdmin):
    list_display = ("id", "person", "size", "expires_at")
    list_filter = (
        date_range("expires_at", "end"),
        number_range("size_bytes", "size", unit="MB", factor=MEGABYTE),
    )
    search_fields = ("id",)
    search_ids = ("id",)
    search_help_text = f"Hold id, {WHO[0].lower()}{WHO[1:]}"
    export_columns = ("id", "user_id", "size_bytes", "expires_at")

    @admin.display(description="size", ordering="size_bytes")
    def size(self, reservation: Reservation) -> SafeString:
        return exact_size(reservation.size_bytes)


@admin.register(StorageWarning)
class StorageWarningAdmin(OfStorageAdmin):
    list_display = ("created_at", "person", "reached", "used", "limit")
    list_filter = ("percent", date_range("created_at", "day"))
    ordering = ("-id",)
    search_fields = ("storage",)
    search_help_text = WHO
    export_columns = ("created_at", "user_id", "percent", "used_bytes", "limit_bytes")

    @admin.display(description="reached", ordering="percent")
    def reached(self, warning: StorageWarning) -> str:
        return f"{warning.percent} %"

    @admin.display(description="used", ordering="used_bytes")
    def used(self, warning: StorageWarning) -> SafeString:
        return exact_size(warning.used_bytes)

    @admin.display(description="limit", ordering="limit_bytes")
    def limit(self, warning: StorageWarning) -> SafeString:
        return exact_size(warning.limit_bytes)


@admin.register(AppStorage)
class AppStorageAdmin(OfStorageAdmin):
    list_display = ("person", "app", "used", "project_count")
    list_display_links = None
    list_filter = (
        "app",
        number_range("used_bytes", "used", unit="MB", factor=MEGABYTE),
        number_range("project_count", "number of projects"),
    )
    list_select_related = ("storage__user", "app")
    ordering = ("-used_bytes", "id")
    search_fields = ("storage",)
    search_help_text = WHO
    export_columns = ("user_id", "app", "used_bytes", "project_count")

    @admin.display(description="used", ordering="used_bytes")
    def used(self, part: AppStorage) -> SafeString:
        return exact_size(part.used_bytes)


@admin.register(Project)
class ProjectAdmin(OfPersonMixin, ReadOnlyAdmin):
    """
    What there is of each project, but not what is in it. Its metadata is (a picture's prompt), so it is not here at
    all. Nor are titles in the CSV: they are people's own words, and a file that leaves the house is to say how much
    there is, not what.
    """

    list_display: tuple[str, ...] = (
        *("code", "called", "person", "app", "project_type", "size", "created_at", "updated_at", "deleted_at"),
    )
    list_filter = (
        "app",
        ContentFilter,
        TrashFilter,
        date_range("created_at", "day of saving"),
        date_range("updated_at", "day of the last change"),
        number_range("size_bytes", "size", unit="MB", factor=MEGABYTE),
    )
    list_select_related = ("user", "app")
    search_fields = ("code",)
    search_help_text = "Project code (also as somebody types it), title, user id, name or e-mail"
    exclude = ("metadata",)
    export_columns = (
        *("code", "user", "app", "project_type", "content_type", "size_bytes", "created_at", "updated_at"),
        *("version", "deleted_at"),
    )

    def get_queryset(self, request: Any) -> QuerySet[Project]:
        return super().get_queryset(request).defer("metadata")

    def get_search_results(self, request: Any, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\0", "")
        if not text:
            return queryset, False
        found = Q(user__in=people_called(text)) | Q(title__icontains=text)
        if (code := codes.fold(text)) is not None:
            found |= Q(code=code)
        return queryset.filter(found), False

    def get_list_display(self, request: Any) -> Any:
        return [*self.list_display, "content_page"] if request.user.has_perm(INSPECT) else self.list_display

    @admin.display(description="title", ordering="title")
    def called(self, project: Project) -> SafeString:
        short = Truncator(project.title).chars(LONGEST_SHOWN)
        return format_html('<bdi title="{}">{}</bdi>', project.title, short or "(no title)")

    def get_readonly_fields(self, request: Any, obj: Project | None = None) -> list[str]:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "content_page"] if request.user.has_perm(INSPECT) else fields

    @admin.display(description="content")
    def content_page(self, project: Project) -> SafeString:
        address = reverse("admin:inspect", args=[project.pk])
        return format_html('<a href="{}" aria-label="Inspect {}">Inspect</a>', address, project.code)

    @admin.display(description="size", ordering="size_bytes")
    def size(self, project: Project) -> SafeString:
        return exact_size(project.size_bytes)


@admin.register(ProjectContent)
class ProjectContentAdmin(OfPersonMixin, ReadOnlyAdmin):
    """That there is content, and how it is kept; none of it."""

    person_path = "project__user"
    list_display = ("code", "person", "encoding")
    list_filter = ("encoding",)
    list_select_related = ("project__user",)
    search_fields = ("project",)
    search_help_text = "Project code, user id, name or e-mail"
    exclude = ("body", "thumbnail", "digest")

    def get_queryset(self, request: Any) -> QuerySet[ProjectContent]:
        return super().get_queryset(request).defer("body", "thumbnail", "project__metadata")

    def get_search_results(self, request: Any, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\0", "")
        if not text:
            return queryset, False
        return queryset.filter(Q(project__user__in=people_called(text)) | Q(project__code=codes.fold(text))), False

    @admin.display(description="project", ordering="project__code")
    def code(self, content: ProjectContent) -> str:
        return content.project.code


def _ways(deeds: list[tuple[str, str, str]]) -> Callable[[Storage], SafeString | str]:
    """The column that leads to these deeds about the person of each row."""

    @admin.display(description="change")
    def change(storage: Storage) -> SafeString | str:
        if storage.user.deleted_at is not None:
            return "–"
        ways = (
            (reverse(f"admin:{name}", args=[storage.pk]), f"{word} of {storage.user}", word) for name, _, word in deeds
        )
        return format_html_join(" · ", '<a class="way" href="{}" aria-label="{}">{}</a>', ways)

    return change
