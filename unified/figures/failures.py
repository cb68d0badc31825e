"""
Failed API calls, counted by day, app and the code of the answer.

A count is a number in this process until it is written: together with all others, by one statement, at most every ten
seconds, after whatever API call comes next, and when the process ends. A call that succeeds where nothing has failed
costs nothing. Nothing here changes an answer: what cannot be written is kept and tried again later. A process that is
killed takes the counts of its last ten seconds with it. Codes and apps are few, so the counts take no room to speak of.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from datetime import UTC, date, datetime
from multiprocessing.util import Finalize

from django.db import DatabaseError, InterfaceError, connection, transaction

EVERY_SECONDS = 10
PATIENCE_MS = 1_000  # what the call that writes may lose by it, where somebody holds the rows

logger = logging.getLogger("unified.figures")

Kind = tuple[date, int | None, str]

_lock = threading.Lock()
_counts: Counter[Kind] = Counter()
_due: float | None = None  # by the monotonic clock; None while there is nothing to write

_ADDED = """
    INSERT INTO figures_failedcalls (day, app_id, code, calls) VALUES {}
    ON CONFLICT (day, app_id, code) DO UPDATE SET calls = figures_failedcalls.calls + EXCLUDED.calls
"""


def count(*, app_id: int | None, code: str) -> None:
    """One more call has failed: of the app, or of a caller that is not known; `code` is one of the contract's."""
    _keep(Counter({(datetime.now(UTC).date(), app_id, code): 1}))


def write_if_due() -> None:
    """
    After each API call. Not inside of a transaction: whoever undoes it would take the counts with it.
    Locks: the rows written.
    """
    if _due is not None and time.monotonic() >= _due and not connection.in_atomic_block:
        write()


def write() -> None:
    """Writes what has been counted. If the database does not take it, it stays counted, to be tried again."""
    taken = _taken()
    if not taken:
        return
    try:
        _add(taken)
    except (DatabaseError, InterfaceError) as trouble:
        _keep(taken)
        logger.warning("failed calls could not be counted yet: %s", str(trouble).strip())
    except Exception:
        _keep(taken)
        logger.exception("failed calls could not be counted")


def forget() -> None:
    """Drops what has not been written."""
    _taken()


def _keep(more: Counter[Kind]) -> None:
    global _due  # noqa: PLW0603
    with _lock:
        _counts.update(more)
        if _due is None:
            _due = time.monotonic() + EVERY_SECONDS


def _taken() -> Counter[Kind]:
    """All that has been counted, which is then whoever's who called."""
    global _due  # noqa: PLW0603
    with _lock:
        taken = _counts.copy()
        _counts.clear()
        _due = None
    return taken


def _add(counts: Counter[Kind]) -> None:
    # In one order everywhere: two processes that write at once wait for each other, and never both for the other.
    rows = sorted(counts.items(), key=lambda row: (row[0][0], row[0][1] or 0, row[0][2]))
    values = [value for (day, app_id, code), calls in rows for value in (day, app_id, code, calls)]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config(name, %s, TRUE) FROM unnest(%s) name", [str(PATIENCE_MS), _TIMEOUTS])
        cursor.execute(_ADDED.format(", ".join(["(%s, %s, %s, %s)"] * len(rows))), values)


_TIMEOUTS = ["lock_timeout", "statement_timeout"]

# A worker of the web server ends without what `atexit` was told, but with what this is; so does any other process.
Finalize(None, write, exitpriority=0)
