"""
The format of the tokens that a person's sign-in gives to an app: `uut_<secret>_<crc>` for an access token, `uur_…` for
a refresh token. As with app keys, what is none is told from its form, without asking the database.
"""

from __future__ import annotations

import re
import secrets
from typing import Any

from accounts.keys import ALPHABET, SECRET_LENGTH, checksum

_ACCESS_TOKEN = re.compile(rf"(uut_[{ALPHABET}]{{{SECRET_LENGTH}}})_([0-9a-f]{{8}})")


def access_token(request: Any, refresh_token: bool = False) -> str:
    """A new one. The signature is oauthlib's."""
    return _made("uut")


def refresh_token(request: Any, refresh_token: bool = False) -> str:
    """A new one. The signature is oauthlib's."""
    return _made("uur")


def is_access_token(text: str) -> bool:
    """Whether `text` has the form of one, with a right checksum."""
    match = _ACCESS_TOKEN.fullmatch(text)
    return match is not None and match[2] == checksum(match[1])


def _made(kind: str) -> str:
    body = f"{kind}_{''.join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))}"
    return f"{body}_{checksum(body)}"
