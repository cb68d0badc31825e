"""
What a member of staff cannot make of themselves or of others: more than they are, or than they may.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client as Browser

from accounts import services as accounts
from accounts.models import App, AuditEntry, User
from tests.admin.conftest import WHY
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from unified import services


def colleague(name: str, *roles: str, permissions: tuple[str, ...] = ()) -> tuple[User, Browser]:
    user = make_user(name)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.add(*Group.objects.filter(name__in=roles))
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return User.objects.get(pk=user.pk), browser_of(User.objects.get(pk=user.pk))


def send(browser: Browser, user: User, **fields: Any) -> Any:
    form = {"username": user.username, "email": user.email, "is_active": "on", **WHY, **fields}
    sent = {name: value for name, value in form.items() if value is not None}
    return browser.post(f"/admin/accounts/user/{user.pk}/change/", sent)


def rights(user: User) -> tuple[bool, bool, bool, set[str], int]:
    now = User.objects.get(pk=user.pk)
    groups = set(now.groups.values_list("name", flat=True))
    return now.is_active, now.is_staff, now.is_superuser, groups, now.user_permissions.count()


@pytest.fixture
def everything(db: None) -> Group:
    """A role that may do all there is."""
    group = Group.objects.create(name="Everything")
    group.permissions.set(Permission.objects.all())
    return group


def test_an_admin_gives_roles_to_others(alice: User) -> None:
    _, browser = colleague("chief", "Admin")
    support = Group.objects.get(name="Support")

    assert send(browser, alice, is_staff="on", groups=[support.pk]).status_code == 302

    assert rights(alice) == (True, True, False, {"Support"}, 0)


def test_nobody_gives_themselves_anything(everything: Group) -> None:
    chief, browser = colleague("chief", "Admin")
    clerk, clerks = colleague("clerk", permissions=("view_user", "change_user", "assign_roles"))

    send(browser, chief, is_staff="on", groups=[everything.pk], is_superuser="on", user_permissions=["1"])
    send(clerks, clerk, is_staff="on", groups=[Group.objects.get(name="Admin").pk])

    assert rights(chief) == (True, True, False, {"Admin"}, 0)
    assert rights(clerk)[3] == set()


def test_nobody_gives_more_than_they_have(everything: Group, alice: User) -> None:
    _, browser = colleague("chief", "Admin")
    _, clerks = colleague("clerk", "Viewer", permissions=("change_user", "assign_roles"))

    refused = send(browser, alice, is_staff="on", groups=[everything.pk])
    send(clerks, alice, is_staff="on", groups=[Group.objects.get(name="Finance").pk])

    assert "is not one of the available choices" in refused.content.decode()
    assert rights(alice) == (True, False, False, set(), 0)
    assert send(clerks, alice, is_staff="on", groups=[Group.objects.get(name="Viewer").pk]).status_code == 302
    assert rights(alice)[3] == {"Viewer"}


def test_what_somebody_has_beyond_the_giver_is_not_taken_by_saving_their_name(everything: Group) -> None:
    _, browser = colleague("chief", "Admin")
    other, _ = colleague("other", "Everything")

    assert send(browser, other, username="Another name", groups=[]).status_code == 302

    assert rights(other)[3] == {"Everything"}
    assert User.objects.get(pk=other.pk).username == "Another name"


def test_support_neither_locks_colleagues_out_nor_lets_them_in(alice: User) -> None:
    _, browser = colleague("helper", "Support")
    chief, _ = colleague("chief", "Admin")

    send(browser, chief, is_active=None, username="Nobody", email="mine@example.com")
    assert rights(chief)[0]
    accounts.set_active(user=chief, is_active=False)
    send(browser, chief)

    chief.refresh_from_db()
    assert (chief.is_active, chief.username, chief.email) == (False, "Chief", "chief@example.com")
    assert send(browser, alice, is_active=None).status_code == 302  # of people, they do
    assert not rights(alice)[0]


def test_who_has_left_is_not_filled_in_again(staff: Browser, alice: User) -> None:
    services.delete_member(user=alice)

    assert send(staff, alice, username="Alice", is_staff="on").status_code == 403

    gone = User.objects.get(pk=alice.pk)
    assert (gone.username, gone.email, gone.is_active, gone.is_staff) == ("Deleted user", "", False, False)
    with pytest.raises(accounts.UserHasLeft):
        accounts.set_active(user=gone, is_active=True)


def test_a_first_party_client_is_a_superusers_to_change(penora: App, staff: Browser) -> None:
    """Its addresses are where codes go to, for anybody who follows a link, without a question."""
    client, _, _ = accounts.register_client(
        app=penora, redirect_uris=["https://penora.example/cb"], confidential=True, first_party=True
    )
    _, browser = colleague("chief", "Admin")
    form = {"client_type": "confidential", "redirect_uris": "https://evil.example/cb", **WHY}
    action = {"action": "new_secret", "_selected_action": [str(client.pk)], **WHY}

    assert browser.post(f"/admin/accounts/client/{client.pk}/change/", form).status_code == 403
    told = browser.post("/admin/accounts/client/", action, follow=True).content.decode()

    before = client.client_secret
    client.refresh_from_db()
    assert (client.redirect_uris, client.client_secret) == ("https://penora.example/cb", before)
    assert "only superusers give it a new secret" in told
    assert not AuditEntry.objects.filter(event="client-changed").exists()
    form["redirect_uris"] = "https://penora.example/other"
    assert (
        staff.post(f"/admin/accounts/client/{client.pk}/change/", {**form, "skip_authorization": "on"}).status_code
        == 302
    )


@pytest.mark.parametrize(
    "query",
    [
        *("accounts/auditentry/?ip__exact=abc", "accounts/auditentry/?ip__gte=x", "accounts/auditentry/?details=x"),
        *("workspace/projectcontent/?body__gte=a", "workspace/projectcontent/?digest__iexact=a"),
        *("accounts/client/?client_secret__gte=a", "accounts/appkey/?digest__gte=a"),
        *("accounts/user/?password__gte=a", "credits/ledgerentry/?account__user__password__gte=a"),
        *("oauth2_provider/grant/?code__gte=a", "oauth2_provider/accesstoken/?token__gte=a"),
        *("api/idempotencyrecord/?body__gte=a", "api/idempotencyrecord/?request_digest__gte=a"),
        *("credits/grantfile/?digest__gte=a", "workspace/project/?metadata__prompt=a"),
    ],
)
def test_no_address_asks_for_a_column_that_is_not_shown(staff: Browser, query: str) -> None:
    """Some were a 500, others let a hidden value be found by halving."""
    assert staff.get(f"/admin/{query}").status_code == 400


@pytest.mark.parametrize(
    "query", ["user__exact=abc", "user__exact=", "user__exact=99999999999999999999", "user__in=1,x"]
)
def test_an_address_that_asks_for_nobody_is_answered(staff: Browser, query: str) -> None:
    assert staff.get(f"/admin/credits/account/?{query}").status_code in (200, 302)


def test_an_earlier_group_of_a_roles_name_gets_no_powers(db: None) -> None:
    """The migration, run over a database in which somebody had a group of that name."""
    from importlib import import_module

    from django.apps import apps

    Group.objects.filter(name__in=["Viewer", "Support", "Finance", "Admin"]).delete()
    own = Group.objects.create(name="Support")
    member = make_user("member")
    member.groups.add(own)

    import_module("unified.admin.migrations.0001_roles").make_roles(apps, None)

    assert [group.name for group in member.groups.all()] == [f"Support (earlier, {own.pk})"]
    assert not member.get_group_permissions()
    assert Group.objects.get(name="Support").permissions.count() > 20


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "would never work"),
        ({"scopes": " "}, "could do nothing"),
    ],
)
def test_a_key_that_could_do_nothing_is_not_made(
    staff: Browser, penora: App, change: dict[str, str], told: str
) -> None:
    form = {"app": str(penora.pk), "label": "x", "mode": "live", "scopes": "credits.read", **WHY}

    answer = staff.post("/admin/accounts/appkey/add/", {**form, **change})

    assert told in answer.content.decode()
    assert not penora.keys.exists()


def test_a_password_is_offered_where_it_can_be_set_and_lets_somebody_in(staff: Browser, alice: User) -> None:
    chief, browser = colleague("chief", "Admin")
    other, _ = colleague("other", "Viewer")

    def offered(by: Browser, member: User) -> bool:
        return "password/" in by.get(f"/admin/accounts/user/{member.pk}/change/").content.decode()

    assert (offered(staff, chief), offered(staff, alice), offered(browser, other)) == (True, False, False)


def test_the_form_for_a_new_app_asks_for_what_there_is_to_say(staff: Browser) -> None:
    page = staff.get("/admin/accounts/app/add/").content.decode()

    assert "DatabaseDefault" not in page
    assert "Created at" not in page
