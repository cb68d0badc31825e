"""
`make run`: the whole service on this machine, from nothing to serving.

Runs below manage.py, which keeps the embedded PostgreSQL up for as long as this command lives and stops it after.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections

from unified import seed
from unified.figures import rollups

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 12
STOP_ATTEMPTS = 4


class Command(BaseCommand):
    help = "Migrates, seeds and serves on 127.0.0.1:PORT, for development."

    _asked_to_stop = False

    def handle(self, *args: Any, **options: Any) -> None:
        # The handler only takes a note. One that raised could do so between the start of the web server and the
        # moment in which we know of it, and leave it behind.
        signal.signal(signal.SIGINT, self._take_note)
        signal.signal(signal.SIGTERM, self._take_note)
        if not settings.DEBUG:
            raise CommandError("DEBUG is off: this makes demo data and keys, which do not belong in production.")
        port = self._free_port()
        facts = self._prepared(port)
        connections.close_all()
        if self._asked_to_stop:
            return
        server = subprocess.Popen(_server_command(port), start_new_session=True)
        try:
            self._wait_until_ready(facts["url"], server)
            if not self._asked_to_stop:
                self._print(facts)
            self._wait(server)
        finally:
            _end(server)
        if not self._asked_to_stop:
            raise CommandError("The web server ended by itself; what it said stands above.")

    def _take_note(self, signum: int, frame: Any) -> None:
        self._asked_to_stop = True

    def _prepared(self, port: int) -> dict[str, Any]:
        try:
            call_command("migrate", verbosity=0, interactive=False)
            seed.seed_registry()
            seed.seed_demo()
            facts = self._facts(port)
            rollups.roll_up()  # last: of everybody who has been made
            return facts
        except OperationalError as trouble:
            raise CommandError(f"The database cannot be used: {str(trouble).strip()}") from None

    def _wait_until_ready(self, url: str, server: subprocess.Popen[bytes]) -> None:
        """Whoever copies a command from the screen should find the service answering."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would look for it elsewhere
        said: object = "nothing"
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and not self._asked_to_stop:
            try:
                with direct.open(f"{url}/readyz", timeout=5):
                    return
            except OSError as problem:
                said = problem
            if time.monotonic() > deadline:
                raise CommandError(f"The service is not ready after {START_SECONDS} s; {url}/readyz says: {said}.")
            time.sleep(0.05)

    def _wait(self, server: subprocess.Popen[bytes]) -> None:
        """Until the web server ends or somebody asks us to."""
        while not self._asked_to_stop:
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=0.2)
                return

    def _free_port(self) -> int:
        try:
            port = int(os.environ.get("PORT", "8000"))
            if port == 0:
                raise ValueError
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        except OSError as problem:
            if problem.errno != errno.EADDRINUSE:
                raise CommandError(f"Port {port} cannot be used: {problem.strerror}.") from None
            raise CommandError(f"Port {port} is taken; choose another with 'make run PORT={port + 1}'.") from None
        except (ValueError, OverflowError):
            raise CommandError(f"PORT is '{os.environ['PORT']}', which is no port number.") from None
        return port

    def _facts(self, port: int) -> dict[str, Any]:
        """What a person or a script needs to use the service; kept in the data folder, for its owner's eyes only."""
        file = settings.DATA_DIR / "quickstart.json"
        before = _read(file)
        password = seed.ensure_staff(known_password=_text_at(before, "admin", "password"))
        url = f"http://{HOST}:{port}"
        keys = {slug: seed.ensure_key(slug, _text_at(before, "app_keys", slug)) for slug in ("penora", "imagegene")}
        facts = {
            "url": url,
            "signin": {
                "url": f"{url}/signin/",
                "as": "(as the demo user)" if settings.DEMO_SIGN_IN else "(with Google)",
            },
            "admin": {"url": f"{url}/admin/", "user_id": seed.STAFF_USER_ID, "password": password},
            "app_keys": keys,
            "demo_user_id": seed.DEMO_USER_ID,
            "open_without_credentials": settings.QUICKSTART_OPEN,
            "database": settings.EMBEDDED_POSTGRES.url("unified") if settings.EMBEDDED_POSTGRES else None,
            "curl": _curl_commands(url, keys),
        }
        _write_private(file, json.dumps(facts, indent=2) + "\n")
        return facts

    def _print(self, facts: dict[str, Any]) -> None:
        note = settings.EMBEDDED_POSTGRES.note if settings.EMBEDDED_POSTGRES else ""
        admin = facts["admin"]
        lines = [
            "",
            f"Unified is at   {facts['url']}",
            f"API docs        {facts['url']}/api/docs/",
            f"Sign-in         {facts['signin']['url']}  {facts['signin']['as']}",
            f"Admin           {admin['url']}",
            f"                user id {admin['user_id']}, password {admin['password'] or '(the one you set)'}",
            f"Penora key      {facts['app_keys']['penora']}",
            f"ImageGene key   {facts['app_keys']['imagegene']}",
            "",
            "Try:",
            *(f"\n  {command}" for command in facts["curl"]),
            "",
            "Calls from this machine may leave the key out (UNIFIED_QUICKSTART_OPEN=0 closes that)."
            if facts["open_without_credentials"]
            else "Every call needs a key.",
            f"The same facts, for scripts: {settings.DATA_DIR / 'quickstart.json'}",
            *([note] if note else []),
            "Ctrl-C stops the service and its database.",
            "",
        ]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _server_command(port: int) -> list[str]:
    """
    Granian in a session of its own: a Ctrl-C reaches only this command, which then ends the server with one signal.
    (Two signals in quick succession, as from a terminal and from make, can leave granian 2.8 waiting for itself.)
    """
    return [
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "--host", HOST, "--port", str(port)),
        *("--workers", os.environ.get("UNIFIED_WORKERS", "1")),
        *("--blocking-threads", os.environ.get("UNIFIED_THREADS", "8")),
        "--respawn-failed-workers",  # or one worker that is killed would end the whole service
        *("--log-level", "error", "unified.wsgi:application"),
    ]


def _end(server: subprocess.Popen[bytes]) -> None:
    """Lets running requests finish, for a bounded time. Asked again, since granian misses a signal while it starts."""
    for _ in range(STOP_ATTEMPTS):
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(timeout=STOP_SECONDS / STOP_ATTEMPTS)
            return
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _curl_commands(url: str, keys: dict[str, str]) -> list[str]:
    user = seed.DEMO_USER_ID
    post = f"-H 'Authorization: Bearer {keys['imagegene']}' -H 'Content-Type: application/json'"
    return [
        f"curl '{url}/api/unified/user-info?user_id={user}' -H 'Authorization: Bearer {keys['penora']}'",
        f"curl '{url}/api/unified/deduct-credits' {post} "
        f'-d \'{{"user_id":"{user}","amount":2,"app_name":"imagegene","description":"Test generation"}}\'',
        f"curl '{url}/api/unified/projects?user_id={user}' -H 'Authorization: Bearer {keys['penora']}'",
    ]


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None


def _text_at(facts: object, *path: str) -> str | None:
    """A text in the facts of an earlier start, or None if anything of them is not as we write it."""
    for name in path:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return facts if isinstance(facts, str) else None


def _write_private(file: Path, text: str) -> None:
    """Replaces the file in one step; it is never readable by others, and never half written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
        new.write(text)
    draft.replace(file)
