"""What the staff's own pages (those that are no list or form of one table) have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from accounts.models import User

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

asked_or_sent = require_http_methods(["GET", "HEAD", "POST"])  # a form, and what was typed there


def staff_page(*permissions: str) -> Callable[[View], View]:
    """
    A view for members of staff who have every one of `permissions` ("credits.adjust_account"); others are refused with
    403, and who is not signed in is sent to do that. Forms are protected against other sites, and no page is cached.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.has_perms(permissions):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            # The site is asked for at the call: it is made after these modules.
            return admin.site.admin_view(checked)(request, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorated


def shown(request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any) -> TemplateResponse:
    """A page of the admin: `templates/admin/<template>`, in the site's frame."""
    everything = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"admin/{template}", everything, status=status)


def actor_of(request: HttpRequest) -> Any:
    """Who does it: on a page of the staff's always somebody, a `User`."""
    return request.user


def person_or_404(pk: int) -> User:
    return get_object_or_404(User.objects.select_related("plan"), pk=pk)
