"""Addresses of the pages of a signed-in person, in the namespace "web"."""

from __future__ import annotations

from django.urls import path

from unified.web import account, live, money, plans, projects, room, viewer

app_name = "web"

urlpatterns = [
    path("live/", live.live, name="live"),
    path("live/bar/", live.bar, name="bar"),
    *projects.urlpatterns,
    *viewer.urlpatterns,
    *room.urlpatterns,
    *money.urlpatterns,
    *plans.urlpatterns,
    *account.urlpatterns,
]
