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


# --- changing a price ------------------------------------------------------------------------------------------------


def test_a_change_of_price_is_a_new_version_from_now_on(penora: App) -> None:
    first = Operation.objects.get(slug="page")

    second = pricing.change_price(slug="page", credits=5)

    second.refresh_from_db()
    assert (second.slug, second.version, second.credits, second.is_active) == ("page", 2, 5, True)
    assert (second.app, second.name, second.unit) == (first.app, first.name, first.unit)
    assert abs(second.starts_at - timezone.now()) < timedelta(minutes=1)
    assert pricing.price(operation="page", quantity=2) == (second, 10)
    first.refresh_from_db()
    assert (first.version, first.credits, first.is_active) == (1, 1, True)


def test_a_change_of_price_may_lie_ahead(penora: App) -> None:
    ahead = timezone.now() + timedelta(days=3)

    second = pricing.change_price(slug="page", credits=5, starts_at=ahead)

    assert second.starts_at == ahead
    assert pricing.price(operation="page", quantity=2)[1] == 2


def test_a_change_of_price_may_withdraw_an_operation_and_the_next_brings_it_back(penora: App) -> None:
    pricing.change_price(slug="page", credits=1, is_active=False)
    with pytest.raises(pricing.UnknownOperation):
        pricing.price(operation="page", quantity=1)

    third = pricing.change_price(slug="page", credits=4)
    assert (third.version, pricing.price(operation="page", quantity=1)) == (3, (third, 4))


def test_what_is_not_on_the_list_cannot_change_its_price(penora: App) -> None:
    with pytest.raises(pricing.UnknownOperation):
        pricing.change_price(slug="poster", credits=5)
    assert Operation.objects.count() == 7


@pytest.mark.parametrize("credits", [0, -1, 1_000_001])
def test_a_price_out_of_range_changes_nothing(penora: App, credits: int) -> None:
    with pytest.raises(ValidationError):
        pricing.change_price(slug="page", credits=credits)
    assert Operation.objects.count() == 7


def test_a_version_that_is_to_start_later_still_does_when_the_price_changes_before(penora: App) -> None:
    later = pricing.change_price(slug="page", credits=9, starts_at=timezone.now() + timedelta(hours=1))
    sooner = pricing.change_price(slug="page", credits=5)
    assert (later.version, sooner.version) == (2, 3)
    assert pricing.price(operation="page", quantity=1) == (sooner, 5)

    # An hour later: of what has begun, the last to begin holds, and not the highest number.
    for line, hours in ((sooner, 1), (later, 0)):
        Operation.objects.filter(pk=line.pk).update(starts_at=timezone.now() - timedelta(hours=hours))
    assert pricing.price(operation="page", quantity=1) == (later, 9)
    assert [line.pk for line in pricing.current_prices() if line.slug == "page"] == [later.pk]


def test_of_two_versions_that_begin_at_once_the_later_made_holds(penora: App) -> None:
    moment = timezone.now() - timedelta(seconds=1)
    first, second = (pricing.change_price(slug="page", credits=credits, starts_at=moment) for credits in (8, 9))
    Operation.objects.filter(slug="page", version=1).update(starts_at=moment)

    assert (first.version, second.version) == (2, 3)
    assert pricing.price(operation="page", quantity=1) == (second, 9)
    assert [line.pk for line in pricing.current_prices() if line.slug == "page"] == [second.pk]


def test_an_operation_of_one_apps_list_is_on_no_others(penora: App, imagegene: App) -> None:
    theirs = Operation(slug="page", app=imagegene, name="Page", unit="page", credits=1)

    for take in (
        lambda: pricing.publish(theirs),
        lambda: pricing.check_owner(slug="page", app=imagegene),
        lambda: pricing.list_operation(slug="page", app=imagegene, name="Page", unit="page", credits=1),
    ):
        with pytest.raises(pricing.OperationTaken, match="'page' is on another app's price list"):
            take()

    pricing.check_owner(slug="page", app=penora)
    assert Operation.objects.count() == 7


def test_publishing_numbers_the_versions_whatever_number_was_given(penora: App) -> None:
    for _ in range(2):
        pricing.publish(Operation(slug="page", version=7, app=penora, name="Page", unit="page", credits=3))
    assert pricing.publish(Operation(slug="poster", app=penora, name="Poster", unit="poster", credits=3)).version == 1

    assert list(Operation.objects.filter(slug="page").values_list("version", flat=True)) == [1, 2, 3]


def test_a_change_of_price_locks_the_versions_before_it_numbers_its_own(penora: App) -> None:
    with CaptureQueriesContext(connection) as captured:
        pricing.change_price(slug="page", credits=5)

    statements = [query["sql"] for query in captured]
    lock = next(place for place, sql in enumerate(statements) if 'FOR NO KEY UPDATE OF "credits_operation"' in sql)
    insert = next(place for place, sql in enumerate(statements) if sql.startswith("INSERT"))
    assert lock < insert
    assert not [sql for sql in statements if sql.endswith("FOR UPDATE")]  # who charges by them does not wait


def test_a_price_that_was_to_begin_in_the_past_begins_now(penora: App) -> None:
    """Else the list would claim a price for minutes in which another was charged."""
    long_ago = timezone.now() - timedelta(days=30)

    line = pricing.change_price(slug="page", credits=5, starts_at=long_ago)

    assert timezone.now() - line.starts_at < timedelta(minutes=1)
    assert pricing.price(operation="page", quantity=1) == (line, 5)
