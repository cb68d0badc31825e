"""What was done to whom."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from accounts.models.apps import App
from accounts.models.people import REASON_MAX_LENGTH, User


class AuditEntry(models.Model):
    """
    One thing that was done to somebody's or some app's access, credits or room, or to what all of them stand on, by
    staff or by signing in. Append-only: the database refuses
    anything else, but that the address of a person who leaves is taken out. `accounts.audit` writes it.
    """

    class Event(models.TextChoices):
        SIGNED_IN = "signed-in", "signed in"
        SIGN_IN_REFUSED = "sign-in-refused", "sign-in refused"
        SIGNED_OUT = "signed-out", "signed out"
        ACCESS_CHANGED = "access-changed", "rights changed"
        CUT_OFF = "cut-off", "signed out everywhere"
        KEY_CREATED = "key-created", "key created"
        KEY_ROTATED = "key-rotated", "key rotated"
        KEY_REVOKED = "key-revoked", "key revoked"
        CLIENT_REGISTERED = "client-registered", "client registered"
        CLIENT_CHANGED = "client-changed", "client changed"
        CODE_REPLAYED = "code-replayed", "code used twice"
        TOKEN_REUSED = "token-reused", "refresh token used twice"
        # What staff do.
        ADDED = "added", "added"
        CHANGED = "changed", "changed"
        REMOVED = "removed", "removed"
        CREDITS_ADJUSTED = "credits-adjusted", "credits adjusted"
        CREDITS_REFUNDED = "credits-refunded", "credits refunded"
        FILE_CHECKED = "file-checked", "grant file checked"
        FILE_STARTED = "file-started", "grant file started"
        PLAN_CHANGED = "plan-changed", "put on another plan"
        LIMIT_CHANGED = "limit-changed", "given another limit"
        CLEANED_UP = "cleaned-up", "projects put into the trash"
        CONTENT_OPENED = "content-opened", "content opened"
        UPGRADE_DECIDED = "upgrade-decided", "upgrade request decided"
        LIST_EXPORTED = "list-exported", "list exported"
        SECOND_FACTOR_SET = "second-factor-set", "second factor set up"
        SECOND_FACTOR_RESET = "second-factor-reset", "second factor taken away"
        SECOND_FACTOR_REFUSED = "second-factor-refused", "second factor refused"

    event = models.CharField(max_length=30, choices=Event.choices)
    actor = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="+", help_text="Who did it; the system, if nobody."
    )
    subject = models.ForeignKey(
        User,
        null=True,
        on_delete=models.PROTECT,
        related_name="audit",
        db_index=False,
        help_text="Whose access, credits or room it is about.",
    )
    app = models.ForeignKey(App, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(
        max_length=REASON_MAX_LENGTH, blank=True, default="", db_default="", help_text="Why, in the actor's words."
    )
    details = models.JSONField(
        default=dict, help_text="Of a change, `before` and `after`; of a row, `what` and `which` it is."
    )
    ip = models.GenericIPAddressField("IP address", null=True)
    request_id = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        ordering = ("-id",)
        indexes: ClassVar = [models.Index(fields=["subject", "-id"], name="audit_of_subject")]

    def __str__(self) -> str:
        return f"{self.get_event_display()} {self.created_at:%Y-%m-%d %H:%M:%S}"
