"""
Who of the staff may do what: every role that is shipped, on every page and action of the admin, asked of the real
pages. The tables are written by hand, from what each role is for; a page, list or action without a line fails.

A letter a role: Viewer looks; Support helps people, within a limit; Finance moves credits and makes prices; Admin does
all of it, and says who may do what. A Clerk is staff without a role, and Root a superuser.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, reverse

from accounts import services
from accounts.models import AuditEntry, Plan, UpgradeRequest, User
from accounts.models import Client as OidcClient
from credits.models import GrantFile, LedgerEntry
from tests.admin.conftest import WHY
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from tests.sso.flow import RelyingParty
from unified.sso.validator import SIGNED_IN_AT
from workspace.models import Project

ROLES = {"V": "Viewer", "S": "Support", "F": "Finance", "A": "Admin", "C": None, "R": None}
EVERY_ROLE, ALL_STAFF, NOBODY = "VSFAR", "VSFACR", ""
each_role = pytest.mark.parametrize(
    "role", ROLES, ids=lambda letter: ROLES[letter] or {"C": "clerk", "R": "root"}[letter]
)

# Of each model: who sees its list, its rows and their history; who adds one; who changes one.
MODELS: dict[str, tuple[str, str, str]] = {
    # People, apps and what opens the doors.
    "accounts.user": (EVERY_ROLE, NOBODY, "SAR"),
    "accounts.plan": (EVERY_ROLE, "FAR", "FAR"),
    "accounts.upgraderequest": (EVERY_ROLE, NOBODY, NOBODY),
    "accounts.app": (EVERY_ROLE, "AR", "AR"),
    "accounts.appkey": (EVERY_ROLE, "AR", NOBODY),
    "accounts.client": (EVERY_ROLE, "AR", "AR"),
    "accounts.auditentry": (EVERY_ROLE, NOBODY, NOBODY),
    "accounts.spentcode": ("AR", NOBODY, NOBODY),
    "auth.group": ("AR", "R", "R"),
    "oauth2_provider.accesstoken": ("SAR", NOBODY, NOBODY),
    "oauth2_provider.refreshtoken": ("SAR", NOBODY, NOBODY),
    "oauth2_provider.idtoken": ("SAR", NOBODY, NOBODY),
    "oauth2_provider.grant": ("SAR", NOBODY, NOBODY),
    "api.idempotencyrecord": ("AR", NOBODY, NOBODY),
    # The books, which nobody changes here.
    "credits.account": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.ledgerentry": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.grant": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.lotuse": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.hold": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.lotclaim": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.grantfile": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.grantline": (EVERY_ROLE, NOBODY, NOBODY),
    "credits.operation": (EVERY_ROLE, "FAR", NOBODY),
    "credits.adjustmentlimit": (EVERY_ROLE, "AR", "AR"),
    # The workspace.
    "workspace.storage": (EVERY_ROLE, NOBODY, NOBODY),
    "workspace.appstorage": (EVERY_ROLE, NOBODY, NOBODY),
    "workspace.reservation": (EVERY_ROLE, NOBODY, NOBODY),
    "workspace.storagewarning": (EVERY_ROLE, NOBODY, NOBODY),
    "workspace.project": (EVERY_ROLE, NOBODY, NOBODY),
    "workspace.projectcontent": (EVERY_ROLE, NOBODY, NOBODY),
    # The figures.
    "figures.creditday": (EVERY_ROLE, NOBODY, NOBODY),
    "figures.serviceday": (EVERY_ROLE, NOBODY, NOBODY),
    "figures.lastactive": (EVERY_ROLE, NOBODY, NOBODY),
    "figures.failedcalls": (EVERY_ROLE, NOBODY, NOBODY),
    "figures.verification": (EVERY_ROLE, NOBODY, NOBODY),
}

# Of each bulk action: to whom it is offered, and for whom it does something.
ACTIONS: dict[tuple[str, str], str] = {
    ("accounts.user", "cut_off"): "SAR",
    ("accounts.user", "adjust_credits"): "SFAR",
    ("accounts.plan", "make_default"): "FAR",
    ("accounts.appkey", "rotate"): "AR",
    ("accounts.appkey", "revoke"): "AR",
    ("accounts.client", "new_secret"): "AR",
}


@dataclass(frozen=True)
class Page:
    """A page that is no list or form of one model. `refused` is the answer to who may not."""

    who: str
    arguments: tuple[str, ...] = ()
    method: str = "get"
    query: str = ""
    refused: int = 403


# By the name of its address. `arguments` name things that `Things` has.
PAGES: dict[str, Page] = {
    # The service.
    "index": Page(ALL_STAFF),
    "refresh": Page(EVERY_ROLE, method="post"),
    "app_list": Page(EVERY_ROLE, ("app_label",), refused=404),
    # One person.
    "find": Page(EVERY_ROLE, query="?q=nobody"),
    "person": Page(EVERY_ROLE, ("person",)),
    "sign-out-person": Page("SAR", ("person",), method="post"),
    "auth_user_password_change": Page("R", ("person",)),
    # Their credits.
    "adjust": Page("SFAR", ("person",)),
    "adjust-many": Page("SFAR", query="?people={person}"),
    "refund": Page("SFAR", ("deduction",)),
    "grants": Page("FAR"),
    "grant-file": Page(EVERY_ROLE, ("grant_file",)),
    "grant-file-start": Page("FAR", ("grant_file",), method="post"),
    "grant-file-step": Page("FAR", ("grant_file",), method="post"),
    # Their room.
    "change-plan": Page("SFAR", ("person",)),
    "change-limit": Page("SAR", ("person",)),
    "clean-up": Page("SAR", ("person",)),
    "restore": Page("SAR", ("person",)),
    "inspect": Page("SAR", ("project",)),
    # What people ask of the staff.
    "upgrades": Page(EVERY_ROLE),
    "upgrade": Page("SFAR", ("wish",)),
    # Lists that leave the house.
    "export": Page("FAR", ("app_label_of_entries", "model_name_of_entries")),
    # The staff themselves.
    "second-factor": Page(ALL_STAFF),
    "reset-second-factor": Page("AR", ("person",)),
    "login": Page(ALL_STAFF),
    "logout": Page(ALL_STAFF, method="post"),
    "password_change": Page(ALL_STAFF),
    "password_change_done": Page(ALL_STAFF),
    # What Django's own pages ask in the background.
    "jsi18n": Page(ALL_STAFF),
    "autocomplete": Page(NOBODY),  # no form here completes anything
    "view_on_site": Page(NOBODY, ("kind", "person"), refused=404),  # nothing here has a public page
}


@dataclass(frozen=True)
class Things:
    """What there is to look at and act on."""

    person: int
    project: int
    deduction: uuid.UUID
    grant_file: int
    wish: int
    kind: int
    app_label: str = "credits"
    app_label_of_entries: str = "credits"
    model_name_of_entries: str = "ledgerentry"


@pytest.fixture
def things(demo: User, dealings: User, key: Any, record: Any, oidc_client: OidcClient, alice: User) -> Things:
    """One of everything, tokens and a code that waits included."""
    party, browser = RelyingParty(*_with_secret(oidc_client)), browser_of(alice)
    party.signs_in(browser)
    party.code_from(browser)
    OidcClient.objects.update(skip_authorization=False)  # a first-party one is a superuser's: see test_powers.py
    return Things(
        person=demo.pk,
        project=Project.objects.filter(user=demo, deleted_at=None).values_list("pk", flat=True)[0],
        deduction=LedgerEntry.objects.filter(account=dealings.pk, type="deduction").values_list("pk", flat=True)[0],
        grant_file=GrantFile.objects.values_list("pk", flat=True)[0],
        wish=UpgradeRequest.objects.values_list("pk", flat=True)[0],
        kind=ContentType.objects.get_for_model(User).pk,
    )


def _with_secret(client: OidcClient) -> tuple[OidcClient, str]:
    return client, services.renew_secret(client=client)


def member_of(role: str) -> Browser:
    """A browser in which a member of staff with this role has just signed in."""
    user = make_user(f"staff-{role}")
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=role == "R")
    if ROLES[role]:
        user.groups.add(Group.objects.get(name=ROLES[role]))
    browser = browser_of(User.objects.get(pk=user.pk))
    session = browser.session
    session[SIGNED_IN_AT] = int(time.time())
    session.save()
    return browser


def model_of(label: str) -> type[Model]:
    return next(model for model in admin.site._registry if model._meta.label_lower == label)


def address(label: str, kind: str, *arguments: Any) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{kind}", args=arguments)


def row_of(label: str) -> Any:
    rows = model_of(label)._default_manager.order_by("pk")
    row = rows.exclude(user_id__startswith="staff-").first() if label == "accounts.user" else rows.first()
    assert row is not None, f"there is no {label} to look at"
    return row


def verdict(answer: Any, refused: int = 403) -> str:
    """What the page said to who asked: yes, no, or something that no line expects."""
    if answer.status_code == refused:
        return "refused"
    is_sent_away = answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    return "allowed" if answer.status_code in {200, 302} and not is_sent_away else f"answered {answer.status_code}"


def expected(role: str, who: str) -> str:
    return "allowed" if role in who else "refused"


# --- That the tables are whole ---------------------------------------------------------------------------------------


def names(patterns: Any = None) -> Iterator[str | None]:
    for item in admin.site.get_urls() if patterns is None else patterns:
        if isinstance(item, URLResolver):
            yield from names(item.url_patterns)
        else:
            assert isinstance(item, URLPattern)
            yield item.name


def test_every_model_has_a_line() -> None:
    assert {model._meta.label_lower for model in admin.site._registry} == set(MODELS)


def test_every_page_has_a_line() -> None:
    kinds = ("changelist", "add", "history", "delete", "change")
    of_models = {f"{label.replace('.', '_')}_{kind}" for label in MODELS for kind in kinds}
    found = list(names())

    assert {name for name in found if name} - of_models == set(PAGES)
    assert of_models <= set(found)
    assert found.count(None) == len(MODELS) + 1  # a former address of each row, which only leads on, and the rest


def test_every_action_has_a_line() -> None:
    declared = {
        (model._meta.label_lower, action if isinstance(action, str) else action.__name__)
        for model, model_admin in admin.site._registry.items()
        for action in model_admin.actions or ()
    }

    assert declared == set(ACTIONS)
    assert [name for name, _ in admin.site.actions] == ["delete_selected"]  # offered by no list; see below


@pytest.mark.django_db
def test_the_roles_are_those_that_are_shipped() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(filter(None, ROLES.values()))


# --- What the pages say ----------------------------------------------------------------------------------------------


@each_role
def test_lists_and_forms(things: Things, role: str) -> None:
    browser = member_of(role)
    before = AuditEntry.objects.count()
    wrong = []
    for label, (sees, adds, changes) in MODELS.items():
        row = row_of(label).pk
        without_reason = {"reason": ""}  # so that who may do it is asked why, and nothing is done
        asked = [
            ("list", sees, browser.get(address(label, "changelist"))),
            ("row", sees, browser.get(address(label, "change", row))),
            ("history", sees, browser.get(address(label, "history", row))),
            ("add", adds, browser.get(address(label, "add"))),
            ("add by POST", adds, browser.post(address(label, "add"), without_reason)),
            ("change", changes, browser.post(address(label, "change", row), without_reason)),
            ("delete", NOBODY, browser.get(address(label, "delete", row))),
            ("delete by POST", NOBODY, browser.post(address(label, "delete", row), {"post": "yes", **WHY})),
        ]
        wrong += [
            f"{label}, {what}: {verdict(answer)}, not {expected(role, who)}"
            for what, who, answer in asked
            if verdict(answer) != expected(role, who)
        ]

    assert wrong == []
    assert AuditEntry.objects.count() == before


@each_role
def test_pages_of_our_own(things: Things, role: str) -> None:
    wrong = []
    for name, page in PAGES.items():
        browser = member_of(role)
        path = reverse(f"admin:{name}", args=[getattr(things, argument) for argument in page.arguments])
        path += page.query.format(person=things.person)
        answer = getattr(browser, page.method)(path)
        if answer.streaming:
            list(answer)  # to its end, or what it reads from would stay open
        if verdict(answer, page.refused) != expected(role, page.who):
            wrong.append(f"{name}: {verdict(answer, page.refused)}, not {expected(role, page.who)}")
        if role not in page.who and page.refused == 403:  # whoever may not look may not send, either
            before = AuditEntry.objects.count()
            sent = browser.post(path, {**WHY, "step": "confirm", "amount": "5"})
            if sent.status_code not in {403, 405} or AuditEntry.objects.count() > before:
                wrong.append(f"{name} by POST: answered {sent.status_code}")

    assert wrong == []


@each_role
def test_actions(things: Things, role: str) -> None:
    browser = member_of(role)
    wrong = []
    for label in MODELS:
        if role not in MODELS[label][0]:
            continue
        form = browser.get(address(label, "changelist")).context["action_form"]
        offered = {value for value, _ in form.fields["action"].choices if value} if form else set()
        allowed = {action for (of, action), who in ACTIONS.items() if of == label and role in who}
        if offered != allowed:
            wrong.append(f"{label}: offered {sorted(offered)}, not {sorted(allowed)}")
    for (label, action), who in ACTIONS.items():
        rows = Plan.objects.filter(slug="plus") if label == "accounts.plan" else [row_of(label)]
        before = AuditEntry.objects.count()
        sent = {"action": action, "_selected_action": [str(row.pk) for row in rows], **WHY}
        answer = browser.post(address(label, "changelist"), sent)
        did = AuditEntry.objects.count() > before or "/adjust/" in answer.get("Location", "")
        if did != (role in who):
            wrong.append(f"{label}, {action}: {'done' if did else 'not done'} ({answer.status_code})")

    assert wrong == []


@each_role
def test_nobody_deletes_by_a_bulk_action(things: Things, role: str) -> None:
    browser = member_of(role)
    before = {label: model_of(label)._default_manager.count() for label in MODELS}

    for label in MODELS:
        sent = {"action": "delete_selected", "_selected_action": [str(row_of(label).pk)], "post": "yes", **WHY}
        browser.post(address(label, "changelist"), sent)

    assert {label: model_of(label)._default_manager.count() for label in MODELS} == before


# --- Rights over rights ----------------------------------------------------------------------------------------------


def rights_of(user: User) -> tuple[bool, bool, list[str], int]:
    user.refresh_from_db()
    groups = sorted(user.groups.values_list("name", flat=True))
    return user.is_staff, user.is_superuser, groups, user.user_permissions.count()


@each_role
def test_who_gives_roles_and_who_gives_everything(alice: User, role: str) -> None:
    browser = member_of(role)
    form = {"username": "Alice", "email": "alice@example.com", "is_active": "on", **WHY}
    viewer = Group.objects.get(name="Viewer")

    browser.post(address("accounts.user", "change", alice.pk), {**form, "is_staff": "on", "groups": [viewer.pk]})
    assert rights_of(alice) == ((True, False, ["Viewer"], 0) if role in "AR" else (False, False, [], 0))

    rights = {"is_superuser": "on", "user_permissions": ["1"]}
    browser.post(address("accounts.user", "change", alice.pk), {**form, "is_staff": "on", **rights})
    assert rights_of(alice)[1::2] == ((True, 1) if role == "R" else (False, 0))


@each_role
def test_a_superuser_is_touched_by_superusers_only(things: Things, superuser: User, role: str) -> None:
    browser = member_of(role)
    person = [superuser.pk]
    form = {"username": "Mine", "email": "mine@example.com", **WHY}

    browser.post(address("accounts.user", "change", superuser.pk), form)
    browser.post(reverse("admin:sign-out-person", args=person), WHY)
    browser.post(reverse("admin:reset-second-factor", args=person), WHY)

    superuser.refresh_from_db()
    assert (superuser.username == "Mine") == (role == "R")
    assert (superuser.session_epoch > 0) == (role == "R")
