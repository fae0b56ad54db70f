"""What is inside of things that have no digest themselves: what a context variable gives, what a reference leads to.

In a global, such a thing counts by what a call would find in it now. In an argument it is an error, as before.
"""

from __future__ import annotations

import itertools
import threading
import warnings
import weakref
from contextvars import ContextVar
from dataclasses import dataclass
from types import CodeType
from typing import Any

from hitsave.memoisation.code.kinds import is_a
from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.source import code_digest

_ITERATORS = frozenset(("builtins", "itertools"))
#: The types of most values, which stand for themselves.
_ORDINARY = frozenset((dict, list, tuple, set, frozenset, str, bytes, int, float, bool))


@dataclass(frozen=True, slots=True)
class Inside:
    """What was found in something of a kind."""

    kind: str
    content: object


class _Nothing:
    """Nothing was found."""


def peek(value: Any) -> object:
    """What stands for a value; nearly always the value itself."""
    kind = type(value)
    if kind in _ORDINARY:
        return value
    if kind is ContextVar:
        return Inside(f"ContextVar {value.name}", _found_in(value))
    if is_a(value, threading.local):
        return Inside("local", (kind, dict(value.__dict__)))
    if is_a(value, weakref.ReferenceType):
        return Inside("reference", value())
    if is_a(value, weakref.WeakValueDictionary) or is_a(value, weakref.WeakKeyDictionary):
        return Inside(kind.__name__, dict(value))
    if is_a(value, weakref.WeakSet):
        return Inside("WeakSet", set(value))
    if kind is CodeType:
        return Inside("code", code_digest(value, Attention()))
    if kind.__module__ in _ITERATORS and hasattr(kind, "__next__"):
        return _state_of(value)
    return value


def _found_in(variable: ContextVar[Any]) -> object:
    try:
        return variable.get()
    except LookupError:
        return _Nothing


def _state_of(iterator: Any) -> object:
    """Where an iterator stands. What Python no longer tells is left as it is, and does not count."""
    if type(iterator) is itertools.count:
        return Inside("count", repr(iterator))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Deprecated since 3.12, and gone in 3.14.
            made, arguments, *state = iterator.__reduce__()
            return Inside(type(iterator).__name__, (made, _listed(arguments), _listed(tuple(state))))
    except (TypeError, AttributeError, ValueError):
        return iterator


def _listed(arguments: tuple[object, ...]) -> tuple[object, ...]:
    """Iterators over sequences, as what they will give."""
    found: list[object] = []
    for each in arguments:
        if hasattr(type(each), "__next__") and hasattr(each, "__reduce__"):
            parts: tuple[Any, ...] = each.__reduce__()  # type: ignore[assignment]
            _, inner, *position = parts
            found.append((type(each).__name__, inner, position))
        else:
            found.append(each)
    return tuple(found)
