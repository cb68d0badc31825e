"""People. `unified.admin.people` registers this with what it takes from the other domains."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import audit, services
from accounts.admin.base import AuditedAdmin, ReasonForm, told
from accounts.models import AuditEntry, User
from accounts.reasons import ReasonField, reason_of

ROLES = ("is_staff", "groups")
RIGHTS = (*ROLES, "is_superuser", "user_permissions")
PERSONAL = ("username", "email")  # of which the audit says that they were changed, and not from what to what


class MemberForm(ReasonForm, UserChangeForm):
    """One person's name, e-mail and rights."""


class PasswordForm(AdminPasswordChangeForm):
    """A password that is set for somebody."""

    reason = ReasonField()


class UserAdmin(AuditedAdmin, DjangoUserAdmin):
    form = MemberForm
    change_password_form = PasswordForm
    change_user_password_template = "admin/accounts/user/change_password.html"  # noqa: S105  a template
    services_record = True
    list_display: tuple[Any, ...] = (
        "user_id",
        "username",
        "email",
        "plan",
        "is_active",
        "is_staff",
        "date_joined",
    )
    list_filter: ClassVar[tuple[Any, ...]] = ("is_active", "is_staff", "plan", "groups")
    list_select_related: ClassVar[tuple[Any, ...]] = ("plan",)
    search_fields: ClassVar[tuple[Any, ...]] = ("user_id", "username", "email")
    search_help_text = "User id, name or e-mail"
    ordering: ClassVar[tuple[str, ...]] = ("-id",)
    readonly_fields: ClassVar[tuple[Any, ...]] = ("date_joined", "last_login")
    actions: tuple[Any, ...] = ("cut_off",)
    fieldsets = (
        (None, {"fields": ("user_id", "username", "email", "plan", "date_joined", "last_login")}),
        ("Access", {"fields": ("password", "is_active", "is_staff", "groups", "is_superuser", "user_permissions")}),
    )

    def get_fieldsets(self, request: Any, obj: User | None = None) -> Any:
        """The way to a password only for who may set one, of somebody whom it would let in."""
        fieldsets = super().get_fieldsets(request, obj)
        if request.user.is_superuser and obj is not None and obj.is_staff:
            return fieldsets
        return [
            (title, {**options, "fields": [name for name in options["fields"] if name != "password"]})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: Any, obj: User | None = None) -> Any:
        # The id is who the person is: keys, tokens and the identity provider all name it.
        fields = {*self.readonly_fields, "user_id", "plan"}
        if request.user.is_superuser:
            return sorted(fields)
        fields |= set(RIGHTS)
        may_assign = request.user.has_perm("accounts.assign_roles")
        if may_assign and obj and obj.pk != request.user.pk and set(obj.groups.all()) <= set(_givable(request.user)):
            fields -= set(ROLES)
        # Whoever looks after people does not decide which of their colleagues may come in, or what they are called.
        if obj and obj.is_staff and not may_assign:
            fields |= {"is_active", *PERSONAL}
        return sorted(fields)

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Nobody gives a role that may do what they may not."""
        if db_field.name == "groups" and not request.user.is_superuser:
            kwargs["queryset"] = _givable(request.user)
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @transaction.atomic
    def save_model(self, request: Any, obj: User, form: Any, change: bool) -> None:
        # Only what the form has changed: the whole row would put back, as it was when it was read, what has meanwhile
        # ended the person's sessions. Whether they are active the service writes, with all that goes with it.
        changed = [field.name for field in User._meta.concrete_fields if field.name in form.changed_data]
        obj.save(update_fields=[name for name in changed if name != "is_active"])
        if "is_active" in changed:
            services.set_active(user=obj, is_active=obj.is_active, actor=request.user)

    @transaction.atomic
    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        before = {name: told(form.initial[name]) for name in RIGHTS if name in form.changed_data}
        super().save_related(request, form, formsets, change)
        after = {name: told(form.cleaned_data[name]) for name in before}
        services.note_access_change(user=form.instance, actor=request.user, before=before, after=after)
        personal = [name for name in PERSONAL if name in form.changed_data]
        if personal:
            audit.record(AuditEntry.Event.CHANGED, actor=request.user, subject=form.instance, fields=personal)

    @transaction.atomic
    def user_change_password(self, request: Any, id: str, form_url: str = "") -> Any:
        """
        A password that is set is a way in like any other: it is written down, and ends all that was open. Only for
        superusers: whoever sets somebody's password can be them.
        """
        if not request.user.is_superuser:
            raise PermissionDenied
        before = self.get_object(request, unquote(id))
        with audit.because(reason_of(request)):
            response = super().user_change_password(request, id, form_url)
            after = self.get_object(request, unquote(id))
            if before is not None and after is not None and before.password != after.password:
                services.note_access_change(
                    user=after,
                    actor=request.user,
                    before={"password": "one" if before.has_usable_password() else "none"},
                    after={"password": "another" if after.has_usable_password() else "none"},
                )
                services.cut_off(user=after, actor=request.user)
                if after.pk == request.user.pk:  # whoever changes their own stays signed in, here
                    after.refresh_from_db()
                    update_session_auth_hash(request, after)
        return response

    @admin.action(description="Sign out everywhere", permissions=["change"])
    def cut_off(self, request: Any, queryset: QuerySet[User]) -> None:
        for user in queryset:
            if not self.has_change_permission(request, user):
                messages.error(request, f"{user} is a superuser; only another one can sign them out.")
                continue
            services.cut_off(user=user, actor=request.user)
            self.log_change(request, user, "Signed out everywhere.")
            messages.success(request, f"{user} is signed out everywhere.")

    def has_add_permission(self, request: Any) -> bool:
        return False  # people join through the API, staff through 'manage.py createsuperuser'

    def has_change_permission(self, request: Any, obj: User | None = None) -> bool:
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False  # their password would be a way to their rights
        if obj is not None and obj.deleted_at is not None:
            return False  # what was taken out when they left is not filled in again, and nobody comes in as them
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: Any, obj: User | None = None) -> bool:
        return False  # people are deactivated; their history stays


def _givable(giver: User) -> QuerySet[Group]:
    """The roles that can do nothing which `giver` cannot. (A superuser gives all of them.)"""
    own = Permission.objects.filter(Q(group__user=giver) | Q(user=giver))
    return Group.objects.exclude(permissions__in=Permission.objects.exclude(pk__in=own.values("pk")))


@admin.register(Group)
class RoleAdmin(AuditedAdmin, GroupAdmin):
    """The staff's roles. Only superusers change what a role may do: whoever could, could do everything."""

    def has_add_permission(self, request: Any) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: Any, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)
