"""Settings that a function under `functools.cache` holds for the whole program, and that others may change.

What such a function keeps is a global in disguise: `settings().rate = 0.1` somewhere changes what later calls see. Only
functions of the project without arguments are looked at, and only objects that are made of numbers and texts: what is
kept for certain arguments says which calls there were, and models and tables are rarely changed and slow to look at.
Whatever else is kept counts as if nothing were, and nobody's code is run to find out.
"""

from __future__ import annotations

import argparse
import functools
import gc
import inspect
from collections.abc import Iterator, Mapping
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from hitsave.memoisation.code.kinds import is_atom
from hitsave.memoisation.values.instances import attributes_of

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

#: What `functools.cache` and `functools.lru_cache` make.
CachedFunction = type(functools.lru_cache(len))

_NOTHING = "nothing was kept yet"
_NAMESPACES = (SimpleNamespace, argparse.Namespace)
_DEPTH = 4
_MANY = 1000


def depend_on_cached(walk: Walk, function: Any, label: str) -> None:
    """Depend on the settings that a cached function without arguments keeps."""
    inner = getattr(function, "__wrapped__", None)
    if type(inner) is not FunctionType or not walk.whose.is_own_code(inner) or not _needs_nothing(inner):
        return
    kept, name = _Kept(walk, function), f"{label}()"
    found = kept[()]
    walk.watch.binding(kept, (), found, name)
    walk.value(name, found)


def _needs_nothing(function: FunctionType) -> bool:
    code = function.__code__
    optional = len(function.__defaults__ or ()), len(function.__kwdefaults__ or ())
    return (code.co_argcount, code.co_kwonlyargcount) == optional and not code.co_flags & inspect.CO_VARARGS


class _Kept(Mapping[tuple[()], object]):
    """The settings that a cached function keeps, under the key of a call without arguments."""

    def __init__(self, walk: Walk, function: Any) -> None:
        self._is_own = walk.whose.is_own_code
        self._function = function

    def __getitem__(self, key: tuple[()]) -> object:
        for content in gc.get_referents(self._function):
            if type(content) is dict and key in content:
                found = _result(content[key], key)
                return found if self._are_settings(found) else _NOTHING
        return _NOTHING

    def __iter__(self) -> Iterator[tuple[()]]:
        yield ()

    def __len__(self) -> int:
        return 1

    def _are_settings(self, value: object) -> bool:
        frozen = getattr(getattr(type(value), "__dataclass_params__", None), "frozen", False)
        return not frozen and self._members(value) is not None and self._is_plain(value, _DEPTH)

    def _members(self, value: object) -> dict[Any, object] | None:
        """What is in a value that can be changed; None where it is of another kind."""
        if type(value) is dict:
            return value
        if type(value) in _NAMESPACES or self._is_own(type(value)):
            return attributes_of(value)
        return None

    def _is_plain(self, value: object, depth: int) -> bool:
        if is_atom(value):
            return True
        if type(value) in (list, tuple, set, frozenset):
            members = list(value)  # type: ignore[call-overload]
        elif (known := self._members(value)) is not None:
            members = [*known, *known.values()]
        else:
            return False
        return depth > 0 and len(members) < _MANY and all(self._is_plain(each, depth - 1) for each in members)


def _result(held: object, key: tuple[()]) -> object:
    """What is kept: as it is where there is no limit, else in an element of the list of what was used last."""
    if type(held).__name__ != "_lru_list_elem":
        return held
    return next((each for each in gc.get_referents(held) if each is not key), None)
