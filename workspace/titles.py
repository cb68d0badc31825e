"""
Titles as people see them. What an app has sent is kept as it is and given back to apps as it is; on pages and in the
names of files it must neither be invisible nor look like something else.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

UNTITLED: Final = "Untitled"
# Embeddings, overrides and isolates: with them "\u202egnp.exe" reads "exe.png". A text that is written from right to
# left needs none of them: its letters say so themselves.
_DIRECTIONS: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_UNSEEN: Final = ("Cc", "Cf", "Cs", "M", "Z")  # controls, halves of letters, marks (which stand on one), spaces
_NOT_KNOWN_YET: Final = "Cn"  # among the faces and signs, some are newer than this Python
_BLANK_LETTERS: Final = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs by name, and nothing to the eye


def has_visible_letter(title: str) -> bool:
    """Whether there is anything to see and to click: a letter, a number or a sign."""
    return any(_is_visible(letter) for letter in title)


def displayed(title: str) -> str:
    """A title for people: in the order in which it is written, and never nothing."""
    plain = _DIRECTIONS.sub("", title)
    return plain if has_visible_letter(plain) else UNTITLED


def _is_visible(letter: str) -> bool:
    category = unicodedata.category(letter)
    if category == _NOT_KNOWN_YET:
        return 0x1F000 <= ord(letter) < 0x1FFFE
    return not category.startswith(_UNSEEN) and letter not in _BLANK_LETTERS
