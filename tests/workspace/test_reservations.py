"""Room kept free for something in the making: nobody else's until it is saved, given up, or its time is over."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import Account, Hold
from tests.clock import let_pass
from tests.conftest import make_user
from tests.workspace.contents import content_of
from tests.workspace.test_storage import CHECK_VIOLATION, MEGABYTE, keep, refused
from unified import services as unified
from workspace import queries, services
from workspace.models import Project, Reservation, Storage
from workspace.verify import INVARIANTS

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def proved(db: None) -> Any:
    """At the end of each test, the counters are right."""
    yield
    with connection.cursor() as cursor:
        for name, sql in INVARIANTS.items():
            cursor.execute(sql)
            assert cursor.fetchall() == [], name


def reserve(user: User, size_bytes: int, lasts: timedelta = HOUR) -> Reservation:
    until = timezone.now() + lasts
    return services.reserve_room(user=user, reservation_id=uuid.uuid4(), size_bytes=size_bytes, expires_at=until)


def rows_of(user: User) -> list[Any]:
    return [
        list(model.objects.filter(**{owner: user.pk}).order_by("pk").values())
        for model, owner in ((Storage, "user"), (Reservation, "storage"), (Project, "user"))
    ]


def figures(user: User) -> tuple[int, int, int]:
    """Used, reserved and available, as everybody is told."""
    storage = queries.storage_of(user)
    return storage.used_bytes, storage.reserved_bytes, storage.available_bytes


def stored(user: User) -> tuple[int, int]:
    storage = Storage.objects.get(user=user)
    return storage.used_bytes, storage.reserved_bytes


# --- keeping it free -------------------------------------------------------------------------------------------------


def test_reserved_room_is_not_free_for_anything_else(alice: User, penora: App) -> None:
    made = reserve(alice, MEGABYTE - 3)

    assert (made.storage_id, made.size_bytes) == (alice.pk, MEGABYTE - 3)
    assert figures(alice) == (0, MEGABYTE - 3, 3)
    with pytest.raises(services.StorageLimitExceeded):
        keep(alice, penora, "four")
    with pytest.raises(services.StorageLimitExceeded) as refusal:
        reserve(alice, 4)
    assert (refusal.value.needed_bytes, refusal.value.available_bytes) == (4, 3)
    assert refusal.value.limit_bytes == MEGABYTE
    keep(alice, penora, "abc")
    assert figures(alice) == (3, MEGABYTE - 3, 0)


def test_all_of_the_room_can_be_reserved_and_no_more(alice: User) -> None:
    before = rows_of(alice)
    with pytest.raises(services.StorageLimitExceeded):
        reserve(alice, MEGABYTE + 1)
    assert rows_of(alice) == before

    reserve(alice, MEGABYTE)
    assert figures(alice) == (0, MEGABYTE, 0)


def test_a_reservation_of_nothing_is_refused_by_the_database(alice: User) -> None:
    made = reserve(alice, 1)

    assert refused("UPDATE workspace_reservation SET size_bytes = 0 WHERE id = %s", made.pk) == (
        *(CHECK_VIOLATION, "reservation_of_something"),
    )


def test_released_room_is_free_once(alice: User) -> None:
    first, second = reserve(alice, 10), reserve(alice, 20)

    for _ in range(2):
        services.release_room(user=alice, reservation_id=first.pk)
        assert figures(alice) == (0, 20, MEGABYTE - 20)
    assert Reservation.objects.get() == second


def test_a_strangers_reservation_is_not_released(alice: User, bob: User) -> None:
    made = reserve(alice, 10)

    services.release_room(user=bob, reservation_id=made.pk)

    assert figures(alice) == (0, 10, MEGABYTE - 10)
    assert stored(bob) == (0, 0)


def test_releasing_what_is_not_there_locks_nobody(alice: User) -> None:
    with CaptureQueriesContext(connection) as captured:
        services.release_room(user=alice, reservation_id=uuid.uuid4())

    assert not [query for query in captured if "FOR UPDATE" in query["sql"]]


def test_someone_without_a_storage_row_can_reserve(alice: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    reserve(bob, 10)

    assert figures(bob) == (0, 10, MEGABYTE - 10)


# --- its time --------------------------------------------------------------------------------------------------------


def test_room_is_free_again_at_once_when_its_time_is_over_without_any_sweep(alice: User, penora: App) -> None:
    reserve(alice, MEGABYTE, HOUR)
    let_pass(HOUR - MINUTE)
    assert figures(alice) == (0, MEGABYTE, 0)
    with pytest.raises(services.StorageLimitExceeded):
        keep(alice, penora, "x")

    let_pass(2 * MINUTE)
    assert figures(alice) == (0, 0, MEGABYTE)
    assert stored(alice) == (0, MEGABYTE)  # nobody has tidied up

    saved, storage = keep(alice, penora, "x" * MEGABYTE)
    assert (storage.used_bytes, storage.reserved_bytes, storage.available_bytes) == (MEGABYTE, 0, 0)
    assert stored(alice) == (MEGABYTE, 0)
    assert saved.size_bytes == MEGABYTE
    assert not Reservation.objects.exists()


def test_only_what_is_over_is_free(alice: User, bob: User) -> None:
    lives = reserve(alice, 1, 3 * HOUR)
    for size_bytes, lasts in ((2, HOUR), (4, HOUR), (8, 2 * HOUR)):
        reserve(alice, size_bytes, lasts)
    reserve(bob, 16, HOUR)
    let_pass(HOUR + MINUTE)
    assert figures(alice) == (0, 9, MEGABYTE - 9)

    reserve(alice, 32, HOUR)
    assert stored(alice) == (0, 41)
    assert stored(bob) == (0, 16)
    let_pass(HOUR)
    assert figures(alice) == (0, 1, MEGABYTE - 1)
    assert services.release_due_room(user=alice)
    assert stored(alice) == (0, 1)
    assert list(Reservation.objects.filter(storage=alice.pk)) == [lives]


def test_what_is_refused_leaves_what_is_over_as_it_was(alice: User, penora: App) -> None:
    reserve(alice, 100, HOUR)
    let_pass(2 * HOUR)
    before = rows_of(alice)

    with pytest.raises(services.StorageLimitExceeded) as refusal:
        keep(alice, penora, "x" * (MEGABYTE + 1))
    assert refusal.value.available_bytes == MEGABYTE
    with pytest.raises(services.StorageLimitExceeded):
        reserve(alice, MEGABYTE + 1)
    with pytest.raises(services.StorageLimitExceeded):
        services.change_limit(user=alice, limit_bytes=-1)

    assert rows_of(alice) == before


def test_due_room_is_given_back_once_and_found_by_row_id(alice: User, bob: User) -> None:
    carol, dave = make_user("carol"), make_user("dave")
    for user in (alice, bob, carol):
        reserve(user, 1, HOUR)
        reserve(user, 2, HOUR)
    reserve(dave, 4, 9 * HOUR)
    assert services.users_with_due_room(limit=10) == []
    assert not services.release_due_room(user=alice)
    let_pass(2 * HOUR)

    assert services.users_with_due_room(limit=2) == [alice, bob]
    assert services.users_with_due_room(after_id=bob.pk, limit=2) == [carol]
    assert services.users_with_due_room(after_id=carol.pk, limit=2) == []
    assert services.release_due_room(user=bob)
    assert not services.release_due_room(user=bob)
    assert services.users_with_due_room(limit=10) == [alice, carol]


def test_the_storage_of_a_person_is_one_query_however_many_reservations(alice: User) -> None:
    for size_bytes in (1, 2, 4):
        reserve(alice, size_bytes)

    with CaptureQueriesContext(connection) as captured:
        assert queries.storage_of(alice).reserved_bytes == 7
    assert len(captured) == 1


# --- the limit -------------------------------------------------------------------------------------------------------


def test_a_limit_that_covers_just_what_is_used_and_reserved_is_taken(alice: User, penora: App) -> None:
    keep(alice, penora, "x" * 10)
    reserve(alice, 5)
    before = rows_of(alice)

    with pytest.raises(services.StorageLimitExceeded) as refusal:
        services.change_limit(user=alice, limit_bytes=14)
    assert (refusal.value.needed_bytes, refusal.value.limit_bytes) == (15, 14)
    assert rows_of(alice) == before

    assert services.change_limit(user=alice, limit_bytes=15).storage.available_bytes == 0
    assert Storage.objects.get(user=alice).limit_bytes == 15


def test_what_is_over_does_not_stand_in_the_way_of_a_smaller_limit(alice: User) -> None:
    reserve(alice, 100, HOUR)
    let_pass(2 * HOUR)

    assert services.change_limit(user=alice, limit_bytes=0).storage.available_bytes == 0


# --- together with a hold --------------------------------------------------------------------------------------------


def hold(user: User, app: App, amount: int = 10, size_bytes: int | None = 100, **terms: Any) -> Hold:
    return unified.reserve(user=user, app=app, amount=amount, description="h", storage_bytes=size_bytes, **terms)[0]


def test_a_hold_with_room_keeps_both_for_as_long(alice: User, imagegene: App) -> None:
    made = hold(alice, imagegene, expires_in_seconds=60)

    reservation = Reservation.objects.get()
    assert (reservation.pk, reservation.size_bytes, reservation.expires_at) == (made.pk, 100, made.expires_at)
    assert figures(alice) == (0, 100, MEGABYTE - 100)


@pytest.mark.parametrize("size_bytes", [None, 0])
def test_a_hold_without_room_reserves_none(alice: User, imagegene: App, size_bytes: int | None) -> None:
    hold(alice, imagegene, size_bytes=size_bytes)

    assert not Reservation.objects.exists()


def test_a_hold_for_which_there_is_no_room_holds_no_credits_either(alice: User, imagegene: App) -> None:
    with pytest.raises(services.StorageLimitExceeded):
        hold(alice, imagegene, size_bytes=MEGABYTE + 1)
    with pytest.raises(credits.InsufficientCredits):
        hold(alice, imagegene, amount=51)

    assert not Hold.objects.exists()
    assert Account.objects.get(user=alice).held == 0
    assert stored(alice) == (0, 0)


def test_the_end_of_a_hold_gives_its_room_back(alice: User, imagegene: App) -> None:
    captured, released, stays = (hold(alice, imagegene) for _ in range(3))

    for _ in range(2):
        unified.capture(held=unified.HeldCharge(hold=captured, amount=4))
        unified.release(hold=released)

    assert Reservation.objects.get().pk == stays.pk
    assert stored(alice) == (0, 100)
    assert Account.objects.get(user=alice).held == 10
    assert Account.objects.get(user=alice).balance == 46


def save(user: User, app: App, made: Hold, content: str, **terms: Any) -> tuple[Any, ...]:
    project = {"project_type": "art", "title": "Cat", "content": content_of(content), "metadata": {}}
    payment = unified.HeldCharge(hold=made, **terms)
    return unified.save_paid_project(user=user, app=app, payment=payment, **project)


def test_what_is_saved_with_a_hold_uses_the_room_that_the_hold_has_kept(alice: User, imagegene: App) -> None:
    made = hold(alice, imagegene, size_bytes=MEGABYTE)

    project, storage, entry, spendable = save(alice, imagegene, made, "x" * MEGABYTE, amount=7)

    assert (storage.used_bytes, storage.reserved_bytes) == (MEGABYTE, 0)
    assert (entry.amount, entry.project_code, spendable) == (-7, project.code, 43)
    assert not Reservation.objects.exists()
    made.refresh_from_db()
    assert made.status == "captured"


def test_a_save_that_is_refused_keeps_the_hold_and_its_room(alice: User, imagegene: App) -> None:
    made = hold(alice, imagegene, size_bytes=100)
    before = rows_of(alice)

    with pytest.raises(services.StorageLimitExceeded):
        save(alice, imagegene, made, "x" * (MEGABYTE + 1))

    assert rows_of(alice) == before
    made.refresh_from_db()
    assert made.status == "active"
    assert credits.quote(user=alice, amount=1).spendable == 40


def test_a_hold_pays_for_one_project_only_and_not_after_its_time(alice: User, imagegene: App) -> None:
    paid, late = hold(alice, imagegene), hold(alice, imagegene, expires_in_seconds=60)
    save(alice, imagegene, paid, "cat")
    let_pass(5 * MINUTE)
    before = rows_of(alice)

    for made, status in ((paid, "captured"), (late, "expired")):
        with pytest.raises(credits.HoldNotActive) as refusal:
            save(alice, imagegene, made, "dog")
        assert refusal.value.status == status

    assert rows_of(alice) == before
    assert Project.objects.count() == 1


def test_the_room_of_a_hold_that_ran_out_can_be_saved_in(alice: User, imagegene: App, penora: App) -> None:
    hold(alice, imagegene, size_bytes=MEGABYTE, expires_in_seconds=60)
    let_pass(5 * MINUTE)

    keep(alice, penora, "x" * MEGABYTE)

    assert figures(alice) == (MEGABYTE, 0, 0)
    assert Plan.objects.get(slug="free").storage_limit_bytes == MEGABYTE
