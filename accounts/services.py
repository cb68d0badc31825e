"""
What changes people, apps and keys. Each function owns its transaction and says which locks it takes.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts import keys
from accounts.models import USER_ID_MAX_LENGTH, App, AppKey, Plan, User

MAX_KEY_OVERLAP = timedelta(days=7)
DELETED_NAME = "Deleted user"
LAST_USED_GRAIN = timedelta(minutes=5)


class InvalidUserId(ValueError):
    """The text cannot be a user id: empty, too long, or with control characters."""


class KeyNotActive(Exception):
    """The key is revoked, expired or already replaced, so it can be neither rotated nor extended."""


class UserHasLeft(Exception):
    """The person has been deleted (see `forget_user`): nothing new can be kept for them."""


class NoDefaultPlan(Exception):
    """No plan is marked as the default, so nobody can join. `manage.py seed` makes one."""


def check_user_id(user_id: str) -> str:
    """
    `user_id` itself, if it can be one: 1 to 255 characters, none of them a control character. It is opaque otherwise:
    no trimming, no case folding, no normalisation.

    Raises InvalidUserId.
    """
    if not 1 <= len(user_id) <= USER_ID_MAX_LENGTH:
        raise InvalidUserId(f"A user id has 1 to {USER_ID_MAX_LENGTH} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in user_id):
        raise InvalidUserId("A user id has no control characters.")
    return user_id


def get_or_create_user(*, user_id: str, username: str, email: str) -> tuple[User, bool]:
    """
    The person with this id, made if there is none, and whether they were made. An existing person is left as they are.

    Under concurrency exactly one caller is told True: the unique index makes the others wait for its transaction.
    Raises InvalidUserId, NoDefaultPlan. Locks: the new row, until the caller's transaction ends.
    """
    check_user_id(user_id)
    existing = User.objects.select_related("plan").filter(user_id=user_id).first()
    if existing is not None:
        return existing, False
    plan = Plan.objects.filter(is_default=True).first()
    if plan is None:
        raise NoDefaultPlan("No plan is marked as the default; run 'manage.py seed'.")
    user = User(user_id=user_id, username=username, email=email, plan=plan)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:  # somebody else made the same person, and has committed
        return User.objects.select_related("plan").get(user_id=user_id), False
    return user, True


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
def set_up_plan(
    *, slug: str, name: str, storage_limit_bytes: int, monthly_credits: int, rank: int, is_default: bool = False
) -> Plan:
    """The plan with this slug, made if there is none; an existing one is left as staff have set it."""
    plan, _ = Plan.objects.get_or_create(
        slug=slug,
        defaults={
            "name": name,
            "storage_limit_bytes": storage_limit_bytes,
            "monthly_credits": monthly_credits,
            "rank": rank,
            "is_default": is_default and not Plan.objects.filter(is_default=True).exists(),
        },
    )
    return plan


@transaction.atomic
def make_default_plan(*, slug: str) -> Plan:
    """
    New people start on this plan from now on; nobody who is there already moves. Raises Plan.DoesNotExist.

    Locks: every plan, so that there is one default before and after, and never two callers' two.
    """
    plans = {plan.slug: plan for plan in Plan.objects.select_for_update().order_by("pk")}
    if slug not in plans:
        raise Plan.DoesNotExist(slug)
    Plan.objects.exclude(slug=slug).filter(is_default=True).update(is_default=False)
    Plan.objects.filter(slug=slug).update(is_default=True)
    plans[slug].refresh_from_db()
    return plans[slug]


def lock_user(*, user: User) -> User:
    """
    The person as they are now. Locks: their row, until the caller's transaction ends.

    The plan is not joined: when a row that was waited for comes back changed, PostgreSQL holds it against what it had
    joined before, and one whose plan has changed meanwhile would not be found.
    """
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


@transaction.atomic
def change_plan(*, user: User, plan: Plan, restart_months: bool) -> User:
    """
    Puts the person on `plan`; with `restart_months` its months are counted from now, else as they were. Room and
    credits follow in `unified.services.change_plan`. Locks: the user's row.
    """
    member = lock_user(user=user)
    if member.plan_id != plan.pk:
        member.plan = plan
        if restart_months:
            member.plan_since = Now()
        member.save(update_fields=["plan", "plan_since"])
        member.refresh_from_db(fields=["plan_since"])
    return member


@transaction.atomic
def forget_user(*, user: User) -> User:
    """
    Takes away what tells who the person is (name, e-mail, password) and locks them out; they are on the default plan
    from then on. `user_id` stays: an opaque number that the ledger's account is kept under, and by which they are known
    if they come back. It can be done again, if anything has been filled in since. Raises NoDefaultPlan. Locks: the
    user's row.
    """
    member = lock_user(user=user)
    plan = Plan.objects.filter(is_default=True).first()
    if plan is None:
        raise NoDefaultPlan("No plan is marked as the default; run 'manage.py seed'.")
    if member.deleted_at is None:
        member.may_return = member.is_active
    member.username, member.email, member.plan = DELETED_NAME, "", plan
    member.is_active = member.is_staff = member.is_superuser = False
    if member.has_usable_password():
        member.set_unusable_password()
    if member.deleted_at is None:
        member.deleted_at = Now()
    member.save()
    member.groups.clear()
    member.user_permissions.clear()
    member.refresh_from_db()
    return member


def require_present(*, user: User) -> None:
    """
    Raises UserHasLeft if the person has been deleted since `user` was read. To be asked under the lock of what is about
    to be added to: `unified.services.delete_member` takes the same lock before it removes what is there, so that it
    either comes first and is seen here, or finds what the caller adds. One query, no locks of its own.
    """
    if User.objects.filter(pk=user.pk, deleted_at__isnull=False).exists():
        raise UserHasLeft(user.user_id)


@transaction.atomic
def welcome_back(*, user: User, username: str, email: str) -> User:
    """
    The person who had left, as one who is here again, under the name and e-mail that they have now; locked out if they
    were. Who has not left is returned as they are. Locks: the user's row.
    """
    member = lock_user(user=user)
    if member.deleted_at is not None:
        member.username, member.email = username, email
        member.is_active, member.deleted_at = member.may_return, None
        member.save()
    return member


@transaction.atomic
def create_key(*, app: App, label: str, mode: str = "live", expires_at: datetime | None = None) -> tuple[AppKey, str]:
    """A new key for `app` and its text. The text is not kept: show it now or never."""
    text, parsed = keys.generate(mode=mode)
    key = AppKey.objects.create(
        app=app, mode=mode, key_id=parsed.key_id, digest=parsed.digest, label=label, expires_at=expires_at
    )
    return key, text


@transaction.atomic
def rotate_key(*, key_id: str, overlap: timedelta = timedelta(days=1)) -> tuple[AppKey, str]:
    """
    A new key in place of `key_id`, which goes on working for `overlap` (at most 7 days) and then expires.

    Raises AppKey.DoesNotExist, KeyNotActive (also when it has been rotated already), ValueError for the overlap.
    Locks: the old key's row.
    """
    if not timedelta(0) <= overlap <= MAX_KEY_OVERLAP:
        raise ValueError(f"The overlap is 0 to {MAX_KEY_OVERLAP.days} days.")
    old = AppKey.objects.select_for_update(of=("self",)).select_related("app").get(key_id=key_id)
    now = timezone.now()
    if old.state(now) != "active":
        raise KeyNotActive(f"Key {old.key_id} is {old.state(now)}; only an active key can be rotated.")
    new, text = create_key(app=old.app, label=old.label, mode=old.mode, expires_at=old.expires_at)
    old.replaced_by = new
    old.expires_at = min(filter(None, (old.expires_at, now + overlap)))
    old.save(update_fields=["replaced_by", "expires_at"])
    return new, text


@transaction.atomic
def revoke_key(*, key_id: str) -> AppKey:
    """Ends a key at once. Revoking it again changes nothing. Raises AppKey.DoesNotExist. Locks: the key's row."""
    key = AppKey.objects.select_for_update().get(key_id=key_id)
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
    return key


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
