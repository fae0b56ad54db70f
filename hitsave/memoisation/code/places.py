"""Paths in globals that lie in the project: they count as seen from there, since another checkout has another path.

`DATA = Path(__file__).parent / "data"` means the same wherever the project lies. Arguments are not looked at in this
way: what a caller passes, he means.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath

from hitsave.memoisation.code.kinds import is_a

_DEPTH = 3
_MANY = 1000


@dataclass(frozen=True, slots=True)
class InProject:
    """A path of the project, as seen from its folder."""

    kind: str
    path: str


class Places:
    """Knows the folder of a project, under all of its names."""

    def __init__(self, folder: str | None) -> None:
        self.project = folder
        names = {os.path.abspath(folder), os.path.realpath(folder)} if folder else set()
        self._folders = tuple(name for name in names if os.path.dirname(name) != name)

    def relocate(self, value: object, depth: int = _DEPTH) -> object:
        """A value with the paths of the project in it as seen from there; the value itself where there are none."""
        kind = type(value)
        if kind is str or is_a(value, PurePath):
            return self._relocate_path(value)  # type: ignore[arg-type]
        if depth and kind in (list, tuple) and len(value) < _MANY:  # type: ignore[arg-type]
            members = [self.relocate(each, depth - 1) for each in value]  # type: ignore[attr-defined]
            same = all(one is other for one, other in zip(members, value, strict=True))  # type: ignore[call-overload]
            return value if same else kind(members)
        if depth and kind is dict and len(value) < _MANY:  # type: ignore[arg-type]
            items = {key: self.relocate(each, depth - 1) for key, each in value.items()}  # type: ignore[attr-defined]
            return value if all(items[key] is value[key] for key in items) else items  # type: ignore[index]
        return value

    def _relocate_path(self, value: str | PurePath) -> object:
        text = value if isinstance(value, str) else os.fspath(value)
        for folder in self._folders:
            if text == folder or text.startswith(folder + os.sep):
                return InProject(type(value).__name__, text[len(folder) :].replace(os.sep, "/"))
        return value
