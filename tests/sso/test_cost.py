"""
What a wrong credential costs us: no more than three times a right one, and the same whether there is such a thing
or not. (A client secret was kept by PBKDF2: each wrong one cost 344 ms.) Work is counted where it can be; times are
medians of calls taken in turn, within one run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import hashers
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts import keys, tokens
from accounts.models import User
from tests.sso.conftest import PASSWORD
from tests.sso.flow import SIGN_IN, RelyingParty, bearer

pytestmark = pytest.mark.django_db
TIMES, AT_MOST = 40, 3


def medians(*calls: Callable[[], Any]) -> list[float]:
    """Of each call, taken in turn, so that whatever else the machine does meets all of them."""
    taken: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(TIMES):
        cache.clear()  # nobody has tried anything too often
        for call, times in zip(calls, taken, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in taken]


def queries_of(call: Callable[[], Any]) -> int:
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def test_a_wrong_client_secret_costs_what_a_right_one_costs(by_penora: RelyingParty) -> None:
    right = lambda: by_penora.introspects("x")  # noqa: E731
    wrong = lambda: by_penora.introspects("x", client_secret="w" * 64)  # noqa: E731
    unknown = lambda: by_penora.introspects("x", client_id="nobody-0123456789abcdef")  # noqa: E731
    assert [call().status_code for call in (right, wrong, unknown)] == [200, 401, 401]

    times = medians(right, wrong, unknown)

    assert max(times) <= AT_MOST * min(times), times
    assert queries_of(wrong) == queries_of(right)


def test_a_wrong_client_secret_at_the_token_endpoint_too(alices: Browser, by_penora: RelyingParty) -> None:
    """Both are refused for a code that never was; the wrong one before that is looked up."""
    right = lambda: by_penora.exchanges("never-was")  # noqa: E731
    wrong = lambda: by_penora.exchanges("never-was", client_secret="w" * 64)  # noqa: E731
    assert [call().json()["error"] for call in (right, wrong)] == ["invalid_grant", "invalid_client"]

    times = medians(right, wrong)

    assert times[1] <= AT_MOST * times[0], times
    assert queries_of(wrong) <= queries_of(right)


def test_no_slow_hash_is_computed_for_a_clients_secret(by_penora: RelyingParty) -> None:
    with slow_hashes() as computed:
        by_penora.introspects("x")
        by_penora.introspects("x", client_secret="wrong")
        by_penora.exchanges("x", client_secret="wrong")

    assert computed() == 0


def test_a_wrong_app_key_costs_what_a_right_one_costs(alice: User, penora_key: str) -> None:
    browser = Browser()
    unknown = keys.generate(mode="live")[0]
    right, wrong, none = (
        lambda text=text: browser.get("/api/unified/user-info", {"user_id": "alice"}, headers=bearer(text))
        for text in (penora_key, unknown, penora_key[:-1] + "x")
    )
    assert [call().status_code for call in (right, wrong, none)] == [200, 401, 401]

    times = medians(right, wrong, none)

    assert max(times[1:]) <= AT_MOST * times[0], times
    assert queries_of(none) == 0
    assert queries_of(wrong) <= queries_of(right)


def test_a_wrong_token_costs_what_a_right_one_costs(alices: Browser, by_penora: RelyingParty) -> None:
    browser = Browser()
    right, wrong = (
        lambda text=text: browser.get("/api/unified/user-info", headers=bearer(text))
        for text in (by_penora.signs_in(alices)["access_token"], tokens.access_token(None))
    )
    assert [call().status_code for call in (right, wrong)] == [200, 401]

    times = medians(right, wrong)

    assert times[1] <= AT_MOST * times[0], times
    assert queries_of(wrong) <= queries_of(right)


# --- unknown and foreign, unknown and wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["introspects", "revokes", "refreshes"])
def test_an_unknown_and_a_foreign_token_cost_the_same(
    alices: Browser, by_penora: RelyingParty, by_stranger: RelyingParty, deed: str
) -> None:
    held = by_penora.signs_in(alices)["refresh_token" if deed == "refreshes" else "access_token"]
    made_up = tokens.refresh_token(None) if deed == "refreshes" else tokens.access_token(None)
    foreign, unknown = (lambda text=text: getattr(by_stranger, deed)(text) for text in (held, made_up))
    assert (foreign().status_code, foreign().content) == (unknown().status_code, unknown().content)

    assert queries_of(foreign) == queries_of(unknown)
    times = medians(foreign, unknown)
    assert max(times) <= AT_MOST * min(times), times


class slow_hashes:  # noqa: N801  read as `with slow_hashes() as computed`
    """Counts the passwords that are hashed by PBKDF2 in the block, without changing what comes of it."""

    def __enter__(self) -> Callable[[], int]:
        self.hasher = hashers.PBKDF2PasswordHasher
        self.encode = self.hasher.encode
        self.count = 0
        outer = self

        def counted(hasher: Any, *args: Any, **kwargs: Any) -> Any:
            outer.count += 1
            return outer.encode(hasher, *args, **kwargs)

        self.hasher.encode = counted  # type: ignore[method-assign]
        return lambda: self.count

    def __exit__(self, *_: object) -> None:
        self.hasher.encode = self.encode  # type: ignore[method-assign]


def test_an_unknown_user_and_a_wrong_password_are_answered_alike_and_cost_one_hash(admin: User, alice: User) -> None:
    """Who has no password, who is locked out and who does not exist: nobody can tell them from a wrong password."""
    locked = User.objects.create_superuser(user_id="locked", username="L", email="l@example.com", password=PASSWORD)
    User.objects.filter(pk=locked.pk).update(is_active=False)
    seen = set()

    for user_id, password in (("admin", "wrong"), ("nobody", "wrong"), ("alice", "wrong"), ("locked", PASSWORD)):
        with slow_hashes() as computed:
            answer = Browser().post(SIGN_IN, {"username": user_id, "password": password})
        text = answer.content.decode().replace(f'value="{user_id}"', "")
        text = "\n".join(line for line in text.splitlines() if "csrfmiddlewaretoken" not in line)
        seen.add((answer.status_code, computed(), text))

    assert len(seen) == 1, [(status, count) for status, count, _ in seen]
    ((status, count, _),) = seen
    assert (status, count) == (200, 1)
