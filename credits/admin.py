"""Accounts, entries, lots, holds and prices for staff to look at. Nothing here can change the books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.utils import timezone

from accounts.admin import ReadOnlyAdmin
from credits import pricing
from credits.models import MAX_AMOUNT, Account, AdjustmentLimit, Grant, Hold, LedgerEntry, LotClaim, LotUse, Operation

BY_USER = ("account__user__user_id", "account__user__username", "account__user__email")


class OfAccountAdmin(ReadOnlyAdmin):
    """What belongs to an account."""

    show_full_result_count = False

    @admin.display(description="user")
    def user(self, row: Any) -> str:
        return str(row.account.user)


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("user", "balance", "held", "in_lots", "seq")
    list_select_related = ("user",)
    search_fields = ("user__user_id", "user__username", "user__email")
    search_help_text = "User id, name or e-mail"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(OfAccountAdmin):
    list_display = ("created_at", "user", "kind", "amount", "balance_after", "by", "description")
    list_filter = ("type", "source", "app", "created_at")
    list_select_related = ("account__user", "app", "actor")
    search_fields = ("id", *BY_USER, "project_code")
    search_help_text = "Transaction id, user id, name, e-mail or project code"
    date_hierarchy = "created_at"

    @admin.display(description="type", ordering="type")
    def kind(self, entry: LedgerEntry) -> str:
        source = f" ({entry.source})" if entry.source and entry.source != entry.type else ""
        return f"{entry.get_type_display()}{source}"

    @admin.display(description="by")
    def by(self, entry: LedgerEntry) -> str:
        return str(entry.actor or entry.app or "Unified")


@admin.register(Grant)
class GrantAdmin(OfAccountAdmin):
    list_display = ("created_at", "user", "source", "amount", "remaining", "held", "priority", "expires_at")
    list_filter = ("entry__source", "expires_at")
    list_select_related = ("account__user", "entry")
    search_fields = BY_USER
    search_help_text = "User id, name or e-mail"

    @admin.display(description="source", ordering="entry__source")
    def source(self, lot: Grant) -> str:
        return str(lot.entry.get_source_display())


@admin.register(Hold)
class HoldAdmin(OfAccountAdmin):
    list_display = ("created_at", "user", "app", "amount", "state", "expires_at", "description")
    list_filter = ("status", "app", "created_at")
    list_select_related = ("account__user", "app")
    search_fields = ("id", *BY_USER, "project_code")
    search_help_text = "Hold id, user id, name, e-mail or project code"

    @admin.display(description="status", ordering="status")
    def state(self, hold: Hold) -> str:
        """As stored; a hold whose time is over counts as expired, whether or not anybody has written that down."""
        over = hold.status == Hold.Status.ACTIVE and hold.expires_at <= timezone.now()
        return "Expired, to be tidied up" if over else hold.get_status_display()


@admin.register(LotUse)
class LotUseAdmin(ReadOnlyAdmin):
    list_display = ("entry", "user", "lot", "amount")
    list_select_related = ("entry__account__user", "lot")
    search_fields = tuple(f"entry__{field}" for field in ("id", *BY_USER))
    search_help_text = "Transaction id, user id, name or e-mail"
    show_full_result_count = False

    @admin.display(description="user")
    def user(self, use: LotUse) -> str:
        return str(use.entry.account.user)


@admin.register(LotClaim)
class LotClaimAdmin(ReadOnlyAdmin):
    list_display = ("hold", "user", "lot", "amount")
    list_select_related = ("hold__account__user", "lot")
    search_fields = tuple(f"hold__{field}" for field in ("id", *BY_USER))
    search_help_text = "Hold id, user id, name or e-mail"
    show_full_result_count = False

    @admin.display(description="user")
    def user(self, claim: LotClaim) -> str:
        return str(claim.hold.account.user)


class OperationForm(forms.ModelForm):
    credits = forms.IntegerField(min_value=1, max_value=MAX_AMOUNT, help_text="Credits per unit.")

    class Meta:
        model = Operation
        fields = ("slug", "app", "name", "unit", "credits", "starts_at", "is_active")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "slug" in cleaned and "app" in cleaned:
            try:
                pricing.check_owner(slug=cleaned["slug"], app=cleaned["app"])
            except pricing.OperationTaken as refusal:
                self.add_error("slug", str(refusal))
        if cleaned.get("starts_at") and cleaned["starts_at"] < timezone.now() - timedelta(hours=1):
            self.add_error("starts_at", "A price cannot begin in the past; leave the time as it is to begin now.")
        return cleaned


@admin.register(Operation)
class OperationAdmin(admin.ModelAdmin):
    """A price change is a new version: adding the name again makes the next one."""

    form = OperationForm
    list_display = ("name", "slug", "app", "credits", "unit", "version", "starts_at", "is_active")
    list_filter = ("app", "is_active")
    list_select_related = ("app",)

    def has_change_permission(self, request: Any, obj: Operation | None = None) -> bool:
        return False  # entries point at the price that they were charged at: a new price is a new version

    def get_changeform_initial_data(self, request: Any) -> dict[str, Any]:
        return {"starts_at": timezone.now(), **super().get_changeform_initial_data(request)}

    def save_model(self, request: Any, obj: Operation, form: Any, change: bool) -> None:
        pricing.publish(obj)

    def has_delete_permission(self, request: Any, obj: Operation | None = None) -> bool:
        return False


@admin.register(AdjustmentLimit)
class AdjustmentLimitAdmin(admin.ModelAdmin):
    list_display = ("group", "per_adjustment", "per_day")
    list_select_related = ("group",)
