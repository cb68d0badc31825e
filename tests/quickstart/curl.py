"""
Runs a curl command line as it is printed in a document. Once as the same request by Python, so that it can be tested
where there is no curl, and once with curl itself.
"""

from __future__ import annotations

import http.client
import io
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator

from tests.quickstart.service import Answer, clean_environment, send

Runner = Callable[[str], Answer]


def by_python(command: str) -> Answer:
    """The request that curl would make of `command`: its default headers, and POST where there is data."""
    words = iter(shlex.split(command.replace("\\\n", "")))  # as a shell joins lines
    assert next(words) == "curl"
    method, url, data = None, None, None
    headers = {"User-Agent": "curl/8.5.0", "Accept": "*/*"}
    for word in words:
        if word in ("-X", "--request"):
            method = next(words)
        elif word in ("-H", "--header"):
            name, _, value = next(words).partition(":")
            headers[name] = value.strip()
        elif word in ("-d", "--data"):
            data = next(words)
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        else:
            assert not word.startswith("-"), f"{word} is an option that this runner does not know"
            assert url is None, f"{word} is a second address"
            url = word
    assert url is not None
    if data is not None and "Content-Type" in {name.title() for name in headers if name != "Content-Type"}:
        del headers["Content-Type"]
    body = None if data is None else data.encode()
    return send(url, method=method or ("GET" if data is None else "POST"), headers=headers, body=body)


def by_curl(command: str) -> Answer:
    """The command itself, pasted into a shell, and what it prints."""
    done = subprocess.run(
        ["sh", "-c", f"{command.strip()} --silent --show-error --include --max-time 60"],
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    printed = io.BytesIO(done.stdout)
    status = int(printed.readline().split()[1])
    headers = http.client.parse_headers(printed)
    return Answer(status, headers, printed.read())


def runners() -> Iterator[tuple[str, Runner]]:
    yield "python", by_python
    if shutil.which("curl"):
        yield "curl", by_curl
