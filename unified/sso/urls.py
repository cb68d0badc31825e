"""The pages of signing in and out."""

from django.urls import path

from unified.sso import pages

app_name = "sso"

urlpatterns = [
    path("", pages.sign_in, name="signin"),
    path("demo/", pages.demo, name="demo"),
    path("switched-off/", pages.switched_off, name="switched-off"),
    path("out/", pages.sign_out, name="signout"),
    path("signed-out/", pages.signed_out, name="signed-out"),
]
