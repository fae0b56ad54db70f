"""What the user told not to look at: `ignore=[...]` of a memoised function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CodeType, ModuleType
from typing import Any

from hitsave.memoisation.mainmodule import canonical_module


class Ignored:
    """Names of globals, functions, classes, modules and packages, and such things themselves."""

    def __init__(self, entries: Iterable[object] = ()) -> None:
        entries = list(entries)
        self._names = frozenset(canonical_module(entry) for entry in entries if isinstance(entry, str))
        self._objects = [entry for entry in entries if not isinstance(entry, str)]

    def name(self, dotted: str) -> bool:
        """Whether a name is to be left out: it was named in full, or by its end, or lies in a module that was."""
        if not self._names:
            return False
        parts = dotted.split(".")
        endings = {".".join(parts[at:]) for at in range(len(parts))}
        beginnings = {".".join(parts[:at]) for at in range(1, len(parts))}
        return not self._names.isdisjoint(endings | beginnings)

    def entry(self, code: CodeType | None, namespace: dict[str, Any], qualname: str) -> bool:
        """Whether code that was entered is to be left out: it was named, or is that of a thing that was."""
        module = str(namespace.get("__name__", "?"))
        if self.name(f"{canonical_module(module)}.{qualname}" if qualname else canonical_module(module)):
            return True
        return any(
            any(code is known for known in _codes_of(each))
            or (isinstance(each, ModuleType) and vars(each) is namespace)
            for each in self._objects
        )

    def object(self, value: object) -> bool:
        """Whether a thing itself is to be left out."""
        return any(value is entry or value is getattr(entry, "__wrapped__", entry) for entry in self._objects)


def _codes_of(entry: object) -> Iterator[CodeType]:
    """The code of a function, of what it wraps, or of the methods of a class."""
    found = getattr(entry, "__wrapped__", entry)
    for each in (entry, found, *(vars(found).values() if isinstance(found, type) else ())):
        code = getattr(getattr(each, "__func__", each), "__code__", None)
        if isinstance(code, CodeType):
            yield code
