"""
Credits for many people from one file: taken in and checked whole, then run line by line.

A file with any wrong line is kept for what is wrong with it, and never run. Of a right one each line is an adjustment
in a transaction of its own, together with what became of the line: so whoever runs it may be killed at any moment and
somebody else goes on, and neither loses a line nor does one twice. It does not matter who runs a file: its lines are
entered in the name of whoever sent it, with the rights and limits that they have at that moment.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now

from accounts import audit
from accounts.models import AuditEntry, User
from accounts.services import UserHasLeft, lock_user
from credits import grant_csv
from credits.grant_csv import Line, shortened
from credits.models import DESCRIPTION_MAX_LENGTH, GrantFile, GrantLine
from credits.services.adjustments import (
    AdjustmentKeyReused,
    AdjustmentLimitExceeded,
    AdjustmentNotAllowed,
    Limits,
    ReasonNeeded,
    adjust,
    adjusted_today,
    limits_of,
)
from credits.services.spending import InvalidGrant

PERMISSION = "credits.add_grantfile"
BATCH_OF_LINES = 5_000  # in one statement
BATCH_OF_RUNS = 100  # after which it is looked again whether whoever sent the file still may
logger = logging.getLogger("unified.grants")
_TEXT_LENGTH = 300  # of what is kept of a line
_REFUSALS = (AdjustmentNotAllowed, AdjustmentLimitExceeded, AdjustmentKeyReused, InvalidGrant)


class NotStartable(Exception):
    """The file has wrong lines, or the one who would start it is not the one who sent it."""


class RunBefore(Exception):
    """The very same file was run before; whoever means it says so."""


@transaction.atomic
def check_file(*, name: str, data: bytes, reason: str, actor: User, expires_at: datetime | None = None) -> GrantFile:
    """
    Takes the file in: `checked`, with all its lines waiting, or `refused`, with the lines that are wrong. The credits
    of each line expire at `expires_at`, if given; no credits are moved yet.

    Raises credits.grant_csv.UnreadableFile, ReasonNeeded, InvalidGrant, AdjustmentNotAllowed; then nothing is kept.
    Locks: the new rows.
    """
    if not reason.strip() or len(reason) > DESCRIPTION_MAX_LENGTH:
        raise ReasonNeeded(f"A file needs a reason, of at most {DESCRIPTION_MAX_LENGTH} characters.")
    limits = limits_of(actor)
    found = grant_csv.lines(data)
    people = _people({line.user_id for line in found})
    checked = _checked(found, people, actor, limits)
    wrong = [line for line in checked if line.problem]
    file = GrantFile.objects.create(
        name=name[:255],
        digest=hashlib.sha256(data).digest(),
        reason=reason,
        expires_at=expires_at,
        actor=actor,
        state=GrantFile.State.REFUSED if wrong else GrantFile.State.CHECKED,
        line_count=len(checked),
        total=sum(line.amount or 0 for line in checked if not line.problem),
    )
    file.refresh_from_db(fields=["created_at"])
    if expires_at is not None and expires_at <= file.created_at:
        raise InvalidGrant("Credits must expire in the future.")
    outcome = GrantLine.Outcome.WRONG if wrong else GrantLine.Outcome.WAITING
    GrantLine.objects.bulk_create(
        (
            GrantLine(
                file=file,
                number=line.number,
                text=line.user_id[:_TEXT_LENGTH],
                user=None if wrong else people[line.user_id],
                amount=line.amount,
                outcome=outcome,
                problem=line.problem[:_TEXT_LENGTH],
            )
            for line in wrong or checked
        ),
        batch_size=BATCH_OF_LINES,
    )
    with audit.because(reason):
        audit.record(
            AuditEntry.Event.FILE_CHECKED,
            actor=actor,
            file=file.pk,
            sha256=bytes(file.digest).hex(),
            state=file.state,
            lines=file.line_count,
            wrong=len(wrong),
            total=file.total,
        )
    return file


@transaction.atomic
def start_file(*, file: GrantFile, actor: User, again: bool = False) -> GrantFile:
    """
    From now on the file's lines are run, by whoever calls `run_lines`. One that was started already is left as it is.
    `again` says that it is meant if the very same file was run before.

    Raises NotStartable, RunBefore, InvalidGrant (its credits would have expired), AdjustmentNotAllowed,
    AdjustmentLimitExceeded (all of it is more than `actor` may give today); then nothing is written. Locks: the actor's
    row, all files with the same content, so that of two of them that are started at once the second sees the first.
    """
    actor = lock_user(user=actor)
    same = GrantFile.objects.select_for_update(no_key=True).filter(digest=file.digest).order_by("pk")
    of_this = next(found for found in list(same) if found.pk == file.pk)
    if of_this.state in (GrantFile.State.RUNNING, GrantFile.State.DONE):
        return of_this
    if of_this.state == GrantFile.State.REFUSED:
        raise NotStartable("Lines of this file are wrong: mend them and send it again.")
    if of_this.actor_id != actor.pk:
        raise NotStartable("Only the person who has sent a file can start it: it is run in their name.")
    if run_before(of_this) is not None and not again:
        raise RunBefore("The very same file was run before.")
    left = left_today(actor)
    if left is not None and of_this.total > left:
        raise AdjustmentLimitExceeded(per_adjustment=limits_of(actor).per_adjustment, left_today=left)
    started = GrantFile.objects.filter(pk=file.pk).filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    if not started.update(state=GrantFile.State.RUNNING, started_at=Now()):
        raise InvalidGrant("The credits would have expired already: send the file again with another time.")
    of_this.refresh_from_db()
    with audit.because(of_this.reason):
        audit.record(
            AuditEntry.Event.FILE_STARTED,
            actor=actor,
            file=of_this.pk,
            lines=of_this.line_count,
            total=of_this.total,
            again=again,
        )
    return of_this


def run_lines(*, file: GrantFile, limit: int) -> int:
    """
    Runs up to `limit` lines that wait, each in its own transaction, and returns how many were: 0 if none is left, or
    others are at all of them. Whoever finds that none waits any more marks the file as done. Several may do this at
    once: each takes lines that nobody else is at.

    A line that is refused is marked with why, and the others go on. Locks, for each line: it, the actor's row, the
    account.
    """
    done = after = 0
    actor = User.objects.get(pk=file.actor_id)
    while done < limit and (number := _run_next(file, actor, after=after)):
        done, after = done + 1, number
    if done < limit:
        _finish(file)
    return done


def run_files() -> int:
    """
    Runs whatever somebody has started and nobody is at any more: the sweep calls this. How many files could not be
    finished; one that fails does not stop the others.
    """
    failed = 0
    for file in GrantFile.objects.filter(state=GrantFile.State.RUNNING).order_by("pk"):
        try:
            while run_lines(file=file, limit=BATCH_OF_RUNS):
                pass
        except Exception:
            logger.exception("grant file %s could not be finished", file.pk)
            failed += 1
    return failed


def progress_of(file: GrantFile) -> dict[str, int]:
    """How many lines of the file are `granted`, `failed`, `waiting` and `wrong`. One query."""
    counts = {outcome: Count("pk", filter=Q(outcome=outcome)) for outcome in GrantLine.Outcome.values}
    return GrantLine.objects.filter(file=file).aggregate(**counts)


def run_before(file: GrantFile) -> GrantFile | None:
    """The newest other file with the same content that was started, if there is one. One query."""
    started = GrantFile.objects.filter(digest=file.digest, started_at__isnull=False).exclude(pk=file.pk)
    return started.order_by("-pk").first()


def left_today(actor: User) -> int | None:
    """Credits that `actor` may move yet in these 24 hours, None if any number. Raises AdjustmentNotAllowed."""
    per_day = limits_of(actor).per_day
    return None if per_day is None else max(0, per_day - adjusted_today(actor))


def _checked(found: list[Line], people: dict[str, User], actor: User, limits: Limits) -> list[Line]:
    """The lines, with what is wrong with those that could be read: who nobody is, who has left, who comes twice."""
    first_line: dict[str, int] = {}
    checked = []
    for line in found:
        problem = line.problem
        if not problem and line.user_id not in people:
            problem = f"There is nobody with the user id “{shortened(line.user_id)}”."
        elif not problem and people[line.user_id].deleted_at is not None:
            problem = "This person has left."
        elif not problem and line.user_id == actor.user_id and not actor.is_superuser:
            problem = "This is you; nobody gives credits to themselves."
        elif not problem and line.amount and line.amount > limits.per_adjustment:
            problem = f"The amount is {line.amount:,}; you may give one person {limits.per_adjustment:,} at the most."
        earlier = first_line.setdefault(line.user_id, line.number)
        if not problem and earlier != line.number:
            problem = f"The same person as in line {earlier}."
        checked.append(replace(line, problem=problem) if problem else line)
    return checked


def _people(user_ids: set[str]) -> dict[str, User]:
    """By user id, whoever has one of these."""
    ids = sorted(user_ids)
    parts = [ids[start : start + BATCH_OF_LINES] for start in range(0, len(ids), BATCH_OF_LINES)]
    known = User.objects.only("pk", "user_id", "deleted_at")
    return {user.user_id: user for part in parts for user in known.filter(user_id__in=part)}


@transaction.atomic
def _run_next(file: GrantFile, actor: User, *, after: int) -> int | None:
    """Runs the first waiting line after that row id which nobody is at. Its row id; None if there is none."""
    waiting = GrantLine.objects.filter(
        file=file, file__state=GrantFile.State.RUNNING, outcome=GrantLine.Outcome.WAITING
    )
    free = waiting.select_for_update(no_key=True, skip_locked=True, of=("self",))
    line = free.filter(pk__gt=after).select_related("user").order_by("pk").first()
    if line is None:
        return None
    assert line.user is not None  # noqa: S101  a waiting line was checked
    assert line.amount is not None  # noqa: S101
    try:
        with transaction.atomic():
            if not actor.has_perm(PERMISSION):
                raise AdjustmentNotAllowed("Whoever sent the file may give credits by file no longer.")
            line.entry = adjust(
                user=line.user,
                amount=line.amount,
                reason=file.reason,
                actor=actor,
                idempotency_key=f"file-{file.pk}-{line.number}",
                expires_at=file.expires_at,
            )
        line.outcome = GrantLine.Outcome.GRANTED
    except UserHasLeft:
        line.entry, line.outcome, line.problem = None, GrantLine.Outcome.FAILED, "This person has left."
    except _REFUSALS as refusal:
        line.entry, line.outcome = None, GrantLine.Outcome.FAILED
        line.problem = f"{str(refusal)[:1].upper()}{str(refusal)[1:]}".rstrip(".")[: _TEXT_LENGTH - 1] + "."
    line.save(update_fields=["entry", "outcome", "problem"])
    return line.pk


def _finish(file: GrantFile) -> None:
    """Done, if no line waits: also none that somebody is at, since its outcome cannot be seen yet."""
    waiting = GrantLine.objects.filter(file=OuterRef("pk"), outcome=GrantLine.Outcome.WAITING)
    running = GrantFile.objects.filter(~Exists(waiting), pk=file.pk, state=GrantFile.State.RUNNING)
    running.update(state=GrantFile.State.DONE, finished_at=Now())
