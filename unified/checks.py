"""
Configuration that would be unsafe or impossible is refused, each time with a hint of what to do.

`manage.py check` runs these, and so does every web process when it starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.http.request import validate_host

from credits.models import MAX_AMOUNT
from unified import signing_keys

OLDEST_POSTGRES = 150_000  # server_version_num
SHORTEST_SECRET = 50  # characters
_RATE = re.compile(r"[1-9][0-9]*/(s|sec|m|min|h|hour|d|day)")


@checks.register(checks.Tags.security)
def check_configuration(app_configs: Any, **kwargs: Any) -> Iterable[checks.CheckMessage]:
    if settings.QUICKSTART_OPEN and not settings.DEBUG:
        yield checks.Error(
            "UNIFIED_QUICKSTART_OPEN lets calls in without a credential, and DEBUG is off.",
            hint="Unset UNIFIED_QUICKSTART_OPEN: it is for a developer's own machine.",
            id="unified.E001",
        )
    if not settings.DEBUG:
        if len(_secret_key()) < SHORTEST_SECRET:
            yield checks.Error(
                f"SECRET_KEY is missing or shorter than {SHORTEST_SECRET} characters, and DEBUG is off.",
                hint="Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
                id="unified.E002",
            )
        if not settings.ALLOWED_HOSTS or any("*" in host or "/" in host for host in settings.ALLOWED_HOSTS):
            yield checks.Error(
                "ALLOWED_HOSTS names no host, every host, or an address instead of a host, and DEBUG is off.",
                hint="Set ALLOWED_HOSTS to the host names that this service is reached by, comma-separated.",
                id="unified.E003",
            )
        if not settings.DATABASE_URL:
            yield checks.Error(
                "DATABASE_URL is not set, and DEBUG is off: the embedded PostgreSQL is for development and tests.",
                hint="Set DATABASE_URL=postgres://user:password@host:5432/name (PostgreSQL 15 or later).",
                id="unified.E004",
            )
        yield from _check_sign_in()
    for number, pem in enumerate(settings.OIDC_SIGNING_KEYS, 1):
        problem = signing_keys.problem_with(pem)
        if problem:
            yield checks.Error(
                f"Number {number} of OIDC_SIGNING_KEYS {problem}.",
                hint="Make one with 'python manage.py signingkey FILE'.",
                id="unified.E013",
            )
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        yield checks.Error(
            "DATABASE_URL is not a PostgreSQL address.",
            hint="Unified needs PostgreSQL 15 or later; nothing else is supported.",
            id="unified.E005",
        )
    if not 0 <= settings.INITIAL_CREDITS_DEFAULT <= min(settings.INITIAL_CREDITS_MAX, MAX_AMOUNT):
        yield checks.Error(
            f"UNIFIED_INITIAL_CREDITS is negative, above UNIFIED_INITIAL_CREDITS_MAX, or above {MAX_AMOUNT}.",
            hint="Every new user would be refused; lower the one or raise the other.",
            id="unified.E006",
        )
    for variable, value, least, reason in _least_values():
        if value < least:
            yield checks.Error(f"{variable} is {value}, below {least}.", hint=reason, id="unified.E007")
    if settings.API_RATE is not None and not _RATE.fullmatch(settings.API_RATE):
        yield checks.Error(
            f"UNIFIED_API_RATE is '{settings.API_RATE}', which is no rate.",
            hint="Write it as calls per time, such as 600/min (s, min, hour or day), or unset it.",
            id="unified.E009",
        )


def _check_sign_in() -> Iterable[checks.CheckMessage]:
    """What has to be known before people and apps can sign in, where this is no developer's machine."""
    address = urlsplit(settings.PUBLIC_URL)
    if address.scheme != "https" or not address.netloc or address.path or address.query:
        yield checks.Error(
            f"UNIFIED_URL is '{settings.PUBLIC_URL}', which is no https address of a host, and DEBUG is off.",
            hint="Set UNIFIED_URL=https://unified.example: the issuer of all tokens is made of it.",
            id="unified.E010",
        )
    elif not validate_host(address.hostname or "", settings.ALLOWED_HOSTS):
        yield checks.Error(
            f"UNIFIED_URL names '{address.hostname}', which is none of ALLOWED_HOSTS.",
            hint="Add it to ALLOWED_HOSTS: people and apps are sent there.",
            id="unified.E014",
        )
    if len(settings.OIDC_SIGNING_KEYS) < 2:
        yield checks.Error(
            f"OIDC_SIGNING_KEYS names {len(settings.OIDC_SIGNING_KEYS)} of at least 2 keys, and DEBUG is off.",
            hint="Make two with 'python manage.py signingkey FILE' and name both, comma-separated: the first signs, the"
            " second is published so that it can take over.",
            id="unified.E011",
        )
    if not settings.GOOGLE_ISSUER.startswith("https://"):
        yield checks.Error(
            f"GOOGLE_ISSUER is '{settings.GOOGLE_ISSUER}', which is no https address, and DEBUG is off.",
            hint="Name the issuer as its discovery document does, or unset it for Google.",
            id="unified.E015",
        )
    if bool(settings.GOOGLE_CLIENT_ID) != bool(settings.SOCIAL_AUTH_GOOGLE_SECRET):
        yield checks.Error(
            "Only one of GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET is set.",
            hint="Set both, as Google's console gives them, or neither.",
            id="unified.E012",
        )
    if not settings.STAFF_SECOND_FACTOR:
        yield checks.Warning(
            "UNIFIED_STAFF_SECOND_FACTOR is off, and DEBUG is off: a password alone opens the admin.",
            hint="Unset it. Staff set up their second factor when they next sign in.",
            id="unified.W001",
        )


def _least_values() -> list[tuple[str, int, int, str]]:
    """Variable, value, the least that makes sense, and why."""
    for_ever = "0 would mean to wait for ever."
    return [
        (
            "UNIFIED_IDEMPOTENCY_KEPT_DAYS",
            settings.IDEMPOTENCY_KEPT_DAYS,
            7,
            "The contract promises callers that a key lives at least 7 days.",
        ),
        ("UNIFIED_IDEMPOTENCY_WAIT_MS", settings.IDEMPOTENCY_WAIT_MS, 1, for_ever),
        ("DATABASE_LOCK_TIMEOUT_MS", settings.LOCK_TIMEOUT_MS, 1, for_ever),
        ("DATABASE_STATEMENT_TIMEOUT_MS", settings.STATEMENT_TIMEOUT_MS, 1, for_ever),
        ("UNIFIED_CONTENT_URL_SECONDS", settings.CONTENT_URL_SECONDS, 60, "Addresses would expire before their use."),
        ("UNIFIED_REFUND_GRACE_HOURS", settings.REFUND_GRACE_HOURS, 1, "Refunded credits would be gone at once."),
        ("UNIFIED_TRASH_DAYS", settings.TRASH_DAYS, 1, "Nobody could undo a deletion."),
        ("UNIFIED_ENCODERS", settings.ENCODERS, 1, "No picture could be kept."),
        ("UNIFIED_ENCODER_QUEUE", settings.ENCODER_QUEUE, 0, "It is a number of pictures."),
        ("UNIFIED_LOCKOUT_AFTER", settings.AXES_FAILURE_LIMIT, 1, "Nobody could sign in with a password."),
        (
            "UNIFIED_LOCKOUT_MINUTES",
            int(settings.AXES_COOLOFF_TIME.total_seconds() // 60),
            1,
            "Nobody would be locked out.",
        ),
        ("UNIFIED_MAX_PROJECTS", settings.MAX_PROJECTS_PER_USER, 1, "Nobody could keep anything."),
    ]


@checks.register(checks.Tags.database)
def check_server(
    app_configs: Any, databases: Iterable[str] | None = None, **kwargs: Any
) -> Iterable[checks.CheckMessage]:
    for alias in databases or ():
        connection = connections[alias]
        connection.ensure_connection()
        if connection.connection.server_version < OLDEST_POSTGRES:
            yield checks.Error(
                f"The database server is PostgreSQL {connection.connection.server_version // 10_000}.",
                hint="Unified needs PostgreSQL 15 or later.",
                id="unified.E008",
            )


def _secret_key() -> str:
    """The key, or nothing where Django would refuse to name a missing one."""
    try:
        return settings.SECRET_KEY
    except ImproperlyConfigured:
        return ""


def refuse_to_start_if_misconfigured() -> None:
    """Raises ImproperlyConfigured with every serious message of the checks that need no database."""
    serious = [message for message in (*checks.run_checks(), *_check_static_files()) if message.is_serious()]
    if serious:
        raise ImproperlyConfigured("Unified does not start.\n" + "\n".join(str(message) for message in serious))


def _check_static_files() -> Iterable[checks.CheckMessage]:
    """Of who serves alone: other commands need none, and `collectstatic` is one of them."""
    if not settings.DEBUG and not (settings.STATIC_ROOT / "staticfiles.json").exists():
        yield checks.Error(
            f"The pages' static files are not in {settings.STATIC_ROOT}, and DEBUG is off: every page would fail.",
            hint="Run 'python manage.py collectstatic --noinput', again after each new version.",
            id="unified.E016",
        )
