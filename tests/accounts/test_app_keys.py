"""The life of an app key: made, used, rotated, expired, revoked."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import keys, services
from accounts.models import App, AppKey


def aged(key: AppKey, **times: datetime) -> None:
    AppKey.objects.filter(pk=key.pk).update(**times)


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("appkey", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().strip()


def test_the_secret_of_a_key_is_nowhere_in_its_row(penora: App) -> None:
    key, text = services.create_key(app=penora, label="server", mode="test")

    with connection.cursor() as cursor:
        cursor.execute("SELECT k::text FROM accounts_appkey k WHERE id = %s", [key.pk])
        (row,) = cursor.fetchone()
    secret = text.split("_")[3]
    assert secret not in row
    assert secret.encode().hex() not in row
    assert (key.mode, key.label, key.app, key.expires_at) == ("test", "server", penora, None)
    assert services.authenticate_key(text) == key


def test_a_key_with_the_right_id_and_another_secret_does_not_work(penora: App) -> None:
    key, _ = services.create_key(app=penora, label="server")
    forged, parsed = keys.generate(mode="live")
    body = forged.replace(parsed.key_id, key.key_id).rpartition("_")[0]
    text = f"{body}_{keys.checksum(body)}"
    assert keys.parse(text) is not None

    assert services.authenticate_key(text) is None


def test_an_expired_revoked_or_switched_off_key_does_not_work(penora: App) -> None:
    expired, expired_text = services.create_key(app=penora, label="a", expires_at=timezone.now() - timedelta(seconds=1))
    revoked, revoked_text = services.create_key(app=penora, label="b")
    _, good_text = services.create_key(app=penora, label="c", expires_at=timezone.now() + timedelta(hours=1))
    services.revoke_key(key_id=revoked.key_id)

    assert services.authenticate_key(expired_text) is None
    assert services.authenticate_key(revoked_text) is None
    assert services.authenticate_key(good_text) is not None
    App.objects.filter(pk=penora.pk).update(is_active=False)
    assert services.authenticate_key(good_text) is None
    revoked.refresh_from_db()
    now = timezone.now()
    assert (expired.state(now), revoked.state(now)) == ("expired", "revoked")


def test_the_last_use_is_noted_once_in_five_minutes(penora: App) -> None:
    key, text = services.create_key(app=penora, label="server")
    services.authenticate_key(text)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None

    with CaptureQueriesContext(connection) as captured:
        services.authenticate_key(text)
    assert [query["sql"].split()[0] for query in captured] == ["SELECT"]
    key.refresh_from_db()
    assert key.last_used_at == first

    aged(key, last_used_at=timezone.now() - timedelta(minutes=5, seconds=1))
    with CaptureQueriesContext(connection) as captured:
        services.authenticate_key(text)
    assert [query["sql"].split()[0] for query in captured] == ["SELECT", "UPDATE"]
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at >= first


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(penora: App) -> None:
    old, old_text = services.create_key(app=penora, label="server", mode="test")

    new, new_text = services.rotate_key(key_id=old.key_id, overlap=timedelta(hours=2))

    old.refresh_from_db()
    assert (new.app, new.label, new.mode, new.expires_at) == (penora, "server", "test", None)
    assert (old.replaced_by, old.state(timezone.now()), new.state(timezone.now())) == (new, "rotating", "active")
    assert old.expires_at is not None
    assert timedelta(hours=1, minutes=59) < old.expires_at - timezone.now() <= timedelta(hours=2)
    assert services.authenticate_key(old_text) == old
    assert services.authenticate_key(new_text) == new
    aged(old, expires_at=timezone.now())
    assert services.authenticate_key(old_text) is None
    assert services.authenticate_key(new_text) == new


def test_without_overlap_the_old_key_ends_at_once(penora: App) -> None:
    old, old_text = services.create_key(app=penora, label="server")

    services.rotate_key(key_id=old.key_id, overlap=timedelta(0))

    assert services.authenticate_key(old_text) is None


def test_rotating_never_prolongs_a_key(penora: App) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    old, _ = services.create_key(app=penora, label="server", expires_at=soon)

    new, _ = services.rotate_key(key_id=old.key_id, overlap=timedelta(days=7))

    old.refresh_from_db()
    assert (old.expires_at, new.expires_at) == (soon, soon)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=7, seconds=1), timedelta(days=365)])
def test_an_overlap_is_nothing_to_seven_days(penora: App, overlap: timedelta) -> None:
    key, _ = services.create_key(app=penora, label="server")

    with pytest.raises(ValueError, match="0 to 7 days"):
        services.rotate_key(key_id=key.key_id, overlap=overlap)
    services.rotate_key(key_id=key.key_id, overlap=timedelta(days=7))
    assert AppKey.objects.count() == 2


def test_only_an_active_key_can_be_rotated(penora: App) -> None:
    rotated, revoked, expired = (services.create_key(app=penora, label=label)[0] for label in "abc")
    services.rotate_key(key_id=rotated.key_id)
    services.revoke_key(key_id=revoked.key_id)
    aged(expired, expires_at=timezone.now() - timedelta(seconds=1))
    count = AppKey.objects.count()

    for key, state in ((rotated, "rotating"), (revoked, "revoked"), (expired, "expired")):
        with pytest.raises(services.KeyNotActive, match=f"{key.key_id} is {state}"):
            services.rotate_key(key_id=key.key_id)

    with pytest.raises(AppKey.DoesNotExist):
        services.rotate_key(key_id="nobody")
    assert AppKey.objects.count() == count


def test_revoking_again_changes_nothing(penora: App) -> None:
    key, _ = services.create_key(app=penora, label="server")
    first = services.revoke_key(key_id=key.key_id).revoked_at

    assert services.revoke_key(key_id=key.key_id).revoked_at == first
    with pytest.raises(AppKey.DoesNotExist):
        services.revoke_key(key_id="nobody")


def test_the_command_creates_lists_rotates_and_revokes(penora: App) -> None:
    text = command("create", "penora", "--label", "server", "--mode", "test", "--days", "30")
    key = services.authenticate_key(text)
    assert key is not None
    assert (key.app, key.label, key.mode) == (penora, "server", "test")
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)

    new_text = command("rotate", key.key_id, "--overlap-hours", "0")
    assert services.authenticate_key(text) is None
    new = services.authenticate_key(new_text)
    assert new is not None

    listed = command("list")
    assert f"{key.key_id}  penora  expired" in listed
    assert f"{new.key_id}  penora  active" in listed
    assert text not in listed
    assert new_text not in listed

    assert command("revoke", new.key_id) == f"Key {new.key_id} no longer works."
    assert services.authenticate_key(new_text) is None
    assert f"{new.key_id}  penora  revoked" in command("list")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "nothing", "--label", "x"), "There is no app 'nothing'."),
        (("create", "penora", "--label", "x", "--days", "0"), "--days is 1 or more."),
        (("create", "penora", "--label", "x", "--days", "-3"), "--days is 1 or more."),
        (("create", "penora"), "required: --label"),
        (("create", "penora", "--label", "x", "--mode", "staging"), "invalid choice"),
        (("create", "penora", "--label", "x", "--days", "999999999"), "--days"),
        (("create", "penora", "--label", "x" * 101), "--label"),
        (("create", "penora", "--label", ""), "--label"),
        (("rotate", "nobody"), "There is no key nobody."),
        (("revoke", "nobody"), "There is no key nobody."),
        ((), "required: action"),
    ],
)
def test_the_command_says_what_is_wrong(penora: App, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        command(*arguments)
    assert AppKey.objects.count() == 0


@pytest.mark.parametrize("hours", ["-1", "169"])
def test_the_command_keeps_to_the_overlap_too(penora: App, hours: str) -> None:
    key, _ = services.create_key(app=penora, label="server")

    with pytest.raises(CommandError, match="0 to 7 days"):
        command("rotate", key.key_id, "--overlap-hours", hours)
    services.revoke_key(key_id=key.key_id)
    with pytest.raises(CommandError, match="is revoked"):
        command("rotate", key.key_id)
