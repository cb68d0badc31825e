"""Addresses of the staff's own pages, under `/admin/` and in the admin's namespace ("admin:person")."""

from __future__ import annotations

from unified.admin import adjusting, dashboard, exports, grants, inspecting, person, room, second_factor, upgrades

urlpatterns = [
    *dashboard.urlpatterns,
    *person.urlpatterns,
    *adjusting.urlpatterns,
    *grants.urlpatterns,
    *room.urlpatterns,
    *upgrades.urlpatterns,
    *inspecting.urlpatterns,
    *exports.urlpatterns,
    *second_factor.urlpatterns,
]
