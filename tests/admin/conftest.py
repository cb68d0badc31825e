"""Staff, and something for them to look at: the seed's demo person, a key, an idempotency record."""

from __future__ import annotations

import functools
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client as Browser
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, AppKey, Client, Plan, User
from credits import services as credits
from credits.models import AdjustmentLimit, GrantFile, GrantLine, LedgerEntry
from tests.conftest import make_user
from tests.workspace.contents import content_of
from unified import seed, services
from unified.api.models import IdempotencyRecord
from unified.figures import rollups
from unified.figures.models import FailedCalls, Verification
from workspace import services as workspace

WHY = {"reason": "As agreed on the telephone"}  # every form and every action asks for it
GIFT = LedgerEntry.Source.PROMOTION
FIRST_PAGE_QUERIES = 12  # at the most, however much there is and whoever looks


# The same pictures for every test: encoding them takes longer than most tests.
encoded = functools.cache(seed._picture)


@pytest.fixture
def demo(db: None, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setattr(seed, "_picture", encoded)
    seed.seed_demo()
    return User.objects.get(user_id=seed.DEMO_USER_ID)


@pytest.fixture
def oidc_client(penora: App) -> Client:
    """A client that people sign in with, and a code that was exchanged."""
    client, _, _ = accounts.register_client(app=penora, redirect_uris=["https://penora.example/callback"])
    accounts.note_spent_code(code="spent", client=client, token_family=uuid.uuid4())
    return client


@pytest.fixture
def key(penora: App, oidc_client: Client) -> AppKey:
    return accounts.create_key(app=penora, label="server")[0]


@pytest.fixture
def record(db: None) -> IdempotencyRecord:
    return IdempotencyRecord.objects.create(
        caller="app:penora", route="unified/deduct-credits", key="k1", request_digest=b"\0" * 32, status=200, body="{}"
    )


@pytest.fixture
def dealings(imagegene: App) -> User:
    """
    A person with a lot, something spent of it, a hold that claims the rest and room, a workspace that is nearly full,
    a wish for a bigger plan, and a role with a limit.
    """
    user = make_user("dealer", initial_credits=0)
    tomorrow = timezone.now() + timedelta(days=1)
    credits.grant(user=user, amount=9, source=GIFT, description="A gift for a day", expires_at=tomorrow)
    credits.deduct(user=user, app=imagegene, amount=4, description="A picture")
    services.reserve(user=user, app=imagegene, amount=5, description="Another", storage_bytes=1_000)
    text = content_of("x" * 5_000)
    workspace.save_project(user=user, app=imagegene, project_type="page", title="Long", content=text, metadata={})
    workspace.change_limit(user=user, limit_bytes=6_000)
    accounts.request_upgrade(user=user, plan=Plan.objects.get(slug="plus"))
    AdjustmentLimit.objects.create(group=Group.objects.create(name="Clerks"), per_adjustment=10, per_day=50)
    file = GrantFile.objects.create(
        name="may.csv", digest=b"\0" * 32, reason="May", actor=user, state="refused", line_count=1, total=0
    )
    GrantLine.objects.create(file=file, number=2, text="nobody", outcome="wrong", problem="There is no such person.")
    rollups.roll_up()
    FailedCalls.objects.create(day=timezone.now().date(), app=imagegene, code="not_found", calls=1)
    Verification.objects.create(as_of=timezone.now(), is_right=True, violations=0, result={})
    return user


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser(user_id="root", username="Root", email="root@example.com", password=None)


@pytest.fixture
def staff(superuser: User) -> Browser:
    """A browser in which a superuser is signed in."""
    client = Browser()
    client.force_login(superuser)
    return client


def notices(response: Any) -> list[str]:
    """The messages that the page after an action shows."""
    return [str(message) for message in response.context["messages"]]
