"""One project on its page: in full, and only words; rename, download, delete and undo."""

from __future__ import annotations

import base64
import html
import io
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image

from accounts.models import App, User
from tests.web.pages import at_pages, kept
from tests.workspace.pictures import picture
from tests.workspace.test_listing import plant
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


def way(page: str, name: str) -> str | None:
    """Where the link of that id leads."""
    link = re.search(rf'<a [^>]*id="{name}"[^>]*>', page)
    return html.unescape(re.search(r'href="([^"]*)"', link[0])[1]) if link else None  # type: ignore[index]


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
    for told in (
        "<dd>24 × 16 pixels</dd>",
        ">Prompt</dt><dd",
        ">a hill</dd>",
        ">poster</dd>",
        ">3</dd>",
        "<dd>AI art</dd>",
    ):
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


@pytest.mark.parametrize(
    ("metadata", "left"),
    [
        ({"dimensions": "24x16"}, []),
        ({"Dimensions": "24 × 16 px", "width": 24, "height": "16", "title": "A hill"}, []),
        ({"dimensions": "1024x1024", "width": 1024}, ["Width", "Dimensions"]),
        ({"size": "24x16", "style": "24x16"}, ["Style", "Size"]),
    ],
)
def test_what_the_page_says_already_is_not_said_twice(
    alice: User, imagegene: App, metadata: dict[str, Any], left: list[str]
) -> None:
    content = base64.b64encode(picture()).decode()
    project = kept(alice, imagegene, title="A hill", content=content, kind="ai_art")
    Project.objects.update(metadata=metadata)

    page = page_of(at_pages(alice), project)

    assert re.findall(r'<dt dir="auto">(.*?)</dt>', page) == left
    assert ("Details <span" in page) == bool(left)


def test_the_section_is_marked_in_the_menu(alice: User, story: Project) -> None:
    client = at_pages(alice)

    assert '<a href="/projects/" aria-current="true">Projects</a>' in page_of(client, story)
    assert '<a href="/projects/" aria-current="page">Projects</a>' in client.get("/projects/?q=a").content.decode()
    trash = client.get("/storage/trash/").content.decode()
    assert re.findall(r'<a href="(\S+)" aria-current="(\w+)"', trash) == [("/storage/", "true")]


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
    for query, back in (
        ("", f"/projects/#at-{story.code}"),
        ("?q=walk&view=list", f"/projects/?q=walk&view=list#at-{story.code}"),
        ("?q=walk&page=7&elsewhere=1", f"/projects/?q=walk#at-{story.code}"),
        ("?q=nothing", "/projects/?q=nothing"),
        ("?app=//evil.example", f"/projects/#at-{story.code}"),
    ):
        page = client.get(f"/projects/{story.code}/{query}").content.decode()
        assert way(page, "back") == back


def test_the_way_back_leads_to_the_page_on_which_it_stands(alice: User, penora: App, story: Project) -> None:
    for _ in range(24):
        kept(alice, penora)

    page = page_of(at_pages(alice), story, view="list")

    assert way(page, "back") == f"/projects/?view=list&page=2#at-{story.code}"
    assert '<span class="quiet">25 of 25</span>' in page
    assert '<input type="hidden" name="back" value="view=list&amp;page=2">' in page


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"sort": "oldest"},
        {"sort": "largest"},
        {"sort": "title"},
        {"app": "penora"},
        {"kind": "text", "sort": "title", "view": "list"},
        {"q": "e", "sort": "largest"},
    ],
)
def test_one_after_the_other_as_the_list_has_them(
    alice: User, bob: User, penora: App, imagegene: App, query: dict[str, str]
) -> None:
    """Titles and sizes that are equal, and titles that a program would sort otherwise than the database."""
    for title in ("apple", "Zebra", "Äpfel", "apple", "_e", "APPLE", "e"):
        kept(alice, penora, title=title, content="same")
        kept(alice, imagegene, title=title, content="e" * len(title))
    kept(bob, penora, title="Bob's e")
    client = at_pages(alice)
    listed = re.findall(r'id="at-(\w+)"', client.get("/projects/", query).content.decode())
    told = f"?{urlencode(query)}" if query else ""

    for start, step in ((0, "next"), (len(listed) - 1, "previous")):
        walked = []
        address = f"/projects/{listed[start]}/{told}"
        while address:
            page = client.get(address).content.decode()
            walked.append(address.split("/")[2])
            assert f"{listed.index(walked[-1]) + 1} of {len(listed)}" in page
            address = way(page, step)
            assert address is None or address.endswith(f"/{told}")
        assert walked == (listed if step == "next" else listed[::-1])
    assert len(listed) > 3


def test_what_is_not_found_any_more_still_has_neighbours(alice: User, penora: App, story: Project) -> None:
    """Somebody has given it a title that they had not looked for, and goes on from there."""
    ends = [kept(alice, penora, title="Found", content=content) for content in ("x" * 99, "x")]

    page = page_of(at_pages(alice), story, q="found", sort="largest")

    assert way(page, "previous") == f"/projects/{ends[0].code}/?q=found&sort=largest"
    assert way(page, "next") == f"/projects/{ends[1].code}/?q=found&sort=largest"
    assert " of 2<" not in page


def test_the_only_one_has_none(alice: User, story: Project) -> None:
    page = page_of(at_pages(alice), story)

    assert way(page, "previous") is way(page, "next") is None
    assert ">1 of 1<" not in page


def test_the_ways_follow_what_the_apps_do(alice: User, penora: App, story: Project) -> None:
    client = at_pages(alice)
    newer = kept(alice, penora, title="A <b> walk")

    page = client.get(f"/projects/{story.code}/?q=walk", headers={"HX-Request": "true", "HX-Target": "beside"})

    assert way(page.content.decode(), "previous") == f"/projects/{newer.code}/?q=walk"
    assert "A &lt;b&gt; walk" in page.content.decode()
    assert "<html" not in page.content.decode()
    assert 'id="shown"' not in page.content.decode()


def test_what_was_looked_for_outlives_a_rename_an_undo_and_the_parts_of_a_text(
    alice: User, penora: App, story: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "PIECE_BYTES", 12)
    monkeypatch.setattr(viewer, "LINE_END_WITHIN", 4)
    client = at_pages(alice)
    address = f"/projects/{story.code}/"
    page = client.get(f"{address}?q=walk&sort=title&piece=2").content.decode()

    assert way(page, "before") == f"{address}?q=walk&sort=title"
    assert way(page, "after") == f"{address}?q=walk&sort=title&piece=3"
    assert f'hx-get="{address}?q=walk&amp;sort=title&amp;piece=2&amp;seen=1"' in page

    back = {"back": "q=walk&sort=title&page=3"}
    renamed = client.post(f"{address}rename/", {"title": "A long walk", "version": "1", **back})
    assert renamed["Location"] == f"{address}?q=walk&sort=title"

    services.delete_project(user=alice, code=story.code)
    gone = client.get(f"{address}?q=walk&sort=title").content.decode()
    assert 'href="/projects/?q=walk&amp;sort=title">Projects found</a>' in gone
    assert '<input type="hidden" name="back" value="q=walk&amp;sort=title">' in gone
    restored = client.post(f"{address}restore/", {"then": "open", **back})
    assert restored["Location"] == f"{address}?q=walk&sort=title"


def test_a_text_of_spaces_says_so(alice: User, penora: App) -> None:
    assert "nothing to read" in page_of(at_pages(alice), kept(alice, penora, content="\n \n"))


def test_as_many_queries_whatever_it_holds(alice: User, penora: App, story: Project) -> None:
    big = kept(alice, penora, content="word " * 50_000, **{f"n{number}": number for number in range(200)})
    client = at_pages(alice)
    counts = []
    for project in (story, big):
        if project is big:
            plant(alice, penora, 200)
        with CaptureQueriesContext(connection) as captured:
            page_of(client, project)
        counts.append(len(captured))

    assert counts[0] == counts[1]


# --- Whose it is ------------------------------------------------------------------------------------------------------


def test_a_code_leads_there_as_it_is_typed(alice: User, story: Project) -> None:
    typed = f"{story.code[:3]}-{story.code[3:]}".lower()

    assert at_pages(alice).get(f"/projects/{typed}/")["Location"] == f"/projects/{story.code}/"
    assert at_pages(alice).get(f"/projects/{typed}/?q=a")["Location"] == f"/projects/{story.code}/?q=a"


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
    for deed in ("rename", "delete"):  # where a refusal was shown: whoever comes back to it is led to the project
        assert at_pages(alice).get(f"/projects/{story.code}/{deed}/")["Location"] == f"/projects/{story.code}/"
    assert at_pages(alice).get(f"/projects/{story.code}/restore/").status_code == 405
    story.refresh_from_db()
    assert (story.title, story.deleted_at) == ("A walk", None)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(f"/projects/{story.code}/delete/").status_code == 403


# --- While it is open -------------------------------------------------------------------------------------------------


def asked_anew(client: Client, project: Project, *, seen: int | str) -> Any:
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


def test_what_an_app_deletes_is_told_and_gone_and_comes_back_on_the_open_page(alice: User, story: Project) -> None:
    """What somebody was writing beside it was lost: the page was loaded anew."""
    client = at_pages(alice)
    services.delete_project(user=alice, code=story.code)

    answer = asked_anew(client, story, seen=1)
    page = answer.content.decode()

    assert answer.status_code == 200
    assert "This project is in the trash" in page
    assert f'hx-get="/projects/{story.code}/?seen=trash"' in page
    assert "renaming" not in page
    assert "<html" not in page
    assert asked_anew(client, story, seen="trash").status_code == 204
    beside = client.get(f"/projects/{story.code}/", headers={"HX-Request": "true", "HX-Target": "beside"})
    assert (beside.status_code, beside.content) == (204, b"")

    services.restore_project(user=alice, code=story.code)

    assert '<h1 dir="auto">A walk</h1>' in asked_anew(client, story, seen="trash").content.decode()


def test_what_is_gone_for_good_is_told(alice: User, story: Project) -> None:
    client = at_pages(alice)
    services.delete_project(user=alice, code=story.code)
    services.empty_trash(user=alice)

    for seen in ("1", "trash"):
        assert asked_anew(client, story, seen=seen)["HX-Redirect"] == f"/projects/{story.code}/"


def test_the_page_of_what_is_in_the_trash_follows_its_restoring(alice: User, story: Project) -> None:
    client = at_pages(alice)
    services.delete_project(user=alice, code=story.code)
    headers = {"HX-Request": "true", "HX-Target": "trashed"}
    page = client.get(f"/projects/{story.code}/?q=walk").content.decode()

    assert f'id="trashed" hx-get="/projects/{story.code}/?q=walk" hx-trigger="live from:body" hx-swap="none"' in page
    assert client.get(f"/projects/{story.code}/?q=walk", headers=headers).status_code == 204

    services.restore_project(user=alice, code=story.code)

    restored = client.get(f"/projects/{story.code}/?q=walk", headers=headers)
    assert restored["HX-Redirect"] == f"/projects/{story.code}/?q=walk"


def test_it_says_until_when_it_can_be_brought_back(alice: User, story: Project) -> None:
    services.delete_project(user=alice, code=story.code)
    Project.objects.update(deleted_at=datetime.now(UTC).replace(microsecond=0))
    until = Project.objects.get().restorable_until
    assert until is not None

    page = at_pages(alice).get(f"/projects/{story.code}/").content.decode()

    assert f">{until.day} {until:%B}, {until:%H:%M} UTC</time>." in page
    assert "for some days" not in page


def test_the_title_that_was_typed_meanwhile_is_not_lost(alice: User, story: Project) -> None:
    services.delete_project(user=alice, code=story.code)

    response = at_pages(alice).post(f"/projects/{story.code}/rename/", {"title": "A <long> walk", "version": "1"})

    assert response.status_code == 404
    assert "It was not renamed. What you had written: <bdi>A &lt;long&gt; walk</bdi>" in response.content.decode()


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


@pytest.mark.parametrize(
    "title", ["\u200b", "\u202e\u2066 \u2069", "\u3164", "\u2800 \u115f", "\ufeff\u00ad", "\u0301", "\U000e0041"]
)
def test_a_title_that_nobody_sees_is_refused(alice: User, story: Project, title: str) -> None:
    response = at_pages(alice).post(f"/projects/{story.code}/rename/", {"title": title, "version": "1"})

    assert response.status_code == 400
    assert "no visible letter" in response.content.decode()
    story.refresh_from_db()
    assert (story.title, story.version) == ("A walk", 1)


@pytest.mark.parametrize("title", ["x", "7", "?", "字", "👩\u200d🎨", "\u200fשלום", "می\u200cخواهم", "\U0001faea"])
def test_a_title_of_one_letter_or_sign_is_one(alice: User, story: Project, title: str) -> None:
    response = at_pages(alice).post(f"/projects/{story.code}/rename/", {"title": title, "version": "1"})

    assert response.status_code == 302
    story.refresh_from_db()
    assert story.title == title


def test_no_title_looks_like_another_one_or_like_nothing(alice: User, penora: App) -> None:
    """An app may send any title; it is kept, and given back, as it was sent."""
    turned = kept(alice, penora, title="\u202egnp.exe\u2066")
    unseen = kept(alice, penora, title="\u200b\u202e")
    client = at_pages(alice)
    pages = [client.get(f"/projects/{query}").content.decode() for query in ("", "?view=list")]
    pages += [client.get("/storage/").content.decode()]
    for project in (turned, unseen):
        page = page_of(client, project)
        pages += [re.sub(r"<input[^>]*>", "", page)]  # what is edited is what is kept
        pages += [client.post(f"/projects/{project.code}/delete/", follow=True).content.decode()]
        pages += [client.get(f"/projects/{project.code}/").content.decode()]
    pages += [client.get("/storage/trash/").content.decode()]

    for page in pages:
        assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b]", page)
    for page in (*pages[:3], pages[-1]):
        assert ">gnp.exe<" in page
        assert ">Untitled<" in page
    turned.refresh_from_db()
    assert turned.title == "\u202egnp.exe\u2066"


def test_what_an_app_made_of_it_meanwhile_is_told_and_not_lost(alice: User, story: Project) -> None:
    services.edit_project(user=alice, code=story.code, title="The app's")
    client = at_pages(alice)

    response = client.post(f"/projects/{story.code}/rename/", {"title": "Mine", "version": "1", "back": "q=walk"})
    page = response.content.decode()

    assert response.status_code == 409
    assert "has been changed meanwhile" in page
    assert "<bdi>The app&#x27;s</bdi>" in page
    assert 'name="title" value="Mine"' in page
    assert way(page, "back") == "/projects/?q=walk"
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
    plain = f"{hill.code}.{hill.content_type[6:]}"
    named = f"A%20hill%20%28{hill.code}%29.{hill.content_type[6:]}"
    assert response["Content-Disposition"] == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{named}"


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

    response = at_pages(alice).get(f"/projects/{project.code}/download/")

    assert response.content == b"<script>x</script>"
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"].startswith("attachment; ")
    assert "sandbox" in response["Content-Security-Policy"]


@pytest.mark.parametrize("asked", ["gif", "webp", "JPEG", "../png", "\u202e"])
def test_there_is_nothing_in_a_form_that_is_not_offered(alice: User, hill: Project, asked: str) -> None:
    response = at_pages(alice).get(f"/projects/{hill.code}/download/", {"as": asked})

    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


def test_a_text_is_no_picture(alice: User, story: Project) -> None:
    assert at_pages(alice).get(f"/projects/{story.code}/download/?as=png").status_code == 404


NAMES = {
    "Desert at noon": "Desert at noon ({}).txt",
    "Évora, 50 % „off“": "Évora, 50 % „off“ ({}).txt",
    "../../etc/passwd": "etc passwd ({}).txt",
    "C:\\autoexec.bat": "C autoexec.bat ({}).txt",
    'a"b\r\nSet-Cookie: c=d': "a b Set-Cookie c=d ({}).txt",
    "\u202egnp.exe": "gnp.exe ({}).txt",
    "\u2067txt.\u200fexe\u2069\ufeff": "txt.exe ({}).txt",
    "CON": "_CON ({}).txt",
    "com1.txt": "_com1.txt ({}).txt",
    "Console": "Console ({}).txt",
    "-rf ~": "rf ({}).txt",
    "...": "{}.txt",
    "\u200b": "{}.txt",
    "/": "{}.txt",
    "👩\u200d🎨 می\u200cخواهم": "👩\u200d🎨 می\u200cخواهم ({}).txt",
    "x" * 200: "x" * 120 + " ({}).txt",
    "字" * 200: "字" * 40 + " ({}).txt",
}


@pytest.mark.parametrize("title", NAMES)
def test_a_download_is_called_by_its_title(alice: User, penora: App, title: str) -> None:
    project = kept(alice, penora, title=title)

    header = at_pages(alice).get(f"/projects/{project.code}/download/")["Content-Disposition"]

    plain, named = re.fullmatch(
        r"attachment; filename=\"([A-Z0-9.a-z]+)\"; filename\*=UTF-8''([\w.~%-]+)", header
    ).groups()  # type: ignore[union-attr]
    assert plain == f"{project.code}.txt"
    assert unquote(named) == NAMES[title].format(project.code)


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

    assert "There is no room to bring it back: it needs 26\xa0bytes, and 25\xa0bytes are free." in notices(response)
    story.refresh_from_db()
    assert story.deleted_at is not None


def test_what_has_gone_for_good_cannot_be_undone(alice: User, story: Project) -> None:
    services.delete_project(user=alice, code=story.code)
    services.empty_trash(user=alice)

    response = at_pages(alice).post(f"/projects/{story.code}/restore/", follow=True)

    assert "deleted for good" in notices(response)
