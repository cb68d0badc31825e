"""The pages that people open."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.csrf import csrf_failure
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from accounts.queries import registered_apps
from unified.web.pages import as_member, sent_to_sign_in


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for on every page that names no icon, such as the admin's."""
    return redirect(static("unified.svg"))


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """
    What this service is, for whoever opens its address: a developer, a member of staff, or a person who has not signed
    in. Who has is shown their projects, unless they are staff, who come for the admin.
    """
    if request.user.is_authenticated and not request.user.is_staff:
        return redirect("web:projects")
    return render(request, "web/home.html", {"apps": [app for app in registered_apps() if app.is_active]})


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """
    For a form without the token that was made for it. Django looks at that before any view is asked who is signed in,
    and whoever has lost their session has often lost the token's cookie with it: on a person's own pages they are sent
    to sign in, as if the token were right. An htmx request of somebody who is signed in gets the page anew, with the
    token of now.
    """
    if request.resolver_match and request.resolver_match.namespace == "web":
        if not request.user.is_authenticated:
            return sent_to_sign_in(request)
        if as_member(request).htmx:
            messages.error(
                request, "This page was out of date, and nothing was changed. It is up to date now: try again."
            )
            return HttpResponseClientRefresh()
    return csrf_failure(request, reason)
