"""Answers about credits."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import App
from credits.models import Hold, LedgerEntry, Operation
from credits.queries import HistoryPage
from credits.services import Quote
from unified.api.figures import timestamp
from unified.api.outputs.shapes import Shape, SuccessShape, UpgradeShape, by_app, success
from unified.api.pages import cursor_for


class TransactionShape(Shape):
    id = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="1, 2, 3… for each user, without gaps.")
    type = serializers.ChoiceField(choices=LedgerEntry.Type.values)
    amount = serializers.IntegerField(help_text="Signed, in credits: a deduction of 2 is -2.")
    balance_after = serializers.IntegerField()
    app_name = serializers.CharField(allow_null=True, help_text="null for staff and system")
    description = serializers.CharField()
    project_code = serializers.CharField(allow_null=True)
    operation = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField(allow_null=True)
    unit_credits = serializers.IntegerField(allow_null=True, help_text="What a unit cost when it was charged.")
    price_version = serializers.IntegerField(allow_null=True)
    related_transaction_id = serializers.UUIDField(
        allow_null=True, help_text="Of a refund: the deduction. Of an expiry: the grant."
    )
    source = serializers.ChoiceField(  # type: ignore[assignment]  # DRF takes declared fields out of the class
        choices=LedgerEntry.Source.values, allow_null=True, help_text="Of credits that came in: why."
    )
    metadata = serializers.DictField(child=serializers.JSONField())
    created_at = serializers.DateTimeField()


def transaction(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "id": str(entry.pk),
        "seq": entry.seq,
        "type": entry.type,
        "amount": entry.amount,
        "balance_after": entry.balance_after,
        "app_name": entry.app.slug if entry.app else None,
        "description": entry.description,
        "project_code": entry.project_code,
        "operation": entry.operation.slug if entry.operation else None,
        "quantity": entry.quantity,
        "unit_credits": entry.operation.credits if entry.operation else None,
        "price_version": entry.operation.version if entry.operation else None,
        "related_transaction_id": str(entry.related_id) if entry.related_id else None,
        "source": entry.source,
        "metadata": entry.metadata,
        "created_at": timestamp(entry.created_at),
    }


class DeductCreditsAnswer(SuccessShape):
    credits_deducted = serializers.IntegerField()
    new_balance = serializers.IntegerField(help_text="What can be spent now.")
    app_name = serializers.CharField()
    transaction_id = serializers.UUIDField()
    timestamp = serializers.DateTimeField()


def deducted(entry: LedgerEntry, app: App, *, spendable: int) -> dict[str, Any]:
    return success(
        credits_deducted=-entry.amount,
        new_balance=spendable,
        app_name=app.slug,
        transaction_id=str(entry.pk),
        timestamp=timestamp(entry.created_at),
    )


class ReserveCreditsAnswer(SuccessShape):
    hold_id = serializers.UUIDField()
    amount = serializers.IntegerField(help_text="Credits that are held.")
    credits = serializers.IntegerField(help_text="What can be spent now.")
    app_name = serializers.CharField()
    operation = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField(allow_null=True)
    storage_bytes = serializers.IntegerField(help_text="Room that is kept free; 0 if none was asked for.")
    expires_at = serializers.DateTimeField()
    timestamp = serializers.DateTimeField()


def reserved(hold: Hold, app: App, *, spendable: int, storage_bytes: int) -> dict[str, Any]:
    return success(
        hold_id=str(hold.pk),
        amount=hold.amount,
        credits=spendable,
        app_name=app.slug,
        operation=hold.operation.slug if hold.operation else None,
        quantity=hold.quantity,
        storage_bytes=storage_bytes,
        expires_at=timestamp(hold.expires_at),
        timestamp=timestamp(hold.created_at),
    )


class CaptureCreditsAnswer(SuccessShape):
    hold_id = serializers.UUIDField()
    credits_deducted = serializers.IntegerField()
    credits_released = serializers.IntegerField(
        help_text="What was held and not needed. If its grant has expired meanwhile, it is gone; new_balance tells."
    )
    new_balance = serializers.IntegerField(help_text="What could be spent once it was captured.")
    app_name = serializers.CharField()
    transaction_id = serializers.UUIDField()
    timestamp = serializers.DateTimeField()


def captured(hold: Hold) -> dict[str, Any]:
    assert hold.entry is not None  # noqa: S101  it is captured
    return success(
        hold_id=str(hold.pk),
        credits_deducted=-hold.entry.amount,
        credits_released=hold.amount + hold.entry.amount,
        new_balance=hold.spendable_after,
        app_name=hold.app.slug,
        transaction_id=str(hold.entry.pk),
        timestamp=timestamp(hold.resolved_at),
    )


class ReleaseCreditsAnswer(SuccessShape):
    hold_id = serializers.UUIDField()
    status = serializers.ChoiceField(
        choices=[Hold.Status.RELEASED.value, Hold.Status.EXPIRED.value],
        help_text="`expired` if its time was over before it was released.",
    )
    credits_released = serializers.IntegerField(
        help_text="What was held. If its grant has expired meanwhile, it is gone; new_balance tells."
    )
    new_balance = serializers.IntegerField(help_text="What could be spent once it had ended.")
    timestamp = serializers.DateTimeField()


def released(hold: Hold) -> dict[str, Any]:
    return success(
        hold_id=str(hold.pk),
        status=hold.status,
        credits_released=hold.amount,
        new_balance=hold.spendable_after,
        timestamp=timestamp(hold.resolved_at),
    )


class RefundCreditsAnswer(SuccessShape):
    credits_refunded = serializers.IntegerField()
    refundable = serializers.IntegerField(help_text="What of the deduction could be refunded yet.")
    new_balance = serializers.IntegerField(help_text="What can be spent now.")
    transaction_id = serializers.UUIDField(help_text="Of the refund.")
    related_transaction_id = serializers.UUIDField(help_text="Of the deduction.")
    timestamp = serializers.DateTimeField()


def refunded(entry: LedgerEntry, *, refundable: int, spendable: int) -> dict[str, Any]:
    return success(
        credits_refunded=entry.amount,
        refundable=refundable,
        new_balance=spendable,
        transaction_id=str(entry.pk),
        related_transaction_id=str(entry.related_id),
        timestamp=timestamp(entry.created_at),
    )


class QuoteAnswer(SuccessShape):
    needed = serializers.IntegerField(help_text="What it costs, in credits.")
    credits = serializers.IntegerField(help_text="What can be spent now.")
    affordable = serializers.BooleanField()
    shortfall = serializers.IntegerField(help_text="Credits that are missing; 0 if it can be afforded.")
    new_balance = serializers.IntegerField(allow_null=True, help_text="What would be left; null if it is too little.")
    operation = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField(allow_null=True)
    unit_credits = serializers.IntegerField(allow_null=True, help_text="Credits per unit of the operation.")
    price_version = serializers.IntegerField(allow_null=True)
    upgrade = UpgradeShape(many=True, help_text="Plans that would help; empty if it can be afforded.")
    timestamp = serializers.DateTimeField()


def quoted(
    quote: Quote, *, line: Operation | None, quantity: int | None, upgrades: list[dict[str, Any]]
) -> dict[str, Any]:
    return success(
        needed=quote.needed,
        credits=quote.spendable,
        affordable=quote.spendable_after is not None,
        shortfall=max(0, quote.needed - quote.spendable),
        new_balance=quote.spendable_after,
        operation=line.slug if line else None,
        quantity=quantity,
        unit_credits=line.credits if line else None,
        price_version=line.version if line else None,
        upgrade=upgrades,
        timestamp=timestamp(),
    )


class TransactionsAnswer(SuccessShape):
    """Besides `penora_transactions` and `imagegene_transactions`, one such list for every further app."""

    all_transactions = TransactionShape(many=True)
    penora_transactions = TransactionShape(many=True)
    imagegene_transactions = TransactionShape(many=True)
    total_count = serializers.IntegerField(help_text="Of everything that matches, whatever the page.")
    next_cursor = serializers.CharField(allow_null=True)


def transactions(apps: list[App], page: HistoryPage) -> dict[str, Any]:
    items = [transaction(entry) for entry in page.entries]
    return success(
        all_transactions=items,
        **by_app(apps, items, key="app_name", suffix="transactions"),
        total_count=page.total_count,
        next_cursor=cursor_for("transactions", page.next_before_seq),
    )


class OperationShape(Shape):
    operation = serializers.CharField(help_text="The name that deduct-credits takes as `operation`.")
    name = serializers.CharField()
    app_source = serializers.CharField(help_text="Whose price list shows it; every app may charge by it.")
    unit = serializers.CharField()
    credits = serializers.IntegerField(help_text="Credits per unit.")
    version = serializers.IntegerField()
    starts_at = serializers.DateTimeField()


class PricingAnswer(SuccessShape):
    operations = OperationShape(many=True)
    timestamp = serializers.DateTimeField()


def pricing(lines: list[Operation]) -> dict[str, Any]:
    return success(
        operations=[
            {
                "operation": line.slug,
                "name": line.name,
                "app_source": line.app.slug,
                "unit": line.unit,
                "credits": line.credits,
                "version": line.version,
                "starts_at": timestamp(line.starts_at),
            }
            for line in lines
        ],
        timestamp=timestamp(),
    )
