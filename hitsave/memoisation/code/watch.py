"""Whether what a fingerprint was made of is still the same, looked at before each call.

Bindings and code are compared by identity, which takes nanoseconds. Values that can change in place are digested again.
A value that the memoised function changed itself (a list that it appends to, a cache that it fills) counts as what it
was before: otherwise no such function would ever hit in the process that ran it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CellType, CodeType, FunctionType
from typing import Any

#: Digests a value again; raises KeyError where it refers to code that the fingerprint does not know.
Redigest = Callable[[object], bytes]


class _Missing:
    """Stands for a name that is not bound."""


MISSING = _Missing()


class Aliases:
    """Values that the function itself has made out of others: each counts as the one that it was made of."""

    def __init__(self) -> None:
        self._origins: dict[tuple[str, bytes], bytes] = {}

    def origin(self, name: str, digest: bytes) -> bytes:
        """What the value of a name counts as."""
        return self._origins.get((name, digest), digest)

    def note(self, name: str, before: bytes, after: bytes) -> None:
        """The function has turned one value into another."""
        if before != after:
            self._origins[name, after] = before


class Watch:
    """Everything that a fingerprint read."""

    def __init__(self) -> None:
        self._bindings: list[tuple[Mapping[Any, Any], Any, object]] = []
        self._named: dict[int, str] = {}
        self._functions: list[tuple[FunctionType, CodeType, object, object]] = []
        self._cells: list[tuple[CellType, object, str]] = []
        self._sizes: list[tuple[Mapping[Any, Any], int]] = []
        self._values: list[tuple[str, object, bytes]] = []
        self._checks: list[tuple[Callable[[], object], object]] = []

    @property
    def codes(self) -> list[CodeType]:
        """The code of every function that was read."""
        return [code for _, code, _, _ in self._functions]

    # -- while the fingerprint is made

    def binding(self, namespace: Mapping[Any, Any], key: object, value: object, name: str = "") -> None:
        """A key of a namespace, and what it holds; `name` is that of the value dependency, if it is one."""
        if name:
            self._named[len(self._bindings)] = name
        self._bindings.append((namespace, key, value))

    def function(self, function: FunctionType) -> None:
        """The code and the defaults of a function."""
        self._functions.append((function, function.__code__, function.__defaults__, function.__kwdefaults__))

    def cell(self, cell: CellType, value: object, name: str) -> None:
        """What a cell of a closure holds."""
        self._cells.append((cell, value, name))

    def size(self, namespace: Mapping[Any, Any]) -> None:
        """How many keys a namespace has."""
        self._sizes.append((namespace, len(namespace)))

    def value(self, name: str, value: object, digest: bytes) -> None:
        """A value that may change in place."""
        self._values.append((name, value, digest))

    def check(self, ask: Callable[[], object]) -> None:
        """Anything else that must give the same answer again."""
        self._checks.append((ask, ask()))

    # -- afterwards

    def holds(self, redigest: Redigest, aliases: Aliases) -> bool:
        """Whether everything is as it was."""
        for namespace, key, value in self._bindings:
            if namespace.get(key, MISSING) is not value:
                return False
        for function, code, defaults, keyword_defaults in self._functions:
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or function.__kwdefaults__ is not keyword_defaults
            ):
                return False
        for cell, value, _ in self._cells:
            if cell_contents(cell) is not value:
                return False
        if any(len(namespace) != size for namespace, size in self._sizes):
            return False
        if any(ask() != answer for ask, answer in self._checks):
            return False
        return not self._values or self._values_hold(redigest, aliases)

    def _values_hold(self, redigest: Redigest, aliases: Aliases) -> bool:
        for name, value, digest in self._values:
            try:
                now = redigest(value)
            except Exception:  # What it has become cannot be digested: the fingerprint is made anew, and tells.
                return False
            if now != digest and aliases.origin(name, now) != aliases.origin(name, digest):
                return False
        return True

    def note_changes(self, redigest: Redigest, aliases: Aliases) -> None:
        """After the function has run: what it changed counts as what it was."""
        for name, value, digest in self._values:
            self._note(name, aliases.origin(name, digest), value, redigest, aliases)
        before = {name: aliases.origin(name, digest) for name, _, digest in self._values}
        for at, name in self._named.items():
            namespace, key, value = self._bindings[at]
            now = namespace.get(key, MISSING)
            if now is not value and now is not MISSING:
                self._note(name, before.get(name) or self._digest_or_none(value, redigest), now, redigest, aliases)
        for cell, value, name in self._cells:
            now = cell_contents(cell)
            if now is not value and now is not MISSING:
                self._note(name, before.get(name) or self._digest_or_none(value, redigest), now, redigest, aliases)

    def _note(self, name: str, before: bytes | None, value: object, redigest: Redigest, aliases: Aliases) -> None:
        after = self._digest_or_none(value, redigest)
        if before is not None and after is not None:
            aliases.note(name, aliases.origin(name, before), after)

    @staticmethod
    def _digest_or_none(value: object, redigest: Redigest) -> bytes | None:
        try:
            return redigest(value)
        except Exception:  # Then nothing is noted, and the next call looks for itself.
            return None


def cell_contents(cell: CellType) -> object:
    """What a cell holds, MISSING where it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING
