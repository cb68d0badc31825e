"""Each documented call without a credential and with one, against a service that is open and one that is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.quickstart.service import Answer, Service


class Call(NamedTuple):
    """A documented call about somebody (`{user}`) who exists, and the status that it gives."""

    route: str
    status: int = 200
    fields: dict[str, Any] | None = None

    def made(self, service: Service, user: str, *, slash: bool = False, **options: Any) -> Answer:
        path, question, query = self.route.format(user=user).partition("?")
        body = None if self.fields is None else {"user_id": user, **self.fields}
        method = "GET" if body is None else "POST"
        return service.call(method, f"{path}{'/' * slash}{question}{query}", body, **options)


CALLS = [
    Call("create-user", 200, {"username": "Some One", "email": "one@example.com"}),
    Call("user-info?user_id={user}"),
    Call("projects?user_id={user}"),
    Call(
        "save-project",
        201,
        {"app_source": "imagegene", "project_type": "ai_art", "title": "Test Project", "content": "test content"},
    ),
    Call("deduct-credits", 200, {"amount": 2, "app_name": "imagegene", "description": "Test generation"}),
    Call("transactions?user_id={user}&limit=50"),
    Call("storage-stats?user_id={user}"),
    Call("pricing"),
]
every_call = pytest.mark.parametrize("call", CALLS, ids=[call.route.partition("?")[0] for call in CALLS])
with_and_without_slash = pytest.mark.parametrize("slash", [False, True], ids=["", "slash"])


def assert_unauthenticated(answer: Answer) -> None:
    assert answer.status == 401, answer.body
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json() == {
        "success": False,
        "error": "Authentication required",
        "details": answer.json()["details"],
        "code": "not_authenticated",
    }
    assert isinstance(answer.json()["details"], str)
    assert "X-Unified-Auth" not in answer.headers


@every_call
@with_and_without_slash
def test_a_bare_call_in_the_quickstart_works_and_says_so(
    open_service: Service, new_user: Callable[..., str], call: Call, slash: bool
) -> None:
    answer = call.made(open_service, new_user(open_service), slash=slash)
    assert answer.status == call.status, answer.body
    assert answer.json()["success"] is True
    assert answer.headers["X-Unified-Auth"] == "quickstart-open"
    assert answer.headers["X-Request-ID"]


@every_call
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_this_machines_other_names_are_as_good(
    open_service: Service, new_user: Callable[..., str], call: Call, host: str
) -> None:
    headers = {"Host": f"{host}:{open_service.port}"}
    answer = call.made(open_service, new_user(open_service), headers=headers)
    assert answer.status == call.status, answer.body


@every_call
@with_and_without_slash
def test_a_call_with_a_key_works_where_keys_are_enforced(
    enforced_service: Service, new_user: Callable[..., str], call: Call, slash: bool
) -> None:
    key = enforced_service.facts["app_keys"]["imagegene"]
    answer = call.made(enforced_service, new_user(enforced_service), slash=slash, key=key)
    assert answer.status == call.status, answer.body
    assert answer.json()["success"] is True
    assert "X-Unified-Auth" not in answer.headers


@every_call
def test_a_call_with_a_key_works_in_the_quickstart(
    open_service: Service, new_user: Callable[..., str], call: Call
) -> None:
    key = open_service.facts["app_keys"]["imagegene"]
    answer = call.made(open_service, new_user(open_service), key=key)
    assert answer.status == call.status, answer.body
    assert "X-Unified-Auth" not in answer.headers


@every_call
@with_and_without_slash
def test_a_bare_call_is_refused_where_keys_are_enforced(
    enforced_service: Service, new_user: Callable[..., str], call: Call, slash: bool
) -> None:
    user = new_user(enforced_service)
    assert_unauthenticated(call.made(enforced_service, user, slash=slash))
    key = enforced_service.facts["app_keys"]["imagegene"]
    info = enforced_service.call("GET", f"user-info?user_id={user}", key=key).json()
    assert (info["credits"], info["storage"]["used_bytes"]) == (50, 0)


@every_call
def test_a_wrong_key_is_refused_even_in_the_quickstart(
    open_service: Service, new_user: Callable[..., str], call: Call
) -> None:
    good = open_service.facts["app_keys"]["imagegene"]
    user = new_user(open_service)
    for key in ("wrong", good[:-1] + ("0" if good[-1] != "0" else "1"), good.upper()):
        assert_unauthenticated(call.made(open_service, user, key=key))


@every_call
@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=127.0.0.1"),
        ("Origin", "https://elsewhere.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ],
    ids=": ".join,
)
def test_a_bare_call_that_is_not_the_developers_is_refused(
    open_service: Service,
    new_user: Callable[..., str],
    call: Call,
    header: tuple[str, str],
) -> None:
    assert_unauthenticated(call.made(open_service, new_user(open_service), headers=dict([header])))


@pytest.mark.parametrize("host", ["penora.example", "127.0.0.1.example", "0.0.0.0"])  # noqa: S104
def test_a_name_that_was_made_to_point_here_is_refused(open_service: Service, host: str) -> None:
    answer = open_service.call("GET", "pricing", headers={"Host": f"{host}:{open_service.port}"})
    assert answer.status in (400, 401)
    assert answer.json()["success"] is False


def test_one_apps_key_does_not_act_for_the_other(enforced_service: Service, new_user: Callable[..., str]) -> None:
    user = new_user(enforced_service)
    body = {"user_id": user, "amount": 2, "app_name": "imagegene", "description": "Test generation"}
    answer = enforced_service.call("POST", "deduct-credits", body, key=enforced_service.facts["app_keys"]["penora"])
    assert answer.status == 403
    assert answer.json()["code"] == "permission_denied"
