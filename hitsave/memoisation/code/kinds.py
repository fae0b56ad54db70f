"""What an object is by itself, whoever refers to it: memoised, an atom, plain, or code."""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType, ModuleType
from typing import TypeGuard, TypeVar

_Kind = TypeVar("_Kind")

_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented))
_MANY = 1000
#: What code is made of.
CODE_TYPES = (FunctionType, type, ModuleType)


def is_a(value: object, kind: type[_Kind]) -> TypeGuard[_Kind]:
    """Whether a value is of a kind. What stands for another object may say that it is that, or fail when asked."""
    return issubclass(type(value), kind)


def is_code(value: object) -> bool:
    """Whether a value is what code is made of."""
    return issubclass(type(value), CODE_TYPES)


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
    if is_a(value, dict):
        members: Collection[object] = (*value.keys(), *value.values())
    elif is_a(value, list) or is_a(value, tuple) or is_a(value, set) or is_a(value, frozenset):
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
