"""
The RSA keys that ID tokens are signed with: PEM files outside of the project. The first one signs; all are published,
so that a key is known before it signs and for as long as what it has signed is shown. Imported by the settings, so it
imports nothing of the project but where folders are made.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from unified.postgres_programs import make_folders

BITS = 2048


def new_key() -> str:
    """A new private key, as PEM."""
    from cryptography.hazmat.primitives import serialization  # takes a moment, and is only needed here
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def problem_with(pem: str) -> str | None:
    """Why `pem` cannot sign, or None if it can."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return "is no private key in PEM, without a password"
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < BITS:
        return f"is no RSA key of at least {BITS} bits"
    return None


def read(paths: list[str]) -> list[str]:
    """The keys in these files, as PEM, in the order given. Raises ImproperlyConfigured for a file that is not there."""
    try:
        return [Path(path).read_text() for path in paths]
    except (OSError, UnicodeDecodeError) as problem:
        raise ImproperlyConfigured(f"OIDC_SIGNING_KEYS names a file that cannot be read: {problem}.") from None


def write(file: Path, pem: str) -> bool:
    """
    Puts the key into a file that only its owner reads, if there is no such file yet; whether it did. Written whole
    under another name and then linked: whoever reads it at the same moment sees all of a key or none.
    """
    make_folders(file.parent)
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # for its owner alone, and new
    try:
        with open(handle, "w") as new:
            new.write(pem)
        os.link(draft, file)
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)
    return True


def development_keys(folder: Path) -> list[str]:
    """Two keys of a developer's machine, made on first use."""
    files = [folder / "signing_key_1.pem", folder / "signing_key_2.pem"]
    for file in files:
        if not file.exists():
            write(file, new_key())
    return read([str(file) for file in files])
