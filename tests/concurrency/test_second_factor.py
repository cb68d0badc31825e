"""A code of the second factor is good once, also for several who send it at the same moment."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from tests.admin.test_second_factor import PAGE, enters, is_in, just_signed_in, next_code, set_up
from tests.concurrency.crowd import together


@pytest.fixture
def ada(committed_db: None, settings: Any) -> User:
    settings.STAFF_SECOND_FACTOR = True
    return User.objects.create_superuser(user_id="ada", username="Ada", email="ada@example.com", password=None)


@pytest.mark.parametrize("kind", ["authenticator", "recovery code"])
def test_one_code_at_the_same_moment_opens_one_session(ada: User, kind: str) -> None:
    codes = set_up(ada)
    code = next_code(ada) if kind == "authenticator" else codes[0]
    browsers = [just_signed_in(ada) for _ in range(6)]
    for browser in browsers:
        browser.get(PAGE)

    answers = together(6, lambda index: enters(browsers[index], code).status_code)

    assert sorted(answers) == [200] * 5 + [302]
    assert [is_in(browser) for browser in browsers].count(True) == 1
