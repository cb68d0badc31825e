"""Writes that need more than one domain: what a new person gets, all of it or nothing."""

from __future__ import annotations

from django.db import transaction

from accounts import services as accounts
from accounts.models import App, User
from credits import services as credits
from workspace import services as workspace


@transaction.atomic
def create_member(
    *, user_id: str, username: str, email: str, initial_credits: int, app: App | None = None
) -> tuple[User, bool]:
    """
    The person with this id and whether they were made just now: with an account, `initial_credits` (0 and more) as its
    first entry, and room in the workspace. An existing person is left as they are and given nothing.

    Raises accounts.services.InvalidUserId and NoDefaultPlan, credits.services.InvalidAmount. Locks: the new rows;
    concurrent callers for the same id wait for the first one's transaction and then find the person whole.
    """
    user, created = accounts.get_or_create_user(user_id=user_id, username=username, email=email)
    if created:
        credits.open_account(user=user)
        workspace.open_storage(user=user)
        if initial_credits:
            credits.grant(user=user, amount=initial_credits, description="Welcome credits", app=app)
    return user, created
