"""The lists of the workspace: figures as SQL has them, filters, order, search and exports, at a fixed cost."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import App, Plan, User
from tests.admin.test_room import MEGABYTE, of_role, saved
from tests.clock import let_pass
from tests.concurrency.books import rows
from tests.conftest import make_user
from unified import services
from workspace import services as workspace
from workspace.models import AppStorage, Project, ProjectContent, Reservation, Storage, StorageWarning

LISTS = (Storage, AppStorage, Reservation, StorageWarning, Project, ProjectContent)
BAD = ("abc", "NaN", "Infinity", "1e400", "--1", "9" * 60, "'; --")


def the_list(browser: Browser, model: Any = Storage, **query: str) -> Any:
    response = browser.get(reverse(f"admin:workspace_{model._meta.model_name}_changelist"), query)
    assert response.status_code == 200
    return response


def people(response: Any) -> list[str]:
    return [row.user.user_id for row in response.context["cl"].result_list]


def cells(response: Any, column: str) -> list[str]:
    """What stands in a column, as it is read."""
    found = re.findall(rf'<t[dh] class="[^"]*field-{column}[^"]*">(.*?)</t[dh]>', response.content.decode(), re.DOTALL)
    return [" ".join(unescape(re.sub(r"<[^>]*>", "", cell)).split()) for cell in found]


@pytest.fixture
def crowd(penora: App, imagegene: App) -> dict[str, User]:
    """Full, nearly full, half full in a large room, and empty."""
    users = {name: make_user(name) for name in ("full", "near", "half", "none")}
    saved(users["full"], penora, MEGABYTE // 2)
    saved(users["full"], imagegene, MEGABYTE // 2)
    saved(users["near"], penora, MEGABYTE * 85 // 100)
    services.change_plan(user=users["half"], plan=Plan.objects.get(slug="plus"))
    for _ in range(5):
        saved(users["half"], imagegene, MEGABYTE)
    workspace.delete_project(user=users["half"], code=saved(users["half"], penora, 2_000).code)
    return users


@pytest.mark.usefixtures("crowd")
def test_the_figures_are_those_of_sql(staff: Browser) -> None:
    page = the_list(staff)

    used = rows("""
        SELECT u.user_id, coalesce(sum(p.size_bytes) FILTER (WHERE p.deleted_at IS NULL), 0) AS used,
               count(p.id) FILTER (WHERE p.deleted_at IS NULL), s.limit_bytes
        FROM workspace_storage s JOIN accounts_user u ON u.id = s.user_id
            LEFT JOIN workspace_project p ON p.user_id = s.user_id
        GROUP BY u.user_id, s.limit_bytes ORDER BY used DESC
    """)
    assert people(page) == [user_id for user_id, *_ in used]
    assert cells(page, "projects") == [str(number) for _, _, number, _ in used]
    assert cells(page, "percentage") == [f"{100 * size / limit:.1f} %" for _, size, _, limit in used]
    meters = re.findall(r'max="(\d+)" low="[^"]+" high="[^"]+" optimum="0" value="(\d+)"', page.content.decode())
    assert meters == [(str(limit), str(size)) for _, size, _, limit in used]
    assert cells(page, "room") == [
        "5 MB of 10 MB",
        "1 MB of 1 MB full",
        "870 KB of 1 MB over 80 %",
        "0 bytes of 1 MB",
    ]
    assert cells(page, "apps") == [
        "ImageGene 5 MB in 5",
        "Penora 512 KB in 1 · ImageGene 512 KB in 1",
        "Penora 870 KB in 1",
        "–",
    ]
    assert cells(page, "trash") == ["2 KB in 1", "–", "–", "–"]
    assert 'aria-label="1\xa0MB of 1\xa0MB used"' in page.content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"used_bytes_from": "0.9"}, ["half", "full"]),
        ({"used_bytes_from": "0.5", "used_bytes_to": "1"}, ["full", "near"]),
        ({"used_bytes_to": "0"}, ["none"]),
        ({"fullness_from": "80"}, ["full", "near"]),
        ({"fullness_from": "86"}, ["full"]),
        ({"fullness_from": "50", "fullness_to": "50"}, ["half"]),
        ({"limit_bytes_from": "5"}, ["half"]),
        ({"project_count_from": "2", "project_count_to": "4"}, ["full"]),
        ({"reached": "80"}, ["full", "near"]),
        ({"reached": "100"}, ["full"]),
        ({"fullness_from": "40", "limit_bytes_to": "2", "reached": "95"}, ["full"]),
        ({"q": "near"}, ["near"]),
        ({"q": "NEAR@example.com"}, ["near"]),
    ],
)
@pytest.mark.usefixtures("crowd")
def test_filters_find_exactly_those(query: dict[str, str], found: list[str], staff: Browser) -> None:
    assert people(the_list(staff, **query)) == found


@pytest.mark.usefixtures("crowd")
def test_the_plan_is_a_filter(staff: Browser) -> None:
    plus = str(Plan.objects.get(slug="plus").pk)

    assert people(the_list(staff, user__plan__id__exact=plus)) == ["half"]


@pytest.mark.parametrize("column", ["used_bytes", "fullness", "limit_bytes", "project_count"])
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.usefixtures("crowd")
def test_what_is_no_number_finds_nothing_and_says_so(column: str, bad: str, staff: Browser) -> None:
    page = the_list(staff, **{f"{column}_from": bad})

    assert people(page) == []
    assert "Not a number." in page.content.decode()


@pytest.mark.parametrize("column", ["used_bytes", "fullness", "limit_bytes", "project_count"])
@pytest.mark.usefixtures("crowd")
def test_a_number_that_no_database_has_is_no_trouble(column: str, staff: Browser) -> None:
    assert people(the_list(staff, **{f"{column}_from": "999999999999999"})) == []
    assert len(people(the_list(staff, **{f"{column}_from": "-999999999999999"}))) >= 4


@pytest.mark.usefixtures("crowd")
def test_it_is_sorted_by_bytes_and_by_share(staff: Browser) -> None:
    columns = list(the_list(staff).context["cl"].list_display)
    by_bytes, by_share = (columns.index(name) for name in ("room", "percentage"))

    assert people(the_list(staff, o=f"-{by_bytes}")) == ["half", "full", "near", "none"]
    assert people(the_list(staff, o=f"-{by_share}")) == ["full", "near", "half", "none"]
    assert people(the_list(staff, o=str(by_share)))[0] == "none"


@pytest.mark.parametrize(
    ("role", "ways"),
    [
        ("Viewer", set()),
        ("Finance", {"plan"}),
        ("Support", {"plan", "limit", "clean-up"}),
        ("Admin", {"plan", "limit", "clean-up"}),
    ],
)
def test_each_row_leads_to_what_the_viewer_may_do(role: str, ways: set[str], crowd: dict[str, User]) -> None:
    html = the_list(of_role(role), q="near").content.decode()

    pk = crowd["near"].pk
    assert set(re.findall(rf'href="/admin/people/{pk}/([\w-]+)/"', html)) == ways
    assert f'href="/admin/people/{pk}/"' in html
    assert "<a href" not in re.sub(r"<a [^>]*>.*?</a>", "", html, flags=re.DOTALL)  # no link within a link


def test_whoever_may_not_look_sees_no_list(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    browser = Browser()
    browser.force_login(User.objects.get(pk=alice.pk), backend="unified.sso.google.GoogleSignIn")

    for model in LISTS:
        address = reverse(f"admin:workspace_{model._meta.model_name}_changelist")
        assert browser.get(address).status_code == 403


def test_a_page_costs_the_same_with_one_person_as_with_thirty(staff: Browser, penora: App, imagegene: App) -> None:
    def fill(first: int, last: int) -> None:
        for number in range(first, last):
            user = make_user(f"user-{number}")
            saved(user, penora, 100)
            saved(user, imagegene, 100)
            workspace.delete_project(user=user, code=saved(user, penora, 10).code)
            services.reserve(user=user, app=penora, amount=1, description="held", storage_bytes=1)
            workspace.change_limit(user=user, limit_bytes=210)

    def queries() -> list[int]:
        counts = []
        for model in LISTS:
            with CaptureQueriesContext(connection) as captured:
                the_list(staff, model)
                the_list(staff, model, q="user-0")
            counts.append(len(captured))
        return counts

    fill(0, 1)
    with_one = queries()
    fill(1, 30)

    assert queries() == with_one
    assert Storage.objects.count() >= 30


# --- Projects ------------------------------------------------------------------------------------------------------


def test_a_project_is_found_by_its_code_as_somebody_types_it_also_in_the_trash(
    alice: User, penora: App, staff: Browser
) -> None:
    kept, gone = saved(alice, penora, 100), saved(alice, penora, 100)
    Project.objects.filter(pk=kept.pk).update(code="7K0M1Q")
    Project.objects.filter(pk=gone.pk).update(code="0123AB")
    workspace.delete_project(user=alice, code="0123AB")

    for typed in ("7K0M1Q", " 7k0-m1q ", "7komlq", "7KOMIQ"):
        assert [row.code for row in the_list(staff, Project, q=typed).context["cl"].result_list] == ["7K0M1Q"]
    for typed in ("0123AB", "o123ab"):
        assert [row.code for row in the_list(staff, Project, q=typed).context["cl"].result_list] == ["0123AB"]
        found = the_list(staff, ProjectContent, q=typed).context["cl"].result_list
        assert [row.project.code for row in found] == ["0123AB"]


def test_projects_are_filtered_by_size_and_days(alice: User, penora: App, staff: Browser) -> None:
    old = saved(alice, penora, 1_000)
    let_pass(timedelta(days=40))
    new = saved(alice, penora, MEGABYTE // 2)

    def found(**query: str) -> list[int]:
        return [row.pk for row in the_list(staff, Project, **query).context["cl"].result_list]

    assert found(size_bytes_from="0.4") == [new.pk]
    assert found(size_bytes_to="0.4") == [old.pk]
    day = str((new.created_at - timedelta(days=5)).date())
    assert found(created_at_from=day) == [new.pk]
    assert found(updated_at_to=day) == [old.pk]
    assert found(created_at_from="2026-02-31") == []


def test_exports_have_figures_and_no_names_and_no_titles(crowd: dict[str, User], penora: App, staff: Browser) -> None:
    saved(crowd["none"], penora, 10, "A secret of mine")

    def exported(model: Any) -> list[dict[str, str]]:
        answer = staff.get(reverse("admin:export", args=["workspace", model._meta.model_name]))
        assert answer.status_code == 200
        text = b"".join(answer).decode()  # type: ignore[call-overload]
        assert "secret" not in text
        assert "@" not in text
        return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))

    full = next(row for row in exported(Storage) if row["user"] == "full")
    assert (full["plan"], full["used_bytes"], full["limit_bytes"]) == ("free", str(MEGABYTE), str(MEGABYTE))
    parts = [(row["app"], row["used_bytes"]) for row in exported(AppStorage) if row["user_id"] == "full"]
    assert sorted(parts) == [("imagegene", str(MEGABYTE // 2)), ("penora", str(MEGABYTE // 2))]
    assert len(exported(Project)) == Project.objects.count()
    assert {row["percent"] for row in exported(StorageWarning) if row["user_id"] == "full"} == {"80", "95", "100"}
