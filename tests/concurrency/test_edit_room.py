"""A picture that is put in place of something is encoded for the room that there is when it is written."""

from __future__ import annotations

import io
from threading import Event
from typing import Any

from django.db import transaction
from PIL import Image

from accounts.models import App, User
from tests.api.pictures import as_base64
from tests.client import ApiClient
from tests.concurrency.books import assert_the_storage_is_right
from tests.concurrency.crowd import PATIENCE_SECONDS, background, waiting_for_a_lock
from tests.workspace.contents import content_of
from workspace import services
from workspace.content import read_content
from workspace.models import Project, Storage


def noise() -> str:
    """A picture that is kept in more bytes where there is more room."""
    file = io.BytesIO()
    Image.effect_noise((256, 256), 60).resize((1024, 1024), Image.Resampling.BICUBIC).convert("RGB").save(file, "PNG")
    return as_base64(file.getvalue())


def test_what_another_leaves_of_the_room_is_what_the_picture_has_to_fit(
    alice: User, penora: App, penora_key: str
) -> None:
    """
    While the picture is being encoded for the whole workspace, which is its predecessor's, that becomes smaller, and
    another project takes the rest. The picture still fits, if it is encoded again for what is left.

    Seen to fail: a 413 for the second encoding, when the room was still reckoned with the predecessor's former size.
    """
    picture = noise()
    large = read_content(picture, room_bytes=100_000).size_bytes
    left = large * 4 // 5
    assert read_content(picture, room_bytes=left).size_bytes <= left  # else this test says nothing
    Storage.objects.filter(user=alice).update(limit_bytes=100_000)
    page: dict[str, Any] = {"user": alice, "app": penora, "project_type": "page", "title": "Page", "metadata": {}}
    project, _ = services.save_project(content=content_of("x" * 100_000), **page)

    locked, waited_for = Event(), Event()

    @transaction.atomic
    def take_room() -> None:
        Storage.objects.select_for_update().get(user=alice)
        locked.set()
        assert waited_for.wait(PATIENCE_SECONDS)
        services.edit_project(user=alice, code=project.code, content=content_of("x" * left))
        services.save_project(content=content_of("x" * (100_000 - left)), **page)

    with background() as start:
        other = start(take_room)
        assert locked.wait(PATIENCE_SECONDS)
        client = ApiClient(key=penora_key)
        editing = start(lambda: client.patch(f"projects/{project.code}", user_id="alice", content=picture))
        waiting_for_a_lock(1)
        waited_for.set()
        other.result()
        response = editing.result()

    assert response.status_code == 200, response.content
    kept = Project.objects.get(pk=project.pk)
    assert (kept.content_type.partition("/")[0], kept.version) == ("image", 3)
    assert kept.size_bytes <= left
    assert_the_storage_is_right()
