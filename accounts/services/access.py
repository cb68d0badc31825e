"""
Who may come in, and that they no longer may: signing in and out, rights, and the end of everything that lets a person
in at once. Each deed is written down with it (`accounts.audit`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from oauth2_provider.models import (
    clear_expired,
    get_access_token_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)
from social_django.models import Association, Nonce, UserSocialAuth

from accounts import audit
from accounts.models import AuditEntry, Client, SpentCode, User
from accounts.services.people import UserHasLeft, lock_user

SPENT_CODES_KEPT = timedelta(days=30)
UPSTREAM_NONCES_KEPT = timedelta(days=1)
TRIES_KEPT = timedelta(days=7)  # wrong passwords: far beyond the lock-out that they can lead to
BATCH_OF_SESSIONS = 5_000


def note_sign_in(*, user: User, method: str) -> None:
    """`method` is how they came in: `google`, `password` or `demo`. Locks: the new row."""
    audit.record(AuditEntry.Event.SIGNED_IN, actor=user, subject=user, method=method)


def note_refused_sign_in(*, user: User | None, reason: str) -> None:
    """
    `user` is who it would have been, where that is known. Where it is not, only the log has it: anybody can fail to
    sign in as nobody, as often as they like. Locks: the new row.
    """
    if user is None:
        audit.logger.info("%s reason=%s", AuditEntry.Event.SIGN_IN_REFUSED.value, reason)
    else:
        audit.record(AuditEntry.Event.SIGN_IN_REFUSED, subject=user, reason=reason)


@transaction.atomic
def sign_out(*, user: User, client: Client | None = None) -> None:
    """
    Ends what the apps can do as the person: who signs out of one is out of all, unless they say by `client` that they
    mean one only. (Their session is the caller's to end; where one stays, here or in another browser, it gives apps new
    tokens without a question.) Locks: as `end_tokens`.
    """
    end_tokens(user=user, client=client)
    one: dict[str, Any] = {} if client is None else {"app": client.app, "client_id": client.client_id}
    audit.record(AuditEntry.Event.SIGNED_OUT, actor=user, subject=user, **one)


@transaction.atomic
def note_access_change(*, user: User, actor: User, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What of a person's rights was changed by `actor`: only what differs is written, if anything does."""
    changed = {name for name in after if before.get(name) != after[name]}
    if changed:
        audit.record(
            AuditEntry.Event.ACCESS_CHANGED,
            actor=actor,
            subject=user,
            before={name: before.get(name) for name in sorted(changed)},
            after={name: after[name] for name in sorted(changed)},
        )


@transaction.atomic
def set_active(*, user: User, is_active: bool, actor: User | None = None) -> User:
    """
    Locks a person out, which ends every session and token of theirs at once, or lets them in again, to sign in anew.
    Raises UserHasLeft for letting in who has been deleted. Locks: the user's row, their tokens.
    """
    member = lock_user(user=user)
    if is_active and member.deleted_at is not None:
        raise UserHasLeft(member.user_id)
    if member.is_active != is_active:
        before = {"is_active": member.is_active}
        member.is_active = is_active
        member.save(update_fields=["is_active"])
        audit.record(
            AuditEntry.Event.ACCESS_CHANGED,
            actor=actor,
            subject=member,
            before=before,
            after={"is_active": is_active},
        )
    if not is_active:
        cut_off(user=member, actor=actor)
    return member


@transaction.atomic
def cut_off(*, user: User, actor: User | None = None) -> None:
    """
    Ends every session, code and token of the person, whatever they may do afterwards: none of it comes back with
    their rights. Locks: the user's row, then their codes and tokens.
    """
    member = lock_user(user=user)
    User.objects.filter(pk=member.pk).update(session_epoch=F("session_epoch") + 1)
    end_tokens(user=member)
    audit.record(AuditEntry.Event.CUT_OFF, actor=actor, subject=member)


@transaction.atomic
def end_tokens(*, user: User, client: Client | None = None) -> None:
    """
    Ends what the apps (or the one client) can do as the person: codes, access tokens, refresh tokens. Locks: the user's
    row, then their codes and tokens. (Whoever makes tokens locks the row first, too.)
    """
    lock_user(user=user)
    whose: dict[str, Any] = {"user": user} if client is None else {"user": user, "application": client}
    get_grant_model().objects.filter(**whose).delete()
    get_refresh_token_model().objects.filter(**whose, revoked=None).update(revoked=Now())
    get_access_token_model().objects.filter(**whose).delete()
    get_id_token_model().objects.filter(**whose).delete()


def forget_address(*, user: User) -> None:
    """Takes out from where the person came, and by which identity provider. Called with their row locked."""
    AuditEntry.objects.filter(Q(subject=user) | Q(actor=user), ip__isnull=False).update(ip=None)
    AccessAttempt.objects.filter(username=user.user_id).delete()
    UserSocialAuth.objects.filter(user=user).delete()


def sweep_sign_ins() -> int:
    """
    Removes what can let nobody in any more: expired tokens, codes, sessions, and marks against their reuse that are old
    enough. How many rows. Safe at any time, in any number. Locks: only what it removes.
    """
    spent = SpentCode.objects.filter(created_at__lt=Now() - SPENT_CODES_KEPT).delete()[0]
    sessions = _remove_old_sessions()
    tries = AccessAttempt.objects.filter(attempt_time__lt=Now() - TRIES_KEPT).delete()[0]
    oldest = int((timezone.now() - UPSTREAM_NONCES_KEPT).timestamp())  # the library keeps seconds since 1970
    nonces = Nonce.objects.filter(timestamp__lt=oldest).delete()[0]
    associations = Association.objects.filter(issued__lt=oldest).delete()[0]
    clear_expired()
    return int(spent + sessions + tries + nonces + associations)


def _remove_old_sessions() -> int:
    """A batch a statement: there may be very many, and none may take longer than a statement may."""
    removed = 0
    while True:
        old = list(Session.objects.filter(expire_date__lt=Now()).values_list("pk", flat=True)[:BATCH_OF_SESSIONS])
        if not old:
            return removed
        removed += Session.objects.filter(pk__in=old).delete()[0]
