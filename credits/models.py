"""
What people can spend, and how it came to be.

Kept here, by the database itself and not only by the code that writes:
- `balance >= held >= 0` on every account;
- the ledger is append-only: a trigger refuses UPDATE, DELETE and TRUNCATE, and no foreign key cascades into it;
- `(account, seq)` is unique; `seq` runs 1, 2, 3… because it is taken from the locked account row.
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

MAX_AMOUNT = 1_000_000  # credits that one call can move
PROJECT_CODE_MAX_LENGTH = 64  # kept as the caller gave it; not a reference
DESCRIPTION_MAX_LENGTH = 500


class Account(models.Model):
    """One person's credits. The row is the lock: whoever changes anything about the credits locks it first."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, primary_key=True, related_name="account"
    )
    balance = models.PositiveBigIntegerField(default=0, help_text="Sum of all entries, in credits.")
    held = models.PositiveBigIntegerField(default=0, help_text="Part of the balance that live holds have claimed.")
    seq = models.PositiveBigIntegerField(default=0, help_text="Number of the newest entry.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(condition=Q(balance__gte=F("held")), name="account_balance_covers_held"),
        ]

    def __str__(self) -> str:
        return f"account of {self.user}"

    @property
    def spendable(self) -> int:
        """Credits that can be spent right now."""
        return self.balance - self.held


class Operation(models.Model):
    """
    One version of one line of the price list: what an operation costs in credits per unit, from `starts_at` on.

    A price change is a new version, so that an entry's price can always be looked up as it was.
    """

    slug = models.SlugField(max_length=64)
    version = models.PositiveIntegerField(default=1)
    app = models.ForeignKey(
        "accounts.App", on_delete=models.PROTECT, related_name="operations", help_text="Whose price list shows it."
    )
    name = models.CharField(max_length=100)
    unit = models.CharField(max_length=30, help_text="What one of it is: page, image…")
    credits = models.PositiveIntegerField(help_text="Credits per unit.")
    starts_at = models.DateTimeField(db_default=Now(), help_text="When this version's price begins to hold.")
    is_active = models.BooleanField(default=True, help_text="Unset to withdraw the operation from this version on.")

    class Meta:
        ordering = ("app_id", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["slug", "version"], name="operation_version_unique"),
            models.CheckConstraint(condition=Q(credits__gte=1, credits__lte=MAX_AMOUNT), name="operation_price_range"),
        ]

    def __str__(self) -> str:
        return f"{self.slug} v{self.version}: {self.credits} per {self.unit}"


class LedgerEntry(models.Model):
    """One change of one balance. Never changed, never deleted; corrections are further entries."""

    class Type(models.TextChoices):
        GRANT = "grant"
        DEDUCTION = "deduction"
        REFUND = "refund"
        ADJUSTMENT = "adjustment"
        EXPIRY = "expiry"

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
    metadata = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
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
        ]
        # Each index is paid for by every entry ever written, so only what is looked up has one.
        indexes: ClassVar = [
            models.Index(fields=["created_at"], name="entry_created_at"),
            models.Index(fields=["related"], condition=Q(related__isnull=False), name="entry_corrections"),
        ]

    def __str__(self) -> str:
        return f"#{self.seq} {self.type} {self.amount:+d}"
