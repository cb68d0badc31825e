"""Answers about a person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework import serializers

from accounts.models import User
from accounts.queries import offer_of, offered_plans, upgrades_for
from credits.queries import Position
from unified.api.figures import described_offer, storage_stats, timestamp
from unified.api.outputs.shapes import Shape, StorageStatsShape, SuccessShape, UpgradeShape, success
from workspace.models import Storage


class CreateUserAnswer(SuccessShape):
    user_id = serializers.CharField()
    username = serializers.CharField()
    email = serializers.CharField()
    credits = serializers.IntegerField()
    storage = StorageStatsShape()
    created = serializers.BooleanField(help_text="false when the person was there already; then nothing has changed.")
    timestamp = serializers.DateTimeField()


def created_user(user: User, position: Position, storage: Storage, *, created: bool) -> dict[str, Any]:
    return success(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        credits=position.spendable,
        storage=storage_stats(storage),
        created=created,
        timestamp=timestamp(),
    )


class ExpiringCreditsShape(Shape):
    credits = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class UserInfoAnswer(SuccessShape):
    user_id = serializers.CharField()
    username = serializers.CharField()
    credits = serializers.IntegerField(help_text="What can be spent right now.")
    held_credits = serializers.IntegerField()
    expiring_credits = ExpiringCreditsShape(many=True, help_text="Part of `credits`, soonest first.")
    as_of = serializers.DateTimeField(
        required=False, help_text="As asked for; the credits are of this time, all else is of now."
    )
    plan = serializers.CharField()
    storage = StorageStatsShape()
    timestamp = serializers.DateTimeField()


class PlanShape(UpgradeShape):
    is_current = serializers.BooleanField()


class PlansAnswer(SuccessShape):
    current = UpgradeShape()
    plans = PlanShape(many=True, help_text="All that are offered, smallest first.")
    upgrade = UpgradeShape(many=True, help_text="Those that give more than the person's own, smallest step first.")


def plans(user: User) -> dict[str, Any]:
    return success(
        current=described_offer(offer_of(user.plan)),
        plans=[{**described_offer(offer), "is_current": offer["plan"] == user.plan.slug} for offer in offered_plans()],
        upgrade=[described_offer(offer) for offer in upgrades_for(user)],
    )


def user_info(user: User, position: Position, storage: Storage, *, as_of: datetime | None = None) -> dict[str, Any]:
    return success(
        user_id=user.user_id,
        username=user.username,
        credits=position.spendable,
        held_credits=position.held,
        expiring_credits=[
            {"credits": lot.credits, "expires_at": timestamp(lot.expires_at)} for lot in position.expiring
        ],
        plan=user.plan.slug,
        storage=storage_stats(storage),
        timestamp=timestamp(),
        **({"as_of": timestamp(as_of)} if as_of else {}),
    )
