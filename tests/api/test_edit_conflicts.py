"""If-Match on PATCH and DELETE: of two who change a project, the second hears of the first instead of undoing it."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import everything_of, refused
from tests.api.pictures import as_base64, draw
from tests.api.projects import MEGABYTE, code_of, codes_of_sizes, row, text
from tests.client import ApiClient

BOTH = pytest.mark.parametrize("method", ["patch", "delete"])


def change(client: ApiClient, method: str, code: str, tags: str, user_id: str = "alice") -> Any:
    """An edit or a deletion of the project on this condition."""
    headers = {"If-Match": tags}
    if method == "delete":
        return client.delete(f"projects/{code}", headers=headers, user_id=user_id)
    return client.patch(f"projects/{code}", {"user_id": user_id, "title": "Changed"}, headers=headers)


def refused_change(client: ApiClient, method: str, project: str, tags: str, **how: Any) -> dict[str, Any]:
    """The answer to the same that changes nothing; `how` as `refused` takes it."""
    wanted = {"user_id": "alice"} if method == "delete" else {"user_id": "alice", "title": "Changed"}
    return refused(client, f"projects/{project}", wanted, method=method, headers={"If-Match": tags}, **how)


def edited_once(client: ApiClient) -> str:
    """The code of a project at version 2."""
    code = code_of(client)
    assert client.patch(f"projects/{code}", user_id="alice", title="Edited").status_code == 200
    return code


@BOTH
@pytest.mark.parametrize(
    "tags",
    [
        '"{code}-2"',
        "*",
        " * ",
        '  "{code}-2"\t',
        '"{code}-1", "{code}-2"',
        '"{code}-2","{code}-2"',
        'W/"{code}-2", "{code}-2"',
        '"" , "anything,with,commas" ,"{code}-2"',
        '"\xe9", "{code}-2"',
        ", ".join([f'"{{code}}-{number}"' for number in range(3, 200)] + ['"{code}-2"']),
    ],
)
def test_the_present_version_among_those_named_lets_it_happen(
    alice: User, as_penora: ApiClient, method: str, tags: str
) -> None:
    code = edited_once(as_penora)

    assert change(as_penora, method, code, tags.format(code=code)).status_code == 200

    assert (row(code).title == "Changed") == (method == "patch")
    assert (row(code).deleted_at is not None) == (method == "delete")


OTHER_VERSIONS = [
    '"{code}-1"',
    '"{code}-3"',
    '"{code}-1", "{code}-3"',
    'W/"{code}-2"',
    'W/"{code}-1", W/"{code}-2"',
    '"{code}-02"',
    '"{code}-2x"',
    '"{code}--2"',
    '"{code}-+2"',
    '"{code}-٢"',
    '"{code}-{huge}"',
    '"{code}"',
    '"-2"',
    '"2"',
    '""',
    '"*"',
    '"{other}-2"',
    '"{lower}-2"',
    '"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
]


@BOTH
def test_any_other_tag_is_a_412_that_tells_the_present_one(alice: User, as_penora: ApiClient, method: str) -> None:
    """
    Tags are compared strongly, byte for byte: a weak one, one of another project at the same version, or one of the
    content's bytes matches nothing. "…-02" was taken for "…-2" once.
    """
    code = "1"
    while code.isdigit():  # one that has a lower case
        code = edited_once(as_penora)
    other = edited_once(as_penora)

    for tags in OTHER_VERSIONS:
        sent = tags.format(code=code, other=other, lower=code.lower(), huge="2" * 30)
        sent = sent.encode().decode("latin-1")  # as a server hands on what is no ASCII
        answer = refused_change(as_penora, method, code, sent, about=alice, status=412, code="edit_conflict")
        assert (answer["error"], answer["etag"]) == ("Edit conflict", f'"{code}-2"'), tags
        assert change(as_penora, method, code, sent)["ETag"] == f'"{code}-2"', tags
    assert change(as_penora, method, code, answer["etag"]).status_code == 200


NO_TAGS = [
    *("", " ", "{code}-2", "'{code}-2'", '"{code}-2', '{code}-2"', '"', '"a b"', '"{code}-2 "', '"a\x7f"'),
    *('w/"{code}-2"', 'W / "{code}-2"', "W/{code}-2", '"{code}-2" "{code}-1"', '"{code}-2"; q=1', '*, "{code}-2"'),
    *("**", "W/*", "null", "{code}-2, {code}-1", '"{code}-2",x', '"a"' * 500, '"' * 1_001),
]


@BOTH
def test_what_is_no_list_of_tags_is_refused_by_name(alice: User, as_penora: ApiClient, method: str) -> None:
    """Taking it for "any version will do" would lose the edit that it is there to save."""
    code = edited_once(as_penora)

    for tags in NO_TAGS:
        refused_change(as_penora, method, code, tags.format(code=code), about=alice, field="If-Match")


@BOTH
def test_a_tag_fits_however_the_code_is_typed(alice: User, as_penora: ApiClient, method: str) -> None:
    code = edited_once(as_penora)
    typed = f"{code[:3]}-{code[3:]}".lower().replace("0", "o").replace("1", "l")

    assert change(as_penora, method, typed, f'"{code}-2"').status_code == 200


@BOTH
def test_whose_project_it_is_comes_before_its_version(
    alice: User, bob: User, as_penora: ApiClient, method: str
) -> None:
    """Else the tag of a 412 would tell a stranger that there is such a project."""
    code = edited_once(as_penora)
    before = everything_of(alice)

    for tags in (f'"{code}-1"', f'"{code}-2"', "*"):
        response = change(as_penora, method, code, tags, user_id="bob")
        assert (response.status_code, response.json()["code"]) == (404, "project_not_found")
        assert "ETag" not in response
    assert everything_of(alice) == before


def test_both_apps_edit_and_the_second_repeats_on_what_the_first_made_of_it(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    code = code_of(as_penora, metadata={"tags": ["sea"]})
    seen = [client.get(f"projects/{code}", user_id="alice") for client in (as_penora, as_imagegene)]
    metadata = {"tags": ["sea", "sun"]}
    as_penora.patch(f"projects/{code}", user_id="alice", metadata=metadata, headers={"If-Match": seen[0]["ETag"]})

    wanted = {"user_id": "alice", "metadata": {"tags": ["sea", "sand"]}}
    late = as_imagegene.patch(f"projects/{code}", wanted, headers={"If-Match": seen[1]["ETag"]})

    assert (late.status_code, row(code).metadata) == (412, metadata)
    fresh = as_imagegene.get(f"projects/{code}", user_id="alice")
    assert fresh.json()["project"]["etag"] == late["ETag"] == late.json()["etag"]
    wanted["metadata"] = {"tags": [*fresh.json()["project"]["metadata"]["tags"], "sand"]}
    assert as_imagegene.patch(f"projects/{code}", wanted, headers={"If-Match": fresh["ETag"]}).status_code == 200
    assert row(code).metadata == {"tags": ["sea", "sun", "sand"]}


def test_the_tag_of_an_answer_is_good_for_the_next_edit(alice: User, as_penora: ApiClient) -> None:
    """Of a save, an edit, a listing, a restoring: an app need not ask again to edit on."""
    code = code_of(as_penora)
    (listed,) = as_penora.get("projects", user_id="alice").json()["all_projects"]
    tag = listed["etag"]
    for number in range(3):
        response = as_penora.patch(
            f"projects/{code}", {"user_id": "alice", "title": f"{number}"}, headers={"If-Match": tag}
        )
        assert response.status_code == 200
        tag = response["ETag"]
    as_penora.delete(f"projects/{code}", user_id="alice")
    restored = as_penora.post(f"projects/{code}/restore", user_id="alice").json()["project"]["etag"]

    assert restored == tag == f'"{code}-4"'
    assert change(as_penora, "patch", code, restored).status_code == 200


def test_an_edit_without_the_header_is_made_on_whatever_there_is(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    code = edited_once(as_penora)

    response = as_imagegene.patch(f"projects/{code}", user_id="alice", project_type="file")

    assert response.status_code == 200
    assert (row(code).title, row(code).project_type, row(code).version) == ("Edited", "file", 3)


@pytest.mark.parametrize("content", [text(MEGABYTE + 1), as_base64(draw("PNG"))])
def test_a_conflict_is_told_before_a_want_of_room(alice: User, as_penora: ApiClient, content: str) -> None:
    """What another has made of it decides what there is room for."""
    (code,) = codes_of_sizes(as_penora, MEGABYTE)
    wanted = {"user_id": "alice", "content": content}

    refused(
        as_penora,
        f"projects/{code}",
        wanted,
        about=alice,
        method="patch",
        headers={"If-Match": f'"{code}-7"'},
        status=412,
        code="edit_conflict",
    )


@pytest.mark.parametrize("route", ["save-project", "projects/{code}/restore"])
def test_where_nothing_is_edited_the_header_is_passed_over(alice: User, as_penora: ApiClient, route: str) -> None:
    wanted = {"user_id": "alice", "app_source": "penora", "project_type": "page", "title": "T", "content": "text"}
    code = code_of(as_penora)

    response = as_penora.post(route.format(code=code), wanted, headers={"If-Match": '"other-1"'})

    assert response.status_code in (200, 201)
