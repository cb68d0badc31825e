"""
`make demo`: Unified, a stand-in for Google, Penora and ImageGene, all on this machine and from one command.

Starts them in the order in which they need each other, says what to open, and ends all of them together.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import requests

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "var" / "demo"
START_SECONDS = 120  # the first start makes a database
STOP_SECONDS = 20
PORTS = {"PORT": 8000, "GOOGLE_PORT": 9400, "PENORA_PORT": 8101, "IMAGEGENE_PORT": 8102}


class Trouble(Exception):
    """Why the demonstration cannot go on, for the person who started it."""


class Program:
    def __init__(self, name: str, command: list[str], settings: dict[str, str]) -> None:
        self.name = name
        self.log = DATA / f"{name.lower().replace(' ', '-')}.log"
        with self.log.open("wb") as log:
            # In a session of its own: a Ctrl-C reaches only us, and we end everything in order.
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} has ended by itself. Its last lines ({self.log}):\n\n{_tail(self.log)}")

    def ask_to_end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()

    def end(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=STOP_SECONDS)
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Demo:
    def __init__(self) -> None:
        self._programs: list[Program] = []
        self._asked_to_stop = False
        self._direct = requests.Session()
        self._direct.trust_env = False  # a proxy would look for this machine elsewhere

    def run(self) -> None:
        # The handlers only take a note. One that raised could do so between the start of a program and the moment in
        # which we know of it, and leave it behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take_note)
        ports = _free_ports()
        urls = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
        DATA.mkdir(parents=True, exist_ok=True)
        _say("Starting (the first time takes a minute) …")
        try:
            self._start(ports, urls)
            if not self._asked_to_stop:
                _say(_invitation(urls))
            while not self._asked_to_stop:
                self._watch()
        finally:
            self._end()

    def _take_note(self, signum: int, frame: object) -> None:
        self._asked_to_stop = True

    def _start(self, ports: dict[str, int], urls: dict[str, str]) -> None:
        unified, google = urls["PORT"], urls["GOOGLE_PORT"]
        settings = {
            "DEBUG": "1",
            "UNIFIED_DEVELOPMENT": "1",
            "UNIFIED_QUICKSTART_OPEN": "0",  # no call without a token: what is shown is what production does
            "UNIFIED_DATA_DIR": str(DATA),
            "DATABASE_URL": "",  # the embedded one, in a folder of its own
            "PORT": str(ports["PORT"]),
            "UNIFIED_URL": unified,
            "GOOGLE_ISSUER": google,
            "GOOGLE_CLIENT_ID": "unified-demo",
            "GOOGLE_CLIENT_SECRET": "the stand-in takes any",
        }
        self._launch("Google stand-in", [sys.executable, "-m", "examples.google"], {"PORT": str(ports["GOOGLE_PORT"])})
        self._launch("Unified", [sys.executable, "manage.py", "quickstart"], settings)
        self._await(f"{google}/.well-known/openid-configuration")
        self._await(f"{unified}/readyz")
        for slug, name, sister in (("penora", "Penora", "ImageGene"), ("imagegene", "ImageGene", "Penora")):
            if self._asked_to_stop:
                return
            app_url = urls[f"{name.upper()}_PORT"]
            # Penora's server can keep a secret. ImageGene shows that an app without one is as safe to use.
            kind = ["--public"] if slug == "imagegene" else ["--new-secret"]
            client = _register(slug, app_url, kind, settings)
            self._launch(
                name,
                [sys.executable, "-m", f"examples.{slug}"],
                {
                    "PORT": str(ports[f"{name.upper()}_PORT"]),
                    "UNIFIED_URL": unified,
                    "APP_URL": app_url,
                    "CLIENT_ID": str(client["client_id"]),
                    "CLIENT_SECRET": str(client["client_secret"] or ""),
                    "SISTER_NAME": sister,
                    "SISTER_URL": urls[f"{sister.upper()}_PORT"] + "/",
                },
            )
        self._await(f"{urls['PENORA_PORT']}/healthz")
        self._await(f"{urls['IMAGEGENE_PORT']}/healthz")

    def _launch(self, name: str, command: list[str], settings: dict[str, str]) -> None:
        self._programs.append(Program(name, command, settings))

    def _await(self, url: str) -> None:
        """Until the address answers, a program ends, or somebody wants to stop."""
        deadline = time.monotonic() + START_SECONDS
        while not self._asked_to_stop:
            with suppress(requests.RequestException):
                if self._direct.get(url, timeout=5).ok:
                    return
            if time.monotonic() > deadline:
                raise Trouble(f"{url} does not answer after {START_SECONDS} s; the logs are in {DATA}.")
            self._watch()

    def _watch(self) -> None:
        for program in self._programs:
            program.check()
        time.sleep(0.1)

    def _end(self) -> None:
        """All are asked at once. A second Ctrl-C changes nothing: each gets the time that it needs, and no more."""
        for program in reversed(self._programs):
            program.ask_to_end()
        for program in self._programs:
            program.end()


def _free_ports() -> dict[str, int]:
    ports: dict[str, int] = {}
    for name, usual in PORTS.items():
        told = os.environ.get(name) or str(usual)
        try:
            port = int(told)
            if not 0 < port < 65536:
                raise ValueError
        except ValueError:
            raise Trouble(f"{name} is '{told}', which is no port number.") from None
        if port in ports.values():
            raise Trouble(f"Port {port} is wanted twice; choose another with 'make demo {name}={port + 1}'.")
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        except OSError as problem:
            why = f"Port {port} cannot be used ({problem.strerror})"
            raise Trouble(f"{why}; choose another with 'make demo {name}={port + 1}'.") from None
        ports[name] = port
    return ports


def _register(slug: str, app_url: str, kind: list[str], settings: dict[str, str]) -> dict[str, object]:
    """Makes the app known to Unified, or tells it the app's addresses of today."""
    done = subprocess.run(
        [
            *(sys.executable, "manage.py", "oidcclient", "register", slug),
            *("--redirect-uri", f"{app_url}/callback"),
            *("--post-logout-uri", f"{app_url}/"),
            *("--origin", app_url),
            *kind,
            "--json",
        ],
        cwd=ROOT,
        env=_environment(settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode != 0:
        raise Trouble(f"{slug} could not be registered:\n\n{done.stderr.strip()}")
    client: dict[str, object] = json.loads(done.stdout)
    return client


def _environment(settings: dict[str, str]) -> dict[str, str]:
    # Ports of ours mean nothing to the programs, and a proxy of the reader's must not come between them.
    inherited = {name: value for name, value in os.environ.items() if name not in PORTS}
    return {**inherited, "PYTHONUNBUFFERED": "1", "NO_PROXY": HOST, "no_proxy": HOST, **settings}


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").rstrip().splitlines()[-15:])


def _invitation(urls: dict[str, str]) -> str:
    width = 42
    lines: list[tuple[str, str]] = [
        (f"Penora     {urls['PENORA_PORT']}/", "sign in; whoever stands in for Google offers Demo User"),
        (f"ImageGene  {urls['IMAGEGENE_PORT']}/", "open it in the same browser: you are in already"),
        ("", "generate in both: one pool pays, and either app shows what the other made"),
        ("", "sign out of one, then reload the other: you are out of both"),
        (f"Unified    {urls['PORT']}/", "who is signed in there, the API's documentation, and the staff's admin"),
        ("", f"the admin's password is in {DATA.relative_to(ROOT) / 'quickstart.json'}. Ctrl-C ends all of it"),
    ]
    return "\n".join(["", *(f"{left:<{width}} {right}" for left, right in lines), ""])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    try:
        Demo().run()
    except Trouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
