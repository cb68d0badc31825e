#!/usr/bin/env python
"""Django's command line. Without DATABASE_URL, the embedded PostgreSQL runs for as long as the command does."""

import os
import signal
import sys
from contextlib import nullcontext


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "unified.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line
    from django.db import ProgrammingError

    from unified.database import DatabaseUnavailable

    # SIGTERM must unwind the block below like any other end, or the embedded server would be left behind.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))
    needs_no_database = len(sys.argv) < 2 or sys.argv[1] in {"help", "--help", "-h", "version", "--version", "openapi"}
    embedded = None if needs_no_database else settings.EMBEDDED_POSTGRES
    try:
        with embedded.running() if embedded else nullcontext():
            execute_from_command_line(sys.argv)
    except DatabaseUnavailable as problem:
        sys.exit(f"Unified cannot reach its database: {problem}")
    except ProgrammingError as problem:
        if "relation" not in str(problem) or "does not exist" not in str(problem):
            raise
        sys.exit(
            "The database has no tables yet: start the service once, or run 'manage.py migrate' and 'manage.py seed'."
        )
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
