"""Turns at encoding: so many at a time, so many who wait, and everybody else is told to come again at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accounts import services as accounts
from accounts.models import App, User
from tests.api.conftest import everything_of
from tests.api.pictures import as_base64, draw
from tests.api.served import path_of, saved
from tests.client import ApiClient
from tests.concurrency.crowd import background
from tests.conftest import make_user
from tests.workspace.turns import PATIENCE_SECONDS, in_line, line_of, until_in_line
from unified.api.models import IdempotencyRecord
from workspace import encoders
from workspace.encoders import EncodersBusy
from workspace.models import Project, ProjectContent

pytestmark = pytest.mark.usefixtures("within_a_minute")


class Workshop:
    """Callers who stay at their work until the door is opened, and how many were at it at most."""

    def __init__(self) -> None:
        self.door = threading.Event()
        self.counting = threading.Condition()
        self.inside = self.most = 0

    def work(self) -> str:
        with encoders.turn():
            with self.counting:
                self.inside += 1
                self.most = max(self.most, self.inside)
                self.counting.notify_all()
            assert self.door.wait(PATIENCE_SECONDS)
            with self.counting:
                self.inside -= 1
        return "done"

    def until_inside(self, count: int) -> None:
        with self.counting:
            assert self.counting.wait_for(lambda: self.inside == count, PATIENCE_SECONDS)


@pytest.mark.parametrize(("cores", "queue"), [(1, 0), (1, 4), (2, 3), (3, 0)])
def test_so_many_work_at_a_time_so_many_wait_and_the_next_is_sent_away(settings: Any, cores: int, queue: int) -> None:
    """Seen red without the cores' bound (all were at it) and without the line's (the next one waited, too)."""
    with line_of(settings, cores=cores, queue=queue), ThreadPoolExecutor(cores + queue) as pool:
        shop = Workshop()
        calls = [pool.submit(shop.work) for _ in range(cores + queue)]
        until_in_line(cores + queue)
        shop.until_inside(cores)

        for _ in range(3):
            with pytest.raises(EncodersBusy), encoders.turn():
                raise AssertionError("one too many was let in")
        assert in_line() == cores + queue  # who was sent away is not counted

        shop.door.set()
        assert [call.result(PATIENCE_SECONDS) for call in calls] == ["done"] * (cores + queue)
        assert (shop.most, in_line()) == (cores, 0)


def test_a_turn_ends_with_an_error_as_with_a_result(settings: Any) -> None:
    with line_of(settings, cores=1, queue=0):
        for error in (ValueError, MemoryError, KeyboardInterrupt):
            with pytest.raises(error), encoders.turn():
                raise error
            assert in_line() == 0
        with encoders.turn():
            assert in_line() == 1


def test_a_place_is_free_again_as_soon_as_somebody_is_done(settings: Any) -> None:
    with line_of(settings, cores=1, queue=1), ThreadPoolExecutor(2) as pool:
        first, second = Workshop(), Workshop()
        calls = [pool.submit(first.work)]
        first.until_inside(1)
        calls.append(pool.submit(second.work))
        until_in_line(2)

        first.door.set()

        second.until_inside(1)
        until_in_line(1)
        second.door.set()
        assert [call.result(PATIENCE_SECONDS) for call in calls] == ["done", "done"]


# --- what callers see of it ------------------------------------------------------------------------------------------


@pytest.fixture
def as_penora(committed_db: None) -> ApiClient:
    return ApiClient(key=accounts.create_key(app=App.objects.get(slug="penora"), label="tests")[1])


@pytest.fixture
def alice(as_penora: ApiClient) -> User:
    return make_user("alice")


@pytest.fixture
def one_core(settings: Any) -> Iterator[None]:
    with line_of(settings, cores=1, queue=0):
        yield


def picture(**changes: Any) -> dict[str, Any]:
    return {
        "user_id": "alice",
        "app_source": "penora",
        "project_type": "page",
        "title": "A picture",
        "content": as_base64(draw("PNG")),
        **changes,
    }


def assert_busy(response: Any) -> None:
    assert response.status_code == 503, response.content
    assert response["Retry-After"] == "1"
    answer = response.json()
    assert (answer["success"], answer["code"]) == (False, "service_unavailable")
    assert "nothing was kept" in answer["details"]


def test_a_picture_too_many_is_a_503_that_keeps_nothing_and_leaves_the_key(
    alice: User, as_penora: ApiClient, one_core: None
) -> None:
    keyed = {"Idempotency-Key": "k"}
    wanted = picture(charge={"amount": 2, "description": "One picture"})
    before = everything_of(alice)

    with encoders.turn():
        for headers in (keyed, keyed, {}):
            assert_busy(as_penora.post("save-project", wanted, headers=headers))
    assert everything_of(alice) == before
    assert not IdempotencyRecord.objects.exists()

    again, replay = (as_penora.post("save-project", wanted, headers=keyed) for _ in range(2))
    assert (again.status_code, "Idempotent-Replayed" in again) == (201, False)
    assert (replay.content, replay["Idempotent-Replayed"]) == (again.content, "true")
    assert Project.objects.count() == 1


def test_an_edit_with_a_picture_too_many_changes_nothing(alice: User, as_penora: ApiClient, one_core: None) -> None:
    code = saved(as_penora, "A text")
    body = b'{"user_id": "alice", "title": "New", "content": "%s"}' % as_base64(draw("PNG")).encode()
    before = everything_of(alice)

    with encoders.turn():
        response = as_penora.request(
            "PATCH", f"/api/unified/projects/{code}", data=body, content_type="application/json"
        )

    assert_busy(response)
    assert everything_of(alice) == before


def test_a_conversion_too_many_is_a_503_and_what_needs_none_is_served(
    alice: User, as_penora: ApiClient, one_core: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Onlookers wait a while for a place, in a line of their own, and are sent away when their patience is over."""
    monkeypatch.setattr(encoders, "CONVERT_PATIENCE_SECONDS", 0.01)
    code = saved(as_penora, draw("AVIF"))
    jpeg = as_penora.get(path_of(code), format="jpeg")

    with encoders.turn_to_convert():
        assert_busy(as_penora.get(path_of(code), format="jpeg"))
        assert_busy(as_penora.get(path_of(code, "thumbnail"), headers={"Accept": "image/jpeg"}))
        assert as_penora.get(path_of(code)).status_code == 200
        assert as_penora.get(path_of(code, "thumbnail")).status_code == 200
        known = as_penora.get(path_of(code), format="jpeg", headers={"If-None-Match": jpeg["ETag"]})
        assert known.status_code == 304
        ProjectContent.objects.update(thumbnail=None)
        assert_busy(as_penora.get(path_of(code, "thumbnail")))
        assert as_penora.post("save-project", picture()).status_code == 201  # nobody is kept from saving
    assert as_penora.get(path_of(code), format="jpeg").content == jpeg.content


def test_who_looks_waits_for_a_place_in_line(alice: User, as_penora: ApiClient, settings: Any) -> None:
    """An `<img>` does not ask again."""
    code = saved(as_penora, draw("AVIF"))
    with line_of(settings, cores=1, queue=1), background() as start:
        with encoders.turn_to_convert():
            looks = [start(lambda: as_penora.get(path_of(code), format="jpeg")) for _ in range(3)]
            until_in_line(2, "convert")
            assert not any(look.done() for look in looks)
        assert [look.result().status_code for look in looks] == [200, 200, 200]
    assert in_line("convert") == 0


def test_who_looks_and_who_saves_stand_in_each_others_way_nowhere(
    alice: User, as_penora: ApiClient, one_core: None
) -> None:
    code = saved(as_penora, draw("AVIF"))

    with encoders.turn_to_convert():
        assert as_penora.post("save-project", picture()).status_code == 201
    with encoders.turn():
        assert as_penora.get(path_of(code), format="jpeg").status_code == 200


def test_texts_and_everything_else_go_on_beside(alice: User, as_penora: ApiClient, one_core: None) -> None:
    with encoders.turn():
        assert saved(as_penora, "A text")
        assert as_penora.post("save-project", picture(content="data:text/plain,x")).status_code == 201
        assert as_penora.get("user-info", user_id="alice").status_code == 200
        spent = as_penora.post("deduct-credits", user_id="alice", amount=1, app_name="penora", description="A page")
        assert spent.status_code == 200


@pytest.mark.parametrize("end", [8, 60, 400])
def test_a_turn_is_given_back_by_what_is_no_picture(
    alice: User, as_penora: ApiClient, one_core: None, end: int
) -> None:
    for _ in range(3):
        response = as_penora.post("save-project", picture(content=as_base64(draw("JPEG", size=(200, 200))[:end])))
        assert (response.status_code, response.json()["code"]) == (400, "invalid_image")
    assert in_line() == 0
    assert as_penora.post("save-project", picture()).status_code == 201


def test_who_waits_holds_no_lock_and_is_served_in_the_end(alice: User, as_penora: ApiClient, settings: Any) -> None:
    """The encoding is before the transaction: a text is saved, and charged for, past the picture that waits."""
    wanted = picture(charge={"amount": 2, "description": "One picture"})
    with line_of(settings, cores=1, queue=1), background() as start:
        with encoders.turn():
            waiting = start(lambda: as_penora.post("save-project", wanted, headers={"Idempotency-Key": "k"}))
            until_in_line(2)
            text = as_penora.post("save-project", {**wanted, "content": "A text"})
            assert text.status_code == 201
            assert not waiting.done()
        response = waiting.result()

    assert response.status_code == 201
    assert Project.objects.count() == 2
