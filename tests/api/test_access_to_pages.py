"""
The pages, the provider's addresses and the admin, for everybody: who has a key or a token is nobody there, and who has
a session is what the session is of. As in tests/api/test_access_matrix.py, the routes come from the resolver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts.models import User
from credits.models import LedgerEntry
from tests.api.belongings import World
from tests.api.callers import Caller, Somebody, bearer, browser_of, key_of, row_of, signed_in, without_scopes
from tests.api.routes import METHODS, Writes, routes

FORM = "application/x-www-form-urlencoded"
ANY = "any method"
HIDDEN = "any method, hidden"  # behind the sign-in, whatever the method


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield World.made()
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def visitors(world: World) -> dict[str, Caller]:
    """Each in a browser of their own; those with a session keep it, whatever they are answered."""
    penora = world.clients["penora"]
    alice = world.people["alice"]
    given = signed_in(alice, penora)
    who_not = without_scopes(signed_in(alice, penora).access)
    credentials = {
        "nobody": {},
        "a key": bearer(key_of(penora.client.app)),
        "a token": bearer(given.access),
        "a token without openid": bearer(who_not),
        "an ID token": bearer(given.id),
        "a refresh token": bearer(given.refresh),
        "a client": penora.basic(),
        "alice": session_of(alice),
        "a clerk": session_of(world.clerk),
        "staff": session_of(world.staff),
    }
    return {
        name: Caller(name, headers=headers, content_type=FORM, who=Somebody(None, None, frozenset()))
        for name, headers in credentials.items()
    }


def session_of(user: User) -> dict[str, str]:
    return {"Cookie": f"sessionid={browser_of(user).cookies['sessionid'].value}"}


@pytest.fixture(scope="module")
def writes(world: World, visitors: dict[str, Caller]) -> Writes:
    return Writes()


SESSIONS = ("alice", "a clerk", "staff")

# Each route and its methods: what everybody is answered, or who is not signed in and who is.
PAGES: dict[str, dict[str, int | tuple[int, int]]] = {
    "": {"GET": 200},
    "favicon.ico": {"GET": 302},
    "app-colours.css": {"GET": 200},
    "goodbye/": {"GET": (200, 302)},
    # A person's own pages: whoever is not signed in is sent to do that, whatever they ask. (What a POST does is in
    # tests/web/.)
    **{
        f"{path}": {"GET": 200, HIDDEN: 302}
        for path in (
            *("live/", "live/bar/", "projects/", "storage/", "storage/trash/", "credits/", "credits/now/"),
            *("credits/transactions.csv", "plans/", "account/", "account/export/"),
        )
    },
    **{
        path: {HIDDEN: 302}
        for path in (
            *("projects/<str:code>/restore/", "storage/trash/restore/", "plans/ask/", "plans/withdraw/", "plans/seen/"),
            *("account/app/", "account/everywhere/", "account/delete/again/"),
        )
    },
    "projects/<str:code>/": {"GET": 404, HIDDEN: 302},
    "projects/<str:code>/download/": {"GET": 404, HIDDEN: 302},
    "plans/decided/": {"GET": 204, HIDDEN: 302},  # nothing that is not told yet
    # Where a refusal was shown; whoever comes back to it is led to the project.
    "projects/<str:code>/rename/": {"GET": 302, HIDDEN: 302},
    "projects/<str:code>/delete/": {"GET": 302, HIDDEN: 302},
    "storage/make-room/": {"GET": 302, HIDDEN: 302},
    "storage/trash/remove/": {"GET": 302, HIDDEN: 302},
    "storage/trash/<str:code>/thumbnail/": {"GET": 404, HIDDEN: 302},
    "storage/trash/empty/": {"GET": 200, HIDDEN: 302},
    "account/delete/": {"GET": 200, HIDDEN: 302},
    "api": {ANY: 404},
    "signin/": {"GET": (200, 302), "POST": (200, 302)},
    "signin/demo/": {"POST": 404},
    "signin/switched-off/": {"GET": 403},
    "signin/out/": {"POST": 302},
    "signin/signed-out/": {"GET": 200},
    "signin/begin/<str:backend>/": {"POST": 404},
    "signin/complete/<str:backend>/": {ANY: 404},
    "o/authorize/": {"GET": 302, "POST": 302, HIDDEN: 302},
    # The provider's own rules: see `OF_THE_PROVIDER`.
    "o/token/": {"POST": 400},
    "o/revoke_token/": {"POST": 400},
    "o/introspect/": {"POST": 401},
    "o/userinfo/": {"GET": 401, "POST": 401},
    "o/logout/": {"GET": (302, 200), "POST": (302, 400), "PUT": (302, 400)},  # an empty form is no yes
    "o/.well-known/jwks.json": {"GET": 200},
    "o/\\.well-known/openid-configuration/?$": {"GET": 200},
    # Not of the resolver: a middleware answers.
    "healthz": {"GET": 200},
    "readyz": {"GET": 200},
}
BY_MIDDLEWARE = {"healthz", "readyz"}
# What a credential changes at the provider's addresses, or what somebody has.
OF_THE_PROVIDER = {
    ("o/introspect/", "a client"): 400,  # it may ask, and has named no token
    ("o/userinfo/", "a token"): 200,
    ("storage/trash/empty/", "a clerk"): 302,  # theirs is empty
    ("storage/trash/empty/", "staff"): 302,
    ("", "alice"): 302,  # a person's home is their projects
}


def path_of(route: str) -> str:
    """An address that the route takes."""
    path = (
        route.replace("<str:backend>", "nobody")
        .replace("<str:code>", "NOBODY")
        .replace("^", "")
        .replace("/?$", "")
        .replace("\\", "")
    )
    return f"/{path}"


def wanted_of(route: str, method: str, name: str) -> int:
    line = PAGES[route]
    found = line.get("GET" if method == "HEAD" else method, line.get(ANY, 405))
    if method == "OPTIONS" and route.startswith("o/") and route != "o/authorize/":
        return 200  # what may be asked here, as Django's views say it themselves
    if HIDDEN in line and name not in SESSIONS:
        return 302
    if isinstance(found, tuple):
        return found[name in SESSIONS]
    if found != 405 and (route, name) in OF_THE_PROVIDER:
        return OF_THE_PROVIDER[route, name]
    return found


def test_every_page_has_a_line_and_every_line_a_page() -> None:
    found = {route for route in routes() if not route.startswith(("api/", "admin/"))}

    assert found == set(PAGES) - BY_MIDDLEWARE


@pytest.mark.parametrize("route", PAGES)
def test_a_page_answers_everybody_as_it_should(
    route: str, world: World, visitors: dict[str, Caller], writes: Writes
) -> None:
    problems = []
    for name, caller in visitors.items():
        for method in METHODS:
            if HIDDEN in PAGES[route] and name in SESSIONS and method not in ("GET", "HEAD"):
                continue  # see below, with what makes it a request
            with transaction.atomic():
                asked = authorization(world) if route == "o/authorize/" else {}
                answer = caller.ask(method, path_of(route), asked, {} if method != "TRACE" else None)
                transaction.set_rollback(True)
            wanted = wanted_of(route, method, name)
            if answer.status_code != wanted:
                problems.append(f"{method} /{route} by {name}: {answer.status_code} instead of {wanted}")
    assert not problems, "\n".join(problems)


def authorization(world: World) -> dict[str, str]:
    """What an app asks of a person, as it stands in the address."""
    penora = world.clients["penora"]
    return {
        "response_type": "code",
        "client_id": penora.client.client_id,
        "redirect_uri": penora.redirect_uri,
        "scope": "openid credits.read",
        "state": "xyz",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_who_is_signed_in_can_be_sent_back_to_an_app(
    method: str, world: World, visitors: dict[str, Caller], writes: Writes
) -> None:
    """A key, a token or a client's secret is no session: with none of them can a code be had."""
    asked = authorization(world)
    for name, caller in visitors.items():
        writes.since()
        with transaction.atomic():
            body = {**asked, "allow": "true"} if method == "POST" else None
            answer = caller.ask(method, "/o/authorize/", asked, body)
            transaction.set_rollback(True)
        assert answer.status_code == 302, name
        if name in SESSIONS:
            assert answer["Location"].startswith("https://penora.example/callback?"), name
            assert "code=" in answer["Location"], name
        else:
            assert answer["Location"].startswith("/signin/?next="), name
            assert "code=" not in answer["Location"].replace("code_challenge", "").replace("%3Dcode", "")
            assert not writes.since(), name


def test_nobodys_sign_in_and_no_key_ends_anothers_token(world: World, visitors: dict[str, Caller]) -> None:
    """To revoke or to look at a token takes the secret of the client that it was given to."""
    theirs = signed_in(world.people["alice"], world.clients["imagegene"]).access
    for name, caller in visitors.items():
        for route, told in (("/o/revoke_token/", b""), ("/o/introspect/", b'{"active": false}')):
            answer = caller.ask("POST", route, {}, {"token": theirs})
            if name == "a client":  # of another app
                assert (answer.status_code, answer.content) == (200, told), f"{route} {name}"
            else:
                assert answer.status_code in (400, 401), f"{route} {name}"
        assert row_of(theirs), name


def test_userinfo_says_who_the_tokens_own_person_is(world: World, visitors: dict[str, Caller]) -> None:
    """Whoever's session the browser has beside it."""
    token = visitors["a token"]
    both = Caller("both", headers={**token.headers, **session_of(world.people["bob"])}, content_type=FORM)

    for caller in (token, both):
        for method in ("GET", "POST"):
            answer = caller.ask(method, "/o/userinfo/", {}, {} if method == "POST" else None)
            assert answer.json() == {"sub": "alice", "name": "Alice", "email": "alice@example.com"}


@pytest.mark.parametrize(
    "path",
    [
        *("/signin/", "/signin/demo/", "/signin/out/", "/signin/begin/google/", "/o/authorize/"),
        *("/admin/login/", "/admin/logout/", "/admin/accounts/user/", "/admin/accounts/appkey/add/"),
    ],
)
def test_no_other_site_can_send_a_form_in_somebodys_name(
    path: str, world: World, writes: Writes, settings: Any
) -> None:
    """A browser with the session, and without the form's token."""
    settings.DEMO_SIGN_IN = True
    browser = browser_of(world.staff, enforce_csrf_checks=True)
    writes.since()

    answer = browser.post(path, {**authorization(world), "allow": "true", "username": "root", "password": "x"})

    assert answer.status_code == 403
    assert not writes.since()
    assert browser.get("/admin/").status_code == 200  # still signed in


# --- The admin -------------------------------------------------------------------------------------------------------

# Where any member of staff may go; everything else asks for a permission.
FOR_ANY_STAFF = {
    "admin/": 200,
    "admin/login/": 302,
    "admin/logout/": 302,
    "admin/password_change/": 200,
    "admin/password_change/done/": 200,
    "admin/jsi18n/": 200,
}


# What the staff's own pages are about, by the first part of their addresses.
OF_OUR_OWN: dict[str, Callable[[World], object]] = {
    "people": lambda world: world.people["alice"].pk,
    "entries": lambda world: LedgerEntry.objects.filter(type="deduction").values_list("pk", flat=True)[0],
    "projects": lambda world: world.people["alice"].projects.all()[0].pk,
    "grants": lambda world: 1,
    "upgrades": lambda world: 1,
}


def admin_routes() -> list[str]:
    return sorted(route for route in routes() if route.startswith("admin/"))


def admin_paths(world: World) -> dict[str, str]:
    """An address of something that is there, for each route of the admin, where there is such a thing."""
    alice = world.people["alice"]
    paths = {}
    for route in admin_routes():
        path = route
        if route.startswith("admin/r/"):
            kind = ContentType.objects.get_for_model(User).pk
            path = f"admin/r/{kind}/{alice.pk}/"
        elif "(?P<app_label>" in route:
            path = "admin/accounts/"
        elif "(?P<url>" in route:
            path = "admin/there/is/nothing"
        elif (own := route.split("/")[1]) in OF_OUR_OWN:
            path = re.sub("<[^>]*>", lambda _: str(OF_OUR_OWN[own](world)), route)
        elif route.startswith("admin/export/"):
            path = "admin/export/credits/ledgerentry/"
        elif "<" in route:
            _, label, model, *_ = route.split("/")
            row = apps.get_model(label, model)._default_manager.first()
            path = re.sub("<[^>]*>", str(row.pk if row else 1), route)
        paths[route] = f"/{path}"
    return paths


def test_the_admin_is_closed_to_everybody_but_staff(world: World, visitors: dict[str, Caller], writes: Writes) -> None:
    """All its routes, whether there is such a thing or not, for reading and for writing; and nothing is written."""
    paths = admin_paths(world)
    assert len(paths) > 150
    for name, caller in visitors.items():
        if name in ("a clerk", "staff"):
            continue
        for route, path in paths.items():
            for method in ("GET", "POST"):
                if route == "admin/login/":
                    continue
                writes.since()
                answer = caller.ask(method, path, {}, {} if method == "POST" else None)
                onwards = {"/admin/login/?" + urlencode({"next": path}, safe="/"), "/admin/login/?next=/admin/"}
                if route == "admin/logout/":
                    onwards |= {"/admin/login/", "/admin/"}
                assert answer.status_code == 302, f"{method} {path} by {name}: {answer.status_code}"
                assert answer["Location"] in onwards, f"{method} {path} by {name}: {answer['Location']}"
                if route != "admin/logout/":
                    assert not writes.since(), f"{method} {path} by {name}"


def test_a_member_of_staff_without_permissions_sees_and_changes_nothing(
    world: World, visitors: dict[str, Caller], writes: Writes
) -> None:
    waits = False
    for route, path in admin_paths(world).items():
        for method in ("GET", "POST"):
            if route in ("admin/login/", "admin/logout/", "admin/second-factor/"):  # one's own
                continue
            writes.since()
            answer = visitors["a clerk"].ask(method, path, {}, {} if method == "POST" else None)
            if route in FOR_ANY_STAFF:
                assert answer.status_code in (FOR_ANY_STAFF[route], 405), f"{method} {path}: {answer.status_code}"
            elif answer.status_code == 302:  # an address that was moved, or of nothing, whoever asks
                assert answer["Location"] in (f"{path}change/", "/admin/"), f"{method} {path}: {answer['Location']}"
            else:
                assert answer.status_code in (403, 404, 405), f"{method} {path}: {answer.status_code}"
            written = writes.since()
            is_told = answer.headers.get("Location") == "/admin/"  # of nothing: a message in the session says so
            if is_told or waits:
                waits = not written.pop("django_session", 0) or is_told  # until a page has shown it
            assert not written, f"{method} {path}"


def test_a_superuser_gets_into_every_page_of_the_admin(world: World, visitors: dict[str, Caller]) -> None:
    """Else the two tests above would prove nothing."""
    opened = 0
    for route, path in admin_paths(world).items():
        if route in ("admin/logout/", "admin/second-factor/"):
            continue
        answer = visitors["staff"].ask("GET", path)
        assert "/login/" not in answer.headers.get("Location", ""), path
        assert answer.status_code in (200, 302, 400, 403, 404, 405), path
        opened += answer.status_code == 200
    assert opened > 60
