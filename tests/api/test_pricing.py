"""GET pricing."""

from __future__ import annotations

import re
from datetime import timedelta

from django.utils import timezone

from credits.models import Operation
from tests.api.conftest import STAMP
from tests.client import ApiClient

ROUTE = "pricing"


def next_version(slug: str, **changes: object) -> Operation:
    """A further version of the operation, which holds from a minute ago on unless `changes` say otherwise."""
    line = Operation.objects.filter(slug=slug).latest("version")
    defaults = {"name": line.name, "unit": line.unit, "credits": line.credits}
    starts_at = timezone.now() - timedelta(minutes=1)
    return Operation.objects.create(
        slug=slug, version=line.version + 1, app=line.app, **{**defaults, "starts_at": starts_at, **changes}
    )


def test_one_price_list_for_both_apps(db: None, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    """The prices of the integration guide."""
    response = as_penora.get(ROUTE)

    assert response.status_code == 200
    answer = response.json()
    assert answer["success"] is True
    assert re.fullmatch(STAMP, answer["timestamp"])
    listed = [(line["operation"], line["app_source"], line["unit"], line["credits"]) for line in answer["operations"]]
    assert listed == [
        ("page", "penora", "page", 1),
        ("multi_page", "penora", "page", 1),
        ("file_processing", "penora", "page detected", 1),
        ("basic_art", "imagegene", "image", 2),
        ("advanced_art", "imagegene", "image", 3),
        ("image_enhancement", "imagegene", "image", 1),
        ("style_transfer", "imagegene", "image", 2),
    ]
    for line in answer["operations"]:
        assert line["version"] == 1
        assert line["name"]
        assert re.fullmatch(STAMP, line["starts_at"])
    assert as_imagegene.get(ROUTE).json()["operations"] == answer["operations"]


def test_a_new_price_holds_from_its_start_on_and_a_later_one_does_not_yet(db: None, as_penora: ApiClient) -> None:
    next_version("page", credits=5)
    next_version("page", credits=9, starts_at=timezone.now() + timedelta(hours=1))

    (line,) = [line for line in as_penora.get(ROUTE).json()["operations"] if line["operation"] == "page"]

    assert (line["credits"], line["version"]) == (5, 2)


def test_an_operation_that_was_withdrawn_is_not_listed(db: None, as_penora: ApiClient) -> None:
    next_version("page", is_active=False)

    assert "page" not in [line["operation"] for line in as_penora.get(ROUTE).json()["operations"]]


def test_what_is_listed_is_what_is_charged(alice: object, as_penora: ApiClient) -> None:
    next_version("page", credits=5)

    for line in as_penora.get(ROUTE).json()["operations"]:
        spent = as_penora.post(
            "deduct-credits",
            user_id="alice",
            app_name="penora",
            description=line["name"],
            operation=line["operation"],
            quantity=2,
        )
        assert spent.json()["credits_deducted"] == 2 * line["credits"]


def test_the_price_list_asks_for_a_credential(db: None, anonymous: ApiClient) -> None:
    assert anonymous.get(ROUTE).status_code == 401
