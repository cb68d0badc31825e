"""The price list: which version of an operation holds now, and what a quantity of it costs."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import App
from credits.models import MAX_AMOUNT, Operation

MAX_QUANTITY = 1_000_000


class UnknownOperation(Exception):
    """No operation with this name has a price now."""


class InvalidQuantity(ValueError):
    """The quantity, or the price that it comes to, is out of range."""


def current_prices() -> list[Operation]:
    """The version of each operation that holds now, by database time, in the order of the apps. One query."""
    newest = Operation.objects.filter(starts_at__lte=Now()).order_by("slug", "-version").distinct("slug")
    return list(
        Operation.objects.filter(pk__in=newest.values("pk"), is_active=True)
        .select_related("app")
        .order_by("app_id", "pk")
    )


def price(*, operation: str, quantity: int) -> tuple[Operation, int]:
    """
    The price list line that holds now and what `quantity` (1 to 1,000,000) of it costs, in credits.

    Raises UnknownOperation, InvalidQuantity (also when the total is over 1,000,000). One query.
    """
    if not 1 <= quantity <= MAX_QUANTITY:
        raise InvalidQuantity(f"A quantity is 1 to {MAX_QUANTITY}.")
    line = (
        Operation.objects.filter(slug=operation, starts_at__lte=Now())
        .order_by("-version")
        .select_related("app")
        .first()
    )
    if line is None or not line.is_active:
        raise UnknownOperation(operation)
    total = line.credits * quantity
    if total > MAX_AMOUNT:
        raise InvalidQuantity(f"{quantity} of {operation} cost {total} credits; one call moves at most {MAX_AMOUNT}.")
    return line, total


@transaction.atomic
def list_operation(*, slug: str, app: App, name: str, unit: str, credits: int) -> Operation:
    """The operation with this name, put on the price list if it is not there; an existing one keeps its price."""
    existing = Operation.objects.filter(slug=slug).order_by("-version").first()
    if existing is not None:
        return existing
    line = Operation(slug=slug, app=app, name=name, unit=unit, credits=credits)
    line.full_clean()
    line.save(force_insert=True)
    return line
