"""
The staff's second factor: asked for before anything of the admin opens, and set up by whoever has none.

A set-up is begun by who has just signed in, or by a code of the factor that is replaced, and has to be finished soon in
the same session: neither a session that lay open somewhere nor a page that somebody saw becomes a way in for good.
"""

from __future__ import annotations

import time
from base64 import b32encode
from typing import Any
from urllib.parse import quote, urlencode

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.middleware.csrf import rotate_token
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.timesince import timeuntil
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_otp import login as verify_session

from accounts import audit, services
from accounts.models import User
from accounts.reasons import ReasonField
from accounts.services import SecondFactor
from accounts.templatetags.figures import counted
from unified.admin.views import person_or_404, shown, staff_page
from unified.callers import place_of
from unified.sso.pages import SIGN_IN_ANEW
from unified.sso.validator import SIGNED_IN_AT
from unified.throttles import SECOND_FACTORS

FRESH_SECONDS = SET_UP_SECONDS = 15 * 60
SET_UP = "second_factor_set_up"  # in a session: what is being set up
ISSUER = "Unified"
LONGEST_NAME = 64  # of a person, in the phone's list; a QR code holds no end of it
METHODS = ["GET", "HEAD", "POST"]


NOW = "The six digits that your authenticator shows now, or one of your recovery codes."
UNUSED = "The six digits that your authenticator shows now, if you have not used them yet, or a recovery code."
FIRST = "Six digits. They change every half minute."


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=64,
        error_messages={"required": "Type the code."},
        widget=forms.TextInput(
            attrs={"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )

    def __init__(self, *args: Any, help_text: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = help_text


class ResetForm(forms.Form):
    reason = ReasonField(
        help_text="Why this is done, and how you know that it is them who ask. It stays in the audit, with your name.",
        error_messages={"required": "Nothing was done: say why."},
    )


def is_missing(request: HttpRequest) -> bool:
    """Whether a second factor is needed and has not been shown in this session."""
    return bool(settings.STAFF_SECOND_FACTOR) and not _is_shown(request)


def asked_for(request: HttpRequest) -> HttpResponse:
    """To the page that asks for it, and from there to where the person was going."""
    return HttpResponseRedirect(f"{reverse('admin:second-factor')}?{urlencode({'next': _onwards(request)})}")


@sensitive_post_parameters("code")
@never_cache
@csrf_protect
@require_http_methods(METHODS)
def second_factor(request: HttpRequest) -> HttpResponseBase:
    """One's own: asks for a code, sets up what is not there yet, and changes what is."""
    user = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    factor = services.second_factor_of(user)
    if request.POST.get("do") == "confirm":
        return _confirm(request, user)
    if factor is None:
        begun = _begun(request) or (_begin(request) if _is_fresh(request) else None)
        return _set_up(request, begun) if begun else _to_sign_in_anew(request)
    if request.method == "POST":
        return _with_code(request, user, factor)
    return _yours(request, factor, CodeForm(help_text=_which(request)))


def _with_code(request: HttpRequest, user: User, factor: SecondFactor) -> HttpResponseBase:
    """What is done with a right code: the admin opens; or what takes one anew, whoever has been let in already."""
    form = CodeForm(request.POST, help_text=_which(request))
    device = _used(request, user, form) if form.is_valid() else None
    if device is None:
        return _yours(request, factor, form)
    if not _is_shown(request):
        services.note_sign_in(user=user, method=services.method_of(device))
    _let_in(request, device)
    deed = request.POST.get("do")
    if deed == "change":
        return _set_up(request, _begin(request, replaces=factor.device.pk))
    if deed == "new-codes":
        codes = services.renew_recovery_codes(user=user)
        if device != factor.device:  # it went with the codes of which it took one
            _let_in(request, factor.device)
        return _codes(request, codes)
    if device != factor.device:
        messages.warning(request, f"That recovery code is used up. You have {factor.recovery_codes - 1} left.")
    return HttpResponseRedirect(_onwards(request))


def _used(request: HttpRequest, user: User, form: CodeForm) -> Any:
    """The device that took the code of the form; None, with what is wrong said there."""
    caller = f"{user.pk} {place_of(request)}"
    seconds = SECOND_FACTORS.wait(caller)
    if seconds:
        form.add_error("code", f"There were too many wrong codes. Try again in {seconds} seconds.")
        return None
    try:
        return services.use_code(user=user, code=form.cleaned_data["code"])
    except services.WrongCode:
        SECOND_FACTORS.count(caller)
        form.add_error("code", "This code is wrong, or was used already. Wait for the next one that is shown to you.")
    except services.TooManyCodes as refusal:
        form.add_error("code", f"There were too many wrong codes. The next is looked at in {_how_long(refusal.until)}.")
    return None


def _confirm(request: HttpRequest, user: User) -> HttpResponseBase:
    """The first code of what is being set up: from here on it is the person's."""
    begun = _begun(request)
    if begun is None:
        messages.error(request, "The set-up took too long, or was finished already. Begin again.")
        return HttpResponseRedirect(request.get_full_path())
    form = CodeForm(request.POST, help_text=FIRST)
    if not form.is_valid():
        return _set_up(request, begun, form)
    secret, replaces = begun["secret"], begun["replaces"]
    try:
        device, codes = services.set_second_factor(
            user=user, secret=secret, code=form.cleaned_data["code"], replaces=replaces
        )
    except services.WrongCode:
        form.add_error("code", "This is not the code. If it is what the phone shows, the phone's clock is wrong.")
        return _set_up(request, begun, form)
    except services.SecondFactorChanged:
        del request.session[SET_UP]
        messages.error(request, "Your second factor was set up elsewhere meanwhile. If that was not you, tell us now.")
        return HttpResponseRedirect(request.get_full_path())
    del request.session[SET_UP]
    _let_in(request, device)
    return _codes(request, codes)


# --- Sessions --------------------------------------------------------------------------------------------------------


def _is_shown(request: HttpRequest) -> bool:
    return getattr(request.user, "otp_device", None) is not None


def _let_in(request: HttpRequest, device: Any) -> None:
    """The session goes on under another key: who knew the one of before is not let in with it."""
    verify_session(request, device)
    request.session.cycle_key()
    rotate_token(request)


def _is_fresh(request: HttpRequest) -> bool:
    """Whether the person has just signed in."""
    signed_in_at: float = request.session.get(SIGNED_IN_AT, 0)
    return time.time() - signed_in_at < FRESH_SECONDS


def _begin(request: HttpRequest, replaces: int | None = None) -> dict[str, Any]:
    """What is to be set up from now on, in place of the device of this number."""
    request.session[SET_UP] = begun = {
        "user": request.user.pk,
        "secret": services.new_secret(),
        "replaces": replaces,
        "until": int(time.time()) + SET_UP_SECONDS,
    }
    return begun


def _begun(request: HttpRequest) -> dict[str, Any] | None:
    begun: dict[str, Any] = request.session.get(SET_UP) or {}
    is_theirs = begun.get("user") == request.user.pk
    return begun if is_theirs and time.time() < begun["until"] else None


def _to_sign_in_anew(request: HttpRequest) -> HttpResponseBase:
    request.session[SIGN_IN_ANEW] = True
    return redirect_to_login(request.get_full_path(), reverse("admin:login"))


def _onwards(request: HttpRequest) -> str:
    """Where to go after: `next`, if it is a path of ours, else the admin's first page."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours and wanted.startswith("/") else reverse("admin:index")


# --- What is shown ---------------------------------------------------------------------------------------------------


def _page(request: HttpRequest, name: str, title: str, form: CodeForm | None = None, **context: Any) -> HttpResponse:
    onwards = _onwards(request)
    return shown(request, f"second_factor/{name}.html", title=title, form=form, onwards=onwards, **context)


def _which(request: HttpRequest) -> str:
    return UNUSED if _is_shown(request) else NOW


def _yours(request: HttpRequest, factor: SecondFactor, form: CodeForm) -> HttpResponseBase:
    if _is_shown(request):
        return _page(request, "yours", "Your second factor", form, factor=factor)
    return _page(request, "enter", "One more step", form)


def _set_up(request: HttpRequest, begun: dict[str, Any], form: CodeForm | None = None) -> HttpResponseBase:
    secret = b32encode(bytes.fromhex(begun["secret"])).decode()
    return _page(
        request,
        "set_up",
        "Set up your second factor",
        form or CodeForm(help_text=FIRST),
        picture=_picture(_address(request.user, secret)),
        groups=[secret[start : start + 4] for start in range(0, len(secret), 4)],
        replaces=begun["replaces"],
    )


def _codes(request: HttpRequest, codes: list[str]) -> HttpResponseBase:
    """The answer itself, and nowhere else: a message would be kept in a cookie or the session."""
    grouped = ["-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in codes]
    return _page(request, "codes", "Your recovery codes", codes=grouped)


def _address(user: Any, secret: str) -> str:
    """What the QR code says, as authenticators read it (Google Authenticator's "Key Uri Format")."""
    name = (user.email or user.user_id).replace(":", "")[:LONGEST_NAME]
    terms = {"secret": secret, "issuer": ISSUER, "algorithm": "SHA1", "digits": 6, "period": 30}
    return f"otpauth://totp/{ISSUER}:{quote(name, safe='')}?{urlencode(terms)}"


def _picture(text: str) -> str:
    """A QR code as the address of an image, black on white in every theme: cameras want it so."""
    return segno.make(text, error="m", micro=False).svg_data_uri(scale=5, border=4, dark="#000", light="#fff")


def _how_long(until: Any) -> str:
    seconds = max(1, int((until - timezone.now()).total_seconds()) + 1)
    return counted(seconds, "second") if seconds < 120 else str(timeuntil(until))


# --- Somebody else's -------------------------------------------------------------------------------------------------


@staff_page("accounts.reset_second_factor")
@require_http_methods(METHODS)
def reset(request: HttpRequest, pk: int) -> HttpResponseBase:
    """
    Takes away what a colleague has lost. One's own is changed on one's own page, with a code of it; a superuser's is
    taken away by superusers only, as it is a way to their rights.
    """
    viewer: Any = request.user
    member = person_or_404(pk)
    if member.pk == viewer.pk:
        return HttpResponseRedirect(reverse("admin:second-factor"))
    if member.is_superuser and not viewer.is_superuser:
        raise PermissionDenied
    form = ResetForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with audit.because(form.cleaned_data["reason"]):
            if services.reset_second_factor(user=member, actor=viewer):
                messages.success(request, f"{member} has no second factor any more, and is signed out everywhere.")
            else:
                messages.warning(request, f"Nothing was done: {member} has no second factor.")
        return HttpResponseRedirect(reverse("admin:person", args=[member.pk]))
    factor = services.second_factor_of(member)
    return shown(
        request, "second_factor/reset.html", title="Reset second factor", member=member, factor=factor, form=form
    )


urlpatterns = [
    path("second-factor/", second_factor, name="second-factor"),
    path("people/<int:pk>/second-factor/", reset, name="reset-second-factor"),
]
