"""GET /healthz and /readyz: what load balancers and operators ask."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import connection
from django.test import Client

from accounts.models import Plan


def test_a_living_process_is_healthy_without_asking_the_database(client: Client) -> None:
    response = client.get("/healthz")  # this test has no database; a query would be an error

    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_a_service_that_can_work_is_ready(client: Client) -> None:
    response = client.get("/readyz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_a_service_without_plans_is_not_ready_and_says_what_to_do(client: Client) -> None:
    Plan.objects.all().delete()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["problems"] == ["There are no apps or plans: run 'manage.py seed'."]
    assert response["Retry-After"] == "5"


@pytest.mark.django_db
def test_a_service_with_a_migration_missing_is_not_ready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE id = (SELECT MAX(id) FROM django_migrations WHERE app = 'credits')"
        )

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["problems"] == ["Migrations are missing: run 'manage.py migrate'."]


@pytest.mark.django_db
def test_a_read_only_database_is_not_ready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["problems"] == ["The database takes no writes: connect to the primary."]


def test_a_database_that_is_gone_is_not_ready(committed_db: None, client: Client) -> None:
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = "1"
    try:
        response = client.get("/readyz")
    finally:
        connection.close()
        connection.settings_dict["PORT"] = port

    assert response.status_code == 503
    assert response.json()["problems"] == ["The database does not answer."]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_only_looks(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


def test_an_unknown_host_name_leaves_one_line_in_the_log_and_no_traceback() -> None:
    """In a process of its own, with the logging that a service has."""
    program = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "assert Client().get('/', headers={'Host': 'evil.example'}).status_code == 400\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DEBUG": "1", "DJANGO_SETTINGS_MODULE": "unified.settings"},
        capture_output=True,
        text=True,
        check=True,
    )

    (line,) = done.stderr.strip().splitlines()
    assert " unified.requests " in line
    assert "Traceback" not in done.stderr
