"""
Addresses of a project's content that carry their own permission, so that an app can put one into an `<img>`.

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
    """An absolute address, valid for between one and two times CONTENT_URL_SECONDS."""
    period = settings.CONTENT_URL_SECONDS
    expires = (int(time.time()) // period + 2) * period
    query = urlencode({"expires": expires, "signature": _signature(project.code, str(expires))})
    return request.build_absolute_uri(f"/api/unified/projects/{project.code}/content?{query}")


def check(*, code: str, expires: str, signature: str) -> None:
    """Raises InvalidContentUrl unless the address was signed by us for this code and has not expired."""
    try:
        _signer().unsign(f"{code}.{expires}:{signature}")
    except BadSignature:
        raise InvalidContentUrl("The signature of this address is not valid.") from None
    if int(expires) <= time.time():
        raise InvalidContentUrl("This address has expired; list the projects again for a fresh one.")


def _signer() -> Signer:
    return Signer(salt="unified.api.content_urls")


def _signature(code: str, expires: str) -> str:
    return _signer().signature(f"{code}.{expires}")
