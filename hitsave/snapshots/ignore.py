"""`.hitsaveignore`: files that stay out of a dataset, in the syntax of `.gitignore`, matched by the pathspec library.

A file of that name holds for its directory and all beneath it, and a deeper one overrules a higher one. Where there
is none, nothing is matched and nothing is paid.

The library matches each pattern; which of them decides is decided here. It is the last one that matches the path
itself, as in git: since directories are visited from above, a pattern that matches something above has had its say
(the library's own verdict ranks such patterns instead, and would leave out what `*`, `!*/`, `!keep.txt` keeps).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from hitsave.errors import WorkspaceError

IGNORE_NAME = b".hitsaveignore"
#: Patterns are lines, so that none can name a line feed; the library's wildcards must match it like any other letter.
_LINE_FEED = "\U0010fffd"


class Pattern(NamedTuple):
    """One line. `by_name`: it looks at names alone; `beneath`: it is of what lies in a directory, not of itself."""

    compiled: GitIgnoreSpecPattern
    by_name: bool
    beneath: bool

    def matches(self, path: str, is_directory: bool) -> bool:
        """Whether the pattern is of this very path, not of one above it."""
        above, _, name = path.rpartition("/")
        ending = "/" if is_directory and not self.beneath else ""
        if self.by_name:
            return self.compiled.match_file(name + ending) is not None
        if self.compiled.match_file(path + ending) is None:
            return False
        return self.beneath or not above or self.compiled.match_file(above + "/") is None


@dataclass(frozen=True, slots=True)
class Rules:
    """The patterns of one file, the strongest first, and those of the directories above it."""

    base: bytes
    patterns: tuple[Pattern, ...]
    parent: Rules | None

    def ignores(self, path: bytes, is_directory: bool) -> bool:
        """Whether an absolute path beneath `base` stays out."""
        relative = os.fsdecode(path[len(self.base) :].lstrip(b"/")).replace("\n", _LINE_FEED)
        for pattern in self.patterns:
            if pattern.matches(relative, is_directory):
                return bool(pattern.compiled.include)
        return self.parent is not None and self.parent.ignores(path, is_directory)


def _parse(line: str) -> Pattern | None:
    compiled = GitIgnoreSpecPattern(line)
    if compiled.include is None:
        return None
    text = line.rstrip().removeprefix("!")
    body = text.removesuffix("/").removeprefix("**/")
    return Pattern(compiled, "/" not in body, text.endswith("/**"))


def load_rules(directory: bytes, parent: Rules | None) -> Rules | None:
    """The rules for what is in a directory: those of its own file, where it has one, before those from above."""
    path = os.path.join(directory, IGNORE_NAME)
    try:
        with open(path, "rb") as file:
            lines = os.fsdecode(file.read().removeprefix(b"\xef\xbb\xbf")).split("\n")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return parent
    try:
        patterns = [_parse(line.removesuffix("\r")) for line in lines]
    except ValueError as error:
        raise WorkspaceError(f"{os.fsdecode(path)}: {error}") from None
    return Rules(directory, tuple(pattern for pattern in reversed(patterns) if pattern), parent)


def rules_above(directory: bytes, workspace: bytes | None) -> Rules | None:
    """The rules that hold in `directory` by files of it and of directories above it, up to the workspace."""
    root = None if workspace is None else workspace.rstrip(b"/")
    if root is None or not (directory + b"/").startswith(root + b"/"):
        return None
    above = root or b"/"
    rules = load_rules(above, None)
    for name in directory[len(root) :].strip(b"/").split(b"/"):
        if name:
            above = os.path.join(above, name)
            rules = load_rules(above, rules)
    return rules
