"""What staff type to change somebody's plan or limit, to clean up for them, and to open what they keep."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms

from accounts.models import App, Plan, User
from accounts.reasons import ReasonField
from accounts.templatetags.figures import counted
from unified.api.figures import MEGABYTE
from workspace import codes
from workspace.models import Project
from workspace.services import Cleanup, Strategy

LARGEST_LIMIT = 100 * 1024 * MEGABYTE  # 100 GB: beyond that, somebody has mistaken bytes for megabytes
MOST_DAYS = 36_500
MOST_CODES = 1_000
_MEGABYTES = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_BETWEEN_CODES = re.compile(r"[\s,;]+")


def megabytes_exactly(size_bytes: int) -> str:
    """As it is typed: with seven decimals, which tell every byte from the next."""
    return f"{Decimal(size_bytes) / MEGABYTE:.7f}".rstrip("0").rstrip(".")


class MegabytesField(forms.CharField):
    """
    Megabytes as a person types them, "2.5"; in `cleaned_data`, bytes. (A number field of HTML would change under the
    mouse wheel, and takes a comma or a point as the browser's language has it.)
    """

    widget = forms.TextInput(attrs={"autocomplete": "off", "inputmode": "decimal"})

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        if not _MEGABYTES.fullmatch(text):
            raise forms.ValidationError("Write megabytes as a number such as 20 or 2.5: with a point, no commas.")
        size_bytes = round(Decimal(text) * MEGABYTE)
        if size_bytes < 1:
            raise forms.ValidationError("That is less than a byte.")
        if size_bytes > LARGEST_LIMIT:
            raise forms.ValidationError(f"At the most {LARGEST_LIMIT // MEGABYTE} MB, which are 100 GB.")
        return size_bytes


class PlanField(forms.ModelChoiceField):
    def label_from_instance(self, plan: Plan) -> str:
        offered = "" if plan.is_offered else ", not offered"
        room = megabytes_exactly(plan.storage_limit_bytes)
        return f"{plan.name}: {room} MB, {counted(plan.monthly_credits, 'credit')} a month{offered}"


class PlanForm(forms.Form):
    plan = PlanField(
        queryset=Plan.objects.order_by("rank", "pk"),
        empty_label="Choose a plan",
        error_messages={"required": "Choose a plan.", "invalid_choice": "There is no such plan (any more)."},
    )
    reason = ReasonField()


class LimitForm(forms.Form):
    limit = MegabytesField(
        label="Limit in MB",
        help_text="Such as 20 or 2.5, up to 102400 (100 GB). It holds until the person's plan is changed.",
        error_messages={"required": "Say how many megabytes."},
    )
    reason = ReasonField()


class CleanUpForm(forms.Form):
    """At least one of the first four says what may go: an empty form must not empty a workspace."""

    free = MegabytesField(
        required=False,
        label="Free so many MB",
        help_text="Just as many projects go as free that much. Left empty, all that match go.",
    )
    older_than = forms.IntegerField(
        required=False,
        label="Not changed for so many days",
        min_value=1,
        max_value=MOST_DAYS,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
        error_messages={
            "invalid": "Write whole days, such as 90.",
            "min_value": "One day at the least.",
            "max_value": f"At the most {MOST_DAYS} days.",
        },
    )
    app = forms.ModelChoiceField(queryset=App.objects.all(), required=False, label="Made by", empty_label="any app")
    codes = forms.CharField(
        required=False,
        label="These projects only",
        max_length=20 * MOST_CODES,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Project codes as the person says them, with spaces or commas between them.",
    )
    strategy = forms.ChoiceField(
        required=False,
        label="In this order",
        choices=[(Strategy.OLDEST.value, "The longest unchanged first"), (Strategy.LARGEST.value, "The largest first")],
    )
    reason = ReasonField()

    def clean_codes(self) -> list[str]:
        typed = [code for code in _BETWEEN_CODES.split(self.cleaned_data["codes"]) if code]
        if len(typed) > MOST_CODES:
            raise forms.ValidationError(f"At the most {MOST_CODES} codes.")
        return typed

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        asked = ("free", "older_than", "app", "codes")
        if not any(cleaned.get(name) or name in self.errors for name in asked):
            self.add_error(None, "Say what may go: how much is to be freed, how old it is, which app’s, or which ones.")
        return cleaned

    def wanted(self) -> Cleanup:
        days = self.cleaned_data["older_than"]
        return Cleanup(
            free_bytes=self.cleaned_data["free"],
            older_than=timedelta(days=days) if days else None,
            codes=self.cleaned_data["codes"] or None,
            app=self.cleaned_data["app"],
            strategy=Strategy(self.cleaned_data["strategy"] or Strategy.OLDEST),
        )


class RestoreForm(forms.Form):
    """What is ticked of the person's trash."""

    codes = forms.MultipleChoiceField(error_messages={"required": "Tick what is to be restored."})
    reason = ReasonField()

    def __init__(self, *args: Any, trash: list[Project], **options: Any) -> None:
        super().__init__(*args, **options)
        codes_field: Any = self.fields["codes"]
        codes_field.choices = [(project.code, project.code) for project in trash]
        codes_field.error_messages["invalid_choice"] = (
            "Nothing was done: %(value)s is not in the trash (any more). Look again."
        )


class OpenForm(forms.Form):
    how = forms.ChoiceField(choices=[("shown", "Show it"), ("downloaded", "Download it")])
    reason = ReasonField()


def numbered(text: str) -> dict[str, int] | None:
    """Codes and versions in "7K3M9Q-1,ABCDEF-12", as our pages send them along; None if it is anything else."""
    found: dict[str, int] = {}
    for part in text.split(","):
        code, _, version = part.partition("-")
        if codes.fold(code) != code or not (version.isascii() and version.isdigit() and len(version) < 10):
            return None
        found[code] = int(version)
    return found


def storage_blocked(member: User) -> str:
    """Why nothing can be done about this person's room."""
    return "This person has left: there is nothing of theirs any more." if member.deleted_at is not None else ""
