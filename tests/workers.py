"""
How the whole suite runs on two cores: in two processes, pytest-xdist's workers, which share a PostgreSQL server and
nothing else. Each has a database of its own there, its own ports, and its own services and browsers.

A file's tests stay together and in their order, since they may share a service; so do the files of a folder whose
servers and browser take long to start, and a lot of a core. Which worker has what is decided as they go: whoever has
nothing left takes the next, the longest first.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

WORKERS = 2
TOGETHER = ("tests/browser/",)
# Where most of the time goes: what would be left over for one worker alone if it began last, the longest first.
LONGEST = (
    "tests/credits/test_state_machine.py",
    "tests/api/test_access_matrix.py",
    "tests/browser/",
    "tests/admin/test_scale.py",
    "tests/quickstart/test_run.py",
    "tests/admin/test_roles.py",
    "tests/sso/test_redirects.py",
    "tests/workspace/test_image_traps.py",
    "tests/workspace/test_image_policy.py",
    "tests/admin/test_second_factor.py",
    "tests/test_database.py",
    "tests/sso/test_two_apps.py",
    "tests/sso/test_google.py",
    "tests/workspace/test_image_text.py",
    "tests/admin/test_person.py",
    "tests/admin/test_grant_files.py",
    "tests/admin/test_pages.py",
    "tests/test_delete_member.py",
    "tests/test_verify_ledger.py",
    "tests/workspace/test_image_hostile.py",
    "tests/concurrency/test_bank.py",
    "tests/concurrency/test_holds.py",
    "tests/admin/test_changes.py",
    "tests/quickstart/test_access.py",
)
PATIENCE_SECONDS = 60

_nodes: list[Any] = []
_is_to_end = _tidies_up = False


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    # Whoever is started in the background by a shell ignores Ctrl-C, and so does all that they start. The tests that
    # send one to a program of ours need it to be heard.
    signal.signal(signal.SIGINT, end_in_order)
    signal.signal(signal.SIGTERM, end_in_order)
    # The workers must find the same tests in the same order, whatever has been put into a set on the way.
    os.environ.setdefault("PYTHONHASHSEED", "0")


def end_in_order(*_: object) -> None:
    """
    Ends the run by a KeyboardInterrupt, with all the servers that it started. Once: a Ctrl-C comes from the terminal
    and from the process that started this one, a SIGTERM perhaps through make as well, and the second must not keep
    the first from tidying up.
    """
    global _is_to_end  # noqa: PLW0603
    if not _is_to_end:
        _is_to_end = True
        if not _tidies_up:
            raise KeyboardInterrupt


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Nor does either end a fixture in the midst of removing what it made: that comes first."""
    global _tidies_up  # noqa: PLW0603
    _tidies_up = True
    try:
        yield
    finally:
        _tidies_up = False
    if _is_to_end:
        raise KeyboardInterrupt


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for the whole suite. A part of it is done before a second process has read all the tests."""
    a_part = config.option.keyword or config.option.markexpr or config.option.deselect
    return 0 if a_part or config.args != config.getini("testpaths") else WORKERS


def unit_of(nodeid: str) -> str:
    """What a test stays together with: its file, or its folder."""
    file = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


class InUnits(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InUnits | None:
    return InUnits(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(unit_of(item.nodeid), len(places)))


def pytest_testnodeready(node: Any) -> None:
    _nodes.append(node)


def pytest_keyboard_interrupt() -> None:
    """Lets the workers end what they have started, which may take longer than xdist would wait before it kills them."""
    running = [node for node in _nodes if not node.channel.isclosed()]
    for node in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.gateway._rinfo().pid, signal.SIGTERM)
    for node in running:
        with contextlib.suppress(Exception):  # its end may be an error, too; what matters is that it is over
            node.channel.waitclose(PATIENCE_SECONDS)
