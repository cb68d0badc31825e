"""
Who may do what at each address of the API, written down by hand from the contract and docs/sso.md. It knows nothing of
the views, so that a view which asks for too little is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.api.belongings import NO_CODE, NO_ID, NOBODY, Belongings, World
from tests.api.callers import Somebody

PEOPLE = ("alice", "bob")


@dataclass(frozen=True)
class Target:
    """What a call names. `owner` is whose `thing` that is; nobody's, if there is no such thing."""

    name: str
    user: str | None  # the user_id that is given
    thing: str = ""
    owner: str | None = None
    made_by: str = ""  # of a hold or a deduction: by which app's key, or by a "token" of Penora's
    app: str | None = None  # as which app, where it is not the caller's own

    @property
    def ids(self) -> tuple[str, ...]:
        """What an answer may repeat, and by which two answers may differ."""
        return tuple(text for text in (self.thing, self.user, self.app) if text)


@dataclass(frozen=True)
class Line:
    method: str
    route: str  # under /api/unified/, with {code} for a project's code
    scopes: tuple[str, ...]
    targets: Callable[[World], Iterator[Target]]
    success: int = 200
    body: Callable[[Target], dict[str, Any]] | None = None  # beside `user_id`
    query: Callable[[Target], dict[str, str]] | None = None
    names_app: str = ""  # the field with the acting app
    keys_only: bool = False
    not_found: str = ""  # the code of the answer where there is no such thing
    user_is_optional: bool = False
    variant: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.method, self.route, self.variant)))

    def path(self, target: Target) -> str:
        return "/api/unified/" + self.route.format(code=target.thing)

    def sent(self, target: Target, who: Somebody | None) -> tuple[dict[str, str], dict[str, Any] | None]:
        """The query and the body."""
        named = {} if target.user is None else {"user_id": target.user}
        if self.body is None:
            return {**named, **(self.query(target) if self.query else {})}, None
        app = {self.names_app: self.acting(target, who)} if self.names_app else {}
        return {}, {**named, **app, **self.body(target)}

    def acting(self, target: Target, who: Somebody | None) -> str:
        return target.app or (who.app if who else None) or "penora"


# --- What is named ----------------------------------------------------------------------------------------------------


def nothing(world: World) -> Iterator[Target]:
    yield Target("nothing", None)


def person(world: World) -> Iterator[Target]:
    yield Target("nobody named", None)
    for name in PEOPLE:
        yield Target(name, name)
    yield Target("nobody there", NOBODY)


def acting_person(world: World) -> Iterator[Target]:
    """And as which app."""
    yield from person(world)
    for app in ("penora", "imagegene"):
        for user in (*PEOPLE, NOBODY):
            yield Target(f"{user} as {app}", user, app=app)
    yield Target("alice as no app", "alice", app="nothing")


def things(world: World, kind: Callable[[Belongings], dict[str, str]], missing: str) -> Iterator[Target]:
    """Each thing of each person's, and one that is not there: of whoever is named, or of nobody who is."""
    for user in (None, *PEOPLE, NOBODY):
        for owner in PEOPLE if user != NOBODY else PEOPLE[:1]:
            for made_by, thing in kind(world.things[owner]).items():
                name = " ".join(filter(None, (owner, made_by, "for", user or "whoever it is")))
                yield Target(name, user, thing=thing, owner=owner, made_by=made_by)
        yield Target(f"nothing for {user or 'whoever it is'}", user, thing=missing)


def page(world: World) -> Iterator[Target]:
    return things(world, lambda mine: {"": mine.page}, NO_CODE)


def picture(world: World) -> Iterator[Target]:
    return things(world, lambda mine: {"": mine.picture}, NO_CODE)


def trashed(world: World) -> Iterator[Target]:
    return things(world, lambda mine: {"": mine.trashed}, NO_CODE)


def hold(world: World) -> Iterator[Target]:
    return things(world, lambda mine: mine.holds, NO_ID)


def deduction(world: World) -> Iterator[Target]:
    return things(world, lambda mine: mine.spent, NO_ID)


# --- The table --------------------------------------------------------------------------------------------------------

_PROJECT = {"project_type": "page", "title": "T", "content": "new"}
_PRICE = {"amount": 1, "description": "One"}

API = [
    Line(
        *("POST", "create-user", ("users.write",), person),
        keys_only=True,
        body=lambda target: {"username": "N", "email": "n@example.com"},
    ),
    Line("GET", "user-info", ("credits.read",), person),
    Line("GET", "plans", ("credits.read",), person),
    Line("GET", "export", ("credits.read", "workspace.read"), person),
    # Credits
    Line("GET", "transactions", ("credits.read",), person),
    Line("GET", "transactions.csv", ("credits.read",), person),
    Line("GET", "pricing", ("credits.read",), nothing, user_is_optional=True),
    Line("POST", "quote", ("credits.read",), person, body=lambda target: {"amount": 1}),
    Line(
        *("POST", "deduct-credits", ("credits.spend",), acting_person),
        names_app="app_name",
        body=lambda target: _PRICE,
    ),
    Line(
        *("POST", "reserve-credits", ("credits.spend",), acting_person),
        success=201,
        names_app="app_name",
        body=lambda target: _PRICE,
    ),
    Line(
        *("POST", "reserve-credits", ("credits.spend", "workspace.write"), acting_person),
        variant="with room",
        success=201,
        names_app="app_name",
        body=lambda target: {**_PRICE, "storage_bytes": 9},
    ),
    *(
        Line(
            *("POST", route, ("credits.spend",), hold),
            body=lambda target: {"hold_id": target.thing},
            not_found="hold_not_found",
            user_is_optional=True,
        )
        for route in ("capture-credits", "release-credits")
    ),
    Line(
        *("POST", "refund-credits", ("credits.spend",), deduction),
        keys_only=True,
        body=lambda target: {"transaction_id": target.thing, "reason": "No"},
        not_found="transaction_not_found",
        user_is_optional=True,
    ),
    # The workspace
    Line("GET", "projects", ("workspace.read",), person),
    Line("GET", "storage-stats", ("workspace.read",), person),
    Line("GET", "trash", ("workspace.read",), person),
    Line("DELETE", "trash", ("workspace.write",), person),
    Line(
        *("DELETE", "trash", ("workspace.write",), trashed),
        variant="one",
        query=lambda target: {"code": target.thing},
        not_found="project_not_found",
    ),
    Line("POST", "cleanup", ("workspace.write",), person, body=lambda target: {"older_than_days": 0}),
    *(
        Line(
            *("POST", "cleanup", ("workspace.write",), page),
            variant=f"one, dry run {dry}",
            body=lambda target, dry=dry: {"codes": [target.thing], "dry_run": dry},
            not_found="project_not_found",
        )
        for dry in (False, True)
    ),
    Line(
        *("POST", "save-project", ("workspace.write",), acting_person),
        success=201,
        names_app="app_source",
        body=lambda target: _PROJECT,
    ),
    Line(
        *("POST", "save-project", ("workspace.write", "credits.spend"), acting_person),
        variant="with charge",
        success=201,
        names_app="app_source",
        body=lambda target: {**_PROJECT, "charge": _PRICE},
    ),
    Line(
        *("POST", "save-project", ("workspace.write", "credits.spend"), hold),
        variant="from a hold",
        success=201,
        names_app="app_source",
        body=lambda target: {**_PROJECT, "hold_id": target.thing},
        not_found="hold_not_found",
    ),
    Line("GET", "projects/{code}", ("workspace.read",), page, not_found="project_not_found"),
    *(
        Line(
            *("PATCH", "projects/{code}", ("workspace.write",), page),
            variant=f"{name}",
            body=lambda target, name=name: {name: "New"},
            not_found="project_not_found",
        )
        for name in ("title", "content")
    ),
    Line("DELETE", "projects/{code}", ("workspace.write",), page, not_found="project_not_found"),
    Line(
        *("POST", "projects/{code}/restore", ("workspace.write",), trashed),
        body=lambda target: {},
        not_found="project_not_found",
    ),
    Line(
        *("GET", "projects/{code}/content", ("workspace.read",), page),
        not_found="project_not_found",
        user_is_optional=True,
    ),
    Line(
        *("GET", "projects/{code}/thumbnail", ("workspace.read",), picture),
        not_found="project_not_found",
        user_is_optional=True,
    ),
]
PUBLIC = ["schema", "docs"]  # GET, under /api/


# --- The rule ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    status: int
    code: str = ""
    lacks: tuple[str, ...] = ()  # the scopes that the answer has to ask for; it names the first that is missing
    missing: str = ""


def expected(line: Line, who: Somebody | None, target: Target) -> Expected:
    """What the contract has for this caller, this route and this target."""
    if who is None:
        return Expected(401, "not_authenticated")
    denied = Expected(403, "permission_denied")
    if line.keys_only and who.user is not None:
        return denied
    missing = [scope for scope in line.scopes if scope not in who.scopes]
    if missing:
        return Expected(403, "permission_denied", lacks=line.scopes, missing=missing[0])
    if who.user is not None and target.user not in (None, who.user):
        return denied
    if target.user is None and who.user is None and not line.user_is_optional:
        return Expected(400, "validation_error")
    app = line.acting(target, who)
    if line.names_app and app not in ("penora", "imagegene"):
        return Expected(400, "validation_error")
    if line.names_app and who.app not in (None, app):
        return denied
    user = target.user or who.user
    person_is_looked_up = line.names_app or not line.user_is_optional
    if user == NOBODY and person_is_looked_up and line.route != "create-user":
        return Expected(404, "user_not_found")
    if target.thing and not _is_theirs(line, who, target, user):
        return Expected(404, line.not_found)
    if target.thing and line.not_found == "hold_not_found" and who.user is not None and target.made_by != "token":
        return denied  # theirs, but made with the key: only the key can end it
    return Expected(201 if line.route == "create-user" and user == NOBODY else line.success)


def _is_theirs(line: Line, who: Somebody, target: Target, user: str | None) -> bool:
    """A project is its owner's in every app; a hold or a deduction is also the app's that made it."""
    if target.owner is None or user not in (None, target.owner):
        return False
    app = line.acting(target, who) if line.names_app else who.app
    made_by = "penora" if target.made_by == "token" else target.made_by
    return made_by == "" or app in (None, made_by)
