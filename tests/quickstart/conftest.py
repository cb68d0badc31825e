"""Two services for all tests of this folder: one that lets this machine's calls in without a key, one that does not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.quickstart import curl
from tests.quickstart.service import Service, home, running

DEMO_USER_ID = "101902121794505144784"


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    """Libraries that this process calls with must reach 127.0.0.1 directly, whatever the environment says."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("no_proxy", "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def open_service() -> Iterator[Service]:
    """Nobody but tests/quickstart/test_guide.py may change what belongs to the demo user."""
    with home() as folder, running(folder) as service:
        yield service


@pytest.fixture(scope="session")
def enforced_service() -> Iterator[Service]:
    with home() as folder, running(folder, quickstart_open=False) as service:
        yield service


_numbers = itertools.count(1)


@pytest.fixture
def new_user() -> Callable[..., str]:
    """Makes a person whom no other test knows."""

    def make(service: Service, *, credits: int = 50) -> str:
        return service.make_user(f"person-{next(_numbers)}", credits=credits)

    return make


@pytest.fixture(params=[pytest.param(run, id=name) for name, run in curl.runners()])
def run_curl(request: pytest.FixtureRequest) -> curl.Runner:
    runner: curl.Runner = request.param
    return runner
