"""
Nothing in the admin can change or delete an entry: not its own pages, not bulk actions, not cascades, not a person's
deletion. Every address of the admin is tried, as a superuser, with forms that mean harm.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import NestedObjects
from django.db import connection, transaction
from django.db.models import ProtectedError
from django.db.utils import IntegrityError
from django.test import Client as Browser
from django.urls import get_resolver

from accounts.models import App, AuditEntry, Plan, User
from credits.models import Account, Grant, Hold, LedgerEntry, LotClaim, LotUse, Operation
from tests.admin.conftest import WHY
from unified import services

BOOKS = (Account, LedgerEntry, Grant, LotUse, Hold, LotClaim, AuditEntry)
ENTERED = (LedgerEntry, LotUse, LotClaim)  # never changed at all; the others have counters or an end


def books() -> dict[str, list[Any]]:
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in BOOKS}


def harmful_forms(model: Any, pks: list[str]) -> list[dict[str, Any]]:
    filled_in = {field.name: "1" for field in model._meta.concrete_fields}
    return [
        {
            "action": "delete_selected",
            "_selected_action": pks,
            "post": "yes",
            "select_across": "1",
            "index": "0",
            **WHY,
        },
        {"post": "yes", **WHY},
        {**filled_in, "_save": "Save", **WHY},
        {**filled_in, "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": pks[0], "_save": "Save", **WHY},
    ]


@pytest.mark.parametrize("model", BOOKS, ids=lambda model: model.__name__)
@pytest.mark.usefixtures("demo", "dealings")
def test_no_page_of_theirs_takes_anything(model: Any, staff: Browser) -> None:
    staff.post("/admin/accounts/user/", {"action": "cut_off", "_selected_action": ["1"], **WHY})
    before = books()
    pks = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)]
    assert pks or model is AuditEntry
    base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"

    for path in ("", "add/", *(f"{pks[0]}/{page}/" for page in ("change", "delete", "history") if pks)):
        for form in harmful_forms(model, pks or ["1"]):
            assert staff.post(f"{base}{path}", form).status_code in (200, 302, 403, 405), path

    assert books() == before


@pytest.mark.usefixtures("demo", "dealings")
def test_no_delete_page_there_is_for_anything(staff: Browser) -> None:
    """Then nothing can be deleted that an entry stands on, and no cascade begins."""
    for model, model_admin in admin.site._registry.items():
        row = model._default_manager.first()
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk if row else 1}/delete/"
        answer = staff.post(path, {"post": "yes", **WHY})
        assert answer.status_code in (403, 404) or (answer.status_code == 302 and row is None), model
        assert "delete_selected" not in model_admin.get_actions(answer.wsgi_request), model


@pytest.mark.parametrize("model", [User, App, Plan, Operation, Account], ids=lambda model: model.__name__)
def test_what_the_books_stand_on_cannot_be_deleted_by_code_either(model: Any, demo: User, dealings: User) -> None:
    before = books()
    row = {User: demo, App: App.objects.get(slug="imagegene"), Plan: demo.plan}.get(model) or model.objects.first()
    if model is Operation:
        row = Operation.objects.get(pk=LedgerEntry.objects.exclude(operation=None).values_list("operation")[0][0])

    with pytest.raises(ProtectedError), transaction.atomic():
        row.delete()

    assert books() == before


@pytest.mark.parametrize("model", [*ENTERED, AuditEntry], ids=lambda model: model.__name__)
@pytest.mark.usefixtures("demo", "dealings")
def test_the_database_has_the_last_word(model: Any, staff: Browser) -> None:
    table = model._meta.db_table
    column, value = ("reason", "'x'") if model is AuditEntry else ("amount", "amount + 1")

    if model is AuditEntry:
        staff.post("/admin/accounts/user/", {"action": "cut_off", "_selected_action": [_first(User)], **WHY})
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending would refuse a TRUNCATE first

    for statement in (f"UPDATE {table} SET {column} = {value}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def _first(model: Any) -> str:
    return str(model.objects.values_list("pk", flat=True)[0])


def test_who_leaves_leaves_their_entries(demo: User) -> None:
    before = {model: list(model._default_manager.order_by("pk").values()) for model in ENTERED}

    services.delete_member(user=demo)

    assert {model: list(model._default_manager.order_by("pk").values()) for model in ENTERED} == before


def test_no_foreign_key_of_the_books_cascades(demo: User) -> None:
    """Asked of Django itself: what would go with a person, an app, a plan, a price?"""
    for row in (demo, App.objects.get(slug="penora"), demo.plan, Operation.objects.first()):
        collector = NestedObjects(using="default")
        collector.collect([row])
        gone = set(collector.model_objs) & set(BOOKS)
        assert not gone, (row, gone)


@pytest.mark.usefixtures("demo", "dealings")
def test_not_one_address_of_the_admin_takes_an_entry_away_or_changes_one(staff: Browser) -> None:
    """All of them, also those that came later than this test. (What adds entries may: an adjustment is one.)"""
    before = {model: {row["pk"]: row for row in _rows(model)} for model in ENTERED}
    tried = 0
    for path in _addresses():
        for form in ({"post": "yes", "_save": "Save", "confirm": "yes"}, {"action": "delete_selected", "post": "yes"}):
            answer = staff.post(path, {**form, **WHY})
            assert answer.status_code < 500, path
            tried += 1
    after = {model: {row["pk"]: row for row in _rows(model)} for model in ENTERED}
    assert tried > 200
    for model in ENTERED:
        assert {pk: after[model].get(pk) for pk in before[model]} == before[model], model


def _rows(model: Any) -> list[dict[str, Any]]:
    return [{"pk": row["id"], **row} for row in model._default_manager.values()]


def _addresses() -> list[str]:
    """Every address under /admin/ but those that end this session, about the first row of what each is about."""
    entry = LedgerEntry.objects.filter(type="deduction").first()
    person = User.objects.get(user_id="dealer")
    found = []
    for route in _routes(get_resolver().url_patterns, ""):
        if not route.startswith("admin/") or "logout" in route or "(?P<url>" in route:
            continue
        parts = route.split("/")
        own = {"people": person.pk, "entries": entry.pk if entry else "", "projects": 1, "grants": 1}.get(parts[1])
        if own is None and "<" in route and len(parts) > 3:
            model = apps.all_models.get(parts[1], {}).get(parts[2])
            row = model._default_manager.first() if model else None
            own = row.pk if row else 1
        if route.startswith("admin/export/"):
            route = "admin/export/credits/ledgerentry/"
        found.append("/" + re.sub("<[^>]*>", str(own), re.sub(r"\(\?P.*", "", route)))
    return found


def _routes(patterns: Any, prefix: str) -> list[str]:
    found = []
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        nested = getattr(pattern, "url_patterns", None)
        found += _routes(nested, route) if nested is not None else [route]
    return found
