"""What is written down of who did what to whose access: each deed once, with who did it, and for good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.test import Client as Browser
from social_django.models import UserSocialAuth

from accounts import audit
from accounts import services as accounts
from accounts.models import App, AuditEntry, User
from tests.sso.conftest import PASSWORD, browser_of, register
from tests.sso.flow import SIGN_IN, RelyingParty, calls_api, signed_in_as
from unified import services

pytestmark = pytest.mark.django_db
SECRET_DETAILS = ("password", "secret", "token", "code", "email", "e-mail", "username", "name", "cookie")


def written() -> list[tuple[str, str | None, str | None, str | None]]:
    """Of every row: what, by whom, about whom, about which app."""
    return [
        (
            row.event,
            row.actor.user_id if row.actor else None,
            row.subject.user_id if row.subject else None,
            row.app.slug if row.app else None,
        )
        for row in AuditEntry.objects.select_related("actor", "subject", "app").order_by("id")
    ]


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser(
        user_id="admin", username="Ada Min", email="admin@example.com", password=PASSWORD
    )


@pytest.fixture
def staff(admin: User) -> Browser:
    return browser_of(admin)


@pytest.fixture
def by_penora(penora: App) -> RelyingParty:
    return register(penora)


# --- signing in and out ----------------------------------------------------------------------------------------------


def test_a_sign_in_has_its_row_with_where_it_came_from(admin: User) -> None:
    Browser().post(SIGN_IN, {"username": "admin", "password": PASSWORD}, headers={"X-Request-ID": "request-1"})

    row = AuditEntry.objects.get()
    assert written() == [("signed-in", "admin", "admin", None)]
    assert (row.details, row.ip, row.request_id) == ({"method": "password"}, "127.0.0.1", "request-1")


def test_a_refused_password_of_somebody_known_has_one_and_of_nobody_none(admin: User) -> None:
    Browser().post(SIGN_IN, {"username": "admin", "password": "wrong"})
    Browser().post(SIGN_IN, {"username": "nobody", "password": "wrong"})

    assert written() == [("sign-in-refused", None, "admin", None)]
    assert AuditEntry.objects.get().details == {"reason": "password"}


def test_a_sign_out_has_one_and_that_of_nobody_none(admin: User) -> None:
    browser = browser_of(admin)

    browser.post("/signin/out/")
    browser.post("/signin/out/")

    assert written() == [("signed-out", "admin", "admin", None)]


# --- rights ----------------------------------------------------------------------------------------------------------


def change(staff: Browser, user: User, **fields: Any) -> None:
    form = {"username": user.username, "email": user.email, "is_active": "on", "reason": "Asked for", **fields}
    sent = {name: value for name, value in form.items() if value is not None}
    assert staff.post(f"/admin/accounts/user/{user.pk}/change/", sent).status_code == 302


def test_each_change_of_rights_has_what_was_and_what_is(staff: Browser, alice: User) -> None:
    group = Group.objects.get(name="Support")
    permission = group.permissions.model.objects.get(codename="view_app")

    change(staff, alice, is_staff="on")
    change(staff, alice, is_staff="on", is_superuser="on")
    change(staff, alice, is_staff="on", groups=[group.pk], user_permissions=[permission.pk])

    rows = AuditEntry.objects.filter(event="access-changed").order_by("id")
    assert {row.actor.user_id for row in rows if row.actor} == {"admin"}
    assert {row.subject for row in rows} == {alice}
    assert [row.details for row in rows] == [
        {"before": {"is_staff": False}, "after": {"is_staff": True}},
        {"before": {"is_superuser": False}, "after": {"is_superuser": True}},
        {
            "before": {"groups": [], "is_superuser": True, "user_permissions": []},
            "after": {"groups": ["Support"], "is_superuser": False, "user_permissions": [str(permission)]},
        },
    ]


def test_locking_out_and_letting_in_again_have_theirs_and_end_what_was_open(staff: Browser, alice: User) -> None:
    browser = browser_of(alice)

    change(staff, alice, is_active=None)
    change(staff, alice)

    assert written() == [
        ("access-changed", "admin", "alice", None),
        ("cut-off", "admin", "alice", None),
        ("access-changed", "admin", "alice", None),
    ]
    assert signed_in_as(browser) is None
    assert User.objects.get(pk=alice.pk).is_active


def test_a_name_that_changes_is_no_right(staff: Browser, alice: User) -> None:
    change(staff, alice, username="Alicia")

    assert written() == [("changed", "admin", "alice", None)]
    assert AuditEntry.objects.get().details == {"fields": ["username"]}  # and not what it was, and is
    assert User.objects.get(pk=alice.pk).username == "Alicia"


def test_a_password_that_staff_set_has_one_and_ends_what_was_open(
    staff: Browser, alice: User, by_penora: RelyingParty
) -> None:
    """Seen before: nothing was written, and the tokens of whoever had been in went on."""
    browser = browser_of(alice)
    tokens = by_penora.signs_in(browser)
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", "reason": "Lost"}

    assert staff.post(f"/admin/accounts/user/{alice.pk}/password/", form).status_code == 302

    assert written()[-2:] == [("access-changed", "admin", "alice", None), ("cut-off", "admin", "alice", None)]
    row = AuditEntry.objects.get(event="access-changed")
    assert row.details == {"before": {"password": "none"}, "after": {"password": "another"}}
    assert signed_in_as(browser) is None
    assert calls_api(tokens["access_token"]).status_code == 401
    assert signed_in_as(staff) == "admin"


def test_who_changes_their_own_password_stays_signed_in_here(staff: Browser, admin: User) -> None:
    elsewhere = browser_of(admin)
    form = {"password1": PASSWORD + "!", "password2": PASSWORD + "!", "usable_password": "true", "reason": "Lost"}

    staff.post(f"/admin/accounts/user/{admin.pk}/password/", form)

    assert signed_in_as(staff) == "admin"
    assert signed_in_as(elsewhere) is None
    assert ("access-changed", "admin", "admin", None) in written()


def test_signing_somebody_out_everywhere_has_one(staff: Browser, alice: User) -> None:
    staff.post("/admin/accounts/user/", {"action": "cut_off", "_selected_action": [str(alice.pk)], "reason": "Lost"})

    assert written() == [("cut-off", "admin", "alice", None)]


# --- keys and clients ------------------------------------------------------------------------------------------------


def test_a_keys_life_is_written_down_with_who_did_it(staff: Browser, penora: App) -> None:
    form = {"app": str(penora.pk), "label": "server", "mode": "live", "scopes": "credits.read", "reason": "New"}
    staff.post("/admin/accounts/appkey/add/", form)
    key = penora.keys.get()
    for action in ("rotate", "revoke"):
        staff.post("/admin/accounts/appkey/", {"action": action, "_selected_action": [str(key.pk)], "reason": "Lost"})

    assert written() == [
        ("key-created", "admin", None, "penora"),
        ("key-rotated", "admin", None, "penora"),
        ("key-revoked", "admin", None, "penora"),
    ]
    created, rotated, revoked = (row.details for row in AuditEntry.objects.order_by("id"))
    key.refresh_from_db()
    assert created == {"key_id": key.key_id, "scopes": "credits.read"}
    assert key.replaced_by is not None
    assert rotated == {"key_id": key.key_id, "new_key_id": key.replaced_by.key_id, "overlap_seconds": 86_400}
    assert revoked == {"key_id": key.key_id}


def test_at_the_command_line_nobody_is_the_actor(penora: App) -> None:
    key, _ = accounts.create_key(app=penora, label="server")
    accounts.rotate_key(key_id=key.key_id, overlap=timedelta(0))
    accounts.revoke_key(key_id=key.key_id)
    accounts.revoke_key(key_id=key.key_id)

    assert written() == [(event, None, None, "penora") for event in ("key-created", "key-rotated", "key-revoked")]


def test_a_clients_life_is_written_down(penora: App, admin: User) -> None:
    terms = {"app": penora, "redirect_uris": ["https://penora.example/a"], "actor": admin}
    client, _, _ = accounts.register_client(**terms)
    accounts.register_client(**terms)
    accounts.register_client(**{**terms, "redirect_uris": ["https://penora.example/b"]})
    accounts.renew_secret(client=client, actor=admin)

    assert written() == [
        ("client-registered", "admin", None, "penora"),
        ("client-changed", "admin", None, "penora"),
        ("client-changed", "admin", None, "penora"),
    ]
    registered, moved, renewed = (row.details for row in AuditEntry.objects.order_by("id"))
    assert (registered["client_id"], registered["new_secret"]) == (client.client_id, True)
    assert moved["before"] == {"redirect_uris": "https://penora.example/a"}
    assert moved["after"] == {"redirect_uris": "https://penora.example/b"}
    assert (moved["new_secret"], renewed["new_secret"], renewed["after"]) == (False, True, {})


def test_a_deed_that_fails_has_no_row(penora: App) -> None:
    with transaction.atomic():
        accounts.create_key(app=penora, label="server")
        transaction.set_rollback(True)

    assert written() == []


# --- for good --------------------------------------------------------------------------------------------------------


@pytest.fixture
def row(alice: User) -> AuditEntry:
    return AuditEntry.objects.create(event="signed-in", actor=alice, subject=alice, ip="203.0.113.7", request_id="r")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts_auditentry SET event = 'signed-out'",
        "UPDATE accounts_auditentry SET actor_id = NULL",
        "UPDATE accounts_auditentry SET subject_id = NULL, ip = NULL",
        "UPDATE accounts_auditentry SET details = '{\"x\": 1}'",
        "UPDATE accounts_auditentry SET created_at = now() - interval '1 day'",
        "UPDATE accounts_auditentry SET request_id = '', ip = NULL",
        "UPDATE accounts_auditentry SET ip = '203.0.113.8'",
        "UPDATE accounts_auditentry SET id = id + 1",
        "DELETE FROM accounts_auditentry",
        "TRUNCATE accounts_auditentry",
        "TRUNCATE accounts_auditentry CASCADE",
        "TRUNCATE accounts_user CASCADE",
    ],
)
def test_the_database_refuses_whoever_changes_a_row(row: AuditEntry, sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks to come cannot be emptied anyway
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(sql)

    kept = AuditEntry.objects.get()
    assert (kept.pk, kept.event, kept.ip, kept.request_id) == (row.pk, "signed-in", "203.0.113.7", "r")


def test_only_the_address_can_be_taken_out(row: AuditEntry) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_auditentry SET ip = NULL")

    assert AuditEntry.objects.get().ip is None
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(ip="203.0.113.7")


def test_neither_can_staff(staff: Browser, row: AuditEntry) -> None:
    for page in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
        assert staff.post(f"/admin/accounts/auditentry/{page}", {"event": "x", "post": "yes"}).status_code == 403

    assert AuditEntry.objects.get(pk=row.pk).event == "signed-in"


# --- who leaves ------------------------------------------------------------------------------------------------------


def test_who_leaves_is_out_everywhere_and_nothing_says_from_where_they_came(
    alice: User, by_penora: RelyingParty
) -> None:
    browser = browser_of(alice)
    tokens = by_penora.signs_in(browser)
    UserSocialAuth.objects.create(user=alice, provider="google", uid="alice")
    accounts.note_sign_in(user=alice, method="google")
    Browser().post(SIGN_IN, {"username": "alice", "password": "wrong"})
    assert AuditEntry.objects.filter(ip="127.0.0.1").exists()
    assert AccessAttempt.objects.filter(username="alice").exists()

    services.delete_member(user=alice)

    assert signed_in_as(browser) is None
    assert calls_api(tokens["access_token"]).status_code == 401
    assert by_penora.refreshes(tokens["refresh_token"]).status_code == 400
    assert not AuditEntry.objects.filter(subject=alice, ip__isnull=False).exists()
    assert not AuditEntry.objects.filter(actor=alice, ip__isnull=False).exists()
    assert not UserSocialAuth.objects.filter(user=alice).exists()
    assert not AccessAttempt.objects.filter(username="alice").exists()  # seen before: it kept the address
    assert ("cut-off", None, "alice", None) in written()
    assert {"signed-in", "sign-in-refused"} <= {row[0] for row in written()}


def test_no_secret_name_or_email_is_in_any_row(
    staff: Browser, alice: User, penora: App, by_penora: RelyingParty
) -> None:
    text = accounts.create_key(app=penora, label="server")[1]
    browser = browser_of(alice)
    code = by_penora.code_from(browser)
    tokens = by_penora.exchanges(code).json()
    by_penora.exchanges(code)
    others = by_penora.signs_in(browser)
    for _ in range(2):
        by_penora.refreshes(others["refresh_token"])
    Browser().post(SIGN_IN, {"username": "alice", "password": "a-wrong-password"})
    change(staff, alice, username="Alicia", email="new@example.com", is_staff="on")
    secret = accounts.renew_secret(client=by_penora.client)
    services.delete_member(user=alice)

    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(a::text, ' ') FROM accounts_auditentry a")
        (everything,) = cursor.fetchone()
    for hidden in (
        text,
        text.split("_")[3],
        code,
        secret,
        by_penora.secret,
        *tokens.values(),
        *others.values(),
        "a-wrong-password",
    ):
        if isinstance(hidden, str) and len(hidden) > 10 and hidden != tokens["scope"]:
            assert hidden not in everything
    for hidden in ("Alice", "Alicia", "alice@example.com", "new@example.com", "Ada Min", "admin@example.com"):
        assert hidden not in everything
    events = {row.event for row in AuditEntry.objects.all()}
    assert {"code-replayed", "token-reused", "access-changed", "cut-off", "key-created"} <= events


def test_what_is_done_outside_of_a_request_comes_from_nowhere(alice: User) -> None:
    audit.record(AuditEntry.Event.CUT_OFF, subject=alice)

    row = AuditEntry.objects.get()
    assert (row.ip, row.request_id, row.actor) == (None, "", None)
    assert not Session.objects.exists()
