"""OpenID Connect clients from the command line: the same services that the admin calls."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from accounts.models import App, Client


class Command(BaseCommand):
    help = "Lists and registers the clients with which apps sign people in."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="every client, without its secret")
        register = actions.add_parser(
            "register", help="makes an app's client, or brings it to these addresses; a secret is shown once"
        )
        register.add_argument("app", help="slug of the app, such as penora")
        register.add_argument("--name", default="", help="if the app has more than one client (default: the app's)")
        register.add_argument(
            "--redirect-uri", action="append", required=True, help="where people are sent back to; can be repeated"
        )
        register.add_argument(
            "--post-logout-uri", action="append", default=[], help="the same after signing out; can be repeated"
        )
        register.add_argument(
            "--origin", action="append", default=[], help="whose pages may call the API; can be repeated"
        )
        register.add_argument("--public", action="store_true", help="a page or a phone, which can keep no secret")
        register.add_argument("--third-party", action="store_true", help="not ours: people are asked for consent")
        register.add_argument("--new-secret", action="store_true", help="also for a client that has one")
        register.add_argument("--json", action="store_true", help="for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"do_{options['action']}")(options)

    def do_list(self, options: dict[str, Any]) -> None:
        for client in Client.objects.all():
            party = "first-party" if client.skip_authorization else "third-party"
            self.stdout.write(
                f"{client.client_id}  {client.app.slug}  {client.client_type}  {party}  {client.redirect_uris}"
            )

    def do_register(self, options: dict[str, Any]) -> None:
        try:
            client, secret, created = services.register_client(
                app=App.objects.get(slug=options["app"]),
                name=options["name"],
                redirect_uris=options["redirect_uri"],
                post_logout_redirect_uris=options["post_logout_uri"],
                allowed_origins=options["origin"],
                confidential=not options["public"],
                first_party=not options["third_party"],
                new_secret=options["new_secret"],
            )
        except App.DoesNotExist:
            raise CommandError(f"There is no app '{options['app']}'.") from None
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from None
        if options["json"]:
            facts = {"client_id": client.client_id, "client_secret": secret, "created": created}
            self.stdout.write(json.dumps(facts))
            return
        self.stdout.write(f"client id      {client.client_id}")
        if secret:
            self.stdout.write(f"client secret  {secret}")
            self.stderr.write("This is the only time that the secret is shown.")
