"""Accounts, entries, lots, holds and prices for staff to look at. Nothing here can change the books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.base import AuditedAdmin, OfPersonMixin, ReadOnlyAdmin, ReasonForm, person_link
from accounts.admin.filters import date_range, number_range
from accounts.models import AuditEntry
from credits import pricing
from credits.models import (
    MAX_AMOUNT,
    Account,
    AdjustmentLimit,
    Grant,
    GrantFile,
    GrantLine,
    Hold,
    LedgerEntry,
    LotClaim,
    LotUse,
    Operation,
)
from credits.services import refunded_of

MOST_CORRECTIONS = 50  # on the page of one entry


@admin.register(Account)
class AccountAdmin(OfPersonMixin, ReadOnlyAdmin):
    list_display = ("user_id", "person", "balance", "held", "in_lots", "seq")
    list_filter = (number_range("balance", "balance", unit="credits"),)
    list_select_related = ("user",)
    search_fields = ("user",)
    search_help_text = "User id, name or e-mail"
    export_columns = ("user", "balance", "held", "in_lots", "seq")


class OfAccountAdmin(OfPersonMixin, ReadOnlyAdmin):
    """What belongs to an account."""

    person_path = "account__user"


@admin.register(LedgerEntry)
class LedgerEntryAdmin(OfAccountAdmin):
    list_display = ("created_at", "person", "kind", "amount", "balance_after", "by", "description")
    list_filter = (date_range("created_at", "day"), "type", "source", "app")
    list_select_related = ("account__user", "app", "actor")
    search_fields = ("id",)
    search_ids = ("id", "project_code")
    search_help_text = "Transaction id, user id, name, e-mail or project code"
    export_columns = (
        *("id", "created_at", "account", "seq", "type", "source", "amount", "balance_after", "app", "actor"),
        *("description", "project_code", "operation", "quantity", "related_id"),
    )

    def change_view(
        self, request: Any, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """One entry, with whose it is, what belongs to it, and the way to its refund for who may go it."""
        entry = self.get_object(request, unquote(object_id))
        context = _what_belongs_to(request, entry) if entry is not None else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="type", ordering="type")
    def kind(self, entry: LedgerEntry) -> str:
        source = f" ({entry.source})" if entry.source and entry.source != entry.type else ""
        return f"{entry.get_type_display()}{source}"

    @admin.display(description="by")
    def by(self, entry: LedgerEntry) -> str:
        return str(entry.actor or entry.app or "Unified")


@admin.register(Grant)
class GrantAdmin(OfAccountAdmin):
    list_display = ("created_at", "person", "source", "amount", "remaining", "held", "priority", "expires_at")
    list_filter = (date_range("created_at", "day"), date_range("expires_at", "expiry"), "entry__source")
    list_select_related = ("account__user", "entry")
    search_fields = ("account",)
    search_help_text = "User id, name or e-mail"
    export_columns = ("created_at", "account", "source", "amount", "remaining", "held", "priority", "expires_at")

    @admin.display(description="source", ordering="entry__source")
    def source(self, lot: Grant) -> str:
        return str(lot.entry.get_source_display())


@admin.register(Hold)
class HoldAdmin(OfAccountAdmin):
    list_display = ("created_at", "person", "app", "amount", "state", "expires_at", "description")
    list_filter = (date_range("created_at", "day"), "status", "app")
    list_select_related = ("account__user", "app")
    search_fields = ("id",)
    search_ids = ("id", "project_code")
    search_help_text = "Hold id, user id, name, e-mail or project code"
    export_columns = (
        *("id", "created_at", "account", "app", "amount", "state", "expires_at", "resolved_at", "description"),
        "project_code",
    )

    @admin.display(description="status", ordering="status")
    def state(self, hold: Hold) -> str:
        """As stored; a hold whose time is over counts as expired, whether or not anybody has written that down."""
        over = hold.status == Hold.Status.ACTIVE and hold.expires_at <= timezone.now()
        return "Expired, to be tidied up" if over else hold.get_status_display()


@admin.register(LotUse)
class LotUseAdmin(OfPersonMixin, ReadOnlyAdmin):
    person_path = "entry__account__user"
    list_display = ("entry", "person", "lot", "amount")
    list_select_related = ("entry__account__user", "lot")
    search_fields = ("entry",)
    search_ids = ("entry",)
    search_help_text = "Transaction id, user id, name or e-mail"


@admin.register(LotClaim)
class LotClaimAdmin(OfPersonMixin, ReadOnlyAdmin):
    person_path = "hold__account__user"
    list_display = ("hold", "person", "lot", "amount")
    list_select_related = ("hold__account__user", "lot")
    search_fields = ("hold",)
    search_ids = ("hold",)
    search_help_text = "Hold id, user id, name or e-mail"


class OperationForm(ReasonForm):
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
class OperationAdmin(AuditedAdmin):
    """A price change is a new version: adding the name again makes the next one."""

    form = OperationForm
    services_record = True
    list_display = ("name", "slug", "app", "credits", "unit", "version", "starts_at", "state")
    list_filter = ("app", "is_active")
    list_select_related = ("app",)
    search_fields = ("slug", "name")
    ordering = ("app", "slug", "-version")

    def get_queryset(self, request: Any) -> Any:
        """With the number of the version whose price holds now."""
        begun = Operation.objects.filter(slug=OuterRef("slug"), starts_at__lte=Now()).order_by("-version")
        return super().get_queryset(request).annotate(version_now=Subquery(begun.values("version")[:1]))

    @admin.display(description="state")
    def state(self, operation: Any) -> str:
        if operation.version_now is None or operation.version > operation.version_now:
            return "planned"
        if operation.version < operation.version_now:
            return "replaced"
        return "holds now" if operation.is_active else "withdrawn"

    def has_change_permission(self, request: Any, obj: Operation | None = None) -> bool:
        return False  # entries point at the price that they were charged at: a new price is a new version

    def get_changeform_initial_data(self, request: Any) -> dict[str, Any]:
        return {"starts_at": timezone.now(), **super().get_changeform_initial_data(request)}

    @transaction.atomic
    def save_model(self, request: Any, obj: Operation, form: Any, change: bool) -> None:
        former = Operation.objects.filter(slug=obj.slug).order_by("-version").first()
        pricing.publish(obj)
        self.record(request, AuditEntry.Event.ADDED, obj, before=_price(former) if former else None, after=_price(obj))


@admin.register(AdjustmentLimit)
class AdjustmentLimitAdmin(AuditedAdmin):
    """What a role may adjust; nothing, with 0 in both."""

    list_display = ("group", "per_adjustment", "per_day")
    list_select_related = ("group",)

    def get_readonly_fields(self, request: Any, obj: AdjustmentLimit | None = None) -> Any:
        return ("group",) if obj else ()


@admin.register(GrantFile)
class GrantFileAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "page", "actor", "line_count", "total", "state", "reason")
    list_display_links = None  # a file is looked at on its own page
    list_filter = ("state", date_range("created_at", "day"))
    list_select_related = ("actor",)
    search_fields = ("name", "reason", "actor__user_id")
    search_help_text = "File name, reason, or user id of who sent it"
    exclude = ("digest",)

    @admin.display(description="file", ordering="name")
    def page(self, file: GrantFile) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:grant-file", args=[file.pk]), file.name)


@admin.register(GrantLine)
class GrantLineAdmin(OfPersonMixin, ReadOnlyAdmin):
    list_display = ("page", "number", "text", "person", "amount", "outcome", "problem")
    list_display_links = ("number",)
    list_filter = ("outcome",)
    list_select_related = ("file", "user")
    search_fields = ("text",)
    search_ids = ("text",)
    search_help_text = "User id, name or e-mail"
    export_columns = ("file", "number", "text", "amount", "outcome", "problem", "entry_id")

    @admin.display(description="file", ordering="file")
    def page(self, line: GrantLine) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:grant-file", args=[line.file_id]), line.file)


def _what_belongs_to(request: Any, entry: LedgerEntry) -> dict[str, Any]:
    """For the page of one entry: whose it is, the entries that correct it, and what can be refunded of it."""
    corrections = list(entry.corrections.select_related("actor", "app").order_by("seq")[: MOST_CORRECTIONS + 1])
    context = {
        "person": person_link(entry.account.user),
        "corrections": corrections[:MOST_CORRECTIONS],
        "more_corrections": len(corrections) > MOST_CORRECTIONS,
    }
    if entry.type != LedgerEntry.Type.DEDUCTION:
        return context
    refunded = refunded_of(entry)
    context |= {"charged": -entry.amount, "refunded": refunded, "refundable": -entry.amount - refunded}
    if context["refundable"] and request.user.has_perms(("accounts.view_user", "credits.refund_ledgerentry")):
        context["refund_address"] = reverse("admin:refund", args=[entry.pk])
    return context


def _price(operation: Operation) -> dict[str, Any]:
    """One version of a price, as the audit has it."""
    return {
        "version": operation.version,
        "credits": operation.credits,
        "unit": operation.unit,
        "starts_at": str(operation.starts_at),
        "is_active": operation.is_active,
    }
