"""
Addresses of a project's content and thumbnail that carry their own permission, so that an app can put one into an
`<img>`. An address of the one does not open the other.

Signed with SECRET_KEY over the code and the time of expiry; that time is rounded up, so that the address of a picture
stays the same for a while and a browser's cache can serve it again.
"""

from __future__ import annotations

import time
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import HttpRequest

from workspace.models import Project


class InvalidContentUrl(Exception):
    """The signature is not ours, or its time is over. The message is for the caller."""


def content_url(request: HttpRequest, project: Project) -> str:
    """An absolute address of the content, valid for between one and two times CONTENT_URL_SECONDS."""
    return _signed(request, project, "content")


def thumbnail_url(request: HttpRequest, project: Project) -> str | None:
    """The same for a picture's thumbnail; None for a text."""
    return _signed(request, project, "thumbnail") if project.is_image else None


def check(*, part: str, code: str, expires: str, signature: str) -> None:
    """Raises InvalidContentUrl unless the address was signed by us for this part of this code and has not expired."""
    try:
        _signer(part).unsign(f"{code}.{expires}:{signature}")
    except BadSignature:
        raise InvalidContentUrl("The signature of this address is not valid.") from None
    if int(expires) <= time.time():
        raise InvalidContentUrl("This address has expired; list the projects again for a fresh one.")


def period() -> int:
    """Addresses made in the same period are the same."""
    return int(time.time()) // settings.CONTENT_URL_SECONDS


def _signed(request: HttpRequest, project: Project, part: str) -> str:
    expires = str((period() + 2) * settings.CONTENT_URL_SECONDS)
    signature = _signer(part).signature(f"{project.code}.{expires}")
    query = urlencode({"expires": expires, "signature": signature})
    return request.build_absolute_uri(f"/api/unified/projects/{project.code}/{part}?{query}")


def _signer(part: str) -> Signer:
    return Signer(salt=f"unified.api.content_urls.{part}")
