"""The storage page and the trash: what takes room, how it is freed, and how it comes back."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from PIL import Image

from accounts.models import App, AuditEntry, User
from tests.api.pictures import as_base64, draw
from tests.api.projects import counters
from tests.clock import let_pass
from tests.web.pages import at_pages, kept
from unified.web import room as room_page
from unified.web import trash as trash_page
from unified.web.room import PICTURE_BYTES
from workspace import services
from workspace.models import Project, Storage

pytestmark = pytest.mark.django_db

MEGABYTE = 1_048_576
HTMX = {"HX-Request": "true"}
STORAGE, MAKE_ROOM = "/storage/", "/storage/make-room/"
TRASH, RESTORE, EMPTY = "/storage/trash/", "/storage/trash/restore/", "/storage/trash/empty/"
REMOVE = "/storage/trash/remove/"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def alices(alice: User) -> Client:
    return at_pages(alice)


@pytest.fixture
def larger(alice: User, penora: App) -> Project:
    return kept(alice, penora, title="Larger", content="x" * 300_000)


@pytest.fixture
def smaller(alice: User, penora: App) -> Project:
    return kept(alice, penora, title="Smaller", content="x" * 100_000)


def ticks(*projects: Project) -> dict[str, Any]:
    return {"project": [f"{project.code}-{project.version}" for project in projects]}


def read(response: Any, status: int = 200) -> str:
    """The page; with plain spaces, where a line must not end between a number and its unit."""
    assert response.status_code == status
    page: str = response.content.decode()
    return page.replace("\u00a0", " ")


def words(page: str) -> str:
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", page))


def ticked_in(page: str) -> list[str]:
    return re.findall(r'data-code="(\w+)"[^>]* checked', page)


def in_trash(project: Project) -> bool:
    return Project.objects.get(pk=project.pk).deleted_at is not None


def fill(user: User, app: App) -> None:
    """Takes all the room that is left."""
    kept(user, app, title="The rest", content="x" * Storage.objects.get(user=user).available_bytes)


# --- What takes room -------------------------------------------------------------------------------------------------


def test_it_tells_by_app_how_full_it_is_to_the_byte(
    alices: Client, larger: Project, alice: User, imagegene: App
) -> None:
    kept(alice, imagegene, title="Art", content="y" * 1_000)

    page = read(alices.get(STORAGE))

    assert "Penora: 293 KB" in page
    assert "ImageGene: 1,000 bytes" in page
    assert "300,000" in page
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td class="number">(.*?)</td><td class="number">(.*?)</td>', page)
    assert rows[-2:] == [("Free", "998", f"{MEGABYTE - 301_000:,}"), ("Limit", "1,000", f"{MEGABYTE:,}")]
    assert "style=" not in page
    assert 'data-exact="300,000 bytes">293 KB' in page  # shown in its place while the exact figures are open


def test_what_is_reserved_is_told(alices: Client, alice: User) -> None:
    services.reserve_room(
        user=alice, reservation_id=uuid4(), size_bytes=200_000, expires_at=timezone.now() + timedelta(hours=1)
    )

    page = read(alices.get(STORAGE))

    assert "Kept free for what is being made: 195 KB" in page
    assert f"about {(MEGABYTE - 200_000) // PICTURE_BYTES} more pictures" in words(page).replace("  ", " ")


def test_how_many_pictures_fit_is_by_ones_own_mean(alices: Client, alice: User, imagegene: App) -> None:
    kept(alice, imagegene, title="A picture", content=as_base64(draw("PNG", size=(512, 512))))
    Project.objects.update(size_bytes=50_000)
    free = Storage.objects.get(user=alice).available_bytes

    page = words(read(alices.get(STORAGE)))

    assert f"about {free // 50_000} more pictures" in page
    assert "the mean of yours" in page


def test_no_more_fit_than_may_be_kept(alices: Client, larger: Project, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 2
    assert "about 1 more picture ," in words(read(alices.get(STORAGE)))

    settings.MAX_PROJECTS_PER_USER = 1
    assert "You keep 1 project, as many as anybody can" in words(read(alices.get(STORAGE)))


def test_a_full_workspace_says_what_to_do(alices: Client, larger: Project, alice: User, penora: App) -> None:
    fill(alice, penora)

    page = read(alices.get(STORAGE))

    assert "Nothing new can be kept" in page
    assert "Your workspace is full" in page
    assert 'href="/plans/"' in page
    assert 'href="#going"' in page


@pytest.mark.parametrize(
    ("percent", "told"), [(79, None), (80, "80 % full"), (95, "may no longer fit"), (100, "Your workspace is full")]
)
def test_the_banner_from_80_percent_on_every_page(
    alices: Client, alice: User, penora: App, percent: int, told: str | None
) -> None:
    kept(alice, penora, content="x" * -(-percent * MEGABYTE // 100))

    page = read(alices.get("/projects/"))

    assert (told in page) if told else ("Make room" not in page)


@pytest.mark.parametrize(
    ("used_bytes", "level", "word"),
    [
        (838_860, "", ""),  # a byte below 80 %
        (838_861, "near", "80 %"),
        (996_147, "near", "94 %"),  # a byte below 95 %
        (996_148, "nearly", "95 %"),
        (MEGABYTE, "full", "Full"),
    ],
)
def test_the_bar_says_by_colour_and_in_words_how_near_the_limit_is(
    alices: Client, alice: User, penora: App, used_bytes: int, level: str, word: str
) -> None:
    kept(alice, penora, content="x" * used_bytes)

    for address in ("/live/bar/", "/projects/"):
        page = read(alices.get(address))
        assert re.findall(r'<strong class="level (\w+)">([^<]*)<', page) == ([(level, word)] if level else [])
        low, high, value = map(int, re.findall(r'<meter .* low="(\d+)" high="(\d+)" .*value="(\d+)"', page)[0])
        region = (value > low) + (value > high)  # what the browser colours it by
        assert region == {"": 0, "near": 1, "nearly": 2, "full": 2}[level]


def test_an_empty_workspace_is_no_error(alices: Client) -> None:
    assert "Nothing takes room" in read(alices.get(STORAGE))


def test_the_largest_come_first_and_nobody_elses(
    alices: Client, smaller: Project, larger: Project, bob: User, penora: App
) -> None:
    kept(bob, penora, title="Bob's")

    page = read(alices.get(STORAGE))

    assert page.index("Larger") < page.index("Smaller")
    assert "Bob" not in page


def test_titles_never_run(alices: Client, alice: User, penora: App) -> None:
    project = kept(alice, penora, title=HOSTILE, content=HOSTILE)
    pages = [alices.get(STORAGE), alices.get(MAKE_ROOM, ticks(project))]
    services.delete_project(user=alice, code=project.code)
    pages += [alices.get(TRASH), alices.get(EMPTY), alices.get(REMOVE, {"code": project.code})]
    pages.append(alices.post(RESTORE, {"code": project.code}, follow=True))

    for response in pages:
        page = read(response)
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize("address", [STORAGE, TRASH])
def test_it_costs_as_many_queries_whatever_there_is(alices: Client, alice: User, penora: App, address: str) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            read(alices.get(address))
        return len(captured)

    for number in range(2):
        services.delete_project(user=alice, code=kept(alice, penora, title=f"Gone {number}").code)
        kept(alice, penora)
    few = asked()
    for number in range(20):
        services.delete_project(user=alice, code=kept(alice, penora, title=f"Gone too {number}").code)
        kept(alice, penora)

    assert asked() == few


@pytest.mark.parametrize(
    "query",
    [
        "show=x",
        f"show={'9' * 5_000}",
        "away=0001-01-01T00:00:00%2B23:00",
        "away=9999-12-31T23:59:59-23:00",
        "away=x",
        "away=2026-02-31T00:00:00Z",
        "pick=x",
        "project=%C2%A0",
    ],
)
def test_an_address_that_means_nothing_is_passed_over(alices: Client, larger: Project, query: str) -> None:
    assert "Larger" in read(alices.get(f"{STORAGE}?{query}"))


# --- Suggestions, and what is ticked ---------------------------------------------------------------------------------


def test_what_is_large_and_forgotten_is_suggested(alices: Client, larger: Project, alice: User, penora: App) -> None:
    kept(alice, penora, title="Small and old", content="x")
    let_pass(timedelta(days=91))
    kept(alice, penora, title="Large and new", content="y" * 200_000)
    alices = at_pages(alice)

    page = read(alices.get(STORAGE))
    picked = read(alices.get(f"{STORAGE}?pick=forgotten"))

    assert "1 project, frees 293 KB" in page
    assert ticked_in(picked) == [larger.code]
    assert "1 ticked, frees 293 KB" in picked


def test_just_enough_is_suggested_where_it_is_nearly_full(
    alices: Client, larger: Project, smaller: Project, alice: User, penora: App
) -> None:
    fill(alice, penora)

    page = read(alices.get(f"{STORAGE}?pick=enough"))

    assert ticked_in(page) == [larger.code, smaller.code]
    assert "Enough to use 70 % or less, and no more than that takes: down to 61 %" in words(page)


def test_what_just_enough_comes_to_is_told_where_it_is_more_than_enough(alice: User, penora: App) -> None:
    """Of two that go because one is some KB too small, it said "just enough to be down to 70 %": it was 42 %."""
    for number in range(2):
        kept(alice, penora, title=f"Old {number}", content=f"{number}" * 300_000)
    fill(alice, penora)

    page = words(read(at_pages(alice).get(STORAGE)))

    assert "Enough to use 70 % or less, and no more than that takes: down to 42 % 2 projects, frees 586 KB" in page


def test_following_changes_drops_nothing_that_is_ticked(
    alices: Client, smaller: Project, larger: Project, alice: User, penora: App
) -> None:
    """Though more than the list shows are larger by now; and what has gone is told."""
    for number in range(55):
        kept(alice, penora, title=f"New {number}", content="x" * 10_000)
    tiny = kept(alice, penora, title="Tiny", content="x")
    services.delete_project(user=alice, code=larger.code)

    page = read(alices.get(STORAGE, ticks(tiny, smaller, larger), headers={**HTMX, "HX-Target": "room"}))

    assert "<html" not in page
    assert set(ticked_in(page)) == {tiny.code, smaller.code}
    assert "1 project that you had ticked is gone" in words(page)


def test_more_are_shown_on_demand(alices: Client, alice: User, penora: App) -> None:
    for number in range(60):
        kept(alice, penora, title=f"Page {number}")

    assert read(alices.get(STORAGE)).count("data-code=") == 50
    assert read(alices.get(f"{STORAGE}?show=100")).count("data-code=") == 60


def test_a_suggestion_beside_what_is_ticked_stays_within_what_can_be_sent(
    alices: Client, alice: User, penora: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all of the list ticked, a click on a suggestion came to an address that proxies do not take."""
    monkeypatch.setattr(room_page, "SHOWN_FIRST", 6)
    monkeypatch.setattr(room_page, "SHOWN_MOST", 6)
    projects = [kept(alice, penora, title=f"No {number}", content="x" * (1_000 - number)) for number in range(12)]
    codes = [project.code for project in projects]

    page = read(alices.get(STORAGE, {**ticks(*projects[6:]), "pick": "largest"}))

    assert ticked_in(page) == [*codes[:5], codes[6]]
    assert page.count("data-code=") == 6
    assert "6 can be ticked at once: 5 projects that you had ticked are not ticked any more" in words(page)
    page = read(alices.get(STORAGE, ticks(*projects[9:])))
    assert ticked_in(page) == codes[9:]
    assert re.findall(r'data-code="(\w+)"', page) == [*codes[:3], *codes[9:]]
    assert "6 of 12 are shown" in words(page)
    assert "at once" not in page
    page = read(alices.get(STORAGE, ticks(*projects)))
    assert ticked_in(page) == codes[:6]
    assert "6 projects that you had ticked are not ticked any more" in words(page)


# --- Into the trash --------------------------------------------------------------------------------------------------


def test_without_scripts_a_page_asks_first(alices: Client, larger: Project, smaller: Project, alice: User) -> None:
    """Ticking leads by GET to what it would come to, which writes nothing; the button there does exactly that."""
    asked = read(alices.get(MAKE_ROOM, ticks(larger, smaller)))
    assert "frees 391 KB" in words(asked)
    assert not in_trash(larger)
    sent = dict(re.findall(r'name="(project|lost)" value="([^"]*)"', asked))

    told = read(alices.post(MAKE_ROOM, sent, follow=True))

    assert in_trash(larger)
    assert in_trash(smaller)
    assert "2 projects are" in told
    assert "Undo" in told
    assert counters(alice) == {"all": (0, 0), "trash": (400_000, 2)}
    assert AuditEntry.objects.filter(event=AuditEntry.Event.CLEANED_UP, actor=alice, subject=alice).count() == 1


def test_undo_brings_back_exactly_that(alices: Client, larger: Project, smaller: Project, alice: User) -> None:
    services.delete_project(user=alice, code=smaller.code)
    told = read(alices.post(MAKE_ROOM, ticks(larger), headers={**HTMX, "HX-Target": "room"}))
    assert "<html" not in told
    assert "Larger" in told
    code = re.search(r'name="code" value="([^"]*)"', told)
    assert code

    page = read(alices.post(RESTORE, {"code": code[1], "next": STORAGE}, follow=True))

    assert not in_trash(larger)
    assert in_trash(smaller)
    assert "back among your projects" in page


def test_all_or_nothing_and_what_has_gone_is_told(
    alices: Client, larger: Project, smaller: Project, alice: User
) -> None:
    services.delete_project(user=alice, code=smaller.code)

    page = read(alices.post(MAKE_ROOM, ticks(larger, smaller)))

    assert not in_trash(larger)
    assert "Nothing was moved yet" in page
    assert "In the trash already: Smaller" in words(page).replace("  ", " ")


def test_what_has_changed_since_it_was_ticked_is_asked_about_again(
    alices: Client, larger: Project, alice: User
) -> None:
    services.edit_project(user=alice, code=larger.code, title="Now dear to me")

    page = read(alices.post(MAKE_ROOM, ticks(larger), headers={**HTMX, "HX-Target": "room"}))

    assert not in_trash(larger)
    assert "<html" not in page
    assert "Now dear to me" in page
    assert f"{larger.code}-2" in page


def test_what_the_trash_would_lose_for_it_is_asked_about(
    alices: Client, larger: Project, alice: User, penora: App
) -> None:
    for number in range(3):
        gone = kept(alice, penora, title=f"Gone {number}", content="y" * 300_000)
        services.delete_project(user=alice, code=gone.code)

    asked = read(alices.post(MAKE_ROOM, ticks(larger)))

    assert not in_trash(larger)
    assert "cannot hold all of it" in asked
    assert "Gone 0" in asked
    assert "Gone 1" not in asked
    alices.post(MAKE_ROOM, dict(re.findall(r'name="(project|lost)" value="([^"]*)"', asked)))
    assert in_trash(larger)
    assert not Project.objects.filter(title="Gone 0").exists()


def test_sent_twice_it_is_done_once(alices: Client, larger: Project, alice: User) -> None:
    alices.post(MAKE_ROOM, ticks(larger))

    page = read(alices.post(MAKE_ROOM, ticks(larger), follow=True))

    assert "in the trash already. Nothing more was done." in page
    assert counters(alice) == {"all": (0, 0), "trash": (300_000, 1)}


@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_elses_code_is_404(alices: Client, bob: User, penora: App, method: str) -> None:
    theirs = kept(bob, penora, title="Bob's")

    assert "Bob" not in read(getattr(alices, method)(MAKE_ROOM, ticks(theirs)), 404)
    assert not in_trash(theirs)


def test_somebody_elses_among_ones_own_stops_it_all(alices: Client, larger: Project, bob: User, penora: App) -> None:
    theirs = kept(bob, penora, title="Bob's")

    page = read(alices.post(MAKE_ROOM, ticks(larger, theirs)))

    assert "Bob" not in page
    assert "1 project that you had ticked is not there any more" in words(page)
    assert not in_trash(theirs)
    assert not in_trash(larger)


def test_nothing_ticked_is_told(alices: Client) -> None:
    assert "Nothing is ticked yet" in read(alices.post(MAKE_ROOM, follow=True))
    assert alices.post(MAKE_ROOM, headers=HTMX)["HX-Redirect"] == STORAGE


# --- The trash -------------------------------------------------------------------------------------------------------


def test_the_trash_says_until_when(alices: Client, larger: Project, alice: User) -> None:
    project, _ = services.delete_project(user=alice, code=larger.code)
    assert project.restorable_until

    assert f"{project.restorable_until:%-d %B, %H:%M}" in read(alices.get(TRASH))


@pytest.fixture
def seven(alice: User, penora: App, monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[Project]:
    """In the trash, last deleted first, where three are shown at once and a form has no more fields than for those."""
    monkeypatch.setattr(trash_page, "SHOWN_MOST", 3)
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 6
    gone = [kept(alice, penora, title=f"No {number}") for number in range(7)]
    for project in gone:
        services.delete_project(user=alice, code=project.code)
    return gone[::-1]


def codes_shown(page: str) -> list[str]:
    return re.findall(r'data-code="(\w+)"', page)


def sent_by(page: str) -> dict[str, Any]:
    """What the form of the trash sends with all that it shows ticked."""
    form = page[page.index('<form id="coming"') :]
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    return {**hidden, "code": re.findall(r'type="checkbox" name="code" [^>]*value="(\w+)"', form)}


def test_a_trash_of_any_size_comes_back_page_by_page_with_all_ticked(
    alices: Client, alice: User, seven: list[Project]
) -> None:
    """With all 1,000 that a trash can hold on one page, ticking them was a 400."""
    codes = [project.code for project in seven]
    first, last = read(alices.get(TRASH)), read(alices.get(f"{TRASH}?page=3"))
    assert (codes_shown(first), codes_shown(last)) == (codes[:3], codes[6:])
    assert codes_shown(read(alices.get(f"{TRASH}?page=2"))) == codes[3:6]
    assert "7 projects, 70 bytes" in words(first)
    assert "1 to 3 of 7" in words(first)
    assert ('href="?page=2"' in first, "Deleted later" in first) == (True, False)
    assert ('href="?page=2"' in last, "Deleted earlier" in last) == (True, False)

    answer = alices.post(RESTORE, sent_by(last))
    assert answer["Location"] == f"{TRASH}?page=3"
    assert codes_shown(read(alices.get(answer["Location"]))) == codes[3:6]  # the last there is by now
    for _ in range(2):
        read(alices.post(RESTORE, sent_by(read(alices.get(TRASH))), follow=True))

    assert counters(alice)["trash"] == (0, 0)
    assert counters(alice)["all"] == (70, 7)


def test_a_trash_of_any_size_goes_page_by_page_with_all_ticked_or_at_once(
    alices: Client, alice: User, seven: list[Project]
) -> None:
    asked = read(alices.post(REMOVE, sent_by(read(alices.get(TRASH)))))
    assert "3 projects (30 bytes) are removed for good." in words(asked)
    read(alices.post(REMOVE, confirmation(asked), follow=True))
    assert counters(alice)["trash"] == (40, 4)

    shown = re.search(r'name="until" value="([^"]*)"', read(alices.get(EMPTY)))
    assert shown
    assert "4 projects removed for good" in read(alices.post(EMPTY, {"until": shown[1]}, follow=True))
    assert "The trash is empty" in read(alices.get(TRASH))


def test_what_is_ticked_in_the_trash_stays_in_sight_and_within_what_can_be_sent(
    alices: Client, seven: list[Project]
) -> None:
    """The list follows what is deleted meanwhile, which moves what is ticked to the next page."""
    codes = [project.code for project in seven]

    def live(*ticked: str) -> str:
        address = {"page": "1", "code": " ".join(ticked)}
        return read(alices.get(TRASH, address, headers={**HTMX, "HX-Target": "bin"}))

    page = live(codes[4])
    assert (codes_shown(page), ticked_in(page)) == ([codes[0], codes[1], codes[4]], [codes[4]])
    page = live(*codes)
    assert (codes_shown(page), ticked_in(page)) == (codes[:3], codes[:3])
    assert 'hx-get="/storage/trash/?page=2"' in read(alices.get(f"{TRASH}?page=2"))
    assert codes_shown(read(alices.get(f"{TRASH}?page=x"))) == codes[:3]


def test_several_come_back_at_once(alices: Client, larger: Project, smaller: Project, alice: User) -> None:
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)

    read(alices.post(RESTORE, {"code": [larger.code, smaller.code]}, follow=True))

    assert counters(alice) == {"all": (400_000, 2), "trash": (0, 0), "penora": (400_000, 2)}
    assert "back already" in read(alices.post(RESTORE, {"code": larger.code}, follow=True))


def test_without_room_for_all_none_comes_back(
    alices: Client, larger: Project, smaller: Project, alice: User, penora: App
) -> None:
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)
    kept(alice, penora, content="z" * (MEGABYTE - 350_000))

    page = read(alices.post(RESTORE, {"code": [smaller.code, larger.code]}, follow=True))

    assert "this takes 391 KB, and 342 KB are free" in page
    assert in_trash(larger)
    assert in_trash(smaller)


def test_somebody_elses_trash_stays_theirs(alices: Client, bob: User, penora: App) -> None:
    theirs = kept(bob, penora, title="Bob's")
    services.delete_project(user=bob, code=theirs.code)

    page = read(alices.post(RESTORE, {"code": theirs.code}, follow=True))

    assert "Bob" not in page
    assert "not in your trash" in page
    assert in_trash(theirs)


@pytest.mark.parametrize(
    "elsewhere", ["https://example.org/", "//example.org/", "/\\example.org", "javascript:alert(1)"]
)
def test_restoring_leads_to_no_other_site(alices: Client, larger: Project, alice: User, elsewhere: str) -> None:
    services.delete_project(user=alice, code=larger.code)

    assert alices.post(RESTORE, {"code": larger.code, "next": elsewhere})["Location"] == TRASH


def test_emptying_asks_first_and_takes_only_what_was_shown(
    alices: Client, larger: Project, smaller: Project, alice: User
) -> None:
    services.delete_project(user=alice, code=larger.code)
    asked = read(alices.get(EMPTY))
    shown = re.search(r'name="until" value="([^"]*)"', asked)
    assert shown
    services.delete_project(user=alice, code=smaller.code)

    again = read(alices.post(EMPTY, {"until": shown[1]}))
    assert "come into the trash meanwhile" in again
    assert Project.objects.count() == 2
    shown = re.search(r'name="until" value="([^"]*)"', again)
    assert shown
    told = read(alices.post(EMPTY, {"until": shown[1]}, follow=True))

    assert "2 projects removed for good" in told
    assert "The trash is empty" in told
    assert not Project.objects.exists()
    assert "empty already" in read(alices.post(EMPTY, {"until": shown[1]}, follow=True))
    entry = AuditEntry.objects.get(event=AuditEntry.Event.CHANGED, actor=alice, subject=alice)
    assert entry.details == {"what": "workspace.project", "removed_for_good": [smaller.code, larger.code]}


def test_emptying_leaves_what_others_deleted(alices: Client, bob: User, penora: App) -> None:
    theirs = kept(bob, penora)
    services.delete_project(user=bob, code=theirs.code)

    alices.post(EMPTY, {"until": "9999-01-01T00:00:00+00:00"})

    assert in_trash(theirs)


def test_emptying_asks_again_about_what_was_restored_and_deleted_since(
    alices: Client, larger: Project, alice: User
) -> None:
    """It may have been edited in between: that is not what was shown."""
    services.delete_project(user=alice, code=larger.code)
    shown = re.search(r'name="until" value="([^"]*)"', read(alices.get(EMPTY)))
    assert shown
    services.restore_project(user=alice, code=larger.code)
    services.delete_project(user=alice, code=larger.code)

    assert "come into the trash meanwhile" in read(alices.post(EMPTY, {"until": shown[1]}))
    assert in_trash(larger)


@pytest.mark.parametrize("told", ["", "yesterday", "0001-01-01T00:00:00+23:59", "9" * 40, "2026-13-01"])
def test_emptying_asks_where_it_is_not_told_what_was_shown(
    alices: Client, larger: Project, alice: User, told: str
) -> None:
    services.delete_project(user=alice, code=larger.code)

    assert "Empty the trash?" in read(alices.post(EMPTY, {"until": told}))
    assert in_trash(larger)


def test_one_is_removed_for_good_after_a_question_and_the_others_stay(
    alices: Client, larger: Project, smaller: Project, alice: User
) -> None:
    """Without scripts: the row leads to a page that asks, and its button does it."""
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)
    assert f'href="{REMOVE}?code={smaller.code}"' in read(alices.get(TRASH))

    asked = read(alices.get(REMOVE, {"code": smaller.code}))
    assert "1 project (98 KB) is removed for good." in words(asked)
    assert "Larger" not in asked
    assert Project.objects.count() == 2
    told = read(alices.post(REMOVE, confirmation(asked), follow=True))

    assert "“Smaller”: removed for good." in told
    assert not Project.objects.filter(pk=smaller.pk).exists()
    assert in_trash(larger)
    assert counters(alice) == {"all": (0, 0), "trash": (300_000, 1)}
    entry = AuditEntry.objects.get(event=AuditEntry.Event.CHANGED, actor=alice, subject=alice)
    assert entry.details == {"what": "workspace.project", "removed_for_good": [smaller.code]}


def test_what_is_ticked_in_the_trash_is_asked_about_first(
    alices: Client, larger: Project, smaller: Project, alice: User
) -> None:
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)

    asked = read(alices.post(REMOVE, {"code": [larger.code, smaller.code]}))
    assert Project.objects.count() == 2
    told = read(alices.post(REMOVE, confirmation(asked), follow=True))

    assert "“Smaller”, “Larger”: removed for good." in told
    assert not Project.objects.exists()
    assert "Nothing is ticked yet" in read(alices.post(REMOVE, follow=True))


def test_sent_twice_it_is_removed_once(alices: Client, larger: Project, alice: User) -> None:
    services.delete_project(user=alice, code=larger.code)
    sent = confirmation(read(alices.get(REMOVE, {"code": larger.code})))
    alices.post(REMOVE, sent)

    page = read(alices.post(REMOVE, sent, follow=True))

    assert "Removed already. Nothing more was done." in page
    assert counters(alice) == {"all": (0, 0), "trash": (0, 0)}
    assert AuditEntry.objects.filter(event=AuditEntry.Event.CHANGED).count() == 1


def test_what_has_been_restored_meanwhile_is_not_removed(
    alices: Client, larger: Project, smaller: Project, alice: User
) -> None:
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)
    both = confirmation(read(alices.post(REMOVE, {"code": [larger.code, smaller.code]})))
    one = confirmation(read(alices.get(REMOVE, {"code": larger.code})))
    services.restore_project(user=alice, code=larger.code)

    assert "“Larger”: back among your projects." in read(alices.post(REMOVE, one, follow=True))
    told = read(alices.post(REMOVE, both, follow=True))

    assert "“Smaller”: removed for good. 1 project of what you had ticked was not in the trash any more." in told
    assert not in_trash(larger)
    assert "among your projects" in read(alices.get(REMOVE, {"code": larger.code}, follow=True))


def test_what_was_restored_edited_and_deleted_again_since_the_question_is_not_removed(
    alices: Client, larger: Project, smaller: Project, alice: User
) -> None:
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)
    both = confirmation(read(alices.post(REMOVE, {"code": [larger.code, smaller.code]})))
    one = confirmation(read(alices.get(REMOVE, {"code": larger.code})))
    services.restore_project(user=alice, code=larger.code)
    services.edit_project(user=alice, code=larger.code, title="Now dear to me")
    services.delete_project(user=alice, code=larger.code)
    left = "“Now dear to me”: still in the trash, because restored and deleted again since you were asked."

    assert f"{left} Nothing more was done." in read(alices.post(REMOVE, one, follow=True))
    assert f"“Smaller”: removed for good. {left}<" in read(alices.post(REMOVE, both, follow=True))
    assert in_trash(larger)

    again = confirmation(read(alices.get(REMOVE, {"code": larger.code})))
    assert "“Now dear to me”: removed for good." in read(alices.post(REMOVE, again, follow=True))
    assert not Project.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_has_been_emptied_meanwhile_is_told_where_it_is_still_ticked(
    alices: Client, larger: Project, smaller: Project, alice: User, method: str
) -> None:
    for project in (larger, smaller):
        services.delete_project(user=alice, code=project.code)
    services.empty_trash(user=alice)

    answer = getattr(alices, method)(REMOVE, {"code": [larger.code, smaller.code]})

    assert answer["Location"] == TRASH
    assert "2 projects are not in your trash any more. Nothing was removed." in read(alices.get(TRASH))


@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_in_somebody_elses_trash_cannot_be_told_from_nothing(
    alices: Client, bob: User, penora: App, method: str
) -> None:
    theirs, live = kept(bob, penora, title="Bob's"), kept(bob, penora, title="Bob's own")
    services.delete_project(user=bob, code=theirs.code)

    def asked(code: str) -> str:
        answer = getattr(alices, method)(REMOVE, {"code": code})
        assert answer["Location"] == TRASH
        return words(read(alices.get(TRASH)))

    pages = {asked(code) for code in (theirs.code, live.code, "222222")}

    assert len(pages) == 1
    assert "1 project is not in your trash any more. Nothing was removed." in (page := pages.pop())
    assert "Bob" not in page
    assert in_trash(theirs)


def test_a_question_is_answered_by_whom_it_was_put_to(
    alices: Client, bob: User, penora: App, larger: Project, alice: User
) -> None:
    """Another person's signed form, one that nobody has signed, and none at all do nothing."""
    theirs = kept(bob, penora, title="Bob's")
    for project in (theirs, larger):
        services.delete_project(user=project.user, code=project.code)
    stolen = confirmation(read(at_pages(bob).get(REMOVE, {"code": theirs.code})))

    for confirmed in (stolen["confirmed"], f"{stolen['confirmed']}x", "x", ""):
        answer = alices.post(REMOVE, {"confirmed": confirmed, "code": larger.code})
        assert "is removed for good" in read(answer)  # it is asked
    told = read(alices.post(REMOVE, {**stolen, "code": theirs.code}, follow=True))
    assert "1 project is not in your trash any more. Nothing was removed." in told

    assert in_trash(theirs)
    assert in_trash(larger)


def confirmation(page: str) -> dict[str, str]:
    """What the button of the page sends that asks."""
    found = re.search(r'name="confirmed" value="([^"]*)"', page)
    assert found
    return {"confirmed": unescape(found[1])}


def test_a_picture_in_the_trash_is_known_again_by_its_owner_alone(
    alices: Client, alice: User, bob: User, imagegene: App
) -> None:
    picture = kept(alice, imagegene, title="Art", content=as_base64(draw("PNG", size=(300, 300))))
    address = f"{TRASH}{picture.code}/thumbnail/"
    read(alices.get(address), 404)  # of what is kept the API has thumbnails
    services.delete_project(user=alice, code=picture.code)
    assert f'src="{address}"' in read(alices.get(TRASH))
    assert f'src="{address}"' in read(alices.get(REMOVE, {"code": picture.code}))

    as_kept = alices.get(address, headers={"Accept": "image/avif,image/*,*/*"})
    older = alices.get(address, headers={"Accept": "image/webp,image/*;q=0.8,*/*;q=0.5"})

    assert (as_kept["Content-Type"], older["Content-Type"]) == ("image/avif", "image/jpeg")
    for answer in (as_kept, older):
        assert Image.open(BytesIO(answer.content)).size == (256, 256)
        assert "no-store" in answer["Cache-Control"]
        assert "sandbox" in answer["Content-Security-Policy"]
    assert at_pages(bob).get(address).status_code == 404
    assert Client().get(address)["Location"].startswith("/signin/")
    let_pass(timedelta(days=8))
    assert at_pages(alice).get(address).status_code == 404


def test_a_text_in_the_trash_has_no_thumbnail(alices: Client, larger: Project, alice: User) -> None:
    services.delete_project(user=alice, code=larger.code)

    assert "thumbnail" not in read(alices.get(TRASH))
    assert alices.get(f"{TRASH}{larger.code}/thumbnail/").status_code == 404


# --- Who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [STORAGE, MAKE_ROOM, TRASH, EMPTY, REMOVE])
def test_signed_out_one_is_asked_to_sign_in(client: Client, address: str) -> None:
    assert client.get(address)["Location"] == f"/signin/?next={address}"


@pytest.mark.parametrize("address", [MAKE_ROOM, RESTORE, EMPTY, REMOVE])
def test_a_session_that_is_over_leads_to_the_sign_in(client: Client, address: str) -> None:
    assert client.post(address, headers=HTMX)["HX-Redirect"].startswith("/signin/")


@pytest.mark.parametrize("address", [MAKE_ROOM, RESTORE, EMPTY, REMOVE])
def test_another_site_cannot_send_its_forms(alice: User, larger: Project, address: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")

    assert strict.post(address, ticks(larger)).status_code == 403
    assert not in_trash(larger)
