"""Wishes for a bigger plan: a person asks, staff decide, the person is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from accounts import audit
from accounts.models import AuditEntry, Plan, UpgradeRequest, User
from accounts.services.people import lock_user, require_present
from accounts.services.plans import checkout_of

WISHES_A_DAY: Final = 10  # of one person: who cannot decide between two plans makes no more rows than these


class NotAnUpgrade(Exception):
    """The plan is not offered, gives no more than the person's own, or is paid for elsewhere."""


class TooManyWishes(Exception):
    """The person has asked `WISHES_A_DAY` times within a day."""


class AlreadyDecided(Exception):
    """Somebody else was faster: the wish is no longer open."""


@transaction.atomic
def request_upgrade(*, user: User, plan: Plan) -> UpgradeRequest:
    """
    The person's open wish for `plan`: the one that there is, if they have asked for it already; one for another plan
    is withdrawn by it. Raises NotAnUpgrade, TooManyWishes (then the open one stays) and UserHasLeft. Locks: the user's
    row.
    """
    member = lock_user(user=user)
    require_present(user=member)
    if not plan.is_offered or plan.rank <= member.plan.rank or checkout_of(plan=plan, user=member):
        raise NotAnUpgrade(plan.slug)
    open_wishes = UpgradeRequest.objects.filter(user=member, status=UpgradeRequest.Status.OPEN)
    same = open_wishes.filter(plan=plan).first()
    if same is not None:
        return same
    lately = UpgradeRequest.objects.filter(user=member, created_at__gt=Now() - timedelta(days=1))
    if lately.count() >= WISHES_A_DAY:
        raise TooManyWishes(member.user_id)
    open_wishes.update(status=UpgradeRequest.Status.WITHDRAWN, decided_at=Now())
    return UpgradeRequest.objects.create(user=member, plan=plan)


@transaction.atomic
def withdraw_upgrade(*, user: User) -> bool:
    """Whether there was an open wish of the person to withdraw. Locks: the user's row."""
    lock_user(user=user)
    open_wishes = UpgradeRequest.objects.filter(user=user, status=UpgradeRequest.Status.OPEN)
    return bool(open_wishes.update(status=UpgradeRequest.Status.WITHDRAWN, decided_at=Now()))


@transaction.atomic
def forget_upgrades(*, user: User) -> None:
    """
    Of the wishes of who leaves: an open one is withdrawn, what staff have written to them is taken out, and nothing is
    left to be told, should they come back. That they wished, and what was decided, stays. Locks: the user's row.
    """
    withdraw_upgrade(user=user)
    wishes = UpgradeRequest.objects.filter(user=user)
    wishes.filter(seen_at=None).update(seen_at=Now())
    wishes.exclude(note="").update(note="")


@transaction.atomic
def settle_upgrade(*, user: User, actor: User | None = None) -> None:
    """
    Closes an open wish that the plan which `actor` (None: somebody at the command line) has put the person on leaves
    nothing of: granted, if it is that very plan, which they are told; withdrawn, if it gives no more than what they
    have now. Locks: the user's row.
    """
    member = lock_user(user=user)
    open_wishes = UpgradeRequest.objects.filter(user=member, status=UpgradeRequest.Status.OPEN)
    wish = open_wishes.select_related("user", "plan").first()
    if wish is None:
        return
    if wish.plan_id == member.plan_id:
        _close(wish, approved=True, actor=actor)
    elif wish.plan.rank <= member.plan.rank:
        withdraw_upgrade(user=member)


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
    return _close(wish, approved=approved, actor=actor, note=note)


def _close(wish: UpgradeRequest, *, approved: bool, actor: User | None, note: str = "") -> UpgradeRequest:
    """Under the lock of the person's row."""
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
    """
    The person has read what became of this wish, and need not be told again; nor of those before it. Locks: those
    wishes.
    """
    decided = UpgradeRequest.objects.filter(user=user, status__in=UpgradeRequest.DECIDED, seen_at=None, pk__lte=wish_id)
    decided.update(seen_at=Now())
