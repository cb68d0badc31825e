"""Plans, and who is on which."""

from __future__ import annotations

from urllib.parse import quote

from django.db import transaction
from django.db.models.functions import Now

from accounts.addresses import web_address
from accounts.models import Plan, User
from accounts.services.people import lock_user


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


def checkout_of(*, plan: Plan, user: User) -> str:
    """
    Where this person pays for the plan; empty where staff decide. A link that is not of the web leads nowhere, and is
    as if there were none.
    """
    return web_address(plan.checkout_url.replace("{user_id}", quote(user.user_id, safe="")))


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
