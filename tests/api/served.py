"""What tests of a project's bytes share: saving one for alice, its addresses, and what holds of every answer."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import brotli
from PIL import Image

from tests.api.pictures import as_base64
from tests.client import ApiClient


def saved(client: ApiClient, content: str | bytes, **changes: Any) -> str:
    """The code of a project of alice's, made with Penora: a text, or a picture that is kept as it is."""
    wanted = {
        "user_id": "alice",
        "app_source": "penora",
        "project_type": "page",
        "title": "A title",
        "content": content if isinstance(content, str) else as_base64(content),
        "compression": "none",
    }
    response = client.post("save-project", {**wanted, **changes})
    assert response.status_code == 201, response.content
    code: str = response.json()["project_code"]
    return code


def path_of(code: str, part: str = "content") -> str:
    return f"projects/{code}/{part}"


def signed(client: ApiClient, code: str, part: str = "content") -> tuple[str, dict[str, str]]:
    """The path and the query of the address that the listing of alice's projects gives for this one."""
    for project in client.get("projects", user_id="alice").json()["all_projects"]:
        if project["code"] == code:
            address = urlsplit(project[f"{part}_url"])
            assert (address.scheme, address.netloc) == ("http", "testserver")
            return address.path, {name: values[0] for name, values in parse_qs(address.query).items()}
    raise AssertionError(f"{code} is not listed")


def opened(client: ApiClient, address: tuple[str, dict[str, str]], **query: str) -> Any:
    """The answer to whoever follows a signed address."""
    path, signature = address
    return client.request("GET", f"{path}?{urlencode({**signature, **query})}")


def plain(response: Any) -> bytes:
    """The bytes as a client has them that undoes Content-Encoding."""
    body: bytes = response.content
    return brotli.decompress(body) if response.headers.get("Content-Encoding") == "br" else body


def seen(response: Any) -> tuple[str, tuple[int, int]]:
    """As what Pillow opens the picture, and its size."""
    with Image.open(io.BytesIO(response.content)) as picture:
        picture.load()
        return f"image/{str(picture.format).lower()}", picture.size


def varies_by(response: Any) -> set[str]:
    return {name.strip().lower() for name in response["Vary"].split(",")}


def assert_inert(response: Any) -> None:
    """Whoever opens the address gets a file and not a page of this origin; any page may show it."""
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "private" in response["Cache-Control"]
    assert "\n" not in response["Content-Disposition"]
    assert "Set-Cookie" not in response
    assert not response.cookies
