"""The figures behind the dashboard, to look at."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.filters import date_range
from unified.figures.models import CreditDay, FailedCalls, LastActive, ServiceDay, Verification


@admin.register(CreditDay)
class CreditDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "app", "type", "is_addition", "operation", "entries", "credits")
    list_filter = ("type", "app")
    list_select_related = ("app",)
    export_columns = list_display


@admin.register(ServiceDay)
class ServiceDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "as_of", "people", "active", "active_30_days", "outstanding", "held", "used_bytes")
    export_columns = (*list_display, "trash_bytes", "projects", "is_final")


@admin.register(LastActive)
class LastActiveAdmin(ReadOnlyAdmin):
    list_display = ("user", "day")
    list_select_related = ("user",)
    search_fields = ("user__user_id",)
    search_help_text = "User id"


@admin.register(FailedCalls)
class FailedCallsAdmin(ReadOnlyAdmin):
    list_display = ("day", "app", "code", "calls")
    list_filter = ("app", "code")
    list_select_related = ("app",)
    export_columns = list_display


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    list_display = ("as_of", "is_right", "violations")
    list_filter = ("is_right", date_range("as_of", "day"))
