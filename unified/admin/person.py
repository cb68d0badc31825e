"""One person on one page: what they have, what happened, and what staff can do about it. And how they are found."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from accounts import audit, services
from accounts.models import UpgradeRequest, User
from accounts.reasons import ReasonField
from unified.admin import finding
from unified.admin.admin import standing_of
from unified.admin.sections import sections_of
from unified.admin.views import actor_of, shown, staff_page

# What can be done about a person on a page of its own: its name, the permission it takes, and what the button says.
DEEDS = (
    ("adjust", "credits.adjust_account", "Adjust credits"),
    ("change-plan", "accounts.switch_plan", "Change plan"),
    ("change-limit", "workspace.resize_storage", "Change limit"),
    ("clean-up", "workspace.clean_up_storage", "Clean up"),
    ("restore", "workspace.clean_up_storage", "Restore"),
)


class SignOutForm(forms.Form):
    reason = ReasonField(error_messages={"required": "Nothing was done: say why."})


@staff_page("accounts.view_user")
@require_safe
def person(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _page(request, _member(pk), SignOutForm())


@staff_page("accounts.view_user", "accounts.change_user")
@require_POST
def sign_out(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Ends every session and token of the person, wherever it is."""
    member = _member(pk)
    if not _may_change(request, member):
        raise PermissionDenied
    form = SignOutForm(request.POST)
    if not form.is_valid():
        return _page(request, member, form)
    with audit.because(form.cleaned_data["reason"]):
        services.cut_off(user=member, actor=actor_of(request))
    messages.success(request, f"{member} is signed out everywhere.")
    return HttpResponseRedirect(reverse("admin:person", args=[member.pk]))


@staff_page("accounts.view_user")
@require_safe
def find(request: HttpRequest) -> HttpResponseBase:
    """To the one person whom the text names; to the list of them, if there are several."""
    text = request.GET.get("q", "").strip()
    if not text:
        return _nobody(request, text, "Type something to look for.")
    if len(text) > finding.LONGEST:
        return _nobody(request, text[:60] + "…", f"Nothing of a person is longer than {finding.LONGEST} characters.")
    found = finding.people(text)
    if not found:
        return _nobody(request, text, "There is nobody whose name, e-mail or anything else this is.")
    if len(found) > 1:
        return HttpResponseRedirect(f"{reverse('admin:accounts_user_changelist')}?{urlencode({'q': text})}")
    belonging = finding.named(text)
    page = reverse("admin:person", args=[found[0].pk])
    if belonging is None or belonging.user_id != found[0].pk:
        return HttpResponseRedirect(page)
    # The page shows the latest of everything: what was asked for may not be among it.
    own_page = reverse(f"admin:{belonging.model}_change", args=[belonging.pk])
    messages.info(request, format_html('<a href="{}">{}</a> is theirs.', own_page, belonging.name))
    return HttpResponseRedirect(f"{page}#{belonging.section}")


def _member(pk: int) -> User:
    """The person with what is one row of theirs elsewhere, in one query."""
    return get_object_or_404(User.objects.select_related("plan", "account", "last_active"), pk=pk)


def _nobody(request: HttpRequest, text: str, why: str) -> HttpResponseBase:
    title = "Nobody found" if text else "Find a person"
    return shown(request, "person/not_found.html", title=title, sought=text, why=why, ways=finding.WAYS)


def _page(request: HttpRequest, member: User, form: SignOutForm) -> HttpResponseBase:
    return shown(
        request,
        "person.html",
        title=str(member),
        member=member,
        standing=standing_of(member),
        wish=_open_wish(request, member),
        roles=list(member.groups.all()) if member.is_staff else [],
        deeds=_deeds(request, member),
        sign_out_form=form if _may_change(request, member) and member.deleted_at is None else None,
        sections=sections_of(request, member),
    )


def _open_wish(request: HttpRequest, member: User) -> UpgradeRequest | None:
    """What they have asked for, for who may see such requests."""
    if not request.user.has_perm("accounts.view_upgraderequest"):
        return None
    asked = UpgradeRequest.objects.filter(user=member, status=UpgradeRequest.Status.OPEN)
    return asked.select_related("plan").first()


def _deeds(request: HttpRequest, member: User) -> list[tuple[str, str]]:
    """Address and words of what the viewer may do; nothing is left to do about who has left but to look."""
    viewer = actor_of(request)
    deeds = [
        (reverse(f"admin:{name}", args=[member.pk]), words)
        for name, *needed, words in DEEDS
        if viewer.has_perms(needed)
    ]
    if member.deleted_at is not None:
        deeds = []
    deeds.append((reverse("admin:accounts_user_change", args=[member.pk]), "Profile and rights"))
    is_theirs = member.pk != viewer.pk and (viewer.is_superuser or not member.is_superuser)
    if member.is_staff and is_theirs and viewer.has_perm("accounts.reset_second_factor"):
        deeds.append((reverse("admin:reset-second-factor", args=[member.pk]), "Reset second factor"))
    return deeds


def _may_change(request: HttpRequest, member: User) -> bool:
    """As on the form of the person's rights: a superuser is only another superuser's to change."""
    return admin.site.get_model_admin(User).has_change_permission(request, member)


urlpatterns = [
    path("find/", find, name="find"),
    path("people/<int:pk>/", person, name="person"),
    path("people/<int:pk>/sign-out/", sign_out, name="sign-out-person"),
]
