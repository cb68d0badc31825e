"""Removes a person's content and name, for good. Their entries in the ledger stay."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.queries import find_user
from unified import services
from unified.api.figures import plural
from workspace.queries import storage_of


class Command(BaseCommand):
    help = "Removes all that a person keeps, and their name and e-mail, for good. The ledger stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user_id")
        parser.add_argument("--staff", action="store_true", help="also if they are a member of staff")
        parser.add_argument("--yes", action="store_true", help="do it; without this, only say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        user = find_user(options["user_id"])
        if user is None:
            raise CommandError(f"There is no user '{options['user_id']}'.")
        if user.is_staff and not options["staff"]:
            raise CommandError(f"{user} is a member of staff; say --staff as well if that is meant.")
        if not options["yes"]:
            storage = storage_of(user)
            kept = plural(storage.project_count + storage.trash_count, "project")
            self.stdout.write(f"{user} keeps {kept}, the trash included. Say --yes to remove them for good.")
            return
        services.delete_member(user=user)
        self.stdout.write(f"The user '{user.user_id}' has no content, name or e-mail here any more.")
