"""
The proof that storage counters are what the projects say (`verify_ledger` has it too), and what only this command does:
reading every content, and mending counters, under the same lock as every writer.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Exists, OuterRef

from accounts.models import User
from unified.api.figures import megabytes_text, plural
from unified.management.commands.verify_ledger import described, verify
from workspace import services
from workspace.models import Project, Storage
from workspace.verify import damaged_contents

BATCH_OF_USERS = 500

logger = logging.getLogger("unified.verify_storage")


class Command(BaseCommand):
    help = "Proves that storage counters agree with the projects. Exit status 1 if anything does not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--repair", action="store_true", help="first count every person's rows anew")
        parser.add_argument("--contents", action="store_true", help="also read every compressed content")

    def handle(self, *args: Any, **options: Any) -> None:
        self.failed = False
        if options["repair"]:
            self._repair()
        result = verify(["workspace"])
        for line in described(result):
            self.stdout.write(line)
        damaged = 0
        for what, expected, found in damaged_contents() if options["contents"] else ():
            damaged += 1
            self.stdout.write(f"BROKEN  {what}: expected {expected}, found {found}")
        if options["contents"]:
            self.stdout.write(f"{plural(damaged, 'damaged content')}.")
        if damaged or self.failed or not result["ok"]:
            sys.exit(1)

    def _repair(self) -> None:
        """One transaction a person, beside traffic. What a program must not decide is said and left."""
        mended = after_id = 0
        keeps = Exists(Storage.objects.filter(user=OuterRef("pk"))) | Exists(
            Project.objects.filter(user=OuterRef("pk"))
        )
        while users := list(User.objects.filter(keeps, pk__gt=after_id).order_by("pk")[:BATCH_OF_USERS]):
            for user in users:
                try:
                    mended += services.recount(user=user)
                except services.StorageLimitExceeded as refusal:
                    self.stderr.write(
                        f"{user} keeps and has reserved {megabytes_text(refusal.needed_bytes)} MB, over their limit of"
                        f" {megabytes_text(refusal.limit_bytes)} MB: raise the limit, or remove projects."
                    )
                except Exception:  # one who cannot be mended does not keep the others from it
                    logger.exception("the counters of user %s could not be mended", user.pk)
                    self.failed = True
            after_id = users[-1].pk
        self.stdout.write(f"Counters of {plural(mended, 'person', 'people')} were wrong and are mended.")
