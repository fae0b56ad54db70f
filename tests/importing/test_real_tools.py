"""Importing from repositories that the tools themselves made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hitsave.importing.annex import AnnexFormat
from hitsave.importing.dvc import DvcSource
from hitsave.importing.lfs import LfsFormat
from hitsave.importing.model import State
from hitsave.importing.tracked import TrackedSource
from tests.cli.world import git_environment
from tests.importing.programs import dvc_program, program
from tests.importing.projects import GitProject, everything

LARGE = os.urandom(300_000)


class Tool:
    """Runs a program in a project, with settings of its own."""

    def __init__(self, project: GitProject, home: Path) -> None:
        self._project = project
        self._environment = {**git_environment(), "HOME": str(home), "LC_ALL": "C.UTF-8", "DVC_NO_ANALYTICS": "1"}
        for scope in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
            self._environment[f"DVC_{scope}_DIR"] = str(home / scope)

    def commit(self, message: str) -> None:
        """Commit all there is, with the tool's filters and hooks."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "-m", message)

    def run(self, *command: str) -> None:
        subprocess.run(command, cwd=self._project.root, env=self._environment, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> GitProject:
    """An empty repository."""
    made = GitProject(tmp_path / "project", tmp_path / "cache")
    made.begin()
    return made


@pytest.mark.timeout(600)
def test_dvc(project: GitProject, tmp_path: Path) -> None:
    dvc, tool = dvc_program(), Tool(project, tmp_path)
    tool.run(dvc, "init", "-q")
    first = {"a.txt": b"one\r\n", "sub/big.bin": LARGE, "sub/é": b"x"}
    for name, content in first.items():
        project.write(f"data/{name}", content)
    project.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    project.write(
        "dvc.yaml",
        "stages:\n  make:\n    cmd: mkdir -p out && cp data/a.txt out/b && cp run.sh shown\n    deps: [data]\n"
        "    outs: [out, {shown: {cache: false}}]\n",
    )
    tool.run(dvc, "add", "-q", "data", "run.sh")
    tool.run(dvc, "repro", "-q")
    project.commit()
    project.write("data/a.txt", b"two\n")
    tool.run(dvc, "add", "-q", "data")
    project.commit()
    # What Python leaves beside DVC's lock files is no part of its repository.
    before = everything(project.root)

    done = project.run(DvcSource)

    assert {(outcome.version.path, outcome.state) for outcome in done.outcomes} == {
        (b"data", State.IMPORTED),
        (b"run.sh", State.IMPORTED),
        (b"out", State.IMPORTED),
    }
    assert len(done.outcomes) == 4
    assert [one.path for one in done.skipped] == [b"shown"]
    held = [project.files(ref) for name, ref in sorted(project.refs().items(), key=lambda item: item[1].created)]
    wanted = {name.encode(): content for name, content in first.items()}
    assert wanted in held
    assert {**wanted, b"a.txt": b"two\n"} in held
    assert {b"b": b"one\r\n"} in held
    assert everything(project.root) == before
    with project.repository() as repository:
        # `out` was made from what `data` was then, so that it matches; nothing was checked out since.
        told = {status.path.name: status.state.value for status in repository.status(repository.find_datasets([]))}
    assert told == {"data": "clean", "out": "clean", "run.sh": "clean"}


def test_git_lfs(project: GitProject, tmp_path: Path) -> None:
    program("git-lfs", "version")
    tool = Tool(project, tmp_path)
    tool.run("git", "lfs", "install", "--local")
    tool.run("git", "lfs", "track", "my data/**", "*.psd")
    project.write("my data/sub/big.bin", LARGE)
    project.write("my data/a.txt", b"one\r\n")
    project.write("art/logo.psd", b"logo")
    tool.commit("first")
    project.write("my data/a.txt", b"two")
    tool.commit("second")
    before = everything(project.root)
    done = project.run(lambda history: TrackedSource(history, LfsFormat(history), (), False))
    assert [(outcome.version.path, outcome.state) for outcome in done.outcomes] == [
        (b"my data", State.IMPORTED),
        (b"my data", State.IMPORTED),
        (b"art/logo.psd", State.IMPORTED),
    ]
    held = [project.files(ref) for ref in project.refs().values()]
    for content in (b"one\r\n", b"two"):
        assert {b"a.txt": content, b"sub/big.bin": LARGE} in held
    assert everything(project.root) == before
    with project.repository() as repository:
        told = [status.state.value for status in repository.status(repository.find_datasets([]))]
    assert told == ["clean", "clean"]


def test_git_annex(project: GitProject, tmp_path: Path) -> None:
    program("git-annex", "version")
    tool = Tool(project, tmp_path)
    tool.run("git", "annex", "init", "-q", "here")
    project.write("data/sub/big.bin", LARGE)
    project.write("data/a.txt", b"one")
    tool.run("git", "annex", "add", "-q", ".")
    tool.run("git", "annex", "unlock", "-q", "data/a.txt")
    tool.commit("first")
    project.write("data/a.txt", b"two")
    for backend in ("SHA1E", "BLAKE2B512", "WORM", "SKEIN256"):
        project.write(f"data/{backend}", backend)
        tool.run("git", "annex", "add", "-q", "--backend", backend, f"data/{backend}")
    tool.run("git", "annex", "add", "-q", ".")
    tool.commit("second")
    before = everything(project.root)
    done = project.run(lambda history: TrackedSource(history, AnnexFormat(history), [b"data"], False))
    assert [outcome.state for outcome in done.outcomes] == [State.IMPORTED] * 2
    held = [project.files(ref) for ref in project.refs().values()]
    first = {b"a.txt": b"one", b"sub/big.bin": LARGE}
    added = {name.encode(): name.encode() for name in ("SHA1E", "BLAKE2B512", "WORM", "SKEIN256")}
    assert first in held
    assert {**first, **added, b"a.txt": b"two"} in held
    assert everything(project.root) == before
