"""The pages on which people sign in and out. One page for everybody: staff and users, whoever sent them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.core.validators import MaxLengthValidator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from social_django import views as social

from accounts import services
from accounts.models import USER_ID_MAX_LENGTH, App, Client, User
from accounts.queries import find_user, registered_apps
from accounts.services import note_refused_sign_in, note_sign_in
from unified import seed
from unified.callers import place_of
from unified.sso.origins import lead_on_to_apps
from unified.sso.validator import SIGNED_IN_AT
from unified.throttles import BEGINNINGS, PASSWORDS, Ceiling

DEMO_BACKEND = "django.contrib.auth.backends.ModelBackend"
SIGN_IN_ANEW = "sign_in_anew"  # in a session: an app has asked for it
# A cookie, because there is no session any more, and an address could be made up by whoever sends a link to it.
NOTHING_CHANGED = "nothing_changed"
NOTHING_CHANGED_SECONDS = 60


class PasswordForm(AuthenticationForm):
    """For members of staff: nobody else has a password, and one that somebody gave them opens nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].validators.append(MaxLengthValidator(USER_ID_MAX_LENGTH))

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if not user.is_staff:
            raise self.get_invalid_login_error()


@sensitive_post_parameters("password")
@never_cache
@csrf_protect
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest, *, for_staff: bool = False) -> HttpResponse:
    """
    The ways in. A POST is the password form, which is for staff: everybody else has no password. Whoever is signed in
    already goes on; on the way to the admin (`for_staff`) only a member of staff does.
    """
    response = _signed_in_or_asked(request, for_staff=for_staff)
    if request.COOKIES.get(NOTHING_CHANGED):  # it is told once
        response.delete_cookie(NOTHING_CHANGED, path=reverse("sso:signin"), samesite="Lax")
    return response


def tell_nothing_changed(response: HttpResponse) -> None:
    """With `response`, which leads to the sign-in: what somebody was doing was not done, as they were signed out."""
    response.set_cookie(
        NOTHING_CHANGED,
        "1",
        max_age=NOTHING_CHANGED_SECONDS,
        path=reverse("sso:signin"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _signed_in_or_asked(request: HttpRequest, *, for_staff: bool) -> HttpResponse:
    onwards = _onwards(request)
    user = request.user
    may_go_on = user.is_authenticated and (user.is_staff or not for_staff)
    if may_go_on and SIGN_IN_ANEW not in request.session:
        return HttpResponseRedirect(onwards)
    form = PasswordForm(request)
    if request.method == "POST":
        too_many = _too_many(request, PASSWORDS)  # before anything is hashed
        if too_many:
            return too_many
        form = PasswordForm(request, data=request.POST)
        if form.is_valid():
            login(request, form.get_user())
            _note_sign_in(request, method="password")
            return HttpResponseRedirect(onwards)
        PASSWORDS.count(place_of(request))
        if not getattr(request, "axes_locked_out", False):
            note_refused_sign_in(user=_typed_user(request), reason="password")
    return _sign_in_page(request, onwards=onwards, form=form, for_staff=for_staff)


@never_cache
@csrf_protect
@require_POST
def demo(request: HttpRequest) -> HttpResponse:
    """
    Lets whoever is at a developer's machine be the demo user, who is made (anew, after they have left) if they are not
    there. Does not exist anywhere else.
    """
    if not settings.DEMO_SIGN_IN:
        raise Http404
    user = find_user(seed.DEMO_USER_ID)
    if user is None or (user.deleted_at is not None and user.may_return):
        seed.seed_registry()
        seed.seed_demo()
        user = find_user(seed.DEMO_USER_ID)
    if user is None or not user.is_active:
        # None: where fewer projects may be kept than the demonstration has.
        sentence = "Staff let them in again." if user else "UNIFIED_MAX_PROJECTS leaves no room for their projects."
        title = "The demo user is locked out" if user else "There is no demo user"
        return refused(request, status=403, title=title, sentence=sentence)
    login(request, user, backend=DEMO_BACKEND)
    _note_sign_in(request, method="demo")
    return HttpResponseRedirect(_onwards(request))


@never_cache
@csrf_protect
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Ends this session and what the apps can do as the person; with `next`, to go on there as somebody else."""
    user = request.user
    logout(request)  # first the session: a code that is on its way for it is refused, or ended with the rest
    if user.is_authenticated:
        services.sign_out(user=user)
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
    too_many = _too_many(request, BEGINNINGS)
    if too_many:
        return too_many
    BEGINNINGS.count(place_of(request))
    if SIGN_IN_ANEW in request.session:
        logout(request)  # now that the person has chosen to; else the library would only look whether it is still them
    response: HttpResponse = social.auth(request, backend)
    return response


def complete(request: HttpRequest, backend: str) -> HttpResponse:
    """Back from the identity provider."""
    before = request.user.pk
    response: HttpResponse = social.complete(request, backend)
    if request.user.is_authenticated and request.user.pk != before:
        _note_sign_in(request, method=backend)
    return response


def refused(
    request: HttpRequest,
    *,
    status: int,
    title: str,
    sentence: str,
    signout: bool = False,
    onwards: str = "",
    **more: Any,
) -> HttpResponse:
    """A page that says why not, and what to do instead. `onwards` is where the person was going to."""
    back = resolve_url(settings.LOGIN_URL) + (f"?{urlencode({'next': onwards})}" if onwards else "")
    actions = [] if signout else [("Back to sign-in", back)]
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


def _note_sign_in(request: HttpRequest, *, method: str) -> None:
    request.session[SIGNED_IN_AT] = int(time.time())
    request.session.pop(SIGN_IN_ANEW, None)
    note_sign_in(user=request.user, method=method)  # type: ignore[arg-type]  # somebody, now


def _too_many(request: HttpRequest, ceiling: Ceiling) -> HttpResponse | None:
    """The answer to whoever has tried too often in the last minute, or None."""
    seconds = ceiling.wait(place_of(request))
    if seconds:
        return _wait(
            request, seconds=seconds, sentence="There were too many attempts from your network. Wait a minute."
        )
    return None


def _wait(request: HttpRequest, *, seconds: int, sentence: str) -> HttpResponse:
    response = refused(request, status=429, title="Not so fast", sentence=sentence)
    response["Retry-After"] = str(seconds)
    return response


def _sign_in_page(request: HttpRequest, *, onwards: str, form: PasswordForm, for_staff: bool) -> HttpResponse:
    anew = SIGN_IN_ANEW in request.session
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
            "not_staff": request.user.is_authenticated and not anew,
            "nothing_changed": request.COOKIES.get(NOTHING_CHANGED) and request.method != "POST",
            "error": "You are asked to sign in once more." if anew else None,
            "password_first": for_staff,
        },
    )
    return lead_on_to_apps(response)


def _onwards(request: HttpRequest) -> str:
    """
    Where to go after: `next`, if it is an address of ours, else home. (Not for `redirect`, which would take a single
    word for the name of a page, and raise where there is none.)
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
