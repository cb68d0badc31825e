"""The price list: which version of an operation holds now, and what a quantity of it costs."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import App
from credits.models import MAX_AMOUNT, Operation

MAX_QUANTITY = 1_000_000
# The version that holds is the one that began last; of two that began at once, the later one.
_LATEST = ("-starts_at", "-version")


class UnknownOperation(Exception):
    """No operation with this name has a price now."""


class InvalidQuantity(ValueError):
    """The quantity, or the price that it comes to, is out of range."""


def current_prices() -> list[Operation]:
    """The version of each operation that holds now, by database time, in the order of the apps. One query."""
    newest = Operation.objects.filter(starts_at__lte=Now()).order_by("slug", *_LATEST).distinct("slug")
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
        Operation.objects.filter(slug=operation, starts_at__lte=Now()).order_by(*_LATEST).select_related("app").first()
    )
    if line is None or not line.is_active:
        raise UnknownOperation(operation)
    total = line.credits * quantity
    if total > MAX_AMOUNT:
        raise InvalidQuantity(f"{quantity} of {operation} cost {total} credits; one call moves at most {MAX_AMOUNT}.")
    return line, total


class OperationTaken(Exception):
    """Another app's price list has an operation of this name."""


@transaction.atomic
def list_operation(*, slug: str, app: App, name: str, unit: str, credits: int) -> Operation:
    """
    The newest version of the operation with this name, put on the app's price list if it is on none; an existing one
    keeps its price. Raises OperationTaken.
    """
    existing = Operation.objects.filter(slug=slug).order_by("-version").first()
    if existing is None:
        return publish(Operation(slug=slug, app=app, name=name, unit=unit, credits=credits))
    check_owner(slug=slug, app=app)
    return existing


@transaction.atomic
def change_price(*, slug: str, credits: int, starts_at: datetime | None = None, is_active: bool = True) -> Operation:
    """
    A new version of an operation: `credits` per unit from `starts_at` on (now, if left out), or withdrawn from then on.
    A version that is to start later still does. Raises UnknownOperation, and what `publish` raises.
    """
    newest = Operation.objects.filter(slug=slug).order_by("-version").select_related("app").first()
    if newest is None:
        raise UnknownOperation(slug)
    line = Operation(
        slug=slug, app=newest.app, name=newest.name, unit=newest.unit, credits=credits, is_active=is_active
    )
    if starts_at is not None:
        line.starts_at = starts_at
    return publish(line)


@transaction.atomic
def publish(line: Operation) -> Operation:
    """
    Keeps `line` as the next version of its operation, from `starts_at` on; from now on, if that is past or left out.
    What was charged, held or quoted before keeps the version that it was priced by.

    Raises OperationTaken, ValidationError for a price out of range. Locks: the operation's versions, so that two
    changes at once get two versions; who is charging by them does not wait.
    """
    versions = Operation.objects.select_for_update(no_key=True, of=("self",)).filter(slug=line.slug)
    line.version = 1 + max((version.version for version in versions), default=0)
    check_owner(slug=line.slug, app=line.app)
    line.full_clean()
    if isinstance(line.starts_at, datetime) and line.starts_at < timezone.now():
        line.starts_at = Now()  # or it would claim a price for a time when another was charged
    line.save(force_insert=True)
    line.refresh_from_db(fields=["starts_at"])
    return line


def check_owner(*, slug: str, app: App) -> None:
    """Raises OperationTaken if the operation is on another app's price list: one name has one price for everybody."""
    if Operation.objects.filter(slug=slug).exclude(app=app).exists():
        raise OperationTaken(f"'{slug}' is on another app's price list; choose another name.")
