"""manage.py sweep: removes idempotency keys whose days are over, and no others."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import User
from tests.client import ApiClient
from unified.api.models import IdempotencyRecord


@pytest.fixture
def two_keys(alice: User, as_imagegene: ApiClient) -> None:
    for key in ("old", "young"):
        as_imagegene.post(
            "deduct-credits",
            {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "test"},
            headers={"Idempotency-Key": key},
        )


def test_only_keys_past_their_days_go(two_keys: None) -> None:
    week = timedelta(days=7)
    IdempotencyRecord.objects.filter(key="old").update(created_at=timezone.now() - week - timedelta(minutes=1))
    IdempotencyRecord.objects.filter(key="young").update(created_at=timezone.now() - week + timedelta(minutes=1))
    out = StringIO()

    call_command("sweep", stdout=out)

    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["young"]
    assert out.getvalue() == "1 idempotency keys removed.\n"


def test_a_second_sweep_finds_nothing(two_keys: None) -> None:
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(days=30))
    call_command("sweep", stdout=StringIO())
    out = StringIO()

    call_command("sweep", stdout=out)

    assert out.getvalue() == "0 idempotency keys removed.\n"
