"""
What people keep is opened by staff who may, for a reason, and each time is written down. What strangers made never runs
in the admin, and who may not inspect sees none of it on any page.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client as Browser
from django.urls import reverse

from accounts.models import App, AuditEntry, User
from tests.admin.test_room import WHY, of_role, words
from tests.clock import let_pass
from tests.workspace.contents import body_of, content_of
from tests.workspace.pictures import encoded, photograph
from unified import services
from workspace import services as workspace
from workspace.models import Project

SECRET = "a lighthouse that nobody else knows of"
HOSTILE = {
    "a page": "data:text/html,<script>alert(1)</script></pre><img src=x onerror=alert(2)>",
    "a drawing": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(2)</script></svg>',
    "a template": "{{ request.user.password }}{% load static %}</pre></section><form action=//evil.example>",
    "a script": "data:text/javascript,alert(1)",
}


def at(project: Project) -> str:
    return reverse("admin:inspect", args=[project.pk])


def text(user: User, app: App, sent: str, title: str = "A page") -> Project:
    return workspace.save_project(
        user=user,
        app=app,
        project_type="page",
        title=title,
        content=content_of(sent),
        metadata={"prompt": SECRET, "model": "flux-1", "seed": 4711},
    )[0]


@pytest.fixture
def picture(alice: User, imagegene: App) -> Project:
    return workspace.save_project(
        user=alice,
        app=imagegene,
        project_type="image",
        title="A lighthouse",
        content=content_of(base64.b64encode(encoded(photograph((96, 64)), "PNG")).decode()),
        metadata={"prompt": SECRET, "model": "flux-1"},
    )[0]


def opened(browser: Browser, project: Project, how: str, **form: str) -> Any:
    return browser.post(at(project), {"how": how, "reason": WHY, **form})


@pytest.mark.parametrize(("role", "may"), [("Viewer", False), ("Finance", False), ("Support", True), ("Admin", True)])
def test_who_may_inspect_sees_the_facts_and_nobody_else_anything(role: str, may: bool, picture: Project) -> None:
    browser = of_role(role)
    pages = [
        browser.get(at(picture)),
        browser.get("/admin/workspace/project/"),
        browser.get(f"/admin/workspace/project/{picture.pk}/change/"),
        browser.get("/admin/workspace/projectcontent/"),
        browser.get(f"/admin/workspace/projectcontent/{picture.pk}/change/"),
        browser.get(reverse("admin:person", args=[picture.user_id])),
    ]

    assert pages[0].status_code == (200 if may else 403)
    assert {page.status_code for page in pages[1:]} == {200}
    assert (SECRET in unescape(pages[0].content.decode())) is may
    if may:
        assert "flux-1" in words(pages[0])
        assert "96 × 64" in words(pages[0])
        assert "/thumbnail?" in pages[0].content.decode()
        assert all(at(picture) in page.content.decode() for page in (pages[1], pages[2]))
    else:
        for page in pages:
            assert not [trace for trace in (SECRET, "flux-1", "thumbnail?", at(picture)) if trace in str(page.content)]
    for how in ("shown", "downloaded"):
        assert opened(browser, picture, how).status_code == (200 if may else 403)
    assert AuditEntry.objects.count() == (2 if may else 0)


def test_nobody_but_staff_comes_near(picture: Project) -> None:
    browser = Browser()
    assert opened(browser, picture, "shown").status_code == 302
    browser.force_login(picture.user, backend="unified.sso.google.GoogleSignIn")
    assert opened(browser, picture, "shown").status_code == 302
    assert not AuditEntry.objects.exists()


def test_the_permission_to_inspect_alone_is_not_enough(picture: Project, bob: User) -> None:
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    bob.user_permissions.add(Permission.objects.get(codename="inspect_projectcontent"))
    browser = Browser()
    browser.force_login(User.objects.get(pk=bob.pk), backend="unified.sso.google.GoogleSignIn")

    assert browser.get(at(picture)).status_code == 403


def test_a_picture_is_shown_and_sent_and_each_time_is_one_row(picture: Project) -> None:
    browser = of_role("Support")
    looked = browser.get(at(picture))
    assert not AuditEntry.objects.exists()
    assert base64.b64encode(body_of(picture))[:60] not in looked.content

    shown = opened(browser, picture, "shown")
    sent = opened(browser, picture, "downloaded")

    assert f"data:{picture.content_type};base64,{base64.b64encode(body_of(picture)).decode()}" in unescape(
        shown.content.decode()
    )
    assert sent.content == body_of(picture)
    assert sent["Content-Type"] == picture.content_type
    assert sent["Content-Disposition"].startswith(f'attachment; filename="{picture.code}.')
    for answer in (looked, shown, sent):
        assert "no-store" in answer["Cache-Control"]
        assert answer["X-Content-Type-Options"] == "nosniff"
    assert sent["Content-Security-Policy"] == "default-src 'none'; sandbox"
    entries = list(AuditEntry.objects.order_by("id"))
    assert [entry.details.pop("how") for entry in entries] == ["shown", "downloaded"]
    for entry in entries:
        assert (entry.event, entry.subject, entry.reason) == ("content-opened", picture.user, WHY)
        assert entry.actor is not None
        assert entry.actor.user_id == "support-of-staff"
        assert entry.details == {"code": picture.code, "version": 1, "size_bytes": picture.size_bytes}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_a_stranger_wrote_is_text_and_a_file_and_never_runs(kind: str, alice: User, penora: App) -> None:
    browser = of_role("Support")
    project = text(alice, penora, HOSTILE[kind], title="<script>alert(3)</script>")
    Project.objects.filter(pk=project.pk).update(metadata={"prompt": "<script>alert(4)</script>", "</pre>": "<b>"})
    written = body_of(project).decode()

    shown = opened(browser, project, "shown").content.decode()
    sent = opened(browser, project, "downloaded")

    for number in range(1, 5):
        assert f"<script>alert({number})" not in shown
    assert "onerror=alert(2)>" not in shown
    assert 'onload="' not in shown
    assert written in unescape(shown)
    assert sent.content.decode() == written
    assert sent["Content-Disposition"].startswith("attachment;")
    assert sent["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "script" not in sent["Content-Type"]
    assert "svg" not in sent["Content-Type"]


def test_a_picture_of_a_kind_that_nobody_has_thought_of_is_a_file_only(picture: Project) -> None:
    browser = of_role("Support")
    Project.objects.filter(pk=picture.pk).update(content_type="image/svg+xml")

    shown, sent = opened(browser, picture, "shown"), opened(browser, picture, "downloaded")

    assert "cannot be shown" in words(shown)
    assert "data:image" not in shown.content.decode()
    assert sent["Content-Type"] == "application/octet-stream"


def test_a_long_text_is_shown_in_part_and_sent_whole(alice: User, penora: App) -> None:
    browser = of_role("Support")
    project = text(alice, penora, "x" * 200_003)

    assert "3 more characters; the file has all of it." in words(opened(browser, project, "shown"))
    assert len(opened(browser, project, "downloaded").content) == 200_003


@pytest.mark.parametrize(
    "form",
    [{"reason": ""}, {"reason": "   "}, {"reason": "x" * 501}, {"how": ""}, {"how": "printed"}],
    ids=["no reason", "a blank reason", "a long reason", "no way", "another way"],
)
def test_without_a_reason_and_a_way_nothing_is_opened(form: dict[str, str], picture: Project) -> None:
    page = opened(of_role("Support"), picture, **{"how": "shown", **form})

    assert page.status_code == 200
    assert page.context["form"].errors
    assert "data:image" not in page.content.decode()
    assert not AuditEntry.objects.exists()


def test_no_address_gives_the_content_to_a_get(picture: Project) -> None:
    browser = of_role("Support")

    for query in ({"how": "downloaded", "reason": WHY}, {"how": "shown"}):
        answer = browser.get(at(picture), query)
        assert base64.b64encode(body_of(picture))[:40] not in answer.content
        assert body_of(picture) not in answer.content
    assert browser.put(at(picture)).status_code == 405
    assert not AuditEntry.objects.exists()


def test_the_trash_can_be_looked_into_while_it_can_be_restored(picture: Project) -> None:
    browser = of_role("Support")
    workspace.delete_project(user=picture.user, code=picture.code)

    page = browser.get(at(picture))
    assert "in the trash" in words(page)
    assert "thumbnail?" not in page.content.decode()
    assert opened(browser, picture, "downloaded").content == body_of(picture)

    let_pass(timedelta(days=8))
    assert browser.get(at(picture)).status_code == 404
    assert opened(browser, picture, "downloaded").status_code == 404
    assert AuditEntry.objects.count() == 1


def test_what_is_gone_cannot_be_opened(picture: Project) -> None:
    browser = of_role("Support")
    services.delete_member(user=picture.user)
    written = AuditEntry.objects.count()

    assert opened(browser, picture, "shown").status_code == 404
    assert AuditEntry.objects.count() == written
