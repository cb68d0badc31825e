"""What a client can send over a real connection: too much, in pieces, too deep, and a great deal at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from tests.quickstart.service import Answer, Service, clean_environment, send, wait_for

LIMIT_BYTES = 12 * 1024 * 1024
JSON = {"Content-Type": "application/json"}


def connect(service: Service) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=30)


def assert_failure(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert answer.status == status, answer.body[:500]
    body: dict[str, Any] = answer.json()
    assert body["success"] is False
    assert body["code"] == code
    assert isinstance(body["error"], str)
    assert isinstance(body["details"], str)
    return body


# --- size and form of a body -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_bytes", [LIMIT_BYTES + 1, 13 * 1024 * 1024])
def test_a_body_that_is_too_large_gets_an_answer(open_service: Service, size_bytes: int) -> None:
    filler = b"x" * (size_bytes - len(b'{"user_id":""}'))
    answer = open_service.call("POST", "create-user", b'{"user_id":"' + filler + b'"}')
    assert assert_failure(answer, 413, "payload_too_large")["limit_bytes"] == LIMIT_BYTES
    assert send(f"{open_service.url}/healthz").status == 200


def test_requests_and_curl_see_the_answer_to_a_body_that_is_too_large(open_service: Service, tmp_path: Path) -> None:
    """Not only a broken connection, although the server hangs up before it has read it all."""
    url = f"{open_service.url}/api/unified/create-user"
    body = b'{"user_id":"' + b"x" * 13 * 1024 * 1024 + b'"}'
    for _ in range(5):
        answer = requests.post(url, data=body, headers=JSON, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    file = tmp_path / "large.json"
    file.write_bytes(body)
    if shutil.which("curl"):
        command = ["curl", "-sS", "-m", "30", url, "-H", "Content-Type: application/json", "--data-binary", f"@{file}"]
        done = subprocess.run(command, env=clean_environment(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["code"] == "payload_too_large"


def test_a_body_up_to_the_limit_is_read(open_service: Service, new_user: Callable[..., str]) -> None:
    body = {"user_id": new_user(open_service), "app_source": "penora", "project_type": "page", "title": "Long"}
    room = LIMIT_BYTES - len(json.dumps({**body, "content": ""}))
    answer = open_service.call("POST", "save-project", {**body, "content": "x" * room})
    assert_failure(answer, 413, "storage_limit_exceeded")


def in_chunks(service: Service, body: bytes, *, piece_bytes: int) -> Answer:
    """A POST of create-user without Content-Length, as many HTTP libraries send a stream."""
    pieces = (body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes))
    headers = {**JSON, "Transfer-Encoding": "chunked"}
    return send(f"{service.url}/api/unified/create-user", method="POST", headers=headers, body=pieces)


@pytest.mark.parametrize("piece_bytes", [7, 1_000])
def test_a_chunked_body_is_read_or_the_answer_says_what_to_do(open_service: Service, piece_bytes: int) -> None:
    body = {"user_id": f"chunked-{piece_bytes}", "username": "Chunked", "email": "chunked@example.com"}
    answer = in_chunks(open_service, json.dumps(body).encode(), piece_bytes=piece_bytes)
    if answer.status == 201:
        assert answer.json()["user_id"] == body["user_id"]
    else:
        assert answer.status in (400, 411), answer.body
        assert "Content-Length" in answer.json()["details"], answer.json()


def test_a_chunked_body_that_is_too_large_gets_an_answer(open_service: Service) -> None:
    answer = in_chunks(open_service, b'{"user_id":"' + b"x" * 13 * 1024 * 1024 + b'"}', piece_bytes=65536)
    assert answer.status in (400, 411, 413), answer.body
    assert answer.json()["success"] is False
    if answer.status != 413:
        assert "Content-Length" in answer.json()["details"], answer.json()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="open lists"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="lists"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="objects"),
        pytest.param(b'{"metadata":' + b"[" * 32 + b"]" * 32 + b"}", id="33 levels"),
    ],
)
def test_deep_nesting_is_a_bad_request(open_service: Service, body: bytes) -> None:
    assert (
        "32 levels" in assert_failure(open_service.call("POST", "save-project", body), 400, "invalid_json")["details"]
    )


@pytest.mark.parametrize(
    "body", [b"null", b'"text"', b"{", b"\xff\xfe", b'{"a":1,"a":2}', b'{"a":"\\u0000"}', b'{"a":NaN}']
)
def test_a_body_that_is_not_an_object_is_a_bad_request(open_service: Service, body: bytes) -> None:
    assert_failure(open_service.call("POST", "create-user", body), 400, "invalid_json")


def test_an_empty_body_is_a_bad_request(open_service: Service) -> None:
    answer = open_service.call("POST", "create-user", b"")
    assert answer.status == 400
    assert answer.json()["code"] in ("invalid_json", "validation_error")


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(open_service: Service) -> None:
    """More of them than there are threads to answer."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", int(open_service.port)), timeout=30) as client:
            client.sendall(
                f"POST /api/unified/create-user HTTP/1.1\r\nHost: 127.0.0.1:{open_service.port}\r\n"
                'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"user_id":'.encode()
            )
    assert open_service.call("GET", "pricing").status == 200


def stalled(service: Service, path: str, content_type: str) -> socket.socket:
    """A client that says it will send 1000 bytes, sends the first, and waits."""
    client = socket.create_connection(("127.0.0.1", int(service.port)), timeout=30)
    client.sendall(
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nContent-Length: 1000\r\n"
        f"Content-Type: {content_type}\r\nCookie: csrftoken={'x' * 32}\r\n\r\nuser_id=".encode()
    )
    return client


@pytest.mark.parametrize("path", ["/api/unified/create-user", "/api/nowhere"])
def test_strangers_who_do_not_finish_their_bodies_do_not_block_the_others(enforced_service: Service, path: str) -> None:
    """
    More of them than there are threads to answer; none has a credential. (A form's body is read before anybody knows
    who sends it: that is what the buffering proxy is for which README asks for.)
    """
    with contextlib.ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(stalled(enforced_service, path, "application/json"))
        for _ in range(3):
            assert send(f"{enforced_service.url}/healthz", patience_seconds=5).status == 200


# --- many at once, and one after the other ---------------------------------------------------------------------------


def test_parallel_calls_for_one_person_are_all_answered_and_add_up(
    open_service: Service, new_user: Callable[..., str]
) -> None:
    """32 threads with 5 calls each, and credits for less than all of them."""
    user = new_user(open_service, credits=301)

    def five(thread: int) -> list[Answer]:
        connection = connect(open_service)
        try:
            answers = []
            for number in range(5):
                body = {"user_id": user, "amount": 2, "app_name": "imagegene", "description": f"{thread}.{number}"}
                connection.request("POST", "/api/unified/deduct-credits", json.dumps(body), JSON)
                response = connection.getresponse()
                answers.append(Answer(response.status, response.headers, response.read()))
            return answers
        finally:
            connection.close()

    with ThreadPoolExecutor(32) as pool:
        answers = [answer for some in pool.map(five, range(32)) for answer in some]
    done = [answer.json()["new_balance"] for answer in answers if answer.status == 200]
    assert sorted(done) == list(range(1, 300, 2))
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) == 10
    for answer in refused:
        assert assert_failure(answer, 402, "insufficient_credits")["details"] == "User has 1 credit but needs 2"
    page = open_service.call("GET", f"transactions?user_id={user}&type=deduction&limit=500").json()
    assert page["total_count"] == 150
    assert sum(entry["amount"] for entry in page["all_transactions"]) == -300
    assert open_service.call("GET", f"user-info?user_id={user}").json()["credits"] == 1


def test_parallel_first_logins_of_one_person_grant_once(open_service: Service) -> None:
    body = {"user_id": "everybody-at-once", "username": "One", "email": "one@example.com"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: open_service.call("POST", "create-user", body), range(32)))
    assert sorted(answer.status for answer in answers) == [200] * 31 + [201]
    assert {answer.json()["credits"] for answer in answers} == {50}
    assert open_service.call("GET", "transactions?user_id=everybody-at-once").json()["total_count"] == 1


def test_a_connection_is_kept_for_further_calls_also_after_failures(open_service: Service) -> None:
    connection = connect(open_service)
    try:
        addresses = set()
        for method, route, body, status in (
            ("GET", "pricing", None, 200),
            ("GET", "user-info?user_id=nobody-of-this-name", None, 404),
            ("POST", "create-user", b"{", 400),
            ("GET", "nowhere", None, 404),
            ("DELETE", "pricing", None, 405),
            ("GET", "pricing", None, 200),
        ):
            connection.request(method, f"/api/unified/{route}", body, JSON)
            response = connection.getresponse()
            assert response.status == status
            assert json.loads(response.read())["success"] is (status == 200)
            assert connection.sock is not None, f"the connection was closed after {method} {route}"
            addresses.add(connection.sock.getsockname())
        assert len(addresses) == 1
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/api/docs/", 200),
        ("/api/schema/", 200),
        ("/api/unified/pricing", 200),
        ("/api/unified/user-info?user_id=101902121794505144784", 200),
        ("/api/unified/user-info?user_id=nobody-of-this-name", 404),
        ("/api/nowhere", 404),
    ],
)
def test_head_is_get_without_the_body(open_service: Service, path: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", int(open_service.port)), timeout=30) as client:
        # What follows the head, if anything, can be seen on the raw connection only.
        client.sendall(f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while piece := client.recv(65536):
            received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert rest == b""


# --- the pages -------------------------------------------------------------------------------------------------------


class Addresses(HTMLParser):
    """Every src and href of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


@pytest.mark.parametrize("path", ["/", "/api/docs/", "/admin/login/"])
def test_a_page_and_all_that_it_names_are_served_from_here(open_service: Service, path: str) -> None:
    page = send(f"{open_service.url}{path}")
    assert page.status == 200
    assert page.headers.get_content_type() == "text/html"
    addresses = [urljoin(f"{open_service.url}{path}", found) for found in Addresses(page.body.decode()).found]
    assert addresses
    for address in addresses:
        if address.startswith("data:"):
            continue
        assert urlsplit(address).netloc == urlsplit(open_service.url).netloc, f"{path} needs {address}"
        answer = send(address)
        if answer.status == 302:  # the admin sends a stranger to its login form
            assert urlsplit(answer.headers["Location"]).path == "/admin/login/"
            continue
        assert answer.status == 200, address
        assert answer.body


def test_the_schema_is_served(open_service: Service) -> None:
    answer = send(f"{open_service.url}/api/schema/")
    assert answer.status == 200
    document = json.loads(answer.body)
    assert document["openapi"].startswith("3.1")
    assert "/api/unified/deduct-credits" in document["paths"]


# --- last: what all of this has cost ---------------------------------------------------------------------------------


def test_the_worker_has_not_grown_without_bound(open_service: Service) -> None:
    """Its peak, after bodies of 12 MB, deep nesting and many calls at once."""
    worker = open_service.worker()
    try:
        with open(f"/proc/{worker.pid}/status") as status:
            peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except FileNotFoundError:
        pytest.skip("needs Linux's /proc")
    print(f"peak of the worker: {peak_kb} kB")
    assert peak_kb < 400_000
    wait_for(lambda: send(f"{open_service.url}/readyz").status == 200, what="the service to be ready", seconds=5)
