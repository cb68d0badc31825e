"""
A person at a browser, and what the browser complains of while they look around: violations of the content security
policy, errors of scripts, requests to foreign hosts, answers that should have come.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response, WebError

from tests.browser.stack import Stack

# Chromium says it of every answer from 400 on, also of those that are meant.
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', event => console.error(
    `policy violated: ${event.effectiveDirective} ${event.blockedURI} at ${document.URL} ${event.sourceFile}`));
"""


class Visitor:
    """
    `expected` are the failures that a test is about: their statuses. All else that goes wrong is in `complaints`, and
    the fixture's end asserts that there are none.
    """

    def __init__(self, context: BrowserContext, *, stack: Stack | None, policy: str) -> None:
        self.context = context
        self.stack = stack
        self.complaints: list[str] = []
        self.expected: set[int] = set()
        self.pages_of_unified: list[str] = []
        self._policy = _directives(policy)
        context.add_init_script(_VIOLATIONS)
        context.on("console", self._heard)
        context.on("weberror", self._failed_script)
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        self.page = context.new_page()

    def open(self, url: str) -> Page:
        self.page.goto(url)
        return self.page

    def click(self, name: str, role: Any = "button") -> Page:
        self.page.get_by_role(role, name=name, exact=True).click()
        return self.page

    # --- What is noticed ----------------------------------------------------------------------------------------------

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        status = _STATUS.match(message.text)
        if not status or int(status[1]) not in self.expected:
            self.complaints.append(f"console: {message.text} ({message.location.get('url')})")

    def _failed_script(self, error: WebError) -> None:
        self.complaints.append(f"script: {error.error}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.complaints.append(f"foreign: {request.url}")

    def _failed(self, request: Request) -> None:
        if request.failure == "net::ERR_ABORTED":  # the page was left before all of it was there
            return
        self.complaints.append(f"failed: {request.method} {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.complaints.append(f"{response.status}: {response.request.method} {response.url}")
        if self.stack is None or not response.url.startswith(self.stack.unified.url):
            return
        is_page = response.headers.get("content-type", "").startswith("text/html")
        is_file = response.headers.get("content-disposition", "").startswith("attachment")
        if is_page and not is_file and response.status < 300:
            self.pages_of_unified.append(urlsplit(response.url).path)
            self._hold_against_production(response, self.stack)

    def _hold_against_production(self, response: Response, stack: Stack) -> None:
        """
        The header has to be that of production, to the letter, but for one thing that a page may say more: to which
        registered addresses its forms may lead on.
        """
        found = _directives(response.headers.get("content-security-policy", ""))
        targets = set(found.get("form-action", "").split())
        more = targets - set(self._policy["form-action"].split())
        same = {**found, "form-action": self._policy["form-action"]} == self._policy
        if not same or not more <= stack.registered:
            self.complaints.append(f"policy of {response.url}: {response.headers.get('content-security-policy')}")


def _directives(policy: str) -> dict[str, str]:
    """A policy as a table: the order of its directives means nothing, nor does that of their sources."""
    parts = (part.split() for part in policy.split(";") if part.strip())
    return {name: " ".join(sorted(sources)) for name, *sources in parts}
