"""What was done, and what people are signed in with: to look at."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.filters import date_range
from accounts.models import AuditEntry, SpentCode


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "event", "actor", "subject", "app", "reason", "ip", "request_id")
    list_filter = ("event", "app", date_range("created_at", "day"))
    list_select_related = ("actor", "subject", "app")
    search_fields = ("subject__user_id", "actor__user_id", "request_id", "reason", "details")
    search_help_text = "User id, request id, or anything in the reason or the details"
    export_columns = ("created_at", "event", "actor", "subject", "app", "reason", "details", "ip", "request_id")


@admin.register(SpentCode)
class SpentCodeAdmin(ReadOnlyAdmin):
    list_display = ("client", "token_family", "created_at")
    list_select_related = ("client",)
    exclude = ("digest",)


class TokenAdmin(ReadOnlyAdmin):
    """Who holds what until when. The tokens themselves are kept by their digest alone, and not shown."""

    list_display: tuple[str, ...] = ("id", "user", "application", "scope", "created", "expires")
    list_select_related = ("user", "application")
    search_fields = ("user__user_id",)
    search_help_text = "User id"
    exclude = ("token", "token_checksum")


class RefreshTokenAdmin(TokenAdmin):
    list_display = ("id", "user", "application", "created", "revoked")


class GrantAdmin(TokenAdmin):
    exclude = ("code", "code_challenge")
