"""Which other origins have to do with us: those that the registered clients name, and the identity provider."""

from __future__ import annotations

import logging
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse

from accounts.models import Client

logger = logging.getLogger("unified.sso")

Page = TypeVar("Page", bound=HttpResponse)


class RegisteredOriginsMiddleware(CorsMiddleware):
    """Lets the pages of registered origins call: those of the settings, and those of active apps' clients."""

    def origin_found_in_white_lists(self, origin: str, url: SplitResult) -> bool:
        return super().origin_found_in_white_lists(origin, url) or origin in _registered_origins()


def lead_on_to_apps(page: Page) -> Page:
    """
    Lets the forms of this page end up at an app. Chromium holds `form-action` against every address that the answer to
    a form redirects to, so a sign-in would stop half-way at the identity provider or at the app.
    """
    page._csp_update = {"form-action": sorted(_form_targets())}  # type: ignore[attr-defined]
    return page


def _registered_origins() -> set[str]:
    """None while the database does not answer: the call has its own answer by then, which must not be lost."""
    try:
        listed = list(Client.objects.filter(app__is_active=True).values_list("allowed_origins", flat=True))
    except DatabaseError:
        logger.exception("the registered origins cannot be read")
        return set()
    return {origin for origins in listed for origin in origins.split()}


def _form_targets() -> set[str]:
    clients: Any = Client.objects.filter(app__is_active=True)
    addresses = [address for client in clients for address in client.addresses()]
    if settings.GOOGLE_CLIENT_ID:
        addresses.append(settings.GOOGLE_ISSUER)
    return {origin_of(address) for address in addresses}


def origin_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
