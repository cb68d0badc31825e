"""Passwords of tests: hashed as in production, but a thousandth as slowly, for they are guarded from nobody."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class QuickHasher(PBKDF2PasswordHasher):
    iterations = 1_000
