"""What the service does when a part of it is killed, and where it refuses to start at all."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.quickstart.service import PROJECT, Service, clean_environment, send, wait_for


def test_a_killed_web_worker_is_replaced(open_service: Service) -> None:
    worker = open_service.worker()
    worker.kill()

    wait_for(lambda: open_service.worker().pid != worker.pid, what="another worker")
    wait_for(lambda: answers(open_service), what="the service to answer again")
    assert open_service.call("GET", "pricing").status == 200


def answers(service: Service) -> bool:
    try:
        return send(f"{service.url}/healthz").status == 200
    except OSError:  # nobody listens between the old worker and the new
        return False


def ended(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("mistyped", "told"),
    [
        ({"DEBUG": "maybe"}, "DEBUG is 'maybe'; say on or off."),
        ({"BEHIND_TLS_PROXY": "maybe"}, "BEHIND_TLS_PROXY is 'maybe'; say on or off."),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'LOUD'; say DEBUG, INFO"),
        ({"UNIFIED_INITIAL_CREDITS": "abc"}, "UNIFIED_INITIAL_CREDITS is 'abc', which is no whole number."),
    ],
)
def test_a_mistyped_setting_is_named_and_refused(mistyped: dict[str, str], told: str) -> None:
    done = ended("-c", "import unified.settings", **mistyped)

    assert done.returncode != 0
    assert told in done.stderr


def test_the_quickstart_makes_no_demo_data_in_production() -> None:
    """It refuses before it asks the database for anything: the one named here is not there."""
    done = ended(
        "manage.py",
        "quickstart",
        DEBUG="0",
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS="unified.example",
        DATABASE_URL="postgres://nobody@127.0.0.1:1/none",
    )

    assert done.returncode != 0
    assert "DEBUG is off" in done.stderr
