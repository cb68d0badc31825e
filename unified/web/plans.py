"""Plans side by side, asking for a bigger one, and being told what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from accounts import services
from accounts.models import Plan, UpgradeRequest, User
from unified.web.frame import decision_of
from unified.web.pages import as_member, member_page, number_in, page_before, shown
from unified.web.room import PICTURE_BYTES
from workspace.models import Storage
from workspace.queries import storage_of

STATUS = UpgradeRequest.Status


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan as the person may choose it."""

    plan: Plan
    is_own: bool
    is_bigger: bool
    more_bytes: int  # room beyond what they have now
    more_credits: int  # a month, beyond what they get now
    pictures: int  # so many of the usual size fit, up to as many projects as anybody can keep
    checkout: str  # where it is paid for; empty where staff decide
    wish: UpgradeRequest | None  # the person's own, where it is for this plan and open

    @property
    def checkout_host(self) -> str:
        return urlsplit(self.checkout).hostname or ""


@member_page
@require_safe
def plans(request: HttpRequest) -> HttpResponseBase:
    user = as_member(request).user
    last = UpgradeRequest.objects.filter(user=user).select_related("plan").first()
    is_open = last is not None and last.status == STATUS.OPEN
    storage = storage_of(user)
    found = Plan.objects.filter(Q(is_offered=True) | Q(pk=user.plan_id))
    choices = [choice_of(plan, user=user, storage=storage, wish=last if is_open else None) for plan in found]
    return shown(
        request,
        "plans",
        part="choices",
        choices=choices,
        asks=any(choice.is_bigger and not choice.checkout for choice in choices),
        own=user.plan,
        open_wish=last if is_open else None,
        last=last if last and last.status in UpgradeRequest.DECIDED else None,
        storage=storage,
    )


def choice_of(plan: Plan, *, user: User, storage: Storage, wish: UpgradeRequest | None) -> Choice:
    is_bigger = plan.is_offered and plan.rank > user.plan.rank
    return Choice(
        plan=plan,
        is_own=plan.pk == user.plan_id,
        is_bigger=is_bigger,
        more_bytes=plan.storage_limit_bytes - storage.limit_bytes if is_bigger else 0,
        more_credits=plan.monthly_credits - user.plan.monthly_credits if is_bigger else 0,
        pictures=min(plan.storage_limit_bytes // PICTURE_BYTES, settings.MAX_PROJECTS_PER_USER),
        checkout=services.checkout_of(plan=plan, user=user) if is_bigger else "",
        wish=wish if wish is not None and wish.plan_id == plan.pk else None,
    )


@member_page
@require_POST
def ask(request: HttpRequest) -> HttpResponseBase:
    plan = get_object_or_404(Plan, slug=request.POST.get("plan", ""))
    try:
        services.request_upgrade(user=as_member(request).user, plan=plan)
    except services.NotAnUpgrade:
        messages.error(request, f"{plan.name} is not a plan that you can ask for now.")
    except services.TooManyWishes:
        messages.error(request, "You have asked many times today. Nothing was changed; try again tomorrow.")
    except services.UserHasLeft:
        return redirect("home")
    else:
        messages.success(request, f"You have asked for {plan.name}. You are told here as soon as it is decided.")
    return redirect("web:plans")


@member_page
@require_POST
def withdraw(request: HttpRequest) -> HttpResponseBase:
    if services.withdraw_upgrade(user=as_member(request).user):
        messages.success(request, "Your request is withdrawn.")
    else:
        messages.info(request, "There was nothing to withdraw any more.")
    return redirect("web:plans")


@member_page
@require_safe
def decided(request: HttpRequest) -> HttpResponseBase:
    """What was decided meanwhile, for a page that is open; 204 if that page says it already (`?told=`)."""
    user = as_member(request).user
    last = decision_of(user)
    if request.GET.get("told", "") == (f"{last.pk}-{user.plan_id}" if last else ""):
        return HttpResponse(status=204)
    return render(request, "web/parts/decided.html", {"decided": last})


@member_page
@require_POST
def seen(request: HttpRequest) -> HttpResponseBase:
    """The person has read what was decided. Back to the page that they have read it on."""
    number = number_in(request.POST.get("wish", ""), digits=18)
    if number is not None:
        services.note_upgrade_seen(user=as_member(request).user, wish_id=number)
    if as_member(request).htmx:
        return render(request, "web/parts/decided.html", {"decided": decision_of(as_member(request).user)})
    return redirect(page_before(request) or "web:plans")


urlpatterns: list[URLPattern] = [
    path("plans/", plans, name="plans"),
    path("plans/ask/", ask, name="ask-for-plan"),
    path("plans/withdraw/", withdraw, name="withdraw-wish"),
    path("plans/decided/", decided, name="decided"),
    path("plans/seen/", seen, name="upgrade-seen"),
]
