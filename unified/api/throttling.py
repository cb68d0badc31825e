"""A ceiling on what one caller may send, for the day when an app runs wild. Off unless UNIFIED_API_RATE is set."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from unified.api.authentication import caller_of


class CallerThrottle(SimpleRateThrottle):
    """Counts per caller and per web process (the counter is in the process's own memory)."""

    scope = "caller"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        return self.cache_format % {"scope": self.scope, "ident": caller_of(request).scope} if request.user else None
