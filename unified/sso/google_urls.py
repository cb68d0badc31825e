"""To the identity provider and back, under the names that its library knows."""

from django.urls import path

from unified.sso import pages

app_name = "social"

urlpatterns = [
    path("begin/<str:backend>/", pages.begin, name="begin"),
    path("complete/<str:backend>/", pages.complete, name="complete"),
]
