"""Putting people on plans: room and credits follow at once, or nothing changes; and the command that does it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import services as accounts
from accounts.models import App, Plan, User
from credits.models import Account, Grant, LedgerEntry
from credits.queries import position_of
from tests.clock import let_pass
from tests.workspace.test_storage import keep
from unified import services
from workspace.models import Reservation, Storage
from workspace.services import StorageLimitExceeded, reserve_room

MEGABYTE = 1_048_576
DAY = timedelta(days=1)


def plan(slug: str) -> Plan:
    return Plan.objects.get(slug=slug)


def rows_of(user: User) -> dict[str, Any]:
    return {
        "user": User.objects.filter(pk=user.pk).values().get(),
        "account": Account.objects.filter(user=user).values().get(),
        "entries": list(LedgerEntry.objects.filter(account=user.pk).order_by("seq").values()),
        "lots": list(Grant.objects.filter(account=user.pk).order_by("pk").values()),
        "storage": Storage.objects.filter(user=user).values().get(),
        "reservations": list(Reservation.objects.filter(storage=user.pk).values()),
    }


def setplan(*arguments: str) -> str:
    out = StringIO()
    call_command("setplan", *arguments, stdout=out)
    return out.getvalue()


def test_a_new_person_is_on_the_default_plan_since_they_joined(alice: User) -> None:
    alice.refresh_from_db()

    assert alice.plan == plan("free")
    assert timezone.now() - alice.plan_since < timedelta(minutes=1)


def test_a_plan_gives_its_room_and_its_credits_at_once(alice: User) -> None:
    let_pass(10 * DAY)

    member = services.change_plan(user=alice, plan=plan("plus"))

    member.refresh_from_db()
    assert member.plan == plan("plus")
    assert timezone.now() - member.plan_since < timedelta(minutes=1)
    assert position_of(alice).spendable == 250
    assert Grant.objects.get().period_start == member.plan_since
    assert Storage.objects.get(user=alice).limit_bytes == 10 * MEGABYTE


def test_who_is_on_the_plan_already_is_left_as_they_are(alice: User) -> None:
    services.change_plan(user=alice, plan=plan("plus"))
    let_pass(DAY)
    before = rows_of(alice)

    services.change_plan(user=alice, plan=plan("plus"))
    for restart_months in (False, True):
        accounts.change_plan(user=alice, plan=plan("plus"), restart_months=restart_months)

    assert rows_of(alice) == before


def test_what_they_are_on_is_looked_up_and_not_taken_from_the_caller(alice: User) -> None:
    stale = User.objects.get(pk=alice.pk)
    services.change_plan(user=alice, plan=plan("plus"))
    before = rows_of(alice)

    services.change_plan(user=stale, plan=plan("plus"))
    assert rows_of(alice) == before

    assert accounts.change_plan(user=stale, plan=plan("free"), restart_months=False).plan == plan("free")


def test_a_smaller_plan_takes_the_room_that_is_free_and_leaves_the_credits(alice: User) -> None:
    services.change_plan(user=alice, plan=plan("plus"))

    services.change_plan(user=alice, plan=plan("free"))

    assert Storage.objects.get(user=alice).limit_bytes == MEGABYTE
    assert position_of(alice).spendable == 250
    let_pass(32 * DAY)
    assert position_of(alice).spendable == 50


@pytest.mark.parametrize("reserved", [False, True])
def test_a_plan_too_small_for_what_is_kept_is_refused_and_leaves_everything_as_it_was(
    alice: User, penora: App, reserved: bool
) -> None:
    """Also what has expired meanwhile: not even that is entered."""
    Plan.objects.create(slug="tiny", name="Tiny", storage_limit_bytes=3, monthly_credits=5, rank=0)
    services.change_plan(user=alice, plan=plan("plus"))
    let_pass(40 * DAY)
    if reserved:
        until = timezone.now() + DAY
        reserve_room(user=alice, reservation_id=uuid.uuid4(), size_bytes=4, expires_at=until)
    else:
        keep(alice, penora, "four")
    before = rows_of(alice)

    with pytest.raises(StorageLimitExceeded) as refusal:
        services.change_plan(user=alice, plan=plan("tiny"))

    assert (refusal.value.needed_bytes, refusal.value.limit_bytes) == (4, 3)
    assert rows_of(alice) == before
    with pytest.raises(
        CommandError, match=r"They keep or have reserved 0\.0001 MB, and the plan has room for 0\.0001 MB\."
    ):
        setplan("alice", "tiny")
    assert rows_of(alice) == before


def test_someone_whom_no_app_has_met_can_be_put_on_a_plan(alice: User) -> None:
    bob = User.objects.create(user_id="bob", username="Bob", email="bob@example.com", plan=alice.plan)

    services.change_plan(user=bob, plan=plan("plus"))

    assert position_of(bob).spendable == 200
    assert Storage.objects.get(user=bob).limit_bytes == 10 * MEGABYTE


def test_who_has_been_deleted_is_put_on_no_plan(alice: User) -> None:
    """Seen to fail: the command ended with a traceback."""
    services.delete_member(user=alice)
    before = rows_of(alice)

    with pytest.raises(CommandError, match=r"The user 'alice' has been deleted\."):
        setplan("alice", "plus")

    assert rows_of(alice) == before
    assert User.objects.get(pk=alice.pk).plan.slug == "free"


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_puts_a_person_on_a_plan_and_says_so(alice: User) -> None:
    said = setplan("alice", "plus")

    alice.refresh_from_db()
    assert said == f"Alice (alice) is on the plan 'plus' since {alice.plan_since:%Y-%m-%d %H:%M} UTC.\n"
    assert position_of(alice).spendable == 250
    assert Storage.objects.get(user=alice).limit_bytes == 10 * MEGABYTE
    assert setplan("alice", "plus") == said
    assert position_of(alice).spendable == 250


def test_the_command_says_who_or_what_there_is_not(alice: User) -> None:
    before = rows_of(alice)

    with pytest.raises(CommandError, match=r"There is no user 'nobody'\."):
        setplan("nobody", "plus")
    with pytest.raises(CommandError, match=r"There is no plan 'gold'; there are free, plus, pro\."):
        setplan("alice", "gold")
    with pytest.raises(CommandError, match="required: plan"):
        setplan("alice")

    assert rows_of(alice) == before


def test_the_command_says_in_megabytes_what_does_not_fit(alice: User, penora: App) -> None:
    services.change_plan(user=alice, plan=plan("plus"))
    keep(alice, penora, "x" * (3 * MEGABYTE // 2))

    with pytest.raises(CommandError, match=r"^They keep or have reserved 1\.5 MB, and the plan has room for 1 MB\.$"):
        setplan("alice", "free")
