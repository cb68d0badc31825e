"""
Writes that need more than one domain, all of it or nothing: what a new person gets, what a plan gives, holds that set
credits and room aside, and projects that are paid for as they are saved.

Locks, in this order: the person's row, the account, the hold, the storage row, the project.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from accounts import audit
from accounts import services as accounts
from accounts.models import App, AuditEntry, Plan, UpgradeRequest, User
from credits import services as credits
from credits.models import Hold, LedgerEntry, Operation
from unified.api.models import IdempotencyRecord
from workspace import services as workspace
from workspace.models import Project, Storage


@dataclass(frozen=True, slots=True)
class Charge:
    """What is to be paid at once: `amount` credits, priced from `operation` and `quantity` if it was."""

    amount: int
    description: str
    operation: Operation | None = None
    quantity: int | None = None


@dataclass(frozen=True, slots=True)
class HeldCharge:
    """What is to be paid from a hold: `amount` credits of it, or all."""

    hold: Hold
    amount: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What another plan comes to. How much is used is no part of its `mark`: the person may be at work."""

    member: User
    before: Plan
    after: Plan
    room: workspace.LimitChange
    credits: int  # given at once, for the month that runs
    credits_until: datetime | None

    @property
    def mark(self) -> str:
        """Whoever is shown the same, is shown the same mark."""
        return f"{self.before.slug} {self.after.slug} {self.after.monthly_credits} {self.credits} {self.room.mark}"


@transaction.atomic
def create_member(
    *, user_id: str, username: str, email: str, initial_credits: int, app: App | None = None
) -> tuple[User, bool]:
    """
    The person with this id and whether they were made just now: with an account, `initial_credits` (0 and more) as its
    first entry, what their plan gives in a month, and room in the workspace. An existing person is left as they are and
    given nothing; one who had left (see `delete_member`) is here again, with the credits that they had.

    Raises accounts.services.InvalidUserId and NoDefaultPlan, credits.services.InvalidAmount. Locks: the new rows;
    concurrent callers for the same id wait for the first one's transaction and then find the person whole.
    """
    user, created = accounts.get_or_create_user(user_id=user_id, username=username, email=email)
    if created:
        credits.open_account(user=user)
        workspace.open_storage(user=user)
        if initial_credits:
            credits.grant(
                user=user,
                amount=initial_credits,
                source=LedgerEntry.Source.SIGNUP,
                description="Welcome credits",
                app=app,
            )
        if user.plan.monthly_credits:
            credits.grant_plan_credits(user=user)
    elif user.deleted_at is not None:
        user = accounts.welcome_back(user=user, username=username, email=email)
    return user, created


class StaffStay(Exception):
    """Who is a member of staff does not delete their own account: what they have done needs somebody to answer for."""


@transaction.atomic
def leave(*, user: User) -> User:
    """
    `delete_member`, by the person's own wish, which is written down. Raises StaffStay; locks as it does.
    """
    member = accounts.lock_user(user=user)
    if member.is_staff or member.is_superuser:
        raise StaffStay(member.user_id)
    if member.deleted_at is None:
        # Before the rest: the address that it is noted with is taken out with all others.
        audit.record(AuditEntry.Event.REMOVED, actor=member, subject=member, what="accounts.user", which=str(member.pk))
    return delete_member(user=member)


@transaction.atomic
def delete_member(*, user: User) -> User:
    """
    Removes what the person has made and what tells who they are: projects, trash, reservations, name and e-mail, also
    where the staff's history and kept answers show them, what staff have written to them with a decision about a plan,
    and from where they signed in. Their sessions and tokens end, their live holds are released, an open wish for a plan
    is withdrawn. The ledger stays as it is, and so do holds, with the descriptions that apps have written into them:
    they are the truth about credits.

    It can be done again. Raises accounts.services.NoDefaultPlan. Locks: the user's row, the account, its holds, the
    storage row.
    """
    was_here = accounts.lock_user(user=user).deleted_at is None
    member = accounts.forget_user(user=user)
    if was_here:
        accounts.cut_off(user=member)
    accounts.forget_address(user=member)
    accounts.remove_second_factor(user=member)
    accounts.forget_upgrades(user=member)
    credits.release_all(user=member)
    workspace.remove_everything(user=member)
    IdempotencyRecord.objects.filter(subject=member.user_id).delete()
    LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(User), object_id=str(member.pk)).update(
        object_repr=str(member)
    )
    return member


@transaction.atomic
def change_plan(*, user: User, plan: Plan, actor: User | None = None, as_shown: str | None = None) -> User:
    """
    Puts the person on `plan`, with its room and its month's credits. A month that a former plan has given credits for
    goes on, and the new plan gives what it gives more; else the months are counted from now. What is left of the former
    plan's credits stays until it expires. Their open wish is closed, if it was for this plan (then as granted) or for
    one that gives no more. What has changed goes into the audit (without `actor`, as done at the command line). With
    `as_shown`, the mark that `try_change_plan` gave, only if that is still what comes of it.

    Raises workspace.services.StorageLimitExceeded if they keep more than the plan has room for, OwnRoom and NotAsShown;
    then nothing is written. Locks: the user's row, the account, the storage row.
    """
    if actor is not None and actor.pk == user.pk and not actor.is_superuser:
        raise workspace.OwnRoom
    change = _put_on_plan(user, plan)
    if as_shown is not None and change.mark != as_shown:
        raise workspace.NotAsShown
    before = {"plan": change.before.slug, "limit_bytes": change.room.before_bytes}
    after = {"plan": plan.slug, "limit_bytes": plan.storage_limit_bytes}
    if before != after:
        has_moved = before["plan"] != after["plan"]
        given: dict[str, Any] = {"credits": change.credits} if change.credits else {}
        audit.record(
            AuditEntry.Event.PLAN_CHANGED if has_moved else AuditEntry.Event.LIMIT_CHANGED,
            actor=actor,
            subject=change.member,
            before=before,
            after=after,
            **given,
            **workspace.removed_in_words(change.room.removed),
        )
    accounts.settle_upgrade(user=change.member, actor=actor)
    return change.member


@transaction.atomic
def approve_upgrade(
    *, wish: UpgradeRequest, actor: User, note: str = "", as_shown: str | None = None
) -> UpgradeRequest:
    """
    Grants an open wish, with a note to the person, and puts them on the plan as `change_plan` does, with `as_shown` as
    it has it: both or neither. Who is on that very plan by now is left as they are.

    Raises accounts.services.AlreadyDecided, UserHasLeft, NotAnUpgrade (they have more by now), and what `change_plan`
    raises; then the wish stays open. Locks: the user's row, the account, the storage row.
    """
    member = accounts.lock_user(user=wish.user)
    wish = accounts.decide_upgrade(wish=wish, approved=True, actor=actor, note=note)
    accounts.require_present(user=member)
    if actor.pk == member.pk and not actor.is_superuser:
        raise workspace.OwnRoom
    if member.plan_id != wish.plan_id:
        if wish.plan.rank < member.plan.rank:
            raise accounts.NotAnUpgrade(wish.plan.slug)
        change_plan(user=member, plan=wish.plan, actor=actor, as_shown=as_shown)
    return wish


@transaction.atomic
def try_change_plan(*, user: User, plan: Plan) -> PlanChange:
    """What `change_plan` would come to now: it is done, and undone. Raises StorageLimitExceeded. Locks as it does."""
    change = _put_on_plan(user, plan)
    transaction.set_rollback(True)
    return change


def _put_on_plan(user: User, plan: Plan) -> PlanChange:
    member = accounts.lock_user(user=user)
    before = member.plan
    restart_months = not credits.has_plan_credits(user=member)
    member = accounts.change_plan(user=member, plan=plan, restart_months=restart_months)
    entry = credits.grant_plan_credits(user=member)
    room = workspace.change_limit(user=member, limit_bytes=plan.storage_limit_bytes)
    lot = entry.lots.first() if entry else None
    return PlanChange(member, before, plan, room, entry.amount if entry else 0, lot.expires_at if lot else None)


@transaction.atomic
def reserve(*, user: User, app: App, storage_bytes: int | None = None, **terms: Any) -> tuple[Hold, int]:
    """
    Holds credits (see `credits.services.reserve`) and, with `storage_bytes`, room for as long. The hold, and what can
    be spent now. Also raises workspace.services.StorageLimitExceeded, and accounts.services.UserHasLeft for a person
    who has just been deleted. Locks: the account, the storage row.
    """
    hold, spendable = credits.reserve(user=user, app=app, **terms)
    accounts.require_present(user=user)
    if storage_bytes:
        workspace.reserve_room(user=user, reservation_id=hold.pk, size_bytes=storage_bytes, expires_at=hold.expires_at)
    return hold, spendable


@transaction.atomic
def capture(*, held: HeldCharge, project_code: str | None = None) -> Hold:
    """
    Pays from a hold (see `credits.services.capture`), and gives up the room that it had reserved.
    Locks: the account, the hold, the storage row if there is room to give up.
    """
    hold = credits.capture(hold=held.hold, amount=held.amount, description=held.description, project_code=project_code)
    workspace.release_room(user=hold.account.user, reservation_id=hold.pk)
    return hold


@transaction.atomic
def release(*, hold: Hold) -> Hold:
    """
    Frees the credits (see `credits.services.release`) and the room of a hold.
    Locks: the account, the hold, the storage row if there is room to free.
    """
    hold = credits.release(hold=hold)
    workspace.release_room(user=hold.account.user, reservation_id=hold.pk)
    return hold


@transaction.atomic
def save_paid_project(
    *, user: User, app: App, payment: Charge | HeldCharge, **project: Any
) -> tuple[Project, Storage, LedgerEntry, int]:
    """
    Saves a project (see `workspace.services.save_project`) and pays for it: both or neither. The project, the storage,
    the deduction, which names the project's code, and what can be spent now. The room that a hold has reserved is the
    project's to use. A hold pays for one project only: one that was captured already is refused.

    Raises what either raises; a want of credits, or a hold that has ended, before anything else. Locks: the account,
    the hold, the storage row, the project.
    """
    # What decides is locked before what follows from it is written; the bill is written last, as it names the project.
    if isinstance(payment, Charge):
        credits.require(user=user, amount=payment.amount)
    else:
        credits.require_active(hold=payment.hold, amount=payment.amount)
        workspace.release_room(user=user, reservation_id=payment.hold.pk)
    saved, storage = workspace.save_project(user=user, app=app, **project)
    if isinstance(payment, Charge):
        entry, spendable = credits.deduct(
            user=user,
            app=app,
            amount=payment.amount,
            description=payment.description,
            operation=payment.operation,
            quantity=payment.quantity,
            project_code=saved.code,
        )
        return saved, storage, entry, spendable
    hold = credits.capture(
        hold=payment.hold,
        amount=payment.amount,
        description=payment.description,
        project_code=saved.code,
    )
    assert hold.entry is not None and hold.spendable_after is not None  # noqa: S101, PT018  it was captured just now
    return saved, storage, hold.entry, hold.spendable_after
