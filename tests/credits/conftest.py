"""For tests of credits: a clock that stands still, and the proof at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.credits.books import START, Clock, broken


@pytest.fixture
def clock(db: None) -> Iterator[Clock]:
    """Stands at START. To be asked for before anybody who acts."""
    yield Clock(START)
    with connection.cursor() as cursor:
        cursor.execute("RESET search_path")


@pytest.fixture
def proved(db: None) -> Iterator[None]:
    """At the end of the test, the books are right."""
    yield
    assert broken() == {}
