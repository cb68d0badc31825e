"""
A list as it is filtered, as a CSV file, made line by line while it is sent.

Neither memory nor queries depend on how long the list is: the rows are those of one statement, whose result the
database keeps while it is fetched in parts. It is no transaction, so a slow download holds nothing up.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, date, datetime
from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.options import IncorrectLookupParameters, ModelAdmin
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import OperationalError
from django.db.models import ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.text import slugify
from django.views.decorators.http import require_GET
from psycopg2.errors import InvalidCursorName

from accounts import audit
from accounts.admin.base import uuid_of
from accounts.models import App, AuditEntry, Plan, User
from credits.models import Account, Operation
from unified.admin.views import staff_page
from unified.api.figures import timestamp
from unified.csv_lines import csv_line

ROWS_AT_ONCE = 2_000  # fetched
LINES_IN_A_PIECE = 200  # sent
PERSONAL = ("username", "email", "title")  # columns whose text is somebody's: not for the audit


class _Uncounted(Paginator):
    """For a list that is exported whole: how many rows it has is not asked."""

    count = 0


@staff_page("accounts.export_lists")
@require_GET
def export(request: HttpRequest, app_label: str, model_name: str) -> HttpResponseBase:
    """
    The rows of the model's list under the same filters, search and order. What the list cannot be filtered by leads
    back to it, as there; so does an export that takes the database too long.
    """
    model_admin = _exportable(app_label, model_name)
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    the_list = reverse(f"admin:{app_label}_{model_name}_changelist")
    try:
        rows = _rows(request, model_admin)
    except IncorrectLookupParameters:
        return redirect(f"{the_list}?{ERROR_FLAG}=1")
    lines = _lines(model_admin, rows)
    try:
        first = next(lines)
    except (OperationalError, InvalidCursorName) as error:
        # A cursor that could not be opened cannot be closed either, and Django tries: what was wrong is its context.
        if not isinstance(error, OperationalError) and not isinstance(error.__context__, OperationalError):
            raise
        messages.error(request, "The export took too long. Filter the list, for instance by days, and export in parts.")
        return redirect(f"{the_list}?{request.GET.urlencode()}")
    audit.record(
        AuditEntry.Event.LIST_EXPORTED,
        actor=request.user,  # type: ignore[arg-type]
        what=model_admin.model._meta.label_lower,
        filters={name: _told(name, request.GET[name]) for name in sorted(request.GET)},
    )
    response = StreamingHttpResponse(_Sent(first, lines), content_type="text/csv; charset=utf-8")
    name = f"{slugify(model_admin.model._meta.verbose_name_plural)}-{datetime.now(UTC).date()}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _exportable(app_label: str, model_name: str) -> Any:
    """The model's admin, if it has columns to export; else there is nothing at this address."""
    try:
        model_admin = admin.site.get_model_admin(apps.get_model(app_label, model_name))
    except (LookupError, NotRegistered):
        raise Http404 from None
    if not getattr(model_admin, "export_columns", ()):
        raise Http404
    return model_admin


def _rows(request: HttpRequest, model_admin: ModelAdmin) -> QuerySet[Any]:
    """What the list shows on all its pages, with what the columns need of other tables. No query."""
    whole: Any = copy.copy(model_admin)
    whole.paginator, whole.show_full_result_count = _Uncounted, False
    rows = whole.get_changelist_instance(request).queryset
    needed = [path for name in whole.export_columns for path in _joined(whole.model, name)]
    return rows.select_related(*needed) if needed else rows  # type: ignore[no-any-return]


def _joined(model: type[Model], name: str) -> list[str]:
    """The relations that the text of a column is read over."""
    field = next((field for field in model._meta.concrete_fields if field.name == name), None)
    if not isinstance(field, ForeignKey):
        return []
    return [f"{name}__user" if field.related_model is Account else name]


def _lines(model_admin: Any, rows: QuerySet[Any]) -> Generator[str, None, None]:
    """The header and the first row come together: trouble with the statement is still an answer. Then many at once."""
    columns = [_reader(model_admin, name) for name in model_admin.export_columns]
    unsent, enough = [csv_line(model_admin.export_columns)], 2
    for row in rows.iterator(chunk_size=ROWS_AT_ONCE):
        unsent.append(csv_line([read(row) for read in columns]))
        if len(unsent) >= enough:
            yield "".join(unsent)
            unsent, enough = [], LINES_IN_A_PIECE
    if unsent:
        yield "".join(unsent)


class _Sent:
    """What is sent. Where that ends before it is all sent, it is closed, and what the database keeps for it with it."""

    def __init__(self, first: str, rest: Generator[str, None, None]) -> None:
        self._first, self._rest = first, rest

    def __iter__(self) -> Iterator[str]:
        yield self._first
        yield from self._rest

    def close(self) -> None:
        self._rest.close()


def _reader(model_admin: Any, name: str) -> Callable[[Any], Any]:
    """What reads a column off a row: a method of the admin, or an attribute or method of the row, as in lists."""
    method = getattr(model_admin, name, None)
    is_field = name in {field.name for field in model_admin.model._meta.concrete_fields}
    if callable(method) and not is_field:
        return lambda row: _text(method(row))

    def read(row: Any) -> Any:
        value = getattr(row, name)
        return _text(value() if callable(value) else value)

    return read


def _text(value: Any) -> Any:
    """A value as the file has it: times as the API writes them, people by user id, other rows by what names them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, User):
        return value.user_id
    if isinstance(value, Account):
        return value.user.user_id
    if isinstance(value, App | Plan | Operation):
        return value.slug
    return str(value.pk if isinstance(value, Model) else value)


def _told(name: str, value: str) -> str:
    """A filter as the audit has it, which keeps no name and no e-mail: a search text only if it is an id."""
    if name == "q":
        known = value.isdigit() or uuid_of(value) or User.objects.filter(user_id=value.replace("\0", "")).exists()
        return value if known or not value else "(a text)"
    return "(a text)" if "@" in value or any(word in name for word in PERSONAL) else value


urlpatterns: list[URLPattern] = [path("export/<str:app_label>/<str:model_name>/", export, name="export")]
