"""
The real `manage.py quickstart`, as a developer starts it: a process of its own, a free port, a data folder of its own.

Everything that is waited for is an event (a line of the output, the end of a process), and waiting is bounded. What
was started here, and nothing else, is stopped here.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from unified.database import EmbeddedPostgres

PROJECT = Path(__file__).resolve().parent.parent.parent
PATIENCE_SECONDS = 60
READY = "Ctrl-C stops the service"  # the last line that a ready service prints
MANAGE = (sys.executable, str(PROJECT / "manage.py"))

# What a developer may have set for the own service must not reach the ones that are started here.
_OURS = ("UNIFIED_", "DATABASE_", "DJANGO_", "SECRET_", "SECURE_", "CORS_", "PG", "GOOGLE_", "OIDC_")
_OUR_NAMES = {"DEBUG", "PORT", "ALLOWED_HOSTS", "BEHIND_TLS_PROXY", "LOG_LEVEL", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment without anything that configures Unified, and with `settings`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name not in _OUR_NAMES and not name.lower().endswith("_proxy")
    }
    # Empty is unset to Unified, and keeps a developer's own .env file from naming a database.
    return {**kept, "DATABASE_URL": "", **settings}


@functools.cache
def _own_ports() -> tuple[socket.socket, Iterator[int]]:
    """
    A hundred ports for this process alone: it holds the first one, and so the others, for as long as it lives. They lie
    below those that the system hands out by itself, or a connection that somebody opens could come to have the port of
    a service that is about to start, or that has just ended.
    """
    for first in range(20_000, 32_000, 100):
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
        except OSError:  # another run's, or another worker's
            guard.close()
        else:
            return guard, itertools.cycle(range(first + 1, first + 100))
    raise AssertionError("All ports are taken.")


def free_port() -> int:
    """One that nobody listens on, and that nobody else is given."""
    for port in _own_ports()[1]:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable")


def wait_for(condition: Callable[[], Any], *, what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"Waited {seconds} seconds in vain for {what}.")


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A folder for one service's data, which the embedded server's user can pass through; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="unified-quickstart-"))
    try:
        if os.geteuid() == 0:
            folder.chmod(0o711)
        yield folder
    finally:
        # Also what was kept outside of the folder, where the folder could not be entered.
        EmbeddedPostgres(folder / "var").destroy()
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        assert self.headers.get_content_type() == "application/json", (self.status, self.headers, self.body[:500])
        return json.loads(self.body)


def send(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | Iterator[bytes] | None = None,
    patience_seconds: float = 30,
) -> Answer:
    """One request on a connection of its own."""
    address = urlsplit(url)
    assert address.scheme == "http"
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=patience_seconds)
    try:
        target = f"{address.path or '/'}{f'?{address.query}' if address.query else ''}"
        # A server may answer and hang up before it has read everything. Clients (curl, urllib3) then read the answer.
        with contextlib.suppress(BrokenPipeError):
            connection.request(method, target, body, headers or {}, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class Service:
    """
    One started service. `environment` comes on top of what `make run` sets; `command` is the quickstart unless said
    otherwise. Starting does not wait: see `wait_until_ready`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        quickstart_open: bool = True,
        port: int | str | None = None,
        command: tuple[str, ...] = (*MANAGE, "quickstart"),
        **environment: str,
    ) -> None:
        self.data_dir = folder / "var"
        self.port = free_port() if port is None else port
        self.url = f"http://127.0.0.1:{self.port}"
        settings = {
            "DEBUG": "1",
            "PORT": str(self.port),
            "UNIFIED_DATA_DIR": str(self.data_dir),
            "UNIFIED_QUICKSTART_OPEN": str(int(quickstart_open)),
            **environment,
        }
        number = len(list(folder.glob("*.out")))
        self._out, self._err = folder / f"{number}.out", folder / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env=clean_environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # a process group of its own, as in a terminal
            )
        self._seen: dict[int, psutil.Process] = {}

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.data_dir / "quickstart.json").read_text())
        return facts

    def wait_for(self, condition: Callable[[], Any], *, what: str) -> None:
        """Until `condition` is true; in vain if the service ends before."""

        def true_or_ended() -> bool:
            self.processes()
            return condition() or self.process.poll() is not None

        wait_for(true_or_ended, what=what)
        assert self.process.poll() is None, f"The service ended: {self.out}\n{self.err}"

    def wait_until_ready(self) -> Service:
        self.wait_for(lambda: READY in self.out, what="the service to say that it is ready")
        assert send(f"{self.url}/readyz").status == 200
        return self

    def wait_until_ended(self) -> int:
        """Until it ends by itself, before it has a web server. Its exit status."""

        def ended_or_serving() -> bool:
            return self.process.poll() is not None or any("granian" in line for line in self.command_lines())

        wait_for(ended_or_serving, what="the service to end")
        assert self.process.poll() is not None, f"It did not end, but serves: {self.command_lines()}"
        return self.wait_until_gone()

    def command_lines(self) -> list[str]:
        """Of what runs. (PostgreSQL's processes write over theirs, and fill it up with NUL.)"""
        lines = []
        for one in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                lines.append(" ".join(one.cmdline()).strip())
        return lines

    def processes(self) -> list[psutil.Process]:
        """The process and all that it has started so far, however deep."""
        with contextlib.suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.process.pid)
            self._seen.update({one.pid: one for one in (main, *main.children(recursive=True))})
        return list(self._seen.values())

    def worker(self) -> psutil.Process:
        """The process that answers requests, once it is there: granian's only child that has threads to answer with."""
        granian = next(one for one in self.processes() if is_running(one) and "granian" in one.cmdline())

        def sizes() -> list[tuple[int, psutil.Process]]:
            """Of the children that run. There are none between a worker that was killed and the next one."""
            found = []
            for child in granian.children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if is_running(child):
                        found.append((child.memory_info().rss, child))
            return found

        return max(wait_for(sizes, what="a web worker"), key=lambda found: found[0])[1]  # type: ignore[no-any-return]

    def postmaster(self) -> psutil.Process:
        pid = int((EmbeddedPostgres(self.data_dir).cluster / "postmaster.pid").read_text().split("\n")[0])
        return psutil.Process(pid)

    def send_signals(self, *signals: signal.Signals, to_group: bool = False) -> None:
        for number in signals:
            with contextlib.suppress(ProcessLookupError):
                (os.killpg if to_group else os.kill)(self.process.pid, number)

    def stop(self, *signals: signal.Signals, to_group: bool = False) -> int:
        """Sends the signals (SIGTERM), waits, and gives the exit status. Nothing that was started may be left."""
        self.processes()
        self.send_signals(*(signals or (signal.SIGTERM,)), to_group=to_group)
        return self.wait_until_gone()

    def wait_until_gone(self) -> int:
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        # The end of the children of children is seen a moment after the end of the process that waited for theirs.
        try:
            wait_for(lambda: not self.left(), what="all processes to end", seconds=5)
        except AssertionError:
            raise AssertionError(f"Left behind: {[line for line in self.command_lines() if line]}") from None
        return status

    def left(self) -> list[psutil.Process]:
        return [one for one in self._seen.values() if is_running(one)]

    def close(self) -> None:
        """For the end of a test that may have failed: whatever is still there ends now."""
        self.processes()
        if self.process.poll() is None:
            self.send_signals(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=15)
        for one in self.left():
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait(timeout=PATIENCE_SECONDS)

    # --- calls -------------------------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        route: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One call of `/api/unified/<route>` (or of another path, from the root), with JSON."""
        sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        path = route if route.startswith("/") else f"/api/unified/{route}"
        return send(f"{self.url}{path}", method=method, headers=sent, body=content)

    def make_user(self, user_id: str, *, credits: int = 50) -> str:
        """A person of this service with that many credits."""
        answer = self.call(
            "POST",
            "create-user",
            {"user_id": user_id, "username": "Some One", "email": "one@example.com", "initial_credits": credits},
            key=self.facts["app_keys"]["imagegene"],
        )
        assert answer.status == 201, answer.body
        return user_id


@contextlib.contextmanager
def running(folder: Path, **options: Any) -> Iterator[Service]:
    """A ready service on that folder. If the block has not stopped it, it is stopped, and must leave nothing."""
    service = Service(folder, **options)
    try:
        yield service.wait_until_ready()
        if service.process.poll() is None:
            assert service.stop() == 0
    finally:
        service.close()


def is_running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
