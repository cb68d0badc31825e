"""The storage page and the trash: what takes room, how it is freed, and how it comes back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, AuditEntry, User
from tests.api.pictures import as_base64, draw
from tests.api.projects import counters
from tests.clock import let_pass
from tests.web.pages import at_pages, kept
from unified.web.room import PICTURE_BYTES
from workspace import services
from workspace.models import Project, Storage

pytestmark = pytest.mark.django_db

MEGABYTE = 1_048_576
HTMX = {"HX-Request": "true"}
STORAGE, MAKE_ROOM = "/storage/", "/storage/make-room/"
TRASH, RESTORE, EMPTY = "/storage/trash/", "/storage/trash/restore/", "/storage/trash/empty/"
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
    assert response.status_code == status
    page: str = response.content.decode()
    return page


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
    assert "ImageGene: 1000 bytes" in page
    assert "300\u202f000" in page
    assert f"{MEGABYTE - 301_000:,}".replace(",", "\u202f") in page
    assert "style=" not in page


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
    pages += [alices.get(TRASH), alices.get(EMPTY)]
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

    assert ticked_in(read(alices.get(f"{STORAGE}?pick=enough"))) == [larger.code, smaller.code]


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
    shown = re.search(r'name="code" value="([^"]*)"', asked)
    assert shown
    services.delete_project(user=alice, code=smaller.code)

    again = read(alices.post(EMPTY, {"code": shown[1]}))
    assert "come into the trash meanwhile" in again
    assert Project.objects.count() == 2
    shown = re.search(r'name="code" value="([^"]*)"', again)
    assert shown
    told = read(alices.post(EMPTY, {"code": shown[1]}, follow=True))

    assert "2 projects removed for good" in told
    assert "The trash is empty" in told
    assert not Project.objects.exists()
    assert "empty already" in read(alices.post(EMPTY, {"code": shown[1]}, follow=True))


def test_emptying_leaves_what_others_deleted(alices: Client, bob: User, penora: App) -> None:
    theirs = kept(bob, penora)
    services.delete_project(user=bob, code=theirs.code)

    alices.post(EMPTY, {"code": theirs.code})

    assert in_trash(theirs)


# --- Who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [STORAGE, MAKE_ROOM, TRASH, EMPTY])
def test_signed_out_one_is_asked_to_sign_in(client: Client, address: str) -> None:
    assert client.get(address)["Location"] == f"/signin/?next={address}"


@pytest.mark.parametrize("address", [MAKE_ROOM, RESTORE, EMPTY])
def test_a_session_that_is_over_leads_to_the_sign_in(client: Client, address: str) -> None:
    assert client.post(address, headers=HTMX)["HX-Redirect"].startswith("/signin/")


@pytest.mark.parametrize("address", [MAKE_ROOM, RESTORE, EMPTY])
def test_another_site_cannot_send_its_forms(alice: User, larger: Project, address: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")

    assert strict.post(address, ticks(larger)).status_code == 403
    assert not in_trash(larger)
