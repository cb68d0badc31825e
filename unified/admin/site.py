"""The staff's site: Django's own admin under the product's name, entered by the page that everybody signs in on."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver

from accounts import services
from accounts.models import User
from unified.admin import dashboard, second_factor
from unified.sso import pages

# Not for anybody to edit, or even to see: who is who at the identity provider, the secrets of second factors, and what
# the lock-out counts (`manage.py axes_reset_username` lets somebody try again).
NOT_SHOWN = ("social_django", "otp_totp", "otp_static", "axes")


class UnifiedAdminSite(AdminSite):
    site_header = "Unified"
    site_title = "Unified"
    index_title = "Users, credits and storage"
    enable_nav_sidebar = False  # the tables need the width; the index is one click away

    def register(self, model_or_iterable: Any, admin_class: type[ModelAdmin] | None = None, **options: Any) -> None:
        """All but what is not for anybody to see, and Django's own pages for roles and people: ours ask why."""
        models = model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        if admin_class is None or admin_class.__module__ != "django.contrib.auth.admin":
            kept = [model for model in models if model._meta.app_label not in NOT_SHOWN]
            super().register(kept, admin_class, **options)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        from unified.admin.urls import urlpatterns

        return [*urlpatterns, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """How the service is, for who may see it, and who waits for the staff, above the list of models."""
        from unified.admin import upgrades

        shown = dashboard.figures(request)
        standing = shown.get("figures", {}).get("standing")
        shown["wishes"] = upgrades.waiting(request, known=standing.wishes if standing else None)
        return super().index(request, {**shown, **(extra_context or {})})

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """One's own. It ends all that was open but this session, as a password that was lost has to."""
        before = User.objects.get(user_id=request.user.get_username()).password
        with transaction.atomic():
            response = super().password_change(request, extra_context)
            user = User.objects.get(user_id=request.user.get_username())
            if user.password != before:
                services.note_access_change(
                    user=user, actor=user, before={"password": "one"}, after={"password": "another"}
                )
                services.cut_off(user=user, actor=user)
                user.refresh_from_db()
                update_session_auth_hash(request, user)
        return response

    def has_permission(self, request: HttpRequest) -> bool:
        """Asked before every page of the admin."""
        return super().has_permission(request) and not second_factor.is_missing(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Where whoever may not see a page is sent. Who is signed in, but for the second factor, is asked for that."""
        is_signed_in = super().has_permission(request) and pages.SIGN_IN_ANEW not in request.session
        if is_signed_in and second_factor.is_missing(request):
            return second_factor.asked_for(request)
        return pages.sign_in(request, for_staff=True)
