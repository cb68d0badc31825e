"""GET user-info."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import App, Plan, User
from credits import services as credits
from credits.models import LedgerEntry
from tests.api.conftest import STAMP, everything_of, position, reserve
from tests.client import ApiClient
from tests.clock import let_pass
from workspace.models import Storage

ROUTE = "user-info"
GIFT = LedgerEntry.Source.PROMOTION
HOUR = timedelta(hours=1)


def give(user: User, amount: int, *, lasts: timedelta) -> datetime:
    """A gift that expires; when it does."""
    ends = timezone.now() + lasts
    credits.grant(user=user, amount=amount, source=GIFT, description="A gift", expires_at=ends)
    return ends


def expiring(answer: dict[str, Any]) -> list[tuple[int, datetime]]:
    return [(lot["credits"], datetime.fromisoformat(lot["expires_at"])) for lot in answer["expiring_credits"]]


def test_what_a_person_can_spend_and_keep(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="alice")

    assert response.status_code == 200
    answer = response.json()
    assert re.fullmatch(STAMP, answer["timestamp"])
    assert answer == {
        "success": True,
        "user_id": "alice",
        "username": "Alice",
        "credits": 50,
        "held_credits": 0,
        "expiring_credits": [],
        "plan": "free",
        "storage": {
            "used_mb": 0.0,
            "limit_mb": 1.0,
            "available_mb": 1.0,
            "usage_percentage": 0.0,
            "used_bytes": 0,
            "limit_bytes": 1_048_576,
            "available_bytes": 1_048_576,
            "reserved_bytes": 0,
        },
        "timestamp": answer["timestamp"],
    }


def test_held_credits_cannot_be_spent(alice: User, penora: App, as_penora: ApiClient) -> None:
    credits.reserve(user=alice, app=penora, amount=20, description="held")

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert (answer["credits"], answer["held_credits"]) == (30, 20)


@pytest.mark.parametrize(
    ("used_bytes", "used_mb", "available_mb", "percentage"),
    [
        (0, 0.0, 1.0, 0.0),
        (1, 0.0001, 0.9999, 0.0),
        (104, 0.0001, 0.9999, 0.01),
        (157_286, 0.15, 0.85, 15.0),
        (524_288, 0.5, 0.5, 50.0),
        (1_048_576, 1.0, 0.0, 100.0),
    ],
)
def test_megabytes_have_four_decimals_and_are_never_nothing_for_something(
    alice: User, as_penora: ApiClient, used_bytes: int, used_mb: float, available_mb: float, percentage: float
) -> None:
    Storage.objects.filter(user=alice).update(used_bytes=used_bytes)

    storage = as_penora.get(ROUTE, user_id="alice").json()["storage"]

    assert storage == {
        "used_mb": used_mb,
        "limit_mb": 1.0,
        "available_mb": available_mb,
        "usage_percentage": percentage,
        "used_bytes": used_bytes,
        "limit_bytes": 1_048_576,
        "available_bytes": 1_048_576 - used_bytes,
        "reserved_bytes": 0,
    }


def test_the_plan_and_its_limit_are_the_persons_own(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(plan=Plan.objects.get(slug="plus"))
    Storage.objects.filter(user=alice).update(limit_bytes=10 * 1_048_576)

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert answer["plan"] == "plus"
    assert (answer["storage"]["limit_mb"], answer["storage"]["limit_bytes"]) == (10.0, 10_485_760)


def test_nobody_by_this_id_is_a_404_that_repeats_the_id(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="Alice")

    assert response.status_code == 404
    answer = response.json()
    assert (answer["success"], answer["error"], answer["code"]) == (False, "User not found", "user_not_found")
    assert answer["user_id"] == "Alice"


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "x" * 256}, {"user_id": "a\x00b"}])
def test_a_call_that_names_nobody_is_refused(db: None, as_penora: ApiClient, query: dict[str, Any]) -> None:
    response = as_penora.get(ROUTE, **query)

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["user_id"]


def test_a_name_given_twice_is_refused_and_not_guessed(alice: User, bob: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id=["alice", "bob"])

    assert response.status_code == 400
    assert list(response.json()["fields"]) == ["user_id"]


def test_looking_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    as_penora.get(ROUTE, user_id="alice")

    assert everything_of(alice) == before


def test_a_deactivated_person_can_still_be_looked_up(alice: User, as_penora: ApiClient) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert as_penora.get(ROUTE, user_id="alice").json()["credits"] == 50


def test_credits_that_expire_are_listed_soonest_first_and_are_part_of_the_credits(
    alice: User, as_penora: ApiClient
) -> None:
    later, sooner = give(alice, 10, lasts=5 * HOUR), give(alice, 7, lasts=2 * HOUR)
    credits.grant(user=alice, amount=3, source=GIFT, description="At the same time", expires_at=later)

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert answer["credits"] == 70
    assert expiring(answer) == [(7, sooner), (13, later)]
    assert all(re.fullmatch(STAMP, lot["expires_at"]) for lot in answer["expiring_credits"])


def test_what_was_spent_or_is_held_of_them_is_not_listed(alice: User, penora: App, as_penora: ApiClient) -> None:
    sooner, later = give(alice, 7, lasts=2 * HOUR), give(alice, 10, lasts=5 * HOUR)
    credits.deduct(user=alice, app=penora, amount=4, description="Spent")
    assert expiring(as_penora.get(ROUTE, user_id="alice").json()) == [(3, sooner), (10, later)]

    credits.reserve(user=alice, app=penora, amount=5, description="held")

    answer = as_penora.get(ROUTE, user_id="alice").json()
    assert expiring(answer) == [(8, later)]
    assert (answer["credits"], answer["held_credits"]) == (58, 5)


def test_what_has_expired_is_gone_though_nobody_has_entered_it(alice: User, as_penora: ApiClient) -> None:
    give(alice, 7, lasts=2 * HOUR)
    let_pass(3 * HOUR)
    before = everything_of(alice)

    answer = as_penora.get(ROUTE, user_id="alice").json()

    assert (answer["credits"], answer["expiring_credits"]) == (50, [])
    assert everything_of(alice) == before
    credits.settle(user=alice)
    assert as_penora.get(ROUTE, user_id="alice").json()["credits"] == 50


def test_what_has_expired_while_it_is_held_stays_held_and_is_not_to_be_spent(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    give(alice, 7, lasts=2 * HOUR)
    credits.reserve(user=alice, app=penora, amount=5, description="held", expires_in_seconds=4 * 3_600)
    let_pass(3 * HOUR)

    assert position(as_penora) == (50, 5)
    let_pass(2 * HOUR)
    assert position(as_penora) == (50, 0)


def test_a_hold_whose_time_is_over_holds_nothing_though_nobody_has_tidied_up(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    credits.reserve(user=alice, app=penora, amount=20, description="held")
    credits.reserve(user=alice, app=penora, amount=5, description="held for longer", expires_in_seconds=7_200)
    let_pass(HOUR)
    before = everything_of(alice)

    assert position(as_penora) == (45, 5)
    assert everything_of(alice) == before


# --- as_of ------------------------------------------------------------------------------------------------------------


def at(client: ApiClient, moment: datetime | str) -> tuple[int, int]:
    """Alice's credits at that time, and those that were held."""
    text = moment if isinstance(moment, str) else moment.isoformat()
    response = client.get(ROUTE, user_id="alice", as_of=text)
    assert response.status_code == 200, response.content
    answer = response.json()
    assert datetime.fromisoformat(answer["as_of"]) == datetime.fromisoformat(text)
    return answer["credits"], answer["held_credits"]


def test_an_earlier_time_is_named_and_all_but_the_credits_is_of_now(alice: User, as_penora: ApiClient) -> None:
    let_pass(2 * HOUR)
    as_penora.post("save-project", user_id="alice", app_source="penora", project_type="x", title="x", content="12345")
    credits.grant(user=alice, amount=5, source=GIFT, description="A gift")
    moment = (datetime.now(UTC) - HOUR).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    answer = as_penora.get(ROUTE, user_id="alice", as_of=moment).json()

    assert answer == {
        **as_penora.get(ROUTE, user_id="alice").json(),
        "credits": 50,
        "as_of": moment,
        "timestamp": answer["timestamp"],
    }
    assert answer["storage"]["used_bytes"] == 5
    assert answer["timestamp"] > moment


def test_a_moment_between_two_entries_has_the_credits_of_then(alice: User, penora: App, as_penora: ApiClient) -> None:
    for amount in (1, 2, 4):
        let_pass(HOUR)
        credits.deduct(user=alice, app=penora, amount=amount, description="Spent")
    let_pass(HOUR)

    listed = as_penora.get("transactions", user_id="alice").json()["all_transactions"]
    times = [datetime.fromisoformat(entry["created_at"]) for entry in reversed(listed)]
    for time, balance in zip(times, (50, 49, 47, 43), strict=True):
        assert at(as_penora, time) == at(as_penora, time + HOUR / 2) == (balance, 0)
    for time, balance in zip(times, (0, 50, 49, 47), strict=True):
        assert at(as_penora, time - timedelta(microseconds=1)) == (balance, 0)


@pytest.mark.parametrize("entered", [False, True])
def test_a_hold_counts_from_when_it_was_made_until_its_time_was_over(
    alice: User, as_imagegene: ApiClient, entered: bool
) -> None:
    let_pass(HOUR)
    reserve(as_imagegene, amount=3)
    reserve(as_imagegene, amount=4, expires_in=7_200)
    let_pass(4 * HOUR)
    if entered:
        credits.settle(user=alice)
    made = timezone.now() - 4 * HOUR

    for after, expected in ((-1, (50, 0)), (10, (43, 7)), (20, (46, 4)), (119, (46, 4)), (121, (50, 0))):
        assert at(as_imagegene, made + timedelta(minutes=after)) == expected


@pytest.mark.parametrize("how", ["capture", "release"])
def test_a_hold_that_was_ended_in_time_counts_until_then(alice: User, as_imagegene: ApiClient, how: str) -> None:
    held = reserve(as_imagegene, expires_in=86_400)["hold_id"]
    let_pass(HOUR)
    as_imagegene.post(f"{how}-credits", hold_id=held)
    let_pass(HOUR)

    assert at(as_imagegene, timezone.now() - 1.5 * HOUR) == (30, 20)
    assert at(as_imagegene, timezone.now() - HOUR / 2) == ((30, 0) if how == "capture" else (50, 0))


@pytest.mark.parametrize("entered", [False, True])
def test_what_expires_counts_until_its_time_and_not_until_it_was_entered(
    alice: User, penora: App, as_penora: ApiClient, entered: bool
) -> None:
    ends = give(alice, 10, lasts=2 * HOUR)
    credits.deduct(user=alice, app=penora, amount=4, description="Spent")
    let_pass(5 * HOUR)
    ends -= 5 * HOUR
    if entered:
        credits.settle(user=alice)
    let_pass(HOUR)
    ends -= HOUR

    for moment, expected in ((ends - HOUR, 56), (ends - timedelta(seconds=1), 56), (ends, 50), (ends + 4 * HOUR, 50)):
        assert at(as_penora, moment) == (expected, 0)
    then = as_penora.get(ROUTE, user_id="alice", as_of=(ends - HOUR).isoformat()).json()
    assert expiring(then) == [(6, ends)]
    assert as_penora.get(ROUTE, user_id="alice", as_of=ends.isoformat()).json()["expiring_credits"] == []


def test_with_holds_on_what_expires_it_is_what_was_spendable_then(
    alice: User, penora: App, as_penora: ApiClient
) -> None:
    """Written down as it goes, and asked for again from later on."""
    told: list[tuple[datetime, tuple[int, int], Any]] = []

    def note() -> None:
        answer = as_penora.get(ROUTE, user_id="alice").json()
        moment = datetime.fromisoformat(answer["timestamp"])
        told.append((moment, (answer["credits"], answer["held_credits"]), expiring(answer)))

    def wait(delta: timedelta) -> None:
        let_pass(delta)
        told[:] = [(t - delta, told_then, [(n, e - delta) for n, e in lots]) for t, told_then, lots in told]

    note()
    give(alice, 10, lasts=2 * HOUR)
    note()
    hold, _ = credits.reserve(user=alice, app=penora, amount=15, description="held", expires_in_seconds=4 * 3_600)
    credits.reserve(user=alice, app=penora, amount=3, description="runs out", expires_in_seconds=3_600)
    note()
    wait(1.5 * HOUR)
    note()
    give(alice, 6, lasts=6 * HOUR)
    note()
    wait(HOUR)  # the gift of 10 is over, and all of it is held
    note()
    hold.refresh_from_db()
    entry = credits.capture(hold=hold, amount=7).entry  # 3 of it expire as they are freed
    note()
    assert entry is not None
    wait(HOUR)
    credits.refund(entry=entry, reason="A mistake")  # 7 come back for three days
    note()
    wait(timedelta(days=1))  # the gift of 6 is over
    note()
    credits.deduct(user=alice, app=penora, amount=9, description="Spent")
    note()
    wait(timedelta(days=3))
    note()

    assert [then for _, then, _ in told] == [
        *((50, 0), (60, 0), (42, 18), (45, 15), (51, 15), (51, 15), (56, 0), (63, 0), (57, 0), (48, 0), (48, 0))
    ]
    for moment, then, lots in told:
        answer = as_penora.get(ROUTE, user_id="alice", as_of=moment.isoformat()).json()
        assert ((answer["credits"], answer["held_credits"]), expiring(answer)) == (then, lots)


def test_before_a_person_existed_they_had_nothing(alice: User, as_penora: ApiClient) -> None:
    for moment in ("2001-01-01T00:00:00Z", "2001-01-01", (timezone.now() - HOUR).isoformat()):
        answer = as_penora.get(ROUTE, user_id="alice", as_of=moment).json()
        assert (answer["credits"], answer["held_credits"], answer["expiring_credits"]) == (0, 0, [])
        assert answer["user_id"] == "alice"


def test_a_moment_may_be_told_by_any_clock(alice: User, as_penora: ApiClient) -> None:
    let_pass(2 * HOUR)
    moment = timezone.now() - HOUR

    for text in (
        moment.isoformat(),
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        moment.strftime("%Y-%m-%dT%H:%M:%S"),
        (moment + 2 * HOUR).strftime("%Y-%m-%dT%H:%M:%S+02:00"),
        (moment - 8 * HOUR).strftime("%Y-%m-%dt%H:%M:%S-08:00"),
    ):
        answer = as_penora.get(ROUTE, user_id="alice", as_of=text).json()
        assert answer["credits"] == 50, text
        assert re.fullmatch(STAMP, answer["as_of"])
        assert abs(datetime.fromisoformat(answer["as_of"]) - moment) < timedelta(seconds=1)


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=400)])
def test_a_time_that_has_not_come_is_refused(alice: User, as_penora: ApiClient, ahead: timedelta) -> None:
    response = as_penora.get(ROUTE, user_id="alice", as_of=(timezone.now() + ahead).isoformat())

    assert (response.status_code, response.json()["code"]) == (400, "validation_error")
    assert list(response.json()["fields"]) == ["as_of"]


@pytest.mark.parametrize(
    "value",
    ["yesterday", "now", "2026-13-01", "2026-02-30", "1767225600", "2026-01-01T25:00:00Z", "a\x00b", "2026-01-01T08"],
)
def test_a_time_that_is_none_is_refused(alice: User, as_penora: ApiClient, value: str) -> None:
    response = as_penora.get(ROUTE, user_id="alice", as_of=value)

    assert (response.status_code, response.json()["code"]) == (400, "validation_error")
    assert list(response.json()["fields"]) == ["as_of"]


def test_an_empty_time_is_one_that_was_left_out(alice: User, as_penora: ApiClient) -> None:
    answer = as_penora.get(ROUTE, user_id="alice", as_of="").json()

    assert (answer["credits"], "as_of" in answer) == (50, False)


def test_looking_back_changes_nothing(alice: User, as_imagegene: ApiClient) -> None:
    give(alice, 10, lasts=2 * HOUR)
    reserve(as_imagegene)
    let_pass(3 * HOUR)
    before = everything_of(alice)

    at(as_imagegene, timezone.now() - HOUR)

    assert everything_of(alice) == before
