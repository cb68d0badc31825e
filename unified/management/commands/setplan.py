"""Puts a person on a plan, with its room and its first month's credits."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.models import Plan
from accounts.queries import find_user
from accounts.services import UserHasLeft
from unified import services
from unified.api.figures import megabytes_text
from workspace.services import StorageLimitExceeded


class Command(BaseCommand):
    help = "Puts a person on a plan: its room, and its monthly credits from today on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id")
        parser.add_argument("plan", help="slug, such as plus")
        parser.add_argument("--reason", default="", help="why; it stays in the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options["user_id"])
        if user is None:
            raise CommandError(f"There is no user '{options['user_id']}'.")
        plan = Plan.objects.filter(slug=options["plan"]).first()
        if plan is None:
            known = ", ".join(Plan.objects.values_list("slug", flat=True))
            raise CommandError(f"There is no plan '{options['plan']}'; there are {known}.")
        try:
            with audit.because(options["reason"]):
                member = services.change_plan(user=user, plan=plan)
        except StorageLimitExceeded as refusal:
            raise CommandError(
                f"They keep or have reserved {megabytes_text(refusal.needed_bytes)} MB, and the plan has room for"
                f" {megabytes_text(refusal.limit_bytes)} MB."
            ) from None
        except UserHasLeft:
            raise CommandError(f"The user '{user.user_id}' has been deleted.") from None
        self.stdout.write(f"{member} is on the plan '{plan.slug}' since {member.plan_since:%Y-%m-%d %H:%M} UTC.")
