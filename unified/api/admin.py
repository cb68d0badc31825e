"""What was answered to which idempotency key, for staff who look into a caller's question."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from unified.api.models import IdempotencyRecord


@admin.register(IdempotencyRecord)
class IdempotencyRecordAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "caller", "route", "key", "status")
    list_filter = ("route", "status")
    search_fields = ("key",)
    exclude = ("request_digest", "body")  # an answer may hold what a person keeps
