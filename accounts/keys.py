"""
The format of an app key: `uni_<mode>_<id>_<secret>_<crc>`.

`mode` is `live` or `test`, `id` finds the row, `secret` proves possession, `crc` is the CRC-32 of everything before it:
a mistyped or made-up key is refused without asking the database, and secret scanners can tell a real key from noise.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
ID_LENGTH = 12
SECRET_LENGTH = 45  # 45 symbols of 54 are 258 bits
_KEY = re.compile(
    rf"(uni_(?:live|test)_([{ALPHABET}]{{{ID_LENGTH}}})_([{ALPHABET}]{{{SECRET_LENGTH}}}))_([0-9a-f]{{8}})"
)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    key_id: str
    digest: bytes  # SHA-256 of the whole key text, 32 bytes


def generate(*, mode: str) -> tuple[str, ParsedKey]:
    """A new random key: its text, to be shown once, and what is kept of it."""
    key_id = "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
    secret = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    body = f"uni_{mode}_{key_id}_{secret}"
    text = f"{body}_{checksum(body)}"
    return text, ParsedKey(key_id=key_id, digest=hashlib.sha256(text.encode()).digest())


def parse(text: str) -> ParsedKey | None:
    """What `text` says if it is a well-formed key with a right checksum, else None. Asks no database."""
    match = _KEY.fullmatch(text)
    if match is None or match[4] != checksum(match[1]):
        return None
    return ParsedKey(key_id=match[2], digest=hashlib.sha256(text.encode()).digest())


def same_digest(one: bytes, other: bytes) -> bool:
    """Equality in constant time."""
    return hmac.compare_digest(one, other)


def checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
