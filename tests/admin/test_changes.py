"""What staff can change in the admin, what nobody can, and that refusing is not only a matter of hidden buttons."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, AppKey, Plan, User
from credits import services as credits
from credits.models import Account, Grant, Hold, LedgerEntry, LotClaim, LotUse, Operation
from credits.pricing import price
from tests.admin.conftest import WHY, notices
from tests.client import ApiClient
from unified.api.models import IdempotencyRecord
from workspace.models import AppStorage, Project, ProjectContent, Storage

KEY_TEXT = re.compile(r"uni_(?:live|test)_[0-9A-Za-z]{12}_[0-9A-Za-z]{45}_[0-9a-f]{8}")
READ_ONLY = [
    Account,
    LedgerEntry,
    Grant,
    Hold,
    LotUse,
    LotClaim,
    Storage,
    AppStorage,
    Project,
    ProjectContent,
    IdempotencyRecord,
]
NEVER_DELETED = [*READ_ONLY, User, App, AppKey, Operation, Plan]
every_read_only_model = pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model.__name__)


def page(model: type[Model], kind: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{kind}", args=args)


def rows(model: type[Model]) -> list[dict[str, Any]]:
    return [
        {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()}
        for row in model._default_manager.order_by("pk").values()
    ]


# --- what only the services may change -------------------------------------------------------------------------------


@every_read_only_model
@pytest.mark.usefixtures("demo", "dealings", "record")
def test_the_books_and_the_workspace_can_be_neither_added_to_changed_nor_deleted(
    model: type[Model], staff: Client
) -> None:
    before = rows(model)
    row = model._default_manager.first()
    assert row is not None
    filled_in = {field.name: "1" for field in model._meta.fields}

    for data in ({}, filled_in):
        assert staff.post(page(model, "add"), data).status_code == 403
        assert staff.post(page(model, "change", row.pk), data).status_code == 403
    assert staff.get(page(model, "delete", row.pk)).status_code == 403
    assert staff.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403

    assert rows(model) == before


@pytest.mark.parametrize("model", NEVER_DELETED, ids=lambda model: model.__name__)
@pytest.mark.usefixtures("demo", "dealings", "record", "key")
def test_what_is_never_deleted_is_not_deleted_by_the_list_action_either(model: type[Model], staff: Client) -> None:
    before = rows(model)
    every = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)]
    action = {"action": "delete_selected", "_selected_action": every, "post": "yes", "select_across": "1"}

    response = staff.post(page(model, "changelist"), action)

    assert "delete_selected" not in staff.get(page(model, "changelist")).content.decode()
    assert rows(model) == before
    assert response.status_code in {200, 302}  # there is no such action, so it is as if none had been chosen
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("model", NEVER_DELETED, ids=lambda model: model.__name__)
@pytest.mark.usefixtures("demo", "dealings", "record", "key")
def test_what_is_never_deleted_has_no_delete_page(model: type[Model], staff: Client) -> None:
    before = rows(model)
    row = model._default_manager.first()
    assert row is not None

    assert staff.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403

    assert rows(model) == before


# --- users -----------------------------------------------------------------------------------------------------------


def test_people_are_not_made_in_the_admin(staff: Client) -> None:
    """They would have neither welcome credits nor room, and their first login would not give them any."""
    data = {"user_id": "sub-1", "username": "Ada", "email": "ada@example.com", "usable_password": "false"}

    assert staff.get(page(User, "add")).status_code == 403
    assert staff.post(page(User, "add"), data).status_code == 403
    assert not User.objects.filter(user_id="sub-1").exists()


@pytest.fixture
def helper(client: Client, bob: User) -> Client:
    """Bob, a member of staff who may change users, and is no superuser."""
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    bob.user_permissions.add(*Permission.objects.filter(codename__in=["view_user", "change_user"]))
    client.force_login(User.objects.get(pk=bob.pk))
    return client


def test_staff_cannot_raise_their_own_rights(helper: Client, bob: User) -> None:
    data = {"username": "Bob", "email": "bob@example.com", "is_active": "on", "is_staff": "on", "is_superuser": "on"}

    assert helper.post(page(User, "change", bob.pk), {**data, **WHY}).status_code == 302

    bob.refresh_from_db()
    assert (bob.is_superuser, bob.is_staff) == (False, True)


def test_staff_cannot_change_a_superuser_nor_their_password(helper: Client) -> None:
    root = User.objects.create_superuser(
        user_id="root", username="Root", email="root@example.com", password="a long enough one"
    )
    data = {"username": "Root", "email": "bob@example.com"}
    passwords = {"password1": "another long one", "password2": "another long one", "usable_password": "true"}

    assert helper.post(page(User, "change", root.pk), data).status_code == 403
    assert helper.post(reverse("admin:auth_user_password_change", args=[root.pk]), passwords).status_code == 403

    root.refresh_from_db()
    assert root.email == "root@example.com"
    assert root.check_password("a long enough one")


def test_a_person_is_renamed_and_locked_out_but_never_gets_another_id_or_plan(alice: User, staff: Client) -> None:
    data = {
        "user_id": "mallory",
        "plan": str(Plan.objects.get(slug="pro").pk),
        "username": "Alice B.",
        "email": "b@example.com",
        **WHY,
    }
    assert staff.post(page(User, "change", alice.pk), data).status_code == 302

    alice.refresh_from_db()
    assert (alice.user_id, alice.plan.slug) == ("alice", "free")
    assert (alice.username, alice.email, alice.is_active) == ("Alice B.", "b@example.com", False)


def test_deleting_a_user_is_refused(demo: User, staff: Client) -> None:
    assert staff.get(page(User, "delete", demo.pk)).status_code == 403
    assert staff.post(page(User, "delete", demo.pk), {"post": "yes"}).status_code == 403

    assert User.objects.filter(pk=demo.pk).exists()


# --- apps and prices -------------------------------------------------------------------------------------------------


def problems(response: Any) -> dict[str, Any]:
    """What the form that was sent back complains about; nothing if it was accepted."""
    return dict(response.context["adminform"].form.errors) if response.context else {}


def new_app(staff: Client, **changes: str) -> Any:
    data = {"slug": "notes", "name": "Notes", "colour": "#123456", "is_active": "on", **WHY, **changes}
    return staff.post(page(App, "add"), data)


def test_a_third_app_is_one_form(alice: User, staff: Client, as_penora: ApiClient) -> None:
    assert new_app(staff).status_code == 302

    app = App.objects.get(slug="notes")
    as_notes = ApiClient(key=accounts.create_key(app=app, label="server")[1])
    saved = as_notes.post(
        "save-project", user_id="alice", app_source="notes", project_type="note", title="t", content="x"
    )
    assert saved.status_code == 201
    answer = as_penora.get("projects", user_id="alice").json()
    assert [project["app_source"] for project in answer["notes_projects"]] == ["notes"]
    assert (answer["notes_count"], answer["penora_count"]) == (1, 0)
    assert as_penora.get("storage-stats", user_id="alice").json()["breakdown"]["notes_bytes"] == 1


@pytest.mark.parametrize("slug", ["", "Notes", "total", "a-b", "penora", "a" * 31])
def test_a_slug_that_cannot_be_is_told_in_the_form(staff: Client, slug: str) -> None:
    response = new_app(staff, slug=slug)

    assert response.status_code == 200
    assert problems(response)
    assert App.objects.count() == 2


def test_the_slug_of_an_app_never_changes(penora: App, staff: Client) -> None:
    data = {"slug": "other", "name": "Penora 2", "colour": "#123456", "is_active": "on", **WHY}
    assert staff.post(page(App, "change", penora.pk), data).status_code == 302

    penora.refresh_from_db()
    assert (penora.slug, penora.name) == ("penora", "Penora 2")


def test_an_app_that_is_switched_off_is_refused_at_once(
    penora: App, penora_key: str, alice: User, staff: Client
) -> None:
    staff.post(page(App, "change", penora.pk), {"name": "Penora", "colour": "#123456", **WHY})

    assert ApiClient(key=penora_key).get("user-info", user_id="alice").status_code == 401


def test_a_price_is_changed_by_a_new_version_and_a_version_never_changes(penora: App, staff: Client) -> None:
    first = Operation.objects.get(slug="page")
    now = timezone.now()
    data = {
        "slug": "page",
        "app": str(penora.pk),
        "name": "Page",
        "unit": "page",
        "credits": "4",
        "starts_at_0": f"{now:%Y-%m-%d}",
        "starts_at_1": f"{now:%H:%M:%S}",
        "is_active": "on",
        **WHY,
    }

    assert staff.post(page(Operation, "change", first.pk), data).status_code == 403
    assert b'value="' + f"{timezone.now():%Y-%m-%d}".encode() in staff.get(page(Operation, "add")).content
    response = staff.post(page(Operation, "add"), data)

    assert response.status_code == 302
    assert price(operation="page", quantity=2)[1] == 8
    assert Operation.objects.get(pk=first.pk).credits == 1
    assert Operation.objects.get(slug="page", credits=4).version == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"credits": "0"}, "credits"),
        ({"credits": "1000001"}, "credits"),
        ({"starts_at_0": "2026-01-01"}, "starts_at"),
        ({"slug": "basic_art"}, "slug"),
        ({"slug": "not a slug"}, "slug"),
    ],
)
def test_a_price_that_cannot_be_is_refused_with_the_field(
    penora: App, staff: Client, change: dict[str, str], told: str
) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    data = {
        "slug": "page",
        "app": str(penora.pk),
        "name": "Page",
        "unit": "page",
        "credits": "4",
        "is_active": "on",
        "starts_at_0": f"{tomorrow:%Y-%m-%d}",
        "starts_at_1": "00:00:00",
        **WHY,
        **change,
    }

    assert told in problems(staff.post(page(Operation, "add"), data))
    assert not Operation.objects.filter(version__gt=1).exists()


def test_the_default_plan_moves_in_one_step(staff: Client) -> None:
    plus = Plan.objects.get(slug="plus")

    staff.post(page(Plan, "changelist"), {"action": "make_default", "_selected_action": [str(plus.pk)], **WHY})

    assert [plan.slug for plan in Plan.objects.filter(is_default=True)] == ["plus"]


def test_the_default_plan_cannot_be_unset(staff: Client) -> None:
    free = Plan.objects.get(slug="free")
    data = {"name": "Free", "monthly_credits": "0", "rank": "0", **WHY}

    assert staff.post(page(Plan, "change", free.pk), data).status_code == 302
    assert Plan.objects.get(is_default=True).slug == "free"


# --- app keys --------------------------------------------------------------------------------------------------------


def act(staff: Client, action: str, *keys: AppKey) -> Any:
    data = {"action": action, "_selected_action": [str(key.pk) for key in keys], **WHY}
    return staff.post(page(AppKey, "changelist"), data, follow=True)


def the_key_in(response: Any) -> str:
    assert "no-store" in response["Cache-Control"]
    (text,) = set(KEY_TEXT.findall(response.content.decode()))
    return str(text)


def works(key: str) -> bool:
    status = ApiClient(key=key).get("pricing").status_code
    assert status in {200, 401}
    return bool(status == 200)


def test_a_key_made_in_the_admin_is_shown_once_and_works(penora: App, staff: Client) -> None:
    data = {"app": str(penora.pk), "label": "server", "mode": "test", **WHY}
    response = staff.post(page(AppKey, "add"), data, follow=True)

    text = the_key_in(response)
    key = AppKey.objects.get()
    assert (key.app, key.label, key.mode, key.key_id) == (penora, "server", "test", text.split("_")[2])
    assert works(text)
    secret = text.split("_")[3]
    for address in (page(AppKey, "changelist"), page(AppKey, "change", key.pk), page(AppKey, "history", key.pk)):
        assert secret not in staff.get(address).content.decode()
    log = LogEntry.objects.get()
    assert secret not in f"{log.object_repr} {log.change_message}"
    assert not [session for session in Session.objects.all() if secret in str(session.get_decoded())]
    assert not [cookie for cookie in staff.cookies.values() if secret in cookie.value]


def test_a_key_is_never_edited(key: AppKey, staff: Client) -> None:
    assert staff.post(page(AppKey, "change", key.pk), {"label": "other", "mode": "live"}).status_code == 403

    key.refresh_from_db()
    assert key.label == "server"


def test_rotating_in_the_admin_shows_the_successor_and_the_old_key_goes_on_for_a_day(
    penora: App, staff: Client
) -> None:
    old, old_text = accounts.create_key(app=penora, label="server")

    new_text = the_key_in(act(staff, "rotate", old))

    assert works(new_text)
    assert works(old_text)
    old.refresh_from_db()
    assert old.replaced_by is not None
    assert old.replaced_by.key_id == new_text.split("_")[2]
    assert old.expires_at is not None
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(days=1)
    again = act(staff, "rotate", old).content.decode()
    assert f"Key {old.key_id} is rotating; only an active key can be rotated." in again
    assert not KEY_TEXT.findall(again)
    assert AppKey.objects.count() == 2


def test_revoking_in_the_admin_ends_the_keys_at_once(penora: App, staff: Client) -> None:
    made = [accounts.create_key(app=penora, label=label) for label in ("a", "b")]
    _, kept = accounts.create_key(app=penora, label="c")

    response = act(staff, "revoke", *(key for key, _ in made))

    assert sorted(notices(response)) == sorted(f"Key {key.key_id} no longer works." for key, _ in made)
    assert [works(text) for _, text in made] == [False, False]
    assert works(kept)
    assert {entry.change_message for entry in LogEntry.objects.all()} == {"Revoked."}
    assert LogEntry.objects.count() == 2


def test_staff_who_may_only_view_keys_can_neither_make_rotate_nor_revoke_them(
    key: AppKey, client: Client, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    alice.user_permissions.add(Permission.objects.get(codename="view_appkey"))
    client.force_login(User.objects.get(pk=alice.pk))

    assert client.get(page(AppKey, "changelist")).status_code == 200
    assert client.post(page(AppKey, "add"), {"app": str(key.app_id), "label": "x", "mode": "live"}).status_code == 403
    for action in ("rotate", "revoke"):
        act(client, action, key)
    key.refresh_from_db()
    assert (key.revoked_at, key.replaced_by, AppKey.objects.count()) == (None, None, 1)


def test_an_entry_shows_who_it_belongs_to(demo: User, penora: App, staff: Client) -> None:
    entry, _ = credits.deduct(user=demo, app=penora, amount=1, description="<b>bold</b>", project_code="ABC123")

    text = staff.get(page(LedgerEntry, "changelist")).content.decode()

    assert str(demo) in text
    assert "<b>bold</b>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    for text in (str(entry.pk), "ABC123"):
        assert list(staff.get(page(LedgerEntry, "changelist"), {"q": text}).context["cl"].queryset) == [entry]
