"""Makes the keys that ID tokens are signed with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from unified import signing_keys


class Command(BaseCommand):
    help = "Makes a new RSA key for OIDC_SIGNING_KEYS, in a file that only its owner can read."
    requires_system_checks: list[str] = []  # noqa: RUF012  as Django declares it; without a key, checks would refuse

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            made = signing_keys.write(file, signing_keys.new_key())
        except OSError as problem:
            raise CommandError(f"{file} cannot be written: {problem.strerror}.") from None
        if not made:
            raise CommandError(f"{file} is there already; it is left as it is.")
        self.stdout.write(f"{file} is a new key. Name it in OIDC_SIGNING_KEYS.")
