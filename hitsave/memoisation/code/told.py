"""What functions and classes say of themselves, where the code at hand asks: it may not be what their source says."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

from hitsave.memoisation.code.dependency import DependencyKind, text_dependency

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk


def depend_on_told(walk: Walk, told: FunctionType | type, label: str) -> None:
    """Depend on the docstring and the name of a function or class, and on a signature that a function was given."""
    if walk.attention.docstrings:
        walk.watch.check(lambda: _docstring(told))
        if (docstring := _docstring(told)) is not None:
            walk.add(text_dependency(DependencyKind.VALUE, f"{label}.__doc__", docstring))
    if walk.attention.names:
        walk.watch.check(lambda: told.__name__)
        if told.__name__ != _written_name(told):
            walk.add(text_dependency(DependencyKind.NAME, f"{label}.__name__", told.__name__))
    if walk.attention.annotations and isinstance(told, FunctionType) and "__signature__" in told.__dict__:
        walk.value(f"{label}.__signature__", told.__dict__["__signature__"])


def _docstring(told: FunctionType | type) -> str | None:
    """Its own; a data class makes one of its fields, which count, and of how these look, which may be an address."""
    if isinstance(told, FunctionType):
        return told.__doc__
    found = vars(told).get("__doc__")
    made = "__dataclass_fields__" in vars(told) and str(found).startswith(f"{told.__name__}(")
    return found if isinstance(found, str) and not made else None


def _written_name(told: FunctionType | type) -> str:
    return told.__code__.co_name if isinstance(told, FunctionType) else told.__qualname__.rpartition(".")[2]
