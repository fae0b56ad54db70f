"""What is behind a thing that pickling knows by its name alone, so that its digest says nothing of what it does.

Such are functions of packages that were given code of ours, dispatchers, type aliases, type variables and new types,
and objects of the project's own classes whose `__reduce__` gives a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from hitsave.memoisation.code.cached import CachedFunction, depend_on_cached
from hitsave.memoisation.values.instances import attributes_of

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

#: What type aliases, type variables and new types were made with. Some are worked out when somebody asks.
_OF_TYPES = ("__value__", "__type_params__", "__supertype__", "__bound__", "__constraints__", "__default__")
_TYPING = frozenset(("typing", "typing_extensions"))


def depend_on_named(walk: Walk, value: Any, label: str) -> None:
    """Depend on what a thing wraps, dispatches to, stands for, or keeps in its closure or its attributes."""
    if hasattr(value, "registry") and hasattr(value, "dispatch"):  # functools.singledispatch
        _depend_on_dispatch(walk, value, label)
        return
    if (inner := getattr(value, "__wrapped__", None)) is not None:
        walk.value(f"{label}.__wrapped__", inner)
    if isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            walk.cell(cell, name, label, ())
    elif type(value) is CachedFunction:
        depend_on_cached(walk, value, label)
    elif type(value).__module__ in _TYPING:
        for name, part in type_parts(value):
            walk.value(f"{label}.{name}", part)
    elif walk.whose.is_own_code(type(value)):
        _depend_on_attributes(walk, value, label)


def _depend_on_dispatch(walk: Walk, value: Any, label: str) -> None:
    walk.watch.size(value.registry)
    for kind, implementation in list(value.registry.items()):
        dotted = f"{label}[{walk.refer(kind)}]"
        walk.watch.binding(value.registry, kind, implementation)
        walk.value(dotted, implementation)


def type_parts(value: object) -> Iterator[tuple[str, object]]:
    """What a type alias, a type variable or a new type was made with."""
    for name in _OF_TYPES:
        try:
            found = getattr(value, name, None)
        except Exception:  # What it stands for names what is not there.
            continue
        if found is not None:
            yield name, found


def _depend_on_attributes(walk: Walk, value: Any, label: str) -> None:
    if isinstance(kept := getattr(value, "__dict__", None), dict):
        walk.watch.size(kept)
    for name, each in sorted(attributes_of(value).items()):
        walk.watch.check(partial(_holds, value, name, each))
        walk.value(f"{label}.{name}", each)


def _holds(value: Any, name: str, each: object) -> bool:
    return getattr(value, name, None) is each
