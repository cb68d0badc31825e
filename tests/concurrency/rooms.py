"""What an app's server does with a person's projects, and a witness that sees every commit of a workspace."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from accounts.models import User
from tests.client import ApiClient
from tests.concurrency.books import rows
from workspace import services
from workspace.models import Project, Storage

MEGABYTE = 1_048_576
IN_THE_CONTRACT = {
    "save": {201, 413},
    "edit": {200, 404, 412, 413},
    "delete": {200, 404},
    "restore": {200, 404, 413},
    "cleanup": {200, 400},
    "empty": {200},
}


@dataclass(frozen=True)
class Caller:
    """The server of an app, which works on alice's projects unless another person is named."""

    api: ApiClient
    app: str

    def save(self, content: str, *, user: str = "alice", headers: dict[str, str] | None = None, **also: Any) -> Any:
        about = {"user_id": user, "app_source": self.app, "project_type": "page", "title": "Page"}
        return self.api.post("save-project", {**about, "content": content, **also}, headers=headers)

    def keep(self, size_bytes: int, **also: Any) -> str:
        """The code of a text of this length, saved now."""
        answer = self.save("x" * size_bytes, **also)
        assert answer.status_code == 201, answer.content
        code: str = answer.json()["project_code"]
        return code

    def edit(self, code: str, *, user: str = "alice", seen: str | None = None, **changes: Any) -> Any:
        """With `seen`, only if that is still the project's etag."""
        return self.api.patch(f"projects/{code}", {"user_id": user, **changes}, headers=_if_match(seen))

    def delete(self, code: str, *, user: str = "alice", seen: str | None = None) -> Any:
        return self.api.delete(f"projects/{code}", user_id=user, headers=_if_match(seen))

    def restore(self, code: str, *, user: str = "alice") -> Any:
        return self.api.post(f"projects/{code}/restore", user_id=user)

    def cleanup(self, *, user: str = "alice", **wanted: Any) -> Any:
        return self.api.post("cleanup", user_id=user, **wanted)

    def empty(self, *, user: str = "alice", **code: str) -> Any:
        return self.api.delete("trash", user_id=user, **code)

    def read(self, code: str, *, user: str = "alice") -> dict[str, Any]:
        answer = self.api.get(f"projects/{code}", user_id=user)
        assert answer.status_code == 200, answer.content
        project: dict[str, Any] = answer.json()["project"]
        return project

    def anything(self, chance: random.Random, codes: list[str], *, room_bytes: int, user: str = "alice") -> Any:
        """
        One deed of those above, its name and the answer's status. A text takes up to a quarter of the room; what is
        saved is added to `codes`, from which the others choose.
        """
        size = chance.randrange(1, room_bytes // 4)
        deed = chance.choice(["save", "save", "edit", "edit", "delete", "restore", "restore", "cleanup", "empty"])
        code = chance.choice(codes) if codes else "000000"
        if deed == "save":
            answer = self.save("x" * size, user=user)
            if answer.status_code == 201:
                codes.append(answer.json()["project_code"])
        elif deed == "edit":
            answer = self.edit(
                code, user=user, seen=f'"{code}-1"' if chance.random() < 0.3 else None, content="y" * size
            )
        elif deed == "cleanup":
            answer = self.cleanup(user=user, free_bytes=size, strategy=chance.choice(["oldest", "largest"]))
        elif deed == "empty":
            answer = self.empty(user=user)
        else:
            answer = getattr(self, deed)(code, user=user)
        return deed, answer.status_code


def _if_match(seen: str | None) -> dict[str, str]:
    return {} if seen is None else {"If-Match": seen}


def assert_in_the_contract(outcomes: Sequence[tuple[str, int]]) -> None:
    """Each deed of `Caller.anything` was answered as it may be, and each was done at least once."""
    seen: dict[str, set[int]] = {}
    for deed, status in outcomes:
        seen.setdefault(deed, set()).add(status)
    wrong = {deed: statuses - IN_THE_CONTRACT[deed] for deed, statuses in seen.items()}
    assert not any(wrong.values()), wrong
    assert seen.keys() == IN_THE_CONTRACT.keys()
    assert all(statuses & {200, 201} for statuses in seen.values()), seen


def statuses(answers: Sequence[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def storage_of(user: User) -> Storage:
    return Storage.objects.get(user=user)


def live_codes(user: User) -> set[str]:
    return set(Project.objects.kept().filter(user=user).values_list("code", flat=True))


def trashed_codes(user: User) -> set[str]:
    return set(Project.objects.filter(user=user).exclude(deleted_at=None).values_list("code", flat=True))


def give_room(user: User, limit_bytes: int) -> None:
    """A small room is filled by small texts, which take less time."""
    services.change_limit(user=user, limit_bytes=limit_bytes)


class Witness:
    def commits(self) -> int:
        """How many transactions have changed a workspace so far."""
        return int(rows("SELECT count(DISTINCT transaction) FROM tests_commit")[0][0])

    def assert_never_wrong(self) -> None:
        """At no commit was anybody over their limit, or a counter anything but the sum of the rows."""
        wrong = rows(
            """
            SELECT * FROM tests_commit WHERE kept_bytes + reservations_bytes > limit_bytes
                OR (used_bytes, project_count) <> (kept_bytes, kept)
                OR (trash_bytes, trash_count) <> (gone_bytes, gone)
                OR reserved_bytes <> reservations_bytes OR gone_bytes > limit_bytes OR gone > %s
            """,
            settings.MAX_PROJECTS_PER_USER,
        )
        assert wrong == [], wrong[:3]


@contextlib.contextmanager
def witnessed() -> Iterator[Witness]:
    """
    While this lasts, the database itself notes at every commit that changes a storage row, under that row's lock, what
    its counters say and what its rows say.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE TABLE tests_commit AS
                SELECT txid_current() AS transaction, s.*, 0::bigint AS kept_bytes, 0::bigint AS kept,
                       0::bigint AS gone_bytes, 0::bigint AS gone, 0::bigint AS reservations_bytes
                FROM workspace_storage s WITH NO DATA;
            CREATE FUNCTION tests_witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO tests_commit
                SELECT txid_current(), s.*, p.kept_bytes, p.kept, p.gone_bytes, p.gone,
                       (SELECT coalesce(sum(size_bytes), 0) FROM workspace_reservation WHERE storage_id = s.user_id)
                FROM workspace_storage s,
                     (SELECT coalesce(sum(size_bytes) FILTER (WHERE deleted_at IS NULL), 0) AS kept_bytes,
                             count(*) FILTER (WHERE deleted_at IS NULL) AS kept,
                             coalesce(sum(size_bytes) FILTER (WHERE deleted_at IS NOT NULL), 0) AS gone_bytes,
                             count(*) FILTER (WHERE deleted_at IS NOT NULL) AS gone
                      FROM workspace_project WHERE user_id = NEW.user_id) p
                WHERE s.user_id = NEW.user_id;
                RETURN NULL;
            END $$;
            CREATE CONSTRAINT TRIGGER tests_witness AFTER UPDATE ON workspace_storage
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tests_witness();
            """
        )
    try:
        yield Witness()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION tests_witness CASCADE; DROP TABLE tests_commit")
