"""The life of a quickstart: what it says and leaves, how it starts again, how it ends, and what it refuses."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import requests

from tests.quickstart.conftest import DEMO_USER_ID
from tests.quickstart.curl import Runner
from tests.quickstart.service import (
    MANAGE,
    PROJECT,
    Service,
    clean_environment,
    home,
    is_running,
    running,
    send,
    wait_for,
)
from unified import signing_keys
from unified.database import temporary_cluster

TERM, INT = signal.SIGTERM, signal.SIGINT


class Life:
    """One data folder and the services that live on it, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service: Service | None = None

    def running(self) -> Service:
        """The service that runs on the folder, started if it does not."""
        if self.service is None or self.service.process.poll() is not None:
            self.service = Service(self.folder)
            self.service.wait_until_ready()
        return self.service

    def close(self) -> None:
        if self.service is not None:
            self.service.close()


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with home() as folder:
        life = Life(folder)
        try:
            yield life
        finally:
            life.close()


@pytest.fixture
def service(life: Life) -> Service:
    return life.running()


@pytest.fixture
def empty_home() -> Iterator[Path]:
    with home() as folder:
        yield folder


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Starts services without waiting for them; what is left of them ends with the test."""
    started: list[Service] = []

    def start_one(folder: Path, **options: Any) -> Service:
        started.append(Service(folder, **options))
        return started[-1]

    yield start_one
    for one in started:
        one.close()


def printed_commands(service: Service) -> list[str]:
    return [line.strip() for line in service.out.splitlines() if line.strip().startswith("curl ")]


# --- what it says ----------------------------------------------------------------------------------------------------


def test_the_first_start_says_all_that_a_developer_needs(service: Service) -> None:
    facts = service.facts
    out = service.out
    assert f"Unified is at   {service.url}\n" in out
    assert f"{service.url}/api/docs/" in out
    assert f"{service.url}/admin/" in out
    assert f"user id {facts['admin']['user_id']}, password {facts['admin']['password']}\n" in out
    assert facts["app_keys"]["penora"] in out
    assert facts["app_keys"]["imagegene"] in out
    assert printed_commands(service) == facts["curl"]
    assert len(facts["curl"]) == 3
    assert "UNIFIED_QUICKSTART_OPEN=0" in out
    assert "Ctrl-C" in out
    named = re.search(r"for scripts: (.+quickstart\.json)\n", out)
    assert named
    assert (PROJECT / named[1]).samefile(service.data_dir / "quickstart.json")


def test_a_start_that_goes_well_complains_of_nothing(service: Service) -> None:
    assert not re.search(r"warning|error|traceback", service.err, re.IGNORECASE), service.err


def test_quickstart_json_has_the_same_facts_for_its_owners_eyes_only(service: Service) -> None:
    file = service.data_dir / "quickstart.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_uid == os.geteuid()
    facts = service.facts
    assert facts["url"] == service.url
    assert facts["admin"] == {
        "url": f"{service.url}/admin/",
        "user_id": "admin",
        "password": facts["admin"]["password"],
    }
    assert len(facts["admin"]["password"]) >= 12
    assert set(facts["app_keys"]) == {"penora", "imagegene"}
    assert facts["demo_user_id"] == DEMO_USER_ID
    assert facts["open_without_credentials"] is True
    assert facts["database"].startswith("postgresql://")
    assert not list(service.data_dir.glob("quickstart.json.*"))
    assert stat.S_IMODE((service.data_dir / "secret_key").stat().st_mode) == 0o600


def test_each_printed_curl_command_works(service: Service, run_curl: Runner) -> None:
    info, deduct, projects = printed_commands(service)
    before = run_curl(info)
    assert before.status == 200
    assert before.json()["user_id"] == DEMO_USER_ID
    deducted = run_curl(deduct)
    assert deducted.status == 200, deducted.body
    assert deducted.json()["new_balance"] == before.json()["credits"] - 2
    listed = run_curl(projects)
    assert listed.status == 200
    assert listed.json()["total_count"] == 8
    # They carry a key, so that they are good examples where keys are enforced.
    assert {"X-Unified-Auth"}.isdisjoint({*before.headers, *deducted.headers, *listed.headers})


def test_nobody_else_can_reach_it(service: Service) -> None:
    """Neither the service nor its database listens on an address that other machines can reach."""
    listening = [
        connection.laddr
        for process in service.processes()
        if process.is_running()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {(address.ip, address.port) for address in listening} == {("127.0.0.1", service.port)}


def log_in(service: Service, password: str) -> requests.Response:
    """The admin's form, as a browser fills it in."""
    with requests.Session() as browser:
        login = f"{service.url}/admin/login/?next=/admin/"
        form = browser.get(login, timeout=30)
        assert form.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token
        sent = {"username": "admin", "password": password, "csrfmiddlewaretoken": token[1], "next": "/admin/"}
        return browser.post(login, data=sent, headers={"Referer": login}, timeout=30)


def test_the_printed_password_opens_the_admin(service: Service) -> None:
    page = log_in(service, service.facts["admin"]["password"])
    assert (page.status_code, page.url) == (200, f"{service.url}/admin/")
    assert "/admin/logout/" in page.text
    refused = log_in(service, "not the password")
    assert refused.url.startswith(f"{service.url}/admin/login/")
    assert "/admin/logout/" not in refused.text


# --- again -----------------------------------------------------------------------------------------------------------


def everything_in(service: Service) -> dict[str, Any]:
    """The rows of the database, table by table, that starting must not add to or change."""
    connection = psycopg2.connect(service.facts["database"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            # The figures are counted anew at every start.
            tables = [row[0] for row in cursor.fetchall() if not row[0].startswith("figures_")]
            rows = {}
            for table in tables:
                # When a key was last used is noted at every call.
                cursor.execute(f"SELECT to_jsonb(t) - 'last_used_at' - 'last_login' FROM {table} t ORDER BY 1::text")
                rows[table] = [row[0] for row in cursor.fetchall()]
        return rows
    finally:
        connection.close()


def test_a_second_start_keeps_keys_password_and_data_and_seeds_nothing_twice(life: Life) -> None:
    first = life.running()
    code = first.call(
        "POST",
        "save-project",
        {
            "user_id": DEMO_USER_ID,
            "app_source": "penora",
            "project_type": "page",
            "title": "Kept",
            "content": "Über alles",
        },
    ).json()["project_code"]
    facts, rows = first.facts, everything_in(first)
    assert rows["django_migrations"]
    secret = (first.data_dir / "secret_key").read_text()
    assert first.stop() == 0

    second = life.running()
    assert second.url != first.url
    again = second.facts
    for name in ("app_keys", "demo_user_id", "database"):
        assert again[name] == facts[name]
    assert again["admin"]["password"] == facts["admin"]["password"]
    assert again["admin"]["password"] in second.out
    assert again["url"] == second.url
    assert (second.data_dir / "secret_key").read_text() == secret
    assert everything_in(second) == rows
    content = second.call("GET", f"projects/{code}/content", key=again["app_keys"]["penora"])
    assert (content.status, content.body.decode()) == (200, "Über alles")
    assert log_in(second, facts["admin"]["password"]).url == f"{second.url}/admin/"


def test_a_lost_or_broken_quickstart_json_is_made_anew(life: Life) -> None:
    service = life.running()
    old = service.facts
    assert service.stop() == 0
    (service.data_dir / "quickstart.json").write_text('{"admin":')
    service = life.running()
    new = service.facts
    # Neither a password nor a key can be read back from the database: new keys replace the old ones.
    assert new["admin"]["password"] is None
    assert "(the one you set)" in service.out
    for app in ("penora", "imagegene"):
        assert service.call("GET", "pricing", key=new["app_keys"][app]).status == 200
        assert service.call("GET", "pricing", key=old["app_keys"][app]).status == 401
    assert log_in(service, old["admin"]["password"]).url == f"{service.url}/admin/"


def test_a_quickstart_json_of_another_form_does_not_stop_the_start(life: Life) -> None:
    """JSON, and yet not what was written: somebody has edited it."""
    service = life.running()
    assert service.stop() == 0
    file = service.data_dir / "quickstart.json"
    file.write_text('{"admin": null, "app_keys": {"penora": 7, "imagegene": null}}')
    try:
        service = life.running()
        assert service.call("GET", "pricing", key=service.facts["app_keys"]["penora"]).status == 200
    finally:
        if life.service is not None and life.service.process.poll() is not None:
            file.unlink()  # the tests that follow are about other things


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signals", "to_group"),
    [
        pytest.param([INT], False, id="SIGINT"),
        pytest.param([INT, TERM], False, id="SIGINT and SIGTERM"),
        pytest.param([TERM, INT, TERM, INT], True, id="many to the group"),
    ],
)
def test_it_stops_whole_and_keeps_its_data(life: Life, signals: list[signal.Signals], to_group: bool) -> None:
    service = life.running()
    kinds = {process.name() for process in service.processes() if process.is_running()}
    assert any("postgres" in kind for kind in kinds)
    assert len(service.processes()) > 6  # the command, granian, its worker, PostgreSQL and its workers
    key = service.facts["app_keys"]["imagegene"]
    user = service.make_user(f"survivor-{secrets.token_hex(4)}", credits=9)

    assert service.stop(*signals, to_group=to_group) == 0
    assert "Traceback" not in service.err
    with pytest.raises(ConnectionRefusedError):
        send(f"{service.url}/healthz")

    info = life.running().call("GET", f"user-info?user_id={user}", key=key)
    assert (info.status, info.json()["credits"]) == (200, 9)


def test_ctrl_c_while_postgresql_starts(empty_home: Path, start: Callable[..., Service]) -> None:
    service = start(empty_home)
    service.wait_for((service.data_dir / "postgres/postmaster.pid").exists, what="PostgreSQL's first sign of life")
    service.stop(INT)
    assert "Unified is at" not in service.out
    assert "Traceback" not in service.err, service.err


def test_a_signal_in_the_moment_in_which_the_web_server_is_started(life: Life, start: Callable[..., Service]) -> None:
    """Whether or not the command knows yet that its child is there, the child must end. (Not every try meets it.)"""
    if life.service is not None and life.service.process.poll() is None:
        assert life.service.stop() == 0
    for _ in range(2):
        service = start(life.folder)
        command = psutil.Process(service.process.pid)
        while service.process.poll() is None and len(command.children()) < 2:
            pass  # PostgreSQL is the first child; the second lives for a millisecond before its parent goes on
        assert service.stop(TERM) == 0
        assert "Unified is at" not in service.out


def test_a_request_that_is_running_is_answered_before_the_end(life: Life) -> None:
    """A write that waits for a row in the moment of the signal is done, and its caller is told so."""
    service = life.running()
    key = service.facts["app_keys"]["imagegene"]
    user = service.make_user(f"patient-{secrets.token_hex(4)}", credits=9)
    body = {"user_id": user, "amount": 2, "app_name": "imagegene", "description": "Late"}
    blocker = psycopg2.connect(service.facts["database"])
    try:
        with blocker.cursor() as cursor:
            cursor.execute("LOCK TABLE credits_ledgerentry IN EXCLUSIVE MODE")
            connection = _post(service, "deduct-credits", body, key)
            wait_for(lambda: _waiting(service), what="the call to wait for the lock")
            service.send_signals(TERM)
            wait_for(lambda: not _accepts(service), what="the service to stop listening", seconds=5)
        blocker.rollback()
        response = connection.getresponse()
        assert response.status == 200
        assert json.loads(response.read())["new_balance"] == 7
        connection.close()
    finally:
        blocker.close()
    assert service.wait_until_gone() == 0
    assert life.running().call("GET", f"user-info?user_id={user}", key=key).json()["credits"] == 7


def _post(service: Service, route: str, body: dict[str, Any], key: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", int(service.port), timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", f"/api/unified/{route}", json.dumps(body), headers)
    return connection


def _waiting(service: Service) -> bool:
    connection = psycopg2.connect(service.facts["database"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])
    finally:
        connection.close()


def _accepts(service: Service) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(service.port))) == 0


def test_make_run_stops_whole_at_ctrl_c(life: Life) -> None:
    """In a terminal, make and the service get the signal together."""
    if subprocess.run(["make", "-q", ".venv/installed"], cwd=PROJECT, capture_output=True, check=False).returncode:
        pytest.skip("make would install packages first")
    if life.service is not None and life.service.process.poll() is None:
        assert life.service.stop() == 0
    with running(life.folder, command=("make", "run")) as service:
        assert service.call("GET", "pricing").headers["X-Unified-Auth"] == "quickstart-open"
        service.stop(INT, to_group=True)


# --- what it refuses -------------------------------------------------------------------------------------------------


def assert_refused(service: Service, *, naming: str) -> None:
    """It ends with one sentence, and leaves no process and no facts."""
    assert service.wait_until_ended() != 0
    assert naming in service.err
    assert len(service.err.strip().splitlines()) == 1, service.err
    assert service.out == ""


def test_a_taken_port_is_said_in_one_sentence(empty_home: Path, start: Callable[..., Service]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = start(empty_home, port=port)
        assert_refused(service, naming=f"Port {port} is taken")
    assert f"PORT={port + 1}" in service.err
    assert not (service.data_dir / "quickstart.json").exists()


def test_starting_it_twice_leaves_the_first_in_peace(life: Life, start: Callable[..., Service]) -> None:
    first = life.running()
    facts = first.facts
    assert_refused(start(life.folder, port=first.port), naming=f"Port {first.port} is taken")
    assert first.facts == facts
    assert send(f"{first.url}/readyz").status == 200
    assert first.call("GET", "pricing", key=facts["app_keys"]["penora"]).status == 200


def test_two_services_can_share_one_folder(life: Life) -> None:
    """On another port: they share the database, and the one that stops first does not take it away."""
    first = life.running()
    keys = first.facts["app_keys"]
    postmaster = first.postmaster()
    with running(life.folder) as second:
        assert second.facts["app_keys"] == keys
        first.processes()
        first.send_signals(TERM)
        assert first.process.wait(timeout=30) == 0
        wait_for(lambda: all("postgres" in one.name() for one in first.left()), what="the first one to be gone")
        assert second.call("GET", "pricing", key=keys["penora"]).status == 200
        assert second.stop() == 0
        assert not is_running(postmaster)
        assert first.left() == []


@pytest.mark.parametrize("port", ["abc", "65536", "0"])
def test_a_port_that_is_no_port_is_said_in_one_sentence(life: Life, start: Callable[..., Service], port: str) -> None:
    life.running()
    service = start(life.folder, port=port)
    try:
        assert_refused(service, naming=f"PORT is '{port}', which is no port number")
    finally:
        service.close()
        if life.service is not None and life.service.facts["url"] != life.service.url:  # it took the folder over
            life.service.stop()


def test_a_proxy_in_the_environment_does_not_keep_it_from_being_ready(
    life: Life, start: Callable[..., Service]
) -> None:
    if life.service is not None and life.service.process.poll() is None:
        assert life.service.stop() == 0
    service = start(life.folder, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")

    def answers() -> bool:
        return _accepts(service) and send(f"{service.url}/readyz").status == 200

    service.wait_for(answers, what="the service to answer")
    wait_for(lambda: service.url in service.out, what="the service to say so", seconds=5)
    assert service.stop() == 0


def test_database_url_is_served_from_and_nothing_is_embedded(empty_home: Path) -> None:
    with temporary_cluster() as server, running(empty_home, DATABASE_URL=server.url("unified")) as service:
        assert service.facts["database"] is None
        assert not any("postgres" in process.name() for process in service.processes())
        assert not list(service.data_dir.glob("postgres*"))
        assert service.call("GET", f"user-info?user_id={DEMO_USER_ID}").json()["credits"] == 43
        connection = psycopg2.connect(server.url("unified"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM workspace_project")
            assert cursor.fetchone() == (8,)
        connection.close()
        assert service.stop() == 0
        assert "Traceback" not in service.err


def test_a_database_that_does_not_answer_is_said_without_a_traceback(
    empty_home: Path, start: Callable[..., Service]
) -> None:
    service = start(empty_home, DATABASE_URL="postgres://unified:secret@127.0.0.1:1/unified")
    assert service.wait_until_ended() != 0
    assert "127.0.0.1" in service.err
    assert "secret" not in service.err
    assert "Traceback" not in service.err


# --- settings that are refused ---------------------------------------------------------------------------------------

GOOD = {
    "DEBUG": "0",
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "unified.example",
    "DATABASE_URL": "postgres://unified:secret@127.0.0.1:1/unified",
    "UNIFIED_URL": "https://unified.example",
}
SIGNING_KEYS = [signing_keys.new_key(), signing_keys.new_key()]
UNSAFE = [
    pytest.param({"UNIFIED_QUICKSTART_OPEN": "1"}, "unified.E001", "Unset UNIFIED_QUICKSTART_OPEN", id="open"),
    pytest.param({"SECRET_KEY": "short"}, "unified.E002", "Make one with: python -c", id="short-secret"),
    pytest.param({"SECRET_KEY": ""}, "unified.E002", "Make one with: python -c", id="no-secret"),
    pytest.param({"ALLOWED_HOSTS": ""}, "unified.E003", "Set ALLOWED_HOSTS", id="no-host"),
    pytest.param({"ALLOWED_HOSTS": "unified.example,*"}, "unified.E003", "Set ALLOWED_HOSTS", id="every-host"),
    pytest.param({"DATABASE_URL": ""}, "unified.E004", "Set DATABASE_URL=postgres://", id="no-database"),
    pytest.param({"DATABASE_URL": "sqlite:////tmp/unified.sqlite"}, "unified.E005", "PostgreSQL 15", id="sqlite"),
    pytest.param({"ALLOWED_HOSTS": "https://unified.example"}, "unified.E003", "Set ALLOWED_HOSTS", id="an-address"),
    pytest.param({"UNIFIED_INITIAL_CREDITS": "1001"}, "unified.E006", "lower the one or raise", id="too-generous"),
    pytest.param({"UNIFIED_INITIAL_CREDITS": "-1"}, "unified.E006", "lower the one or raise", id="negative"),
    pytest.param({"UNIFIED_URL": ""}, "unified.E010", "Set UNIFIED_URL=https://", id="no-address"),
    pytest.param({"UNIFIED_URL": "http://unified.example"}, "unified.E010", "Set UNIFIED_URL=https://", id="in-clear"),
    pytest.param({"OIDC_SIGNING_KEYS": ""}, "unified.E011", "Make two with", id="no-signing-keys"),
    pytest.param({"GOOGLE_CLIENT_ID": "x"}, "unified.E012", "Set both", id="half-of-google"),
    pytest.param({"UNIFIED_IDEMPOTENCY_KEPT_DAYS": "6"}, "unified.E007", "at least 7 days", id="forgetful"),
]


CHECK, WEB_PROCESS = ("manage.py", "check"), ("-c", "import unified.wsgi")


def python(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    keys = [folder / "1.pem", folder / "2.pem"]
    for key in keys:
        signing_keys.write(key, SIGNING_KEYS[keys.index(key)])
    static = folder / "static"
    static.mkdir(exist_ok=True)
    (static / "staticfiles.json").write_text('{"paths": {}, "version": "1.1"}')
    settings = {"OIDC_SIGNING_KEYS": ",".join(map(str, keys)), "UNIFIED_STATIC_ROOT": str(static), **settings}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=clean_environment(**{**GOOD, "UNIFIED_DATA_DIR": str(folder / "var"), **settings}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


Result = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """Each of these processes takes a second; a few at a time is faster, and they have nothing in common."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture(scope="module")
def refusals(pool: ThreadPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Result]]:
    """What a web process says to each of the unsafe settings, by the test's id."""
    return {
        str(case.id): pool.submit(python, tmp_path_factory.mktemp("data"), *WEB_PROCESS, **case.values[0])
        for case in UNSAFE
    }


def test_good_settings_of_production_are_accepted(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    for done in pool.map(lambda arguments: python(tmp_path, *arguments), (CHECK, WEB_PROCESS)):
        assert done.returncode == 0, done.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(("unsafe", "number", "hint"), UNSAFE)
def test_a_web_process_refuses_unsafe_settings_with_a_hint(
    refusals: dict[str, Future[Result]],
    request: pytest.FixtureRequest,
    unsafe: dict[str, str],
    number: str,
    hint: str,
) -> None:
    done = refusals[request.node.callspec.id].result()
    assert done.returncode != 0
    assert number in done.stderr, done.stderr[-600:]
    assert hint in done.stderr


def test_a_web_process_refuses_to_serve_pages_without_their_static_files(
    pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    nowhere = {"UNIFIED_STATIC_ROOT": str(tmp_path / "nowhere")}
    serving, checking = pool.map(lambda arguments: python(tmp_path, *arguments, **nowhere), (WEB_PROCESS, CHECK))
    assert serving.returncode != 0
    assert "unified.E016" in serving.stderr
    assert "collectstatic" in serving.stderr
    assert checking.returncode == 0, checking.stderr


@pytest.mark.parametrize(("unsafe", "number", "hint"), [UNSAFE[0], UNSAFE[3]])
def test_manage_py_check_refuses_them_too(tmp_path: Path, unsafe: dict[str, str], number: str, hint: str) -> None:
    done = python(tmp_path, *CHECK, **unsafe)
    assert done.returncode != 0
    assert number in done.stderr
    assert hint in done.stderr


def test_no_database_is_made_where_an_embedded_one_is_refused(empty_home: Path) -> None:
    """Production without DATABASE_URL: `check` says so, and does not first make a cluster."""
    done = python(empty_home, *CHECK, DATABASE_URL="")
    assert done.returncode != 0
    assert "unified.E004" in done.stderr
    assert not (empty_home / "var").exists()


def test_the_quickstart_itself_refuses_to_be_open_without_debug(
    empty_home: Path, start: Callable[..., Service]
) -> None:
    service = start(empty_home, command=(*MANAGE, "quickstart"), **GOOD)
    assert service.wait_until_ended() != 0
    assert "unified.E001" in service.err
    assert not _accepts(service)
