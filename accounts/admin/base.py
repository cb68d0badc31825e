"""
What every list and form of the staff's admin is made of. The domain apps' `admin.py` are built on these.

- `ReadOnlyAdmin`: what only services may change.
- `AuditedAdmin`: what staff may change, with a reason, and never without a trace.
- `OfPersonMixin`: rows that belong to somebody; they are found by who that is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.paginator import Page, Paginator
from django.db import models
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.reasons import ReasonField, reason_of

MOST_PEOPLE_SEARCHED = 1_000
NEAR_PAGES = 10
_LOOKUPS = frozenset({"exact", "iexact", "in", "isnull", "gt", "gte", "lt", "lte"})


class ReasonForm(forms.ModelForm):
    """A form of the admin that asks why."""

    reason = ReasonField(widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}))


class ReasonActionForm(ActionForm):
    """The bar above a list: what to do with the rows that are ticked, and why."""

    reason = ReasonField(
        required=False,
        label="Reason:",
        widget=forms.TextInput(attrs={"placeholder": "Why? It stays in the audit.", "class": "action-reason"}),
    )


class PlainLookupsMixin:
    """
    An address can ask for what the list's filters ask for, and for rows of somebody or something (`user__exact`); for
    no other column, and for no part of a date. Else it could ask for the year 99999, which no database has, for text
    where the column holds bytes, or, by halving, for what a page does not show.
    """

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        first, last = lookup.partition("__")[0], lookup.rpartition("__")[2]
        filtered = _fields_filtered(self)
        columns = {field.name: field for field in self.model._meta.concrete_fields}  # type: ignore[attr-defined]
        if first in columns and not columns[first].is_relation and first not in filtered:
            return False  # (what is no column at all is a filter's own word)
        plain = "__" not in lookup or last in _LOOKUPS or lookup in filtered
        return plain and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]


class FarPages(Paginator):
    """
    A list of a million rows has ten thousand pages, and a link to the last. Far ones are found by the rows' keys alone,
    counted from the nearer end, and only what is shown is joined: else everything before the page would be joined too,
    and thrown away.
    """

    def page(self, number: Any) -> Any:
        number = self.validate_number(number)
        if number <= NEAR_PAGES:
            return super().page(number)
        rows: Any = self.object_list
        first, after = (number - 1) * self.per_page, min(number * self.per_page, self.count)
        if first > self.count // 2:
            keys = list(rows.reverse().values_list("pk", flat=True)[self.count - after : self.count - first])
        else:
            keys = list(rows.values_list("pk", flat=True)[first:after])
        return Page(rows.filter(pk__in=keys), number, self)


class ReadOnlyAdmin(PlainLookupsMixin, admin.ModelAdmin):
    """
    For what only the services may change: look, but do not touch. Refused whatever the permissions say.
    `export_columns` are the attributes that its CSV has, if there is one (see `unified.admin.exports`).
    """

    actions = None
    paginator = FarPages
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count for each choice of each filter would read the whole table
    export_columns: tuple[str, ...] = ()

    def get_readonly_fields(self, request: Any, obj: Any = None) -> list[str]:
        """Every column, also those that no form would have."""
        return [field.name for field in self.model._meta.concrete_fields if field.name not in (self.exclude or ())]

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False


class AuditedAdmin(PlainLookupsMixin, admin.ModelAdmin):
    """
    Whoever adds, changes or acts says why; what was and what is are written down in the same transaction. Nothing is
    ever deleted. Where the services that do the deed write it down themselves, `services_record` is set.
    """

    form = ReasonForm
    action_form = ReasonActionForm
    services_record = False
    paginator = FarPages
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    export_columns: tuple[str, ...] = ()
    # Actions that only lead to a page which asks for the reason itself.
    actions_that_ask: ClassVar[Collection[str]] = ()

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        may_write = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        without = [(title, {**options, "fields": _without_reason(options["fields"])}) for title, options in fieldsets]
        return [*without, ("Why", {"fields": ("reason",)})] if may_write else without

    def changeform_view(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with audit.because(reason_of(request)):
            return super().changeform_view(request, *args, **kwargs)

    def changelist_view(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with audit.because(reason_of(request)):
            return super().changelist_view(request, *args, **kwargs)

    def response_action(self, request: Any, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        asks = request.POST.get("action") in self.actions_that_ask
        if not asks and not reason_of(request).strip():
            messages.error(request, "Nothing was done: say why, in the field beside the action.")
            return None
        return super().response_action(request, queryset, *args, **kwargs)

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        """The last step of every form: what it has changed goes into the audit."""
        super().save_related(request, form, formsets, change)
        if self.services_record:
            return
        names = [name for name in form.changed_data if name != "reason"]
        if change and not names:
            return
        before = {name: told(form.initial.get(name)) for name in names} if change else None
        after = {name: told(form.cleaned_data.get(name)) for name in names}
        event = AuditEntry.Event.CHANGED if change else AuditEntry.Event.ADDED
        self.record(request, event, form.instance, before=before, after=after)

    def record(self, request: Any, event: AuditEntry.Event, row: models.Model, **details: Any) -> None:
        """Writes down what was done to `row`. Called in the transaction of the deed."""
        audit.record(
            event, actor=request.user, what=row._meta.label_lower, which=str(row.pk), called=str(row), **details
        )

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False  # what stands on it stays; withdraw it, or switch it off


class OfPersonMixin:
    """
    Rows that belong to a person. `person_path` leads to them; search finds the person first, so that a ledger of
    millions is never read for a name. `search_ids` are columns that the text may be as it stands.
    """

    person_path = "user"
    search_ids: tuple[str, ...] = ()

    @admin.display(description="user")
    def person(self, row: Any) -> SafeString | str:
        for step in self.person_path.split("__"):
            row = getattr(row, step)
        return person_link(row)

    def get_search_results(self, request: Any, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\0", "")
        if not text:
            return queryset, False
        found = Q(**{f"{self.person_path}__in": people_called(text)})
        for column in self.search_ids:
            field: Any = queryset.model._meta.get_field(column)
            if not isinstance(getattr(field, "target_field", field), models.UUIDField):
                found |= Q(**{column: text})
            elif (identifier := uuid_of(text)) is not None:
                found |= Q(**{column: identifier})
        return queryset.filter(found), False


def people_called(text: str) -> list[int]:
    """Row ids of people with this in their user id, name or e-mail, the first thousand. One query."""
    known = Q(user_id=text) | Q(username__icontains=text) | Q(email__icontains=text)
    return list(User.objects.filter(known).values_list("pk", flat=True).order_by()[:MOST_PEOPLE_SEARCHED])


def uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def person_link(user: User | None) -> SafeString | str:
    """The person, leading to their page in the admin."""
    return format_html('<a href="{}">{}</a>', reverse("admin:person", args=[user.pk]), user) if user else "–"


def told(value: Any) -> Any:
    """A value as the audit has it: names for rows, text for what JSON has no form for."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, models.Model):
        return str(value)
    if isinstance(value, (list, tuple, set, QuerySet)):
        return sorted(str(item) for item in value)
    return str(value)


def _without_reason(fields: Any) -> list[Any]:
    return [name for name in fields if name != "reason"]


def _fields_filtered(model_admin: Any) -> set[str]:
    """What the lists' own filters ask for."""
    filters: list[str | type | tuple[str, Callable[..., Any]]] = list(model_admin.list_filter)
    names = [item[0] if isinstance(item, tuple) else item for item in filters]
    return {name for name in names if isinstance(name, str)}
