"""What staff may do to the books, and the files by which they give to many."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from credits.models.ledger import LedgerEntry
from credits.models.limits import DESCRIPTION_MAX_LENGTH, MAX_AMOUNT


class AdjustmentLimit(models.Model):
    """
    How much the members of one staff role (a group) may adjust. Who is in several has the highest; a superuser has no
    limit but a million a time; who has none may not adjust.
    """

    group = models.OneToOneField(
        "auth.Group", on_delete=models.CASCADE, primary_key=True, related_name="adjustment_limit"
    )
    per_adjustment = models.PositiveIntegerField(help_text="Credits, up or down, in one adjustment.")
    per_day = models.PositiveIntegerField(help_text="Credits, up and down together, in any 24 hours.")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(per_adjustment__lte=MAX_AMOUNT, per_day__gte=F("per_adjustment")),
                name="adjustment_limits_in_order",
            )
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.per_adjustment} at a time, {self.per_day} a day"


class GrantFile(models.Model):
    """
    Credits for many people from one CSV file: checked whole when it is taken in, then run line by line, each line an
    adjustment of its own. `credits.services.files` does both.
    """

    class State(models.TextChoices):
        REFUSED = "refused", "refused: lines are wrong"
        CHECKED = "checked", "checked, not run yet"
        RUNNING = "running", "running"
        DONE = "done", "done"

    name = models.CharField(max_length=255, help_text="Of the file, as it was sent.")
    digest = models.BinaryField(max_length=32, help_text="SHA-256 of the file.")
    reason = models.CharField(max_length=DESCRIPTION_MAX_LENGTH)
    expires_at = models.DateTimeField(null=True, help_text="When the credits expire, if they do.")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=7, choices=State.choices)
    line_count = models.PositiveIntegerField()
    total = models.PositiveBigIntegerField(help_text="Credits of all lines that are in order.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.name}, {self.created_at:%Y-%m-%d %H:%M}"


class GrantLine(models.Model):
    """One line of a grant file, and what became of it."""

    class Outcome(models.TextChoices):
        WRONG = "wrong", "wrong"
        WAITING = "waiting", "waiting"
        GRANTED = "granted", "granted"
        FAILED = "failed", "failed"

    file = models.ForeignKey(GrantFile, on_delete=models.PROTECT, related_name="lines")
    number = models.PositiveIntegerField(help_text="In the file, the heading being 1.")
    text = models.CharField(max_length=300, help_text="The user id, as it was sent.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    amount = models.PositiveIntegerField(null=True, help_text="Credits.")
    outcome = models.CharField(max_length=7, choices=Outcome.choices)
    problem = models.CharField(max_length=300, blank=True)
    entry = models.OneToOneField(LedgerEntry, null=True, on_delete=models.PROTECT, related_name="grant_line")

    class Meta:
        ordering = ("id",)
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["file", "number"], name="grant_line_unique_in_file"),
            models.CheckConstraint(
                condition=Q(outcome="granted", entry__isnull=False) | (~Q(outcome="granted") & Q(entry__isnull=True)),
                name="grant_line_granted_with_entry",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["file", "id"], condition=Q(outcome="waiting"), name="grant_line_waiting")
        ]

    def __str__(self) -> str:
        return f"line {self.number}: {self.amount} for {self.text}"
