"""The staff's second factor from the command line: for when nobody is left who could reset it in the admin."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit, services
from accounts.models import User
from accounts.queries import find_user
from accounts.services import second_factor_of


class Command(BaseCommand):
    help = "Lists who of the staff has a second factor, and takes one away that was lost."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="every member of staff, and what they have")
        reset = actions.add_parser("reset", help="take away what a person has; they set up another when they sign in")
        reset.add_argument("user_id")
        reset.add_argument("--reason", default="At the command line", help="stays in the audit")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"do_{options['action']}")(options)

    def do_list(self, options: dict[str, Any]) -> None:
        for user in User.objects.filter(is_staff=True).order_by("user_id"):
            factor = second_factor_of(user)
            what = (
                f"set up {factor.device.created_at:%Y-%m-%d}, {factor.recovery_codes} recovery codes left"
                if factor
                else "none"
            )
            self.stdout.write(f"{user.user_id}  {user.username}  {what}")

    def do_reset(self, options: dict[str, Any]) -> None:
        user = find_user(options["user_id"])
        if user is None:
            raise CommandError(f"There is no user '{options['user_id']}'.")
        with audit.because(options["reason"]):
            if not services.reset_second_factor(user=user):
                raise CommandError(f"{user} has no second factor.")
        self.stdout.write(f"{user} has no second factor any more, and is signed out everywhere.")
