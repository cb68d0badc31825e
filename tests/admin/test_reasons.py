"""Every form and every action of the admin asks why, and leaves one row: who, why, what was, what is, where from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.utils import IntegrityError
from django.forms import Form
from django.test import Client as Browser

from accounts import audit
from accounts import services as accounts
from accounts.admin.base import AuditedAdmin, ReadOnlyAdmin, ReasonActionForm, ReasonForm
from accounts.admin.people import PasswordForm
from accounts.models import App, AuditEntry, Client, Plan, User
from accounts.reasons import ReasonField
from credits.models import AdjustmentLimit, Operation
from unified.admin.adjusting_forms import AdjustForm, RefundForm
from unified.admin.grants import FileForm
from unified.admin.person import SignOutForm
from unified.admin.room_forms import CleanUpForm, LimitForm, OpenForm, PlanForm, RestoreForm
from unified.admin.second_factor import ResetForm
from unified.admin.upgrades import DecisionForm

WHY = "Agreed with the team on Monday"
HEADERS = {"X-Request-ID": "request-of-a-test"}


def key_of(app: App, label: str = "server") -> int:
    return int(accounts.create_key(app=app, label=label)[0].pk)


def client_of(app: App) -> Client:
    return accounts.register_client(app=app, redirect_uris=["https://app.example/cb"])[0]


PRICE = {"slug": "page", "name": "Page", "unit": "page", "credits": "4", "is_active": "on"}
PLAN = {"name": "Team", "monthly_credits": "10", "rank": "7", "is_offered": "on"}
APP = {"name": "Notes", "colour": "#123456", "is_active": "on"}
CLIENT = {"name": "Second", "client_type": "public", "redirect_uris": "https://app.example/cb"}
ACT = Callable[[App, User], tuple[str, dict[str, Any]]]

# What is sent where, the event, and what of the audit's details is known beforehand.
DEEDS: dict[str, tuple[ACT, str, dict[str, Any]]] = {
    "a price": (
        lambda app, alice: (
            "credits/operation/add/",
            {**PRICE, "app": app.pk, "starts_at_0": "2099-01-01", "starts_at_1": "00:00"},
        ),
        "added",
        {"what": "credits.operation"},
    ),
    "a new plan": (
        lambda app, alice: ("accounts/plan/add/", {**PLAN, "slug": "team", "storage_limit_bytes": "1000"}),
        "added",
        {"what": "accounts.plan", "before": None},
    ),
    "a plan": (
        lambda app, alice: (f"accounts/plan/{Plan.objects.get(slug='plus').pk}/change/", PLAN),
        "changed",
        {"what": "accounts.plan"},
    ),
    "the default plan": (
        lambda app, alice: action("accounts/plan/", "make_default", Plan.objects.get(slug="plus").pk),
        "changed",
        {"before": {"default plan": "free"}, "after": {"default plan": "plus"}},
    ),
    "a new app": (
        lambda app, alice: ("accounts/app/add/", {**APP, "slug": "notes"}),
        "added",
        {"what": "accounts.app"},
    ),
    "an app": (
        lambda app, alice: (f"accounts/app/{app.pk}/change/", {**APP, "name": "Penora 2", "colour": app.colour}),
        "changed",
        {"before": {"name": "Penora"}, "after": {"name": "Penora 2"}},
    ),
    "a new key": (
        lambda app, alice: ("accounts/appkey/add/", {"app": app.pk, "label": "x", "mode": "live"}),
        "key-created",
        {},
    ),
    "a rotated key": (lambda app, alice: action("accounts/appkey/", "rotate", key_of(app)), "key-rotated", {}),
    "a revoked key": (lambda app, alice: action("accounts/appkey/", "revoke", key_of(app)), "key-revoked", {}),
    "a new client": (
        lambda app, alice: ("accounts/client/add/", {**CLIENT, "app": app.pk}),
        "client-registered",
        {},
    ),
    "a client": (
        lambda app, alice: (
            f"accounts/client/{client_of(app).pk}/change/",
            {**CLIENT, "client_type": "confidential", "redirect_uris": "https://app.example/other"},
        ),
        "client-changed",
        {},
    ),
    "a new secret": (
        lambda app, alice: action("accounts/client/", "new_secret", client_of(app).pk),
        "client-changed",
        {},
    ),
    "a limit": (
        lambda app, alice: (
            f"credits/adjustmentlimit/{Group.objects.get(name='Support').pk}/change/",
            {"per_adjustment": "7", "per_day": "70"},
        ),
        "changed",
        {"before": {"per_adjustment": 500, "per_day": 5_000}, "after": {"per_adjustment": 7, "per_day": 70}},
    ),
    "a role": (
        lambda app, alice: (
            f"auth/group/{Group.objects.get(name='Viewer').pk}/change/",
            {"name": "Viewer", "permissions": [Permission.objects.get(codename="view_app").pk]},
        ),
        "changed",
        {"what": "auth.group"},
    ),
    "somebody's name": (
        lambda app, alice: (
            f"accounts/user/{alice.pk}/change/",
            {"username": "Alicia", "email": alice.email, "is_active": "on"},
        ),
        "changed",
        {"fields": ["username"]},
    ),
    "somebody's rights": (
        lambda app, alice: (
            f"accounts/user/{alice.pk}/change/",
            {"username": alice.username, "email": alice.email, "is_active": "on", "is_staff": "on"},
        ),
        "access-changed",
        {"before": {"is_staff": False}, "after": {"is_staff": True}},
    ),
    "an end of sessions": (lambda app, alice: action("accounts/user/", "cut_off", alice.pk), "cut-off", {}),
}
every_deed = pytest.mark.parametrize("deed", DEEDS)


def action(path: str, name: str, pk: int) -> tuple[str, dict[str, Any]]:
    return path, {"action": name, "_selected_action": [str(pk)], "index": "0"}


def prepared(deed: str, app: App, alice: User) -> tuple[str, dict[str, Any]]:
    """Where to send what; and how many rows of the audit there were before."""
    path, form = DEEDS[deed][0](app, alice)
    return f"/admin/{path}", form


@every_deed
def test_it_leaves_one_row_with_who_why_what_and_where_from(
    deed: str, staff: Browser, superuser: User, penora: App, alice: User
) -> None:
    path, form = prepared(deed, penora, alice)
    earlier = set(AuditEntry.objects.values_list("pk", flat=True))

    answer = staff.post(path, {**form, "reason": f"  {WHY} "}, headers=HEADERS)

    assert answer.status_code in (200, 302)
    (row,) = AuditEntry.objects.exclude(pk__in=earlier)
    assert (row.event, row.actor, row.reason) == (DEEDS[deed][1], superuser, WHY)
    assert (row.ip, row.request_id) == ("127.0.0.1", "request-of-a-test")
    assert {name: row.details.get(name) for name in DEEDS[deed][2]} == DEEDS[deed][2]


@every_deed
@pytest.mark.parametrize("reason", [None, "", "   "])
def test_without_a_reason_nothing_is_done_and_it_is_said(
    deed: str, reason: str | None, staff: Browser, penora: App, alice: User
) -> None:
    path, form = prepared(deed, penora, alice)
    before = state()

    answer = staff.post(path, form if reason is None else {**form, "reason": reason}, follow=True)

    assert answer.status_code == 200
    text = answer.content.decode()
    assert "say why" in text.lower()
    assert state() == before


def state() -> list[Any]:
    """All that these deeds could change."""
    models = (User, App, Plan, Client, Operation, AdjustmentLimit, AuditEntry, Group)
    rows: list[Any] = [list(model._default_manager.order_by("pk").values()) for model in models]
    keys = list(App.objects.order_by("pk").values("keys__key_id", "keys__revoked_at", "keys__replaced_by"))
    return [*rows, keys, list(Group.permissions.through.objects.order_by("pk").values())]  # type: ignore[attr-defined]


def test_a_reason_that_is_too_long_is_told_in_the_form(staff: Browser, penora: App, alice: User) -> None:
    path, form = prepared("an app", penora, alice)

    answer = staff.post(path, {**form, "reason": "x" * 501})

    assert "at most 500 characters" in answer.content.decode()
    assert not AuditEntry.objects.exists()


# 500 characters as whoever types them sees them counted, and as browsers send them.
LINES = "\n".join(["x" * 99] * 5) + "."
AS_SENT = LINES.replace("\n", "\r\n")


@pytest.mark.parametrize("deed", ["an app", "an end of sessions"])
def test_the_end_of_a_line_is_one_character(deed: str, staff: Browser, penora: App, alice: User) -> None:
    """Red with what was sent as it was sent: the audit lost the last characters."""
    path, form = prepared(deed, penora, alice)

    assert staff.post(path, {**form, "reason": AS_SENT}).status_code == 302

    assert len(LINES) == 500
    assert AuditEntry.objects.get().reason == LINES


@pytest.mark.parametrize(
    "form",
    [
        *(ReasonForm, ReasonActionForm, PasswordForm, SignOutForm, ResetForm, FileForm, DecisionForm, AdjustForm),
        *(RefundForm, PlanForm, LimitForm, CleanUpForm, RestoreForm, OpenForm),
    ],
)
def test_every_form_asks_by_the_same_field(form: type[Form]) -> None:
    field = form.base_fields["reason"]

    assert isinstance(field, ReasonField)
    assert field.clean(AS_SENT) == LINES
    with pytest.raises(ValidationError):
        field.clean(f"{AS_SENT}.")


def test_a_form_that_changes_nothing_leaves_nothing(staff: Browser, penora: App) -> None:
    form = {"name": penora.name, "colour": penora.colour, "is_active": "on", "home_url": penora.home_url}
    form["project_url"] = penora.project_url

    assert staff.post(f"/admin/accounts/app/{penora.pk}/change/", {**form, "reason": WHY}).status_code == 302
    assert not AuditEntry.objects.exists()


def test_a_price_says_what_it_was_and_what_it_will_be(staff: Browser, penora: App, alice: User) -> None:
    path, form = prepared("a price", penora, alice)

    staff.post(path, {**form, "reason": WHY})

    details = AuditEntry.objects.get().details
    assert (details["before"]["credits"], details["after"]["credits"]) == (1, 4)
    assert details["after"]["starts_at"].startswith("2099-01-01")


def test_a_role_says_which_permissions_it_had_and_has(staff: Browser, penora: App, alice: User) -> None:
    path, form = prepared("a role", penora, alice)

    staff.post(path, {**form, "reason": WHY})

    details = AuditEntry.objects.get().details
    assert len(details["before"]["permissions"]) > 10
    assert details["after"]["permissions"] == ["Users and apps | app | Can view app"]


def test_who_did_what_and_why_is_on_one_list(staff: Browser, penora: App, alice: User) -> None:
    path, form = prepared("an app", penora, alice)
    staff.post(path, {**form, "reason": WHY})

    for query in ("Monday", "root", "Penora 2"):
        found = staff.get("/admin/accounts/auditentry/", {"q": query})
        assert WHY in found.content.decode(), query


@pytest.mark.usefixtures("staff")
def test_the_database_refuses_to_change_a_reason(penora: App, alice: User) -> None:
    with audit.because(WHY):
        row = audit.record(AuditEntry.Event.CHANGED, actor=alice)

    for statement in (
        lambda: AuditEntry.objects.filter(pk=row.pk).update(reason="Another"),
        lambda: AuditEntry.objects.filter(pk=row.pk).delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            statement()
    assert AuditEntry.objects.get().reason == WHY


def test_outside_a_deed_there_is_no_reason(alice: User) -> None:
    with audit.because("Inside"), audit.because("Within"):
        within = audit.record(AuditEntry.Event.CHANGED, actor=alice)
    outside = audit.record(AuditEntry.Event.CHANGED, actor=alice)

    assert (within.reason, outside.reason) == ("Within", "")


def test_every_page_of_the_admin_that_can_write_is_one_that_asks() -> None:
    """Whatever is registered: a form of ours either cannot write or asks why."""
    others = {
        model._meta.label
        for model, model_admin in admin.site._registry.items()
        if not isinstance(model_admin, (ReadOnlyAdmin, AuditedAdmin))
    }

    assert others == set()
