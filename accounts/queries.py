"""Reads about people, apps and plans that more than one room of the house needs."""

from typing import TypedDict

from accounts.models import App, Plan, User


class Offer(TypedDict):
    """A plan as a person is told of it; room in bytes."""

    plan: str
    name: str
    storage_limit_bytes: int
    monthly_credits: int


def find_user(user_id: str) -> User | None:
    """The person with this id, with their plan, or None. One query."""
    return User.objects.select_related("plan").filter(user_id=user_id).first()


def registered_apps() -> list[App]:
    """Every app, active or not, in the order in which they joined: what people kept in a closed app stays theirs."""
    return list(App.objects.all())


def offer_of(plan: Plan) -> Offer:
    return Offer(
        plan=plan.slug,
        name=plan.name,
        storage_limit_bytes=plan.storage_limit_bytes,
        monthly_credits=plan.monthly_credits,
    )


def upgrades_for(user: User) -> list[Offer]:
    """The offered plans that give more than the person's own, smallest step first. One query."""
    return [offer_of(plan) for plan in Plan.objects.filter(is_offered=True, rank__gt=user.plan.rank)]


def offered_plans() -> list[Offer]:
    """Every plan that is offered, smallest first. One query."""
    return [offer_of(plan) for plan in Plan.objects.filter(is_offered=True)]
