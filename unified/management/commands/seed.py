from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from unified import seed


class Command(BaseCommand):
    help = "Registers the two apps, the plans and the price list. Repeating it changes nothing that is there."

    def add_arguments(self, parser: CommandParser) -> None:
        about = "also the demo user with projects and a history, back if they had left"
        parser.add_argument("--demo", action="store_true", help=about)

    def handle(self, *args: Any, **options: Any) -> None:
        seed.seed_registry()
        if options["demo"]:
            seed.seed_demo()
        self.stdout.write("Apps, plans and prices are registered.")
