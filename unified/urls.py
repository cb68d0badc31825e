"""All addresses: the API, the admin, the pages, and what operators probe."""

from django.contrib import admin
from django.urls import include, path

from unified import probes
from unified.web.views import favicon, home

urlpatterns = [
    path("", home, name="home"),
    path("api/", include("unified.api.urls")),
    path("admin/", admin.site.urls),
    path("favicon.ico", favicon, name="favicon"),
    path("healthz", probes.healthz),
    path("readyz", probes.readyz),
]
