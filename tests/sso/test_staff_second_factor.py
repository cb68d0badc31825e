"""A member of staff who comes with Google is asked for the second factor like one who comes with a password."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from accounts.models import User
from tests.admin.test_second_factor import PAGE, enters, is_in, next_code, set_up, shown_secret
from tests.conftest import make_user
from tests.sso.flow import Google, sign_in_with, signed_in_as

pytestmark = pytest.mark.django_db


@pytest.fixture
def gus(settings: Any) -> User:
    settings.STAFF_SECOND_FACTOR = True
    user = make_user("gus")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    return User.objects.get(pk=user.pk)


def test_google_alone_does_not_open_the_admin(google: Google, newcomer: Browser, gus: User) -> None:
    set_up(gus)

    answer = sign_in_with(google, newcomer, "gus", onwards="/admin/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    assert newcomer.get("/admin/", follow=True).request["PATH_INFO"] == PAGE
    assert not is_in(newcomer)
    assert enters(newcomer, next_code(gus)).status_code == 302
    assert is_in(newcomer)


def test_google_is_a_fresh_sign_in_also_for_who_was_in_before(google: Google, newcomer: Browser, gus: User) -> None:
    sign_in_with(google, newcomer, "gus", onwards="/admin/")
    assert shown_secret(newcomer.get(PAGE))
    session = newcomer.session
    session["signed_in_at"] = 0
    del session["second_factor_set_up"]
    session.save()
    assert newcomer.get(PAGE, follow=True).request["PATH_INFO"] == "/admin/login/"

    sign_in_with(google, newcomer, "gus", onwards=PAGE)

    assert signed_in_as(newcomer) == "gus"
    assert shown_secret(newcomer.get(PAGE))
