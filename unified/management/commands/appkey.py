"""App keys from the command line: the same services that the admin calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts import services
from accounts.models import ALL_KEY_SCOPES, LABEL_MAX_LENGTH, App, AppKey

MAX_DAYS = 3_650


class Command(BaseCommand):
    help = "Lists, creates, rotates and revokes the keys that apps call the API with."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="every key, without its secret")
        create = actions.add_parser("create", help="a new key, shown once")
        create.add_argument("app", help="slug of the app, such as penora")
        create.add_argument("--label", required=True, help="where the key will be used")
        create.add_argument("--mode", choices=["live", "test"], default="live")
        create.add_argument("--scopes", default=ALL_KEY_SCOPES, help=f"what it may do (default: '{ALL_KEY_SCOPES}')")
        create.add_argument("--days", type=int, help="expire after so many days (default: never)")
        rotate = actions.add_parser("rotate", help="a new key in place of another, which goes on for a while")
        rotate.add_argument("key_id")
        rotate.add_argument("--overlap-hours", type=int, default=24, help="how long the old key still works (0 to 168)")
        revoke = actions.add_parser("revoke", help="end a key at once")
        revoke.add_argument("key_id")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"do_{options['action']}")(options)

    def do_list(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        for key in AppKey.objects.select_related("app", "replaced_by"):
            used = f"last used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            self.stdout.write(f"{key.key_id}  {key.app.slug}  {key.state(now)}  {used}  {key.label}  ({key.scopes})")

    def do_create(self, options: dict[str, Any]) -> None:
        try:
            app = App.objects.get(slug=options["app"])
        except App.DoesNotExist:
            raise CommandError(f"There is no app '{options['app']}'.") from None
        days = options["days"]
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days is 1 or more, and at most {MAX_DAYS}.")
        if not 1 <= len(options["label"]) <= LABEL_MAX_LENGTH:
            raise CommandError(f"--label has 1 to {LABEL_MAX_LENGTH} characters.")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        try:
            _, text = services.create_key(
                app=app,
                label=options["label"],
                mode=options["mode"],
                expires_at=expires_at,
                scopes=options["scopes"],
            )
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from None
        self._show_once(text)

    def do_rotate(self, options: dict[str, Any]) -> None:
        try:
            _, text = services.rotate_key(key_id=options["key_id"], overlap=timedelta(hours=options["overlap_hours"]))
        except AppKey.DoesNotExist:
            raise CommandError(f"There is no key {options['key_id']}.") from None
        except (services.KeyNotActive, ValueError) as refusal:
            raise CommandError(str(refusal)) from None
        self._show_once(text)

    def do_revoke(self, options: dict[str, Any]) -> None:
        try:
            key = services.revoke_key(key_id=options["key_id"])
        except AppKey.DoesNotExist:
            raise CommandError(f"There is no key {options['key_id']}.") from None
        self.stdout.write(f"Key {key.key_id} no longer works.")

    def _show_once(self, text: str) -> None:
        self.stdout.write(text)
        self.stderr.write("This is the only time that the key is shown.")
