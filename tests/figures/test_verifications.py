"""Each run of verify_ledger is kept, and for ninety days."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from tests.conftest import make_user
from unified.figures.models import Verification
from unified.figures.rollups import forget_old_verifications


def kept(days: float) -> Verification:
    as_of = timezone.now() - timedelta(days=days)
    return Verification.objects.create(as_of=as_of, is_right=True, violations=0, result={})


def test_a_run_is_kept_as_it_is_printed(committed_db: None) -> None:
    make_user("alice")
    out = StringIO()
    call_command("verify_ledger", "--json", stdout=out)

    run = Verification.objects.get()
    assert (run.is_right, run.violations, run.result) == (True, 0, json.loads(out.getvalue()))
    assert run.as_of.isoformat() == run.result["as_of"]


def test_a_run_that_finds_something_is_kept_with_it(committed_db: None) -> None:
    make_user("alice")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE credits_account SET balance = balance + 7")
    with pytest.raises(SystemExit):
        call_command("verify_ledger", stdout=StringIO())

    run = Verification.objects.get()
    broken = [one["name"] for one in run.result["invariants"] if one["violations"]]
    assert (run.is_right, run.violations) == (False, len(broken))
    assert "each account's balance is the sum of its entries" in broken


def test_where_nothing_can_be_written_the_proof_stands(committed_db: None) -> None:
    out, err = StringIO(), StringIO()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")

    call_command("verify_ledger", stdout=out, stderr=err)

    assert "All invariants hold" in out.getvalue()
    assert "The result could not be kept" in err.getvalue()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")
    assert not Verification.objects.exists()


def test_old_ones_go_and_the_last_one_stays(db: None) -> None:
    kept(100)
    kept(90.01)
    young = [kept(89.99), kept(1)]

    call_command("sweep", stdout=StringIO())

    assert set(Verification.objects.all()) == set(young)


def test_the_last_one_stays_however_old(db: None) -> None:
    kept(300)
    last = kept(200)

    assert forget_old_verifications() == 1
    assert Verification.objects.get() == last
