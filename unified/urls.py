"""All addresses: the API, the admin and the pages. (`unified.probes` answers /healthz and /readyz before these.)"""

from django.contrib import admin
from django.urls import include, path

from unified.api.nowhere import Nowhere
from unified.web.views import favicon, home

urlpatterns = [
    path("", home, name="home"),
    path("", include("unified.web.urls")),
    path("api/", include("unified.api.urls")),
    path("admin/", admin.site.urls),
    path("signin/", include("unified.sso.urls")),
    path("signin/", include("unified.sso.google_urls")),
    path("o/", include("unified.sso.provider_urls")),
    path("favicon.ico", favicon, name="favicon"),
    path("api", Nowhere.as_view()),
]
