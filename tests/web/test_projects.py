"""The page of all projects: what it shows of whom, finds, counts, and how it goes on without being loaded anew."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import services
from accounts.models import App, User
from tests.web.pages import at_pages, kept
from tests.workspace.pictures import picture
from tests.workspace.test_listing import plant
from unified.web.projects import PAGE_SIZE
from workspace.models import AppStorage, Project, Storage

pytestmark = pytest.mark.django_db
HOSTILE = "</a><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 }}{% now 'Y' %}"
URL = "http://testserver/projects/"


def part(client: Client, query: str = "", *, before: str = URL, trigger: str = "finder") -> Any:
    """What htmx is answered when it asks for the list alone."""
    headers = {"HX-Request": "true", "HX-Target": "found", "HX-Current-URL": before, "HX-Trigger": trigger}
    return client.get(f"/projects/{query}", headers=headers)


def titles(response: Any) -> list[str]:
    return re.findall(r'<span class="title" dir="auto">(.*?)</span>', response.content.decode())


def planted(user: User, app: App, count: int) -> None:
    """With counters that know of them."""
    plant(user, app, count)
    storage = Storage.objects.get(user=user)
    AppStorage.objects.update_or_create(storage=storage, app=app, defaults={"project_count": count})


def test_it_shows_what_both_apps_have_kept_and_nobody_elses(
    alice: User, bob: User, penora: App, imagegene: App
) -> None:
    text = kept(alice, penora, title="A walk", content="Along the river\n\nand back")
    image = kept(alice, imagegene, title="A hill", content=base64.b64encode(picture()).decode(), kind="ai_art")
    kept(bob, penora, title="Bob's own")

    response = at_pages(alice).get("/projects/")
    page = response.content.decode()

    assert titles(response) == ["A hill", "A walk"]
    assert "Along the river\nand back" in page
    assert f"/projects/{image.code}/thumbnail?" in page
    assert f'data-copy="{text.code}"' in page
    assert 'data-app="penora"' in page
    assert 'data-app="imagegene"' in page
    assert "Bob" not in page


def test_a_third_app_has_its_colour_without_a_style_of_the_page(alice: User) -> None:
    musico = services.register_app(slug="musico", name="Musico", colour="#7c3aed")
    kept(alice, musico)
    client = at_pages(alice)

    page = client.get("/projects/").content.decode()
    sheet = client.get("/app-colours.css")

    assert '<span class="app" data-app="musico">Musico</span>' in page
    assert 'href="/app-colours.css"' in page
    assert "style=" not in page
    assert sheet["Content-Type"].startswith("text/css")
    assert '[data-app="musico"]{--app:#7c3aed}' in sheet.content.decode()


def test_a_colour_that_is_none_writes_no_style(alice: User, penora: App) -> None:
    App.objects.filter(pk=penora.pk).update(colour="#f}*{x:")

    assert "penora" not in at_pages(alice).get("/app-colours.css").content.decode()


def test_hostile_titles_and_texts_are_words(alice: User, penora: App) -> None:
    kept(alice, penora, title=HOSTILE, content=HOSTILE, kind="<b>")

    for query in ("", "?view=list", f"?q={quote('<script>')}", f"?q={quote(HOSTILE + 'x')[:90]}"):
        page = at_pages(alice).get(f"/projects/{query}").content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Hill", "Zebra", "apple"]),
        ("?app=penora", ["Zebra", "apple"]),
        ("?app=imagegene", ["Hill"]),
        ("?app=nobody", ["Hill", "Zebra", "apple"]),
        ("?kind=picture", ["Hill"]),
        ("?kind=text", ["Zebra", "apple"]),
        ("?q=zeb", ["Zebra"]),
        ("?q=river", ["apple"]),
        ("?q=zeb&app=imagegene", []),
        ("?sort=oldest", ["apple", "Zebra", "Hill"]),
        ("?sort=title", ["apple", "Hill", "Zebra"]),
        ("?sort=x&kind=y&page=-1&view=z", ["Hill", "Zebra", "apple"]),
    ],
)
def test_what_is_looked_for_is_in_the_address(
    alice: User, penora: App, imagegene: App, query: str, found: list[str]
) -> None:
    kept(alice, penora, title="apple", content="by the river")
    kept(alice, penora, title="Zebra", content="stripes")
    kept(alice, imagegene, title="Hill", content=base64.b64encode(picture()).decode())

    client = at_pages(alice)

    assert titles(client.get(f"/projects/{query}")) == found
    assert titles(part(client, query)) == found


def test_a_code_is_found_as_it_is_typed(alice: User, penora: App) -> None:
    code = kept(alice, penora).code

    assert len(titles(at_pages(alice).get(f"/projects/?q={code[:3].lower()}-{code[3:].lower()}"))) == 1


@pytest.mark.parametrize(
    ("count", "page", "shown", "told"),
    [
        (1, 1, 1, None),
        (25, 1, 24, "Page 1 of 2"),
        (25, 2, 1, "Page 2 of 2"),
        (25, 99_999, 1, "Page 2 of 2"),
        (200, 9, 8, "Page 9 of 9"),
    ],
)
def test_a_page_at_a_time_and_the_last_beyond_it(
    alice: User, penora: App, count: int, page: int, shown: int, told: str | None
) -> None:
    planted(alice, penora, count)

    response = at_pages(alice).get(f"/projects/?page={page}")

    assert response.status_code == 200
    assert len(titles(response)) == shown
    assert ("Page " in response.content.decode()) == (told is not None)
    assert told is None or told in response.content.decode()
    assert f"{count} project{'' if count == 1 else 's'}" in response.content.decode()


def test_pages_keep_what_is_looked_for(alice: User, penora: App) -> None:
    planted(alice, penora, 60)

    page = at_pages(alice).get("/projects/?q=Project&sort=oldest&view=list&page=2").content.decode()

    assert 'href="/projects/?q=Project&amp;sort=oldest&amp;view=list"' in page
    assert 'href="/projects/?q=Project&amp;sort=oldest&amp;view=list&amp;page=3"' in page


def test_each_leads_on_with_what_is_looked_for(alice: User, penora: App) -> None:
    planted(alice, penora, 25)
    client = at_pages(alice)

    for query, told in (
        ("", ""),
        ("?page=2", ""),
        ("?q=Project&sort=oldest&view=list&page=2&app=", "?q=Project&amp;sort=oldest&amp;view=list"),
    ):
        for page in (client.get(f"/projects/{query}"), part(client, query)):
            assert set(re.findall(r'href="/projects/[A-Z0-9]{6}/(.*?)"', page.content.decode())) == {told}


def test_the_page_is_told_with_the_count(alice: User, penora: App) -> None:
    planted(alice, penora, 25)

    page = part(at_pages(alice), "?q=Project&page=2").content.decode()

    assert 'id="count" hx-swap-oob="innerHTML">25 projects found, page 2 of 2<' in page


def test_nothing_yet_names_the_apps_and_where_they_are(alice: User, penora: App) -> None:
    App.objects.filter(pk=penora.pk).update(home_url="https://penora.example/")
    App.objects.filter(slug="imagegene").update(home_url="ftp://imagegene.example/")

    page = at_pages(alice).get("/projects/").content.decode()

    assert "Nothing here yet" in page
    assert '<a href="https://penora.example/">Penora</a>' in page
    assert "ftp:" not in page


def test_nothing_found_leads_back_to_all(alice: User, penora: App) -> None:
    kept(alice, penora)

    page = at_pages(alice).get("/projects/?q=nowhere").content.decode()

    assert "Nothing found" in page
    assert "None of your 1 project matches" in page
    assert "Show all of them" in page


def test_the_trash_is_not_shown(alice: User, penora: App) -> None:
    project = kept(alice, penora)
    at_pages(alice).post(f"/projects/{project.code}/delete/")

    assert titles(at_pages(alice).get("/projects/")) == []


@pytest.mark.parametrize(
    ("before", "asked", "header", "address"),
    [
        ("", "?q=&app=penora&kind=&sort=newest&view=", "HX-Push-Url", "?app=penora"),
        ("?app=penora", "?app=", "HX-Push-Url", ""),
        ("", "?q=a", "HX-Push-Url", "?q=a"),
        ("?q=a", "?q=ap", "HX-Replace-Url", "?q=ap"),
        ("?q=a", "?q=a&sort=title", "HX-Push-Url", "?q=a&sort=title"),
        ("?q=ap", "?q=ap", None, None),
    ],
)
def test_each_step_has_an_address_and_each_letter_none(
    alice: User, penora: App, before: str, asked: str, header: str | None, address: str | None
) -> None:
    kept(alice, penora, title="apple")

    response = part(at_pages(alice), asked, before=f"{URL}{before}")

    told = {name: response[name] for name in ("HX-Push-Url", "HX-Replace-Url") if name in response}
    assert told == ({} if header is None else {header: f"/projects/{address}"})


def test_what_changes_by_itself_is_no_step(alice: User, penora: App) -> None:
    """The last project of the last page has gone, and the page before is shown."""
    planted(alice, penora, PAGE_SIZE)

    response = part(at_pages(alice), "?page=2", before=f"{URL}?page=2", trigger="found")

    assert response["HX-Replace-Url"] == "/projects/"
    assert len(titles(response)) == PAGE_SIZE


def test_the_list_alone_brings_its_count_along_and_no_frame(alice: User, penora: App) -> None:
    kept(alice, penora)

    page = part(at_pages(alice)).content.decode()

    assert "<html" not in page
    assert 'id="count" hx-swap-oob="innerHTML">1 project<' in page


def test_going_back_brings_the_whole_page(alice: User) -> None:
    headers = {"HX-Request": "true", "HX-Target": "found", "HX-History-Restore-Request": "true"}

    assert "<html" in at_pages(alice).get("/projects/", headers=headers).content.decode()


def test_who_is_not_signed_in_is_sent_to_sign_in(client: Client) -> None:
    assert client.get("/projects/?q=a")["Location"] == "/signin/?next=/projects/%3Fq%3Da"


def test_a_session_that_has_ended_leads_to_the_sign_in_and_not_into_the_page(client: Client) -> None:
    response = part(client, "?q=a", before=f"{URL}?q=b")

    assert response["HX-Redirect"] == "/signin/?next=%2Fprojects%2F%3Fq%3Da"  # and not what was there before
    assert response.content == b""


def test_as_many_queries_for_many_projects_as_for_one(alice: User, penora: App) -> None:
    client = at_pages(alice)
    kept(alice, penora)
    counts = []
    for count in (0, 200):
        if count:
            planted(alice, penora, count)
        with CaptureQueriesContext(connection) as captured:
            client.get("/projects/")
        counts.append(len(captured))
        assert not any("workspace_projectcontent" in query["sql"] for query in captured.captured_queries)

    assert counts[0] == counts[1]
    assert Project.objects.count() == 201
