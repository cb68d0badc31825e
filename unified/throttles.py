"""
Ceilings on what can be tried again and again: passwords, keys, tokens, codes.

Counted in the memory of each web process, in windows of fixed length, so a ceiling holds per process. What is counted
are failures, and, but for passwords, only failures are held up: what is right is answered, whatever else was tried from
the same place. (Keys, tokens and codes are random; no number of tries finds one. A wrong password costs a slow hash.)
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from django.core.cache import cache


@dataclass(frozen=True, slots=True)
class Ceiling:
    """At most `limit` in any window of `seconds`. A caller who cannot be told from others (None) is not held up."""

    name: str
    limit: int
    seconds: int

    def wait(self, caller: str | None) -> int:
        """For how many seconds the caller has to wait; 0 if they may go on."""
        if caller is None:
            return 0
        window = self._window()
        used = cache.get(self._key(caller, window), 0)
        return max(1, int((window + 1) * self.seconds - time.time())) if used >= self.limit else 0

    def count(self, caller: str | None) -> None:
        if caller is None:
            return
        key = self._key(caller, self._window())
        if not cache.add(key, 1, timeout=self.seconds):
            try:
                cache.incr(key)
            except ValueError:  # it ran out between the two
                cache.set(key, 1, timeout=self.seconds)

    def _window(self) -> int:
        return int(time.time()) // self.seconds

    def _key(self, caller: str, window: int) -> str:
        # By its digest: what a caller has sent can be long, and have any character in it.
        return f"ceiling:{self.name}:{window}:{hashlib.sha256(caller.encode(errors='replace')).hexdigest()}"


# Wrong passwords, by place: enough for an office behind one address, too little for guessing.
PASSWORDS = Ceiling("password", limit=30, seconds=60)
# Ways to the identity provider, by place: there is nothing to guess, but each keeps a session.
BEGINNINGS = Ceiling("begin", limit=300, seconds=60)
# App keys and tokens that were looked up and not found, by place.
CREDENTIALS = Ceiling("credential", limit=300, seconds=60)
# Refused calls of the token, revocation and introspection endpoints, by place.
TOKENS = Ceiling("token", limit=60, seconds=60)
# Project codes that were looked up and not found, by app and person. Whoever types codes stays far below.
CODES = Ceiling("code", limit=120, seconds=60)
# Wrong second factors, by person and place, beside what the library holds up: of recovery codes it holds up none.
SECOND_FACTORS = Ceiling("second-factor", limit=10, seconds=60)
