"""Calls that are withheld: a module is imported for what it defines, and its import must not compute anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class CallWithheld(BaseException):
    """Ends the import in which a memoised function was called. No `Exception`, so that programs let it through."""


class Withheld:
    """The calls that were withheld. `modules` are those that there were at the newest of them, half imported or not."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}

    def restore(self) -> None:
        """Put half imported modules back, which the end of their import took away."""
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)


#: Whether calls are withheld just now. Every call looks at it.
here: Withheld | None = None


@contextmanager
def calls_withheld() -> Iterator[Withheld]:
    """While the block runs, every call of a memoised function raises CallWithheld, in all threads."""
    global here
    before, here = here, Withheld()
    try:
        yield here
    finally:
        here = before


def withhold() -> None:
    """Raises CallWithheld where calls are withheld."""
    if here is not None:
        here.modules = dict(sys.modules)
        raise CallWithheld
