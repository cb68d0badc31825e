"""The page at the service's own address, what every page has, and those that say that something did not work."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.models import App, User
from tests.web.pages import kept

pytestmark = pytest.mark.django_db


def test_it_says_what_this_is_and_where_to_go(client: Client) -> None:
    page = client.get("/").content.decode()

    assert "Penora</strong> and <strong" in page
    for target in ("/signin/", "/api/docs", "/api/schema", "/admin/"):
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


@pytest.mark.parametrize("address", ["/", "/signin/", "/signin/signed-out/", "/nowhere"])
def test_an_app_that_joins_has_its_colour_where_its_name_stands(client: Client, address: str) -> None:
    services.register_app(slug="musico", name="Musico", colour="#7c3aed")

    page = client.get(address).content.decode()

    assert page.count('<link rel="stylesheet" href="/app-colours.css">') == 1
    assert address not in ("/", "/signin/") or 'data-app="musico"' in page
    assert '[data-app="musico"]{--app:#7c3aed}' in client.get("/app-colours.css").content.decode()


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "429", "500"])
def test_what_did_not_work_is_said_whoever_looks_and_if_nobody_is_known(name: str, alice: User) -> None:
    nobody, somebody = HttpRequest(), HttpRequest()
    nobody.user, somebody.user = AnonymousUser(), alice

    for request in (None, nobody, somebody):
        page = render_to_string(f"{name}.html", request=request)
        assert page.count("<h1>") == 1
        assert '<a class="button" href="/">' in page or '<a class="button main" href="/">' in page
    assert ("Sign out" in page) == (name == "403")


# --- A form without its token -----------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Client:
    """A browser that is held to the tokens, as all are."""
    return Client(enforce_csrf_checks=True)


def htmx(page: str) -> dict[str, Any]:
    return {"headers": {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}}


def deeds(project_code: str) -> tuple[str, ...]:
    return (
        reverse("web:delete", args=[project_code]),
        reverse("web:make_room"),
        reverse("web:ask-for-plan"),
        reverse("web:upgrade-seen"),
        reverse("web:delete-account"),
    )


def test_with_session_and_token_gone_a_part_leads_to_the_sign_in(strict: Client, alice: User, penora: App) -> None:
    project = kept(alice, penora)

    for deed in deeds(project.code):
        answer = strict.post(deed, **htmx("/projects/?q=a"))

        assert (answer.status_code, answer["HX-Redirect"]) == (200, "/signin/?next=%2Fprojects%2F%3Fq%3Da"), deed
        assert answer.content == b""
    project.refresh_from_db()
    assert project.deleted_at is None


def test_and_a_form_does_so_without_scripts(strict: Client, alice: User, penora: App) -> None:
    project = kept(alice, penora)

    for deed in deeds(project.code):
        answer = strict.post(deed, headers={"Referer": "http://testserver/projects/?q=a"})

        assert (answer.status_code, answer["Location"]) == (302, "/signin/?next=/projects/%3Fq%3Da"), deed


def test_signed_in_with_a_token_of_before_the_page_comes_anew(strict: Client, alice: User, penora: App) -> None:
    project = kept(alice, penora)
    strict.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    deed = reverse("web:delete", args=[project.code])

    answer = strict.post(deed, **htmx("/projects/"))

    assert (answer.status_code, answer["HX-Refresh"]) == (200, "true")
    assert "This page was out of date" in strict.get("/projects/").content.decode()
    project.refresh_from_db()
    assert project.deleted_at is None
    assert strict.post(deed).status_code == 403  # as a page, it says so itself


def test_the_sign_in_itself_never_leads_to_itself(strict: Client) -> None:
    """Somebody whose browser keeps no cookies would go round in circles."""
    answer = strict.post("/signin/demo/")

    assert answer.status_code == 403
    assert "allow cookies" in answer.content.decode()
    assert settings.CSRF_FAILURE_VIEW == "unified.web.views.out_of_date"


# --- A session that has ended -----------------------------------------------------------------------------------------

TOLD = "You were signed out, and nothing was changed."


@pytest.mark.parametrize("headers", [{"Referer": "http://testserver/projects/?q=a"}, htmx("/projects/?q=a")["headers"]])
def test_whoever_was_doing_something_is_told_once_that_it_was_not_done(
    client: Client, alice: User, penora: App, headers: dict[str, str]
) -> None:
    project = kept(alice, penora)
    for deed in deeds(project.code):
        answer = client.post(deed, headers=headers)
        sign_in = answer.get("HX-Redirect") or answer["Location"]

        assert TOLD in client.get(sign_in).content.decode(), deed
        page = client.get(sign_in).content.decode()
        assert TOLD not in page
        assert 'name="next" value="/projects/?q=a"' in page
    project.refresh_from_db()
    assert project.deleted_at is None


def test_whoever_was_looking_is_not(client: Client) -> None:
    for headers in ({}, htmx("/projects/")["headers"]):
        answer = client.get("/projects/?q=a", headers=headers)

        assert not answer.cookies
        assert TOLD not in client.get(answer.get("HX-Redirect") or answer["Location"]).content.decode()


def test_whoever_is_taken_from_a_page_by_its_own_question_is(client: Client) -> None:
    """They may have been writing in it."""
    answer = client.get("/live/?v=1", headers=htmx("/projects/?q=a")["headers"])

    assert TOLD in client.get(answer["HX-Redirect"]).content.decode()


def test_a_search_that_finds_the_session_ended_is_come_back_to(client: Client) -> None:
    asked = {"HX-Request": "true", "HX-Current-URL": "http://testserver/projects/", "HX-Target": "found"}

    searched = client.get("/projects/?q=a+b&view=list", headers={**asked, "HX-Trigger": "finder"})
    by_itself = client.get("/projects/?seen=1", headers={**asked, "HX-Trigger": "found"})
    elsewhere = client.get("/live/?v=1", headers={**asked, "HX-Current-URL": "http://testserver/projects/?q=c"})

    assert searched["HX-Redirect"] == "/signin/?next=%2Fprojects%2F%3Fq%3Da%2Bb%26view%3Dlist"
    assert by_itself["HX-Redirect"] == "/signin/?next=%2Fprojects%2F"
    assert elsewhere["HX-Redirect"] == "/signin/?next=%2Fprojects%2F%3Fq%3Dc"
