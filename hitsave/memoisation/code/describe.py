"""A value as a short text for people. It runs no code of the project, and never takes long."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType

from hitsave.memoisation.code.kinds import is_a

LONGEST = 2000
_ITEMS = 50
_DEPTH = 4
#: Values within a value that are looked at: many times as many as have room.
_MOST = 5000


def describe(value: object, longest: int = LONGEST) -> str:
    """What a value looks like, in at most `longest` characters."""
    text = _describe(value, _DEPTH, [_MOST])
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _describe(value: object, depth: int, left: list[int]) -> str:
    """`left` holds how many values may still be looked at."""
    left[0] -= 1
    if left[0] < 0:
        return "..."
    kind = type(value)
    if kind in (str, bytes, bytearray):
        return _cut(value)  # type: ignore[arg-type]
    if kind is int:
        return repr(value) if value.bit_length() < 4000 else f"an int of {value.bit_length()} bits"  # type: ignore[attr-defined]
    if kind in (float, complex, bool, type(None), type(Ellipsis)):
        return repr(value)
    if kind in (list, tuple, set, frozenset, dict):
        return _container(value, depth, left)
    if is_a(value, type) or is_a(value, FunctionType) or is_a(value, BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if is_a(value, ModuleType):
        return f"module {value.__name__}"
    if is_a(value, enum.Enum):
        return f"{kind.__qualname__}.{value._name_}"
    return _other(value, kind, depth, left)


def _cut(value: str | bytes | bytearray) -> str:
    return repr(value) if len(value) <= LONGEST else f"{value[:LONGEST]!r}... ({len(value)} in all)"


def _container(value: object, depth: int, left: list[int]) -> str:
    if depth == 0:
        return "..."
    if isinstance(value, dict):
        items = [
            f"{_describe(key, depth - 1, left)}: {_describe(each, depth - 1, left)}"
            for key, each in islice(value.items(), _ITEMS)
        ]
        return "{" + _joined(items, len(value)) + "}"
    assert isinstance(value, Iterable)
    members = [_describe(each, depth - 1, left) for each in islice(value, _ITEMS)]
    size = len(value)  # type: ignore[arg-type]
    if isinstance(value, set | frozenset):
        inner = _joined(sorted(members), size)
        return f"{{{inner}}}" if type(value) is set else f"frozenset({{{inner}}})"
    inner = _joined(members, size)
    if type(value) is tuple:
        return f"({inner},)" if size == 1 else f"({inner})"
    return f"[{inner}]"


def _joined(items: list[str], size: int) -> str:
    return ", ".join([*items, f"... ({size} in all)"] if size > len(items) else items)


def _asked(value: object, name: str) -> object:
    """An attribute; None where there is none, also of what stands for an object that is not there."""
    try:
        return getattr(value, name, None)
    except Exception:
        return None


def _other(value: object, kind: type, depth: int, left: list[int]) -> str:
    """Of what has a shape or a digest, that; of anything else, its type and its attributes."""
    name = kind.__qualname__
    if kind.__module__.partition(".")[0] in ("hitsave", "pathlib", "datetime", "decimal", "fractions", "uuid", "re"):
        return repr(value)
    shape, dtype = _asked(value, "shape"), _asked(value, "dtype")
    if isinstance(shape, tuple):
        return f"{name} of shape {shape}" + (f", {dtype}" if dtype is not None else "")
    if kind.__module__.startswith("PIL.") and isinstance(size := _asked(value, "size"), tuple):
        return f"{name} of {' x '.join(map(str, size))} pixels"
    inner = _asked(value, "__dict__")
    if depth and type(inner) is dict and inner:
        shown = [f"{key}={_describe(each, depth - 1, left)}" for key, each in islice(inner.items(), _ITEMS)]
        return f"{name}({_joined(shown, len(inner))})"
    return f"a {kind.__module__}.{name}"
