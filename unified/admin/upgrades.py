"""
Upgrade requests: those that wait, the longest first, and the page on which one is granted or declined.

A wish is decided once. Whoever comes second is told by whom it was, and nothing more is done; and what is granted is
what was shown, or it is shown anew (see `unified.admin.room`).
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import path
from django.views.decorators.http import require_safe

from accounts import audit
from accounts import services as accounts
from accounts.models import UpgradeRequest
from accounts.reasons import LinesField, ReasonField
from unified import services
from unified.admin.refusals import OWN
from unified.admin.room import LEFT, LOOK_AGAIN, PLAN
from unified.admin.views import actor_of, asked_or_sent, shown, staff_page
from unified.api.figures import megabytes_text
from workspace import services as workspace
from workspace.queries import storage_of

QUEUE = ("accounts.view_upgraderequest",)
DECIDE = (*QUEUE, *PLAN)
MOST_WAITING = 100  # on one page; the rest comes up as these are decided
MOST_DECIDED = 20
HAS_MORE = "They are on a bigger plan by now: decline it, and tell them so."
Status = UpgradeRequest.Status


class DecisionForm(forms.Form):
    note = LinesField(
        required=False,
        label="Note to the person",
        help_text="They read it on their pages. It has to be there when the request is declined.",
    )
    reason = ReasonField(initial="They have asked for it.")

    def __init__(self, data: Any, *, declines: bool) -> None:
        super().__init__(data)
        self._declines = declines

    def clean_note(self) -> str:
        note: str = self.cleaned_data["note"]
        if self._declines and not note:
            raise forms.ValidationError("Tell the person why not.")
        return note


def waiting(request: HttpRequest, *, known: int | None = None) -> int:
    """How many wishes wait, for who may decide them; 0 for others. One query for who may, if it is not `known`."""
    viewer = actor_of(request)
    if not viewer.has_perms(DECIDE):
        return 0
    return UpgradeRequest.objects.filter(status=Status.OPEN).count() if known is None else known


@staff_page(*QUEUE)
@require_safe
def queue(request: HttpRequest) -> HttpResponseBase:
    wishes = UpgradeRequest.objects.select_related("user__plan", "plan", "decided_by")
    decided = wishes.exclude(status__in=(Status.OPEN, Status.WITHDRAWN))
    return shown(
        request,
        "upgrades/queue.html",
        title="Upgrade requests",
        waiting=list(wishes.filter(status=Status.OPEN).order_by("pk")[:MOST_WAITING]),
        decided=list(decided.order_by("-decided_at")[:MOST_DECIDED]),
        may_decide=actor_of(request).has_perms(DECIDE),
    )


@staff_page(*DECIDE)
@asked_or_sent
def decide(request: HttpRequest, pk: int) -> HttpResponseBase:
    wish = get_object_or_404(UpgradeRequest.objects.select_related("user__plan", "plan", "decided_by"), pk=pk)
    if wish.status != Status.OPEN:
        return _told_who_was_first(request, wish)
    deed = request.POST.get("deed", "")
    form = DecisionForm(request.POST if deed in {"approve", "decline"} else None, declines=deed == "decline")
    notice = ""
    if form.is_valid():
        try:
            with audit.because(form.cleaned_data["reason"]):
                return _decided(request, wish, form.cleaned_data["note"], approved=deed == "approve")
        except accounts.AlreadyDecided:
            return _told_who_was_first(request, wish)
        except workspace.NotAsShown:
            notice = LOOK_AGAIN
        except (accounts.NotAnUpgrade, accounts.UserHasLeft, workspace.OwnRoom, workspace.StorageLimitExceeded):
            pass  # why not is found out for the page anew
        wish = UpgradeRequest.objects.select_related("user__plan", "plan").get(pk=pk)
    change, problem = _foreseen(request, wish)
    return shown(
        request,
        "upgrades/decide.html",
        title=f"{wish.user} asks for {wish.plan}",
        wish=wish,
        member=wish.user,
        form=form,
        notice=notice,
        change=change,
        problem=problem,
        room=storage_of(wish.user),
    )


def _decided(request: HttpRequest, wish: UpgradeRequest, note: str, *, approved: bool) -> HttpResponseBase:
    actor = actor_of(request)
    if approved:
        services.approve_upgrade(wish=wish, actor=actor, note=note, as_shown=request.POST.get("seen", ""))
        messages.success(request, f"{wish.user} is on the plan {wish.plan} now, and is told so.")
    else:
        accounts.decide_upgrade(wish=wish, approved=False, actor=actor, note=note)
        messages.success(
            request, f"The upgrade request of {wish.user} for {wish.plan} is declined, and they are told so."
        )
    return redirect("admin:upgrades")


def _foreseen(request: HttpRequest, wish: UpgradeRequest) -> tuple[services.PlanChange | None, str]:
    """What granting it would come to, or why it cannot be granted. It is done, and undone."""
    member, actor = wish.user, actor_of(request)
    if member.deleted_at is not None:
        return None, LEFT
    if member.pk == actor.pk and not actor.is_superuser:
        return None, OWN
    if wish.plan.rank < member.plan.rank:
        return None, HAS_MORE
    try:
        return services.try_change_plan(user=member, plan=wish.plan), ""
    except workspace.StorageLimitExceeded as refusal:
        over = megabytes_text(refusal.needed_bytes - refusal.limit_bytes)
        return None, f"They keep {over} MB more than this plan has room for: it cannot be granted."


def _told_who_was_first(request: HttpRequest, wish: UpgradeRequest) -> HttpResponseBase:
    wish = UpgradeRequest.objects.select_related("user", "plan", "decided_by").get(pk=wish.pk)
    answered = f"upgrade request of {wish.user} for {wish.plan} is {wish.get_status_display()}"
    if wish.decided_by is None:
        text = f"The {answered} by now: nothing was done."
    else:
        text = f"{wish.decided_by} was first: the {answered}."
    messages.warning(request, text)
    return redirect("admin:upgrades")


urlpatterns = [
    path("upgrades/", queue, name="upgrades"),
    path("upgrades/<int:pk>/", decide, name="upgrade"),
]
