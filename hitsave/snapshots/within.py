"""Projects that lie within another one: repositories, submodules among them, and folders with settings of their own.

Their datasets are theirs: they have names and remotes of their own, and what is secret there must not go where the
project around them goes. A linked work tree of the same repository is another checkout: the project has its datasets at
their paths in the repository, and not at paths that lead through the work tree.

A `pyproject.toml` without `[tool.hitsave]` begins a project for those who work beneath it, and none for those who work
above: the packages of a repository belong together.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Container
from pathlib import Path

_OWN = (b".git", b"hitsave.toml")
_SHARED = b"pyproject.toml"


def begins_project(names: Container[bytes], read: Callable[[bytes], bytes]) -> bool:
    """Whether a folder with these names in it is a project of its own; `read` gives the content of a file there."""
    return any(name in names for name in _OWN) or (_SHARED in names and _has_settings(read))


def _has_settings(read: Callable[[bytes], bytes]) -> bool:
    try:
        tool = tomllib.loads(read(_SHARED).decode("utf-8")).get("tool")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False  # Who works there is told what is wrong with it.
    return isinstance(tool, dict) and "hitsave" in tool


def begins_project_at(folder: bytes, names: Container[bytes]) -> bool:
    """Whether a folder of this machine, with these names in it, is a project of its own."""

    def read(name: bytes) -> bytes:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    return begins_project(names, read)


def project_between(root: Path, path: Path) -> Path | None:
    """The project that a path lies in, or is, beneath the project at `root`; None where that is `root` itself."""
    for folder in (path, *path.parents):
        if folder == root or root not in folder.parents:
            return None
        there = {name for name in (*_OWN, _SHARED) if os.path.lexists(os.path.join(os.fsencode(folder), name))}
        if begins_project_at(os.fsencode(folder), there):
            return folder
    return None
