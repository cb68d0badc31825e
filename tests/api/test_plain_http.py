"""A call over plain HTTP, where HTTPS is required: refused in the contract's form, and never redirected."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from credits.models import LedgerEntry
from tests.client import ApiClient


@pytest.fixture(autouse=True)
def https_required(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True


def test_a_post_in_the_clear_is_refused_and_does_nothing(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.post(
        "deduct-credits", {"user_id": "alice", "amount": 2, "app_name": "imagegene", "description": "test"}
    )

    assert response.status_code == 403
    assert response.json()["code"] == "permission_denied"
    assert response.json()["details"].startswith("Use https")
    assert LedgerEntry.objects.filter(account=alice.account).count() == 1


def test_the_same_over_https_is_answered(alice: User, as_imagegene: ApiClient) -> None:
    response = as_imagegene.request("GET", "/api/unified/user-info", query_params={"user_id": "alice"}, secure=True)

    assert response.status_code == 200


def test_a_page_in_the_clear_is_redirected(client: Client) -> None:
    response = client.get("/")

    assert (response.status_code, response["Location"]) == (301, "https://testserver/")


def test_probes_may_speak_plain_http(client: Client) -> None:
    assert client.get("/healthz").status_code == 200
