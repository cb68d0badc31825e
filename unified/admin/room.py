"""
Plan, limit and clean-up of somebody's workspace by staff: a form, what would come of it, and only then the deed.

Nothing is kept between the steps but what the page sends along: the form, and a mark of what was shown. The deed is
done only if it still comes to what was shown; so a form that has grown old, or was sent twice, does nothing that nobody
has looked at, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts import audit
from accounts.models import User
from accounts.services import UserHasLeft
from accounts.templatetags.figures import counted
from unified import services
from unified.admin.refusals import OWN
from unified.admin.room_forms import (
    CleanUpForm,
    LimitForm,
    PlanForm,
    RestoreForm,
    megabytes_exactly,
    numbered,
    storage_blocked,
)
from unified.admin.views import actor_of, asked_or_sent, person_or_404, shown, staff_page
from unified.api.figures import megabytes_text
from workspace import services as workspace
from workspace.queries import largest_projects, storage_of, trash_of

PLAN = ("accounts.view_user", "accounts.switch_plan")
LIMIT = ("accounts.view_user", "workspace.resize_storage")
CLEAN_UP = ("accounts.view_user", "workspace.view_project", "workspace.clean_up_storage")
LOOK_AGAIN = (
    "Nothing was done yet: it has changed meanwhile. This is how it stands now; look once more, and confirm it."
)
LEFT = "This person has left meanwhile: nothing was done."
MOST_RESTORED = 100  # at once, the latest deleted


# --- Plan and limit --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become another, the person's plan or their limit, and in which words."""

    what: str  # "plan": also the form's field and the template's name
    is_so: Callable[[User, Any], bool]  # whether they have what is wanted already
    foresee: Callable[..., Any]  # what would come of it; it is done, and undone
    do: Callable[..., Any]  # the same for good, if it still comes to what was shown
    done: str  # with {who} and {wanted}
    again: str  # of the same form, sent twice
    already: str  # at the field
    called: Callable[[Any], str] = str


TO_PLAN = Change(
    what="plan",
    is_so=lambda member, plan: User.objects.filter(pk=member.pk, plan=plan).exists(),
    foresee=lambda member, plan: services.try_change_plan(user=member, plan=plan),
    do=lambda member, plan, **seen: services.change_plan(user=member, plan=plan, **seen),
    done="{who} is on the plan {wanted} now.",
    again="{who} is on the plan {wanted} already: nothing more was done.",
    already="They are on this plan already. ({wanted})",
)
TO_LIMIT = Change(
    what="limit",
    is_so=lambda member, limit_bytes: storage_of(member).limit_bytes == limit_bytes,
    foresee=lambda member, limit_bytes: workspace.try_change_limit(user=member, limit_bytes=limit_bytes),
    do=lambda member, limit_bytes, **seen: workspace.change_limit(user=member, limit_bytes=limit_bytes, **seen),
    done="{who} has {wanted} MB of room now.",
    again="{who} has this limit already: nothing more was done.",
    already="This is their limit already.",
    called=megabytes_text,
)


@staff_page(*PLAN)
@asked_or_sent
def change_plan(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _change(request, person_or_404(pk), PlanForm(request.POST or None), TO_PLAN)


@staff_page(*LIMIT)
@asked_or_sent
def change_limit(request: HttpRequest, pk: int) -> HttpResponseBase:
    member = person_or_404(pk)
    stands = megabytes_exactly(storage_of(member).limit_bytes)
    return _change(request, member, LimitForm(request.POST or None, initial={"limit": stands}), TO_LIMIT)


def _change(request: HttpRequest, member: User, form: Form, deed: Change) -> HttpResponseBase:
    actor = actor_of(request)
    blocked = storage_blocked(member) or _own(member, actor)
    notice, too_small, change = "", None, None
    if not blocked and form.is_valid():
        wanted = form.cleaned_data[deed.what]
        words = {"who": member, "wanted": deed.called(wanted)}
        try:
            if _confirms(request):
                try:
                    with audit.because(form.cleaned_data["reason"]):
                        deed.do(member, wanted, actor=actor, as_shown=request.POST.get("seen", ""))
                except workspace.NotAsShown:
                    notice = LOOK_AGAIN
                else:
                    messages.success(request, deed.done.format(**words))
                    return redirect("admin:person", member.pk)
            if not deed.is_so(member, wanted):
                change = deed.foresee(member, wanted)
            elif notice:
                messages.info(request, deed.again.format(**words))
                return redirect("admin:person", member.pk)
            else:
                form.add_error(deed.what, deed.already.format(**words))
        except workspace.StorageLimitExceeded as refusal:
            too_small = refusal
        except UserHasLeft:
            blocked = LEFT
    member.refresh_from_db()
    return shown(
        request,
        f"room/{deed.what}.html",
        title=f"Change the {deed.what} of {member}",
        what=f"Change {deed.what}",
        kind=deed.what,
        member=member,
        form=form,
        blocked=blocked,
        notice=notice,
        change=change if _goes_on(request) else None,
        room=storage_of(member),
        too_small=_too_small(request, member, too_small) if too_small else "",
    )


# --- Clean-up --------------------------------------------------------------------------------------------------------


@staff_page(*CLEAN_UP)
@asked_or_sent
def clean_up(request: HttpRequest, pk: int) -> HttpResponseBase:
    member = person_or_404(pk)
    blocked, notice, outcome = storage_blocked(member), "", None
    form = CleanUpForm(request.POST) if request.method == "POST" else CleanUpForm(initial=_asked_for(request))
    if not blocked and form.is_valid():
        if _confirms(request):
            try:
                return _cleaned_up(request, member, form)
            except workspace.ShownHasChanged as refusal:
                notice = _what_has_changed(refusal)
            except UserHasLeft:
                blocked = LEFT
        outcome = _foreseen(form, member)
    return shown(
        request,
        "room/clean_up.html",
        title=f"Clean up for {member}",
        what="Clean up",
        member=member,
        form=form,
        blocked=blocked,
        notice=notice,
        outcome=outcome if form.is_valid() and _goes_on(request) else None,
        lost=workspace.trash_lost_to(outcome) if outcome else [],
        seen=",".join(f"{project.code}-{project.version}" for project in outcome.removed) if outcome else "",
        used_after=outcome.storage.used_bytes - outcome.freed_bytes if outcome else 0,
        until=timezone.now() + timedelta(days=settings.TRASH_DAYS),
        room=storage_of(member),
        largest=largest_projects(member, limit=10) if not outcome else [],
    )


def _foreseen(form: CleanUpForm, member: User) -> workspace.CleanupOutcome | None:
    """What would go; why nothing can stands in the form."""
    try:
        outcome = workspace.try_clean_up(user=member, wanted=form.wanted())
    except workspace.ProjectNotFound as refusal:
        form.add_error("codes", f"They keep no project with the code “{refusal}”.")
        return None
    if not outcome.removed:
        form.add_error(None, "None of their projects matches: nothing would go.")
    elif not outcome.enough:
        most = megabytes_text(outcome.freed_bytes)
        form.add_error("free", f"All that matches would free {most} MB: ask for that or less, or widen the choice.")
    return outcome if form.is_valid() else None


def _cleaned_up(request: HttpRequest, member: User, form: CleanUpForm) -> HttpResponseBase:
    seen = numbered(request.POST.get("seen", ""))
    if seen is None:
        raise workspace.ShownHasChanged
    lost = [code for code in request.POST.get("lost", "").split(",") if code]
    with audit.because(form.cleaned_data["reason"]):
        outcome = workspace.clean_up_as_shown(user=member, actor=actor_of(request), shown=seen, lost=lost)
    text = format_html(
        "Put {} ({} MB) into the trash of {}, for {}.",
        counted(len(outcome.removed), "project"),
        megabytes_text(outcome.freed_bytes),
        member,
        counted(settings.TRASH_DAYS, "day"),
    )
    back = reverse("admin:restore", args=[member.pk])
    messages.success(request, format_html('{} <a href="{}">Restore some of it</a>', text, back))
    return redirect("admin:person", member.pk)


def _what_has_changed(refusal: workspace.ShownHasChanged) -> str:
    parts = []
    if refusal.gone:
        parts.append(f"no longer there: {', '.join(refusal.gone)}")
    if refusal.changed:
        parts.append(f"edited since: {', '.join(refusal.changed)}")
    return f"{LOOK_AGAIN} ({'; '.join(parts).capitalize()}.)" if parts else LOOK_AGAIN


def _asked_for(request: HttpRequest) -> dict[str, str]:
    """How much to free, where another page has sent somebody here for that."""
    return {"free": request.GET["free"][:30]} if "free" in request.GET else {}


# --- Back from the trash ---------------------------------------------------------------------------------------------


@staff_page(*CLEAN_UP)
@asked_or_sent
def restore(request: HttpRequest, pk: int) -> HttpResponseBase:
    member = person_or_404(pk)
    blocked, trash = storage_blocked(member), trash_of(member)[:MOST_RESTORED]
    form = RestoreForm(request.POST or None, trash=trash)
    if not blocked and form.is_valid():
        try:
            with audit.because(form.cleaned_data["reason"]):
                restored = workspace.restore_projects(
                    user=member, actor=actor_of(request), codes=form.cleaned_data["codes"]
                )
        except workspace.StorageLimitExceeded as refusal:
            more = megabytes_text(refusal.needed_bytes - refusal.available_bytes)
            form.add_error(None, f"Nothing was done: all that is ticked does not fit; {more} MB are wanting.")
        except workspace.ProjectLimitReached as refusal:
            form.add_error(None, f"Nothing was done: nobody keeps more than {counted(refusal.limit, 'project')}.")
        except workspace.ProjectNotFound as refusal:
            form.add_error(None, f"Nothing was done: {refusal} is not in the trash any more.")
        except UserHasLeft:
            blocked = LEFT
        else:
            messages.success(request, f"Restored {counted(len(restored), 'project')} of {member}.")
            return redirect("admin:person", member.pk)
    return shown(
        request,
        "room/restore.html",
        title=f"Restore projects of {member}",
        what="Restore",
        member=member,
        form=form,
        ticked=set(request.POST.getlist("codes")),
        blocked=blocked,
        trash=trash,
        room=storage_of(member),
    )


# --- All of them -----------------------------------------------------------------------------------------------------


def _own(member: User, actor: User) -> str:
    return OWN if member.pk == actor.pk and not actor.is_superuser else ""


def _confirms(request: HttpRequest) -> bool:
    return request.POST.get("step") == "confirm"


def _goes_on(request: HttpRequest) -> bool:
    """Not back to the form."""
    return request.POST.get("step") != "edit"


def _too_small(request: HttpRequest, member: User, refusal: workspace.StorageLimitExceeded) -> SafeString:
    """By how much they keep more than would be theirs, and the way to mend that for who may go it."""
    over = refusal.needed_bytes - refusal.limit_bytes
    text = format_html(
        "Nothing was done: they keep or have reserved {} MB, which is {} MB more than the {} MB that they would have.",
        *(megabytes_text(figure) for figure in (refusal.needed_bytes, over, refusal.limit_bytes)),
    )
    if not actor_of(request).has_perms(CLEAN_UP):
        return text
    address = f"{reverse('admin:clean-up', args=[member.pk])}?{urlencode({'free': megabytes_exactly(over)})}"
    return format_html('{} <a href="{}">Clean up {} MB first</a>', text, address, megabytes_text(over))


urlpatterns = [
    path("people/<int:pk>/plan/", change_plan, name="change-plan"),
    path("people/<int:pk>/limit/", change_limit, name="change-limit"),
    path("people/<int:pk>/clean-up/", clean_up, name="clean-up"),
    path("people/<int:pk>/restore/", restore, name="restore"),
]
