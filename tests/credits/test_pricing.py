"""The price list: which version holds, and what a quantity costs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App
from credits import pricing
from credits.models import Operation


def new_version(slug: str, version: int, credits: int, **changes: object) -> Operation:
    line = Operation.objects.get(slug=slug, version=1)
    return Operation.objects.create(
        slug=slug, version=version, app=line.app, name=line.name, unit=line.unit, credits=credits, **changes
    )


def test_the_seeded_list_is_that_of_the_guide(penora: App) -> None:
    assert [(line.slug, line.app.slug, line.credits) for line in pricing.current_prices()] == [
        ("page", "penora", 1),
        ("multi_page", "penora", 1),
        ("file_processing", "penora", 1),
        ("basic_art", "imagegene", 2),
        ("advanced_art", "imagegene", 3),
        ("image_enhancement", "imagegene", 1),
        ("style_transfer", "imagegene", 2),
    ]


@pytest.mark.parametrize(("quantity", "total"), [(1, 3), (4, 12), (333_333, 999_999)])
def test_a_quantity_costs_its_multiple(penora: App, quantity: int, total: int) -> None:
    line, cost = pricing.price(operation="advanced_art", quantity=quantity)

    assert (line.slug, line.version, cost) == ("advanced_art", 1, total)


def test_the_newest_version_holds(penora: App) -> None:
    second = new_version("page", 2, 5)

    assert pricing.price(operation="page", quantity=2) == (second, 10)
    assert [line.version for line in pricing.current_prices() if line.slug == "page"] == [2]


def test_a_version_of_the_future_does_not_hold_yet(penora: App) -> None:
    second = new_version("page", 2, 5, starts_at=timezone.now() + timedelta(hours=1))

    assert pricing.price(operation="page", quantity=2)[1] == 2
    assert second not in pricing.current_prices()

    Operation.objects.filter(pk=second.pk).update(starts_at=timezone.now() - timedelta(seconds=1))
    assert pricing.price(operation="page", quantity=2) == (second, 10)
    assert second in pricing.current_prices()


def test_a_withdrawn_operation_has_no_price_although_an_older_version_had(penora: App) -> None:
    new_version("page", 2, 5, is_active=False)

    with pytest.raises(pricing.UnknownOperation):
        pricing.price(operation="page", quantity=1)
    assert "page" not in {line.slug for line in pricing.current_prices()}


def test_a_withdrawn_operation_can_come_back(penora: App) -> None:
    new_version("page", 2, 5, is_active=False)
    third = new_version("page", 3, 4)

    assert pricing.price(operation="page", quantity=1) == (third, 4)


@pytest.mark.parametrize("operation", ["", "nothing", "PAGE", "page ", "seite"])
def test_what_is_not_on_the_list_has_no_price(penora: App, operation: str) -> None:
    with pytest.raises(pricing.UnknownOperation):
        pricing.price(operation=operation, quantity=1)


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_quantity_out_of_range_is_refused_without_a_query(penora: App, quantity: int) -> None:
    with CaptureQueriesContext(connection) as captured, pytest.raises(pricing.InvalidQuantity):
        pricing.price(operation="page", quantity=quantity)
    assert len(captured) == 0


def test_a_total_over_a_million_is_refused_and_a_million_is_not(penora: App) -> None:
    assert pricing.price(operation="basic_art", quantity=500_000)[1] == 1_000_000
    with pytest.raises(pricing.InvalidQuantity, match="500001 of basic_art cost 1000002 credits"):
        pricing.price(operation="basic_art", quantity=500_001)


def test_a_price_and_the_list_are_one_query_each(penora: App) -> None:
    with CaptureQueriesContext(connection) as captured:
        line, _ = pricing.price(operation="page", quantity=1)
        assert line.app.slug == "penora"
    assert len(captured) == 1
    with CaptureQueriesContext(connection) as captured:
        assert {line.app.slug for line in pricing.current_prices()} == {"penora", "imagegene"}
    assert len(captured) == 1


def test_listing_an_operation_again_keeps_its_price(penora: App) -> None:
    second = new_version("page", 2, 5)

    listed = pricing.list_operation(slug="page", app=penora, name="Page", unit="page", credits=9)

    assert listed == second
    assert list(Operation.objects.filter(slug="page").values_list("credits", flat=True).order_by("version")) == [1, 5]


@pytest.mark.parametrize("change", [{"credits": 0}, {"credits": 1_000_001}, {"slug": "two words"}, {"name": ""}])
def test_an_operation_that_cannot_be_is_not_listed(penora: App, change: dict[str, object]) -> None:
    wanted = {"slug": "poster", "app": penora, "name": "Poster", "unit": "poster", "credits": 3, **change}

    with pytest.raises(ValidationError) as refusal:
        pricing.list_operation(**wanted)  # type: ignore[arg-type]

    assert refusal.value.message_dict
    assert Operation.objects.count() == 7
