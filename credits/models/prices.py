"""The price list."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from credits.models.limits import MAX_AMOUNT


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
