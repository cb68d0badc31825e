"""Codes on every route that takes one: those that are none, and the many ways to type one that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from accounts.models import User
from tests.api.conftest import everything_of
from tests.api.pictures import as_base64, draw
from tests.api.projects import code_of, deleted, row
from tests.client import ApiClient
from tests.clock import let_pass
from workspace.models import Project, undo_time

Call = Callable[[ApiClient, str, str], Any]


def get(part: str = "", **headers: str) -> Call:
    return lambda client, code, who: client.get(f"projects/{quote(code)}{part}", user_id=who, headers=headers)


def patch(headers: dict[str, str] | None = None, **changes: Any) -> Call:
    return lambda client, code, who: client.patch(
        f"projects/{quote(code)}", {"user_id": who, "title": "No", **changes}, headers=headers
    )


def delete(**headers: str) -> Call:
    return lambda client, code, who: client.delete(f"projects/{quote(code)}", user_id=who, headers=headers)


def clean_up(**how: Any) -> Call:
    return lambda client, code, who: client.post("cleanup", {"user_id": who, "codes": [code], **how})


ROUTES: dict[str, Call] = {
    "get": get(),
    "get if not known": get(**{"If-None-Match": "*"}),
    "content": get("/content"),
    "thumbnail": get("/thumbnail"),
    "edit": patch(),
    "edit if any": patch({"If-Match": "*"}),
    "edit if the same": patch({"If-Match": '"000000-1"'}),
    "replace": patch(content="No"),
    "replace by a picture": patch(content=as_base64(draw("PNG"))),
    "delete": delete(),
    "delete if the same": delete(**{"If-Match": '"000000-1"'}),
    "restore": lambda client, code, who: client.post(f"projects/{quote(code)}/restore", user_id=who),
    "remove": lambda client, code, who: client.delete("trash", user_id=who, code=code),
    "clean up": clean_up(),
    "say what would go": clean_up(dry_run=True),
}


def on(route: str, client: ApiClient, code: str, who: str = "alice") -> Any:
    return ROUTES[route](client, code, who)


EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES)
# (To the other two, a project in the trash is there.)
LIVE_ROUTES = pytest.mark.parametrize("route", [name for name in ROUTES if name not in ("restore", "remove")])


def free_code() -> str:
    """One that is nobody's."""
    taken = set(Project.objects.values_list("code", flat=True))
    return next(code for code in ("000000", "000001", "000002") if code not in taken)


def assert_as_if_there_were_none(client: ApiClient, route: str, code: str) -> None:
    """To the byte, but for the code, and in its headers: nothing tells a stranger's project from none."""
    none = free_code()
    found, nothing = on(route, client, code), on(route, client, none)

    assert found.status_code == 404
    assert found.json() == {
        "success": False,
        "error": "Project not found",
        "details": "No project has this code.",
        "code": "project_not_found",
        "project_code": code,
    }
    assert found.content.replace(code.encode(), b"?") == nothing.content.replace(none.encode(), b"?")
    headers = [{**response.headers, "X-Request-ID": "", "Content-Length": ""} for response in (found, nothing)]
    assert headers[0] == headers[1]
    assert "ETag" not in found


@EVERY_ROUTE
def test_a_strangers_code_is_as_one_that_does_not_exist(
    alice: User, bob: User, as_penora: ApiClient, route: str
) -> None:
    kept, in_trash = (code_of(as_penora, user_id="bob", content=as_base64(draw("PNG"))) for _ in range(2))
    as_penora.delete(f"projects/{in_trash}", user_id="bob")
    before = everything_of(alice), everything_of(bob)

    for code in (kept, in_trash):
        assert_as_if_there_were_none(as_penora, route, code)

    assert (everything_of(alice), everything_of(bob)) == before


@LIVE_ROUTES
def test_ones_own_in_the_trash_is_as_one_that_does_not_exist(alice: User, as_penora: ApiClient, route: str) -> None:
    code = code_of(as_penora, content=as_base64(draw("PNG")))
    deleted(as_penora, code)
    before = everything_of(alice)

    assert_as_if_there_were_none(as_penora, route, code)

    assert everything_of(alice) == before


@EVERY_ROUTE
def test_when_its_days_are_over_it_is_as_one_that_does_not_exist(alice: User, as_penora: ApiClient, route: str) -> None:
    code = code_of(as_penora, content=as_base64(draw("PNG")))
    deleted(as_penora, code)
    let_pass(undo_time())

    assert_as_if_there_were_none(as_penora, route, code)


NO_CODES = [
    "nothing",
    "00000",
    "0000000",
    "00000U",
    "é00000",
    "٠٠٠٠٠٠",
    "ı00000",
    "00 000",
    "' OR 1=1 --",
    "-",
    "0" * 64,
]


@EVERY_ROUTE
def test_what_can_be_no_code_is_not_found_as_it_was_given(alice: User, as_penora: ApiClient, route: str) -> None:
    before = everything_of(alice)

    for typed in NO_CODES:
        response = on(route, as_penora, typed)
        assert (response.status_code, response.json()["code"]) == (404, "project_not_found")
        assert response.json()["project_code"] == typed

    assert everything_of(alice) == before


@pytest.mark.parametrize("typed", ["x" * 2_000, "a\x00b", "\n", "%", "a\\b", "🎨" * 6])
def test_an_address_with_anything_in_it_is_not_found(alice: User, as_penora: ApiClient, typed: str) -> None:
    code_of(as_penora)
    before = everything_of(alice)

    for route in ("get", "content", "thumbnail", "edit", "replace", "delete", "restore"):
        response = on(route, as_penora, typed)
        assert (response.status_code, response.json()["project_code"]) == (404, typed), route

    assert everything_of(alice) == before


def ways_to_type(code: str) -> list[str]:
    return [
        code.lower(),
        f"{code[:3]}-{code[3:]}",
        f" {code} ",
        "-".join(code),
        code.replace("0", "O").replace("1", "I"),
        code.lower().replace("0", "o").replace("1", "l"),
    ]


@pytest.fixture
def memorable(alice: User, as_penora: ApiClient) -> str:
    """A picture whose code has letters in it, and digits that look like others."""
    Project.objects.filter(code=code_of(as_penora, content=as_base64(draw("PNG")))).update(code="A0B1CD")
    return "A0B1CD"


@pytest.mark.parametrize("route", ["get", "content", "thumbnail", "edit", "replace", "say what would go"])
def test_a_code_may_be_typed_as_people_do(alice: User, as_penora: ApiClient, memorable: str, route: str) -> None:
    for typed in [memorable, *ways_to_type(memorable)]:
        if route in ("content", "thumbnail"):
            assert on(route, as_penora, typed).status_code == 200, typed
            continue
        answer = on(route, as_penora, typed).json()
        found = answer["project"] if "project" in answer else answer["removed"][0]
        assert found["code"] == memorable, typed


@pytest.mark.parametrize("route", ["delete", "clean up"])
def test_what_was_deleted_as_typed_is_restored_and_removed_as_typed(
    alice: User, as_penora: ApiClient, memorable: str, route: str
) -> None:
    for typed in ways_to_type(memorable):
        assert on(route, as_penora, typed).status_code == 200, typed
        assert row(memorable).deleted_at is not None
        answer = on("restore", as_penora, typed).json()
        assert (answer["project"]["code"], row(memorable).deleted_at) == (memorable, None)
    deleted(as_penora, memorable)
    assert on("remove", as_penora, ways_to_type(memorable)[-1]).json()["removed_count"] == 1


@pytest.mark.parametrize("route", [name for name in ROUTES if name not in ("content", "thumbnail")])
def test_nobody_by_this_id_is_told_so(alice: User, as_penora: ApiClient, route: str) -> None:
    code = code_of(as_penora)
    before = everything_of(alice)

    response = on(route, as_penora, code, "nobody")

    assert (response.status_code, response.json()["code"]) == (404, "user_not_found")
    assert response.json()["user_id"] == "nobody"
    assert everything_of(alice) == before
