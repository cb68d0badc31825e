"""PATCH projects/{code}: what is changed, what stays, and what is refused. If-Match: test_edit_conflicts."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accounts.models import User
from tests.api.conftest import STAMP, everything_of, refused, tripwire
from tests.api.pictures import as_base64, as_data_uri, bomb, draw
from tests.api.projects import MEGABYTE, code_of, codes_of_sizes, counters, row, save, text
from tests.client import ApiClient
from tests.workspace.contents import body_of

PLAIN = "text/plain; charset=utf-8"
LOCALHOST = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


def edited(client: ApiClient, code: str, /, **changes: Any) -> dict[str, Any]:
    """The answer to an edit of alice's project that succeeds."""
    response = client.patch(f"projects/{code}", {"user_id": "alice", **changes})
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    assert response["ETag"] == answer["project"]["etag"]
    return answer


def refused_edit(client: ApiClient, project: str, wanted: dict[str, Any], **how: Any) -> dict[str, Any]:
    """The answer to an edit of alice's project that changes nothing; `how` as `refused` takes it."""
    return refused(client, f"projects/{project}", {"user_id": "alice", **wanted}, method="patch", **how)


def read(client: ApiClient, code: str) -> dict[str, Any]:
    project: dict[str, Any] = client.get(f"projects/{code}", user_id="alice").json()["project"]
    return project


@pytest.mark.parametrize(
    ("field", "value", "becomes"),
    [
        ("title", "A week in Porto – “é”", "A week in Porto – “é”"),
        ("title", "x" * 200, "x" * 200),
        ("title", "  padded ", "  padded "),
        ("project_type", "file", "file"),
        ("metadata", {"deep": [{"é": None}], "n": 1.5}, {"deep": [{"é": None}], "n": 1.5}),
        ("metadata", {}, {}),
        ("metadata", None, {}),
    ],
)
def test_one_field_changes_and_all_else_stays(
    alice: User, as_penora: ApiClient, field: str, value: Any, becomes: Any
) -> None:
    code = code_of(as_penora, content="Azulejos", metadata={"style": "travel"})
    before, rows = read(as_penora, code), everything_of(alice)

    answer = edited(as_penora, code, **{field: value})

    after = read(as_penora, code)
    assert re.fullmatch(STAMP, after["updated_at"])
    assert after["updated_at"] > before["updated_at"]
    assert after == {**before, field: becomes, "updated_at": after["updated_at"], "etag": f'"{code}-2"'}
    assert answer["success"] is True
    assert answer["project"] == {name: after[name] for name in after if name not in ("content", "content_encoding")}
    assert answer["image"] is None
    assert answer["storage_stats"]["used_bytes"] == 8
    rows_after = everything_of(alice)
    assert {name for name in rows if rows[name] != rows_after[name]} == {"projects"}


def test_several_fields_change_in_one_version(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)

    edited(as_penora, code, title="T", project_type="file", metadata={"a": 1}, content="content")

    project = row(code)
    assert (project.title, project.project_type, project.metadata, project.version) == ("T", "file", {"a": 1}, 2)
    assert body_of(project) == b"content"


def test_metadata_is_replaced_and_not_merged(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora, metadata={"a": 1, "b": {"c": 2}})

    edited(as_penora, code, metadata={"b": {"d": 3}})

    assert row(code).metadata == {"b": {"d": 3}}


def test_who_made_it_its_code_and_when_cannot_be_changed(alice: User, bob: User, as_imagegene: ApiClient) -> None:
    """Nor can anything else that is not named in the contract: what is not taken is passed over, as everywhere."""
    code = code_of(as_imagegene, "imagegene")
    before = read(as_imagegene, code)
    others = {
        "app_source": "penora",
        "code": "000000",
        "created_at": "2020-01-01T00:00:00Z",
        "etag": '"x-9"',
        "updated_at": "2020-01-01T00:00:00Z",
        "size_bytes": 1,
        "version": 99,
        "content_type": "text/html",
        "deleted_at": "2020-01-01T00:00:00Z",
        "user": "bob",
        "lossless": True,
        "original_bytes": 1,
    }

    edited(as_imagegene, code, title="Mine", **others)

    after = read(as_imagegene, code)
    assert after == {**before, "title": "Mine", "updated_at": after["updated_at"], "etag": f'"{code}-2"'}
    assert row(code).user == alice
    refused_edit(as_imagegene, code, {"user_id": "alice", **others}, about=alice, field="request")


# --- content ---------------------------------------------------------------------------------------------------------


def test_a_text_takes_the_place_of_a_text(alice: User, as_penora: ApiClient) -> None:
    code, other = codes_of_sizes(as_penora, 1_000, 50)

    answer = edited(as_penora, code, content="Überschrift")

    project = row(code)
    assert body_of(project) == "Überschrift".encode()
    assert answer["project"]["size_bytes"] == answer["project"]["original_bytes"] == project.size_bytes == 12
    assert answer["storage_stats"]["used_bytes"] == 62
    assert counters(alice) == {"all": (62, 2), "trash": (0, 0), "penora": (62, 2)}
    assert row(other).version == 1


@pytest.mark.parametrize(("maker", "other"), [("penora", "imagegene"), ("imagegene", "penora")])
def test_the_counter_of_the_app_that_made_it_follows_whoever_edits(
    alice: User, as_penora: ApiClient, as_imagegene: ApiClient, maker: str, other: str
) -> None:
    clients = {"penora": as_penora, "imagegene": as_imagegene}
    code = code_of(clients[maker], maker, content=text(100))
    codes_of_sizes(clients[other], 7, app=other)

    edited(clients[other], code, content=text(1_000))

    assert counters(alice) == {"all": (1_007, 2), "trash": (0, 0), maker: (1_000, 1), other: (7, 1)}
    assert row(code).app.slug == maker


def test_a_picture_takes_the_place_of_a_text_and_the_other_way_round(alice: User, as_penora: ApiClient) -> None:
    code, picture = code_of(as_penora, content=text(500)), draw("JPEG", size=(30, 20))

    answer = edited(as_penora, code, content=as_data_uri(picture, "image/jpeg"), compression="none")

    size = len(picture)
    project = answer["project"]
    assert (project["content_type"], project["width"], project["height"]) == ("image/jpeg", 30, 20)
    assert answer["image"] == {
        "format": "jpeg",
        "width": 30,
        "height": 20,
        "lossless": True,
        "original_bytes": size,
        "size_bytes": size,
    }
    assert body_of(row(code)) == picture
    assert as_penora.client.get(project["thumbnail_url"]).status_code == 200
    assert counters(alice)["penora"] == (size, 1)

    answer = edited(as_penora, code, content="Words")

    project = answer["project"]
    assert (project["content_type"], project["width"], project["height"], project["lossless"]) == (
        *(PLAIN, None, None, None),
    )
    assert (project["thumbnail_url"], answer["image"]) == (None, None)
    assert row(code).content.thumbnail is None
    assert counters(alice)["penora"] == (5, 1)


def test_a_new_picture_has_a_new_thumbnail(alice: User, as_imagegene: ApiClient) -> None:
    code = code_of(as_imagegene, "imagegene", content=as_base64(draw("PNG", colour="#ff0000")))
    before = bytes(row(code).content.thumbnail)

    answer = edited(as_imagegene, code, content=as_base64(draw("PNG", colour="#0000ff", size=(40, 40))))

    assert bytes(row(code).content.thumbnail) != before
    assert (answer["image"]["width"], answer["image"]["height"]) == (40, 40)


@pytest.mark.parametrize("size", [MEGABYTE, MEGABYTE - 1, 1])
def test_the_old_contents_room_is_free_for_the_new(alice: User, as_penora: ApiClient, size: int) -> None:
    """An exact fit fits, in a workspace that is full to the byte. Red where the old content still counts as used."""
    (code,) = codes_of_sizes(as_penora, MEGABYTE)

    answer = edited(as_penora, code, content="é" + "y" * (size - 2) if size > 1 else "y")

    assert answer["storage_stats"]["available_bytes"] == MEGABYTE - size
    assert counters(alice)["all"] == (size, 1)


def test_one_byte_more_than_the_room_changes_nothing(alice: User, as_penora: ApiClient) -> None:
    first, second = codes_of_sizes(as_penora, 600_000, 400_000)
    free = MEGABYTE - 1_000_000
    wanted = {"user_id": "alice", "title": "No", "metadata": {"no": 1}, "content": text(400_000 + free + 1)}

    answer = refused_edit(as_penora, second, wanted, about=alice, status=413, code="storage_limit_exceeded")

    assert (answer["needed_bytes"], answer["available_bytes"]) == (400_000 + free + 1, 400_000 + free)
    assert [item["code"] for item in answer["largest"]] == [first, second]
    assert [offer["plan"] for offer in answer["upgrade"]] == ["plus", "pro"]
    edited(as_penora, second, content=text(400_000 + free))
    assert counters(alice)["all"] == (MEGABYTE, 2)


def test_reserved_room_is_not_free_for_new_content(alice: User, as_imagegene: ApiClient) -> None:
    (code,) = codes_of_sizes(as_imagegene, 1_000, app="imagegene")
    hold = {"user_id": "alice", "amount": 1, "app_name": "imagegene", "description": "A picture"}
    as_imagegene.post("reserve-credits", {**hold, "storage_bytes": MEGABYTE - 1_500})

    answer = refused_edit(
        as_imagegene, code, {"content": text(1_501)}, about=alice, status=413, code="storage_limit_exceeded"
    )

    assert answer["available_bytes"] == 1_500
    edited(as_imagegene, code, content=text(1_500))


# --- what is refused -------------------------------------------------------------------------------------------------


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"k": value}
    return value


WRONG: list[tuple[str, list[Any]]] = [
    ("title", ["", "x" * 201, 7, True, None, [], {}]),
    ("project_type", ["", "x" * 65, "a\nb", 7, True, None, [], {}]),
    ("metadata", ["", "{}", 7, True, [], [1], {"k": "x" * 9_000}, {"k": [1e300] * 1_000}]),
    ("content", ["", 7, True, None, [], {}, "data:,", "data:video/mp4;base64,AAEC"]),
    ("compression", ["", "zip", "AUTO", 7, True, None, [], {}]),
    ("user_id", ["", "x" * 256, "a\nb", 7, True, None, [], {}]),
]


@pytest.mark.parametrize(("field", "values"), WRONG)
def test_a_field_of_the_wrong_kind_is_named(alice: User, as_penora: ApiClient, field: str, values: list[Any]) -> None:
    code = code_of(as_penora, metadata={"a": 1})

    for value in values:
        refused_edit(as_penora, code, {"title": "No", field: value}, about=alice, field=field)


@pytest.mark.parametrize("wanted", [{}, {"compression": "lossless"}, {"titel": "Typo"}])
def test_nothing_to_change_is_refused(alice: User, as_penora: ApiClient, wanted: dict[str, Any]) -> None:
    code = code_of(as_penora)

    answer = refused_edit(as_penora, code, wanted, about=alice, field="request")

    assert "title, project_type, metadata and content" in answer["details"]


@pytest.mark.parametrize("compression", ["auto", "lossless", "none"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(as_base64(bomb()), id="a bomb"),
        pytest.param(as_base64(draw("JPEG", size=(64, 64))[:-300]), id="truncated"),
        pytest.param(as_data_uri(draw("PNG"), "image/jpeg"), id="mislabelled"),
        pytest.param(as_data_uri(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), id="SVG"),
    ],
)
def test_a_picture_that_is_none_changes_nothing(
    alice: User, as_imagegene: ApiClient, content: str, compression: str
) -> None:
    code = code_of(as_imagegene, "imagegene", content=as_base64(draw("PNG")))
    wanted = {"user_id": "alice", "title": "No", "content": content, "compression": compression}

    refused_edit(as_imagegene, code, wanted, about=alice, code="invalid_image", field="content")


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b'{"user_id": "alice", "title": "T", "title": "U"}', 400, "invalid_json"),
        (b'{"user_id": "alice", "title": "a\\u0000b"}', 400, "invalid_json"),
        (b'{"user_id": "alice", "title": "\\ud800"}', 400, "invalid_json"),
        (b'{"user_id": "alice", "metadata": %s}' % str(nested(40)).replace("'", '"').encode(), 400, "invalid_json"),
        (b'{"user_id": "alice"', 400, "invalid_json"),
        (b'{"user_id": "alice", "content": "%s"}' % (b"x" * 12_600_000), 413, "payload_too_large"),
    ],
)
def test_a_body_that_is_no_good_json_changes_nothing(
    alice: User, as_penora: ApiClient, raw: bytes, status: int, code: str
) -> None:
    project = code_of(as_penora)
    before = everything_of(alice)

    response = as_penora.patch(f"projects/{project}", raw=raw)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert everything_of(alice) == before


def test_metadata_may_be_as_deep_as_a_body_may(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)

    edited(as_penora, code, metadata=nested(31))

    assert row(code).metadata == nested(31)
    wanted = {"user_id": "alice", "metadata": nested(32)}
    refused_edit(as_penora, code, wanted, about=alice, code="invalid_json")


def test_metadata_may_take_eight_kilobytes_to_the_byte(alice: User, as_penora: ApiClient) -> None:
    """{"k":"…"} is 8 bytes around the value."""
    code, wanted = code_of(as_penora), {"user_id": "alice", "metadata": {"k": "é" * 4_092 + "x"}}

    edited(as_penora, code, metadata={"k": "é" * 4_092})

    refused_edit(as_penora, code, wanted, about=alice, field="metadata")


def test_nothing_is_changed_for_a_deactivated_person(alice: User, as_penora: ApiClient) -> None:
    code = code_of(as_penora)
    User.objects.filter(pk=alice.pk).update(is_active=False)

    for wanted in ({"title": "No"}, {"content": "No"}):
        refused_edit(as_penora, code, wanted, about=alice, status=403, code="permission_denied")


@pytest.mark.parametrize("table", ["workspace_project", "workspace_projectcontent", "workspace_storage"])
def test_a_crash_leaves_all_as_it_was(alice: User, as_penora: ApiClient, table: str) -> None:
    code = code_of(as_penora)
    before = everything_of(alice)

    with tripwire(table, "UPDATE", "RAISE EXCEPTION 'crash';"):
        response = as_penora.patch(f"projects/{code}", user_id="alice", title="No", content="changed")

    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert everything_of(alice) == before


def test_on_a_developers_own_machine_no_key_is_needed_for_json(
    alice: User, as_penora: ApiClient, anonymous: ApiClient, settings: Any
) -> None:
    code = code_of(as_penora)
    settings.DEBUG = settings.QUICKSTART_OPEN = True
    address, body = f"/api/unified/projects/{code}", b'{"user_id": "alice", "title": "Renamed"}'

    sneaked = anonymous.request("PATCH", address, data=body, content_type="text/plain", **LOCALHOST)
    assert (sneaked.status_code, row(code).title) == (401, "A page")
    from_a_page = {**LOCALHOST, "HTTP_ORIGIN": "http://localhost:8000"}
    sneaked = anonymous.request("PATCH", address, data=body, content_type="application/json", **from_a_page)
    assert (sneaked.status_code, row(code).title) == (401, "A page")

    response = anonymous.request("PATCH", address, data=body, content_type="application/json", **LOCALHOST)
    assert (response.status_code, response["X-Unified-Auth"]) == (200, "quickstart-open")
    assert row(code).title == "Renamed"


def test_an_edit_answers_what_a_save_answers(alice: User, as_imagegene: ApiClient) -> None:
    """The facts of the same picture, saved and put in place of a text, are the same."""
    picture = as_base64(draw("PNG", size=(64, 48)))
    saved = save(as_imagegene, "imagegene", content=picture)
    code = code_of(as_imagegene, "imagegene")

    answer = edited(as_imagegene, code, content=picture)

    assert answer["image"] == saved["image"]
    assert answer["project"]["size_bytes"] == saved["size_bytes"]
