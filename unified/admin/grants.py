"""
Credits for many people from a file: checked first, run line by line, and each line's outcome shown.

A file is run in steps of a second or two: by the page, which asks for one after the other for as long as it is open
(`static/grants.js`, or without scripts a button), and by the sweep. Whoever may look at grant files sees them all;
whoever may make them starts their own, and continues anybody's, in the name of the one who sent it.
"""

from __future__ import annotations

import time
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST, require_safe

from accounts.reasons import ReasonField
from credits import services as credits
from credits.grant_csv import MAX_BYTES, MAX_LINES
from credits.models import DESCRIPTION_MAX_LENGTH, MAX_AMOUNT, GrantFile, GrantLine
from unified.admin.views import asked_or_sent, shown, staff_page

LOOK = "credits.view_grantfile"
SEND = "credits.add_grantfile"
FILES_SHOWN = 20
WRONG_LINES_SHOWN = 200
LINES_A_PAGE = 100
STEP_SECONDS = 1.5  # then the page hears how far it is
LINES_AT_ONCE = 20  # between two looks at the clock


class FileForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        help_text=f"Up to {MAX_LINES:,} lines and {MAX_BYTES // 1024 // 1024} MB, in UTF-8.",
        error_messages={"empty": "The file is empty."},
    )
    reason = ReasonField(
        max_length=DESCRIPTION_MAX_LENGTH,
        help_text="Why these people get credits. They read it in their history, and it stays in the audit.",
    )
    expires_at = forms.DateTimeField(
        required=False,
        label="The credits expire at",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="In UTC. Left empty, they never expire.",
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:  # before it is read
            raise forms.ValidationError(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Send it in parts.")
        return file


@staff_page(SEND)
@asked_or_sent
def grants(request: HttpRequest) -> HttpResponseBase:
    form = FileForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid() and (file := _checked(request, form)) is not None:
        return redirect("admin:grant-file", file.pk)
    return shown(
        request,
        "grants/upload.html",
        title="Grant credits from a file",
        form=form,
        files=GrantFile.objects.select_related("actor")[:FILES_SHOWN],
        most=MAX_AMOUNT,
        status=400 if form.errors else 200,
    )


def _checked(request: HttpRequest, form: FileForm) -> GrantFile | None:
    """The file as it was taken in; None, with the form saying why, if it was not."""
    sent = form.cleaned_data["file"]
    try:
        return credits.check_file(
            name="".join(letter for letter in sent.name if letter.isprintable()),
            data=sent.read(),
            reason=form.cleaned_data["reason"],
            expires_at=form.cleaned_data["expires_at"],
            actor=request.user,  # type: ignore[arg-type]
        )
    except credits.UnreadableFile as refusal:
        form.add_error("file", str(refusal))
    except credits.InvalidGrant as refusal:
        form.add_error("expires_at", str(refusal))
    except credits.AdjustmentNotAllowed as refusal:
        form.add_error(None, str(refusal))
    return None


@staff_page(LOOK)
@require_safe
def grant_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    file = get_object_or_404(GrantFile.objects.select_related("actor"), pk=pk)
    progress = credits.progress_of(file)
    outcome = request.GET.get("outcome", "")
    return shown(
        request,
        "grants/file.html",
        title=f"Grant file: {file.name}",
        file=file,
        progress={**progress, "run": progress["granted"] + progress["failed"]},
        outcome=outcome if outcome in GrantLine.Outcome.values else "",
        lines=_page_of_lines(request, file, outcome),
        may_send=request.user.has_perm(SEND),
        **(_start(request, file) if file.state == GrantFile.State.CHECKED else {}),
    )


def _page_of_lines(request: HttpRequest, file: GrantFile, outcome: str) -> Any:
    # By the index of numbers in a file, and only what is shown is joined: right after a big file came in, the planner
    # knows nothing of its fifty thousand lines.
    lines = file.lines.order_by("number").values_list("pk", flat=True)
    if outcome in GrantLine.Outcome.values:
        lines = lines.filter(outcome=outcome)
    if file.state == GrantFile.State.REFUSED:
        lines = lines[:WRONG_LINES_SHOWN]
    page: Any = Paginator(lines, WRONG_LINES_SHOWN if file.state == GrantFile.State.REFUSED else LINES_A_PAGE).get_page(
        request.GET.get("page")
    )
    shown_lines = GrantLine.objects.filter(pk__in=list(page.object_list)).select_related("user__account", "entry")
    page.object_list = list(shown_lines.order_by("number"))
    for line in page:
        account = getattr(line.user, "account", None)  # made with the first entry
        line.before = account.balance if account else 0
        line.after = line.before + (line.amount or 0)
    return page


def _start(request: HttpRequest, file: GrantFile) -> dict[str, Any]:
    """What whoever looks at a checked file has to know before they start it, or why they cannot."""
    context: dict[str, Any] = {
        "run_before": credits.run_before(file),
        "is_own": file.actor_id == request.user.pk,
        "must_say_again": file.total > settings.STAFF_CONFIRM_ABOVE,
        "confirm_above": settings.STAFF_CONFIRM_ABOVE,
    }
    try:
        context["left_today"] = left = credits.left_today(file.actor)
    except credits.AdjustmentNotAllowed as refusal:
        return {**context, "refusal": str(refusal)}
    return {**context, "too_much": left is not None and file.total > left}


@staff_page(SEND)
@require_POST
def grant_file_start(request: HttpRequest, pk: int) -> HttpResponse:
    file = get_object_or_404(GrantFile, pk=pk)
    said = request.POST.get("total", "").strip().replace(",", "")
    if file.state == GrantFile.State.CHECKED and file.total > settings.STAFF_CONFIRM_ABOVE and said != str(file.total):
        messages.error(request, f"Nothing was started: type the {file.total:,} credits of the file once more.")
        return redirect("admin:grant-file", pk)
    try:
        credits.start_file(file=file, actor=request.user, again=bool(request.POST.get("again")))  # type: ignore[arg-type]
    except credits.RunBefore:
        messages.error(request, "Nothing was started: the very same file was run before. Tick the box if you mean it.")
    except credits.AdjustmentLimitExceeded as refusal:
        messages.error(
            request,
            f"Nothing was started: the file comes to {file.total:,} credits, and you can give"
            f" {refusal.left_today or 0:,} more in these 24 hours.",
        )
    except (credits.NotStartable, credits.InvalidGrant, credits.AdjustmentNotAllowed) as refusal:
        messages.error(request, f"Nothing was started. {refusal}")
    return redirect("admin:grant-file", pk)


@staff_page(SEND)
@require_POST
def grant_file_step(request: HttpRequest, pk: int) -> HttpResponse:
    """Runs lines for a second or two, and says how far the file is. A file that is not running is left as it is."""
    file = get_object_or_404(GrantFile, pk=pk)
    until = time.monotonic() + STEP_SECONDS
    while credits.run_lines(file=file, limit=LINES_AT_ONCE) and time.monotonic() < until:
        pass
    if not request.accepts("text/html"):  # the script, not the button
        file.refresh_from_db()
        counts = credits.progress_of(file)
        return JsonResponse(
            {
                "state": file.state,
                "done": counts["granted"],
                "failed": counts["failed"],
                "waiting": counts["waiting"],
                "total": file.line_count,
            }
        )
    return redirect("admin:grant-file", pk)


urlpatterns: list[URLPattern] = [
    path("grants/", grants, name="grants"),
    path("grants/<int:pk>/", grant_file, name="grant-file"),
    path("grants/<int:pk>/start/", grant_file_start, name="grant-file-start"),
    path("grants/<int:pk>/step/", grant_file_step, name="grant-file-step"),
]
