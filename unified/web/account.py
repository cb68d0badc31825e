"""Who the person is here, which apps may act for them, everything of theirs to take along, and leaving."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import services as accounts
from accounts.models import Client, User
from accounts.queries import SignedInApp, signed_in_apps
from credits.queries import position_of
from unified import services, takeout
from unified.sso.pages import SIGN_IN_ANEW
from unified.sso.validator import is_too_old
from unified.web.pages import as_member, member_page, shown
from workspace.queries import storage_of

DELETE_WORD = "DELETE"  # typed by who has no e-mail here
FRESH_SECONDS = 15 * 60  # how long after signing in somebody may delete their account
TRAIL_KEPT = timedelta(days=30)  # beyond it, since when an app is signed in is not known to the day


@member_page
@require_safe
def account(request: HttpRequest) -> HttpResponseBase:
    user = as_member(request).user
    return shown(
        request,
        "account",
        member=user,
        apps=[(app, _is_long(app)) for app in signed_in_apps(user)],
        storage=storage_of(user),
    )


@member_page
@require_POST
def sign_out_of_app(request: HttpRequest) -> HttpResponseBase:
    """Ends what one app can do as the person. That it can do nothing any more is no mistake: it was done before."""
    client = get_object_or_404(Client, client_id=request.POST.get("client", ""))
    accounts.sign_out(user=as_member(request).user, client=client)
    again = "You are still signed in to Unified: opening it signs you in to it again."
    messages.success(request, f"{client.name} is signed out. {again}")
    return redirect("web:account")


@member_page
@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponseBase:
    user = as_member(request).user
    logout(request)
    accounts.cut_off(user=user, actor=user)
    return redirect("sso:signed-out")


@member_page
@require_safe
def take_out(request: HttpRequest) -> HttpResponseBase:
    pieces = takeout.archive(as_member(request).user, for_themselves=True)
    first = next(pieces)  # trouble at the start is still an answer
    response = StreamingHttpResponse(chain([first], pieces), content_type="application/zip")
    response["Content-Disposition"] = f'attachment; filename="{takeout.archive_name()}"'
    return response


@member_page
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest) -> HttpResponseBase:
    """
    Says what goes and what stays, and deletes the account of whoever types what is asked for. Only for who has signed
    in just now: a browser that somebody has left open is not enough.
    """
    user = as_member(request).user
    if request.method != "POST":
        return _delete_page(request, user)
    if not _is_fresh(request):
        return _delete_page(request, user, status=403)
    if not _is_meant(user, request.POST.get("confirmation", "")):
        return _delete_page(request, user, status=400, is_mistyped=True)
    try:
        services.leave(user=user)
    except services.StaffStay:
        return _delete_page(request, user, status=403)
    logout(request)
    return redirect("web:goodbye")


@member_page
@require_POST
def sign_in_again(request: HttpRequest) -> HttpResponseBase:
    """By way of the sign-in to the page that deletes."""
    request.session[SIGN_IN_ANEW] = True
    return redirect_to_login(reverse("web:delete-account"))


@never_cache
@require_safe
def goodbye(request: HttpRequest) -> HttpResponse:
    """For anybody: whoever is sent here is nobody any more. Who has come back would take it for theirs."""
    if request.user.is_authenticated:
        return redirect("web:projects")
    return render(request, "web/goodbye.html")


def _delete_page(request: HttpRequest, user: User, *, status: int = 200, is_mistyped: bool = False) -> HttpResponseBase:
    return shown(
        request,
        "delete_account",
        status=status,
        member=user,
        stays=user.is_staff or user.is_superuser,
        is_fresh=_is_fresh(request),
        fresh_minutes=FRESH_SECONDS // 60,
        is_mistyped=is_mistyped,
        asked_for=user.email or DELETE_WORD,
        storage=storage_of(user),
        position=position_of(user),
        apps=signed_in_apps(user),
    )


def _is_meant(user: User, typed: str) -> bool:
    """Whether it is what the page asks for. A telephone's keyboard begins an address with a capital, and ends it with a
    space."""
    typed = typed.strip()
    return typed.casefold() == user.email.casefold() if user.email else typed == DELETE_WORD


def _is_fresh(request: HttpRequest) -> bool:
    return not is_too_old(request.user, request.session, str(FRESH_SECONDS))


def _is_long(app: SignedInApp) -> bool:
    """Whether it is signed in for longer than can be told."""
    return timezone.now() - app.since > TRAIL_KEPT


urlpatterns: list[URLPattern] = [
    path("account/", account, name="account"),
    path("account/app/", sign_out_of_app, name="sign-out-of-app"),
    path("account/everywhere/", sign_out_everywhere, name="sign-out-everywhere"),
    path("account/export/", take_out, name="export"),
    path("account/delete/", delete, name="delete-account"),
    path("account/delete/again/", sign_in_again, name="sign-in-again"),
    path("goodbye/", goodbye, name="goodbye"),
]
