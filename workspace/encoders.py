"""
Turns at encoding pictures, so that a web process spends at most ENCODERS cores on it and other requests keep being
answered. Who waits holds a thread of the web server, so only ENCODER_QUEUE callers may wait; the next is sent away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings

CONVERT_PATIENCE_SECONDS = 5


class EncodersBusy(Exception):
    """As many pictures are being encoded, and wait for it, as this process takes. Nothing was done; try again soon."""


@contextmanager
def turn_to_convert() -> Iterator[None]:
    """
    The same for a kept picture that somebody looks at in another format. These have a line of their own, so that
    onlookers keep nobody from saving, and wait for a place in it: an `<img>` does not ask again.
    """
    cores, line = _semaphores("convert")
    if not line.acquire(timeout=CONVERT_PATIENCE_SECONDS):
        raise EncodersBusy
    try:
        with cores:
            yield
    finally:
        line.release()


@contextmanager
def turn() -> Iterator[None]:
    """Lasts while the caller encodes. Waits for a free core; raises EncodersBusy if too many wait already."""
    cores, line = _semaphores("keep")
    if not line.acquire(blocking=False):
        raise EncodersBusy
    try:
        with cores:
            yield
    finally:
        line.release()


@cache
def _semaphores(what: str) -> tuple[threading.BoundedSemaphore, threading.BoundedSemaphore]:
    return (
        threading.BoundedSemaphore(settings.ENCODERS),
        threading.BoundedSemaphore(settings.ENCODERS + settings.ENCODER_QUEUE),
    )
