"""What `make demo` starts, on free ports and in a folder of its own: Unified, Google's stand-in, Penora, ImageGene."""

from __future__ import annotations

import contextlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.quickstart.service import PROJECT, Service, clean_environment, free_port, home, running, send, wait_for
from tests.sso.parties import register

# Prints what the middleware of the policy would send, with the settings that README asks a production server for.
PRODUCTION_POLICY = """
import django
django.setup()
from django.conf import settings
from csp.utils import build_policy
assert not settings.DEBUG
print(build_policy())
"""
PARTNER = "<!doctype html><title>The partner</title><h1>Back at the partner</h1>"
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "unified.settings",
    "UNIFIED_DEVELOPMENT": "0",
    "DEBUG": "0",
    "SECRET_KEY": "a-key-for-the-tests-that-signs-nothing-0123456789abcdefghij",
    "ALLOWED_HOSTS": "unified.example",
    "UNIFIED_URL": "https://unified.example",
    "DATABASE_URL": "postgres://localhost/unified",
}


@dataclass(frozen=True)
class Stack:
    unified: Service
    google: str
    penora: str
    imagegene: str
    partner: str  # an app of somebody else: only an address that answers, and a client that has to ask
    partner_client: str

    @property
    def registered(self) -> set[str]:
        """Where forms of Unified may lead on to."""
        return {self.google, self.penora, self.imagegene, self.partner}


@contextlib.contextmanager
def stack() -> Iterator[Stack]:
    google, penora, imagegene = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    service = {
        "port": port,
        "quickstart_open": False,
        "UNIFIED_URL": url,
        "GOOGLE_ISSUER": google,
        "GOOGLE_CLIENT_ID": "unified-tests",
        "GOOGLE_CLIENT_SECRET": "the stand-in takes any",
        "NO_PROXY": "127.0.0.1",
    }
    with (
        home() as folder,
        tiny_server(PARTNER) as partner,
        program(folder, "examples.google", google),
        running(folder, **service) as unified,
    ):
        with ThreadPoolExecutor(2) as several:
            clients = several.map(
                lambda app: register(
                    unified,
                    *(app[0], "--redirect-uri", f"{app[1]}/callback", "--post-logout-uri", f"{app[1]}/"),
                    *("--origin", app[1], *app[2:]),
                ),
                [
                    ("penora", penora),
                    ("imagegene", imagegene, "--public"),
                    ("penora", partner, "--public", "--third-party", "--name", "Partner"),
                ],
            )
            settings = [
                {
                    "UNIFIED_URL": url,
                    "CLIENT_ID": client["client_id"],
                    "CLIENT_SECRET": client["client_secret"] or "",
                }
                for client in clients
            ]
        to_imagegene = {"APP_URL": penora, "SISTER_NAME": "ImageGene", "SISTER_URL": f"{imagegene}/"}
        to_penora = {"APP_URL": imagegene, "SISTER_NAME": "Penora", "SISTER_URL": f"{penora}/"}
        with (
            program(folder, "examples.penora", penora, **settings[0], **to_imagegene),
            program(folder, "examples.imagegene", imagegene, **settings[1], **to_penora),
        ):
            _wait_until_healthy(penora, imagegene)
            yield Stack(unified, google, penora, imagegene, partner, settings[2]["CLIENT_ID"])


@contextlib.contextmanager
def program(folder: Path, module: str, url: str, **settings: str) -> Iterator[None]:
    """One of examples/, as a process of its own until the block ends."""
    log = folder / f"{module}.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=PROJECT,
            env=clean_environment(PORT=url.rpartition(":")[2], NO_PROXY="127.0.0.1", PYTHONUNBUFFERED="1")
            | {"no_proxy": "127.0.0.1", **settings},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield
            assert process.poll() is None, f"{module} ended by itself: {log.read_text()}"
        finally:
            process.kill()


def _wait_until_healthy(*apps: str) -> None:
    def all_answer() -> bool:
        with contextlib.suppress(OSError):
            return all(send(f"{app}/healthz").status == 200 for app in apps)
        return False

    wait_for(all_answer, what="the example apps")


def production_policy() -> str:
    """The content security policy that production has."""
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTION_POLICY],
        cwd=PROJECT,
        env=clean_environment(**PRODUCTION),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "default-src 'none'" in done.stdout
    return done.stdout.strip()


@contextlib.contextmanager
def tiny_server(page: str = "<!doctype html><title>Here</title>", **headers: str) -> Iterator[str]:
    """Answers every GET with one page, and gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.encode()
            self.send_response(200)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
