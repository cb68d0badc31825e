"""For tests of the API that need more than one connection, or a look at an account and a storage row as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from django.db import connection

from accounts import services as accounts
from accounts.models import App, User
from credits.models import Account, LedgerEntry
from tests.client import ApiClient
from tests.conftest import make_user
from unified.api.models import IdempotencyRecord
from workspace.models import AppStorage, Project, ProjectContent, Storage

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def everything_of(user: User) -> dict[str, Any]:
    """Every row that a call about `user` may change, so that "nothing was written" can be said in one line."""
    return {
        "account": Account.objects.filter(user=user).values().get(),
        "entries": list(LedgerEntry.objects.filter(account=user.pk).order_by("seq").values()),
        "storage": Storage.objects.filter(user=user).values().get(),
        "by_app": list(AppStorage.objects.filter(storage=user.pk).order_by("pk").values()),
        "projects": list(Project.objects.filter(user=user).order_by("pk").values()),
        "contents": ProjectContent.objects.filter(project__user=user).count(),
        "user": User.objects.filter(pk=user.pk).values().get(),
        "keys": IdempotencyRecord.objects.count(),
    }


@pytest.fixture
def committed_alice(committed_db: None) -> User:
    """Alice as other connections see her, too."""
    return make_user("alice")


@pytest.fixture
def as_committed_imagegene(committed_db: None) -> ApiClient:
    return ApiClient(key=accounts.create_key(app=App.objects.get(slug="imagegene"), label="tests")[1])


@pytest.fixture
def second_connection(committed_db: None) -> Iterator[Any]:
    """Another connection to the same database, in a transaction that is rolled back in the end."""
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    other = psycopg2.connect(**parameters)
    try:
        yield other
    finally:
        other.rollback()
        other.close()


@contextmanager
def tripwire(table: str, event: str, does: str) -> Iterator[None]:
    """While this lasts, the database itself does the PL/pgSQL `does` before each `event` on `table`."""
    set_up = f"""
        SET CONSTRAINTS ALL IMMEDIATE;
        CREATE FUNCTION tests_trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does} RETURN NEW; END $$;
        CREATE TRIGGER tests_trip BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION tests_trip();
        SET CONSTRAINTS ALL DEFERRED;
    """
    with connection.cursor() as cursor:
        cursor.execute(set_up)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; DROP FUNCTION tests_trip CASCADE")
