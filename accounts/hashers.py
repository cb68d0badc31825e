"""How random secrets are kept. A person's password is not random and is kept by Django's slow hasher instead."""

from __future__ import annotations

import hashlib

from django.contrib.auth.hashers import BasePasswordHasher
from django.utils.crypto import constant_time_compare


class RandomSecretHasher(BasePasswordHasher):
    """
    SHA-256, without salt or rounds, for secrets that we have made ourselves out of 256 random bits and more. Rounds
    protect what can be guessed; here they would only make every wrong secret cost a third of a second of ours.
    """

    algorithm = "sha256_random"

    def encode(self, password: str, salt: str) -> str:
        return f"{self.algorithm}${hashlib.sha256(password.encode()).hexdigest()}"

    def verify(self, password: str, encoded: str) -> bool:
        return constant_time_compare(self.encode(password, ""), encoded)

    def must_update(self, encoded: str) -> bool:
        return False

    def harden_runtime(self, password: str, encoded: str) -> None:
        """There are no rounds to make up for."""
