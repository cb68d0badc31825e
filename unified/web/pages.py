"""
What the pages of a signed-in person have in common: who may see them, and whether a whole page or a part is wanted.

htmx asks for parts with the same address as a browser asks for the page, so every address can be bookmarked and works
without scripts; `Vary` keeps caches from taking the one for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import quote, urlsplit

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from accounts.models import User
from unified.web.frame import frame_of

View = Callable[..., HttpResponseBase]


class MemberRequest(HttpRequest):
    """A request by somebody who is signed in, with what the middleware knows of htmx."""

    user: User
    htmx: HtmxDetails


def as_member(request: HttpRequest) -> MemberRequest:
    """The request of a member page as what it is: `member_page` has let nobody else in."""
    return cast("MemberRequest", request)


def member_page(view: View) -> View:
    """
    Only for who is signed in. Whoever is not (any more) is sent to sign in and comes back; when a part of a page asks,
    the whole page is sent there, so that the sign-in never appears inside of it.
    """

    @wraps(view)
    @never_cache
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            response = view(request, *args, **kwargs)
        elif request.htmx:  # type: ignore[attr-defined]
            response = HttpResponseClientRedirect(f"{reverse('sso:signin')}?next={_page_of(request)}")
        else:
            response = redirect_to_login(request.get_full_path() if request.method == "GET" else _form_of(request))
        patch_vary_headers(response, ("HX-Request", "HX-Target", "Cookie"))
        return response

    return guarded


def shown(request: HttpRequest, template: str, *, part: str = "", status: int = 200, **context: Any) -> HttpResponse:
    """
    The page `web/<template>.html`; or only `web/parts/<part>.html`, which it includes, when htmx asks for the element
    of that id. Coming back to a page (the back button) always gets all of it.
    """
    htmx = as_member(request).htmx
    only = part and htmx and not htmx.history_restore_request and htmx.target == part
    if not only:
        context["frame"] = frame_of(as_member(request).user, path=request.path)
    return render(request, f"web/parts/{part}.html" if only else f"web/{template}.html", context, status=status)


def _form_of(request: HttpRequest) -> str:
    """The page whose form was sent, if it is one of ours: what somebody has filled in is lost, but not where."""
    parts = urlsplit(request.headers.get("Referer", ""))
    if parts.netloc != request.get_host():
        return reverse("home")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _page_of(request: HttpRequest) -> str:
    """The page that a part of has asked, as a path of this site; home, where that is not told."""
    path = as_member(request).htmx.current_url_abs_path
    return quote(path or reverse("home"), safe="")
