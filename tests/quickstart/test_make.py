"""The Makefile on a machine that lacks something: one sentence that says what, and nothing half made."""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.quickstart.service import PROJECT, clean_environment

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make")

TOOLS = ("sh", "awk", "rm", "touch", "find", "echo", "mkdir", "env")  # what the Makefile may use besides Python


class Clone:
    """A fresh copy of what `make` needs to begin with, and a PATH of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "unified"
        self.folder.mkdir()
        for file in (PROJECT / "Makefile", *PROJECT.glob("requirements*")):
            shutil.copy(file, self.folder)
        self.path = folder / "bin"
        self.path.mkdir()
        for tool in (*TOOLS, "make"):
            (self.path / tool).symlink_to(shutil.which(tool) or f"/no/{tool}")

    def put(self, name: str, script: str) -> None:
        """A program of that name on the PATH."""
        program = self.path / name
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={**clean_environment(), "PATH": str(self.path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def assert_refused(self, *arguments: str) -> str:
        """The one sentence that `make run` says before it gives up."""
        done = self.make("run", *arguments)
        assert done.returncode != 0
        assert done.stdout == ""
        said, *by_make = done.stderr.strip().splitlines()
        assert all(line.startswith("make: ***") for line in by_make), done.stderr
        assert not (self.folder / ".venv").exists()
        return said


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_make_alone_lists_the_targets(clone: Clone) -> None:
    done = clone.make()
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(re.fullmatch(r"  make ([a-z-]+) +(\S.*)", line).groups() for line in done.stdout.splitlines())
    assert {"help", "run", "test", "check"} <= set(listed)
    assert all(len(explanation) > 10 for explanation in listed.values())
    assert sorted(path.name for path in clone.folder.iterdir()) == sorted(
        ["Makefile", *(path.name for path in PROJECT.glob("requirements*"))]
    )


def test_every_listed_target_exists_and_every_phony_one_has_a_rule() -> None:
    text = (PROJECT / "Makefile").read_text()
    rules = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)[1].split())
    assert phony - rules == set()
    assert rules - phony == set()


@pytest.mark.parametrize("arguments", [(), ("PYTHON=no-such-python",)], ids=["on PATH", "named"])
def test_without_python(clone: Clone, arguments: tuple[str, ...]) -> None:
    said = clone.assert_refused(*arguments)
    assert "needs Python 3.11 or newer" in said
    assert "was not found" in said
    assert "make PYTHON=" in said


def test_with_a_python_that_says_it_is_too_old(clone: Clone) -> None:
    clone.put("python3", 'case "$1" in -V) echo "Python 3.9.2";; *) exit 1;; esac\n')
    said = clone.assert_refused()
    assert "needs Python 3.11 or newer" in said
    assert "Python 3.9.2" in said
    assert "make PYTHON=" in said


def older_pythons() -> list[str]:
    """Real ones, of any age, one of each version."""
    found: dict[str, str] = {}
    places = ["/usr/bin", "/usr/local/bin", "/opt/*/bin", str(Path.home() / ".pyenv/versions/*/bin")]
    for place in places:
        for program in glob.glob(f"{place}/python[23].[0-9]*"):
            version = re.fullmatch(r"python(2\.\d+|3\.(?:\d|10))", Path(program).name)
            if version:
                found.setdefault(version[1], program)
    return [found[version] for version in sorted(found)]


@pytest.mark.parametrize("program", older_pythons(), ids=lambda program: Path(program).name)
def test_with_a_python_that_is_too_old(clone: Clone, program: str) -> None:
    said = clone.assert_refused(f"PYTHON={program}")
    assert "needs Python 3.11 or newer" in said
    assert f"Python {Path(program).name.removeprefix('python')}" in said
    assert program in said


@pytest.mark.parametrize("missing", ["ensurepip", "venv"])
def test_with_a_python_that_cannot_make_virtual_environments(clone: Clone, missing: str) -> None:
    """As Debian's without python3-venv."""
    clone.put(
        "python3",
        f'case "$*" in *"import "*{missing}*) echo "No module named {missing}" >&2; exit 1;; esac\n'
        f'exec {sys.executable} "$@"\n',
    )
    said = clone.assert_refused()
    assert "cannot make virtual environments" in said
    assert "python3-venv" in said


def test_a_virtual_environment_that_was_not_finished_is_begun_again(clone: Clone) -> None:
    """The disk was full after the first file: the next `make` must not take what is there for an environment."""
    clone.put(
        "python3",
        'case "$*" in *"-m venv"*) echo "$*" >> attempts; mkdir -p .venv/bin; touch .venv/bin/python; exit 1;; esac\n'
        f'exec {sys.executable} "$@"\n',
    )
    assert clone.make("run").returncode != 0
    assert clone.make("run").returncode != 0
    assert len((clone.folder / "attempts").read_text().splitlines()) == 2


def test_make_clean_keeps_the_data(clone: Clone) -> None:
    for folder in (".venv/bin", "var/postgres", "accounts/__pycache__"):
        (clone.folder / folder).mkdir(parents=True)
    assert clone.make("clean").returncode == 0
    assert (clone.folder / "var/postgres").is_dir()
    assert not (clone.folder / ".venv").exists()
    assert not (clone.folder / "accounts/__pycache__").exists()
