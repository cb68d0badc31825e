"""
How long the staff's pages take, and how often they ask the database, with 10,000 people and 1,000,000 ledger entries.
Run by `make bench-dashboard`; writes results/dashboard.md. A throw-away PostgreSQL of its own, in this process: what is
timed is a whole request through every middleware, without the network. Medians of five.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "unified.settings")
os.environ.setdefault("LOG_LEVEL", "ERROR")

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from accounts.models import User  # noqa: E402
from credits.models import LedgerEntry  # noqa: E402
from tests.admin import crowd  # noqa: E402
from unified import seed  # noqa: E402
from unified.database import temporary_cluster  # noqa: E402
from unified.figures import rollups  # noqa: E402

PEOPLE, ENTRIES_EACH = 10_000, 100
RUNS = 5
SLOW_MS = 1_000
RESULT = ROOT / "bench" / "results" / "dashboard.md"

LISTS = {
    "Ledger": "credits/ledgerentry",
    "Users": "accounts/user",
    "Accounts": "credits/account",
    "Storage": "workspace/storage",
    "Holds": "credits/hold",
    "Projects": "workspace/project",
}
DATES = {"Ledger": "created_at", "Users": "date_joined", "Holds": "created_at", "Projects": "created_at"}


def pages(person: User) -> dict[str, str]:
    """What is opened, by what it is called in the table."""
    found = {
        "Dashboard, 30 days": "",
        "Dashboard, 90 days": "?days=90",
        "One person": f"people/{person.pk}/",
        "Find a person by name": "accounts/user/?q=Person",
    }
    week = (datetime.now(UTC) - timedelta(days=7)).date().isoformat()
    for name, path in LISTS.items():
        found[f"{name}, first page"] = f"{path}/"
        if name in DATES:
            found[f"{name}, of the last week"] = f"{path}/?{DATES[name]}_from={week}"
        found[f"{name}, of one person"] = f"{path}/?q={person.user_id}"
    found["Ledger, of everybody called Person"] = "credits/ledgerentry/?q=person"
    found["Ledger, of one type"] = "credits/ledgerentry/?type__exact=grant"
    found["Ledger, page in the middle"] = "credits/ledgerentry/?p=5000"
    found["Ledger, last page"] = "credits/ledgerentry/?p=10000"
    found["Storage, by what is used"] = "workspace/storage/?o=3"
    return found


def milliseconds(work: Callable[[], Any], runs: int = RUNS) -> list[float]:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return times


def opened(staff: Client, path: str) -> Any:
    response = staff.get(f"/admin/{path}")
    if response.status_code != 200:
        sys.exit(f"/admin/{path} answered {response.status_code} {response.headers.get('Location', '')}")
    return response.content


def measured() -> dict[str, Any]:
    """Milliseconds and queries of each page; and of counting the figures, first and again."""
    call_command("migrate", verbosity=0, interactive=False)
    seed.seed_registry()
    boss = User.objects.create_superuser(user_id="boss", username="Boss", email="boss@example.com", password=None)
    crowd.fill(people=PEOPLE, entries=ENTRIES_EACH)
    first = milliseconds(rollups.roll_up, runs=1)[0]
    again = statistics.median(milliseconds(rollups.roll_up))
    staff = Client(SERVER_NAME="localhost")
    staff.force_login(boss)
    opened(staff, "")  # templates and urls are loaded
    found = {}
    for name, path in pages(User.objects.get(user_id="crowd-5000")).items():
        with CaptureQueriesContext(connection) as queries:
            opened(staff, path)
            asked = queries.captured_queries  # before another request begins, which forgets them
        times = milliseconds(lambda path=path: opened(staff, path))  # type: ignore[misc]
        found[name] = (statistics.median(times), len(asked), f"/admin/{path}")
        print(f"{found[name][0]:8.0f} ms {found[name][1]:3} queries  {name}", flush=True)
        if found[name][0] > SLOW_MS:
            explain(asked)
    return {"first": first, "again": again, "pages": found, "entries": LedgerEntry.objects.count()}


def explain(queries: list[dict[str, str]]) -> None:
    """Where a slow page's time goes, on the screen."""
    for query in queries:
        if float(query["time"]) * 1000 > SLOW_MS / 5 and query["sql"].startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + query["sql"])
                plan = "\n".join(f"           {line}" for (line,) in cursor.fetchall())
            print(f"         {query['time']} s  {query['sql'][:300]}\n{plan}")


def machine() -> dict[str, str]:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always"], check=True, cwd=ROOT, capture_output=True, text=True)
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        server = cursor.fetchone()[0]
    return {
        "processor": f"{models[0].partition(':')[2].strip() if models else platform.machine()}, {os.cpu_count()} cores",
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "Python": platform.python_version(),
        "Django": django.get_version(),
        "PostgreSQL": server.split()[0],
    }


def written(found: dict[str, Any]) -> str:
    """The result as a page of Markdown."""
    lines = [
        "# The staff's pages with a million entries",
        "",
        "By `make bench-dashboard`; how it is measured stands in [bench/dashboard.py](../dashboard.py). "
        f"{PEOPLE:,} people, {found['entries']:,} entries, a project, a workspace and a hold each. "
        f"Whole requests, medians of {RUNS}.",
        "",
        "| page | ms | queries |",
        "|---|---:|---:|",
        *(f"| {name} (`{path}`) | {ms:,.0f} | {queries} |" for name, (ms, queries, path) in found["pages"].items()),
        "",
        "| counting the figures | ms |",
        "|---|---:|",
        f"| the first time, all days | {found['first']:,.0f} |",
        f"| again, as each sweep does | {found['again']:,.0f} |",
        "",
        "Measured on: " + ", ".join(f"{name} {value}" for name, value in machine().items()) + ".",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    settings.DEBUG = False  # or Django keeps every query
    with temporary_cluster() as server:
        settings.DATABASES["default"].update(server.settings())
        try:
            RESULT.write_text(written(measured()))
        finally:
            connection.close()
    print(RESULT)


if __name__ == "__main__":
    main()
