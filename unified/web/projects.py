"""The projects of all apps on one page: as a grid or a list, filtered, searched, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe
from django_htmx.http import push_url, replace_url

from accounts.addresses import web_address
from accounts.models import App, User
from accounts.queries import registered_apps
from unified.api.content_urls import thumbnail_url
from unified.web.app_links import colours
from unified.web.pages import as_member, member_page, number_in, page_before, shown
from workspace.models import Project
from workspace.queries import Found, Kind, Order, browse, totals_by_app

PAGE_SIZE = 24
SEARCH_MAX_LENGTH = 100
COLOURS_SECONDS = 300  # for so long a browser may show an app in a colour that it had before
ORDERS = (
    (Order.NEWEST, "Newest first"),
    (Order.OLDEST, "Oldest first"),
    (Order.LARGEST, "Largest first"),
    (Order.TITLE, "By title"),
)
KINDS = ((Kind.PICTURE, "Pictures"), (Kind.TEXT, "Texts"))


class Sought(TypedDict):
    app: App | None
    kind: Kind | None
    text: str
    order: Order


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for. What it asks for in vain (an app that there is none of) is as if it were not there."""

    app: App | None = None
    kind: Kind | None = None
    text: str = ""
    order: Order = Order.NEWEST
    as_list: bool = False
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        return bool(self.app or self.kind or self.text)

    @property
    def sought(self) -> Sought:
        """What is looked for, however it is shown."""
        return {"app": self.app, "kind": self.kind, "text": self.text, "order": self.order}

    @property
    def address(self) -> str:
        """The one address of this, however it was asked for."""
        return f"{reverse('web:projects')}{self.query(page=self.page)}"

    def query(self, **changes: Any) -> str:
        """The address's query for this with `changes`; what is as it is by itself is left out. A change begins at 1."""
        pairs = {
            "app": self.app.slug if self.app else "",
            "kind": self.kind.value if self.kind else "",
            "q": self.text,
            "sort": "" if self.order == Order.NEWEST else self.order.value,
            "view": "list" if self.as_list else "",
            "page": "",
            **changes,
        }
        told = urlencode({name: value for name, value in pairs.items() if value not in ("", 1)})
        return f"?{told}" if told else ""


def wanted_of(query: Mapping[str, str], apps: list[App]) -> Wanted:
    return Wanted(
        app=next((app for app in apps if app.slug == query.get("app")), None),
        kind=Kind(query["kind"]) if query.get("kind") in Kind.values else None,
        text=query.get("q", "").strip()[:SEARCH_MAX_LENGTH],
        order=Order(query["sort"]) if query.get("sort") in Order.values else Order.NEWEST,
        as_list=query.get("view") == "list",
        page=number_in(query.get("page", ""), digits=5) or 1,
    )


@member_page
@require_safe
def projects(request: HttpRequest) -> HttpResponseBase:
    user = as_member(request).user
    apps = registered_apps()
    wanted = wanted_of(request.GET, apps)
    found = _found(user, wanted)
    pages = max(1, -(-found.total // PAGE_SIZE))
    if wanted.page > pages:  # an old address, or the last page's last project went away while it was looked at
        wanted = replace(wanted, page=pages)
        found = _found(user, wanted)
    totals = totals_by_app(user)
    response = shown(
        request,
        "projects",
        part="found",
        wanted=wanted,
        found=[described(request, project) for project in found.projects],
        total=found.total,
        pages=pages,
        earlier=wanted.query(page=wanted.page - 1) if wanted.page > 1 else "",
        later=wanted.query(page=wanted.page + 1) if wanted.page < pages else "",
        # On the page of a project it says among what the person looks around, and where the way back leads.
        onwards=wanted.query(),
        apps=[(app, web_address(app.home_url)) for app in apps if app.is_active or app.slug in totals],
        kept=sum(part["project_count"] for part in totals.values()),
        orders=ORDERS,
        kinds=KINDS,
        search_max_length=SEARCH_MAX_LENGTH,
    )
    return _with_address(request, response, wanted, apps)


@require_safe
def app_colours(request: HttpRequest) -> HttpResponse:
    """For everybody: it says no more than the pages do on which an app's name stands."""
    response = HttpResponse(colours(registered_apps()), content_type="text/css; charset=utf-8")
    patch_cache_control(response, public=True, max_age=COLOURS_SECONDS)
    return response


def described(request: HttpRequest, project: Project) -> dict[str, Any]:
    return {"row": project, "thumbnail": thumbnail_url(request, project)}


def came_from(request: HttpRequest) -> str:
    """The page of projects from which somebody came here, with what they had looked for; else the first of all."""
    parts = urlsplit(page_before(request))
    return list_address(parts.query if parts.path == reverse("web:projects") else "")


def list_address(query: str) -> str:
    """The page of projects with this query: whatever it is made of, it leads to no other page."""
    pairs = urlencode(parse_qsl(query))
    return f"{reverse('web:projects')}?{pairs}" if pairs else reverse("web:projects")


def _found(user: User, wanted: Wanted) -> Found:
    return browse(user=user, **wanted.sought, first=PAGE_SIZE * (wanted.page - 1), limit=PAGE_SIZE)


def _with_address(request: HttpRequest, response: HttpResponse, wanted: Wanted, apps: list[App]) -> HttpResponse:
    """
    Tells htmx the address of what it shows now, so that the page can be bookmarked and the back button goes to what was
    there before. Neither each letter of a search nor what changes by itself is a step of its own.
    """
    htmx = request.htmx  # type: ignore[attr-defined]
    if not htmx or htmx.target != "found" or htmx.history_restore_request:
        return response
    before = urlsplit(page_before(request))
    if (
        before.path == reverse("web:projects")
        and wanted.address == f"{before.path}{'?' * bool(before.query)}{before.query}"
    ):
        return response
    shown_before = wanted_of(dict(parse_qsl(before.query)), apps)
    typing = shown_before.text and wanted.text and replace(shown_before, text=wanted.text, page=wanted.page) == wanted
    by_itself = htmx.trigger == "found"
    return (replace_url if typing or by_itself else push_url)(response, wanted.address)


urlpatterns: list[URLPattern] = [
    path("projects/", projects, name="projects"),
    path("app-colours.css", app_colours, name="app_colours"),
]
