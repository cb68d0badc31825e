"""Project codes: what is drawn, what is understood, and what happens when a code is taken."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import App, User
from tests.workspace.contents import content_of
from workspace import codes, services
from workspace.models import AppStorage, Project, ProjectContent, Storage
from workspace.services import projects

ALPHABET = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
examples = settings(max_examples=500, deadline=None)
drawn = st.text(sorted(ALPHABET), min_size=6, max_size=6)


def keep(user: User, app: App, text: str = "text") -> Project:
    return services.save_project(
        user=user, app=app, project_type="page", title="Page", content=content_of(text), metadata={}
    )[0]


def test_codes_are_six_unmistakable_characters_and_do_not_repeat() -> None:
    found = [codes.generate() for _ in range(2_000)]

    assert set().union(*found) == ALPHABET
    assert {len(code) for code in found} == {6}
    assert len(set(found)) > 1_990  # of a thousand million
    assert all(codes.fold(code) == code for code in found)


@examples
@given(drawn, st.data())
def test_a_code_is_understood_in_any_case_with_look_alikes_hyphens_and_spaces_around(
    code: str, data: st.DataObject
) -> None:
    look_alikes = {"1": "1IiLl", "0": "0Oo"}
    typed = "".join(
        data.draw(st.sampled_from(look_alikes.get(character, character + character.lower()))) for character in code
    )
    place = data.draw(st.integers(0, 6))

    assert codes.fold(typed) == code
    assert codes.fold(f"  {typed[:place]}-{typed[place:]}\n") == code


@examples
@given(st.one_of(st.text(st.characters()), st.text("ILOilo01Uu-ıſK０ ", max_size=9), drawn))
def test_any_text_is_folded_onto_a_code_or_nothing(typed: str) -> None:
    folded = codes.fold(typed)

    assert folded is None or (len(folded) == 6 and set(folded) <= ALPHABET)
    if folded is not None:
        assert codes.fold(folded) == folded


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ABC12",
        "ABC1234",
        "ABCDEU",
        "ABC 12",
        "ABC12ı",
        "ABC12ſ",
        "ABC12\u212a",
        "ABC12０",
        "ABC12é",
        "ABC\x0012",
        "------",
    ],
)
def test_what_cannot_be_a_code_is_none(typed: str) -> None:
    assert codes.fold(typed) is None


def test_a_taken_code_is_drawn_again(alice: User, bob: User, penora: App, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter(["AAAAAA", "AAAAAA", "AAAAAA", "BBBBBB"])
    monkeypatch.setattr(codes, "generate", lambda: next(draws))

    first, second = keep(alice, penora), keep(bob, penora)

    assert (first.code, second.code) == ("AAAAAA", "BBBBBB")
    assert list(Project.objects.order_by("id").values_list("code", flat=True)) == ["AAAAAA", "BBBBBB"]
    assert bytes(second.content.body) == b"text"


def test_when_every_draw_is_taken_nothing_is_written(alice: User, penora: App, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_codes = []

    def generate() -> str:
        drawn_codes.append("AAAAAA")
        return "AAAAAA"

    monkeypatch.setattr(codes, "generate", generate)
    kept = keep(alice, penora)
    drawn_codes.clear()

    with pytest.raises(services.NoFreeCode):
        keep(alice, penora, "another")

    assert len(drawn_codes) == projects.CODE_ATTEMPTS == 20
    assert list(Project.objects.values_list("pk", "code")) == [(kept.pk, "AAAAAA")]
    assert ProjectContent.objects.count() == 1
    assert list(Storage.objects.values_list("used_bytes", "project_count")) == [(4, 1)]
    assert list(AppStorage.objects.values_list("used_bytes", "project_count")) == [(4, 1)]


def test_another_conflict_is_not_taken_for_a_taken_code(alice: User, penora: App) -> None:
    """Only the unique index of the code means another draw; the rest is a defect that must be seen."""
    Project.objects.create(
        id=1, user=alice, app=penora, code="AAAAAA", title="t", project_type="p", size_bytes=0, original_bytes=0
    )
    taken = Project(
        id=1, user=alice, app=penora, title="t", project_type="p", size_bytes=0, original_bytes=0, content_type="x"
    )

    with CaptureQueriesContext(connection) as captured, pytest.raises(Exception, match="workspace_project_pkey"):
        projects._insert_with_free_code(taken)
    assert sum(query["sql"].startswith("INSERT") for query in captured) == 1
