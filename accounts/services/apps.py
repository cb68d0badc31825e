"""Apps, and the keys that their servers call with."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts import audit, keys
from accounts.models import ALL_KEY_SCOPES, App, AppKey, AuditEntry, User

MAX_KEY_OVERLAP = timedelta(days=7)
LAST_USED_GRAIN = timedelta(minutes=5)


class KeyNotActive(Exception):
    """The key is revoked, expired or already replaced, so it can be neither rotated nor extended."""


@transaction.atomic
def register_app(*, slug: str, name: str, colour: str, home_url: str = "", project_url: str = "") -> App:
    """
    The app with this slug, registered if it is not yet; an existing one is left as staff have set it.

    Raises ValidationError for a slug that is reserved or no identifier.
    """
    existing = App.objects.filter(slug=slug).first()
    if existing is not None:
        return existing
    app = App(slug=slug, name=name, colour=colour, home_url=home_url, project_url=project_url)
    app.full_clean()
    app.save(force_insert=True)
    return app


@transaction.atomic
def create_key(
    *,
    app: App,
    label: str,
    mode: str = "live",
    expires_at: datetime | None = None,
    scopes: str = ALL_KEY_SCOPES,
    actor: User | None = None,
) -> tuple[AppKey, str]:
    """
    A new key for `app` and its text. The text is not kept: show it now or never. Raises ValidationError for a scope
    that there is none of.
    """
    key, text = _made(app=app, label=label, mode=mode, expires_at=expires_at, scopes=scopes)
    audit.record(AuditEntry.Event.KEY_CREATED, actor=actor, app=app, key_id=key.key_id, scopes=key.scopes)
    return key, text


@transaction.atomic
def rotate_key(*, key_id: str, overlap: timedelta = timedelta(days=1), actor: User | None = None) -> tuple[AppKey, str]:
    """
    A new key in place of `key_id`, with its scopes. The old one goes on working for `overlap` (at most 7 days) and then
    expires.

    Raises AppKey.DoesNotExist, KeyNotActive (also when it has been rotated already), ValueError for the overlap.
    Locks: the old key's row.
    """
    if not timedelta(0) <= overlap <= MAX_KEY_OVERLAP:
        raise ValueError(f"The overlap is 0 to {MAX_KEY_OVERLAP.days} days.")
    old = AppKey.objects.select_for_update(of=("self",)).select_related("app").get(key_id=key_id)
    now = timezone.now()
    if old.state(now) != "active":
        raise KeyNotActive(f"Key {old.key_id} is {old.state(now)}; only an active key can be rotated.")
    new, text = _made(app=old.app, label=old.label, mode=old.mode, expires_at=old.expires_at, scopes=old.scopes)
    old.replaced_by = new
    old.expires_at = min(filter(None, (old.expires_at, now + overlap)))
    old.save(update_fields=["replaced_by", "expires_at"])
    audit.record(
        AuditEntry.Event.KEY_ROTATED,
        actor=actor,
        app=old.app,
        key_id=old.key_id,
        new_key_id=new.key_id,
        overlap_seconds=int(overlap.total_seconds()),
    )
    return new, text


@transaction.atomic
def revoke_key(*, key_id: str, actor: User | None = None) -> AppKey:
    """Ends a key at once. Revoking it again changes nothing. Raises AppKey.DoesNotExist. Locks: the key's row."""
    key = AppKey.objects.select_for_update(of=("self",)).select_related("app").get(key_id=key_id)
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        audit.record(AuditEntry.Event.KEY_REVOKED, actor=actor, app=key.app, key_id=key.key_id)
    return key


def _made(*, app: App, label: str, mode: str, expires_at: datetime | None, scopes: str) -> tuple[AppKey, str]:
    text, parsed = keys.generate(mode=mode)
    key = AppKey(
        app=app,
        mode=mode,
        key_id=parsed.key_id,
        digest=parsed.digest,
        label=label,
        expires_at=expires_at,
        scopes=scopes,
    )
    key.clean()
    key.save(force_insert=True)
    return key, text


def authenticate_key(text: str) -> AppKey | None:
    """
    The live key that `text` is, with its app, or None. One query for a well-formed key, none for any other text.

    Expiry is judged by the database's clock. The time of last use is written at most once in five minutes a key, in a
    statement of its own: it must not be undone with, or wait for, what the call goes on to do.
    """
    parsed = keys.parse(text)
    if parsed is None:
        return None
    key = (
        AppKey.objects.select_related("app")
        .filter(
            Q(expires_at=None) | Q(expires_at__gt=Now()), key_id=parsed.key_id, revoked_at=None, app__is_active=True
        )
        .first()
    )
    if key is None or not keys.same_digest(bytes(key.digest), parsed.digest):
        return None
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_GRAIN:
        AppKey.objects.filter(pk=key.pk).filter(
            Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_GRAIN)
        ).update(last_used_at=now)
    return key
