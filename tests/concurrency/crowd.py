"""
Real threads on the real database: many at once from one starting line, one in the background, and knowing (not
guessing) that somebody waits for a lock.

Every thread has a Django connection of its own and closes it. Whoever calls these needs the `committed_db` fixture:
other connections see only what is committed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg2
from django.db import connection

from accounts.models import User

PATIENCE_SECONDS = 30
THE_ACCOUNT = "SELECT 1 FROM credits_account WHERE user_id = %s FOR UPDATE"
THE_STORAGE = "SELECT 1 FROM workspace_storage WHERE user_id = %s FOR UPDATE"


def together(n: int, function: Callable[[int], Any]) -> list[Any]:
    """What `function(0)` to `function(n - 1)` returned or raised, all started at the same moment on n connections."""
    line = threading.Barrier(n)

    def run(index: int) -> Any:
        try:
            connection.ensure_connection()  # connecting takes longer than the work, and would string them out
            line.wait(PATIENCE_SECONDS)
            return function(index)
        except Exception as raised:  # noqa: BLE001  it is the outcome
            return raised
        finally:
            connection.close()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


@contextlib.contextmanager
def background() -> Iterator[Callable[[Callable[[], Any]], Future[Any]]]:
    """Gives `start(function)`, which runs it in a thread of its own and returns its future."""

    def run(function: Callable[[], Any]) -> Any:
        try:
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        yield lambda function: pool.submit(run, function)


@contextlib.contextmanager
def held(sql: str, *parameters: Any) -> Iterator[Callable[[], None]]:
    """
    Another connection that has run `sql` in an open transaction and keeps its locks until the given `release()` is
    called or the block ends.
    """
    holder = psycopg2.connect(**connection.get_connection_params())
    try:
        with holder.cursor() as cursor:
            cursor.execute(sql, parameters)
        yield holder.rollback
    finally:
        holder.close()


def waiting_for_a_lock(count: int) -> list[int]:
    """The process ids of the backends that wait for locks, once there are `count` of them, longest waiting first."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    found: list[int] = []
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                " AND application_name = 'unified' ORDER BY query_start"
            )
            found = [pid for (pid,) in cursor.fetchall()]
        if len(found) == count:
            return found
        time.sleep(0.005)
    raise AssertionError(f"{count} backends should wait for locks, but {len(found)} do")


def one_after_the_other(lock: str, user: User, *calls: Callable[[], Any]) -> list[Any]:
    """
    The answers of calls that came to a locked row in this order, and were let in in this order. Of three and more only
    the first is sure of its place: once it has changed the row, the others race for what the row has become.
    """
    with background() as start, held(lock, user.pk) as release:
        answers = []
        for number, call in enumerate(calls, start=1):
            answers.append(start(call))
            waiting_for_a_lock(number)
        release()
    return [answer.result() for answer in answers]


def end_backend(pid: int) -> None:
    """Kills one connection's server process, as an administrator or the out-of-memory killer does."""
    _signal("pg_terminate_backend", pid)


def cancel_statement(pid: int) -> None:
    """Ends the statement that runs; the connection lives on."""
    _signal("pg_cancel_backend", pid)


def _signal(function: str, pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [pid])
        assert cursor.fetchone() == (True,)
