"""The account: who somebody is, which apps act for them, everything to take along, and leaving."""

from __future__ import annotations

import io
import re
import time
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from accounts import services as accounts
from accounts.models import App, AuditEntry, User
from accounts.queries import signed_in_apps
from credits.models import LedgerEntry
from tests.sso.flow import RelyingParty, calls_api, signed_in_as
from unified.sso.validator import SIGNED_IN_AT
from workspace import services as workspace
from workspace.content import text_content
from workspace.models import Project

pytestmark = pytest.mark.django_db
ACCOUNT, APP, EVERYWHERE, EXPORT = "/account/", "/account/app/", "/account/everywhere/", "/account/export/"
DELETE, AGAIN, GOODBYE = "/account/delete/", "/account/delete/again/", "/goodbye/"
HOSTILE = "<script>alert(1)</script>"


def browser_of(user: User) -> Browser:
    browser = Browser()
    browser.force_login(user, backend="unified.sso.google.GoogleSignIn")
    return browser


@pytest.fixture
def alices(alice: User) -> Browser:
    return browser_of(alice)


def register(app: App, **options: Any) -> RelyingParty:
    client, secret, _ = accounts.register_client(
        app=app, redirect_uris=[f"https://{app.slug}.example/callback"], **options
    )
    return RelyingParty(client, secret, "openid profile credits.read credits.spend")


@pytest.fixture
def by_penora(penora: App) -> RelyingParty:
    return register(penora)


@pytest.fixture
def by_imagegene(imagegene: App) -> RelyingParty:
    return register(imagegene, confidential=False)


def keep(user: User, app: App, *, title: str = "A page", text: bytes = b"Some words") -> Project:
    project, _ = workspace.save_project(
        user=user,
        app=app,
        project_type="page",
        title=title,
        content=text_content(text, "text/plain"),
        metadata={},
    )
    return project


def text_of(page: Any) -> str:
    """What a person reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


# --- Who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [ACCOUNT, EXPORT, DELETE])
def test_who_is_signed_out_signs_in_and_comes_back(client: Browser, address: str) -> None:
    answer = client.get(address)

    assert (answer.status_code, answer["Location"]) == (302, f"/signin/?next={address}")


@pytest.mark.parametrize("address", [APP, EVERYWHERE, DELETE, AGAIN])
def test_nobody_does_anything_signed_out(client: Browser, alice: User, address: str) -> None:
    answer = client.post(address, {"confirmation": alice.email})

    assert answer.status_code == 302
    assert answer["Location"].startswith("/signin/?next=")
    assert User.objects.get().deleted_at is None


@pytest.mark.parametrize("address", [APP, EVERYWHERE, AGAIN])
def test_a_link_does_nothing(alices: Browser, address: str) -> None:
    assert alices.get(address).status_code == 405
    assert signed_in_as(alices) == "alice"


@pytest.mark.parametrize("address", [APP, EVERYWHERE, DELETE, AGAIN])
def test_another_site_does_nothing(alice: User, address: str) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(alice, backend="unified.sso.google.GoogleSignIn")

    assert browser.post(address, {"confirmation": alice.email}).status_code == 403
    assert User.objects.get().deleted_at is None


# --- What it says -----------------------------------------------------------------------------------------------------


def test_it_says_who_one_is(alices: Browser) -> None:
    page = text_of(alices.get(ACCOUNT))

    for fact in ("Alice", "alice@example.com", "Free : 1 MB", "No app can do anything as you"):
        assert fact in page.replace("Free:", "Free :"), page


def test_a_hostile_name_is_only_text(alice: User, alices: Browser) -> None:
    User.objects.filter(pk=alice.pk).update(username=HOSTILE)

    for address in (ACCOUNT, DELETE):
        page = alices.get(address).content.decode()
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_the_apps_and_what_they_may_do(
    alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty, bob: User
) -> None:
    by_penora.signs_in(alices)
    by_imagegene.signs_in(browser_of(bob))

    page = text_of(alices.get(ACCOUNT))

    assert "Sign out of Penora" in page
    assert "See your credits and what they were spent on" in page
    assert "Spend your credits" in page
    assert "Keep, change and delete" not in page
    assert "Sign out of ImageGene" not in page


def test_as_many_queries_for_many_apps(
    alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty, django_assert_num_queries: Any
) -> None:
    by_penora.signs_in(alices)
    with django_assert_num_queries(9):  # session, person, plan; version, wishes, credits, storage twice; the apps
        alices.get(ACCOUNT)
    for _ in range(3):
        by_penora.signs_in(alices)
    by_imagegene.signs_in(alices)
    with django_assert_num_queries(9):
        alices.get(ACCOUNT)


def test_an_app_is_named_once_from_its_first_sign_in(alice: User, alices: Browser, by_penora: RelyingParty) -> None:
    """Also after its tokens were renewed, which leaves nothing of the first ones but their family."""
    tokens = by_penora.signs_in(alices)
    began = timezone.now() - timedelta(days=3)
    get_refresh_token_model().objects.update(created=began)
    by_penora.refreshes(tokens["refresh_token"])
    by_penora.signs_in(alices)

    (app,) = signed_in_apps(alice)

    assert (app.client, app.since) == (by_penora.client, began)
    assert timezone.now() - app.last_seen < timedelta(minutes=1)


def test_what_can_be_renewed_is_signed_in_and_what_cannot_is_not(
    alice: User, alices: Browser, by_penora: RelyingParty, by_imagegene: RelyingParty
) -> None:
    by_penora.signs_in(alices)
    by_imagegene.signs_in(alices)
    tokens = get_access_token_model().objects
    tokens.update(expires=timezone.now() - timedelta(days=29))
    assert [app.client.name for app in signed_in_apps(alice)] == ["Penora", "ImageGene"]

    get_refresh_token_model().objects.filter(application=by_penora.client).update(revoked=timezone.now())
    assert [app.client.name for app in signed_in_apps(alice)] == ["ImageGene"]

    tokens.update(expires=timezone.now() - timedelta(days=31))
    assert signed_in_apps(alice) == []


# --- Signing out ------------------------------------------------------------------------------------------------------


def test_out_of_one_app(alices: Browser, bob: User, by_penora: RelyingParty, by_imagegene: RelyingParty) -> None:
    penora, imagegene = by_penora.signs_in(alices), by_imagegene.signs_in(alices)
    bobs = by_penora.signs_in(browser_of(bob))

    page = alices.post(APP, {"client": by_penora.client.client_id}, follow=True)

    told = "Penora is signed out. You are still signed in to Unified: opening it signs you in to it again."
    assert told in text_of(page)
    assert "Sign out of Penora" not in text_of(page)
    assert "To stay signed out, sign out of everything in this browser: Sign out of Unified and all apps" in text_of(
        page
    )
    assert page.content.decode().split("To stay signed out")[1].lstrip().split('action="')[1].startswith("/signin/out/")
    assert calls_api(penora["access_token"]).status_code == 401
    assert by_penora.refreshes(penora["refresh_token"]).status_code == 400
    assert calls_api(imagegene["access_token"]).status_code == 200
    assert calls_api(bobs["access_token"]).status_code == 200
    assert signed_in_as(alices) == "alice"
    entry = AuditEntry.objects.get(event=AuditEntry.Event.SIGNED_OUT)
    assert (entry.actor, entry.subject, entry.app) == (
        entry.subject,
        User.objects.get(user_id="alice"),
        App.objects.get(slug="penora"),
    )
    assert entry.details == {"client_id": by_penora.client.client_id}


@pytest.mark.parametrize("client_id", ["", "nobody"])
def test_out_of_an_app_that_there_is_none_of(alices: Browser, client_id: str) -> None:
    assert alices.post(APP, {"client": client_id}).status_code == 404


def test_out_everywhere(alice: User, alices: Browser, by_penora: RelyingParty) -> None:
    tokens, elsewhere = by_penora.signs_in(alices), browser_of(alice)

    page = alices.post(EVERYWHERE, follow=True)

    assert "You are signed out" in text_of(page)
    assert (signed_in_as(alices), signed_in_as(elsewhere)) == (None, None)
    assert calls_api(tokens["access_token"]).status_code == 401
    assert AuditEntry.objects.get(event=AuditEntry.Event.CUT_OFF).actor == alice


# --- Taking along -----------------------------------------------------------------------------------------------------


def test_everything_in_one_file(alice: User, alices: Browser, bob: User, penora: App) -> None:
    kept, bobs = keep(alice, penora, text=b"Mine"), keep(bob, penora)

    answer = alices.get(EXPORT)

    assert answer["Content-Type"] == "application/zip"
    assert re.fullmatch(r'attachment; filename="unified-export-\d{4}-\d\d-\d\d\.zip"', answer["Content-Disposition"])
    assert "no-store" in answer["Cache-Control"]
    with zipfile.ZipFile(io.BytesIO(b"".join(answer))) as archive:  # type: ignore[arg-type]
        assert archive.testzip() is None
        names = archive.namelist()
        assert archive.read(f"projects/{kept.code}.txt") == b"Mine"
    assert {"transactions.csv", "manifest.json"} <= set(names)
    assert names[-1] == "manifest.json"
    assert not any(bobs.code in name for name in names)


def test_each_file_is_found_by_its_title(alice: User, alices: Browser, penora: App) -> None:
    titles = [HOSTILE, "\u202egnp.exe", "\u200b", "Évora"]
    projects = [keep(alice, penora, text=b"x") for _ in titles]
    for project, title in zip(projects, titles, strict=True):
        workspace.edit_project(user=alice, code=project.code, title=title)
    document = keep(alice, penora)
    Project.objects.filter(pk=document.pk).update(content_type="text/html")
    workspace.delete_project(user=alice, code=projects[-1].code)

    with zipfile.ZipFile(io.BytesIO(b"".join(alices.get(EXPORT)))) as archive:  # type: ignore[arg-type]
        assert archive.testzip() is None
        page, names = archive.read("index.html").decode(), archive.namelist()

    links = dict(re.findall(r'<a href="([^"]+)"><bdi>(.*?)</bdi>', page))
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert links == {
        **{
            f"projects/{project.code}.txt": told
            for project, told in zip(projects, (escaped, "gnp.exe", "Untitled"), strict=False)
        },
        f"trash/{projects[-1].code}.txt": "Évora",
    }
    assert set(links) <= set(names)
    assert f"projects/{document.code}.html" in page  # said, and not linked: it would run
    assert "<h2>Kept: 4</h2>" in page
    assert "<h2>In the trash: 1</h2>" in page
    assert "<script" not in page
    assert "default-src 'none'" in page


# --- Leaving ----------------------------------------------------------------------------------------------------------


def test_it_says_what_goes_and_what_stays(alice: User, alices: Browser, penora: App, by_penora: RelyingParty) -> None:
    keep(alice, penora)
    gone = keep(alice, penora)
    workspace.delete_project(user=alice, code=gone.code)
    by_penora.signs_in(alices)

    page = text_of(alices.get(DELETE))

    assert "Your 1 project and the 1 in the trash" in page
    assert "and in Penora ." in page.replace("Penora.", "Penora .")
    assert "Your 50 credits." in page
    assert "Type alice@example.com" in page
    assert User.objects.get().deleted_at is None


def test_deleting(alice: User, alices: Browser, penora: App, by_penora: RelyingParty) -> None:
    keep(alice, penora)
    tokens, elsewhere = by_penora.signs_in(alices), browser_of(alice)
    entries = LedgerEntry.objects.count()

    answer = alices.post(DELETE, {"confirmation": " Alice@Example.com "}, follow=True)

    assert answer.redirect_chain == [(GOODBYE, 302)]
    assert "Your account is deleted" in text_of(answer)
    alice.refresh_from_db()
    assert alice.deleted_at is not None
    assert (alice.username, alice.email) == ("Deleted user", "")
    assert Project.objects.count() == 0
    assert LedgerEntry.objects.count() == entries
    assert (signed_in_as(alices), signed_in_as(elsewhere)) == (None, None)
    assert calls_api(tokens["access_token"]).status_code == 401
    entry = AuditEntry.objects.get(event=AuditEntry.Event.REMOVED)
    assert (entry.actor, entry.subject, entry.details["what"], entry.ip) == (alice, alice, "accounts.user", None)
    assert not AuditEntry.objects.filter(subject=alice, ip__isnull=False).exists()


@pytest.mark.parametrize("typed", ["", "DELETE", "alice@example.co", "bob@example.com"])
def test_nothing_is_deleted_for_a_word_that_is_not_asked_for(alice: User, alices: Browser, typed: str) -> None:
    answer = alices.post(DELETE, {"confirmation": typed})

    assert answer.status_code == 400
    assert "Nothing was deleted." in text_of(answer)
    assert User.objects.get().deleted_at is None


def test_who_has_no_address_types_a_word(alice: User, alices: Browser) -> None:
    User.objects.update(email="")
    assert "the word DELETE" in text_of(alices.get(DELETE))
    for typed in ("", " ", "delete"):
        assert alices.post(DELETE, {"confirmation": typed}).status_code == 400

    assert alices.post(DELETE, {"confirmation": "DELETE"}).status_code == 302
    alice.refresh_from_db()
    assert alice.deleted_at is not None


def test_a_browser_that_was_left_open_is_asked_to_sign_in_again(alice: User, alices: Browser) -> None:
    session = alices.session
    session[SIGNED_IN_AT] = int(time.time()) - 16 * 60
    session.save()

    assert "First, sign in again" in text_of(alices.get(DELETE))
    assert alices.post(DELETE, {"confirmation": alice.email}).status_code == 403
    assert User.objects.get().deleted_at is None

    answer = alices.post(AGAIN)
    assert answer["Location"] == f"/signin/?next={DELETE}"
    assert "You are asked to sign in once more." in text_of(alices.get(answer["Location"]))


def test_staff_do_not_delete_themselves(alice: User, alices: Browser) -> None:
    User.objects.update(is_staff=True)

    for page in (alices.get(ACCOUNT), alices.get(DELETE)):
        assert "Accounts of staff are not deleted here" in text_of(page)
    assert alices.post(DELETE, {"confirmation": alice.email}).status_code == 403
    assert User.objects.get().deleted_at is None


def test_who_comes_back_begins_anew_with_what_they_left(alice: User, alices: Browser) -> None:
    from unified import services

    alices.post(DELETE, {"confirmation": alice.email})

    user, created = services.create_member(
        user_id="alice", username="Alice", email="alice@example.com", initial_credits=50
    )

    assert not created
    assert "50 credits" in text_of(browser_of(user).get(ACCOUNT))


def test_who_is_here_again_is_not_told_that_their_account_is_deleted(alice: User) -> None:
    assert browser_of(alice).get("/goodbye/")["Location"] == "/projects/"
