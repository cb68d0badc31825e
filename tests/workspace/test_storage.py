"""The room: what the database refuses by itself, what a save writes, and what a listing reads."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext

from accounts.models import App, User
from tests.client import ApiClient
from tests.workspace.contents import content_of
from workspace import queries, services
from workspace.content import Content
from workspace.models import AppStorage, Project, ProjectContent, Storage

MEGABYTE = 1_048_576
CHECK_VIOLATION, UNIQUE_VIOLATION, FOREIGN_KEY_VIOLATION = "23514", "23505", "23503"


def keep(user: User, app: App, content: Content | str = "text", **changes: Any) -> tuple[Project, Storage]:
    content = content_of(content) if isinstance(content, str) else content
    wanted = {"project_type": "page", "title": "Page", "metadata": {}, **changes}
    return services.save_project(user=user, app=app, content=content, **wanted)


def execute(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        found = cursor.fetchall() if cursor.description else []
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return found


def refused(sql: str, *parameters: Any) -> tuple[str, str]:
    with pytest.raises(Error) as caught, transaction.atomic():
        execute(sql, *parameters)
    cause: Any = caught.value.__cause__
    return cause.pgcode, cause.diag.constraint_name


# --- what the database refuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("used_bytes = limit_bytes + 1", "storage_within_limit"),
        ("reserved_bytes = limit_bytes + 1", "storage_within_limit"),
        ("used_bytes = limit_bytes, reserved_bytes = 1", "storage_within_limit"),
        ("limit_bytes = 0, used_bytes = 1", "storage_within_limit"),
        ("used_bytes = -1", "storage_counters_not_negative"),
        ("reserved_bytes = -1", "storage_counters_not_negative"),
        ("project_count = -1", "workspace_storage_project_count_check"),
    ],
)
def test_a_storage_that_cannot_be_is_refused(alice: User, change: str, constraint: str) -> None:
    assert refused(f"UPDATE workspace_storage SET {change}") == (CHECK_VIOLATION, constraint)

    storage = Storage.objects.get(user=alice)
    assert (storage.used_bytes, storage.reserved_bytes, storage.limit_bytes) == (0, 0, MEGABYTE)


def test_used_and_reserved_may_fill_the_room(alice: User) -> None:
    execute("UPDATE workspace_storage SET used_bytes = limit_bytes - 1, reserved_bytes = 1")

    assert Storage.objects.get(user=alice).available_bytes == 0


@pytest.mark.parametrize("column", ["limit_bytes", "used_bytes", "reserved_bytes", "project_count"])
def test_null_does_not_slip_past_the_checks(alice: User, column: str) -> None:
    assert refused(f"UPDATE workspace_storage SET {column} = NULL")[0] == "23502"


def test_a_code_is_used_once_over_all_people_and_apps(alice: User, bob: User, penora: App, imagegene: App) -> None:
    first, second = keep(alice, penora)[0], keep(bob, imagegene)[0]

    sqlstate, _ = refused("UPDATE workspace_project SET code = %s WHERE id = %s", first.code, second.pk)

    assert sqlstate == UNIQUE_VIOLATION


@pytest.mark.parametrize("table", ["accounts_user", "accounts_app", "workspace_storage", "workspace_project"])
def test_nothing_that_a_project_stands_on_can_be_deleted(alice: User, penora: App, table: str) -> None:
    project, storage = keep(alice, penora)

    for row in (alice, penora, storage):
        with pytest.raises(ProtectedError), transaction.atomic():
            row.delete()
    assert refused(f"DELETE FROM {table}")[0] == FOREIGN_KEY_VIOLATION
    assert bytes(ProjectContent.objects.get(project=project).body) == b"text"


@pytest.mark.parametrize("column", ["body", "thumbnail"])
def test_content_is_stored_out_of_line_and_by_the_server_as_it_is(alice: User, penora: App, column: str) -> None:
    assert execute(
        "SELECT attstorage FROM pg_attribute WHERE attrelid = 'workspace_projectcontent'::regclass AND attname = %s",
        column,
    ) == [("e",)]

    keep(alice, penora)
    execute(f"UPDATE workspace_projectcontent SET {column} = DECODE(REPEAT('61', 100000), 'hex')")
    assert execute(f"SELECT octet_length({column}), pg_column_size({column}) FROM workspace_projectcontent") == [
        (100_000, 100_000)
    ]


def test_a_text_is_compressed_at_rest_and_counts_at_its_plain_length(alice: User, penora: App) -> None:
    project, storage = keep(alice, penora, "Ein Absatz. " * 1_000)

    assert project.size_bytes == storage.used_bytes == 12_000
    assert execute("SELECT octet_length(body) < 200, encoding FROM workspace_projectcontent") == [(True, "br")]
    assert queries.plain(project.content) == b"Ein Absatz. " * 1_000


# --- what a save writes ----------------------------------------------------------------------------------------------


def test_a_save_writes_the_project_its_bytes_and_the_counters(alice: User, penora: App, imagegene: App) -> None:
    project, storage = keep(alice, penora, "héllo", title="First", metadata={"a": [1, None]})
    keep(alice, imagegene, "abc")

    project.refresh_from_db()
    assert (project.user, project.app, project.title, project.project_type) == (alice, penora, "First", "page")
    assert (project.size_bytes, project.original_bytes) == (6, 6)
    assert project.content_type == "text/plain; charset=utf-8"
    assert project.metadata == {"a": [1, None]}
    assert bytes(project.content.body) == "héllo".encode()
    assert (storage.used_bytes, storage.project_count) == (6, 1)
    storage.refresh_from_db()
    assert (storage.used_bytes, storage.project_count) == (9, 2)
    by_app = AppStorage.objects.filter(storage=storage).order_by("app_id")
    assert list(by_app.values_list("app__slug", "used_bytes", "project_count")) == [
        ("penora", 6, 1),
        ("imagegene", 3, 1),
    ]


def test_an_exact_fit_fits_and_one_byte_more_does_not(alice: User, bob: User, penora: App) -> None:
    assert keep(alice, penora, "x" * MEGABYTE)[1].available_bytes == 0

    with pytest.raises(services.StorageLimitExceeded) as refusal:
        keep(bob, penora, "x" * (MEGABYTE + 1))
    figures = (refusal.value.needed_bytes, refusal.value.available_bytes, refusal.value.limit_bytes)
    assert figures == (MEGABYTE + 1, MEGABYTE, MEGABYTE)
    assert not Project.objects.filter(user=bob).exists()


def test_reserved_room_is_not_free(alice: User, penora: App) -> None:
    Storage.objects.filter(user=alice).update(reserved_bytes=MEGABYTE - 3)

    with pytest.raises(services.StorageLimitExceeded) as refusal:
        keep(alice, penora, "four")
    assert refusal.value.available_bytes == 3
    assert keep(alice, penora, "abc")[1].available_bytes == 0


def test_the_number_of_projects_is_bounded(alice: User, penora: App, settings: Any) -> None:
    settings.MAX_PROJECTS_PER_USER = 2
    keep(alice, penora)
    keep(alice, penora)

    with pytest.raises(services.ProjectLimitReached) as refusal:
        keep(alice, penora)
    assert refusal.value.limit == 2
    assert Storage.objects.get(user=alice).project_count == 2


def test_metadata_is_measured_as_compact_json_in_utf8(alice: User, penora: App) -> None:
    most = {"p": "é" * 4_092}  # 8,184 bytes of text, and {"p":""} around it

    assert keep(alice, penora, metadata=most)[0].metadata == most
    with pytest.raises(services.MetadataTooLarge, match="8193 bytes; at most 8192"):
        keep(alice, penora, metadata={"p": "é" * 4_092 + "x"})
    assert Storage.objects.get(user=alice).project_count == 1


def test_metadata_takes_no_room(alice: User, penora: App) -> None:
    assert keep(alice, penora, "x", metadata={"p": "y" * 8_000})[1].used_bytes == 1


# --- what a listing reads --------------------------------------------------------------------------------------------


def test_a_listing_costs_the_same_statements_for_any_number_of_projects_and_reads_no_content(
    alice: User, penora: App, imagegene: App, as_penora: ApiClient
) -> None:
    def statements(route: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert as_penora.get(route, user_id="alice").status_code == 200
        return [query["sql"] for query in captured]

    keep(alice, penora)
    as_penora.get("projects", user_id="alice")  # notes the key's first use
    for route, counted in (("projects", "total_count"), ("storage-stats", None)):
        with_few = statements(route)
        for number in range(12):
            keep(alice, imagegene if number % 2 else penora, "x" * 1_000)
        with_many = statements(route)

        assert len(with_many) == len(with_few)
        assert not [sql for sql in with_many if "workspace_projectcontent" in sql]
        if counted:
            assert as_penora.get(route, user_id="alice").json()[counted] == 13


def test_reads_of_the_workspace_say_how_many_queries_they_are(alice: User, penora: App) -> None:
    for _ in range(7):
        keep(alice, penora)

    for read, expected in (
        (lambda: [project.app.slug for project in queries.projects_of(user=alice).projects], 1),
        (lambda: [project.app.slug for project in queries.projects_of(user=alice, limit=3).projects], 2),
        (lambda: [project.app.slug for project in queries.largest_projects(alice)], 1),
        (lambda: queries.storage_of(alice), 1),
        (lambda: queries.totals_by_app(alice), 1),
    ):
        with CaptureQueriesContext(connection) as captured:
            read()
        assert len(captured) == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
def test_the_pages_together_are_all_projects_each_once(alice: User, bob: User, penora: App, limit: int) -> None:
    made = [keep(alice, penora)[0].code for _ in range(7)]
    keep(bob, penora)
    seen: list[str] = []
    before = None
    for _ in range(20):  # more pages than there are
        page = queries.projects_of(user=alice, limit=limit, before_id=before)
        assert page.count_by_app == {"penora": 7}
        seen += [project.code for project in page.projects]
        before = page.next_before_id
        if before is None:
            break

    assert seen == made[::-1]


def test_a_title_is_searched_literally(alice: User, penora: App) -> None:
    for title in ("100% wool", "100 x wool", "under_score", "underXscore", "Back\\slash", "ÄPFEL"):
        keep(alice, penora, title=title)

    def found(text: str) -> list[str]:
        return [project.title for project in queries.projects_of(user=alice, title_contains=text).projects]

    assert found("0%") == ["100% wool"]
    assert found("r_s") == ["under_score"]
    assert found("k\\s") == ["Back\\slash"]
    assert found("äpf") == ["ÄPFEL"]
    assert found("WOOL") == ["100 x wool", "100% wool"]


def test_the_storage_of_someone_without_one_is_empty_and_is_not_written(alice: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    assert (queries.storage_of(bob).used_bytes, queries.storage_of(bob).limit_bytes) == (0, MEGABYTE)
    assert not Storage.objects.filter(user=bob).exists()
