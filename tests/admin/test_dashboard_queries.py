"""The first page takes at most twelve queries, whoever looks, with everything on that production has on."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User
from tests.admin.conftest import FIRST_PAGE_QUERIES
from tests.conftest import make_user
from tests.sso.conftest import browser_of
from unified.figures.rollups import roll_up


@pytest.mark.usefixtures("demo", "dealings")
@pytest.mark.parametrize("role", ["Viewer", "Support", "Finance", "Admin"])
def test_it_takes_no_more_with_a_role_and_a_second_factor(role: str, settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True
    roll_up()
    user = make_user("colleague")
    User.objects.filter(pk=user.pk).update(is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    browser = browser_of(User.objects.get(pk=user.pk))
    device = TOTPDevice.objects.create(user=user, name="phone", confirmed=True)
    session = browser.session
    session[DEVICE_ID_SESSION_KEY] = device.persistent_id
    session.save()

    with CaptureQueriesContext(connection) as captured:
        page = browser.get("/admin/")

    assert page.status_code == 200
    assert "Outstanding" in page.content.decode()
    assert len(captured) <= FIRST_PAGE_QUERIES, "\n".join(query["sql"] for query in captured.captured_queries)
