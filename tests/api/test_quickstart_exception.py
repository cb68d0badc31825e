"""The quickstart exception: the guide's samples run without a credential, and only where all of its conditions hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import everything_of
from tests.client import ApiClient

DEDUCTION = {"user_id": "alice", "amount": 2, "app_name": "imagegene", "description": "Test generation"}
HERE = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


@pytest.fixture
def open_door(settings: Any) -> Any:
    """A developer's own machine with the flag set; the settings, so that a test can take one of them away."""
    settings.DEBUG = settings.QUICKSTART_OPEN = True
    return settings


def read(**environment: Any) -> Any:
    return ApiClient().request("GET", "/api/unified/user-info?user_id=alice", **{**HERE, **environment})


def write(*, content_type: str = "application/json", data: Any = None, **environment: Any) -> Any:
    body = json.dumps(DEDUCTION).encode() if data is None else data
    return ApiClient().request(
        "POST", "/api/unified/deduct-credits", data=body, content_type=content_type, **{**HERE, **environment}
    )


def assert_shut(response: Any) -> None:
    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == "Bearer"
    assert "X-Unified-Auth" not in response


def test_a_bare_call_works_and_says_why(alice: User, open_door: Any) -> None:
    for response in (read(), write()):
        assert response.status_code == 200
        assert response["X-Unified-Auth"] == "quickstart-open"
    assert everything_of(alice)["account"]["balance"] == 48


def test_any_app_may_be_named(alice: User, open_door: Any) -> None:
    for app in ("penora", "imagegene"):
        response = ApiClient().request(
            "POST",
            "/api/unified/save-project",
            content_type="application/json",
            data=b'{"user_id": "alice", "app_source": "%s", "project_type": "ai_art", "title": "Test Project",'
            b' "content": "test content"}' % app.encode(),
            **HERE,
        )
        assert response.status_code == 201


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "LOCALHOST", "127.0.0.1:8000", "127.8.8.8", "[::1]:8000"]
)
def test_every_name_of_this_machine_will_do(alice: User, open_door: Any, host: str) -> None:
    open_door.ALLOWED_HOSTS = ["*"]

    for address in ("127.0.0.1", "127.1.2.3", "::1"):
        assert read(HTTP_HOST=host, REMOTE_ADDR=address).status_code == 200


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_json_may_be_written(alice: User, open_door: Any, content_type: str) -> None:
    assert write(content_type=content_type).status_code == 200


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_a_page_of_this_origin_may_call(alice: User, open_door: Any, site: str) -> None:
    assert read(HTTP_SEC_FETCH_SITE=site).status_code == 200


@pytest.mark.parametrize("name", ["QUICKSTART_OPEN", "DEBUG"])
def test_with_one_setting_off_it_is_shut(alice: User, open_door: Any, name: str) -> None:
    setattr(open_door, name, False)

    for response in (read(), write()):
        assert_shut(response)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("REMOTE_ADDR", value) for value in ("192.168.1.7", "10.0.0.1", "203.0.113.9", "0.0.0.1", "", "localhost")),
        *(("REMOTE_ADDR", value) for value in ("fe80::1", "::", "128.0.0.1")),
        *(
            ("HTTP_HOST", value)
            for value in ("example.com", "localhost.example.com", "notlocalhost", "127.0.0.1.nip.io")
        ),
        *(("HTTP_HOST", value) for value in ("192.168.1.7:8000", "0.0.0.0:8000", "testserver", "128.0.0.1")),
        *(("HTTP_FORWARDED", value) for value in ("for=127.0.0.1", "")),
        *(("HTTP_X_FORWARDED_FOR", value) for value in ("127.0.0.1", "203.0.113.9", "")),
        *(("HTTP_X_FORWARDED_PROTO", value) for value in ("http", "")),
        *(("HTTP_X_FORWARDED_HOST", value) for value in ("localhost", "")),
        ("HTTP_X_FORWARDED_PORT", "443"),
        ("HTTP_X_FORWARDED_SERVER", "localhost"),
        *(("HTTP_ORIGIN", value) for value in ("https://evil.example", "http://localhost:8000", "null", "")),
        *(("HTTP_SEC_FETCH_SITE", value) for value in ("cross-site", "same-site", "anything")),
        *(("HTTP_AUTHORIZATION", value) for value in ("Bearer nonsense", "Basic YTpi", "Bearer", "")),
    ],
)
def test_with_one_condition_not_met_it_is_shut(alice: User, open_door: Any, name: str, value: str) -> None:
    open_door.ALLOWED_HOSTS = ["*"]
    before = everything_of(alice)

    for response in (read(**{name: value}), write(**{name: value})):
        assert_shut(response)
    assert everything_of(alice) == before


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "*/*"]
)
def test_what_a_form_could_send_is_shut_out(alice: User, open_door: Any, content_type: str) -> None:
    """A page of another origin can make a browser send these without asking first."""
    before = everything_of(alice)

    assert_shut(write(content_type=content_type))
    assert everything_of(alice) == before


def test_a_key_still_counts_where_the_door_is_open(alice: User, open_door: Any, imagegene_key: str) -> None:
    response = ApiClient(key=imagegene_key).request("GET", "/api/unified/user-info?user_id=alice", **HERE)

    assert response.status_code == 200
    assert "X-Unified-Auth" not in response


def test_failures_carry_the_header_too(alice: User, open_door: Any) -> None:
    response = ApiClient().request("GET", "/api/unified/user-info?user_id=nobody", **HERE)

    assert (response.status_code, response["X-Unified-Auth"]) == (404, "quickstart-open")
