"""Who gets into the admin and how far, and that what is signed in with is never shown there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client as Browser
from oauth2_provider.models import get_access_token_model, get_grant_model, get_id_token_model, get_refresh_token_model

from accounts import services as accounts
from accounts.models import App, AuditEntry, Client, User
from tests.admin.conftest import WHY
from tests.sso.conftest import PASSWORD, browser_of, register
from tests.sso.flow import RelyingParty, calls_api, signed_in_as

TOKENS = (get_access_token_model(), get_refresh_token_model(), get_id_token_model(), get_grant_model())


@pytest.fixture
def by_penora(penora: App) -> RelyingParty:
    return register(penora)


def helper(user: User, *permissions: str) -> Browser:
    """A member of staff who may do this and is no superuser."""
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return browser_of(User.objects.get(pk=user.pk))


@pytest.mark.parametrize("model", TOKENS, ids=lambda model: model.__name__)
def test_tokens_can_be_looked_at_but_neither_read_changed_made_nor_deleted(
    staff: Browser, alice: User, by_penora: RelyingParty, model: Any
) -> None:
    browser = browser_of(alice)
    tokens, code = by_penora.signs_in(browser), by_penora.code_from(browser)
    row = model.objects.first()
    base = f"/admin/oauth2_provider/{model._meta.model_name}/"

    pages = [staff.get(base), staff.get(f"{base}{row.pk}/change/"), staff.get(f"{base}?q=alice")]

    assert {page.status_code for page in pages} == {200}
    hidden = [*(tokens[name] for name in ("access_token", "refresh_token", "id_token")), code]
    hidden += [value for value in (getattr(row, "token_checksum", ""), getattr(row, "code_challenge", "")) if value]
    for page in pages:
        assert not [text for text in hidden if text in page.content.decode()]
    for path in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
        assert staff.post(f"{base}{path}", {"post": "yes"}).status_code == 403
    staff.post(base, {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"})
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.django_db
def test_links_to_the_identity_provider_and_sessions_are_not_there_at_all(staff: Browser) -> None:
    registered = {model._meta.label_lower for model in admin.site._registry}

    assert not [label for label in registered if label.startswith(("social_django.", "sessions."))]
    for path in ("social_django/usersocialauth/", "social_django/association/", "sessions/session/"):
        assert staff.get(f"/admin/{path}").status_code == 404


def test_only_superusers_give_rights(alice: User, bob: User) -> None:
    browser = helper(bob, "view_user", "change_user")
    form = {"username": "Alice", "email": "alice@example.com", "is_active": "on", **WHY}

    for rights in ({"is_staff": "on"}, {"is_superuser": "on"}, {"user_permissions": ["1"]}, {"groups": ["1"]}):
        browser.post(f"/admin/accounts/user/{alice.pk}/change/", {**form, **rights})

    alice.refresh_from_db()
    assert (alice.is_staff, alice.is_superuser, alice.user_permissions.count()) == (False, False, 0)
    assert not AuditEntry.objects.filter(event="access-changed").exists()


def test_a_superuser_is_cut_off_by_a_superuser_only(superuser: User, bob: User) -> None:
    browser, root = helper(bob, "view_user", "change_user"), browser_of(superuser)

    answer = browser.post(
        "/admin/accounts/user/", {"action": "cut_off", "_selected_action": [str(superuser.pk)], **WHY}, follow=True
    )

    assert "only another one can sign them out" in answer.content.decode()
    assert signed_in_as(root) == "root"
    assert not AuditEntry.objects.exists()


def test_signing_out_everywhere_is_one_action(staff: Browser, alice: User, by_penora: RelyingParty) -> None:
    browser = browser_of(alice)
    tokens = by_penora.signs_in(browser)

    staff.post("/admin/accounts/user/", {"action": "cut_off", "_selected_action": [str(alice.pk)], **WHY})

    assert signed_in_as(browser) is None
    assert calls_api(tokens["access_token"]).status_code == 401
    assert User.objects.get(pk=alice.pk).is_active


@pytest.mark.parametrize("codenames", [(), ("view_client",), ("view_client", "view_user")])
def test_who_may_only_look_at_clients_changes_none(
    alice: User, penora: App, by_penora: RelyingParty, codenames: tuple[str, ...]
) -> None:
    browser = helper(alice, *codenames)
    client = by_penora.client
    form = {"client_type": "public", "redirect_uris": "https://evil.example/", "skip_authorization": "on", **WHY}

    assert browser.post(f"/admin/accounts/client/{client.pk}/change/", form).status_code == 403
    assert browser.post("/admin/accounts/client/add/", {**form, "app": str(penora.pk), "name": "x"}).status_code == 403
    browser.post("/admin/accounts/client/", {"action": "new_secret", "_selected_action": [str(client.pk)], **WHY})

    assert Client.objects.get().redirect_uris == client.redirect_uris
    assert by_penora.introspects("x").status_code == 200


@pytest.mark.parametrize("path", ["", "accounts/user/", "accounts/client/", "accounts/auditentry/", "oauth2_provider/"])
def test_nobody_gets_in_without_being_staff(alice: User, path: str) -> None:
    for browser in (Browser(), browser_of(alice)):
        answer = browser.get(f"/admin/{path}")
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/?next=")


def test_a_bearer_is_no_way_into_the_admin(superuser: User, by_penora: RelyingParty) -> None:
    token = by_penora.signs_in(browser_of(superuser))["access_token"]

    answer = Browser().get("/admin/", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 302


def test_a_password_set_by_staff_lets_in_and_the_old_sessions_end(staff: Browser, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    old = browser_of(alice)
    form = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true", **WHY}

    assert staff.post(f"/admin/accounts/user/{alice.pk}/password/", form).status_code == 302

    new = Browser()
    assert new.post("/signin/", {"username": "alice", "password": PASSWORD}).status_code == 302
    assert (signed_in_as(old), signed_in_as(new)) == (None, "alice")
    assert accounts.lock_user(user=alice).session_epoch == 1


@pytest.mark.parametrize("id", ["0", "999999", "abc", "_5F", "%00", "x" * 300])
def test_a_password_page_of_nobody_is_a_404(staff: Browser, id: str) -> None:
    assert staff.post(f"/admin/accounts/user/{id}/password/", {}).status_code in {400, 404}
