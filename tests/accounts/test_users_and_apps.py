"""Who and what there can be: user ids, app slugs, the default plan, and what the seed leaves alone."""

from __future__ import annotations

import io
import unicodedata
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import services
from accounts.models import RESERVED_APP_SLUGS, App, Plan, User
from accounts.queries import find_user, upgrades_for
from credits.models import LedgerEntry, Operation
from credits.queries import position_of
from tests.conftest import make_user
from unified import seed
from unified.services import delete_member
from workspace.models import Project, Storage

BAD_SLUGS = ["", "Penora", "1app", "_app", "app_", "a__b", "a-b", "a b", "café", "app\n", "a.b", "😀"]


# --- user ids --------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=260))
def test_a_user_id_is_kept_as_it_is_or_refused(user_id: str) -> None:
    bad = not 1 <= len(user_id) <= 255 or any(unicodedata.category(c) in ("Cc", "Cs") for c in user_id)
    try:
        assert services.check_user_id(user_id) == user_id
        assert not bad
    except services.InvalidUserId:
        assert bad


@pytest.mark.parametrize("user_id", ["", "x" * 256, "a\x00b", "a\nb", "tab\t", "\x7f", "\x85", "\ud800", "é" * 256])
def test_a_user_id_that_cannot_be_makes_nobody(db: None, user_id: str) -> None:
    with pytest.raises(services.InvalidUserId):
        services.get_or_create_user(user_id=user_id, username="x", email="x@example.com")
    assert User.objects.count() == 0


def test_user_ids_are_told_apart_by_case_spaces_and_code_points(db: None) -> None:
    ids = [
        "Ada",
        "ada",
        "ADA",
        " ada",
        "ada ",
        "caf\u00e9",
        "cafe\u0301",
        "ſ",
        "s",
        "ß",
        "ss",
        "İ",
        "i",
        "😀",
        "x" * 255,
    ]
    ids += ["😀" * 255, "a%", "a_", "' OR 1=1 --", "\u200b", "\ufeff"]
    for user_id in ids:
        services.get_or_create_user(user_id=user_id, username="Same", email="same@example.com")

    assert User.objects.count() == len(ids)
    for user_id in ids:
        found = find_user(user_id)
        assert found is not None
        assert found.user_id == user_id
        assert find_user(user_id + "\u200b") is None


def test_a_person_who_is_there_is_left_as_they_are(alice: User) -> None:
    again, created = services.get_or_create_user(user_id="alice", username="Other", email="other@example.com")

    assert (again, created) == (alice, False)
    again.refresh_from_db()
    assert (again.username, again.email) == ("Alice", "alice@example.com")


def test_nobody_who_came_through_an_app_has_a_password(alice: User) -> None:
    assert not alice.has_usable_password()
    assert not alice.check_password("")
    assert (alice.is_staff, alice.is_superuser, alice.is_active) == (False, False, True)


def test_the_database_refuses_an_empty_and_a_second_same_user_id(alice: User) -> None:
    for user_id, constraint in (("", "user_id_not_empty"), ("alice", "accounts_user_user_id")):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            User.objects.create(user_id=user_id, username="x", email="x@example.com", plan=alice.plan)


# --- apps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", [*BAD_SLUGS, "a" * 31, *sorted(RESERVED_APP_SLUGS)])
def test_a_reserved_or_malformed_slug_is_refused_by_the_service_and_by_the_database(db: None, slug: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        services.register_app(slug=slug, name="App", colour="#000000")
    assert refusal.value.message_dict

    with pytest.raises(Exception, match=r"app_slug_is|too long") as caught, transaction.atomic():
        insert_app(slug)
    assert getattr(caught.value.__cause__, "pgcode", None) in {"23514", "22001"}
    assert set(App.objects.values_list("slug", flat=True)) == {"penora", "imagegene"}


def insert_app(slug: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_app (slug, name, colour, home_url, project_url, is_active)"
            " VALUES (%s, 'App', '#000000', '', '', true)",
            [slug],
        )


@pytest.mark.parametrize("slug", ["a", "notes", "notes2", "my_notes_2", "totals", "all_in", "a" * 30])
def test_a_plain_slug_is_registered_once_and_then_left_alone(db: None, slug: str) -> None:
    app = services.register_app(slug=slug, name="App", colour="#000000")
    App.objects.filter(pk=app.pk).update(name="Renamed by staff", is_active=False)

    again = services.register_app(slug=slug, name="App", colour="#ffffff")

    assert (again.pk, again.name, again.colour, again.is_active) == (app.pk, "Renamed by staff", "#000000", False)


@pytest.mark.parametrize("colour", ["red", "#fff", "#gggggg", "#1234567", "", "#12345\n"])
def test_a_colour_is_six_hexadecimal_digits(db: None, colour: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        services.register_app(slug="notes", name="Notes", colour=colour)
    assert list(refusal.value.message_dict) == ["colour"]


# --- plans -----------------------------------------------------------------------------------------------------------


def test_there_is_one_default_plan_at_the_most(db: None) -> None:
    with pytest.raises(IntegrityError, match="plan_one_default"), transaction.atomic():
        Plan.objects.filter(slug="plus").update(is_default=True)

    assert list(Plan.objects.filter(is_default=True).values_list("slug", flat=True)) == ["free"]
    assert Plan.objects.filter(is_default=False).count() == 2


def test_without_a_default_plan_nobody_can_join_and_that_is_said(db: None) -> None:
    Plan.objects.update(is_default=False)

    with pytest.raises(services.NoDefaultPlan, match=r"manage\.py seed"):
        make_user("alice")
    assert User.objects.count() == 0


def test_upgrades_are_the_offered_plans_above_ones_own(alice: User) -> None:
    assert [step["plan"] for step in upgrades_for(alice)] == ["plus", "pro"]
    Plan.objects.filter(slug="plus").update(is_offered=False)
    assert [step["plan"] for step in upgrades_for(alice)] == ["pro"]
    alice.plan = Plan.objects.get(slug="pro")
    assert upgrades_for(alice) == []


# --- seed ------------------------------------------------------------------------------------------------------------


def registry() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (App, Plan, Operation)]


def test_seeding_again_changes_nothing(db: None) -> None:
    before = registry()

    seed.seed_registry()

    assert registry() == before
    assert [len(rows) for rows in before] == [2, 3, 7]


def test_seeding_again_does_not_undo_what_staff_have_changed(db: None) -> None:
    App.objects.filter(slug="penora").update(name="Penora Pro", colour="#111111", is_active=False)
    Plan.objects.filter(slug="free").update(is_default=False, storage_limit_bytes=5)
    Plan.objects.filter(slug="plus").update(is_default=True)
    Operation.objects.filter(slug="page").update(name="Sheet", is_active=False)
    before = registry()

    seed.seed_registry()

    assert registry() == before


def test_the_demo_person_has_the_guides_numbers_and_is_made_once(db: None) -> None:
    for _ in range(2):
        out = io.StringIO()
        call_command("seed", "--demo", stdout=out)
        assert out.getvalue().strip() == "Apps, plans and prices are registered."

        demo = User.objects.get(user_id="101902121794505144784")
        assert position_of(demo).spendable == 43
        by_app = [Project.objects.filter(user=demo, app__slug=slug).count() for slug in ("penora", "imagegene")]
        assert by_app == [4, 4]
        entries = LedgerEntry.objects.filter(account=demo.pk)
        assert sum(entries.values_list("amount", flat=True)) == 43
        paid = entries.filter(type="deduction")
        assert set(paid.values_list("project_code", flat=True)) <= set(Project.objects.values_list("code", flat=True))
        assert {entry.amount for entry in paid} == {-1, -2}
        storage = Storage.objects.get(user=demo)
        assert storage.used_bytes == sum(Project.objects.values_list("size_bytes", flat=True))
        assert 0 < storage.used_bytes < storage.limit_bytes
    assert User.objects.count() == 1


def test_a_demo_person_who_left_while_locked_out_stays_away(db: None) -> None:
    seed.seed_demo()
    demo = User.objects.get(user_id=seed.DEMO_USER_ID)
    services.set_active(user=demo, is_active=False)
    delete_member(user=demo)

    seed.seed_demo()

    demo.refresh_from_db()
    assert demo.deleted_at is not None
    assert not Project.objects.exists()


def test_without_demo_the_command_makes_nobody(db: None) -> None:
    call_command("seed", stdout=io.StringIO())

    assert User.objects.count() == 0
