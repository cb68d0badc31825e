"""Plans side by side, asking for a bigger one, and being told what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts import services
from accounts.models import Plan, UpgradeRequest, User
from unified.web.frame import decision_of
from unified.web.pages import as_member, member_page, shown
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
    return shown(
        request,
        "plans",
        part="choices",
        choices=[choice_of(plan, user=user, storage=storage, wish=last if is_open else None) for plan in found],
        own=user.plan,
        open_wish=last if is_open else None,
        last=last if last and last.status in {STATUS.APPROVED, STATUS.DECLINED} else None,
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
        checkout=checkout_of(plan, user) if is_bigger else "",
        wish=wish if wish is not None and wish.plan_id == plan.pk else None,
    )


def checkout_of(plan: Plan, user: User) -> str:
    """Where this person pays for the plan. A link that is not of the web leads nowhere: then it is asked for."""
    address = plan.checkout_url.replace("{user_id}", quote(user.user_id, safe=""))
    parts = urlsplit(address)
    return address if parts.scheme in {"http", "https"} and parts.hostname else ""


@member_page
@require_POST
def ask(request: HttpRequest) -> HttpResponseBase:
    plan = get_object_or_404(Plan, slug=request.POST.get("plan", ""))
    try:
        services.request_upgrade(user=as_member(request).user, plan=plan)
    except services.NotAnUpgrade:
        messages.error(request, f"{plan.name} is not a plan that you can ask for now.")
    except services.UserHasLeft:
        return redirect("home")
    else:
        messages.success(request, f"You have asked for {plan.name}. You are told here as soon as it is decided.")
    return redirect("web:plans")


@member_page
@require_POST
def withdraw(request: HttpRequest) -> HttpResponseBase:
    if services.withdraw_upgrade(user=as_member(request).user):
        messages.success(request, "Your wish is withdrawn.")
    else:
        messages.info(request, "There was nothing to withdraw any more.")
    return redirect("web:plans")


@member_page
@require_safe
def decided(request: HttpRequest) -> HttpResponseBase:
    """What was decided meanwhile, for a page that is open."""
    return render(request, "web/parts/decided.html", {"decided": decision_of(as_member(request).user)})


@member_page
@require_POST
def seen(request: HttpRequest) -> HttpResponseBase:
    """The person has read what was decided. Back to the page that they have read it on."""
    number = request.POST.get("wish", "")
    if number.isascii() and number.isdigit() and len(number) < 19:
        services.note_upgrade_seen(user=as_member(request).user, wish_id=int(number))
    if as_member(request).htmx:
        return render(request, "web/parts/decided.html", {"decided": decision_of(as_member(request).user)})
    back = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure())
    return redirect(back if is_ours else "web:plans")


urlpatterns: list[URLPattern] = [
    path("plans/", plans, name="plans"),
    path("plans/ask/", ask, name="ask-for-plan"),
    path("plans/withdraw/", withdraw, name="withdraw-wish"),
    path("plans/decided/", decided, name="decided"),
    path("plans/seen/", seen, name="upgrade-seen"),
]
