"""`.hitsaveignore`: files that stay out of a dataset, in the syntax of `.gitignore`, matched by the pathspec library.

A file of that name holds for its directory and all beneath it, and a deeper one overrules a higher one. Where there
is none, nothing is matched and nothing is paid.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from hitsave.errors import WorkspaceError

IGNORE_NAME = b".hitsaveignore"


@dataclass(frozen=True, slots=True)
class Rules:
    """The patterns of one file, and those of the directories above it."""

    base: bytes
    spec: GitIgnoreSpec
    parent: Rules | None

    def ignores(self, path: bytes, is_directory: bool) -> bool:
        """Whether an absolute path beneath `base` stays out."""
        relative = os.fsdecode(path[len(self.base) :].lstrip(b"/")) + ("/" if is_directory else "")
        verdict = self.spec.check_file(relative).include
        if verdict is not None:
            return verdict
        return self.parent is not None and self.parent.ignores(path, is_directory)


def load_rules(directory: bytes, parent: Rules | None) -> Rules | None:
    """The rules for what is in a directory: those of its own file, where it has one, before those from above."""
    path = os.path.join(directory, IGNORE_NAME)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return parent
    try:
        return Rules(directory, GitIgnoreSpec.from_lines(lines), parent)
    except ValueError as error:
        raise WorkspaceError(f"{os.fsdecode(path)}: {error}") from None


def rules_above(directory: bytes, workspace: bytes | None) -> Rules | None:
    """The rules that hold in `directory` by files of directories above it, up to the workspace."""
    if workspace is None or not (directory + b"/").startswith(workspace.rstrip(b"/") + b"/"):
        return None
    rules: Rules | None = None
    above = workspace
    inner = directory[len(workspace.rstrip(b"/")) :].strip(b"/").split(b"/")
    for name in inner:
        rules = load_rules(above, rules)
        above = os.path.join(above, name)
    return rules
