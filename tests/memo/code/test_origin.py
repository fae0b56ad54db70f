"""Whose code a module is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hitsave.memoisation.code.origin import Origin, Origins, Package, package_in


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("json", Origin.PYTHON),
        ("sys", Origin.PYTHON),
        ("_thread", Origin.PYTHON),
        ("os.path", Origin.PYTHON),
        ("xml.etree.ElementTree", Origin.PYTHON),
        ("pytest", Origin.EXTERNAL),
        ("_pytest.fixtures", Origin.EXTERNAL),
        ("blake3", Origin.EXTERNAL),
        ("hitsave.memoisation", Origin.PYTHON),
        ("__main__", Origin.OWN),
        ("__mp_main__", Origin.OWN),
        ("tests.memo.code", Origin.OWN),
        ("nowhere_to_be_found", Origin.OWN),
    ],
)
def test_origins(name: str, origin: Origin) -> None:
    assert Origins().of_module(name) is origin


def test_a_package_of_one_s_own_counts_wherever_it_lies() -> None:
    origins = Origins()
    assert origins.of_module("pytest") is Origin.EXTERNAL
    origins.own("pytest.inner")
    assert origins.of_module("pytest") is Origin.OWN
    origins.own("json")
    assert origins.of_module("json") is Origin.PYTHON


@pytest.mark.parametrize(
    ("sensitivity", "version"), [("none", ""), ("major", "1"), ("minor", "1.2"), ("patch", "1.2.3+local")]
)
def test_how_much_of_a_version_counts(sensitivity: str, version: str) -> None:
    assert Package("x", "1.2.3+local").at(sensitivity) == version


def _distribution(folder: Path, name: str, version: str, **files: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    for file, text in files.items():
        (info / file.replace("__", ".")).write_text(text)


def test_distributions_by_their_names_and_by_what_they_bring(tmp_path: Path) -> None:
    _distribution(tmp_path, "some_thing", "1.0")
    _distribution(tmp_path, "Other", "2.0", top_level__txt="brought\nbeside\n")
    _distribution(tmp_path, "third", "3.0", RECORD="recorded/__init__.py,,\nalone.py,,\n")
    folder = str(tmp_path)
    assert package_in(folder, "some_thing") == package_in(folder, "some-thing") == Package("some_thing", "1.0")
    assert package_in(folder, "brought") == package_in(folder, "beside") == Package("Other", "2.0")
    assert package_in(folder, "recorded") == package_in(folder, "alone") == Package("third", "3.0")
    assert package_in(folder, "unknown") is None


_PROGRAM = """
import sys
from hitsave.memoisation.code.origin import Origins, package_of
from hitsave.memoisation.mainmodule import canonical_module
origins = Origins()
for name in sys.argv[1:]:
    before = set(sys.modules)
    print(name, origins.of_module(name).value)
    assert name not in set(sys.modules) - before
print(canonical_module("__main__"), canonical_module("a.b"))
"""


@pytest.mark.parametrize(
    ("command", "main"),
    [(["main.py"], "main"), (["-m", "package.main"], "package.main"), (["package/main.py"], "package.main")],
)
def test_modules_that_are_not_loaded(tmp_path: Path, command: list[str], main: str) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").touch()
    for name in ("main.py", "package/main.py"):
        (tmp_path / name).write_text(textwrap.dedent(_PROGRAM))
    names = ["package", "wave", "click", "unknown_name"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, *command, *names], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == [
        *("package own wave python click external unknown_name own".split()),
        main,
        "a.b",
    ]
