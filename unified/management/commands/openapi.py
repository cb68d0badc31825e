"""The committed OpenAPI document: written from the code, and compared with it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

FILE = settings.BASE_DIR / "docs" / "openapi.yaml"


class Command(BaseCommand):
    help = "Writes docs/openapi.yaml from the code. Fails if the generator warns of anything."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is not current")

    def handle(self, *args: Any, **options: Any) -> None:
        document = rendered()
        if GENERATOR_STATS:
            GENERATOR_STATS.emit_summary()
            raise CommandError("The schema generator warns; mend what it names.")
        if not options["check"]:
            FILE.write_text(document)
        elif not FILE.exists() or FILE.read_text() != document:
            raise CommandError("docs/openapi.yaml is not what the code says; run 'make schema' and look at the change.")


def rendered() -> str:
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator().get_schema(request=None, public=True)
    yaml: bytes = OpenApiYamlRenderer().render(schema, renderer_context={})
    return yaml.decode()
