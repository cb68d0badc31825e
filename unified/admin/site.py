"""The staff's site: Django's own admin under the product's name, entered by the page that everybody signs in on."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts import services
from accounts.models import User
from unified.sso import pages


class UnifiedAdminSite(AdminSite):
    site_header = "Unified"
    site_title = "Unified"
    index_title = "Users, credits and storage"
    enable_nav_sidebar = False  # the tables need the width; the index is one click away

    def register(self, model_or_iterable: Any, *args: Any, **options: Any) -> None:
        """All but the links between people and the identity provider: who is who is not for anybody to edit."""
        models = model_or_iterable if isinstance(model_or_iterable, (list, tuple)) else [model_or_iterable]
        kept = [model for model in models if model._meta.app_label != "social_django"]
        super().register(kept, *args, **options)

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

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return pages.sign_in(request, for_staff=True)
