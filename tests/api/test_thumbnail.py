"""GET projects/{code}/thumbnail: a small picture, by an address of its own; and whom both addresses let in."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image

from accounts.models import User
from tests.api.conftest import everything_of
from tests.api.pictures import MEDIA_TYPES, as_base64, draw
from tests.api.served import assert_inert, opened, path_of, saved, seen, signed, varies_by
from tests.client import ApiClient
from workspace.models import ProjectContent

AVIF, JPEG, PNG = MEDIA_TYPES["AVIF"], MEDIA_TYPES["JPEG"], MEDIA_TYPES["PNG"]
PARTS = ["content", "thumbnail"]


@pytest.fixture
def save(alice: User, as_penora: ApiClient) -> Any:
    """Saves for alice and returns the code."""
    return lambda content, **changes: saved(as_penora, content, **changes)


def thumbnail(client: ApiClient, code: str, accept: str | None = None, **query: str) -> Any:
    return client.get(path_of(code, "thumbnail"), headers={"Accept": accept} if accept else {}, **query)


# --- the picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["auto", "lossless", "none"])
@pytest.mark.parametrize(
    ("size", "small"),
    [((600, 300), (256, 128)), ((300, 600), (128, 256)), ((256, 256), (256, 256)), ((24, 16), (24, 16))],
)
def test_it_is_at_most_256_pixels_a_side_and_never_enlarged(
    save: Any, as_penora: ApiClient, size: tuple[int, int], small: tuple[int, int], compression: str
) -> None:
    response = thumbnail(as_penora, save(draw("PNG", size=size), compression=compression))

    assert response.status_code == 200
    assert (response["Content-Type"], seen(response)) == (AVIF, (AVIF, small))
    assert response["Content-Disposition"].startswith("inline; filename=")
    assert response["Content-Disposition"].endswith('.avif"')
    assert_inert(response)


@pytest.mark.parametrize(
    ("accept", "opaque", "transparent"),
    [
        ("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5", AVIF, AVIF),
        ("image/webp,image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5", JPEG, PNG),
        ("image/jpeg", JPEG, JPEG),
        ("image/avif;q=0,*/*", JPEG, PNG),
        ("*/*", AVIF, AVIF),
        (None, AVIF, AVIF),
    ],
)
@pytest.mark.parametrize("kept", ["PNG", "WEBP"])
def test_each_client_gets_one_that_it_can_show(
    save: Any, as_penora: ApiClient, kept: str, accept: str | None, opaque: str, transparent: str
) -> None:
    """Also of a picture that is kept as what it can show: the thumbnail itself is AVIF."""
    for mode, colour, media_type in (("RGB", "#3366cc", opaque), ("RGBA", "#3366cc80", transparent)):
        response = thumbnail(as_penora, save(draw(kept, mode=mode, colour=colour)), accept)

        assert (response["Content-Type"], seen(response)) == (media_type, (media_type, (24, 16)))
        assert "accept" in varies_by(response)
        assert_inert(response)


def test_a_format_can_be_asked_for(save: Any, as_penora: ApiClient) -> None:
    code = save(draw("PNG", size=(600, 300)))

    for name, media_type in (("jpeg", JPEG), ("png", PNG)):
        assert seen(thumbnail(as_penora, code, format=name)) == (media_type, (256, 128))
    refused = thumbnail(as_penora, code, format="gif")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["format"])


def test_a_text_has_none(save: Any, as_penora: ApiClient) -> None:
    code = save("A week in Lisbon")

    response = thumbnail(as_penora, code)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.json()["details"] == "A text has no thumbnail."
    (listed,) = as_penora.get("projects", user_id="alice").json()["all_projects"]
    assert listed["thumbnail_url"] is None


def test_it_is_not_counted(save: Any, alice: User, as_penora: ApiClient) -> None:
    picture = draw("PNG", size=(600, 300))
    save(picture)

    stats = as_penora.get("storage-stats", user_id="alice").json()["storage_stats"]

    assert stats["used_bytes"] == len(picture)
    assert ProjectContent.objects.get().thumbnail is not None


def test_a_picture_from_before_thumbnails_gets_one_made(save: Any, alice: User, as_penora: ApiClient) -> None:
    code = save(draw("PNG", size=(600, 300)))
    with_one = thumbnail(as_penora, code)
    ProjectContent.objects.update(thumbnail=None)

    made = thumbnail(as_penora, code)
    as_jpeg = thumbnail(as_penora, code, "image/jpeg")

    assert (seen(made), seen(as_jpeg)) == ((AVIF, (256, 128)), (JPEG, (256, 128)))
    assert made["ETag"] == with_one["ETag"]


def test_it_is_of_the_picture_that_is_kept_now(save: Any, as_penora: ApiClient) -> None:
    code = save(draw("PNG", colour="#ff0000"))
    before = thumbnail(as_penora, code)
    body = {"user_id": "alice", "content": as_base64(draw("PNG", colour="#0000ff", size=(20, 10)))}

    edited = as_penora.request(
        "PATCH", f"/api/unified/projects/{code}", data=json.dumps(body).encode(), content_type="application/json"
    )

    assert edited.status_code == 200
    after = thumbnail(as_penora, code)
    assert seen(after) == (AVIF, (20, 10))
    assert after["ETag"] != before["ETag"]
    with Image.open(io.BytesIO(after.content)) as picture:
        red, _, blue = picture.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert (red < 50, blue > 200) == (True, True)


def test_each_form_has_a_tag_of_its_own_and_a_304_reads_no_content(save: Any, as_penora: ApiClient) -> None:
    code = save(draw("AVIF"))
    forms = [
        as_penora.get(path_of(code)),
        as_penora.get(path_of(code), format="jpeg"),
        thumbnail(as_penora, code),
        thumbnail(as_penora, code, format="jpeg"),
        thumbnail(as_penora, code, format="png"),
        thumbnail(as_penora, code, "image/*"),
    ]
    assert len({response["ETag"] for response in forms}) == len(forms)

    ProjectContent.objects.update(thumbnail=None)  # it would have to be made from the content
    headers = {"If-None-Match": forms[2]["ETag"]}
    with CaptureQueriesContext(connection) as captured:
        known = as_penora.get(path_of(code, "thumbnail"), headers=headers)

    assert (known.status_code, known.content, known["ETag"]) == (304, b"", forms[2]["ETag"])
    assert not any('"body"' in query["sql"] for query in captured.captured_queries)
    assert as_penora.get(path_of(code, "thumbnail"), headers={"If-None-Match": forms[0]["ETag"]}).status_code == 200


def test_it_reads_no_content_where_there_is_one(save: Any, as_penora: ApiClient) -> None:
    code = save(draw("AVIF"))

    with CaptureQueriesContext(connection) as captured:
        assert thumbnail(as_penora, code).status_code == 200

    assert not any('"body"' in query["sql"] for query in captured.captured_queries)


def test_it_comes_in_parts_and_as_a_head(save: Any, as_penora: ApiClient) -> None:
    path = path_of(save(draw("PNG", size=(300, 300))), "thumbnail")
    whole = as_penora.get(path)

    part = as_penora.get(path, headers={"Range": "bytes=5-8"})
    head = as_penora.request("HEAD", f"/api/unified/{path}")

    assert (part.status_code, part.content) == (206, whole.content[5:9])
    assert (head.status_code, head.content, head["Content-Length"]) == (200, b"", str(len(whole.content)))


# --- whom the addresses let in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_the_listed_address_works_without_a_credential(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, part: str
) -> None:
    code = save(draw("AVIF"))

    assert anonymous.get(path_of(code, part)).status_code == 401
    response = opened(anonymous, signed(as_penora, code, part))

    assert (response.status_code, response["Content-Type"]) == (200, AVIF)
    assert_inert(response)


@pytest.mark.parametrize(("of", "at"), [("content", "thumbnail"), ("thumbnail", "content")])
def test_the_address_of_the_one_does_not_open_the_other(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, of: str, at: str
) -> None:
    """Who is shown a small picture is not given the large one. With one signature for both, seen red."""
    code = save(draw("AVIF"))
    path, query = signed(as_penora, code, of)

    response = opened(anonymous, (path.replace(of, at), query))

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("change", ["signature", "expires", "code", "swapped"])
@pytest.mark.parametrize("part", PARTS)
def test_a_tampered_address_opens_nothing(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, part: str, change: str
) -> None:
    code, other = save(draw("AVIF")), save(draw("AVIF", colour="#ff0000"))
    path, query = signed(as_penora, code, part)
    if change == "signature":
        query["signature"] = query["signature"][::-1]
    if change == "expires":
        query["expires"] = str(int(query["expires"]) + 3_600)
    if change == "code":
        path = path.replace(code, other)
    if change == "swapped":
        query["signature"] = signed(as_penora, other, part)[1]["signature"]

    response = opened(anonymous, (path, query))

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


@pytest.mark.parametrize("part", PARTS)
def test_an_address_expires(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    address = signed(as_penora, save(draw("AVIF")), part)
    expires = int(address[1]["expires"])

    for now, status in ((expires - 1, 200), (expires, 403), (expires + 86_400, 403)):
        monkeypatch.setattr(time, "time", lambda now=now: float(now))
        assert opened(anonymous, address).status_code == status, now


@pytest.mark.parametrize("part", PARTS)
def test_the_person_who_is_named_has_to_be_the_owner(
    save: Any, bob: User, as_penora: ApiClient, anonymous: ApiClient, part: str
) -> None:
    code = save(draw("AVIF"))
    address = signed(as_penora, code, part)

    assert as_penora.get(path_of(code, part), user_id="alice").status_code == 200
    assert opened(anonymous, address, user_id="alice").status_code == 200
    for user_id in ("bob", "nobody", "ALICE", "alice "):
        for response in (
            as_penora.get(path_of(code, part), user_id=user_id),
            opened(anonymous, address, user_id=user_id),
        ):
            assert (response.status_code, response.json()["code"]) == (404, "project_not_found")
            assert response.json()["project_code"] == code


@pytest.mark.parametrize("part", PARTS)
def test_what_is_in_the_trash_is_not_served_and_is_again_when_it_is_restored(
    save: Any, alice: User, as_penora: ApiClient, anonymous: ApiClient, part: str
) -> None:
    code = save(draw("AVIF"))
    address = signed(as_penora, code, part)
    assert as_penora.request("DELETE", f"/api/unified/projects/{code}?user_id=alice").status_code == 200
    before = everything_of(alice)

    for response in (opened(anonymous, address), as_penora.get(path_of(code, part))):
        assert (response.status_code, response.json()["code"]) == (404, "project_not_found")
    assert everything_of(alice) == before

    assert as_penora.post(f"projects/{code}/restore", user_id="alice").status_code == 200
    assert opened(anonymous, address).status_code == 200


@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_key_is_refused_although_the_address_is_good(save: Any, as_penora: ApiClient, part: str) -> None:
    """A caller that says who it is wrongly should hear of it rather than be let in as nobody."""
    address = signed(as_penora, save(draw("AVIF")), part)

    assert opened(ApiClient(key="uni_live_nonsense"), address).status_code == 401


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("code", ["ZZZZZZ", "x", "%00%00%00", "' OR 1=1"])
def test_no_project_by_this_code_is_a_404(alice: User, as_penora: ApiClient, code: str, part: str) -> None:
    response = as_penora.get(path_of(code, part))

    assert (response.status_code, response.json()["code"]) == (404, "project_not_found")
