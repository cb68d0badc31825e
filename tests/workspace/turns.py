"""The encoders' line as tests see it: how long it is, and who stands in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workspace import encoders

PATIENCE_SECONDS = 30


@contextmanager
def line_of(settings: Any, *, cores: int, queue: int) -> Iterator[None]:
    """As in a process that was started with these settings."""
    settings.ENCODERS, settings.ENCODER_QUEUE = cores, queue
    encoders._semaphores.cache_clear()
    try:
        yield
    finally:
        encoders._semaphores.cache_clear()


def in_line(what: str = "keep") -> int:
    """How many encode or wait for it: of those who save, or of those who "convert"."""
    _, line = encoders._semaphores(what)
    length: int = line._initial_value - line._value  # type: ignore[attr-defined]
    return length


def until_in_line(count: int, what: str = "keep") -> None:
    """Returns once so many encode or wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while in_line(what) != count:
        assert time.monotonic() < deadline, f"{count} should be in line, but {in_line(what)} are"
        time.sleep(0.002)
