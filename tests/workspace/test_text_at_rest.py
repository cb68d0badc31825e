"""Texts as they are kept: compressed where that makes them smaller, counted as long as they are, and never another."""

from __future__ import annotations

import random
import string

import brotli
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from accounts.models import App, User
from tests.concurrency.books import rows
from tests.workspace.contents import content_of, plain
from workspace import queries, services
from workspace.content import InvalidContent, text_content
from workspace.models import AppStorage, Project, ProjectContent, Storage

MEGABYTE = 1_048_576
PAGE = "# A week in Lisbon\n\nThe first day we walked up to the castle. " * 40
NOISE = "".join(random.Random(1).choices([chr(code) for code in range(0x4E00, 0x9FA5)], k=3_000))


def keep(user: User, app: App, text: str) -> Project:
    project, _ = services.save_project(
        user=user, app=app, project_type="page", title="A title", content=content_of(text), metadata={}
    )
    return project


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400))
@example("\x00")
@example("\ufeff\r\n\t ")
@example("data:, is no header here")
@example("👩‍🎨" * 300)
def test_any_text_comes_out_to_the_byte_and_counts_as_long_as_it_is(text: str) -> None:
    content = text_content(text.encode(), "text/plain")

    assert plain(content) == text.encode()
    assert content.size_bytes == content.original_bytes == len(text.encode())
    assert len(content.body) <= content.size_bytes
    assert (content.encoding == "br") == (len(content.body) < content.size_bytes)


@given(st.integers(1, 300), st.text(string.ascii_letters, min_size=1, max_size=40))
def test_a_text_that_repeats_itself_takes_less_at_rest(times: int, line: str) -> None:
    body = (line * times).encode()
    content = text_content(body, "text/plain")

    assert plain(content) == body
    if len(body) > 200 and times > 10:
        assert (content.encoding, len(content.body) < len(body) // 2) == ("br", True)


@pytest.mark.parametrize("text", ["x", "short", "Zx9", "".join(random.Random(2).choices(string.printable, k=60))])
def test_a_text_that_does_not_get_smaller_is_kept_as_it_is(text: str) -> None:
    """Seen red with compression kept whatever it comes to: `x` took five bytes at rest."""
    content = content_of(text)

    assert (content.encoding, content.body) == ("", text.encode())


@pytest.mark.parametrize("length", [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 200_000, 5 * MEGABYTE])
def test_a_long_text_comes_out_whole_on_both_sides_of_where_the_effort_changes(length: int) -> None:
    words = [f"{number:x} " for number in range(4_000)]
    random.Random(3).shuffle(words)
    body = ("".join(words) * (length // 10_000 + 1)).encode()[:length]

    content = text_content(body, "text/plain")

    assert plain(content) == body
    assert (content.size_bytes, content.encoding) == (length, "br")
    assert len(content.body) < length // 2


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(InvalidContent):
        text_content(b"", "text/plain")


@pytest.mark.parametrize("text", [PAGE, NOISE, "x"])
def test_what_is_counted_is_the_plain_length(alice: User, penora: App, text: str) -> None:
    length = len(text.encode())

    project = keep(alice, penora, text)

    stored = ProjectContent.objects.get(project=project)
    storage = Storage.objects.get(user=alice)
    part = AppStorage.objects.get(storage=storage, app=penora)
    assert (project.size_bytes, project.original_bytes) == (length, length)
    assert (storage.used_bytes, part.used_bytes) == (length, length)
    assert (len(stored.body) < length) == (stored.encoding == "br")
    assert queries.plain(stored) == text.encode()
    if stored.encoding == "br":
        assert brotli.decompress(bytes(stored.body)) == text.encode()


def test_a_text_that_would_fit_at_rest_but_not_as_it_is_does_not_fit(alice: User, penora: App) -> None:
    """The figures that a person is told would make no sense otherwise. Counted at rest, it was kept."""
    content = content_of("x" * (MEGABYTE + 1))
    assert len(content.body) < 1_000

    with pytest.raises(services.StorageLimitExceeded) as refusal:
        services.save_project(user=alice, app=penora, project_type="page", title="Long", content=content, metadata={})

    assert (refusal.value.needed_bytes, refusal.value.available_bytes) == (MEGABYTE + 1, MEGABYTE)
    assert not Project.objects.exists()
    assert keep(alice, penora, "x" * MEGABYTE).size_bytes == Storage.objects.get(user=alice).used_bytes == MEGABYTE


def test_an_edit_keeps_the_new_text_as_it_suits_it(alice: User, penora: App) -> None:
    project = keep(alice, penora, PAGE)

    for text, encoding in (("x", ""), (PAGE * 2, "br"), (NOISE[:10], "")):
        edited, storage = services.edit_project(user=alice, code=project.code, content=content_of(text))
        stored = ProjectContent.objects.get(project=project)
        assert (stored.encoding, plain_of(stored)) == (encoding, text.encode())
        assert edited.size_bytes == storage.used_bytes == len(text.encode())
        assert stored.thumbnail is None


def plain_of(stored: ProjectContent) -> bytes:
    body = bytes(stored.body)
    return brotli.decompress(body) if stored.encoding == "br" else body


def test_what_is_written_is_not_compressed_by_the_database_once_more(db: None) -> None:
    """It is stored out of line as it is (EXTERNAL), so that a listing's pages do not hold it."""
    storage = dict(
        rows(
            "SELECT attname, attstorage::text FROM pg_attribute"
            " WHERE attrelid = 'workspace_projectcontent'::regclass AND attname IN ('body', 'thumbnail')"
        )
    )

    assert storage == {"body": "e", "thumbnail": "e"}
