"""Users, apps, keys and plans for staff. A key's text is shown once, right after it was made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import models, transaction
from django.db.models import QuerySet
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts import services
from accounts.models import App, AppKey, Plan, User

RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")


class ReadOnlyAdmin(admin.ModelAdmin):
    """For what only the services may change: look, but do not touch. Refused whatever the permissions say."""

    actions = None

    def get_readonly_fields(self, request: Any, obj: Any = None) -> list[str]:
        """Every column, also those that no form would have."""
        return [field.name for field in self.model._meta.concrete_fields if field.name not in (self.exclude or ())]

    def has_add_permission(self, request: Any) -> bool:
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    list_display = ("user_id", "username", "email", "plan", "is_active", "is_staff", "date_joined")
    list_filter = ("is_active", "is_staff", "plan", "date_joined")
    list_select_related = ("plan",)
    search_fields = ("user_id", "username", "email")
    search_help_text = "User id, name or e-mail"
    ordering = ("-id",)
    readonly_fields = ("date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("user_id", "username", "email", "plan", "date_joined", "last_login")}),
        ("Access", {"fields": ("password", "is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
    )

    def get_readonly_fields(self, request: Any, obj: User | None = None) -> Any:
        # The id is who the person is: keys, tokens and the identity provider all name it.
        fields = (*self.readonly_fields, "user_id", "plan")
        return fields if request.user.is_superuser else (*fields, *RIGHTS)

    def has_add_permission(self, request: Any) -> bool:
        return False  # people join through the API, staff through 'manage.py createsuperuser'

    def has_change_permission(self, request: Any, obj: User | None = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False  # their password would be a way to their rights
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: Any, obj: User | None = None) -> bool:
        return False  # people are deactivated; their history stays


@admin.register(Plan)
class PlanAdmin(admin.ModelAdmin):
    list_display = ("name", "slug", "rank", "storage_limit", "monthly_credits", "is_default", "is_offered")
    actions = ("make_default",)

    @admin.display(description="storage", ordering="storage_limit_bytes")
    def storage_limit(self, plan: Plan) -> str:
        return filesizeformat(plan.storage_limit_bytes)

    def get_readonly_fields(self, request: Any, obj: Plan | None = None) -> Any:
        # People on the plan have its limit on their storage row; changing it here would not reach them.
        return ("slug", "storage_limit_bytes", "is_default") if obj else ("is_default",)

    @admin.action(description="Make this the plan that new people start on", permissions=["change"])
    def make_default(self, request: Any, queryset: QuerySet[Plan]) -> None:
        if queryset.count() != 1:
            messages.error(request, "Choose one plan.")
            return
        plan = services.make_default_plan(slug=queryset.get().slug)
        self.log_change(request, plan, "Made the default.")
        messages.success(request, f"New people start on {plan.name}.")

    def has_delete_permission(self, request: Any, obj: Plan | None = None) -> bool:
        return False  # withdraw it by no longer offering it


@admin.register(App)
class AppAdmin(admin.ModelAdmin):
    list_display = ("name", "slug", "colour", "home_url", "is_active", "created_at")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}  # noqa: RUF012  as Django declares it
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: Any, obj: App | None = None) -> Any:
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def has_delete_permission(self, request: Any, obj: App | None = None) -> bool:
        return False  # its projects and entries stay; switch it off instead


@admin.register(AppKey)
class AppKeyAdmin(admin.ModelAdmin):
    list_display = ("key_id", "app", "label", "state", "created_at", "expires_at", "last_used_at")
    list_filter = ("app", "mode")
    list_select_related = ("app", "replaced_by")
    search_fields = ("key_id", "label")
    fields = ("app", "label", "mode", "expires_at")
    actions = ("rotate", "revoke")

    @admin.display(description="state")
    def state(self, key: AppKey) -> str:
        return key.state(timezone.now())

    def has_change_permission(self, request: Any, obj: AppKey | None = None) -> bool:
        # The list and its actions need the permission; a single key is only ever made, rotated or revoked.
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: Any, obj: AppKey | None = None) -> bool:
        return False

    @transaction.atomic
    def save_model(self, request: Any, obj: AppKey, form: Any, change: bool) -> None:
        key, text = services.create_key(app=obj.app, label=obj.label, mode=obj.mode, expires_at=obj.expires_at)
        obj.pk, obj.key_id = key.pk, key.key_id
        request.made_keys = [(key, text)]

    def response_add(self, request: Any, obj: AppKey, post_url_continue: str | None = None) -> Any:
        return self._shown_once(request, request.made_keys)

    @admin.action(description="Rotate: a new key now, the old one for one more day", permissions=["change"])
    def rotate(self, request: Any, queryset: QuerySet[AppKey]) -> Any:
        made, refusals = [], []
        for key in queryset:
            try:
                with transaction.atomic():
                    made.append(services.rotate_key(key_id=key.key_id, overlap=timedelta(days=1)))
                    self.log_change(request, key, f"Rotated; the new key is {made[-1][0].key_id}.")
            except services.KeyNotActive as refusal:
                refusals.append(str(refusal))
        return self._shown_once(request, made, refusals)

    @admin.action(description="Revoke at once", permissions=["change"])
    def revoke(self, request: Any, queryset: QuerySet[AppKey]) -> None:
        for key in queryset:
            with transaction.atomic():
                services.revoke_key(key_id=key.key_id)
                self.log_change(request, key, "Revoked.")
            messages.success(request, f"Key {key.key_id} no longer works.")

    def _shown_once(self, request: Any, made: list[tuple[AppKey, str]], refusals: Sequence[str] = ()) -> Any:
        """The page with the new keys: the answer itself, since a message would be kept in a cookie or the session."""
        context = {**self.admin_site.each_context(request), "title": "New key", "made": made, "refusals": refusals}
        return TemplateResponse(request, "admin/accounts/appkey/shown_once.html", context)
