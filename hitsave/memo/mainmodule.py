"""What `__main__` defines, under the name by which other programs import it."""

from __future__ import annotations

import importlib
import os
import sys

#: What the module that a program runs is called there; the second one in processes that multiprocessing spawns.
MAIN_NAMES = ("__main__", "__mp_main__")


def main_name() -> str | None:
    """The name by which other programs import what this one runs as `__main__`; None for notebooks and the like."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return None if spec.name in MAIN_NAMES else str(spec.name)
    file = getattr(main, "__file__", None)
    stem = os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else ""
    return stem if stem.isidentifier() else None


def from_main(module: str | None, qualname: str) -> object:
    """What the `__main__` of some program defined. Pickles name this function: it must stay where it is."""
    if module == main_name():
        return attribute_at(sys.modules["__main__"], qualname)
    if module is None:
        raise LookupError(f"{qualname} was defined in a notebook or an interactive session")
    return attribute_at(importlib.import_module(module), qualname)


def attribute_at(module: object, qualname: str) -> object:
    """What a qualified name stands for in a module. Raises AttributeError."""
    found = module
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
