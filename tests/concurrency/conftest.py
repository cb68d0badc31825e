"""The cast again, committed, so that every connection sees it."""

from __future__ import annotations

import pytest

from accounts import services as accounts
from accounts.models import App, User
from tests.client import ApiClient, document
from tests.concurrency.rooms import Caller
from tests.conftest import make_user


@pytest.fixture
def alice(committed_db: None) -> User:
    return make_user("alice")


@pytest.fixture
def penora(committed_db: None) -> App:
    return App.objects.get(slug="penora")


@pytest.fixture
def imagegene(committed_db: None) -> App:
    return App.objects.get(slug="imagegene")


@pytest.fixture
def penora_key(penora: App) -> str:
    return accounts.create_key(app=penora, label="tests")[1]


@pytest.fixture
def imagegene_key(imagegene: App) -> str:
    return accounts.create_key(app=imagegene, label="tests")[1]


@pytest.fixture(scope="session", autouse=True)
def document_is_read() -> None:
    """Else the first crowd would read it all at once, and its threads would come to the database one after another."""
    document()


@pytest.fixture
def by_penora(as_penora: ApiClient) -> Caller:
    """
    Penora's server. (A client's first call loads the middleware: that would take longer than the work, and string a
    crowd out.)
    """
    as_penora.get("pricing")
    return Caller(as_penora, "penora")


@pytest.fixture
def by_imagegene(as_imagegene: ApiClient) -> Caller:
    as_imagegene.get("pricing")
    return Caller(as_imagegene, "imagegene")
