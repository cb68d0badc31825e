"""
A client for the API that holds every answer against docs/openapi.yaml: an answer that the document does not describe
fails the test that got it, whatever that test was about.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.test import Client
from jsonschema import Draft202012Validator

BASE = "/api/unified/"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "openapi.yaml"


class ApiClient:
    def __init__(self, key: str | None = None) -> None:
        self.key = key
        # Unknown exceptions must come out as answers, as they do in production.
        self.client = Client(raise_request_exception=False)

    def get(self, route: str, *, headers: dict[str, str] | None = None, **query: Any) -> Any:
        response = self.client.get(BASE + route, query, headers=self._headers(headers))
        return check(response, "get", route)

    def delete(self, route: str, *, headers: dict[str, str] | None = None, **query: Any) -> Any:
        response = self.client.delete(BASE + route, headers=self._headers(headers), query_params=query)
        return check(response, "delete", route)

    def post(self, route: str, body: Any = None, **sent: Any) -> Any:
        """Sends `raw`, or `body`, or the keyword arguments as JSON; with `headers`, if there are any."""
        return self._send("post", route, body, **sent)

    def patch(self, route: str, body: Any = None, **sent: Any) -> Any:
        """The same with PATCH."""
        return self._send("patch", route, body, **sent)

    def _send(
        self,
        method: str,
        route: str,
        body: Any,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        **fields: Any,
    ) -> Any:
        content = raw if raw is not None else json.dumps(fields if body is None else body).encode()
        headers = self._headers(headers)
        content_type = headers.pop("Content-Type", "application/json")
        response = getattr(self.client, method)(BASE + route, content, content_type=content_type, headers=headers)
        return check(response, method, route)

    def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **extra: Any) -> Any:
        """Any method on any path, not held against the document."""
        return self.client.generic(method, path, headers=self._headers(headers), **extra)

    def _headers(self, headers: dict[str, str] | None) -> dict[str, str]:
        credential = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        return {**credential, **(headers or {})}


def check(response: Any, method: str, route: str) -> Any:
    """`response` itself, if the document describes it."""
    path = described_path(route)
    operation = document()["paths"].get(path, {}).get(method)
    if operation is None or not response.get("Content-Type", "").startswith("application/json"):
        return response
    described = operation["responses"].get(str(response.status_code))
    assert described, f"{method} {path} answered {response.status_code}, which docs/openapi.yaml does not have"
    if "*/*" in described["content"]:
        return response  # a project's bytes, which happen to be JSON
    schema = described["content"]["application/json"]["schema"]
    problems = [error.message for error in validator(json.dumps(schema)).iter_errors(response.json())]
    assert not problems, f"{method} {path} {response.status_code} is not as docs/openapi.yaml says: {problems}"
    return response


@cache
def described_path(route: str) -> str:
    """The document's path for `route`: projects/{code} for projects/7K3M9Q."""
    path = f"{BASE}{route.strip('/')}"
    if path in document()["paths"]:
        return path
    templates = (name for name in document()["paths"] if "{" in name)
    return next(
        (name for name in templates if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(name)), path)), path
    )


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    return loaded


@cache
def validator(schema: str) -> Draft202012Validator:
    whole = {**json.loads(schema), "components": document()["components"]}
    return Draft202012Validator(whole)
