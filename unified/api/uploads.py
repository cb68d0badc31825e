"""Content on its way into the workspace: encoded outside of any transaction, to fit the room that there is."""

from __future__ import annotations

from collections.abc import Callable

from rest_framework.response import Response

from unified.api.base import UnifiedViewSet
from unified.api.idempotency import Answer
from workspace.content import Content, read_content
from workspace.services import StorageLimitExceeded


class _RoomShrank(Exception):
    """While a picture was being encoded to fit, somebody else took of the room."""


def keep(
    view: UnifiedViewSet, sent: str, *, compression: str, room: Callable[[], int], work: Callable[[Content], Answer]
) -> Response:
    """
    Reads and encodes `sent`, does `work` with it once, and answers. `room` says how many bytes it may take as things
    are. Where that has changed by the time of the lock, so that what did fit does not, it is encoded a second time for
    the room that is left: two pictures saved at once are both kept, if both can be.
    """
    seen = room()
    try:
        return _once(view, read_content(sent, compression=compression, room_bytes=seen), seen, work)
    except _RoomShrank:
        content = read_content(sent, compression=compression, room_bytes=room())
        return view.once(lambda: work(content))


def _once(view: UnifiedViewSet, content: Content, seen: int, work: Callable[[Content], Answer]) -> Response:
    def attempt() -> Answer:
        try:
            return work(content)
        except StorageLimitExceeded as refusal:
            did_fit = content.size_bytes <= seen
            if did_fit and content.thumbnail is not None and refusal.needed_bytes == content.size_bytes:
                raise _RoomShrank from None  # no refusal, so the idempotency key stays free for the second attempt
            raise

    return view.once(attempt)
