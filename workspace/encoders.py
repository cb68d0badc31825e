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


class EncodersBusy(Exception):
    """As many pictures are being encoded, and wait for it, as this process takes. Nothing was done; try again soon."""


@contextmanager
def turn() -> Iterator[None]:
    """Lasts while the caller encodes. Waits for a free core; raises EncodersBusy if too many wait already."""
    cores, line = _semaphores()
    if not line.acquire(blocking=False):
        raise EncodersBusy
    try:
        with cores:
            yield
    finally:
        line.release()


@cache
def _semaphores() -> tuple[threading.BoundedSemaphore, threading.BoundedSemaphore]:
    return (
        threading.BoundedSemaphore(settings.ENCODERS),
        threading.BoundedSemaphore(settings.ENCODERS + settings.ENCODER_QUEUE),
    )
