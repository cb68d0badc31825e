"""Where a request comes from."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str | None:
    """
    The caller's IP address. Behind our proxy (BEHIND_TLS_PROXY) that is the last entry of `X-Forwarded-For`, which the
    proxy itself has written; whatever stands before it the caller may have made up. None where it cannot be told: the
    proxy's own address would make one caller of everybody.
    """
    behind_proxy = settings.SECURE_PROXY_SSL_HEADER is not None
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    text = forwarded if behind_proxy else request.META.get("REMOTE_ADDR", "")
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))  # without the name of a network card
    except ValueError:
        return None


def place_of(request: HttpRequest) -> str | None:
    """
    What to count tries by: the address, or in IPv6 the network of 2^64 addresses that one household or machine has all
    of. None where the address cannot be told.
    """
    text = address_of(request)
    if text is None:
        return None
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return text
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
