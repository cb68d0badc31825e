"""What a project is called as a file of somebody's: by its title, on whatever system they keep it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from unified.api.figures import file_name
from workspace import titles
from workspace.models import Project

TITLE_MAX_BYTES: Final = 120  # with the code and the ending it fits where names are shortest, in encrypted folders
_SEPARATING: Final = re.compile(r'[\\/:*?"<>|\s]+')
_JOINERS: Final = "\u200c\u200d"  # without them Persian words and families of faces fall apart
# Names of devices on Windows, whatever follows after a dot.
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)


def attachment(project: Project, content_type: str) -> str:
    """
    The header Content-Disposition of a download (RFC 6266): called by title and code, such as
    `Desert at noon (7K3M9Q).webp`, and by the code alone for what cannot read that.
    """
    plain = file_name(project.code, content_type)
    title = _safe(project.title)
    named = f"{title} ({project.code}){plain.removeprefix(project.code)}" if title else plain
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(named, safe='')}"


def _safe(title: str) -> str:
    """As much of a title as may stand in the name of a file; nothing, if no letter of it may."""
    letters = unicodedata.normalize("NFC", _SEPARATING.sub(" ", title))
    kept = "".join(letter for letter in letters if letter in _JOINERS or _is_written(letter))
    cut = kept.encode()[:TITLE_MAX_BYTES].decode(errors="ignore")
    safe = " ".join(cut.split()).strip(f" .-~{_JOINERS}")
    if not titles.has_visible_letter(safe):
        return ""
    return f"_{safe}" if _RESERVED.match(safe) else safe


def _is_written(letter: str) -> bool:
    """Neither a control, nor what changes the direction, nor half a letter, nor one that only some program knows."""
    return not unicodedata.category(letter).startswith("C")
