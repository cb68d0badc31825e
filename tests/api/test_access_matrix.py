"""
Every route of the URL configuration, every kind of caller, and what is their own, somebody else's or not there at all.

The routes come from Django's resolver and who may what from tests/api/access_table.py, which is written by hand: a
route without a line there, or a line without a route, fails. Every cell is asked for with what would succeed. (The
pages and the admin: tests/api/test_access_to_pages.py.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.api.access_table import API, PUBLIC, Line, Target, expected
from tests.api.belongings import World
from tests.api.callers import KEY_SCOPES, Caller, Somebody, nobodies, somebodies
from tests.api.routes import METHODS, Writes, routes


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once; each cell is undone before the next."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield World.made()
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def strangers(world: World) -> list[Caller]:
    """All who have to be told that they are nobody."""
    return list(nobodies(world.people, world.staff, world.clients))


@pytest.fixture(scope="module")
def friends(world: World) -> list[Caller]:
    return list(somebodies(world.people, world.clients))


@pytest.fixture(scope="module")
def writes(world: World, strangers: list[Caller], friends: list[Caller]) -> Writes:
    """What is written from now on, when everybody is here."""
    return Writes()


def told(response: Any, target: Target) -> tuple[Any, ...]:
    """All that an answer says, but for what it repeats of the question."""
    content = b"".join(response) if response.streaming else response.content
    for text in target.ids:
        content = content.replace(text.encode(), b"?")
    return response.status_code, content, sorted(response.headers.items())


class Cell:
    """One caller, one route, one target: asked, compared, undone."""

    def __init__(self, line: Line, caller: Caller, target: Target, writes: Writes, *, slash: bool) -> None:
        self.wanted = expected(line, caller.who, target)
        self.caller = caller
        query, body = line.sent(target, caller.who)
        path = line.path(target) + "/" * slash
        with transaction.atomic():
            self.response = caller.ask(line.method, path, query, body)
            self.told = told(self.response, target)
            transaction.set_rollback(True)
        self.wrote = writes.since()
        self.name = f"{line.method} {path} {query or body or ''} by {caller.name}"

    def problems(self) -> Iterator[str]:
        found = (self.response.status_code, "")
        if self.response.status_code >= 400:
            answer = self.response.json()
            if answer.get("success") is not False or {"error", "details", "code"} - answer.keys():
                yield f"{self.name}: no envelope: {answer}"
            found = (self.response.status_code, answer.get("code"))
        if found != (self.wanted.status, self.wanted.code):
            yield f"{self.name}: {found} instead of {(self.wanted.status, self.wanted.code)}: {self.told[1][:200]!r}"
            return
        yield from (f"{self.name}: {text}" for text in self._of_headers())
        if found[0] >= 400 and self.wrote:
            yield f"{self.name}: was refused and has written {dict(self.wrote)}"

    def _of_headers(self) -> Iterator[str]:
        response, wanted = self.response, self.wanted
        challenge = response.headers.get("WWW-Authenticate")
        if wanted.status == 401 and challenge != "Bearer":
            yield f"401 with the challenge {challenge!r}"
        elif wanted.lacks:
            if challenge != f'Bearer error="insufficient_scope", scope="{" ".join(wanted.lacks)}"':
                yield f"a missing scope, with the challenge {challenge!r}"
            if f"'{wanted.missing}'" not in response.json()["details"]:
                yield f"does not name {wanted.missing}: {response.json()['details']}"
        elif wanted.status != 401 and challenge is not None:
            yield f"needs no challenge, and has {challenge!r}"
        is_quickstart = self.caller.who is not None and self.caller.who.app is None
        if response.headers.get("X-Unified-Auth") != ("quickstart-open" if is_quickstart else None):
            yield f"X-Unified-Auth is {response.headers.get('X-Unified-Auth')!r}"
        if response.cookies:
            yield f"sets cookies: {response.cookies}"


def asked(line: Line, caller: Caller, world: World, writes: Writes) -> list[str]:
    """What is wrong with the answers to this caller. Every other address has a slash at its end."""
    targets = list(line.targets(world))
    if not caller.thorough:
        targets = a_few(targets)[: 1 if caller.briefly else None]
    writes.since()
    cells = {}
    for number, target in enumerate(targets):
        cells[target.name] = Cell(line, caller, target, writes, slash=number % 2 == 1)
    problems = [problem for cell in cells.values() for problem in cell.problems()]
    return [*problems, *twins(cells, targets, caller.who)]


def a_few(targets: list[Target]) -> list[Target]:
    """Alice's own, somebody else's and nobody's."""
    chosen: dict[Any, Target] = {}
    for target in targets:
        if target.user == "alice" or not target.thing:
            chosen.setdefault((target.user, target.owner), target)
    return sorted(chosen.values(), key=lambda target: target.user != "alice")


def told_in_short(problems: list[str]) -> str:
    return f"{len(problems)} problems:\n" + "\n".join(problem[:600] for problem in problems[:12])


def twins(cells: dict[str, Cell], targets: list[Target], who: Any) -> Iterator[str]:
    """What somebody else's is told by, when it should look as if it were not there."""
    seen: dict[tuple[Any, ...], Cell] = {}
    for target in targets:
        cell = cells[target.name]
        if cell.response.status_code != cell.wanted.status or cell.wanted.status not in (401, 403, 404):
            continue
        theirs = who is not None and who.user is not None and target.user in (None, who.user)
        # Alike are all refusals of one kind: of all others' names, and of all ids for one name.
        kind = (cell.wanted, target.user if cell.wanted.status == 404 or theirs else "")
        first = seen.setdefault(kind, cell)
        if first.told != cell.told:
            differs = [one for one in zip(first.told, cell.told, strict=True) if one[0] != one[1]]
            yield f"{cell.name} can be told from {first.name}: {differs}"


@pytest.mark.parametrize("line", API, ids=str)
def test_who_has_not_shown_who_they_are_is_refused(
    line: Line, world: World, strangers: list[Caller], writes: Writes
) -> None:
    problems: list[str] = []
    for caller in strangers:
        if not (caller.only_writes and line.body is None):  # a GET has no body, and DELETE is asked for first
            problems += asked(line, caller, world, writes)
    assert not problems, told_in_short(problems)


@pytest.mark.parametrize("line", API, ids=str)
def test_who_is_known_gets_what_is_theirs_and_nothing_else(
    line: Line, world: World, friends: list[Caller], writes: Writes
) -> None:
    problems = [problem for caller in friends for problem in asked(line, caller, world, writes)]
    assert not problems, told_in_short(problems)
    wanted = {expected(line, caller.who, target).status for caller in friends for target in line.targets(world)}
    assert {line.success, 403} <= wanted


# --- The table has every route, and every method ---------------------------------------------------------------------


def test_every_route_of_the_api_has_a_line_and_every_line_a_route() -> None:
    found = {route.removeprefix("api/") for route in routes() if route.startswith("api/")}
    lines = {f"unified/{line.route}".replace("{code}", "<str:code>") for line in API} | set(PUBLIC)

    assert found == lines | {f"{route}/" for route in lines} | {""}  # the last one is for all that there is not


def methods_of(route: str) -> set[str]:
    """Those of the table; who may GET may also ask for the headers alone."""
    methods = {line.method for line in API if line.route == route}
    return methods | ({"HEAD"} if "GET" in methods else set())


@pytest.mark.parametrize("route", sorted({line.route for line in API}))
def test_a_method_without_a_line_is_one_that_there_is_not(
    route: str, world: World, friends: list[Caller], writes: Writes
) -> None:
    """So that a method which a view has, and the table has not, is found: whoever may do everything is told 405."""
    path = f"/api/unified/{route.format(code=world.things['alice'].page)}"
    nobody, by_key = Caller("nobody"), friends[0]
    assert by_key.who == Somebody("penora", None, KEY_SCOPES)
    writes.since()

    for method in set(METHODS) - methods_of(route):
        for slash in ("", "/"):
            answer = by_key.ask(method, path + slash, {"user_id": "alice"}, {"user_id": "alice"})
            assert answer.status_code == 405, f"{method} {path}{slash}"
            assert set(answer["Allow"].split(", ")) == methods_of(route)
            refused = nobody.ask(method, path + slash, {"user_id": "alice"}, {"user_id": "alice"})
            assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer"), f"{method} {path}{slash}"
    assert not writes.since()


@pytest.mark.parametrize("line", [line for line in API if line.method == "GET"], ids=str)
def test_to_ask_for_the_headers_alone_takes_as_much_as_to_ask_for_all(
    line: Line, world: World, strangers: list[Caller], friends: list[Caller]
) -> None:
    """What a HEAD tells (that something is there, how long it is) is not for anybody else either."""
    for caller in [*strangers[:4], *(friend for friend in friends if friend.thorough or "for" in friend.name)]:
        for target in a_few(list(line.targets(world))):
            query, _ = line.sent(target, caller.who)
            answer = caller.ask("HEAD", line.path(target), query)
            wanted = expected(line, caller.who, target)
            assert answer.status_code == wanted.status, f"HEAD {line} {target.name} by {caller.name}"


@pytest.mark.parametrize("path", [*PUBLIC, "", "nowhere", "unified", "unified/", "unified/user-info//", "unified/x/y"])
def test_what_is_public_and_what_is_not_there_is_the_same_to_everybody(
    path: str, world: World, strangers: list[Caller], friends: list[Caller]
) -> None:
    """A stranger learns no addresses by trying."""
    wanted = 200 if path in PUBLIC else 404
    for caller in [*strangers[:3], friends[0], friends[-1]]:
        assert caller.ask("GET", f"/api/{path}").status_code == wanted, caller.name
    for method in METHODS:
        answer = strangers[0].ask(method, f"/api/{path}")
        assert answer.status_code == (wanted if method in ("GET", "HEAD") else 405 if path in PUBLIC else 404), method
