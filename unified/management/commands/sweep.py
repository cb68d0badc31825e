"""
Tidies up. Nothing waits for it but plan credits: what has expired is left out of every answer by the database's clock,
swept or not. One transaction a person, so it never holds more than one account, and two sweeps (or a sweep and traffic)
take turns on it; whoever comes second finds nothing left to do.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models.functions import Now

from accounts import services as accounts
from accounts.models import User
from credits import services as credits
from unified.api.figures import plural
from unified.api.models import IdempotencyRecord
from unified.figures import rollups
from workspace import services as workspace

BATCH_OF_USERS = 500  # found by one statement
BATCH_OF_KEYS = 5_000  # removed by one transaction

logger = logging.getLogger("unified.sweep")


class Command(BaseCommand):
    help = (
        "Enters what has expired, ends holds whose time is over, gives plans' monthly credits, removes old trash,"
        " old idempotency keys, and what is left of ended sign-ins, and counts the figures of the staff's front page."
        " Safe at any time, in any number, beside traffic. Exit status 1 if anything was left undone."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.failed = 0
        settled = self._each(credits.users_to_settle, credits.settle)
        freed = self._each(workspace.users_with_due_room, workspace.release_due_room)
        purged = self._each(workspace.users_with_due_trash, workspace.purge_due_trash)
        given = self._each(credits.users_to_give_plan_credits, credits.grant_plan_credits)
        self.failed += credits.run_files()
        removed = _remove_old_keys()
        accounts.sweep_sign_ins()
        rollups.forget_old_verifications()
        self._count()
        self.stdout.write(
            f"{plural(settled, 'account')} settled, {plural(freed, 'workspace')} freed of reservations and "
            f"{purged} of old trash, "
            f"plan credits given to {given}, {plural(removed, 'idempotency key')} removed."
        )
        if self.failed:
            self.stderr.write(f"{self.failed} left undone; see the log.")
            sys.exit(1)

    def _count(self) -> None:
        """Last, so that the figures are of what has just been tidied up."""
        try:
            rollups.roll_up()
        except Exception:
            logger.exception("the figures could not be counted")
            self.failed += 1

    def _each(self, find: Callable[..., list[User]], tidy: Callable[..., object]) -> int:
        """How many of those that `find` finds `tidy` had something to do for. One that fails does not stop the rest."""
        done = after_id = 0
        while users := find(after_id=after_id, limit=BATCH_OF_USERS):
            for user in users:
                try:
                    done += bool(tidy(user=user))
                except Exception:
                    logger.exception("user %s could not be tidied up after", user.pk)
                    self.failed += 1
            after_id = users[-1].pk
        return done


def _remove_old_keys() -> int:
    """How many were removed. Two sweeps at once each take others: neither waits, and neither blocks the other."""
    old = IdempotencyRecord.objects.filter(created_at__lt=Now() - timedelta(days=settings.IDEMPOTENCY_KEPT_DAYS))
    removed = 0
    while True:
        with transaction.atomic():
            batch = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH_OF_KEYS])
            removed += IdempotencyRecord.objects.filter(pk__in=batch).delete()[0]
        if not batch:
            return removed
