"""Staff, and something for them to look at: the seed's demo person, a key, an idempotency record."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import services as accounts
from accounts.models import App, AppKey, User
from unified import seed
from unified.api.models import IdempotencyRecord


@pytest.fixture
def demo(db: None) -> User:
    seed.seed_demo()
    return User.objects.get(user_id=seed.DEMO_USER_ID)


@pytest.fixture
def key(penora: App) -> AppKey:
    return accounts.create_key(app=penora, label="server")[0]


@pytest.fixture
def record(db: None) -> IdempotencyRecord:
    return IdempotencyRecord.objects.create(
        caller="app:penora", route="unified/deduct-credits", key="k1", request_digest=b"\0" * 32, status=200, body="{}"
    )


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser(user_id="root", username="Root", email="root@example.com", password=None)


@pytest.fixture
def staff(superuser: User) -> Client:
    """A browser in which a superuser is signed in."""
    client = Client()
    client.force_login(superuser)
    return client


def notices(response: Any) -> list[str]:
    """The messages that the page after an action shows."""
    return [str(message) for message in response.context["messages"]]
