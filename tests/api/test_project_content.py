"""GET projects/{code}/content: the bytes, to whom, and as what."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest

from accounts.models import User
from tests.api.pictures import MEDIA_TYPES, draw
from tests.api.served import assert_inert, path_of, saved, signed
from tests.client import ApiClient
from workspace.models import Project

HTML = "<script>alert(document.domain)</script>"


@pytest.fixture
def save(alice: User, as_penora: ApiClient) -> Any:
    """Saves for alice and returns the code."""
    return lambda content="A week in Lisbon": saved(as_penora, content)


def test_the_listed_address_works_without_a_credential(save: Any, as_penora: ApiClient, anonymous: ApiClient) -> None:
    path, query = signed(as_penora, save())

    response = anonymous.request("GET", f"{path}?{urlencode(query)}")

    assert response.status_code == 200
    assert response.content == b"A week in Lisbon"
    assert_inert(response)


def test_without_a_signature_a_credential_is_needed(save: Any, anonymous: ApiClient) -> None:
    response = anonymous.get(path_of(save()))

    assert response.status_code == 401
    assert response.json()["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == "Bearer"


def test_every_app_may_open_what_any_app_made(save: Any, as_penora: ApiClient, as_imagegene: ApiClient) -> None:
    code = save()

    for client in (as_penora, as_imagegene):
        assert client.get(path_of(code)).content == b"A week in Lisbon"


@pytest.mark.parametrize("text", ["x", " \r\n é 日本 👩‍🎨 \t", "\ufeffBOM", HTML])
def test_text_comes_back_exactly_and_never_as_a_page(save: Any, as_penora: ApiClient, text: str) -> None:
    response = as_penora.get(path_of(save(text)))

    assert (response.status_code, response.content) == (200, text.encode())
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment")
    assert_inert(response)


@pytest.mark.parametrize("kind", sorted(MEDIA_TYPES))
def test_a_picture_comes_back_exactly_under_its_own_type(save: Any, as_penora: ApiClient, kind: str) -> None:
    picture = draw(kind)

    response = as_penora.get(path_of(save(picture)))

    assert (response.status_code, response.content) == (200, picture)
    assert response["Content-Type"] == MEDIA_TYPES[kind]
    assert response["Content-Disposition"].startswith("inline")
    assert_inert(response)


@pytest.mark.parametrize("declared", ["text/html", "TEXT/HTML", "text/xml", "text/javascript"])
def test_what_a_browser_would_run_is_a_download_and_inert(save: Any, as_penora: ApiClient, declared: str) -> None:
    response = as_penora.get(path_of(save(f"data:{declared},{HTML}")))

    assert (response.status_code, response.content) == (200, HTML.encode())
    assert response["Content-Disposition"].startswith("attachment")
    assert_inert(response)


@pytest.mark.parametrize("change", ["signature", "expires", "both", "code", "without expires", "without signature"])
def test_an_address_that_was_tampered_with_is_refused(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, change: str
) -> None:
    other = save("Another text")
    code = save()
    path, query = signed(as_penora, code)
    if change in ("signature", "both"):
        query["signature"] = query["signature"][:-1] + ("A" if query["signature"][-1] != "A" else "B")
    if change in ("expires", "both"):
        query["expires"] = str(int(query["expires"]) + 1)
    if change == "code":
        path = path.replace(code, other)
    if change.startswith("without"):
        del query[change.removeprefix("without ")]

    response = anonymous.request("GET", f"{path}?{urlencode(query)}")

    assert response.status_code == (401 if change == "without signature" else 403)
    assert b"A week in Lisbon" not in response.content
    assert b"Another text" not in response.content
    if response.status_code == 403:
        answer = response.json()
        assert (answer["error"], answer["code"]) == ("Permission denied", "permission_denied")


@pytest.mark.parametrize("signature", ["", "x", "é", ":", "a:b", "x" * 10_000, "\x00"])
def test_a_made_up_signature_is_refused(save: Any, anonymous: ApiClient, signature: str) -> None:
    code = save()

    for expires in ("", "x", "99999999999", "-1", "é", "1e9", "9" * 5_000):
        response = anonymous.get(path_of(code), signature=signature, expires=expires)
        assert response.status_code == 403
        assert response.json()["code"] == "permission_denied"


def test_an_address_expires(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good for at least one period, and for two at the most."""
    path, query = signed(as_penora, save())
    now = time.time()

    monkeypatch.setattr(time, "time", lambda: now + settings.CONTENT_URL_SECONDS - 1)
    assert anonymous.request("GET", f"{path}?{urlencode(query)}").status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + 2 * settings.CONTENT_URL_SECONDS + 1)
    expired = anonymous.request("GET", f"{path}?{urlencode(query)}")

    assert expired.status_code == 403
    assert expired.json()["code"] == "permission_denied"
    assert "expired" in expired.json()["details"]


def test_a_signature_of_another_installation_is_refused(
    save: Any, as_penora: ApiClient, anonymous: ApiClient, settings: Any
) -> None:
    code = save()
    ours = settings.SECRET_KEY
    settings.SECRET_KEY = "another installation's key, which nobody here has ever seen"
    path, query = signed(as_penora, code)
    settings.SECRET_KEY = ours

    assert anonymous.request("GET", f"{path}?{urlencode(query)}").status_code == 403


def test_a_code_is_taken_in_any_case_and_with_look_alikes(save: Any, alice: User, as_penora: ApiClient) -> None:
    Project.objects.filter(code=save()).update(code="01AB0Z")

    for typed in ("01AB0Z", "01ab0z", "OIABOZ", "oLaBoZ", "0iAb0z"):
        assert as_penora.get(path_of(typed)).content == b"A week in Lisbon", typed


@pytest.mark.parametrize("code", ["ZZZZZZ", "x", "UUUUUU", "0000000", "%00%00%00", "%F0%9F%98%80", "' OR 1=1", "..."])
def test_no_project_by_this_code_is_a_404(save: Any, as_penora: ApiClient, code: str) -> None:
    response = as_penora.get(path_of(code))

    assert response.status_code == 404
    answer = response.json()
    assert (answer["error"], answer["code"]) == ("Project not found", "project_not_found")
    assert "project_code" in answer


def test_the_404_repeats_the_code_as_it_was_given(db: None, as_penora: ApiClient) -> None:
    assert as_penora.get(path_of("zz-zz")).json()["project_code"] == "zz-zz"


def test_a_second_look_at_the_same_bytes_is_a_304(save: Any, as_penora: ApiClient) -> None:
    code, twin = save(), save()
    first = as_penora.get(path_of(code))
    etag = first["ETag"]
    assert etag.startswith('"')

    again = as_penora.get(path_of(code), headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    assert as_penora.get(path_of(code), headers={"If-None-Match": '"other"'}).content == b"A week in Lisbon"
    assert as_penora.get(path_of(code), headers={"If-None-Match": f'"other", {etag}'}).status_code == 304
    assert as_penora.get(path_of(twin))["ETag"] == etag
    assert as_penora.get(path_of(save("Another text")))["ETag"] != etag


@pytest.mark.parametrize("condition", ["W/{etag}", '"other", W/{etag}', "*"])
def test_an_etag_that_a_proxy_has_weakened_still_holds(save: Any, as_penora: ApiClient, condition: str) -> None:
    """If-None-Match compares weakly (RFC 9110, 13.1.2); a proxy that packs answers weakens their ETags."""
    code = save()
    etag = as_penora.get(path_of(code))["ETag"]

    response = as_penora.get(path_of(code), headers={"If-None-Match": condition.replace("{etag}", etag)})

    assert (response.status_code, response.content) == (304, b"")


def test_a_304_does_not_pass_around_the_signature(save: Any, as_penora: ApiClient, anonymous: ApiClient) -> None:
    code = save()
    etag = as_penora.get(path_of(code))["ETag"]

    assert anonymous.get(path_of(code), headers={"If-None-Match": etag}).status_code == 401


def test_a_shared_cache_keeps_nothing(save: Any, as_penora: ApiClient) -> None:
    assert "private" in as_penora.get(path_of(save()))["Cache-Control"]
