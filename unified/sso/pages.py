"""The pages on which people sign in and out. One page for everybody: staff and users, whoever sent them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from social_django import views as social

from accounts import services
from accounts.models import App, Client, User
from accounts.queries import find_user, registered_apps
from accounts.services import note_refused_sign_in, note_sign_in
from unified import seed
from unified.callers import address_of
from unified.sso.origins import lead_on_to_apps
from unified.throttles import SIGN_INS

DEMO_BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password")
@never_cache
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest, *, for_staff: bool = False) -> HttpResponse:
    """
    The ways in. A POST is the password form, which is for staff: everybody else has no password. Whoever is signed in
    already goes on; on the way to the admin (`for_staff`) only a member of staff does.
    """
    onwards = _onwards(request)
    user = request.user
    if user.is_authenticated and (user.is_staff or not for_staff):
        return HttpResponseRedirect(onwards)
    form = AuthenticationForm(request)
    if request.method == "POST":
        too_many = _too_many(request)
        if too_many:
            return too_many
        form = AuthenticationForm(request, data=request.POST)
        if form.is_valid():
            login(request, form.get_user())
            note_sign_in(user=form.get_user(), method="password")
            return HttpResponseRedirect(onwards)
        if not getattr(request, "axes_locked_out", False):
            note_refused_sign_in(user=_typed_user(request), reason="password")
    return _sign_in_page(request, onwards=onwards, form=form, for_staff=for_staff)


@never_cache
@csrf_protect
@require_POST
def demo(request: HttpRequest) -> HttpResponse:
    """Lets whoever is at a developer's machine be the demo user. Does not exist anywhere else."""
    if not settings.DEMO_SIGN_IN:
        raise Http404
    user = find_user(seed.DEMO_USER_ID)
    if user is None or not user.is_active:
        return refused(
            request,
            status=403,
            title="There is no demo user",
            sentence="Run 'manage.py seed --demo' to make one.",
        )
    login(request, user, backend=DEMO_BACKEND)
    note_sign_in(user=user, method="demo")
    return HttpResponseRedirect(_onwards(request))


@never_cache
@csrf_protect
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends this session and what the apps can do as the person; with `next`, to go on there as somebody else."""
    if request.user.is_authenticated:
        services.sign_out(user=request.user)
    logout(request)
    if request.POST.get("next"):
        return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': _onwards(request)})}")
    return redirect("sso:signed-out")


@require_safe
def signed_out(request: HttpRequest) -> HttpResponse:
    return render(request, "sso/signedout.html")


@require_safe
def switched_off(request: HttpRequest) -> HttpResponse:
    """Where somebody who is locked out ends up after they have signed in at the identity provider."""
    return refused(
        request,
        status=403,
        title="This account is switched off",
        sentence="Our staff have locked it. Write to them if you think that this is a mistake.",
    )


@require_POST
def begin(request: HttpRequest, backend: str) -> HttpResponse:
    """To the identity provider. With a form and its token, or another site could sign somebody in as it likes."""
    too_many = _too_many(request)
    if too_many:
        return too_many
    response: HttpResponse = social.auth(request, backend)
    return response


def complete(request: HttpRequest, backend: str) -> HttpResponse:
    """Back from the identity provider."""
    before = request.user.pk
    response: HttpResponse = social.complete(request, backend)
    if request.user.is_authenticated and request.user.pk != before:
        note_sign_in(user=request.user, method=backend)
    return response


def refused(
    request: HttpRequest, *, status: int, title: str, sentence: str, signout: bool = False, **more: Any
) -> HttpResponse:
    """A page that says why not, and what to do instead."""
    actions = [] if signout else [("Back to sign-in", resolve_url(settings.LOGIN_URL))]
    context = {"title": title, "sentence": sentence, "actions": actions, "signout": signout, "status": status, **more}
    response = render(request, "sso/refused.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def locked_out(request: HttpRequest, credentials: Any = None, *args: Any) -> HttpResponse:
    """After too many wrong passwords. Said whether or not there is such a user."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    return _wait(
        request,
        seconds=60 * minutes,
        sentence=f"There were too many wrong passwords. Wait {minutes} minutes and try again.",
    )


def _too_many(request: HttpRequest) -> HttpResponse | None:
    """The answer to whoever has tried too often in the last minute, or None; counts this try."""
    caller = address_of(request)
    seconds = SIGN_INS.wait(caller)
    if seconds:
        return _wait(
            request, seconds=seconds, sentence="There were too many attempts from your network. Wait a minute."
        )
    SIGN_INS.count(caller)
    return None


def _wait(request: HttpRequest, *, seconds: int, sentence: str) -> HttpResponse:
    response = refused(request, status=429, title="Not so fast", sentence=sentence)
    response["Retry-After"] = str(seconds)
    return response


def _sign_in_page(request: HttpRequest, *, onwards: str, form: AuthenticationForm, for_staff: bool) -> HttpResponse:
    response = render(
        request,
        "sso/signin.html",
        {
            "google_configured": bool(settings.GOOGLE_CLIENT_ID),
            "provider_name": "Google",
            "demo_open": settings.DEMO_SIGN_IN,
            "form": form,
            "next": onwards,
            "app": _sent_by(onwards),
            "apps": [app for app in registered_apps() if app.is_active],
            "not_staff": request.user.is_authenticated,
            "password_first": for_staff,
        },
    )
    return lead_on_to_apps(response)


def _onwards(request: HttpRequest) -> str:
    """
    Where to go after: `next`, if it is an address of ours, else home. (Not for `redirect`, which would take one word for
    the name of a page, and raise where there is none.)
    """
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else resolve_url(settings.LOGIN_REDIRECT_URL)


def _sent_by(onwards: str) -> App | None:
    """The app that waits behind this page, if one does."""
    parts = urlsplit(onwards)
    if parts.path != resolve_url("oauth2_provider:authorize"):
        return None
    client_id = parse_qs(parts.query).get("client_id", [""])[0]
    client = Client.objects.filter(client_id=client_id).first()
    return client.app if client else None


def _typed_user(request: HttpRequest) -> User | None:
    return find_user(request.POST.get("username", ""))
