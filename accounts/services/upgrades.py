"""Wishes for a bigger plan: a person asks, staff decide, the person is told."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from accounts import audit
from accounts.models import AuditEntry, Plan, UpgradeRequest, User
from accounts.services.people import lock_user, require_present


class NotAnUpgrade(Exception):
    """The plan is not offered, or gives no more than the person's own."""


class AlreadyDecided(Exception):
    """Somebody else was faster: the wish is no longer open."""


@transaction.atomic
def request_upgrade(*, user: User, plan: Plan) -> UpgradeRequest:
    """
    The person's open wish for `plan`: the one that there is, if they have asked for it already; one for another plan
    is withdrawn by it. Raises NotAnUpgrade, UserHasLeft. Locks: the user's row.
    """
    member = lock_user(user=user)
    require_present(user=member)
    if not plan.is_offered or plan.rank <= member.plan.rank:
        raise NotAnUpgrade(plan.slug)
    open_wishes = UpgradeRequest.objects.filter(user=member, status=UpgradeRequest.Status.OPEN)
    same = open_wishes.filter(plan=plan).first()
    if same is not None:
        return same
    open_wishes.update(status=UpgradeRequest.Status.WITHDRAWN, decided_at=Now())
    return UpgradeRequest.objects.create(user=member, plan=plan)


@transaction.atomic
def withdraw_upgrade(*, user: User) -> bool:
    """Whether there was an open wish of the person to withdraw. Locks: the user's row."""
    lock_user(user=user)
    open_wishes = UpgradeRequest.objects.filter(user=user, status=UpgradeRequest.Status.OPEN)
    return bool(open_wishes.update(status=UpgradeRequest.Status.WITHDRAWN, decided_at=Now()))


@transaction.atomic
def decide_upgrade(*, wish: UpgradeRequest, approved: bool, actor: User, note: str = "") -> UpgradeRequest:
    """
    Closes an open wish, with a note to the person. That an approved one is also put on the plan is
    `unified.services.approve_upgrade`'s. Raises AlreadyDecided. Locks: the user's row.
    """
    lock_user(user=wish.user)
    wish = UpgradeRequest.objects.select_related("user", "plan").get(pk=wish.pk)
    if wish.status != UpgradeRequest.Status.OPEN:
        raise AlreadyDecided(wish.status)
    wish.status = UpgradeRequest.Status.APPROVED if approved else UpgradeRequest.Status.DECLINED
    wish.decided_by, wish.decided_at, wish.note = actor, Now(), note
    wish.save(update_fields=["status", "decided_by", "decided_at", "note"])
    wish.refresh_from_db(fields=["decided_at"])
    audit.record(
        AuditEntry.Event.UPGRADE_DECIDED,
        actor=actor,
        subject=wish.user,
        plan=wish.plan.slug,
        before={"status": UpgradeRequest.Status.OPEN.value},
        after={"status": wish.status},
    )
    return wish


def note_upgrade_seen(*, user: User, wish_id: int) -> None:
    """The person has read what became of this wish, and need not be told again; nor of those before it."""
    decided = UpgradeRequest.objects.filter(user=user, decided_by__isnull=False, seen_at=None, pk__lte=wish_id)
    decided.update(seen_at=Now())
