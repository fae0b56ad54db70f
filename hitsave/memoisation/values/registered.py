"""Digests that users register for classes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hitsave.memoisation.values import forms
from hitsave.memoisation.values.plain import FORMS, SCALARS


def register(cls: type, function: Callable[[Any], object]) -> None:
    """Let `function(value)` stand for every value of a class, and of its subclasses unless they are registered too.

    What it returns must have a digest, and must tell apart whatever a memoised function could tell apart. It counts
    together with the value's class; the code of `function` does not. Raises ValueError for a type of Python's own.
    """
    if cls in SCALARS or cls in FORMS or cls is object:
        raise ValueError(f"{cls.__name__} has a digest of its own; register a class of yours")
    forms.register(cls, function)
