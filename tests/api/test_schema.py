"""The OpenAPI document, the page that shows it, and that the routes are those of the document."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.urls import URLPattern

from accounts.models import User
from tests.client import BASE, DOCUMENT, ApiClient, document
from unified.api.errors import ERRORS
from unified.api.urls import urlpatterns

ROUTES = sorted(
    {
        str(entry.pattern).rstrip("/")
        for entry in urlpatterns
        if isinstance(entry, URLPattern) and str(entry.pattern).startswith("unified/")
    }
)
METHODS = ("get", "post", "put", "patch", "delete")
DOCUMENTED = {
    "create-user": "post",
    "user-info": "get",
    "projects": "get",
    "save-project": "post",
    "deduct-credits": "post",
    "reserve-credits": "post",
    "capture-credits": "post",
    "release-credits": "post",
    "refund-credits": "post",
    "quote": "post",
    "transactions": "get",
    "transactions.csv": "get",
    "storage-stats": "get",
    "pricing": "get",
    "projects/{code}": "patch",
    "projects/{code}/content": "get",
    "projects/{code}/thumbnail": "get",
    "projects/{code}/restore": "post",
    "trash": "delete",
    "cleanup": "post",
    "export": "get",
    "plans": "get",
}


def documented_path(route: str) -> str:
    return "/api/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route)


def test_the_committed_document_is_what_the_code_says_and_the_generator_warns_of_nothing() -> None:
    call_command("openapi", "--check", stdout=io.StringIO(), stderr=io.StringIO())


def test_it_is_openapi_3_1() -> None:
    assert re.fullmatch(r"3\.1\.\d+", document()["openapi"])
    assert document()["info"]["title"]


def test_every_route_is_in_the_document_and_no_other() -> None:
    assert ROUTES
    assert sorted(document()["paths"]) == sorted(documented_path(route) for route in ROUTES)


@pytest.mark.parametrize(("route", "method"), DOCUMENTED.items())
def test_the_contracts_endpoints_are_there_with_their_method(route: str, method: str) -> None:
    assert method in document()["paths"][BASE + route]


def test_every_failure_has_the_one_form_and_every_code_is_named() -> None:
    error = document()["components"]["schemas"]["Error"]
    assert {"success", "error", "details", "code"} <= set(error["required"])
    assert sorted(error["properties"]["code"]["enum"]) == sorted(ERRORS)
    for path, operations in document()["paths"].items():
        for method in set(METHODS) & set(operations):
            responses = operations[method]["responses"]
            assert {"400", "401", "403", "429", "500", "503"} <= set(responses), path
            for status in (status for status in responses if status >= "400"):
                schema = responses[status]["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Error"}, (path, status)


def test_every_post_takes_an_idempotency_key() -> None:
    for path, operations in document()["paths"].items():
        if "post" in operations:
            headers = [entry["name"] for entry in operations["post"]["parameters"] if entry["in"] == "header"]
            assert headers == ["Idempotency-Key"], path


@pytest.mark.parametrize("path", ["/api/schema", "/api/schema/"])
def test_the_document_is_served_to_everybody_and_is_the_committed_one(anonymous: ApiClient, path: str) -> None:
    response = anonymous.request("GET", path)

    assert response.status_code == 200
    assert response.json() == yaml.safe_load(DOCUMENT.read_text())


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs/"])
def test_the_page_needs_nothing_from_anywhere_else(anonymous: ApiClient, path: str) -> None:
    page = anonymous.request("GET", path)
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    scripts = re.findall(r"<script[^>]*\bsrc=\"([^\"]+)\"", page.content.decode())
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.content.decode())
    assert scripts
    script = anonymous.request("GET", scripts[-1].replace("&amp;", "&"))
    assert script.status_code == 200
    assert b"SwaggerUIBundle" in script.content

    for address in (*addresses, *re.findall(r"url: \"([^\"]+)\"", script.content.decode())):
        assert re.match(r"/(?!/)|\?|\./|[a-z0-9_-]+/", address), address
    for source in (page.content.decode(), script.content.decode()):
        foreign = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]+", source)
        assert [address for address in foreign if not address.endswith("testserver")] == []


def test_the_pages_files_are_the_services_own(anonymous: ApiClient) -> None:
    page = anonymous.request("GET", "/api/docs/").content.decode()
    files = [address for address in re.findall(r"(?:src|href)=\"([^\"]+)\"", page) if address.startswith("/static/")]

    assert any(name.endswith("swagger-ui-bundle.js") for name in files)
    assert any(name.endswith("swagger-ui.css") for name in files)
    for name in files:
        file = anonymous.request("GET", name)
        assert file.status_code == 200, name
        assert file.getvalue(), name  # reading it to the end closes it


@pytest.mark.parametrize("route", ROUTES)
def test_a_trailing_slash_is_taken_and_nothing_redirects(alice: User, as_penora: ApiClient, route: str) -> None:
    path = re.sub(r"<[^>]+>", "ABC123", f"/api/{route}")
    allowed = {method for method in METHODS if method in document()["paths"][documented_path(route)]}

    for method in ("GET", "POST"):
        bare, twin = (
            as_penora.request(method, address, content_type="application/json", data=b"{}")
            for address in (path, f"{path}/")
        )
        # Nothing that these calls name exists, so a route that is reached says so; none sends the caller elsewhere.
        assert bare.status_code == twin.status_code
        assert bare.status_code in ((200, 400, 404) if method.lower() in allowed else (405,))
        assert bare.status_code == 200 or bare.json()["code"] == twin.json()["code"] != "not_found"


def test_a_post_with_a_trailing_slash_does_its_work(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.post("deduct-credits/", user_id="alice", amount=2, app_name="penora", description="Two pages")

    assert (response.status_code, response.json()["new_balance"]) == (200, 48)


def test_answers_are_json_whatever_accept_says(alice: User, as_penora: ApiClient) -> None:
    wanted: list[Any] = ["text/html", "application/xml", "image/png", "*/*", "application/json; indent=4", "nonsense"]
    answers = {
        as_penora.get("projects", user_id="alice", headers={"Accept": accept})["Content-Type"] for accept in wanted
    }

    assert answers == {"application/json"}
