"""Every page of the admin opens, for whom it is meant, and costs the same however much there is."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, AppKey, Plan, User
from accounts.models import Client as OidcClient
from credits import pricing
from credits import services as credits
from credits.models import Account, AdjustmentLimit, Grant, GrantFile, GrantLine, Hold, LedgerEntry, Operation
from tests.admin.conftest import GIFT
from tests.conftest import make_user
from tests.workspace.contents import content_of
from unified import services
from unified.api.models import IdempotencyRecord
from unified.figures.models import CreditDay, FailedCalls, LastActive, ServiceDay, Verification
from workspace import services as workspace
from workspace.models import AppStorage, Project, ProjectContent, Storage

OUR_APPS = ("accounts", "credits", "workspace", "api", "figures")
MODELS = [model for label in OUR_APPS for model in apps.get_app_config(label).get_models()]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
STANDING = dict.fromkeys(
    ("people", "active", "active_30_days", "outstanding", "held", "used_bytes", "trash_bytes", "projects"), 0
) | {"by_app": {}, "fullness": []}
CAN_BE_ADDED = {Plan, App, AppKey, OidcClient, Operation, AdjustmentLimit}


def page(model: type[Model], kind: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args)


@pytest.mark.usefixtures("db")
def test_the_models_are_those_that_these_tests_know() -> None:
    assert {model.__name__ for model in MODELS} == {
        *("Client", "SpentCode", "AuditEntry"),
        *("User", "App", "AppKey", "Plan", "UpgradeRequest", "Account", "LedgerEntry", "Operation"),
        *("Grant", "LotUse", "Hold", "LotClaim", "AdjustmentLimit"),
        *("GrantFile", "GrantLine"),
        *("CreditDay", "ServiceDay", "LastActive", "FailedCalls", "Verification"),
        *("Storage", "StorageWarning", "Reservation", "AppStorage", "Project", "ProjectContent", "IdempotencyRecord"),
    }


@every_model
def test_every_model_is_registered(model: type[Model]) -> None:
    assert admin.site.is_registered(model)


@every_model
@pytest.mark.usefixtures("demo", "dealings", "key", "record")
def test_every_list_opens_and_shows_what_there_is(model: type[Model], staff: Client) -> None:
    response = staff.get(page(model, "changelist"))

    assert response.status_code == 200
    assert response.context["cl"].result_count == model._default_manager.count() > 0


@every_model
@pytest.mark.usefixtures("demo", "dealings", "key", "record")
def test_every_detail_page_and_its_history_open(model: type[Model], staff: Client) -> None:
    for row in model._default_manager.all():
        assert staff.get(page(model, "change", row.pk)).status_code == 200
        assert staff.get(page(model, "history", row.pk)).status_code == 200


@every_model
def test_the_add_page_opens_where_adding_is_allowed(model: type[Model], staff: Client) -> None:
    assert staff.get(page(model, "add")).status_code == (200 if model in CAN_BE_ADDED else 403)


@every_model
@pytest.mark.usefixtures("demo", "dealings", "key", "record")
def test_every_list_can_be_searched_with_any_text(model: type[Model], staff: Client) -> None:
    for text in (
        "demo",
        "%",
        "'",
        "\u00e9",
        "101902121794505144784",
        "x" * 300,
        "00000000-0000-0000-0000-000000000000",
    ):
        assert staff.get(page(model, "changelist"), {"q": text}).status_code == 200


@pytest.mark.parametrize(
    ("model", "text", "found"),
    [
        (User, "101902121794505144784", 1),
        (User, "DEMO@example.com", 1),
        (Account, "demo user", 1),
        (LedgerEntry, "101902121794505144784", 6),
        (LedgerEntry, "nobody", 0),
        (Storage, "demo@", 1),
        (Project, "lisbon", 1),
        (Project, "demo@example.com", 8),
    ],
)
@pytest.mark.usefixtures("demo")
def test_search_finds_a_person_by_what_is_known_of_them(
    model: type[Model], text: str, found: int, staff: Client
) -> None:
    assert staff.get(page(model, "changelist"), {"q": text}).context["cl"].result_count == found


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (LedgerEntry, {"type__exact": "deduction"}),
        (LedgerEntry, {"source__exact": "signup"}),
        (Grant, {"entry__source__exact": "promotion"}),
        (Hold, {"status__exact": "active"}),
        (LedgerEntry, {"app__id__exact": "1"}),
        (LedgerEntry, {"created_at_from": "2026-01-01", "created_at_to": "2026-12-31"}),
        (AppKey, {"mode__exact": "live"}),
        (IdempotencyRecord, {"status": "200"}),
        (User, {"is_staff__exact": "1"}),
    ],
)
@pytest.mark.usefixtures("demo", "dealings", "key", "record")
def test_filters_open(model: type[Model], query: dict[str, str], staff: Client) -> None:
    assert staff.get(page(model, "changelist"), query).status_code == 200


def test_the_front_page_names_the_service_and_lists_every_model(staff: Client) -> None:
    response = staff.get(reverse("admin:index"))

    assert response.status_code == 200
    assert "Users, credits and storage" in response.content.decode()
    for model in MODELS:
        assert page(model, "changelist") in response.content.decode()


@every_model
def test_nobody_who_is_not_signed_in_sees_anything(model: type[Model], client: Client, db: None) -> None:
    for kind in ("changelist", "add"):
        response = client.get(page(model, kind))

        assert response.status_code == 302
        assert response["Location"] == f"{reverse('admin:login')}?next={page(model, kind)}"


def test_a_person_who_is_not_staff_is_sent_to_the_login(alice: User, client: Client) -> None:
    client.force_login(alice)

    response = client.get(reverse("admin:index"))

    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/admin/")


@every_model
@pytest.mark.usefixtures("demo", "dealings", "key", "record")
def test_staff_without_permissions_see_nothing(model: type[Model], client: Client) -> None:
    clerk = make_user("clerk")
    User.objects.filter(pk=clerk.pk).update(is_staff=True)
    client.force_login(User.objects.get(pk=clerk.pk))

    index = client.get(reverse("admin:index"))
    assert index.status_code == 200
    assert page(model, "changelist") not in index.content.decode()
    assert client.get(page(model, "changelist")).status_code == 403
    assert client.get(page(model, "add")).status_code == 403
    row = model._default_manager.first()
    assert row is not None
    assert client.get(page(model, "change", row.pk)).status_code == 403


def test_a_clerk_who_may_view_accounts_views_accounts_and_nothing_else(demo: User, client: Client) -> None:
    clerk = make_user("clerk")
    group = Group.objects.create(name="Clerks")
    group.permissions.add(Permission.objects.get(codename="view_account", content_type__app_label="credits"))
    clerk.groups.add(group)
    User.objects.filter(pk=clerk.pk).update(is_staff=True)
    client.force_login(User.objects.get(pk=clerk.pk))

    assert client.get(page(Account, "changelist")).status_code == 200
    assert client.get(page(Account, "change", demo.pk)).status_code == 200
    assert client.get(page(LedgerEntry, "changelist")).status_code == 403


def test_a_locked_out_member_of_staff_is_out(superuser: User, staff: Client) -> None:
    User.objects.filter(pk=superuser.pk).update(is_active=False)

    assert staff.get(reverse("admin:index")).status_code == 302


def test_every_list_costs_the_same_with_thirty_rows_as_with_one(staff: Client, penora: App, imagegene: App) -> None:
    def fill(first: int, last: int) -> None:
        for number in range(first, last):
            user = make_user(f"user-{number}")
            app = (penora, imagegene)[number % 2]
            tomorrow = timezone.now() + timedelta(days=1)
            credits.grant(user=user, amount=5, source=GIFT, description="gift", expires_at=tomorrow)
            credits.deduct(user=user, app=app, amount=1, description="call")
            services.reserve(user=user, app=app, amount=1, description="held", storage_bytes=1)
            group = Group.objects.create(name=f"Role {number}")
            AdjustmentLimit.objects.create(group=group, per_adjustment=1, per_day=1)
            workspace.save_project(
                user=user, app=app, project_type="page", title="t", content=content_of("x" * 8), metadata={}
            )
            workspace.change_limit(user=user, limit_bytes=10)
            key, _ = accounts.create_key(app=app, label="server")
            if number % 3 == 0:
                accounts.rotate_key(key_id=key.key_id)
            client, _, _ = accounts.register_client(
                app=app, name=f"Client {number}", redirect_uris=["https://app.example/callback"]
            )
            accounts.note_spent_code(code=str(number), client=client, token_family=uuid.uuid4())
            Plan.objects.create(slug=f"plan-{number}", name="Plan", storage_limit_bytes=1, rank=9)
            accounts.request_upgrade(user=user, plan=Plan.objects.get(slug="plus"))
            accounts.register_app(slug=f"app{number}", name="App", colour="#000000")
            pricing.list_operation(slug=f"op-{number}", app=app, name="Operation", unit="unit", credits=1)
            day = timezone.now().date() - timedelta(days=number)
            CreditDay.objects.create(
                day=day, app=app, type="deduction", is_addition=False, operation="page", entries=1, credits=-1
            )
            ServiceDay.objects.create(day=day, as_of=timezone.now(), **STANDING)
            LastActive.objects.create(user=user, day=day)
            FailedCalls.objects.create(day=day, app=app, code="not_found", calls=1)
            Verification.objects.create(as_of=timezone.now(), is_right=True, violations=0, result={})
            file = GrantFile.objects.create(
                name="a.csv", digest=b"", reason="r", actor=user, state="refused", line_count=1, total=0
            )
            GrantLine.objects.create(file=file, number=2, text="x", user=user, outcome="wrong")
            IdempotencyRecord.objects.create(
                caller="c", route="r", key=str(number), request_digest=b"", status=200, body="{}"
            )

    def queries(model: type[Model]) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(page(model, "changelist")).status_code == 200
        return len(captured)

    fill(0, 1)
    with_few = {model: queries(model) for model in MODELS}
    fill(1, 31)

    assert {model: queries(model) for model in MODELS} == with_few
    assert all(model._default_manager.count() >= 30 for model in MODELS)


@pytest.mark.usefixtures("demo")
def test_no_list_or_detail_page_reads_the_content_of_projects(staff: Client) -> None:
    project = Project.objects.order_by("-size_bytes").first()
    assert project is not None
    addresses = [page(model, "changelist") for model in (Project, ProjectContent, Storage, AppStorage)]
    addresses += [page(model, "change", project.pk) for model in (Project, ProjectContent)]

    with CaptureQueriesContext(connection) as captured:
        for address in addresses:
            assert staff.get(address).status_code == 200

    assert not [query["sql"] for query in captured if '"body"' in query["sql"]]
