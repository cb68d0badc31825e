"""Plans, apps, and what apps come with: keys and OpenID Connect clients. A secret is shown once, when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models, transaction
from django.db.models import QuerySet
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts import services
from accounts.admin.base import AuditedAdmin, OfPersonMixin, ReadOnlyAdmin, ReasonForm
from accounts.admin.filters import date_range
from accounts.models import App, AppKey, AuditEntry, Client, Plan, UpgradeRequest
from accounts.templatetags.figures import size


class PlanForm(ReasonForm):
    def clean_checkout_url(self) -> str:
        """People are sent there by a link on their pages: it has to be a page of the web."""
        address: str = self.cleaned_data["checkout_url"]
        if address and not address.lower().startswith(("https://", "http://")):
            raise forms.ValidationError("An address of the web, with https:// or http://.")
        return address


@admin.register(Plan)
class PlanAdmin(AuditedAdmin):
    form = PlanForm
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}  # noqa: RUF012  as Django declares it
    list_display = ("name", "slug", "rank", "storage_limit", "monthly_credits", "is_default", "is_offered")
    actions = ("make_default",)

    @admin.display(description="storage", ordering="storage_limit_bytes")
    def storage_limit(self, plan: Plan) -> str:
        return size(plan.storage_limit_bytes)

    def get_readonly_fields(self, request: Any, obj: Plan | None = None) -> Any:
        # People on the plan have its limit on their storage row; changing it here would not reach them.
        return ("slug", "storage_limit_bytes", "is_default") if obj else ("is_default",)

    @admin.action(description="Make this the plan that new people start on", permissions=["change"])
    def make_default(self, request: Any, queryset: QuerySet[Plan]) -> None:
        if queryset.count() != 1:
            messages.error(request, "Choose one plan.")
            return
        before = Plan.objects.filter(is_default=True).first()
        with transaction.atomic():
            plan = services.make_default_plan(slug=queryset.get().slug)
            self.record(
                request,
                AuditEntry.Event.CHANGED,
                plan,
                before={"default plan": before.slug if before else None},
                after={"default plan": plan.slug},
            )
            self.log_change(request, plan, "Made the default.")
        messages.success(request, f"New people start on {plan.name}.")


@admin.register(UpgradeRequest)
class UpgradeRequestAdmin(OfPersonMixin, ReadOnlyAdmin):
    """What people have asked for, and what became of it. Those that wait are decided on `admin:upgrades`."""

    list_display = ("created_at", "person", "plan", "status", "decided_by", "decided_at", "seen_at")
    list_filter = ("status", "plan", date_range("created_at", "day"))
    list_select_related = ("user", "plan", "decided_by")
    search_fields = ("user",)
    search_help_text = "User id, name or e-mail"
    export_columns = ("created_at", "user", "plan", "status", "decided_by", "decided_at", "seen_at")


@admin.register(App)
class AppAdmin(AuditedAdmin):
    list_display = ("name", "slug", "colour", "home_url", "is_active", "created_at")
    formfield_overrides = {models.URLField: {"assume_scheme": "https"}}  # noqa: RUF012  as Django declares it

    def get_readonly_fields(self, request: Any, obj: App | None = None) -> Any:
        return ("created_at", "slug") if obj else ()

    def get_exclude(self, request: Any, obj: App | None = None) -> Any:
        return () if obj else ("created_at",)  # there is no such moment yet


class AppKeyForm(ReasonForm):
    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError("That is past: the key would never work.")
        return expires_at

    def clean_scopes(self) -> str:
        scopes: str = self.cleaned_data["scopes"]
        if "scopes" in self.data and not scopes.split():  # left out altogether, it has all of them
            raise forms.ValidationError("Name at least one scope: the key could do nothing.")
        return scopes


@admin.register(AppKey)
class AppKeyAdmin(AuditedAdmin):
    form = AppKeyForm
    services_record = True
    list_display = ("key_id", "app", "label", "scopes", "state", "created_at", "expires_at", "last_used_at")
    list_filter = ("app", "mode")
    list_select_related = ("app", "replaced_by")
    search_fields = ("key_id", "label")
    fields = ("app", "label", "mode", "scopes", "expires_at")
    actions = ("rotate", "revoke")

    @admin.display(description="state")
    def state(self, key: AppKey) -> str:
        return key.state(timezone.now())

    def has_change_permission(self, request: Any, obj: AppKey | None = None) -> bool:
        # The list and its actions need the permission; a single key is only ever made, rotated or revoked.
        return obj is None and super().has_change_permission(request)

    @transaction.atomic
    def save_model(self, request: Any, obj: AppKey, form: Any, change: bool) -> None:
        key, text = services.create_key(
            app=obj.app,
            label=obj.label,
            mode=obj.mode,
            expires_at=obj.expires_at,
            scopes=obj.scopes,
            actor=request.user,
        )
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
                    made.append(services.rotate_key(key_id=key.key_id, overlap=timedelta(days=1), actor=request.user))
                    self.log_change(request, key, f"Rotated; the new key is {made[-1][0].key_id}.")
            except services.KeyNotActive as refusal:
                refusals.append(str(refusal))
        return self._shown_once(request, made, refusals)

    @admin.action(description="Revoke at once", permissions=["change"])
    def revoke(self, request: Any, queryset: QuerySet[AppKey]) -> None:
        for key in queryset:
            with transaction.atomic():
                services.revoke_key(key_id=key.key_id, actor=request.user)
                self.log_change(request, key, "Revoked.")
            messages.success(request, f"Key {key.key_id} no longer works.")

    def _shown_once(self, request: Any, made: list[tuple[AppKey, str]], refusals: Sequence[str] = ()) -> Any:
        """The page with the new keys: the answer itself, since a message would be kept in a cookie or the session."""
        context = {**self.admin_site.each_context(request), "title": "New key", "made": made, "refusals": refusals}
        return TemplateResponse(request, "admin/accounts/appkey/shown_once.html", context)


class ClientForm(ReasonForm):
    def clean(self) -> dict[str, Any]:
        """The name is the app's, if none is given: before it is asked whether there is one of that name."""
        cleaned: dict[str, Any] = super().clean() or {}
        if "name" in cleaned and not cleaned["name"] and cleaned.get("app"):
            cleaned["name"] = cleaned["app"].name
        return cleaned


class ClientAdmin(AuditedAdmin):
    """Registered by the library whose model it is, as the settings tell it to (so are those of tokens)."""

    services_record = True
    form = ClientForm
    list_display = ("name", "app", "client_id", "client_type", "skip_authorization", "created")
    list_filter = ("app", "client_type", "skip_authorization")
    list_select_related = ("app",)
    search_fields = ("name", "client_id")
    fields = (
        "app",
        "name",
        "client_id",
        "client_type",
        "skip_authorization",
        "redirect_uris",
        "post_logout_redirect_uris",
        "allowed_origins",
        "created",
        "updated",
    )
    actions = ("new_secret",)

    def get_fields(self, request: Any, obj: Client | None = None) -> Any:
        made = ("client_id", "created", "updated")  # what there is only once there is a client
        return self.fields if obj else [name for name in self.fields if name not in made]

    def get_readonly_fields(self, request: Any, obj: Client | None = None) -> Any:
        # A first-party client gets codes for anybody without asking them, so only who may do everything makes one.
        fixed = ("client_id", "created", "updated", *(() if request.user.is_superuser else ("skip_authorization",)))
        return ("app", "name", *fixed) if obj else fixed

    def get_form(self, request: Any, obj: Client | None = None, change: bool = False, **kwargs: Any) -> Any:
        labels = {"skip_authorization": "first-party"}
        help_texts = {
            "skip_authorization": "One of our own apps: people are not asked whether it may act for them.",
            "redirect_uris": "Where people are sent back to after signing in, exactly; with spaces between.",
            "post_logout_redirect_uris": "Where they are sent back to after signing out.",
            "allowed_origins": "Whose pages may call the API, such as https://app.example; with spaces between.",
            "client_type": "Confidential: a server, which can keep a secret. Public: a page or a phone.",
        }
        return super().get_form(request, obj, change=change, labels=labels, help_texts=help_texts, **kwargs)

    def save_form(self, request: Any, form: Any, change: bool) -> Any:
        return form.save(commit=False)

    @transaction.atomic
    def save_model(self, request: Any, obj: Client, form: Any, change: bool) -> None:
        client, secret, _ = services.register_client(
            app=obj.app,
            name=obj.name,
            redirect_uris=obj.redirect_uris.split(),
            post_logout_redirect_uris=obj.post_logout_redirect_uris.split(),
            allowed_origins=obj.allowed_origins.split(),
            confidential=obj.client_type == Client.CLIENT_CONFIDENTIAL,
            first_party=obj.skip_authorization,
            must_be_new=not change,
            actor=request.user,
        )
        obj.pk, obj.client_id = client.pk, client.client_id
        request.made_secrets = [(client, secret)] if secret else []

    def response_add(self, request: Any, obj: Client, post_url_continue: str | None = None) -> Any:
        return self._shown_once(request) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: Any, obj: Client) -> Any:
        return self._shown_once(request) or super().response_change(request, obj)

    def has_change_permission(self, request: Any, obj: Client | None = None) -> bool:
        """
        A first-party client's addresses and secret are a way to codes for anybody, without a question: as only
        superusers make one, only they change one.
        """
        theirs = obj is None or request.user.is_superuser or not obj.skip_authorization
        return theirs and super().has_change_permission(request, obj)

    @admin.action(description="New secret: the old one ends at once", permissions=["change"])
    def new_secret(self, request: Any, queryset: QuerySet[Client]) -> Any:
        made = []
        for client in queryset:
            if not self.has_change_permission(request, client):
                messages.error(request, f"{client} is first-party; only superusers give it a new secret.")
                continue
            if client.client_type != Client.CLIENT_CONFIDENTIAL:
                messages.error(request, f"{client} is public, and has no secret.")
                continue
            with transaction.atomic():
                made.append((client, services.renew_secret(client=client, actor=request.user)))
                self.log_change(request, client, "New secret.")
        request.made_secrets = made
        return self._shown_once(request)

    def _shown_once(self, request: Any) -> Any | None:
        """The page with new secrets, if there are any: the answer itself, and nowhere else."""
        if not request.made_secrets:
            return None
        context = {**self.admin_site.each_context(request), "title": "New secret", "made": request.made_secrets}
        return TemplateResponse(request, "admin/accounts/client/shown_once.html", context)
