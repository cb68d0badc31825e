"""The pages that people open."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_safe

from accounts.queries import registered_apps


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
