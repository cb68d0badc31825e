"""People: who they are, since when, and whether they are still here."""

from __future__ import annotations

import unicodedata

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.models import USER_ID_MAX_LENGTH, Plan, User

DELETED_NAME = "Deleted user"


class InvalidUserId(ValueError):
    """The text cannot be a user id: empty, too long, or with control characters."""


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


def lock_user(*, user: User) -> User:
    """
    The person as they are now. Locks: their row, until the caller's transaction ends.

    The plan is not joined: when a row that was waited for comes back changed, PostgreSQL holds it against what it had
    joined before, and one whose plan has changed meanwhile would not be found.
    """
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


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
