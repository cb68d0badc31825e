"""
manage.py verify_storage: finds every counter that is wrong, mends those with --repair under the lock of all writers,
and reads compressed texts with --contents. Damage is planted by SQL, as a defect or a hand at the database would do it.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from accounts import services as accounts
from accounts.models import App, User
from tests.api.conftest import everything_of
from tests.api.pictures import draw
from tests.api.served import saved
from tests.client import ApiClient
from tests.clock import let_pass
from tests.concurrency.books import assert_everything_is_proved, rows
from tests.concurrency.crowd import background, held, waiting_for_a_lock
from tests.conftest import make_user
from tests.test_sweep import HOUR
from unified import services
from workspace.models import ProjectContent, Storage, StorageWarning

TEXT = "A week in Lisbon. " * 50
USED = "each person's used bytes are the sum of their projects"
COUNT = "each person's project count is the number of their projects"
PARTS = "each app's part is the sum of the projects made with it"
TRASH = "each person's trash is counted as what is in it"
RESERVED = "each person's reserved bytes are the sum of their reservations"
MARKS = "the marks that the used room has reached are noted, and none else"
ALICE = "(SELECT id FROM accounts_user WHERE user_id = 'alice')"
PENORA = "(SELECT id FROM accounts_app WHERE slug = 'penora')"
IMAGEGENE = "(SELECT id FROM accounts_app WHERE slug = 'imagegene')"
DAMAGES = {
    "used bytes, too many": (
        f"UPDATE workspace_storage SET used_bytes = used_bytes + 7 WHERE user_id = {ALICE}",
        {USED},
    ),
    "used bytes, none": (f"UPDATE workspace_storage SET used_bytes = 0 WHERE user_id = {ALICE}", {USED}),
    "number of projects": (f"UPDATE workspace_storage SET project_count = 9 WHERE user_id = {ALICE}", {COUNT}),
    "bytes in the trash": (f"UPDATE workspace_storage SET trash_bytes = 0 WHERE user_id = {ALICE}", {TRASH}),
    "number in the trash": (f"UPDATE workspace_storage SET trash_count = 5 WHERE user_id = {ALICE}", {TRASH}),
    "reserved bytes, too many": (
        f"UPDATE workspace_storage SET reserved_bytes = reserved_bytes + 1 WHERE user_id = {ALICE}",
        {RESERVED},
    ),
    "reserved bytes, too few": (
        f"UPDATE workspace_storage SET reserved_bytes = 1 WHERE user_id = {ALICE}",
        {RESERVED},
    ),
    "an app's bytes": (
        f"UPDATE workspace_appstorage SET used_bytes = 1 WHERE storage_id = {ALICE} AND app_id = {PENORA}",
        {PARTS},
    ),
    "an app's number of projects": (
        f"UPDATE workspace_appstorage SET project_count = 0 WHERE storage_id = {ALICE} AND app_id = {IMAGEGENE}",
        {PARTS},
    ),
    "an app's part that is gone": (
        f"DELETE FROM workspace_appstorage WHERE storage_id = {ALICE} AND app_id = {IMAGEGENE}",
        {PARTS},
    ),
    "a mark that was not reached": (
        f"UPDATE workspace_storage SET warned_percent = 95 WHERE user_id = {ALICE}",
        {MARKS},
    ),
    "a project in the trash that nobody counted": (
        f"UPDATE workspace_project SET deleted_at = NOW() WHERE user_id = {ALICE} AND content_type LIKE 'image/%%'",
        {USED, COUNT, PARTS, TRASH},
    ),
    "a project that is gone": (
        "DELETE FROM workspace_projectcontent USING workspace_project p"
        f" WHERE p.id = project_id AND p.user_id = {ALICE} AND p.content_type LIKE 'image/%%';"
        f"DELETE FROM workspace_project WHERE user_id = {ALICE} AND content_type LIKE 'image/%%'",
        {USED, COUNT, PARTS},
    ),
}


@pytest.fixture
def as_penora(committed_db: None) -> ApiClient:
    return ApiClient(key=accounts.create_key(app=App.objects.get(slug="penora"), label="tests")[1])


@pytest.fixture
def alice(as_penora: ApiClient) -> User:
    return with_belongings("alice", as_penora)


@pytest.fixture
def bob(as_penora: ApiClient) -> User:
    return with_belongings("bob", as_penora)


def with_belongings(name: str, as_penora: ApiClient) -> User:
    """A person with a text, a picture of the other app, something in the trash, and room reserved."""
    user = make_user(name)
    imagegene = App.objects.get(slug="imagegene")
    as_imagegene = ApiClient(key=accounts.create_key(app=imagegene, label="tests")[1])
    saved(as_penora, TEXT, user_id=name)
    saved(as_imagegene, draw("PNG"), user_id=name, app_source="imagegene")
    gone = saved(as_penora, "gone", user_id=name)
    assert as_penora.request("DELETE", f"/api/unified/projects/{gone}?user_id={name}").status_code == 200
    services.reserve(user=user, app=imagegene, amount=1, description="h", expires_in_seconds=1_800, storage_bytes=50)
    return user


def verify(*arguments: str) -> tuple[int, str]:
    """The exit status, and all that was said, warnings included."""
    said = StringIO()
    try:
        call_command("verify_storage", *arguments, stdout=said, stderr=said)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def broken(said: str) -> set[str]:
    return {line.partition(": ")[2] for line in said.splitlines() if line.startswith("BROKEN  workspace")}


def damage(sql: str) -> None:
    """Past the constraints that would refuse it."""
    rows(f"SET session_replication_role = replica; {sql}; SET session_replication_role = origin; SELECT 1")


def counters(user: User) -> tuple[Any, ...]:
    everything = everything_of(user)
    parts = [(row["app_id"], row["used_bytes"], row["project_count"]) for row in everything["by_app"]]
    return everything["storage"], sorted(parts)


def test_true_counters_are_said_to_hold_and_stay(alice: User, bob: User) -> None:
    before = everything_of(alice), everything_of(bob)

    for arguments in ([], ["--repair"], ["--contents"], ["--repair", "--contents"]):
        status, said = verify(*arguments)
        assert (status, broken(said)) == (0, set()), said
        assert "All invariants hold" in said
        assert ("Counters of 0 people were wrong and are mended." in said) == ("--repair" in arguments)
        assert ("0 damaged contents." in said) == ("--contents" in arguments)
    assert (everything_of(alice), everything_of(bob)) == before


@pytest.mark.parametrize("what", DAMAGES)
def test_each_wrong_counter_is_found_and_mended_and_nothing_else(alice: User, bob: User, what: str) -> None:
    sql, expected = DAMAGES[what]
    right = counters(alice), everything_of(bob)
    damage(sql)
    is_project = "project" in sql.split()[1] or sql.startswith("DELETE FROM workspace_project")
    damaged = everything_of(alice)

    status, said = verify()
    assert (status, broken(said)) == (1, expected), said
    assert everything_of(alice) == damaged  # to look changes nothing

    status, said = verify("--repair")
    assert (status, broken(said)) == (0, set()), said
    assert "Counters of 1 person were wrong and are mended." in said
    assert everything_of(bob) == right[1]
    if not is_project:  # else the counters are to be others than before
        assert counters(alice) == right[0]
    after = everything_of(alice)
    assert {name: after[name] for name in ("projects", "entries", "account", "reservations", "contents")} == {
        name: damaged[name] for name in ("projects", "entries", "account", "reservations", "contents")
    }
    assert_everything_is_proved()
    assert "Counters of 0 people were wrong" in verify("--repair")[1]


def test_reserved_bytes_that_are_too_few_for_what_is_over_are_mended(alice: User) -> None:
    """Who writes takes away first what is over: below nothing, which the database refuses. --repair stopped there."""
    damage(DAMAGES["reserved bytes, too few"][0])
    let_pass(HOUR)

    status, said = verify("--repair")

    assert (status, broken(said)) == (0, set()), said
    assert "Counters of 1 person were wrong and are mended." in said
    assert Storage.objects.get(user=alice).reserved_bytes == 50
    call_command("sweep", stdout=StringIO())
    assert Storage.objects.get(user=alice).reserved_bytes == 0
    assert_everything_is_proved()


def test_several_wrong_counters_are_mended_together(alice: User) -> None:
    """One by one they would be over the limit for a moment: the right used bytes beside the wrong reserved ones."""
    right = counters(alice)
    damage(f"UPDATE workspace_storage SET used_bytes = 0, reserved_bytes = limit_bytes WHERE user_id = {ALICE}")

    status, said = verify("--repair")

    assert (status, broken(said)) == (0, set()), said
    assert counters(alice) == right


def test_a_storage_row_that_is_gone_is_made_again(alice: User) -> None:
    right = counters(alice)
    damage(f"DELETE FROM workspace_storage WHERE user_id = {ALICE}")
    assert broken(verify()[1]) >= {"whoever has projects has a storage row"}

    status, said = verify("--repair")

    assert (status, broken(said)) == (0, set()), said
    assert counters(alice) == right


def test_a_mark_that_was_reached_and_not_noted_is_noted(alice: User) -> None:
    used = Storage.objects.get(user=alice).used_bytes
    damage(f"UPDATE workspace_storage SET limit_bytes = {used + 60} WHERE user_id = {ALICE}")
    assert broken(verify()[1]) == {MARKS}

    status, said = verify("--repair")

    assert status == 0
    assert "Counters of 1 person were wrong and are mended." in said
    assert Storage.objects.get(user=alice).warned_percent == 80
    assert list(StorageWarning.objects.values_list("percent", "used_bytes")) == [(80, used)]


def test_who_keeps_more_than_their_limit_is_named_and_left(alice: User, bob: User) -> None:
    """Which of the projects is to go is not for a program to say. The others are mended all the same."""
    right = counters(bob)
    damage("UPDATE workspace_storage SET used_bytes = 1")
    damage(f"UPDATE workspace_storage SET limit_bytes = 100 WHERE user_id = {ALICE}")
    before = everything_of(alice)

    status, said = verify("--repair")

    assert status == 1
    assert "Alice (alice) keeps and has reserved 0.001 MB, over their limit of 0.0001 MB" in said
    assert "raise the limit, or remove projects." in said
    assert "Counters of 1 person were wrong and are mended." in said
    assert USED in broken(said)
    assert everything_of(alice) == before
    assert counters(bob) == right


@pytest.mark.usefixtures("within_a_minute")
def test_a_repair_waits_for_whoever_holds_the_lock(alice: User, as_penora: ApiClient) -> None:
    """Then it counts what they have left. Without the lock it did not wait, and could write over what they wrote."""
    damage(DAMAGES["used bytes, none"][0])
    with background() as start:
        with held("SELECT 1 FROM workspace_storage WHERE user_id = %s FOR UPDATE", alice.pk) as let:
            save = start(lambda: saved(as_penora, "while it waits"))
            waiting_for_a_lock(1)
            repair = start(lambda: verify("--repair"))
            waiting_for_a_lock(2)
            assert not repair.done()
            let()
        save.result()
        status, said = repair.result()

    assert (status, broken(said)) == (0, set()), said
    assert "Counters of 1 person were wrong and are mended." in said
    assert_everything_is_proved()


# --- contents --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("body = SUBSTRING(body FOR LENGTH(body) - 1)", "no Brotli stream"),
        (r"body = '\x00'::bytea", "no Brotli stream"),
        (r"body = '\x8b028068696869686903'::bytea", "6 bytes"),  # Brotli of another text
    ],
)
def test_a_damaged_text_is_found_when_contents_are_read(alice: User, bob: User, sql: str, found: str) -> None:
    (code,) = rows(f"SELECT code FROM workspace_project WHERE user_id = {ALICE} AND size_bytes = {len(TEXT)}")
    damage(
        f"UPDATE workspace_projectcontent SET {sql} WHERE project_id ="
        f" (SELECT id FROM workspace_project WHERE code = '{code[0]}')"
    )
    before = everything_of(alice), ProjectContent.objects.count()
    assert verify()[0] == 0  # SQL cannot see it

    status, said = verify("--contents", "--repair")

    assert status == 1
    assert f"BROKEN  project {code[0]}: expected {len(TEXT)} bytes, found {found}" in said
    assert "1 damaged content." in said
    assert (everything_of(alice), ProjectContent.objects.count()) == before
