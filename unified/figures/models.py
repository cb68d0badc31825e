"""
How the service is, day by day (UTC): what the dashboard shows without reading the ledger or the workspace.

Credits can be counted anew from the ledger; how things stood on a past day, and failed calls, are nowhere else.
`unified.figures.rollups` writes it, in the sweep; `failures` counts failed calls as they happen.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class CreditDay(models.Model):
    """What one day's entries of one kind come to. A day is counted anew until nothing can be entered in it any more."""

    day = models.DateField()
    app = models.ForeignKey("accounts.App", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    type = models.CharField(max_length=10)
    is_addition = models.BooleanField(help_text="Whether credits came in; an adjustment goes either way.")
    operation = models.CharField(max_length=64, blank=True, help_text="Of the price list, where it was charged by it.")
    entries = models.PositiveIntegerField()
    credits = models.BigIntegerField(help_text="Sum of the amounts, signed.")

    class Meta:
        verbose_name = "credits of a day"
        verbose_name_plural = "credits by day"
        ordering = ("-day", "id")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["day", "app", "type", "is_addition", "operation"],
                nulls_distinct=False,
                name="credit_day_unique",
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.type} {self.credits:+d}"


class ServiceDay(models.Model):
    """How things stood when the last sweep of the day looked: people, credits, room. Of today, so far."""

    day = models.DateField(primary_key=True)
    as_of = models.DateTimeField()
    people = models.PositiveBigIntegerField(help_text="Who have not left.")
    active = models.PositiveBigIntegerField(help_text="For whom an app did something, or who signed in, on the day.")
    active_30_days = models.PositiveBigIntegerField(help_text="The same, on this day or the 29 before it.")
    outstanding = models.BigIntegerField(help_text="Sum of all balances, in credits.")
    held = models.PositiveBigIntegerField(help_text="Of it in live holds.")
    used_bytes = models.PositiveBigIntegerField()
    trash_bytes = models.PositiveBigIntegerField()
    projects = models.PositiveBigIntegerField()
    by_app = models.JSONField(help_text="Bytes and projects, by the app's slug.")
    fullness = models.JSONField(help_text="People whose room is empty; up to 10, 20 … below 100 % full; full.")
    is_final = models.BooleanField(default=False, help_text="The day is over, and nothing can be entered in it.")

    class Meta:
        verbose_name = "service on a day"
        verbose_name_plural = "service by day"
        ordering = ("-day",)

    def __str__(self) -> str:
        return str(self.day)


class LastActive(models.Model):
    """The last day on which a person was active."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="last_active"
    )
    day = models.DateField(db_index=True)

    class Meta:
        verbose_name_plural = "last active"

    def __str__(self) -> str:
        return str(self.day)


class FailedCalls(models.Model):
    """How often calls of one app failed in one way on one day."""

    day = models.DateField()
    app = models.ForeignKey("accounts.App", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    code = models.CharField(max_length=40, help_text="The `code` of the answer.")
    calls = models.PositiveBigIntegerField()

    class Meta:
        verbose_name_plural = "failed calls"
        ordering = ("-day", "code")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["day", "app", "code"], nulls_distinct=False, name="failed_calls_unique")
        ]

    def __str__(self) -> str:
        return f"{self.calls} × {self.code} on {self.day}"


class Verification(models.Model):
    """One run of `verify_ledger`: whether the books were right, and what was not."""

    as_of = models.DateTimeField(db_index=True)
    is_right = models.BooleanField()
    violations = models.PositiveBigIntegerField()
    result = models.JSONField(help_text="As `verify_ledger --json` prints it.")

    class Meta:
        ordering = ("-as_of",)

    def __str__(self) -> str:
        return f"{self.as_of:%Y-%m-%d %H:%M}: {'right' if self.is_right else 'NOT RIGHT'}"
