"""Every address that Django's resolver knows, and what a call has written: for tests that ask all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def routes() -> dict[str, Any]:
    """Every address that the resolver knows, and its view."""
    return dict(_walk(get_resolver().url_patterns, ""))


def _walk(patterns: list[Any], before: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        whole = before + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, whole)
        else:
            assert isinstance(pattern, URLPattern)
            yield whole, pattern.callback


class Writes:
    """
    How many rows of which table this transaction has inserted, changed or deleted; also what was undone, so a refusal
    must not even have tried. (The functions behind pg_stat_xact_user_tables, which itself takes its time.)
    """

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
            self.tables = [oid for (oid,) in cursor.fetchall()]

        self.before: Counter[str] = Counter()

    def since(self) -> Counter[str]:
        """Since this was last asked."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid::regclass::text, n FROM (SELECT oid, pg_stat_get_xact_tuples_inserted(oid)"
                " + pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid) AS n"
                " FROM unnest(%s::oid[]) AS oid) AS counted WHERE n > 0",
                [self.tables],
            )
            now = Counter(dict(cursor.fetchall()))
        new, self.before = now - self.before, now
        return new
