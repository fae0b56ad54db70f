"""What `__main__` defines, under the name by which other programs import it."""

from __future__ import annotations

import functools
import importlib
import os
import sys

#: What the module that a program runs is called there; the second one in processes that multiprocessing spawns.
MAIN_NAMES = ("__main__", "__mp_main__")


#: What runs a script as `__main__` without making a module of it.
_RUNNERS = ("cProfile", "profile")
#: The name that another program's `__main__` goes by, where functions of it came here in a pickle.
_stands_for: list[str] = []


def main_name() -> str | None:
    """The name by which other programs import what this one runs as `__main__`; None for notebooks and the like."""
    if _stands_for:
        return _stands_for[0]
    main = sys.modules.get("__mp_main__") or sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name in _RUNNERS and sys.argv[0].endswith(".py"):
        return _name_of(sys.argv[0])
    if spec is not None and spec.name not in MAIN_NAMES:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return _name_of(file) if isinstance(file, str) else None


@functools.cache
def _name_of(file: str) -> str | None:
    """The name of a script: that of its file, in the packages that it lies in."""
    path = os.path.abspath(file)
    names = [os.path.splitext(os.path.basename(path))[0]]
    while os.path.isfile(os.path.join(os.path.dirname(path), "__init__.py")):
        path = os.path.dirname(path)
        names.insert(0, os.path.basename(path))
    return ".".join(names) if all(name.isidentifier() for name in names) else None


def stand_for(name: str) -> None:
    """A function of another program's `__main__` came here in a pickle, as one of `__main__`: it goes by this name."""
    if name not in MAIN_NAMES and not _stands_for:
        _stands_for.append(name)


def canonical_module(name: str) -> str:
    """A module's name as others import it: that of a script is the one of its file."""
    return (main_name() or "__main__") if name in MAIN_NAMES else name


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
