"""Accounts, entries and prices for staff to look at. Nothing here can change the books."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from accounts.admin import ReadOnlyAdmin
from credits.models import Account, LedgerEntry, Operation


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("user", "balance", "held", "spendable", "seq")
    list_select_related = ("user",)
    search_fields = ("user__user_id", "user__username", "user__email")
    search_help_text = "User id, name or e-mail"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at",
        "user",
        "type",
        "amount",
        "balance_after",
        "app",
        "description",
    )
    list_filter = ("type", "app", "created_at")
    list_select_related = ("account__user", "app")
    search_fields = ("id", "account__user__user_id", "account__user__email", "project_code")
    search_help_text = "Transaction id, user id, e-mail or project code"
    show_full_result_count = False
    date_hierarchy = "created_at"

    @admin.display(description="user")
    def user(self, entry: LedgerEntry) -> str:
        return str(entry.account.user)


@admin.register(Operation)
class OperationAdmin(admin.ModelAdmin):
    list_display = ("name", "slug", "app", "credits", "unit", "version", "starts_at", "is_active")
    list_filter = ("app", "is_active")
    list_select_related = ("app",)

    def has_change_permission(self, request: Any, obj: Operation | None = None) -> bool:
        return False  # entries point at the price that they were charged at: a new price is a new version

    def has_delete_permission(self, request: Any, obj: Operation | None = None) -> bool:
        return False
