"""
"Connect a third app" of docs/sso.md, step by step and as it stands there: the app is added in the admin, its client is
made by the command, and the sample runs. The service is one as `make run` starts it, without Google.
"""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from tests.quickstart.service import PROJECT, Service, home, running
from tests.sso.parties import DEMO, Browser, manage

APP = "http://127.0.0.1:8300"  # where the document starts it; nobody listens there, Flask's test client stands in
SIGN_IN = "<a href='/sign-in'>Sign in with Unified</a>"
DOCUMENT = (PROJECT / "docs" / "sso.md").read_text()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    without_google = {"GOOGLE_CLIENT_ID": "", "GOOGLE_CLIENT_SECRET": "", "GOOGLE_ISSUER": ""}
    with home() as folder, running(folder, quickstart_open=False, **without_google) as started:
        yield started


@pytest.fixture(scope="module")
def client(service: Service) -> dict[str, str]:
    """The client id and secret that the first step ends with."""
    add_app(service, slug="notes", name="Notes")
    (command,) = re.findall(r'^make manage ARGS="(oidcclient .*)"$', DOCUMENT, re.MULTILINE)
    out, err = manage(service, *shlex.split(command))
    # It says what the document says that it says (beside what is logged).
    (shown,) = re.findall(r"```\n(client id .*?)```", DOCUMENT, re.DOTALL)
    said = [*out.splitlines(), *(line for line in err.splitlines() if not re.match(r"\d{4}-\d\d-\d\d ", line))]
    assert [_name(line) for line in said] == [_name(line) for line in shown.splitlines()]
    found = dict(re.split(r"\s{2,}", line) for line in out.splitlines())
    assert re.fullmatch(r"notes-[0-9a-f]{16}", found["client id"])
    return {"CLIENT_ID": found["client id"], "CLIENT_SECRET": found["client secret"]}


def _name(line: str) -> str:
    """What stands before the value."""
    return re.split(r"\s{2,}", line)[0]


def add_app(service: Service, *, slug: str, name: str) -> None:
    """As the document says: in the admin, Apps, Add."""
    staff = Browser(service.url)
    admin = service.facts["admin"]
    page = staff.open(f"{service.url}/admin/accounts/app/add/")
    page = staff.press(page, "Sign in", username=admin["user_id"], password=admin["password"])
    done: Any = staff.press(page, "Save", slug=slug, name=name, reason="A third app")
    assert urlsplit(done.url).path == "/admin/accounts/app/", done.text


@pytest.fixture
def app(service: Service, client: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A browser at the document's only Python block, as it stands there."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    for name, value in {**client, "UNIFIED_URL": service.url, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "app.py").write_text(block)
    sample = runpy.run_path(str(tmp_path / "app.py"))
    return sample["app"].test_client()  # type: ignore[no-any-return]


class Visitor:
    """One browser for both: addresses of Unified are asked over HTTP, those of the app by Flask's test client."""

    def __init__(self, service: Service, app: FlaskClient) -> None:
        self.unified = Browser(service.url)
        self._app = app

    def open(self, url: str) -> requests.Response | str:
        """A page of Unified, which somebody has to do something with, or what the app says."""
        for _ in range(12):
            if not url.startswith(APP):
                there = self.unified.open(url)
                if not isinstance(there, str):
                    return there
                url = there
                continue
            answer = self._app.get(url.removeprefix(APP) or "/", base_url=APP)
            if answer.status_code != 302:
                assert answer.status_code == 200, answer.text
                return answer.text
            url = urljoin(url, answer.headers["Location"])
        raise AssertionError(f"This leads round in circles, last to {url}")

    def enter_unified(self, url: str) -> requests.Response | str:
        """Continues as the demo user. What comes back is where that leads."""
        there = self.unified.press(self.unified.open(url), "Continue as the demo user")
        return self.open(there) if isinstance(there, str) else there


@pytest.fixture
def visitor(service: Service, app: FlaskClient) -> Visitor:
    return Visitor(service, app)


def test_the_sample_signs_the_demo_user_in_and_out(visitor: Visitor, service: Service) -> None:
    # Nobody is signed in: asked without a prompt, Unified says login_required, and the app offers a way in.
    assert visitor.open(f"{APP}/") == SIGN_IN
    assert "error=login_required" in visitor.unified.walked[-1]

    # The way in, as the demo user: development without Google's credentials offers that.
    page: Any = visitor.open(f"{APP}/sign-in")
    assert "to go on to" in page.text
    assert "Notes" in page.text
    key = service.facts["app_keys"]["penora"]
    credits = service.call("GET", f"user-info?user_id={DEMO['sub']}", key=key).json()["credits"]
    signed_in = f"{DEMO['name']} has {credits} credits. <a href='/sign-out'>Sign out</a>"
    assert visitor.enter_unified(page.url) == signed_in
    assert visitor.open(f"{APP}/") == signed_in

    # Out, at Unified as well: the way in asks who it is.
    assert visitor.open(f"{APP}/sign-out") == SIGN_IN
    assert visitor.open(f"{APP}/") == SIGN_IN
    page = visitor.open(f"{APP}/sign-in")
    assert "Continue as the demo user" in page.text


def test_who_is_in_already_is_asked_nothing(visitor: Visitor, service: Service) -> None:
    """With another app open in the same browser, nothing is asked at all."""
    visitor.enter_unified(f"{service.url}/signin/")
    assert str(visitor.open(f"{APP}/")).startswith(f"{DEMO['name']} has ")


def test_who_is_out_elsewhere_is_out_here(visitor: Visitor, service: Service) -> None:
    """The sample notices by the 401, asks once more without a prompt, and offers the way in."""
    visitor.enter_unified(f"{service.url}/signin/")
    assert str(visitor.open(f"{APP}/")).startswith(f"{DEMO['name']} has ")
    visitor.unified.press(visitor.unified.open(f"{service.url}/o/logout/"), "Sign out")
    assert visitor.open(f"{APP}/") == SIGN_IN
    assert "error=login_required" in visitor.unified.walked[-1]


def test_who_would_rather_not_is_offered_the_way_in_again(visitor: Visitor) -> None:
    assert visitor.open(f"{APP}/callback?error=access_denied&state=any") == SIGN_IN
