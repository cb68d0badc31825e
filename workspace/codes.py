"""
Project codes: six random characters that a person can read out over the telephone.

The alphabet is Crockford's Base32 (https://www.crockford.com/base32.html): digits and upper-case letters without I, L,
O and U. What is typed in is folded onto it: case is ignored, I and L are read as 1, O as 0.
"""

import re
import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 6
_LOOK_ALIKES = str.maketrans("ILO", "110")
_CODE = re.compile(rf"[{ALPHABET}]{{{LENGTH}}}")
_TYPED = re.compile(r"[0-9A-Za-z]+")


def generate() -> str:
    """A random code; 30 bits, so that one code tells nothing of another. Whether it is free, the database says."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def fold(typed: str) -> str | None:
    """The code that a person meant, or None if it cannot be one. Spaces around and hyphens within are passed over."""
    bare = typed.strip().replace("-", "")
    if not _TYPED.fullmatch(bare):  # ASCII first: upper() turns some other letters into ASCII ones
        return None
    folded = bare.upper().translate(_LOOK_ALIKES)
    return folded if _CODE.fullmatch(folded) else None
