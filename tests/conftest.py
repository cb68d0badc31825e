"""
What all tests stand on: a throw-away PostgreSQL of our own (or the one of DATABASE_URL), the registry that every
installation has, and the cast: alice and bob with 50 credits each, and a key for each app.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NoReturn

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, User
from credits.models import Operation
from tests.client import ApiClient
from unified import seed, services
from unified.database import temporary_cluster
from unified.figures import failures

pytest_plugins = ["tests.workers"]

# How long an example takes says what else the machine does. (Where CI is set, Hypothesis always draws the same ones.)
hypothesis.settings.register_profile("unified", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("unified")

KEEP_BETWEEN_TESTS = {
    *("accounts_app", "accounts_plan", "credits_operation"),
    *("auth_permission", "django_content_type"),
    *("auth_group", "auth_group_permissions", "credits_adjustmentlimit"),  # the roles that are shipped
}

_cluster = None


def pytest_configure(config: pytest.Config) -> None:
    """Starts the server before pytest-django looks at the settings. The workers use the one of who started them."""
    settings.WHITENOISE_AUTOREFRESH = True  # or each new client of a test would go through all static files
    settings.PASSWORD_HASHERS = ["tests.hashers.QuickHasher", *settings.PASSWORD_HASHERS[1:]]
    if hasattr(config, "workerinput"):
        settings.DATABASES["default"].update(config.workerinput["server"])
        return
    global _cluster  # noqa: PLW0603
    if settings.EMBEDDED_POSTGRES is not None:
        _cluster = temporary_cluster()
        settings.DATABASES["default"].update(_cluster.__enter__().settings())
    elif not settings.DATABASE_URL:
        raise pytest.UsageError("Run 'make test', or set DEBUG=1 in the environment.")


def pytest_configure_node(node: Any) -> None:
    database = settings.DATABASES["default"]
    node.workerinput["server"] = {name: database[name] for name in ("HOST", "PORT", "USER", "NAME")}


def pytest_sessionfinish() -> None:
    failures.forget()  # what is left would be written at the end of the process, when its database is gone


def pytest_unconfigure(config: pytest.Config) -> None:
    if _cluster is not None:
        connection.close()
        _cluster.__exit__(None, None, None)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None
) -> Iterator[None]:
    """
    The test database, with the registry in it. (pytest-django's own would miss tests with `committed_db` only; the last
    of its fixtures that are asked for names the database after the worker.)
    """
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False, aliases={"default"}, serialized_aliases=set())
        seed.seed_registry()
        # A price list that has held for a while, so that tests can make newer versions that began a minute ago.
        Operation.objects.update(starts_at=timezone.now() - timedelta(days=365))
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, verbosity=0)


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """
    For tests with threads or processes: what they write is committed, and removed afterwards.

    Django's own flush cannot do that here: the ledger refuses TRUNCATE. A superuser's session may leave triggers out.
    """
    with django_db_blocker.unblock():
        yield
        emptied = sorted(set(connection.introspection.django_table_names(only_existing=True)) - KEEP_BETWEEN_TESTS)
        with connection.cursor() as cursor:
            cursor.execute(
                "SET session_replication_role = replica; TRUNCATE {}; SET session_replication_role = origin".format(
                    ", ".join(connection.ops.quote_name(table) for table in emptied)
                )
            )
        connection.close()


@pytest.fixture(autouse=True)
def enforced(settings: Any) -> None:
    """
    Tests run as production does, with the quickstart exception and the demo door closed, unless they open them
    themselves. Nobody has tried anything too often yet.
    """
    settings.QUICKSTART_OPEN = settings.DEMO_SIGN_IN = False
    cache.clear()


@pytest.fixture
def within_a_minute() -> Iterator[None]:
    """Ends a test that would hang if it were wrong. A bound on hanging, not on speed: right takes milliseconds."""

    def ring(*_: object) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


def make_user(name: str, *, initial_credits: int = 50) -> User:
    user, _ = services.create_member(
        user_id=name, username=name.title(), email=f"{name}@example.com", initial_credits=initial_credits
    )
    return user


@pytest.fixture
def penora(db: None) -> App:
    return App.objects.get(slug="penora")


@pytest.fixture
def imagegene(db: None) -> App:
    return App.objects.get(slug="imagegene")


@pytest.fixture
def penora_key(penora: App) -> str:
    return accounts.create_key(app=penora, label="tests")[1]


@pytest.fixture
def imagegene_key(imagegene: App) -> str:
    return accounts.create_key(app=imagegene, label="tests")[1]


@pytest.fixture
def anonymous() -> ApiClient:
    return ApiClient()


@pytest.fixture
def as_penora(penora_key: str) -> ApiClient:
    """Calls as Penora's server does."""
    return ApiClient(key=penora_key)


@pytest.fixture
def as_imagegene(imagegene_key: str) -> ApiClient:
    """Calls as ImageGene's server does."""
    return ApiClient(key=imagegene_key)
