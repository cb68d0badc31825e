"""Addresses that rows name: which of them a browser may be sent to."""

from __future__ import annotations

from urllib.parse import urlsplit


def web_address(address: str) -> str:
    """`address` itself, if a browser may be sent there; else nothing. (Django's URLField takes ftp, too.)"""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return address if parts.scheme in ("http", "https") and parts.hostname else ""
