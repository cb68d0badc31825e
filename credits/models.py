"""
What people can spend, and how it came to be.

Kept here, by the database itself and not only by the code that writes:
- `balance >= held >= 0` and `balance >= in_lots >= 0` on every account;
- `amount >= remaining >= held >= 0` on every lot;
- what has been entered stays: a trigger refuses UPDATE, DELETE and TRUNCATE of entries, lot uses and lot claims, and
  DELETE and TRUNCATE of lots and holds; no foreign key cascades;
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
IDEMPOTENCY_KEY_MAX_LENGTH = 255
DEFAULT_PRIORITY = 50  # of a lot; the lowest burns first
MAX_PRIORITY = 100


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
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(condition=Q(balance__gte=F("held")), name="account_balance_covers_held"),
            models.CheckConstraint(
                condition=Q(in_lots__gte=0, balance__gte=F("in_lots")), name="account_balance_covers_lots"
            ),
        ]

    def __str__(self) -> str:
        return f"account of {self.user}"


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
        ]

    def __str__(self) -> str:
        return f"#{self.seq} {self.type} {self.amount:+d}"


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
