"""Credits that are set aside."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from credits.models.ledger import Account, LedgerEntry
from credits.models.limits import DESCRIPTION_MAX_LENGTH, MAX_AMOUNT, PROJECT_CODE_MAX_LENGTH
from credits.models.lots import Grant
from credits.models.prices import Operation


class Hold(models.Model):
    """
    Credits set aside for work that is being done: no transaction yet, and nobody else's to spend.

    It counts while it is active and `expires_at` lies ahead, by the database's clock, whether or not somebody has
    tidied up. What it claims stays good until it ends, also from a lot that expires meanwhile.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        CAPTURED = "captured"
        RELEASED = "released"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds", db_index=False)
    app = models.ForeignKey("accounts.App", on_delete=models.PROTECT, related_name="+", db_index=False)
    amount = models.PositiveIntegerField(help_text="Credits set aside.")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    description = models.CharField(
        max_length=DESCRIPTION_MAX_LENGTH, blank=True, help_text="Of the deduction that it may become, if it was said."
    )
    project_code = models.CharField(max_length=PROJECT_CODE_MAX_LENGTH, null=True)  # noqa: DJ001
    operation = models.ForeignKey(Operation, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveIntegerField(null=True)
    by_user = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Made with the person's own token, which may then end it too; else only the app's key may.",
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, help_text="When it was captured or released, or found to be over.")
    entry = models.OneToOneField(
        LedgerEntry, null=True, on_delete=models.PROTECT, related_name="hold", help_text="The deduction that it became."
    )
    spendable_after = models.PositiveBigIntegerField(
        null=True,
        help_text="What could be spent once the change was done with which it ended: what a repeat is told again.",
    )

    class Meta:
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(amount__gte=1, amount__lte=MAX_AMOUNT), name="hold_amount_range"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="hold_lives_for_a_while"),
            models.CheckConstraint(
                condition=Q(operation=None, quantity=None)
                | Q(operation__isnull=False, quantity__isnull=False, quantity__gte=1),
                name="hold_operation_with_quantity",
            ),
            models.CheckConstraint(
                condition=Q(status="active", resolved_at__isnull=True, entry__isnull=True)
                | Q(status="captured", resolved_at__isnull=False, entry__isnull=False)
                | Q(status__in=("released", "expired"), resolved_at__isnull=False, entry__isnull=True),
                name="hold_end_fits_status",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "-created_at"], name="hold_of_account"),
            models.Index(fields=["account", "expires_at"], condition=Q(status="active"), name="hold_active_of_account"),
            models.Index(fields=["expires_at"], condition=Q(status="active"), name="hold_to_expire"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} credits, {self.status}"


class LotClaim(models.Model):
    """How much of one lot one hold has claimed, in burn order by id. Never changed; it counts while the hold lives."""

    hold = models.ForeignKey(Hold, on_delete=models.PROTECT, related_name="claims")
    lot = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="claims")
    amount = models.PositiveIntegerField()

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [models.CheckConstraint(condition=Q(amount__gte=1), name="lot_claim_of_something")]

    def __str__(self) -> str:
        return f"{self.amount} of lot {self.lot_id}"
