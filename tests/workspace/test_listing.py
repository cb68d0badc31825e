"""The listing's cost: one query of projects, and as many of the database's pages whatever the projects hold."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import App, User
from tests.client import ApiClient
from workspace.models import Project, ProjectContent

MANY = 1_000


def plant(user: User, app: App, count: int) -> None:
    """Projects in the database alone; the counters do not know of them. What they hold: see `fill`."""
    projects = Project.objects.bulk_create(
        Project(
            user=user,
            app=app,
            code=f"{number:06}",
            title=f"Project {number}",
            project_type="page",
            content_type="image/avif",
            size_bytes=10,
            original_bytes=10,
            metadata={"n": number},
        )
        for number in range(count)
    )
    ProjectContent.objects.bulk_create(ProjectContent(project=project, body=b"x" * 10) for project in projects)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workspace_project; ANALYZE workspace_projectcontent")


def fill(size_bytes: int) -> None:
    """Puts as many bytes into every project, and a tenth of them into its thumbnail."""
    ProjectContent.objects.update(body=b"x" * size_bytes, thumbnail=b"x" * (size_bytes // 10))


def asked(client: ApiClient, **query: Any) -> tuple[dict[str, Any], list[str]]:
    """The listing of alice's projects, and the statements that it took."""
    with CaptureQueriesContext(connection) as captured:
        response = client.get("projects", user_id="alice", **query)
    assert response.status_code == 200
    return response.json(), [entry["sql"] for entry in captured.captured_queries]


def pages_read(sql: str) -> int:
    """How many of its pages the database looks at for this statement and its answer, in memory or on disk."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, SERIALIZE, FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    (told,) = json.loads(found) if isinstance(found, str) else found
    parts = (told["Plan"], told["Serialization"])  # long values are read as the answer is written
    return sum(int(part["Shared Hit Blocks"] + part["Shared Read Blocks"]) for part in parts)


def of_projects(statements: list[str]) -> list[str]:
    return [sql for sql in statements if re.search(r'FROM "workspace_project"', sql)]


def test_a_thousand_projects_are_one_query_of_projects(alice: User, penora: App, as_penora: ApiClient) -> None:
    as_penora.get("projects", user_id="alice")  # notes when the key was used, once
    _, of_none = asked(as_penora)
    plant(alice, penora, MANY)

    answer, statements = asked(as_penora)

    assert len(answer["all_projects"]) == answer["total_count"] == answer["penora_count"] == MANY
    assert len(statements) == len(of_none)
    assert len(of_projects(statements)) == 1
    assert not any("workspace_projectcontent" in sql for sql in statements)


@pytest.mark.parametrize("query", [{"limit": 100}, {"q": "Project 1"}, {"project_type": "page"}, {"app": "penora"}])
def test_a_part_of_them_takes_two_queries_at_most_and_no_content(
    alice: User, penora: App, as_penora: ApiClient, query: dict[str, Any]
) -> None:
    """One for the page, one for the counts, which do not depend on the page."""
    plant(alice, penora, 300)

    answer, statements = asked(as_penora, **query)

    assert answer["all_projects"]
    assert len(of_projects(statements)) <= 2
    assert not any("workspace_projectcontent" in sql for sql in statements)


@pytest.mark.parametrize("query", [{}, {"limit": 20}, {"q": "Project 1"}])
def test_the_pages_that_are_read_do_not_depend_on_what_projects_hold(
    alice: User, penora: App, as_penora: ApiClient, query: dict[str, Any]
) -> None:
    """
    As many for 20 projects of 10 bytes as for 20 of 500 KB, for each statement of the call. Seen red with the content
    joined to the list: 74 pages became 1,584.
    """
    plant(alice, penora, 20)
    read = []
    for size_bytes in (10, 500_000):
        fill(size_bytes)
        answer, statements = asked(as_penora, **query)
        assert answer["all_projects"]
        selects = [sql for sql in statements if sql.startswith("SELECT")]
        for sql in selects:
            pages_read(sql)  # a first look also reads catalogues, and notes what is visible
        read.append([pages_read(sql) for sql in selects])

    assert read[0] == read[1]
    assert 0 < sum(read[0]) < 200


def test_the_measure_sees_what_a_look_at_the_content_costs(alice: User, penora: App) -> None:
    """Else the test above would say nothing."""
    plant(alice, penora, 20)
    sql = "SELECT body FROM workspace_projectcontent"
    small = pages_read(sql)
    fill(500_000)

    assert pages_read(sql) > small + 20 * 500_000 // 8192
