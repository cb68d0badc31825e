"""
Adjustments and refunds by staff: a form, what would come of it, and only then the deed.

Nothing is kept between the steps but what the page sends along. The form has its idempotency key from when it was
opened, so however often it is sent, it is done once; and it says what was shown before it was confirmed, so nothing is
done to a balance that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models.functions import Now
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.base import person_link
from accounts.models import User
from accounts.templatetags.figures import counted, signed, whole
from credits import services as credits
from credits.models import LedgerEntry, LotUse
from credits.queries import position_of
from credits.services.adjustments import MOST_PEOPLE
from unified.admin.adjusting_forms import AdjustForm, DeedForm, RefundForm, numbers, whole_number
from unified.admin.refusals import REFUSALS, in_words
from unified.admin.views import actor_of, asked_or_sent, person_or_404, shown, staff_page

ADJUST = ("accounts.view_user", "credits.adjust_account")
REFUND = ("accounts.view_user", "credits.view_ledgerentry", "credits.refund_ledgerentry")
LONGEST_LIST = 10  # of people in one message
PEOPLE = "person,people"
LOOK_AGAIN = "Nothing was done yet: look at the figures once more, and confirm them."


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the one who looks may move, for the page to show; or why they may move nothing."""

    limits: credits.Limits | None
    left_today: int | None = None
    refusal: str = ""


@staff_page(*ADJUST)
@asked_or_sent
def adjust(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _adjusting(request, [person_or_404(pk)])


@staff_page(*ADJUST)
@asked_or_sent
def adjust_many(request: HttpRequest) -> HttpResponseBase:
    """The same for everybody in `?people=1,2,3`: row ids, as the list of people sends them here."""
    ids = numbers(request.GET.get("people", ""))
    people = list(User.objects.filter(pk__in=ids).order_by("pk")) if ids and len(ids) <= MOST_PEOPLE else []
    if not ids:
        problem = "Whom? Tick people in the list of users, and choose “Adjust credits”."
    elif len(ids) > MOST_PEOPLE:
        problem = f"{whole(len(ids))} are too many people: {MOST_PEOPLE} can be adjusted at once."
    elif len(people) < len(ids):
        gone = ", ".join(str(pk) for pk in sorted(ids - {user.pk for user in people}))
        problem = f"There is nobody with row id {gone}: choose the people in the list of users again."
    else:
        return _adjusting(request, people, many=True)
    return shown(request, "adjust.html", title="Adjust credits of several people", problem=problem, status=400)


def _adjusting(request: HttpRequest, people: list[User], *, many: bool = False) -> HttpResponseBase:
    actor = actor_of(request)
    form = AdjustForm(request.POST) if request.method == "POST" else AdjustForm()
    step = request.POST.get("step", "preview")
    notice = again_error = ""
    foreseen: list[credits.Foreseen] = []
    if form.is_valid() and step == "confirm":
        total = form.cleaned_data["amount"] * len(people)
        seen = _balances_seen(request, people)
        if seen is None:
            notice = LOOK_AGAIN
        elif not (again_error := _again_error(request, total)):
            try:
                return _adjusted(request, people, _entries(form, people, actor, seen, many=many), many=many)
            except REFUSALS as refusal:
                notice = _note_refusal(form, refusal)
    if form.is_valid() and step != "edit":
        form.check_expiry()
    if form.is_valid():
        try:
            foreseen = credits.foresee(users=people, amount=form.cleaned_data["amount"], actor=actor)
        except REFUSALS as refusal:
            _note_refusal(form, refusal)
        refused = [one for one in foreseen if one.refusal is not None]
        if refused and many:
            whom = counted(len(refused), PEOPLE)
            form.add_error(None, f"Nobody can be adjusted like this, because of {whom}: see below.")
        elif refused:
            _note_refusal(form, refused[0].refusal)
    ready = bool(foreseen) and form.is_valid() and step != "edit"
    amount = form.cleaned_data["amount"] if ready else 0
    return shown(
        request,
        "adjust_preview.html" if ready else "adjust.html",
        title="Adjust credits of several people" if many else f"Adjust credits of {people[0]}",
        many=many,
        people=people,
        member=None if many else people[0],
        form=form,
        rows=[(one, in_words(one.refusal)[1] if one.refusal else "") for one in foreseen] if many or ready else [],
        positions=[(user, position_of(user)) for user in people] if not foreseen else [],
        allowance=_allowance(actor),
        blocked="" if many or form.is_bound else _blocked(people[0], actor),
        notice=notice,
        seen=",".join(str(one.position.balance) for one in foreseen),
        amount=amount,
        total=amount * len(people),
        button=_done(amount, len(people), many=many, words=("Add", "Take")),
        must_say_again=_must_say_again(amount * len(people)),
        confirm_above=settings.STAFF_CONFIRM_ABOVE,
        again_error=again_error,
    )


def _entries(
    form: AdjustForm, people: list[User], actor: User, seen: dict[int, int], *, many: bool
) -> list[LedgerEntry]:
    terms: dict[str, Any] = {
        "amount": form.cleaned_data["amount"],
        "reason": form.cleaned_data["reason"],
        "expires_at": form.cleaned_data["expires_at"],
        "idempotency_key": str(form.cleaned_data["key"]),
        "actor": actor,
    }
    if many:
        return credits.adjust_many(users=people, expected_balances=seen, **terms)
    return [credits.adjust(user=people[0], expected_balance=seen[people[0].pk], **terms)]


def _adjusted(request: HttpRequest, people: list[User], entries: list[LedgerEntry], *, many: bool) -> HttpResponseBase:
    amount = entries[0].amount
    done = _done(amount, len(people), many=many, words=("Added", "Took"))
    if not many:
        whom = "to" if amount > 0 else "from"
        text = format_html("{} {} {}: the balance is {} now.", done, whom, people[0], whole(entries[0].balance_after))
        messages.success(request, format_html("{} {}", text, _entry_link(entries[0])))
        return redirect("admin:person", people[0].pk)
    each = f"{done}, {signed(amount * len(people))} in all:"
    balances = format_html_join(
        ", ",
        '{} has {} now (<a href="{}">entry</a>)',
        (
            (person_link(user), whole(entry.balance_after), _entry_address(entry))
            for user, entry in list(zip(people, entries, strict=True))[:LONGEST_LIST]
        ),
    )
    more = f", and {len(people) - LONGEST_LIST} more" if len(people) > LONGEST_LIST else ""
    messages.success(request, format_html("{} {}{}.", each, balances, more))
    return redirect("admin:accounts_user_changelist")


def _done(amount: int, size: int, *, many: bool, words: tuple[str, str]) -> str:
    """ "Added 20 credits to each of 3 people"."""
    what = f"{words[0] if amount > 0 else words[1]} {counted(abs(amount), 'credit')}"
    return f"{what} {'to' if amount > 0 else 'from'} each of {counted(size, PEOPLE)}" if many else what


# --- Refunds ---------------------------------------------------------------------------------------------------------


@staff_page(*REFUND)
@asked_or_sent
def refund(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    entry = get_object_or_404(LedgerEntry.objects.select_related("account__user", "app", "operation"), pk=pk)
    actor = actor_of(request)
    user = entry.account.user
    left = max(0, -entry.amount - credits.refunded_of(entry))
    form = RefundForm(request.POST) if request.method == "POST" else RefundForm(initial={"amount": left or None})
    step = request.POST.get("step", "preview")
    notice = again_error = ""
    if form.is_valid() and step == "confirm":
        seen = numbers(request.POST.get("seen", ""))
        if len(seen) != 1:
            notice = LOOK_AGAIN
        elif not (again_error := _again_error(request, form.cleaned_data["amount"])):
            try:
                return _refunded(request, entry, _refund(form, entry, actor, expected_left=seen.pop()))
            except REFUSALS as refusal:
                notice = _note_refusal(form, refusal)
            left = max(0, -entry.amount - credits.refunded_of(entry))
    if form.is_valid():
        _foresee_refund(form, entry, actor, left)
    ready = form.is_valid() and step != "edit"
    amount = form.cleaned_data["amount"] if ready else 0
    position = position_of(user)
    return shown(
        request,
        "refund.html",
        title="Refund a transaction",
        entry=entry,
        member=user,
        form=form,
        ready=ready,
        left=left,
        refunded=-entry.amount - left,
        left_after=left - amount,
        position=position,
        balance_after=position.balance + amount,
        comes_back_for_hours=settings.REFUND_GRACE_HOURS if ready and _took_what_has_expired(entry) else 0,
        allowance=_allowance(actor),
        blocked="" if form.is_bound else _not_refundable(entry, left) or _blocked(user, actor),
        notice=notice,
        seen=left,
        amount=amount,
        total=amount,
        button=f"Refund {counted(amount, 'credit')}",
        must_say_again=_must_say_again(amount),
        confirm_above=settings.STAFF_CONFIRM_ABOVE,
        again_error=again_error,
    )


def _refund(form: RefundForm, entry: LedgerEntry, actor: User, *, expected_left: int) -> LedgerEntry:
    back, _, _ = credits.refund(
        entry=entry,
        amount=form.cleaned_data["amount"],
        reason=form.cleaned_data["reason"],
        actor=actor,
        idempotency_key=str(form.cleaned_data["key"]),
        expected_left=expected_left,
    )
    return back


def _foresee_refund(form: RefundForm, entry: LedgerEntry, actor: User, left: int) -> None:
    """What would be in the way stands in the form. Nothing is locked, so the deed itself looks again."""
    amount = form.cleaned_data["amount"]
    if problem := _not_refundable(entry, left) or _blocked(entry.account.user, actor):
        form.add_error(None, problem)
    elif amount > left:
        form.add_error("amount", f"Only {counted(left, 'credit')} of this transaction can be refunded yet.")
    else:
        try:
            credits.check_limits(actor, amount, limits=credits.limits_of(actor))
        except REFUSALS as refusal:
            _note_refusal(form, refusal)


def _refunded(request: HttpRequest, entry: LedgerEntry, back: LedgerEntry) -> HttpResponseBase:
    user = entry.account.user
    text = format_html(
        "Refunded {} to {}: the balance is {} now.", counted(back.amount, "credit"), user, whole(back.balance_after)
    )
    messages.success(request, format_html("{} {}", text, _entry_link(back)))
    return redirect("admin:person", user.pk)


def _not_refundable(entry: LedgerEntry, left: int) -> str:
    if entry.type != LedgerEntry.Type.DEDUCTION:
        return f"Only a deduction can be refunded; this is of type “{entry.get_type_display()}”."
    return "" if left else "All of this transaction has been refunded already."


def _took_what_has_expired(entry: LedgerEntry) -> bool:
    return LotUse.objects.filter(entry=entry, amount__lt=0, lot__expires_at__lte=Now()).exists()


# --- Both ------------------------------------------------------------------------------------------------------------


def _allowance(actor: User) -> Allowance:
    try:
        limits = credits.limits_of(actor)
    except credits.AdjustmentNotAllowed as refusal:
        return Allowance(None, refusal=in_words(refusal)[1])
    return Allowance(limits, credits.left_today(actor))


def _blocked(user: User, actor: User) -> str:
    """Why nothing can be done for this person by this member of staff, whatever the amount."""
    if user.deleted_at is not None:
        return "This person has left: their credits stay as they are."
    if user.pk == actor.pk and not actor.is_superuser:
        return in_words(credits.OwnAccount())[1]
    return _allowance(actor).refusal


def _note_refusal(form: DeedForm, refusal: Exception | None) -> str:
    """Puts what is in the way into the form; what only has to be looked at again is returned, to stand above it."""
    field, text = in_words(refusal)
    why = refusal.why if isinstance(refusal, credits.NotAdjusted) else refusal
    if isinstance(why, (credits.BalanceHasChanged, credits.LeftHasChanged)):
        return text
    if isinstance(why, credits.AdjustmentKeyReused):
        form.renew_key()
    form.add_error(field if field in form.fields else None, text)
    return ""


def _balances_seen(request: HttpRequest, people: list[User]) -> dict[int, int] | None:
    """What was shown before it was confirmed, by row id; None if the page does not say, for each of them."""
    parts = request.POST.get("seen", "").split(",")
    if len(parts) != len(people) or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        return None
    return {user.pk: int(part) for user, part in zip(people, parts, strict=True)}


def _must_say_again(total: int) -> bool:
    return abs(total) > settings.STAFF_CONFIRM_ABOVE


def _again_error(request: HttpRequest, total: int) -> str:
    if not _must_say_again(total) or whole_number(request.POST.get("again", "")) == total:
        return ""
    return f"Nothing was done yet. To confirm, type {signed(total) if total < 0 else whole(total)} here."


def _entry_address(entry: LedgerEntry) -> str:
    return reverse("admin:credits_ledgerentry_change", args=[entry.pk])


def _entry_link(entry: LedgerEntry) -> SafeString:
    return format_html('Entry <a href="{}">{}</a>.', _entry_address(entry), entry.pk)


urlpatterns = [
    path("people/<int:pk>/adjust/", adjust, name="adjust"),
    path("people/adjust/", adjust_many, name="adjust-many"),
    path("entries/<uuid:pk>/refund/", refund, name="refund"),
]
