"""The page at the service's own address."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from accounts import services

pytestmark = pytest.mark.django_db


def test_it_says_what_this_is_and_where_to_go(client: Client) -> None:
    page = client.get("/").content.decode()

    assert "Penora</strong> and <strong" in page
    for target in ("/api/docs", "/api/schema", "/admin/"):
        assert f'href="{target}"' in page


def test_an_app_that_joins_is_named(client: Client) -> None:
    services.register_app(slug="musico", name="Musico", colour="#7c3aed")

    page = re.sub(r"<[^>]+>", "", client.get("/").content.decode())

    assert "Penora, ImageGene and Musico" in re.sub(r"\s+", " ", page)


def test_everything_it_loads_is_ours(client: Client) -> None:
    page = client.get("/").content.decode()

    assert "//" not in " ".join(re.findall(r'(?:href|src)="([^"]+)"', page))


def test_an_address_that_is_not_there_is_a_plain_404(client: Client) -> None:
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")
