"""
What the pages of a signed-in person have in common: who may see them, and whether a whole page or a part is wanted.

htmx asks for parts with the same address as a browser asks for the page, so every address can be bookmarked and works
without scripts; `Vary` keeps caches from taking the one for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

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
from unified.sso.pages import tell_nothing_changed
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
        response = view(request, *args, **kwargs) if request.user.is_authenticated else sent_to_sign_in(request)
        patch_vary_headers(response, ("HX-Request", "HX-Target", "Cookie"))
        return response

    return guarded


def sent_to_sign_in(request: HttpRequest) -> HttpResponse:
    """
    And back to the page on which they were, afterwards. Whoever was doing something is told that it was not done; so is
    who is taken from a page by the question that it asks on its own, for they may have been writing in it.
    """
    response: HttpResponse
    if as_member(request).htmx:
        response = HttpResponseClientRedirect(f"{reverse('sso:signin')}?next={_page_of(request)}")
    else:
        response = redirect_to_login(request.get_full_path() if request.method == "GET" else _form_of(request))
    if request.method not in {"GET", "HEAD"} or request.path == reverse("web:live"):
        tell_nothing_changed(response)
    return response


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


def page_before(request: HttpRequest) -> str:
    """
    The page on which they were, as the browser tells it: its path and query, if it is one of ours, else nothing. What
    it tells may be made up, and then need not be an address at all.
    """
    htmx = as_member(request).htmx
    told = (htmx and htmx.current_url) or request.headers.get("Referer", "")
    try:
        scheme, host, *rest = urlsplit(told)
        path = urlunsplit(("", "", *rest))
        path.encode()  # raises at half a surrogate pair
    except ValueError:
        return ""
    is_ours = scheme in {"http", "https"} and host == request.get_host()
    return path if is_ours and path.startswith("/") and not path.startswith("//") else ""


def number_in(typed: str, *, digits: int) -> int | None:
    """The whole number that an address or a form names, of at most so many digits; None if it names none."""
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= digits else None


def _form_of(request: HttpRequest) -> str:
    """The page whose form was sent, if it is one of ours: what somebody has filled in is lost, but not where."""
    return page_before(request) or reverse("home")


def _page_of(request: HttpRequest) -> str:
    """
    The page that a part of has asked, as a path of this site; home, where that is not told. What somebody was looking
    for just now is in the address that was asked, and not on the page yet; what asks itself anew looks for nothing.
    """
    page, htmx = _form_of(request), as_member(request).htmx
    is_looking = request.method == "GET" and bool(request.GET) and htmx.trigger != htmx.target
    is_looking = is_looking and urlsplit(page).path == request.path
    return quote(request.get_full_path() if is_looking else page, safe="")
