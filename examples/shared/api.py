"""Unified's API with a person's own token, and the way to make something that costs credits."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from examples.shared.signin import SignedOut, SignIn

TIMEOUT_SECONDS = 30
WAITS = (0.3, 1, 2)  # before a POST is sent again
TRY_AGAIN = {"request_in_progress", "throttled"}


class Refused(Exception):
    """Unified understood and said no. `told` has its title, sentence, code, and the numbers that matter."""

    def __init__(self, status: int, told: dict[str, Any]) -> None:
        super().__init__(str(told.get("details") or told.get("error")))
        self.status = status
        self.code = str(told.get("code"))
        self.told = told


class CouldNotMake(Exception):
    """The app's own work failed."""


@dataclass(frozen=True)
class Work:
    """What an app has made, as `save-project` takes it."""

    title: str
    content: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Maker:
    """What one app makes, and what it is called in Unified."""

    app: str
    operation: str
    project_type: str
    room: int  # bytes that are kept free in the workspace while the work is done
    make: Callable[[str], Work]


class Api:
    def __init__(self, unified_url: str, signin: SignIn) -> None:
        self._url = f"{unified_url}/api/unified/"
        self._signin = signin

    def get(self, route: str, **query: Any) -> dict[str, Any]:
        return self._call("GET", route, params=query)

    def post(self, route: str, key: str, **body: Any) -> dict[str, Any]:
        """One POST. However often it has to be sent, its key makes sure that it is done once."""
        return self._call("POST", route, json=body, headers={"Idempotency-Key": key})

    def generate(self, maker: Maker, prompt: str, attempt: str) -> dict[str, Any]:
        """
        Holds the credits, does the work, and pays in the transaction that saves it.

        `attempt` names the person's wish: sent twice, it is granted once. Nobody says `user_id`: the token knows.
        """
        hold = self.post(
            "reserve-credits",
            f"{attempt}-reserve",
            app_name=maker.app,
            operation=maker.operation,
            quantity=1,
            storage_bytes=maker.room,
        )
        saved = None
        try:
            work = _made(maker, prompt)  # seconds, in a real app; nobody can spend the held credits meanwhile
            saved = self.post(
                "save-project",
                f"{attempt}-save",
                app_source=maker.app,
                project_type=maker.project_type,
                title=work.title,
                content=work.content,
                metadata=work.metadata,
                hold_id=hold["hold_id"],
            )
            return saved
        finally:
            if saved is None:
                # Nothing was charged. Freed now, the credits can be spent at once; else when the hold runs out.
                with suppress(Refused, SignedOut, requests.RequestException):
                    self.post("release-credits", f"{attempt}-release", hold_id=hold["hold_id"])

    def _call(self, method: str, route: str, **request: Any) -> dict[str, Any]:
        token = self._signin.access_token()
        answer = self._send(method, route, token, **request)
        if answer.status_code == 401:
            # The token ended early: its person signed out, or somebody cut it. Renewed once, and not again.
            answer = self._send(method, route, self._signin.access_token(refused=token), **request)
            if answer.status_code == 401:
                raise SignedOut
        told: dict[str, Any] = answer.json()
        if not told.get("success"):
            raise Refused(answer.status_code, told)
        return told

    def _send(
        self, method: str, route: str, token: str, *, headers: dict[str, str] | None = None, **request: Any
    ) -> requests.Response:
        headers = {**(headers or {}), "Authorization": f"Bearer {token}"}
        # A POST whose answer was lost is sent again with its key. A GET is not: the person may reload the page.
        for wait in WAITS if method == "POST" else ():
            with suppress(requests.RequestException):  # no answer says nothing about whether it was done
                answer = requests.request(
                    method, self._url + route, headers=headers, timeout=TIMEOUT_SECONDS, **request
                )
                if answer.status_code < 500 and answer.json().get("code") not in TRY_AGAIN:
                    return answer
            time.sleep(wait)
        return requests.request(method, self._url + route, headers=headers, timeout=TIMEOUT_SECONDS, **request)


def _made(maker: Maker, prompt: str) -> Work:
    try:
        return maker.make(prompt)
    except Exception as problem:
        raise CouldNotMake(str(problem)) from problem
