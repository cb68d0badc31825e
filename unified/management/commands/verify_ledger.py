"""
The proof that the books and the storage counters are right, for an operator to run at any time, beside traffic.

Everything is read in one REPEATABLE READ snapshot, so a call in flight is seen whole or not at all, and nobody waits.
The result is kept afterwards (`Verification`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connection, transaction

from credits import verify as credits
from unified import verify as unified
from unified.figures.models import Verification
from workspace import verify as workspace

INVARIANTS = {"credits": credits.INVARIANTS, "workspace": workspace.INVARIANTS, "unified": unified.INVARIANTS}
SHOWN_PER_INVARIANT = 20
SIZES = {
    "accounts": "credits_account",
    "entries": "credits_ledgerentry",
    "lots": "credits_grant",
    "holds": "credits_hold",
    "projects": "workspace_project",
}


class Command(BaseCommand):
    help = "Proves that entries, balances and storage counters agree. Exit status 1 if anything does not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the result as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        result = verify()
        self._keep(result)
        if options["json"]:
            self.stdout.write(json.dumps(result))
        else:
            for line in described(result):
                self.stdout.write(line)
        if not result["ok"]:
            sys.exit(1)

    def _keep(self, result: dict[str, Any]) -> None:
        """For the staff's front page. Where nothing can be written (a standby), the proof stands without it."""
        violations = sum(invariant["violations"] for invariant in result["invariants"])
        try:
            Verification.objects.create(
                as_of=result["as_of"], is_right=result["ok"], violations=violations, result=result
            )
        except DatabaseError as trouble:
            self.stderr.write(f"The result could not be kept: {str(trouble).strip()}")


def described(result: dict[str, Any]) -> Iterator[str]:
    """The result as a person reads it, line by line."""
    for invariant in result["invariants"]:
        found = invariant["violations"]
        yield f"{'BROKEN' if found else 'holds '}  {invariant['domain']}: {invariant['name']}"
        for problem in invariant["examples"]:
            yield f"          {problem['what']}: expected {problem['expected']}, found {problem['found']}"
        if found > len(invariant["examples"]):
            yield f"          … and {found - len(invariant['examples'])} more"
    sizes = ", ".join(f"{name} {count}" for name, count in result["sizes"].items())
    verdict = "All invariants hold" if result["ok"] else "NOT ALL INVARIANTS HOLD"
    yield f"{verdict} ({sizes}) as of {result['as_of']}."


def verify(domains: Collection[str] = tuple(INVARIANTS)) -> dict[str, Any]:
    """Every invariant of `domains` with the number of its violations and the first few, all from one snapshot."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SET LOCAL statement_timeout = 0")  # a large ledger takes longer than a request may
        cursor.execute("SELECT NOW()")
        as_of = cursor.fetchone()[0].isoformat()
        sizes = {}
        for name, table in SIZES.items():
            cursor.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608  from the table above
            sizes[name] = cursor.fetchone()[0]
        invariants = [_examined(domain, name, sql) for domain in domains for name, sql in INVARIANTS[domain].items()]
    return {
        "ok": not any(invariant["violations"] for invariant in invariants),
        "as_of": as_of,
        "sizes": sizes,
        "invariants": invariants,
    }


def _examined(domain: str, name: str, sql: str) -> dict[str, Any]:
    """One invariant. Its rows stay with the server but for a few at a time: after a disaster they may be millions."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchmany(SHOWN_PER_INVARIANT)
        examples = [{"what": what, "expected": str(expected), "found": str(found)} for what, expected, found in rows]
        more = 0
        while batch := cursor.fetchmany(1_000):
            more += len(batch)
    return {"domain": domain, "name": name, "violations": len(examples) + more, "examples": examples}
