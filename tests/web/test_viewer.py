"""One project on its page: in full, and only words; rename, download, delete and undo."""

from __future__ import annotations

import base64
import io
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from accounts.models import App, User
from tests.web.pages import at_pages, kept
from tests.workspace.pictures import picture
from unified.web import viewer
from workspace import encoders, services
from workspace.content import text_content
from workspace.models import Project, Storage

pytestmark = pytest.mark.django_db
HOSTILE = "</div></title><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 }}"


@pytest.fixture
def story(alice: User, penora: App) -> Project:
    return kept(alice, penora, title="A walk", content="Along the river\nand <back>")


@pytest.fixture
def hill(alice: User, imagegene: App) -> Project:
    content = base64.b64encode(picture()).decode()
    return kept(alice, imagegene, title="A hill", content=content, kind="ai_art", prompt="a hill", style="poster", n=3)


def page_of(client: Client, project: Project, **query: str) -> str:
    response = client.get(f"/projects/{project.code}/", query)
    assert response.status_code == 200
    return response.content.decode()


def notices(response: Any) -> str:
    return " ".join(re.findall(r'role="status"><p><bdi>(.*?)</bdi>', response.content.decode()))


# --- What is shown ----------------------------------------------------------------------------------------------------


def test_a_text_stands_there_in_full_and_as_words(alice: User, story: Project) -> None:
    page = page_of(at_pages(alice), story)

    assert re.search(r'id="text" dir="auto">(.*?)</div>', page, re.S)[1] == "Along the river\nand &lt;back&gt;"  # type: ignore[index]
    assert "<title>A walk · Unified</title>" in page


def test_a_picture_is_shown_from_its_signed_address(alice: User, hill: Project) -> None:
    page = page_of(at_pages(alice), hill)

    assert re.search(
        rf'<img id="p{hill.code}-1" hx-preserve src="http://testserver/api/unified/projects/{hill.code}/content\?', page
    )
    assert 'alt="A hill" width="24" height="16"' in page
    for told in ("<dd>24 × 16 pixels</dd>", ">Prompt</dt><dd", ">a hill</dd>", ">poster</dd>", ">3</dd>", "Ai art"):
        assert told in page
    assert page.index(">Prompt<") < page.index(">Style<") < page.index(">N<")


def test_nothing_that_anybody_wrote_runs(alice: User, penora: App) -> None:
    project = kept(
        alice, penora, title=HOSTILE, content=HOSTILE, kind=HOSTILE[:60], **{HOSTILE: HOSTILE, "deep": [{"a": HOSTILE}]}
    )
    client = at_pages(alice)

    pages = [page_of(client, project)]
    pages += [client.post(f"/projects/{project.code}/rename/", {"title": HOSTILE, "version": "9"}).content.decode()]
    pages += [client.post(f"/projects/{project.code}/delete/", follow=True).content.decode()]
    pages += [client.get(f"/projects/{project.code}/").content.decode()]

    for page in pages:
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "text/css"])
def test_a_document_is_a_text_here(alice: User, penora: App, media_type: str) -> None:
    project = kept(alice, penora, content=f"data:{media_type},{quote('<h1>Hello</h1><script>x</script>')}")

    assert "&lt;h1&gt;Hello&lt;/h1&gt;&lt;script&gt;" in page_of(at_pages(alice), project)


def test_details_of_every_kind_are_written_for_people() -> None:
    details = viewer.details_of(
        {
            "seed": 7,
            "style": "x",
            "prompt": "p",
            "hd": True,
            "tags": ["a", "b"],
            "none": None,
            "empty": "",
            "o": {"a": 1},
        }
    )

    assert [name for name, *_ in details] == ["Prompt", "Style", "Seed", "Hd", "Tags", "O"]
    assert [value for _, value, _ in details] == ["p", "x", "7", "Yes", "a, b", '{\n  "a": 1\n}']
    assert viewer.details_of(["no", "object"]) == []


def test_a_text_of_a_megabyte_is_one_page(alice: User, penora: App) -> None:
    Storage.objects.filter(user=alice).update(limit_bytes=10_000_000)
    project = kept(alice, penora, content="word " * 200_000)

    page = page_of(at_pages(alice), project)

    assert page.count("word ") == 200_000
    assert "Part 1 of" not in page


def test_a_longer_one_has_parts_that_are_all_of_it() -> None:
    text = ("Zeilen mit Umläuten: äöü €\n" * 100_000) + "ä" * 2_000_000
    body = text.encode()

    first = viewer.piece_of(body, "")
    pieces = [viewer.piece_of(body, str(number)) for number in range(1, first.of + 1)]

    assert "".join(piece.text for piece in pieces) == text
    assert pieces[0].text.endswith("\n")
    assert viewer.piece_of(body, "999").number == first.of
    assert [viewer.piece_of(body, asked).number for asked in ("0", "-1", "x", "²")] == [1, 1, 1, 1]


def test_apps_that_say_where_open_it_there(alice: User, story: Project) -> None:
    App.objects.filter(slug="penora").update(project_url="https://penora.example/p/{code}?x=1")
    App.objects.filter(slug="imagegene").update(project_url="javascript:alert('{code}')")
    page = page_of(at_pages(alice), story)

    assert f'href="https://penora.example/p/{story.code}?x=1" target="_blank" rel="noopener">Open in Penora' in page
    assert "javascript:" not in page

    App.objects.filter(slug="penora").update(is_active=False)

    assert "Open in" not in page_of(at_pages(alice), story)


def test_the_way_back_leads_to_what_was_looked_for(alice: User, story: Project) -> None:
    client = at_pages(alice)
    for referer, back in (
        ("http://testserver/projects/?q=walk&view=list", "/projects/?q=walk&amp;view=list"),
        ("http://elsewhere.example/projects/?q=walk", "/projects/"),
        ("http://testserver/storage/", "/projects/"),
        ("http://[", "/projects/"),
    ):
        page = client.get(f"/projects/{story.code}/", headers={"Referer": referer}).content.decode()
        assert f'<p class="back"><a href="{back}">' in page


def test_as_many_queries_whatever_it_holds(alice: User, penora: App, story: Project) -> None:
    big = kept(alice, penora, content="word " * 50_000, **{f"n{number}": number for number in range(200)})
    client = at_pages(alice)
    counts = []
    for project in (story, big):
        with CaptureQueriesContext(connection) as captured:
            page_of(client, project)
        counts.append(len(captured))

    assert counts[0] == counts[1]


# --- Whose it is ------------------------------------------------------------------------------------------------------


def test_a_code_leads_there_as_it_is_typed(alice: User, story: Project) -> None:
    typed = f"{story.code[:3]}-{story.code[3:]}".lower()

    assert at_pages(alice).get(f"/projects/{typed}/")["Location"] == f"/projects/{story.code}/"


@pytest.mark.parametrize("deed", ["", "rename/", "delete/", "restore/", "download/"])
def test_another_persons_is_as_if_it_were_not_there(bob: User, story: Project, deed: str) -> None:
    client = at_pages(bob)
    ask = client.get if deed in ("", "download/") else client.post
    data = {"title": "Mine", "version": "1"}

    theirs, none = (ask(f"/projects/{code}/{deed}", data) for code in (story.code, "ZZZZZZ"))

    if deed == "restore/":
        assert (theirs.status_code, theirs["Location"]) == (none.status_code, none["Location"]) == (302, "/projects/")
        return
    assert theirs.status_code == none.status_code == 404
    assert "There is no such project" in theirs.content.decode()
    assert 'aria-label="Pages"' in theirs.content.decode()  # the frame, with the ways on
    assert "A walk" not in theirs.content.decode()
    story.refresh_from_db()
    assert (story.title, story.deleted_at) == ("A walk", None)


@pytest.mark.parametrize("code", ["x", "%3Cscript%3E", "a" * 300, "%E2%82%AC%E2%82%AC", "IIIIII"])
def test_what_is_no_code_is_not_there(alice: User, code: str) -> None:
    response = at_pages(alice).get(f"/projects/{code}/")

    assert response.status_code == 404
    assert "<script>" not in response.content.decode()


def test_who_is_not_signed_in_is_sent_to_sign_in(client: Client, story: Project) -> None:
    address = f"/projects/{story.code}/"

    assert client.get(address)["Location"] == f"/signin/?next={address}"
    assert client.post(f"{address}delete/")["Location"] == "/signin/?next=/"
    headers = {"HX-Request": "true", "HX-Target": "shown", "HX-Current-URL": f"http://testserver{address}"}
    assert client.get(address, headers=headers)["HX-Redirect"] == f"/signin/?next={quote(address, safe='')}"
    story.refresh_from_db()
    assert story.deleted_at is None


def test_deeds_are_no_links(alice: User, story: Project) -> None:
    for deed in ("rename", "delete", "restore"):
        assert at_pages(alice).get(f"/projects/{story.code}/{deed}/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(f"/projects/{story.code}/delete/").status_code == 403


# --- While it is open -------------------------------------------------------------------------------------------------


def asked_anew(client: Client, project: Project, *, seen: int) -> Any:
    headers = {"HX-Request": "true", "HX-Target": "shown"}
    return client.get(f"/projects/{project.code}/?seen={seen}", headers=headers)


def test_nothing_is_sent_again_that_is_there(alice: User, story: Project) -> None:
    assert asked_anew(at_pages(alice), story, seen=1).status_code == 204


def test_what_an_app_changes_appears(alice: User, story: Project) -> None:
    services.edit_project(user=alice, code=story.code, title="A long walk")

    page = asked_anew(at_pages(alice), story, seen=1).content.decode()

    assert '<h1 dir="auto">A long walk</h1>' in page
    assert 'id="renaming" hx-swap-oob="true"' in page
    assert 'name="version" value="2"' in page
    assert "<html" not in page


def test_what_an_app_deletes_is_told(alice: User, story: Project) -> None:
    services.delete_project(user=alice, code=story.code)

    assert asked_anew(at_pages(alice), story, seen=1)["HX-Refresh"] == "true"


# --- Rename -----------------------------------------------------------------------------------------------------------


def test_rename(alice: User, story: Project) -> None:
    response = at_pages(alice).post(
        f"/projects/{story.code}/rename/", {"title": "  A <b>\nwalk  ", "version": "1"}, follow=True
    )

    story.refresh_from_db()
    assert (story.title, story.version) == ("A <b> walk", 2)
    assert "A &lt;b&gt; walk" in notices(response)


@pytest.mark.parametrize("title", ["", "  \n ", "x" * 201])
def test_a_title_that_is_none_is_refused_with_what_was_typed(alice: User, story: Project, title: str) -> None:
    response = at_pages(alice).post(f"/projects/{story.code}/rename/", {"title": title, "version": "1"})

    assert response.status_code == 400
    assert 'id="renaming" open' in response.content.decode()
    assert 'aria-invalid="true"' in response.content.decode()
    story.refresh_from_db()
    assert (story.title, story.version) == ("A walk", 1)


def test_what_an_app_made_of_it_meanwhile_is_told_and_not_lost(alice: User, story: Project) -> None:
    services.edit_project(user=alice, code=story.code, title="The app's")
    client = at_pages(alice)

    response = client.post(f"/projects/{story.code}/rename/", {"title": "Mine", "version": "1", "back": "q=walk"})
    page = response.content.decode()

    assert response.status_code == 409
    assert "has been changed meanwhile" in page
    assert "<bdi>The app&#x27;s</bdi>" in page
    assert 'name="title" value="Mine"' in page
    assert '<a href="/projects/?q=walk">' in page
    story.refresh_from_db()
    assert story.title == "The app's"

    client.post(f"/projects/{story.code}/rename/", {"title": "Mine", "version": "2"})
    story.refresh_from_db()
    assert story.title == "Mine"


@pytest.mark.parametrize("version", ["", "x", "-1", "²", "9" * 30])
def test_without_a_version_nothing_is_renamed(alice: User, story: Project, version: str) -> None:
    response = at_pages(alice).post(f"/projects/{story.code}/rename/", {"title": "Mine", "version": version})

    assert response.status_code == 409


# --- Download ---------------------------------------------------------------------------------------------------------


def test_a_picture_comes_as_it_is_kept_whatever_the_browser_shows(alice: User, hill: Project) -> None:
    response = at_pages(alice).get(f"/projects/{hill.code}/download/", headers={"Accept": "text/html"})

    assert response["Content-Type"] == hill.content_type
    assert response.content == bytes(hill.content.body)
    assert response["Content-Disposition"] == f'attachment; filename="{hill.code}.{hill.content_type[6:]}"'


@pytest.mark.parametrize(("name", "suffix"), [("jpeg", "jpg"), ("png", "png")])
def test_a_picture_comes_as_what_everybody_opens(alice: User, hill: Project, name: str, suffix: str) -> None:
    response = at_pages(alice).get(f"/projects/{hill.code}/download/?as={name}")

    assert Image.open(io.BytesIO(response.content)).format == name.upper()
    assert response["Content-Type"] == f"image/{name}"
    assert f"{hill.code}.{suffix}" in response["Content-Disposition"]


def test_when_no_picture_can_be_made_it_is_said(alice: User, hill: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> None:
        raise encoders.EncodersBusy

    monkeypatch.setattr(encoders, "turn_to_convert", busy)

    response = at_pages(alice).get(f"/projects/{hill.code}/download/?as=jpeg", follow=True)

    assert "Try again in a moment" in notices(response)


def test_a_text_comes_as_a_file_that_never_runs(alice: User, penora: App) -> None:
    project = kept(alice, penora, content="data:text/html,<script>x</script>")

    response = at_pages(alice).get(f"/projects/{project.code}/download/?as=png")

    assert response.content == b"<script>x</script>"
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"].startswith("attachment; ")
    assert "sandbox" in response["Content-Security-Policy"]


# --- Delete and undo --------------------------------------------------------------------------------------------------


def test_deleted_and_undone_by_plain_forms(alice: User, story: Project) -> None:
    client = at_pages(alice)
    response = client.post(f"/projects/{story.code}/delete/", {"back": "q=walk&view=list"}, follow=True)
    page = response.content.decode()

    assert response.redirect_chain == [("/projects/?q=walk&view=list", 302)]
    assert "“A walk” is in the trash." in notices(response)
    assert f'<form method="post" action="/projects/{story.code}/restore/">' in page
    assert client.get(f"/projects/{story.code}/").status_code == 404
    assert "Undo" not in client.get("/projects/").content.decode()  # it was said once

    headers = {"Referer": "http://testserver/projects/?q=walk"}
    response = client.post(f"/projects/{story.code}/restore/", headers=headers, follow=True)

    assert response.redirect_chain == [("/projects/?q=walk", 302)]
    assert "“A walk” is back." in notices(response)
    assert client.get(f"/projects/{story.code}/").status_code == 200


def test_an_address_of_the_trash_has_the_way_back(alice: User, story: Project) -> None:
    client = at_pages(alice)
    services.delete_project(user=alice, code=story.code)

    response = client.get(f"/projects/{story.code.lower()}/")

    assert response.status_code == 404
    assert "This project is in the trash" in response.content.decode()
    response = client.post(f"/projects/{story.code}/restore/", {"then": "open"}, follow=True)
    assert response.redirect_chain == [(f"/projects/{story.code}/", 302)]


def test_the_way_back_never_leads_elsewhere(alice: User, story: Project) -> None:
    response = at_pages(alice).post(f"/projects/{story.code}/delete/", {"back": "//evil.example/?a=b\r\nX: y"})

    assert response["Location"].startswith("/projects/?")


def test_it_deletes_also_when_it_is_full_and_says_when_there_is_no_room_to_undo(
    alice: User, penora: App, story: Project
) -> None:
    Storage.objects.filter(user=alice).update(limit_bytes=story.size_bytes)
    client = at_pages(alice)
    assert client.post(f"/projects/{story.code}/delete/").status_code == 302
    services.save_project(
        user=alice,
        app=penora,
        project_type="page",
        title="Another",
        content=text_content(b"x", "text/plain"),
        metadata={},
    )

    response = client.post(f"/projects/{story.code}/restore/", follow=True)

    assert "There is no room to bring it back: it needs 26 bytes, and 25 bytes are free." in notices(response)
    story.refresh_from_db()
    assert story.deleted_at is not None


def test_what_has_gone_for_good_cannot_be_undone(alice: User, story: Project) -> None:
    services.delete_project(user=alice, code=story.code)
    services.empty_trash(user=alice)

    response = at_pages(alice).post(f"/projects/{story.code}/restore/", follow=True)

    assert "deleted for good" in notices(response)
