"""Importing from repositories that the tools themselves made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hitsave.importing.dvc import DvcSource
from hitsave.importing.model import State
from tests.cli.world import git_environment
from tests.importing.programs import dvc_program
from tests.importing.projects import GitProject, everything

LARGE = os.urandom(300_000)


class Tool:
    """Runs a program in a project, with settings of its own."""

    def __init__(self, project: GitProject, home: Path) -> None:
        self._project = project
        self._environment = {**git_environment(), "HOME": str(home), "LC_ALL": "C.UTF-8", "DVC_NO_ANALYTICS": "1"}
        for scope in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):
            self._environment[f"DVC_{scope}_DIR"] = str(home / scope)

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
