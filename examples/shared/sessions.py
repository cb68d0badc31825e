"""
Flask sessions that stay on the server: the browser holds a random id and nothing else, so no token ever reaches it.

In memory, for one process. An app that runs in several keeps the same in Redis or in its database.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin

IDLE_SECONDS = 8 * 3600


class Session(dict[str, Any], SessionMixin):
    """One browser's session. Requests of the same browser share the object, whichever thread serves them."""

    def __init__(self) -> None:
        super().__init__()
        self.id = secrets.token_urlsafe(32)
        self.former_id: str | None = None
        self.lock = threading.Lock()
        self.used_at = time.monotonic()

    def renew(self) -> None:
        """Takes a new id. Due whenever somebody signs in or out, so that an id known from before opens nothing."""
        self.former_id, self.id = self.id, secrets.token_urlsafe(32)


class MemorySessions(SessionInterface):
    def __init__(self) -> None:
        self._kept: dict[str, Session] = {}

    def open_session(self, app: Flask, request: Request) -> Session:
        session = self._kept.get(request.cookies.get(self.get_cookie_name(app), ""))
        if session is None or session.used_at < time.monotonic() - IDLE_SECONDS:
            return Session()
        session.used_at = time.monotonic()
        return session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not session or not isinstance(session, Session):
            return  # nothing to remember: a visitor that is only looked at, such as a health check, gets no cookie
        if session.former_id is not None:
            self._kept.pop(session.former_id, None)
            session.former_id = None
        if session.id not in self._kept:
            self._forget_idle()
            self._kept[session.id] = session
        response.set_cookie(
            self.get_cookie_name(app),
            session.id,  # without a lifetime: it ends with the browser
            httponly=True,
            samesite="Lax",
            secure=self.get_cookie_secure(app),
        )

    def _forget_idle(self) -> None:
        before = time.monotonic() - IDLE_SECONDS
        for session in list(self._kept.values()):
            if session.used_at < before:
                self._kept.pop(session.id, None)
