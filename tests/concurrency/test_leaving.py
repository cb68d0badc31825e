"""Somebody leaves while calls on their behalf are under way: none of these brings anything back, and none is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from django.db import transaction

from accounts.models import App, User
from credits import services as credits
from credits.models import Account, Hold
from tests.api.pictures import as_base64, draw
from tests.api.test_save_project import body
from tests.client import ApiClient
from tests.concurrency.books import assert_everything_is_proved
from tests.concurrency.crowd import PATIENCE_SECONDS, background, held, waiting_for_a_lock
from tests.workspace.turns import until_in_line
from unified import services
from unified.api.models import IdempotencyRecord
from workspace import encoders
from workspace.models import Project, Reservation, Storage


@pytest.fixture
def hold(alice: User, imagegene: App) -> Hold:
    """Of 20 credits and some room."""
    return services.reserve(user=alice, app=imagegene, amount=20, description="A picture", storage_bytes=1_000)[0]


@pytest.mark.usefixtures("within_a_minute")
def test_a_picture_that_was_being_encoded_when_its_owner_left_is_not_kept(
    alice: User, imagegene: App, imagegene_key: str
) -> None:
    """
    The call has found the person, and waits for its turn at the encoders; then they leave. It was kept, and nobody
    would ever have removed it.
    """
    api = ApiClient(key=imagegene_key)
    keyed = {"Idempotency-Key": "k"}
    with background() as start:
        with encoders.turn():
            save = start(lambda: api.post("save-project", body(content=as_base64(draw("PNG"))), headers=keyed))
            until_in_line(2)
            services.delete_member(user=alice)
        answer = save.result()

    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not Project.objects.exists()
    assert not IdempotencyRecord.objects.exists()
    assert Storage.objects.get(user=alice).used_bytes == 0
    assert_everything_is_proved()


@contextmanager
def uncommitted(start: Any, work: Callable[[], Any]) -> Iterator[Any]:
    """`work` has been done in a transaction of another connection, which is committed when the block ends."""
    done, commit = Event(), Event()

    def run() -> Any:
        with transaction.atomic():
            result = work()
            done.set()
            assert commit.wait(PATIENCE_SECONDS)
            return result

    running = start(run)
    try:
        assert done.wait(PATIENCE_SECONDS)
        yield running
    finally:
        commit.set()


@pytest.mark.usefixtures("within_a_minute")
def test_a_hold_that_is_captured_first_is_paid_and_they_leave_all_the_same(alice: User, hold: Hold) -> None:
    """The leaving has to see it captured once it has the account. It stopped at HoldNotActive, and undid everything."""
    with background() as start:
        with uncommitted(start, lambda: credits.capture(hold=hold)):
            leaving = start(lambda: services.delete_member(user=alice))
            waiting_for_a_lock(1)
        leaving.result()

    assert Hold.objects.get().status == "captured"
    assert (Account.objects.get(user=alice).balance, Account.objects.get(user=alice).held) == (30, 0)
    assert User.objects.get(pk=alice.pk).deleted_at is not None
    assert not Reservation.objects.exists()
    assert_everything_is_proved()


@pytest.mark.usefixtures("within_a_minute")
def test_a_hold_that_is_made_meanwhile_is_released_too(alice: User, imagegene: App) -> None:
    """Made before the leaving came to the account, but after it had looked for holds: it stayed alive for its time."""

    def reserve() -> Hold:
        return services.reserve(user=alice, app=imagegene, amount=20, description="Late", storage_bytes=1_000)[0]

    with background() as start:
        with uncommitted(start, reserve) as made:
            leaving = start(lambda: services.delete_member(user=alice))
            waiting_for_a_lock(1)
        leaving.result()

    assert Hold.objects.get(pk=made.result().pk).status == "released"
    assert Account.objects.get(user=alice).held == 0
    assert not Reservation.objects.exists()
    assert_everything_is_proved()


@pytest.mark.usefixtures("within_a_minute")
def test_a_save_that_is_let_in_first_is_removed_with_the_rest(alice: User, imagegene_key: str) -> None:
    api = ApiClient(key=imagegene_key)
    with background() as start, held("SELECT 1 FROM workspace_storage WHERE user_id = %s FOR UPDATE", alice.pk) as let:
        save = start(lambda: api.post("save-project", body(content="A text")))
        waiting_for_a_lock(1)
        leaving = start(lambda: services.delete_member(user=alice))
        waiting_for_a_lock(2)
        let()
        assert save.result().status_code == 201
        leaving.result()

    assert not Project.objects.exists()
    assert Storage.objects.get(user=alice).used_bytes == 0
    assert_everything_is_proved()
