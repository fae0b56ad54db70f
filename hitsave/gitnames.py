"""What a project is called that does not say so: as the repository that it was cloned from, or as its folder."""

from __future__ import annotations

import os
from pathlib import Path


def repository_name(workspace: Path) -> str:
    """The name of the repository at git's remote `origin`, or of the folder of the main work tree, or of this one."""
    git = _git_folder(workspace)
    main = git.parent if git.name == ".git" else workspace  # Of a work tree beside it, where git keeps the repository.
    return _origin_name(git) or main.name.encode("utf-8", "replace").decode() or "root"


def _git_folder(workspace: Path) -> Path:
    """Where git keeps what all work trees of a repository share: to there, the file `.git` of a work tree leads."""
    own = _led_to(workspace, ".git")
    return workspace / ".git" if own is None else _led_to(own, "commondir") or own


def _led_to(folder: Path, name: str) -> Path | None:
    """The folder that a file of git's names; None where there is no such file."""
    try:
        text = (folder / name).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return Path(os.path.abspath(folder / text.removeprefix("gitdir:").strip()))


def _origin_name(git: Path) -> str:
    try:
        lines = (git / "config").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line
        elif section == '[remote "origin"]' and line.partition("=")[0].strip() == "url":
            url = line.partition("=")[2].strip().rstrip("/")
            name = url.replace("\\", "/").replace(":", "/").rpartition("/")[2].removesuffix(".git")
            return name if name.strip(".") else ""
    return ""
