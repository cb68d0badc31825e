"""
What each endpoint answers. Every shape stands here twice, side by side: the function that builds it, and the serializer
that describes it in the OpenAPI document. The tests validate every answer against that document.

Serializers are not used to build answers: they cost more than the work that they would wrap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from rest_framework import serializers

from accounts.models import App, User
from credits.models import Account, LedgerEntry, Operation
from credits.queries import HistoryPage
from unified.api.content_urls import content_url
from unified.api.figures import megabytes, project_size, storage_stats, timestamp
from unified.api.pages import cursor_for
from workspace.models import Project, Storage
from workspace.queries import AppTotals, ProjectPage

Shape = serializers.Serializer[Any]


def success(**also: Any) -> dict[str, Any]:
    return {"success": True, **also}


# --- parts -----------------------------------------------------------------------------------------------------------


class StorageStatsShape(Shape):
    used_mb = serializers.FloatField()
    limit_mb = serializers.FloatField()
    available_mb = serializers.FloatField(help_text="limit_mb - used_mb")
    usage_percentage = serializers.FloatField()
    used_bytes = serializers.IntegerField()
    limit_bytes = serializers.IntegerField()
    available_bytes = serializers.IntegerField()


class SuccessShape(Shape):
    success = serializers.BooleanField(help_text="Always true here; failures have the Error form.")


class ProjectShape(Shape):
    code = serializers.CharField(help_text="6 characters; names the project in every app and grants nothing.")
    title = serializers.CharField()
    project_type = serializers.CharField()
    app_source = serializers.CharField(help_text="The app that made it; every app may open it.")
    size_mb = serializers.FloatField()
    size_bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    metadata = serializers.DictField(child=serializers.JSONField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    content_url = serializers.URLField(help_text="Signed and expiring: fit for an `<img>` in any page.")
    thumbnail_url = serializers.URLField(allow_null=True, help_text="For pictures; null while there is none.")


def project(request: HttpRequest, item: Project) -> dict[str, Any]:
    return {
        "code": item.code,
        "title": item.title,
        "project_type": item.project_type,
        "app_source": item.app.slug,
        **project_size(item),
        "content_type": item.content_type,
        "metadata": item.metadata,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "content_url": content_url(request, item),
        "thumbnail_url": None,
    }


class TransactionShape(Shape):
    id = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="1, 2, 3… for each user, without gaps.")
    type = serializers.ChoiceField(choices=LedgerEntry.Type.values)
    amount = serializers.IntegerField(help_text="Signed, in credits: a deduction of 2 is -2.")
    balance_after = serializers.IntegerField()
    app_name = serializers.CharField(allow_null=True, help_text="null for staff and system")
    description = serializers.CharField()
    project_code = serializers.CharField(allow_null=True)
    operation = serializers.CharField(allow_null=True)
    quantity = serializers.IntegerField(allow_null=True)
    related_transaction_id = serializers.UUIDField(allow_null=True)
    metadata = serializers.DictField(child=serializers.JSONField())
    created_at = serializers.DateTimeField()


def transaction(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "id": str(entry.pk),
        "seq": entry.seq,
        "type": entry.type,
        "amount": entry.amount,
        "balance_after": entry.balance_after,
        "app_name": entry.app.slug if entry.app else None,
        "description": entry.description,
        "project_code": entry.project_code,
        "operation": entry.operation.slug if entry.operation else None,
        "quantity": entry.quantity,
        "related_transaction_id": str(entry.related_id) if entry.related_id else None,
        "metadata": entry.metadata,
        "created_at": timestamp(entry.created_at),
    }


def by_app(apps: Iterable[App], items: list[dict[str, Any]], *, key: str, suffix: str) -> dict[str, Any]:
    """One list for each registered app, `<slug>_<suffix>`, of the items whose `key` is that app."""
    lists: dict[str, list[dict[str, Any]]] = {app.slug: [] for app in apps}
    for item in items:
        if item[key] in lists:
            lists[item[key]].append(item)
    return {f"{slug}_{suffix}": found for slug, found in lists.items()}


# --- users -----------------------------------------------------------------------------------------------------------


class CreateUserAnswer(SuccessShape):
    user_id = serializers.CharField()
    username = serializers.CharField()
    email = serializers.CharField()
    credits = serializers.IntegerField()
    storage = StorageStatsShape()
    created = serializers.BooleanField(help_text="false when the person was there already; then nothing has changed.")
    timestamp = serializers.DateTimeField()


def created_user(user: User, account: Account, storage: Storage, *, created: bool) -> dict[str, Any]:
    return success(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        credits=account.spendable,
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
    expiring_credits = ExpiringCreditsShape(many=True)
    plan = serializers.CharField()
    storage = StorageStatsShape()
    timestamp = serializers.DateTimeField()


def user_info(user: User, account: Account, storage: Storage) -> dict[str, Any]:
    return success(
        user_id=user.user_id,
        username=user.username,
        credits=account.spendable,
        held_credits=account.held,
        expiring_credits=[],
        plan=user.plan.slug,
        storage=storage_stats(storage),
        timestamp=timestamp(),
    )


# --- credits ---------------------------------------------------------------------------------------------------------


class DeductCreditsAnswer(SuccessShape):
    credits_deducted = serializers.IntegerField()
    new_balance = serializers.IntegerField(help_text="What can be spent now.")
    app_name = serializers.CharField()
    transaction_id = serializers.UUIDField()
    timestamp = serializers.DateTimeField()


def deducted(entry: LedgerEntry, app: App, *, spendable: int) -> dict[str, Any]:
    return success(
        credits_deducted=-entry.amount,
        new_balance=spendable,
        app_name=app.slug,
        transaction_id=str(entry.pk),
        timestamp=timestamp(entry.created_at),
    )


class TransactionsAnswer(SuccessShape):
    """Besides `penora_transactions` and `imagegene_transactions`, one such list for every further app."""

    all_transactions = TransactionShape(many=True)
    penora_transactions = TransactionShape(many=True)
    imagegene_transactions = TransactionShape(many=True)
    total_count = serializers.IntegerField(help_text="Of everything that matches, whatever the page.")
    next_cursor = serializers.CharField(allow_null=True)


def transactions(apps: list[App], page: HistoryPage) -> dict[str, Any]:
    items = [transaction(entry) for entry in page.entries]
    return success(
        all_transactions=items,
        **by_app(apps, items, key="app_name", suffix="transactions"),
        total_count=page.total_count,
        next_cursor=cursor_for("transactions", page.next_before_seq),
    )


class OperationShape(Shape):
    operation = serializers.CharField(help_text="The name that deduct-credits takes as `operation`.")
    name = serializers.CharField()
    app_source = serializers.CharField(help_text="Whose price list shows it; every app may charge by it.")
    unit = serializers.CharField()
    credits = serializers.IntegerField(help_text="Credits per unit.")
    version = serializers.IntegerField()
    starts_at = serializers.DateTimeField()


class PricingAnswer(SuccessShape):
    operations = OperationShape(many=True)
    timestamp = serializers.DateTimeField()


def pricing(lines: list[Operation]) -> dict[str, Any]:
    return success(
        operations=[
            {
                "operation": line.slug,
                "name": line.name,
                "app_source": line.app.slug,
                "unit": line.unit,
                "credits": line.credits,
                "version": line.version,
                "starts_at": timestamp(line.starts_at),
            }
            for line in lines
        ],
        timestamp=timestamp(),
    )


# --- workspace -------------------------------------------------------------------------------------------------------


class ProjectsAnswer(SuccessShape):
    """Besides the keys of `penora` and `imagegene`, the same two for every further app."""

    all_projects = ProjectShape(many=True)
    penora_projects = ProjectShape(many=True)
    imagegene_projects = ProjectShape(many=True)
    total_count = serializers.IntegerField(help_text="Of everything that matches, whatever the page.")
    penora_count = serializers.IntegerField()
    imagegene_count = serializers.IntegerField()
    next_cursor = serializers.CharField(allow_null=True)
    storage_stats = StorageStatsShape()


def projects(request: HttpRequest, apps: list[App], page: ProjectPage, storage: Storage) -> dict[str, Any]:
    items = [project(request, item) for item in page.projects]
    return success(
        all_projects=items,
        **by_app(apps, items, key="app_source", suffix="projects"),
        total_count=sum(page.count_by_app.values()),
        **{f"{app.slug}_count": page.count_by_app.get(app.slug, 0) for app in apps},
        next_cursor=cursor_for("projects", page.next_before_id),
        storage_stats=storage_stats(storage),
    )


class SaveProjectAnswer(SuccessShape):
    project_code = serializers.CharField()
    title = serializers.CharField()
    size_mb = serializers.FloatField()
    app_source = serializers.CharField()
    size_bytes = serializers.IntegerField()
    content_type = serializers.CharField()
    original_bytes = serializers.IntegerField(help_text="What was sent, decoded, before any re-encoding.")
    storage_stats = StorageStatsShape()


def saved_project(item: Project, app: App, storage: Storage) -> dict[str, Any]:
    return success(
        project_code=item.code,
        title=item.title,
        app_source=app.slug,
        **project_size(item),
        content_type=item.content_type,
        original_bytes=item.original_bytes,
        storage_stats=storage_stats(storage),
    )


class LargestShape(Shape):
    code = serializers.CharField()
    title = serializers.CharField()
    app_source = serializers.CharField()
    size_mb = serializers.FloatField()
    size_bytes = serializers.IntegerField()


class BreakdownShape(Shape):
    """Besides the keys of `penora` and `imagegene`, the same three for every further app."""

    penora_mb = serializers.FloatField()
    imagegene_mb = serializers.FloatField()
    penora_bytes = serializers.IntegerField()
    imagegene_bytes = serializers.IntegerField()
    total_projects = serializers.IntegerField()
    penora_projects = serializers.IntegerField()
    imagegene_projects = serializers.IntegerField()
    largest = LargestShape(many=True)


class StorageStatsAnswer(SuccessShape):
    storage_stats = StorageStatsShape()
    breakdown = BreakdownShape()


def largest(items: list[Project]) -> list[dict[str, Any]]:
    return [
        {"code": item.code, "title": item.title, "app_source": item.app.slug, **project_size(item)} for item in items
    ]


def storage(apps: list[App], row: Storage, totals: dict[str, AppTotals], biggest: list[Project]) -> dict[str, Any]:
    none = AppTotals(used_bytes=0, project_count=0)
    of = {app.slug: totals.get(app.slug, none) for app in apps}
    return success(
        storage_stats=storage_stats(row),
        breakdown={
            **{f"{slug}_mb": megabytes(app["used_bytes"]) for slug, app in of.items()},
            **{f"{slug}_bytes": app["used_bytes"] for slug, app in of.items()},
            "total_projects": row.project_count,
            **{f"{slug}_projects": app["project_count"] for slug, app in of.items()},
            "largest": largest(biggest),
        },
    )
