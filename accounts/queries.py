"""Reads about people, apps and plans that more than one room of the house needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.conf import settings
from django.db.models import Min, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from accounts import scopes
from accounts.models import App, Client, Plan, User


class Offer(TypedDict):
    """A plan as a person is told of it; room in bytes."""

    plan: str
    name: str
    storage_limit_bytes: int
    monthly_credits: int


@dataclass(frozen=True, slots=True)
class SignedInApp:
    """What one client can do as a person, from all the places where they have signed in to it."""

    client: Client
    may: list[str]  # in words
    since: datetime  # of the earliest that is still kept: a trail of rotated tokens is not kept for ever
    last_seen: datetime  # when it last came for a token, which it does every few minutes while it is used


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


def signed_in_apps(user: User) -> list[SignedInApp]:
    """Whoever holds a token of the person that still opens something, or can still be renewed. One query."""
    kept = timedelta(days=settings.REFRESH_TOKEN_DAYS)
    # As the library has it: a refresh token is good for so long after the access token that came with it.
    renewable = Q(refresh_token__isnull=False, refresh_token__revoked=None, expires__gt=Now() - kept)
    family = get_refresh_token_model().objects.filter(token_family=OuterRef("refresh_token__token_family")).order_by()
    began = family.values("token_family").annotate(first=Min("created")).values("first")
    tokens = (
        get_access_token_model()
        .objects.filter(renewable | Q(expires__gt=Now()), user=user, application__isnull=False)
        .select_related("application__app")
        .annotate(began=Coalesce(Subquery(began), "created"))
        .order_by("application__app_id", "application_id", "pk")
    )
    by_client: dict[int, list[Any]] = {}
    for token in tokens:
        by_client.setdefault(token.application_id, []).append(token)
    return [
        SignedInApp(
            client=held[0].application,
            may=scopes.in_words(scope for token in held for scope in scopes.parse(token.scope)),
            since=min(token.began for token in held),
            last_seen=max(token.created for token in held),
        )
        for held in by_client.values()
    ]
