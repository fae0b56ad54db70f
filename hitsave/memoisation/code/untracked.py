"""Globals that have no digest: a connection, a generator, an object that holds a lock.

Of these, all parts that have one count. Nothing tells what the rest holds, so that the statements that make it count as
they are written, with all that these use. Of locks, streams and loggers nothing counts but their types.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.dependency import Dependency, DependencyKind, text_dependency
from hitsave.memoisation.mainmodule import canonical_module

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

#: The modules of things that do not change what a function gives.
_IDLE = frozenset(("_thread", "threading", "_io", "io", "logging", "_logging", "multiprocessing"))
_SPELLED_OUT = re.compile(r"\w+(?:\.\w+)+")


def depend_on_untracked(walk: Walk, dotted: str, value: object, definitions: Definitions, project: str | None) -> None:
    """Depend on what is known of a value without a digest."""
    walk.add(text_dependency(DependencyKind.UNTRACKED, dotted, walk.refer(type(value))))
    if not _is_idle(value):
        opaque = walk.holding.parts(dotted, value)
        if not all(map(_is_idle, opaque)):
            _depend_on_statements(walk, dotted, definitions, Path(project or "."))


def _is_idle(value: object) -> bool:
    return type(value).__module__.partition(".")[0] in _IDLE


def _depend_on_statements(walk: Walk, dotted: str, definitions: Definitions, root: Path) -> None:
    """Depend on how a name of a module came to what it holds."""
    name = _definition_at(dotted)
    if name is None or (digest := definitions.as_loaded(name, root, walk.sensitivity)) is None:
        return
    shown = name.replace(":", ".")
    walk.add(Dependency(DependencyKind.FUNCTION, f"{shown} as written", digest, definitions.text(name)))


def _definition_at(dotted: str) -> str | None:
    """MODULE:NAME of the name that a path begins with."""
    match = _SPELLED_OUT.match(dotted)
    parts = match[0].split(".") if match else []
    for at in range(len(parts) - 1, 0, -1):
        where = ".".join(parts[:at])
        if where in sys.modules or where == canonical_module("__main__"):
            return f"{where}:{parts[at]}"
    return None
