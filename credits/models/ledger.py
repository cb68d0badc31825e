"""Accounts, and the entries that made them what they are."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from credits.models.limits import DESCRIPTION_MAX_LENGTH, IDEMPOTENCY_KEY_MAX_LENGTH, PROJECT_CODE_MAX_LENGTH
from credits.models.prices import Operation


class Source(models.TextChoices):
    """Why credits were given."""

    SIGNUP = "signup"
    PURCHASE = "purchase"
    PROMOTION = "promotion"
    PLAN = "plan"
    ADJUSTMENT = "adjustment"
    REFUND = "refund"


class Account(models.Model):
    """One person's credits. The row is the lock: whoever changes anything about the credits locks it first."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True, related_name="account"
    )
    balance = models.PositiveBigIntegerField(default=0, help_text="Sum of all entries, in credits.")
    held = models.PositiveBigIntegerField(
        default=0, help_text="Part of the balance that holds have claimed; those that have run out since included."
    )
    in_lots = models.PositiveBigIntegerField(
        default=0, db_default=0, help_text="Part of the balance that is in lots, which expire. The rest never does."
    )
    seq = models.PositiveBigIntegerField(default=0, help_text="Number of the newest entry.")

    class Meta:
        permissions: ClassVar = [("adjust_account", "Can adjust credits")]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(condition=Q(balance__gte=F("held")), name="account_balance_covers_held"),
            models.CheckConstraint(
                condition=Q(in_lots__gte=0, balance__gte=F("in_lots")), name="account_balance_covers_lots"
            ),
        ]

    def __str__(self) -> str:
        return f"account of {self.user}"


class LedgerEntry(models.Model):
    """One change of one balance. Never changed, never deleted; corrections are further entries."""

    class Type(models.TextChoices):
        GRANT = "grant"
        DEDUCTION = "deduction"
        REFUND = "refund"
        ADJUSTMENT = "adjustment"
        EXPIRY = "expiry"

    Source = Source

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="entries", db_index=False)
    seq = models.PositiveBigIntegerField()
    type = models.CharField(max_length=10, choices=Type.choices)
    amount = models.BigIntegerField(help_text="Signed, in credits: a deduction of 2 is -2.")
    balance_after = models.PositiveBigIntegerField(help_text="The account's balance once this entry counts.")
    app = models.ForeignKey(
        "accounts.App",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="Empty for staff and system.",
    )
    description = models.CharField(max_length=DESCRIPTION_MAX_LENGTH)
    project_code = models.CharField(max_length=PROJECT_CODE_MAX_LENGTH, null=True)  # noqa: DJ001  none is not empty
    operation = models.ForeignKey(
        Operation,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="The price list line charged by.",
    )
    quantity = models.PositiveIntegerField(null=True)
    related = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="corrections", db_index=False)
    source = models.CharField(  # noqa: DJ001  none is not empty
        max_length=10, choices=Source.choices, null=True, help_text="Of credits that came in: why."
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="The member of staff who did it; empty for apps and system.",
    )
    idempotency_key = models.CharField(  # noqa: DJ001
        max_length=IDEMPOTENCY_KEY_MAX_LENGTH,
        null=True,
        editable=False,
        help_text="Of a staff adjustment: the same key again is the same adjustment.",
    )
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        permissions: ClassVar = [("refund_ledgerentry", "Can refund a transaction")]
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "seq"], name="entry_account_seq_unique"),
            models.CheckConstraint(condition=Q(seq__gte=1), name="entry_seq_from_one"),
            models.CheckConstraint(condition=Q(balance_after__gte=0), name="entry_balance_not_negative"),
            models.CheckConstraint(
                condition=Q(type__in=("grant", "refund"), amount__gt=0)
                | Q(type__in=("deduction", "expiry"), amount__lt=0)
                | (Q(type="adjustment") & ~Q(amount=0)),
                name="entry_sign_fits_type",
            ),
            models.CheckConstraint(
                # A CHECK is content with NULL, so each half says what must not be.
                condition=Q(operation=None, quantity=None)
                | Q(operation__isnull=False, quantity__isnull=False, quantity__gte=1),
                name="entry_operation_with_quantity",
            ),
            models.CheckConstraint(
                condition=Q(source__isnull=True) | Q(source__in=Source.values, amount__gt=0),
                name="entry_source_of_income",
            ),
            models.UniqueConstraint(
                fields=["account", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                name="entry_idempotency_key_unique",
            ),
        ]
        # Each index is paid for by every entry ever written, so only what is looked up has one.
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="entry_created_at"),
            models.Index(fields=["related"], condition=Q(related__isnull=False), name="entry_corrections"),
            models.Index(fields=["actor", "created_at"], condition=Q(actor__isnull=False), name="entry_by_staff"),
            models.Index(fields=["project_code"], condition=Q(project_code__isnull=False), name="entry_of_project"),
        ]

    def __str__(self) -> str:
        return f"#{self.seq} {self.type} {self.amount:+d}"
