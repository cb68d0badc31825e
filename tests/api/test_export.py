"""GET export: all that a person has here, as a zip file that is made while it is sent."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import App, User
from tests.api.conftest import STAMP, everything_of
from tests.api.pictures import draw
from tests.api.served import saved
from tests.client import ApiClient
from tests.clock import let_pass
from unified import takeout
from workspace import services as workspace
from workspace.models import Project, ProjectContent
from workspace.queries import plain

ROUTE = "export"
TEXT = "# Évora 🌞\r\n" * 100
HOSTILE = [
    "../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/cron.d/x",
    "C:\\autoexec.bat",
    "a/b/c",
    "COM1",
    ".",
    "x" * 200,
    "=cmd|' /C calc'!A0",
    "quote\" quote'",
    "manifest.json",
    "👩‍🎨\u202egnp.exe",
]


def export(client: ApiClient, user_id: str = "alice") -> zipfile.ZipFile:
    """The file that was streamed, whole: every checksum in it has been looked at."""
    response = client.get(ROUTE, user_id=user_id)
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(response.getvalue()))
    assert archive.testzip() is None
    return archive


def manifest_of(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return manifest


def trash(client: ApiClient, code: str) -> None:
    assert client.request("DELETE", f"/api/unified/projects/{code}?user_id=alice").status_code == 200


@pytest.fixture
def belongings(alice: User, as_penora: ApiClient, as_imagegene: ApiClient) -> list[str]:
    """Codes of alice's projects: texts and pictures of both apps, of which the last is in the trash."""
    as_penora.post("deduct-credits", user_id="alice", amount=2, app_name="penora", description="Two pages")
    codes = [
        saved(as_penora, TEXT, title="A week in Évora", metadata={"n": [1, {"deep": None}], "é": "ü"}),
        saved(as_penora, "short"),
        saved(as_penora, "data:text/markdown,%23 Title", title="Notes"),
        saved(as_penora, "data:text/html,<script>alert(1)</script>"),
        saved(as_imagegene, draw("AVIF"), app_source="imagegene", project_type="ai_art", title="Sunset"),
        saved(as_imagegene, draw("JPEG"), app_source="imagegene"),
        saved(as_imagegene, draw("PNG"), app_source="imagegene", title="Gone"),
    ]
    trash(as_penora, codes[-1])
    return codes


# --- what it holds ---------------------------------------------------------------------------------------------------


def test_every_project_is_in_it_byte_for_byte(belongings: list[str], as_penora: ApiClient) -> None:
    archive = export(as_penora)

    projects = manifest_of(archive)["projects"]
    assert [project["code"] for project in projects] == belongings
    for told in projects:
        project = Project.objects.select_related("app").get(code=told["code"])
        body = archive.read(told["file"])
        assert body == plain(project.content)
        assert len(body) == told["size_bytes"] == project.size_bytes
        assert hashlib.sha256(body).hexdigest() == told["sha256"]
        facts = (told["title"], told["project_type"], told["app_source"], told["content_type"])
        assert facts == (project.title, project.project_type, project.app.slug, project.content_type)
        assert re.fullmatch(STAMP, told["created_at"])
        assert re.fullmatch(STAMP, told["updated_at"])
        assert json.loads(archive.read(told["details"])) == {**told, "metadata": project.metadata}
    assert TEXT.encode() in {archive.read(project["file"]) for project in projects}


def test_the_files_are_called_as_people_would_look_for_them(belongings: list[str], as_penora: ApiClient) -> None:
    archive = export(as_penora)

    endings = ["txt", "txt", "md", "html", "avif", "jpg"]
    wanted = []
    for code, ending in zip(belongings[:-1], endings, strict=True):
        wanted += [f"projects/{code}.{ending}", f"projects/{code}.json"]
    gone = belongings[-1]
    assert archive.namelist() == [
        *wanted,
        f"trash/{gone}.png",
        f"trash/{gone}.json",
        "transactions.csv",
        "manifest.json",
    ]


def test_the_trash_is_told_apart(belongings: list[str], as_penora: ApiClient) -> None:
    *kept, gone = manifest_of(export(as_penora))["projects"]

    assert all(project["deleted_at"] is None and project["file"].startswith("projects/") for project in kept)
    assert re.fullmatch(STAMP, gone["deleted_at"])
    assert gone["file"].startswith("trash/")
    assert gone["details"].startswith("trash/")


def test_what_can_no_longer_be_restored_is_not_in_it(
    belongings: list[str], as_penora: ApiClient, settings: Any
) -> None:
    let_pass(timedelta(days=settings.TRASH_DAYS))

    assert [project["code"] for project in manifest_of(export(as_penora))["projects"]] == belongings[:-1]


def test_the_history_is_that_of_the_csv_file(belongings: list[str], as_penora: ApiClient) -> None:
    archive = export(as_penora)

    history = archive.read("transactions.csv")
    assert history == as_penora.get("transactions.csv", user_id="alice").getvalue()
    lines = list(csv.reader(io.StringIO(history.decode(), newline="")))
    assert manifest_of(archive)["transactions"] == {"file": "transactions.csv", "count": len(lines) - 1}
    assert len(lines) == 3  # the header, the welcome credits and the two pages


def test_the_manifest_comes_last_and_says_whose_it_is(belongings: list[str], alice: User, as_penora: ApiClient) -> None:
    """Last, so that a file that was cut off on its way is told by having none."""
    archive = export(as_penora)
    told = manifest_of(archive)
    info = as_penora.get("user-info", user_id="alice").json()

    assert archive.namelist()[-1] == "manifest.json"
    assert told["format_version"] == 1
    assert re.fullmatch(STAMP, told["exported_at"])
    assert re.fullmatch(STAMP, told["user"].pop("member_since"))
    assert told["user"] == {"user_id": "alice", "username": "Alice", "email": "alice@example.com", "plan": "free"}
    assert told["credits"] == info["credits"] == 48
    assert told["storage"] == info["storage"]
    files = {project[name] for project in told["projects"] for name in ("file", "details")}
    assert files | {"transactions.csv", "manifest.json"} == set(archive.namelist())


def test_the_answer_is_a_file_that_nobody_keeps(alice: User, as_penora: ApiClient) -> None:
    response = as_penora.get(ROUTE, user_id="alice")

    today = datetime.now(UTC).date()
    assert response["Content-Disposition"] == f'attachment; filename="unified-export-{today}.zip"'
    assert response["Cache-Control"] == "no-store"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response
    assert response.streaming
    response.getvalue()


def test_exporting_changes_nothing(belongings: list[str], alice: User, as_penora: ApiClient) -> None:
    before = everything_of(alice)

    export(as_penora)

    assert everything_of(alice) == before


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "declared",
    ["application/json", "text/json", "text/plain", "text/x..y", "text/a.b!#$&^_.+-c", "text/csv", "text/exe"],
)
def test_no_two_files_have_one_name(alice: User, as_penora: ApiClient, declared: str) -> None:
    """A JSON text and the facts about it were both called CODE.json: unpacked, only the facts were left."""
    code = saved(as_penora, f"data:{declared},[1]")

    archive = export(as_penora)

    names = archive.namelist()
    assert len({name.lower() for name in names}) == len(names) == 4
    (told,) = manifest_of(archive)["projects"]
    assert archive.read(told["file"]) == b"[1]"
    assert told["details"] == f"projects/{code}.json"
    assert json.loads(archive.read(told["details"]))["code"] == code


def test_no_title_is_a_way_out_of_the_folder(alice: User, as_penora: ApiClient, tmp_path: Any) -> None:
    codes = [saved(as_penora, "x", title=title, project_type=title[:64]) for title in HOSTILE]
    archive = export(as_penora)

    for name in archive.namelist():
        assert re.fullmatch(r"(projects/[0-9A-Z]{6}\.(txt|json)|transactions\.csv|manifest\.json)", name)
        assert ".." not in PurePosixPath(name).parts
    assert [project["title"] for project in manifest_of(archive)["projects"]] == HOSTILE
    archive.extractall(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {path.stem for path in (tmp_path / "out" / "projects").iterdir()} == set(codes)


# --- whose things ----------------------------------------------------------------------------------------------------


def test_who_has_nothing_gets_a_whole_file_too(alice: User, as_penora: ApiClient) -> None:
    archive = export(as_penora)

    assert archive.namelist() == ["transactions.csv", "manifest.json"]
    assert manifest_of(archive)["projects"] == []
    assert manifest_of(archive)["transactions"]["count"] == 1


def test_nothing_of_anybody_else_is_in_it(
    belongings: list[str], bob: User, as_penora: ApiClient, as_imagegene: ApiClient
) -> None:
    theirs = saved(as_imagegene, "Bob's diary", user_id="bob", app_source="imagegene", title="A diary")

    of_alice, of_bob = export(as_penora), export(as_penora, "bob")

    assert [project["code"] for project in manifest_of(of_bob)["projects"]] == [theirs]
    everything = b"".join(of_alice.read(name) for name in of_alice.namelist())
    for trace in (theirs, "diary", "bob@example.com", "Bob"):
        assert trace.encode() not in everything
    assert not any(theirs in name for name in of_alice.namelist())


def test_who_is_locked_out_can_still_take_out_what_is_theirs(
    belongings: list[str], alice: User, as_penora: ApiClient
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert len(manifest_of(export(as_penora))["projects"]) == len(belongings)


def test_nobody_by_this_id_is_a_404_and_no_key_a_401(alice: User, as_penora: ApiClient, anonymous: ApiClient) -> None:
    assert as_penora.get(ROUTE, user_id="nobody").json()["code"] == "user_not_found"
    assert list(as_penora.get(ROUTE).json()["fields"]) == ["user_id"]
    assert anonymous.get(ROUTE, user_id="alice").status_code == 401


# --- what it costs ---------------------------------------------------------------------------------------------------


def plant(user: User, app: App, count: int, size_bytes: int) -> None:
    """Projects in the database alone; their bytes cannot be compressed, and the person's counters do not know."""
    projects = Project.objects.bulk_create(
        Project(
            user=user,
            app=app,
            code=f"{number:06}",
            title=str(number),
            project_type="page",
            content_type="image/png",
            size_bytes=size_bytes,
            original_bytes=size_bytes,
        )
        for number in range(count)
    )
    for number, project in enumerate(projects):
        body = hashlib.shake_128(str(number).encode()).digest(size_bytes)
        ProjectContent.objects.create(project=project, body=body)


def test_a_project_more_costs_a_query_more(alice: User, penora: App, as_penora: ApiClient) -> None:
    export(as_penora)  # notes when the key was used, once
    asked = []
    for count in (0, 3, 13):
        Project.objects.all().delete()
        plant(alice, penora, count, 100)
        with CaptureQueriesContext(connection) as captured:
            export(as_penora)
        asked.append(len(captured))

    nothing, few, many = asked
    assert (few - nothing, many - few) == (3, 10)


def test_the_memory_that_it_takes_does_not_grow_with_what_is_in_it(alice: User, penora: App) -> None:
    """
    38 MB in 200 projects. What is held at any time are two projects' bytes and the list of them all: 1.5 MB. It was
    5.5 MB when bytes that had been sent waited for the garbage collector, and is 40 MB with the pieces kept.
    """
    count, size_bytes = 200, 200_000
    plant(alice, penora, count, size_bytes)
    sent = 0
    tracemalloc.start()
    try:
        for piece in takeout.archive(alice):
            sent += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sent > count * size_bytes
    assert peak < 2.5 * 1024 * 1024


# --- while things change ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [False, True])
def test_a_project_that_goes_meanwhile_is_left_out_or_whole(alice: User, as_penora: ApiClient, late: bool) -> None:
    codes = [saved(as_penora, f"Text {number}") for number in range(3)]
    pieces = takeout.archive(alice)
    received = [next(pieces)]  # the first project; the list of them has been read

    trash(as_penora, codes[0 if late else 1])
    workspace.empty_trash(user=alice)
    received += pieces

    archive = zipfile.ZipFile(io.BytesIO(b"".join(received)))
    assert archive.testzip() is None
    told = [project["code"] for project in manifest_of(archive)["projects"]]
    assert told == (codes if late else [codes[0], codes[2]])
    assert [name for name in archive.namelist() if name.endswith(".txt")] == [f"projects/{code}.txt" for code in told]


def test_a_project_that_is_edited_meanwhile_is_of_one_piece(alice: User, as_penora: ApiClient) -> None:
    """Its bytes, size and digest are of one version, whichever that is."""
    codes = [saved(as_penora, f"Text {number}") for number in range(2)]
    pieces = takeout.archive(alice)
    received = [next(pieces)]

    body = json.dumps({"user_id": "alice", "content": TEXT, "title": "New"}).encode()
    edited = as_penora.request("PATCH", f"/api/unified/projects/{codes[1]}", data=body, content_type="application/json")
    assert edited.status_code == 200
    received += pieces

    archive = zipfile.ZipFile(io.BytesIO(b"".join(received)))
    _, told = manifest_of(archive)["projects"]
    assert archive.read(told["file"]) == TEXT.encode()
    assert (told["title"], told["size_bytes"]) == ("New", len(TEXT.encode()))
    assert told["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()


def test_a_file_that_was_cut_off_does_not_pass_for_a_whole_one(belongings: list[str], alice: User) -> None:
    pieces = list(takeout.archive(alice))

    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(pieces[:-1])))


def test_who_stops_listening_leaves_nothing_open(belongings: list[str], alice: User, as_penora: ApiClient) -> None:
    pieces = takeout.archive(alice)
    next(pieces)

    pieces.close()  # type: ignore[attr-defined]

    assert len(manifest_of(export(as_penora))["projects"]) == len(belongings)
