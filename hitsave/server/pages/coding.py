"""The code of evaluations: what manifests list, and how two of them differ. Pure: code is a text like others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from hitsave.objects.canonical import Fields, decode_json

_WHAT = "manifest"
_CONTEXT = 3
#: Lines of a text beyond which it is not compared line by line; and those of all texts of one comparison.
_MOST_LINES = 5000
_MOST_LINES_IN_ALL = 20_000
#: Pairs of lines, in all texts of one comparison: what comparing takes grows with them.
_MOST_PAIRS = 8_000_000
#: What people look for comes first.
_ORDER = ("function", "class", "value", "file", "package", "python", "untracked", "name")


class Dependency(NamedTuple):
    """One thing that a result depends on: what it is, its name, its digest in hex, and its source, value or version."""

    kind: str
    name: str
    digest: str
    text: str


class LineKind(StrEnum):
    """What a line of a difference is."""

    SAME = "same"
    OLD = "old"
    NEW = "new"
    PLACE = "place"


class DiffLine(NamedTuple):
    """One line of a difference; `mark` is +, - or a blank."""

    kind: LineKind
    text: str

    @property
    def mark(self) -> str:
        """What stands before it."""
        return {LineKind.OLD: "-", LineKind.NEW: "+", LineKind.PLACE: ""}.get(self.kind, " ")


class CodeChange(NamedTuple):
    """One dependency that differs: `how` is new, gone or changed."""

    kind: str
    name: str
    how: str
    lines: tuple[DiffLine, ...]


def decode_manifest(data: bytes) -> list[Dependency]:
    """The dependencies that a manifest lists. Raises MalformedObject."""
    fields = Fields(decode_json(data, _WHAT), _WHAT)
    found = [Dependency(*row) for row in fields.texts("dependencies", 4)]
    return sorted(found, key=lambda each: (_rank(each.kind), each.name))


def _rank(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def compare_code(old: Iterable[Dependency], new: Iterable[Dependency]) -> list[CodeChange]:
    """What differs, functions and classes first."""
    before = {(each.kind, each.name): each for each in old}
    after = {(each.kind, each.name): each for each in new}
    changes, bounds = [], Bounds()
    for key in sorted(before.keys() | after.keys(), key=lambda key: (_rank(key[0]), key[1])):
        was, now = before.get(key), after.get(key)
        if was is None or now is None or was.digest != now.digest:
            how = "new" if was is None else "gone" if now is None else "changed"
            lines = differing_lines(was.text if was else "", now.text if now else "", bounds)
            changes.append(CodeChange(*key, how, tuple(lines)))
    return changes


class Bounds:
    """What one comparison may still take, in all of its texts."""

    def __init__(self) -> None:
        self._lines = _MOST_LINES_IN_ALL
        self._pairs = _MOST_PAIRS

    def allow(self, before: int, after: int) -> bool:
        """Whether texts of so many lines may be compared, too."""
        lines, pairs = before + after, before * after
        if lines > min(_MOST_LINES, self._lines) or pairs > self._pairs:
            return False
        self._lines -= lines
        self._pairs -= pairs
        return True


def differing_lines(old: str, new: str, bounds: Bounds) -> list[DiffLine]:
    """What differs between two texts, with the lines around it."""
    before, after = old.splitlines(), new.splitlines()
    if not bounds.allow(len(before), len(after)):
        return [DiffLine(LineKind.PLACE, f"{len(before)} lines before, {len(after)} now: too many to compare here")]
    found = []
    for number, line in enumerate(difflib.unified_diff(before, after, lineterm="", n=_CONTEXT)):
        if number < 2:
            continue
        kind = {"+": LineKind.NEW, "-": LineKind.OLD, "@": LineKind.PLACE}.get(line[:1], LineKind.SAME)
        found.append(DiffLine(kind, line if kind is LineKind.PLACE else line[1:]))
    return found
