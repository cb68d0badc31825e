from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models.functions import Now

from unified.api.models import IdempotencyRecord

BATCH = 5_000  # rows a transaction, so that a sweep beside traffic never holds many locks


class Command(BaseCommand):
    help = "Removes what has served its time: idempotency keys past their days. Safe at any time, in any number."

    def handle(self, *args: Any, **options: Any) -> None:
        expired = IdempotencyRecord.objects.filter(
            created_at__lt=Now() - timedelta(days=settings.IDEMPOTENCY_KEPT_DAYS)
        )
        removed = 0
        while True:
            batch = list(expired.values_list("pk", flat=True)[:BATCH])
            if not batch:
                break
            removed += IdempotencyRecord.objects.filter(pk__in=batch).delete()[0]
        self.stdout.write(f"{removed} idempotency keys removed.")
