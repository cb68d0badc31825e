"""What makes a repeated call harmless: the first answer to each idempotency key, kept with the work that it answers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class IdempotencyRecord(models.Model):
    """
    One key of one caller on one route. Inserted, filled and committed in the transaction of the work itself, so a
    committed record always has its answer.
    """

    caller = models.CharField(max_length=300, db_collation="C")
    route = models.CharField(max_length=100, db_collation="C")
    key = models.CharField(max_length=255, db_collation="C")
    subject = models.CharField(
        max_length=255,
        db_collation="C",
        db_index=True,
        blank=True,
        default="",
        db_default="",
        help_text="The user_id that the call named, if any.",
    )
    request_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(default="", help_text="The answer, as JSON, to the byte.")
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["caller", "route", "key"], name="idempotency_key_unique")
        ]

    def __str__(self) -> str:
        return f"{self.caller} {self.route} {self.key}"
