"""Credits that expire, and what became of them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from credits.models.ledger import Account, LedgerEntry
from credits.models.limits import DEFAULT_PRIORITY, MAX_PRIORITY


class Grant(models.Model):
    """
    A lot: credits that expire, from the one entry that brought them in. `remaining` counts what has not been spent and
    has not been entered as expired; `held` is the part of it that holds have claimed. Guarded by the account's lock.

    Credits that never expire have no lot: they are the rest of the balance, and are spent last.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="lots", db_index=False)
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="lots")
    amount = models.PositiveIntegerField(help_text="Credits that the lot began with.")
    remaining = models.PositiveIntegerField()
    held = models.PositiveIntegerField(default=0)
    priority = models.PositiveSmallIntegerField(default=DEFAULT_PRIORITY, help_text="The lowest is spent first.")
    expires_at = models.DateTimeField()
    plan = models.ForeignKey(
        "accounts.Plan",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="Of a plan's monthly credits.",
    )
    period_start = models.DateTimeField(null=True, help_text="Of a plan's monthly credits: when their month began.")
    origin = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="The expired lot that these refunded credits had been spent from.",
    )
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "lot"
        ordering = ("-id",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(held__gte=0, remaining__gte=F("held"), amount__gte=F("remaining")),
                name="lot_amounts_in_order",
            ),
            models.CheckConstraint(condition=Q(amount__gte=1), name="lot_of_something"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="lot_lives_for_a_while"),
            models.CheckConstraint(condition=Q(priority__lte=MAX_PRIORITY), name="lot_priority_range"),
            models.UniqueConstraint(
                fields=["account", "period_start", "plan"],
                condition=Q(period_start__isnull=False),
                name="lot_once_a_plan_period",
            ),
            models.CheckConstraint(
                condition=Q(plan__isnull=True, period_start__isnull=True)
                | Q(plan__isnull=False, period_start__isnull=False),
                name="lot_plan_with_period",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account", "created_at"], name="lot_of_account"),
            # In burn order; closed lots are in neither of these.
            models.Index(
                fields=["account", "priority", "expires_at", "created_at", "id"],
                condition=Q(remaining__gt=0),
                name="lot_open_in_burn_order",
            ),
            models.Index(fields=["expires_at"], condition=Q(remaining__gt=F("held")), name="lot_to_expire"),
        ]

    def __str__(self) -> str:
        return f"{self.remaining} of {self.amount} credits until {self.expires_at:%Y-%m-%d}"

    @property
    def free(self) -> int:
        """Credits of the lot that no hold has claimed."""
        return self.remaining - self.held


class LotUse(models.Model):
    """What one entry did to one lot: took from it (negative), or returned to it (positive). Never changed."""

    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, related_name="lot_uses")
    lot = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="uses")
    amount = models.IntegerField()

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [models.CheckConstraint(condition=~Q(amount=0), name="lot_use_of_something")]

    def __str__(self) -> str:
        return f"{self.amount:+d}"
