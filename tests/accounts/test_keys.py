"""The format of app keys: what is a key can be told from what is not without asking the database."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import keys, services
from accounts.models import App

modes = st.sampled_from(["live", "test"])
# Each example is a key that was made just now; `data` draws where it is damaged.
examples = settings(max_examples=300, deadline=None)


@examples
@given(modes)
def test_what_is_generated_is_parsed_back(mode: str) -> None:
    text, parsed = keys.generate(mode=mode)

    assert keys.parse(text) == parsed
    assert re.fullmatch(rf"uni_{mode}_[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{45}}_[0-9a-f]{{8}}", text)
    assert text.split("_")[2] == parsed.key_id
    assert parsed.digest == hashlib.sha256(text.encode()).digest()


@examples
@given(modes, st.data())
def test_any_one_changed_character_makes_it_no_key(mode: str, data: st.DataObject) -> None:
    text, _ = keys.generate(mode=mode)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from([c for c in keys.ALPHABET + "_-lIOo ä\n\x00" if c != text[place]]))

    assert keys.parse(text[:place] + other + text[place + 1 :]) is None


@examples
@given(modes, st.data())
def test_a_character_lost_doubled_or_moved_makes_it_no_key(mode: str, data: st.DataObject) -> None:
    text, _ = keys.generate(mode=mode)
    place = data.draw(st.integers(0, len(text) - 1))

    assert keys.parse(text[:place] + text[place + 1 :]) is None
    assert keys.parse(text[:place] + text[place] + text[place:]) is None
    if place and text[place - 1] != text[place]:
        assert keys.parse(text[: place - 1] + text[place] + text[place - 1] + text[place + 1 :]) is None


@examples
@given(st.one_of(st.text(st.characters()), st.from_regex(keys._KEY), st.text("uni_livetest0123456789abcdef")))
def test_no_text_makes_the_parser_raise(text: str) -> None:
    """Lone surrogates, NULs and all; a made-up key with the right form has the wrong checksum (but for 1 in 2³²)."""
    assert keys.parse(text) is None


@pytest.mark.parametrize("damage", [lambda t: f" {t}", lambda t: f"{t}\n", str.upper, str.lower, lambda t: t + t])
def test_a_key_is_taken_exactly_or_not_at_all(damage: object) -> None:
    text, _ = keys.generate(mode="live")

    assert keys.parse(damage(text)) is None  # type: ignore[operator]


def test_keys_do_not_repeat() -> None:
    texts = {keys.generate(mode="live")[0] for _ in range(1_000)}

    assert len(texts) == 1_000
    assert len({text.split("_")[2] for text in texts}) == 1_000


@pytest.mark.parametrize(
    ("damage", "queries"),
    [(lambda t: t[:-1] + ("0" if t[-1] != "0" else "1"), 0), (lambda t: "", 0), (lambda t: "x" * 10_000, 0), (str, 2)],
    ids=["mistyped", "empty", "long", "right"],
)
def test_only_a_well_formed_key_costs_a_query(penora: App, damage: object, queries: int) -> None:
    _, text = services.create_key(app=penora, label="server")

    with CaptureQueriesContext(connection) as captured:
        key = services.authenticate_key(damage(text))  # type: ignore[operator]

    assert (key is not None) == (queries == 2)
    assert len(captured) == queries  # a good one: found, and its first use noted


def test_a_well_formed_key_that_nobody_has_costs_one_query(penora: App) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert services.authenticate_key(keys.generate(mode="live")[0]) is None

    assert len(captured) == 1
