"""What an object is by itself, whoever refers to it: memoised, an atom, plain, or code."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType

_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented))
_MANY = 1000
#: What code is made of.
CODE_TYPES = (FunctionType, type, ModuleType)


def unwrapped(value: object) -> object:
    """A memoised function stands for the function that it keeps results of."""
    while getattr(type(value), "_keeps_results", False):
        value = value.__wrapped__  # type: ignore[attr-defined]
    return value


def is_atom(value: object) -> bool:
    """Whether a value can never change, and holds no code."""
    if type(value) in (tuple, frozenset):
        return all(map(is_atom, value))  # type: ignore[call-overload]
    return type(value) in _ATOMS


def is_plain(value: object, depth: int = 3) -> bool:
    """Whether a value is made of numbers and texts, and not of many."""
    if isinstance(value, dict):
        members: Iterable[object] = (*value.keys(), *value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        members = value
    else:
        return is_atom(value)
    return depth > 0 and len(value) < _MANY and all(is_plain(each, depth - 1) for each in members)


def attribute_or_none(module: object, qualname: str) -> object:
    """What a qualified name stands for in a module."""
    found = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found
