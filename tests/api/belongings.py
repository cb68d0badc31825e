"""What there is to reach for: of alice and of bob one thing of each kind, by each app; and staff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from accounts.models import App, User
from credits import services as credits
from tests.api.callers import Registered, register
from tests.api.pictures import as_base64, draw
from tests.conftest import make_user
from tests.workspace.contents import content_of
from unified import services
from workspace import services as workspace
from workspace.models import Project

# Of nobody and of nothing. As long as the names and ids of others, so that answers can be compared to the byte.
NOBODY = "eve"
NO_CODE = "000000"
NO_ID = "0b8b3e4c-6c0f-4d3a-9a53-5d0f5a6f9f10"


@dataclass(frozen=True)
class Belongings:
    """Of one person."""

    page: str  # codes
    picture: str
    trashed: str
    holds: dict[str, str]  # by whom: the key of "penora" or "imagegene", or a "token" of Penora's
    spent: dict[str, str]  # the id of a deduction by each app


@dataclass(frozen=True)
class World:
    people: dict[str, User]
    clients: dict[str, Registered]
    things: dict[str, Belongings]
    staff: User
    clerk: User  # of the staff, without permissions

    @classmethod
    def made(cls) -> World:
        people = {name: make_user(name, initial_credits=500) for name in ("alice", "bob")}
        apps = {slug: App.objects.get(slug=slug) for slug in ("penora", "imagegene")}
        clerk = make_user("clerk")
        User.objects.filter(pk=clerk.pk).update(is_staff=True)
        world = cls(
            people=people,
            clients={slug: register(app) for slug, app in apps.items()},
            things={name: belongings(user, apps) for name, user in people.items()},
            staff=User.objects.create_superuser(user_id="root", username="Root", email="r@example.com", password=None),
            clerk=User.objects.get(pk=clerk.pk),
        )
        assert not Project.objects.filter(code=NO_CODE).exists()
        return world


def belongings(user: User, apps: dict[str, App]) -> Belongings:
    def keep(app: str, content: str) -> str:
        saved, _ = workspace.save_project(
            user=user, app=apps[app], project_type="page", title="A title", content=content_of(content), metadata={}
        )
        return saved.code

    page, picture, trashed = keep("penora", "text"), keep("imagegene", as_base64(draw("PNG"))), keep("penora", "old")
    workspace.delete_project(user=user, code=trashed, seen_versions=None)
    return Belongings(
        page=page,
        picture=picture,
        trashed=trashed,
        holds={
            "penora": held(user, apps["penora"]),
            "imagegene": held(user, apps["imagegene"]),
            "token": held(user, apps["penora"], by_user=True),
        },
        spent={slug: spent(user, app) for slug, app in apps.items()},
    )


def held(user: User, app: App, **terms: Any) -> str:
    hold, _ = services.reserve(user=user, app=app, amount=2, description="Held", **terms)
    return str(hold.pk)


def spent(user: User, app: App) -> str:
    entry, _ = credits.deduct(user=user, app=app, amount=3, description="Spent")
    return str(entry.pk)
