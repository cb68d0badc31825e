"""The contract on one screen. Every route is taken with and without a trailing slash, and none redirects."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from unified.api.contents import ProjectContents
from unified.api.credits import Credits
from unified.api.exports import Exports
from unified.api.holds import Holds
from unified.api.nowhere import Nowhere
from unified.api.projects import Projects, Trash
from unified.api.users import Users
from unified.api.workspace import Workspace


def both(route: str, view: Callable[..., Any], name: str | None = None) -> list[URLPattern]:
    return [path(route, view, name=name), path(f"{route}/", view)]


urlpatterns = [
    *both("unified/create-user", Users.as_view({"post": "create"})),
    *both("unified/user-info", Users.as_view({"get": "info"})),
    *both("unified/projects", Workspace.as_view({"get": "projects"})),
    *both(
        "unified/projects/<str:code>",
        Projects.as_view({"get": "retrieve", "patch": "update", "delete": "remove"}),
    ),
    *both("unified/projects/<str:code>/content", ProjectContents.as_view({"get": "content"})),
    *both("unified/projects/<str:code>/thumbnail", ProjectContents.as_view({"get": "thumbnail"})),
    *both("unified/projects/<str:code>/restore", Projects.as_view({"post": "restore"})),
    *both("unified/trash", Trash.as_view({"get": "contents", "delete": "empty"})),
    *both("unified/cleanup", Trash.as_view({"post": "cleanup"})),
    *both("unified/export", Exports.as_view({"get": "export"})),
    *both("unified/plans", Users.as_view({"get": "plans"})),
    *both("unified/save-project", Workspace.as_view({"post": "save"})),
    *both("unified/storage-stats", Workspace.as_view({"get": "storage_stats"})),
    *both("unified/deduct-credits", Credits.as_view({"post": "deduct"})),
    *both("unified/reserve-credits", Holds.as_view({"post": "reserve"})),
    *both("unified/capture-credits", Holds.as_view({"post": "capture"})),
    *both("unified/release-credits", Holds.as_view({"post": "release"})),
    *both("unified/refund-credits", Credits.as_view({"post": "refund"})),
    *both("unified/quote", Credits.as_view({"post": "quote"})),
    *both("unified/transactions.csv", Credits.as_view({"get": "transactions_csv"})),
    *both("unified/transactions", Credits.as_view({"get": "transactions"})),
    *both("unified/pricing", Credits.as_view({"get": "pricing"})),
    *both("schema", SpectacularJSONAPIView.as_view(authentication_classes=[], throttle_classes=[]), name="schema"),
    *both("docs", SpectacularSwaggerSplitView.as_view(authentication_classes=[], throttle_classes=[]), name="docs"),
    re_path(r"", Nowhere.as_view()),
]
