"""Everything of the project's own that a function can reach, from the objects that are there when it is called.

A walk begins at a function and follows what its code uses: functions, classes with their bases and methods, values of
globals, closures and defaults, modules through whatever imports they came. Code of others counts by its version alone,
but what it was given to wrap (a cached or decorated function, a dispatch table) is followed.

Each function and class gets a *label*, by which everything else refers to it: its module and its qualified name, with a
number where several share these. The order of the walk is that of the names in the code, so that labels do not depend
on addresses, hash seeds or the order of imports.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

from hitsave.memoisation.code import members
from hitsave.memoisation.code.annotations import depend_on_annotations
from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.dependency import Dependency, DependencyKind, text_dependency
from hitsave.memoisation.code.files import digest_path
from hitsave.memoisation.code.following import Following
from hitsave.memoisation.code.holding import Holding
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.kinds import is_a, is_code, is_plain, unwrapped
from hitsave.memoisation.code.named import depend_on_named
from hitsave.memoisation.code.names import Chain, uses_of
from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.origin import Origin
from hitsave.memoisation.code.places import Places
from hitsave.memoisation.code.source import Sources
from hitsave.memoisation.code.told import depend_on_told
from hitsave.memoisation.code.watch import Aliases, Watch, cell_contents
from hitsave.memoisation.code.whose import Whose
from hitsave.memoisation.mainmodule import canonical_module

#: What is noted in functions for type checkers, and what is looked at elsewhere.
_NOTES = frozenset("__final__ __override__ __no_type_check__ __dataclass_transform__ __signature__".split())


class Walk:
    """One walk. `dependencies` and `watch` are what it found."""

    def __init__(
        self,
        sources: Sources,
        definitions: Definitions,
        ignored: Ignored,
        aliases: Aliases,
        sensitivity: str,
        attention: Attention,
        places: Places,
    ) -> None:
        self.sources = sources
        self._ignored = ignored
        self.sensitivity = sensitivity
        self.attention = attention
        self.places = places
        self.watch = Watch()
        self.dependencies: dict[tuple[DependencyKind, str], Dependency] = {}
        self.mentions: set[str] = set()
        self.labels: dict[int, str] = {}
        self._kept: list[object] = []
        self._taken: set[str] = set()
        self._pending: deque[Callable[[], None]] = deque()
        self.root: object = None
        self._called: object = None
        self.whose = Whose(self, definitions.origins)
        self.following = Following(self)
        self.holding = Holding(self, definitions, aliases)

    def begin(self, root: object, memoised: bool = False) -> None:
        """Walk from something that is called. The defaults of a memoised function are arguments, and do not count."""
        self.root = unwrapped(root)
        self._called = self.root if memoised else None
        python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
        self.add(text_dependency(DependencyKind.PYTHON, "python", python))
        label = self.refer(root)
        if not is_code(self.root):  # A bound method, or an instance: what it holds counts as well.
            self.value(f"{label}()", self.root)
        self.finish()

    def finish(self) -> None:
        """Walk until nothing is left."""
        while self._pending:
            self._pending.popleft()()

    def add(self, dependency: Dependency) -> None:
        """Take a dependency."""
        self.dependencies[dependency.kind, dependency.name] = dependency

    def ignores(self, dotted: str) -> bool:
        """Whether the user told not to look at a name."""
        return self._ignored.name(dotted)

    def ignores_object(self, value: object) -> bool:
        """Whether the user told not to look at an object."""
        return self._ignored.object(value)

    # -- labels

    def refer(self, value: object) -> str:
        """The label of a function, class, module, or of what else stands for code. It becomes a dependency."""
        value = unwrapped(value)
        known = self.labels.get(id(value))
        if known is not None:
            return known
        base, walk = self._enter(value)
        label = self._unique(base) if walk is not None else base
        self.labels[id(value)] = label
        self._kept.append(value)
        if walk is not None and not self._ignored.name(label) and not self._ignored.object(value):
            self._pending.append(lambda: walk(label))
        return label

    def _unique(self, base: str) -> str:
        label, number = base, 1
        while label in self._taken:
            number += 1
            label = f"{base}~{number}"
        self._taken.add(label)
        return label

    def _enter(self, value: Any) -> tuple[str, Callable[[str], None] | None]:
        """The name of something, and how it is walked; None where its package's version says all."""
        if is_a(value, ModuleType):
            own = self.whose.note_package(value.__name__) is Origin.OWN
            return canonical_module(value.__name__), (lambda label: self._module(value)) if own else None
        if is_a(value, FunctionType):
            return self._enter_function(value)
        if is_a(value, type):
            module = str(value.__module__)
            own = self.whose.note_package(module) is Origin.OWN or self.whose.is_stray(value, module)
            label = f"{canonical_module(module)}.{value.__qualname__}"
            return label, (lambda label: members.walk_class(self, value, label)) if own else None
        if is_a(value, MethodType):
            return f"{self.refer(value.__func__)} of {self.refer(type(value.__self__))}", None
        module = getattr(value, "__module__", None) or type(value).__module__
        if is_a(value, BuiltinFunctionType):
            self.whose.note_package(str(module))
            return f"{module}.{value.__qualname__}", None
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or "object"
        kind = self.refer(type(value))
        return f"{kind} {canonical_module(str(module))}.{name}", lambda label: depend_on_named(self, value, label)

    def _enter_function(self, function: FunctionType) -> tuple[str, Callable[[str], None] | None]:
        module = str(function.__globals__.get("__name__", "?"))
        if self.whose.note_package(module) is Origin.OWN:
            label = f"{canonical_module(module)}.{function.__code__.co_qualname}"
            return label, lambda label: self._function(function, label)
        label = f"{canonical_module(str(function.__module__))}.{function.__qualname__}"
        if function.__closure__ or "__wrapped__" in function.__dict__:
            return label, lambda label: depend_on_named(self, function, label)
        return label, None

    def file(self, path: str, name: str) -> None:
        """Depend on the content of a file or folder."""
        self.add(Dependency(DependencyKind.FILE, name, digest_path(path), ""))
        self.watch.check(lambda: digest_path(path))

    # -- functions

    def _function(self, function: FunctionType, label: str) -> None:
        code = function.__code__
        namespace = function.__globals__
        piece = self.sources.function(code, self.attention, lambda decorator: members.is_ours(decorator, namespace))
        self.add(Dependency(DependencyKind.FUNCTION, label, piece.digest, piece.text))
        self.watch.function(function)
        found = uses_of(code)
        self.mentions |= found.mentions
        if function is not self._called:
            self._defaults(function, label)
        self._attributes(function, label)
        depend_on_annotations(self, function, label)
        depend_on_told(self, function, label)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self.cell(cell, name, label, found.free)
        self.following.names(namespace, found)

    def _defaults(self, function: FunctionType, label: str) -> None:
        code = function.__code__
        positional = code.co_varnames[: code.co_argcount]
        defaults = function.__defaults__ or ()
        for name, value in zip(positional[len(positional) - len(defaults) :], defaults, strict=True):
            self.value(f"{label}({name}=)", value)
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            self.value(f"{label}({name}=)", value)

    def _attributes(self, function: FunctionType, label: str) -> None:
        self.watch.size(function.__dict__)
        for name, value in sorted(function.__dict__.items()):
            if name == "__wrapped__":
                self.refer(value)
            elif not name.startswith("__") or (name not in _NOTES and is_plain(value)):
                self.watch.binding(function.__dict__, name, value, f"{label}.{name}")
                self.value(f"{label}.{name}", value)

    # -- values

    def value(self, dotted: str, value: object) -> None:
        """Depend on what a name holds."""
        self.holding.value(dotted, value)

    def cell(self, cell: CellType, name: str, label: str, chains: tuple[Chain, ...]) -> None:
        """Depend on what a function's closure holds."""
        value = cell_contents(cell)
        dotted = f"{label}<{name}>"
        self.watch.cell(cell, value, dotted)
        rests = [chain[1:] for chain in chains if chain[0] == name] or [()]
        for rest in rests:
            self.following.take(value, rest, dotted)

    # -- whole modules

    def depend_on_module(self, name: str) -> None:
        """Depend on everything in a module of the project, if there is one of this name."""
        if self.whose.is_own_module(name) and isinstance(loaded := self.following.load(name), ModuleType):
            self.value(f"depends_on {name}", loaded)

    def _module(self, module: ModuleType) -> None:
        """Every name of a module: it is used in a way that does not tell which ones."""
        namespace = vars(module)
        self.watch.size(namespace)
        name = canonical_module(module.__name__)
        for key in sorted(key for key in namespace if not key.startswith("__") or key == "__getattr__"):
            self.following.global_(namespace, name, (key,))
        if self.attention.docstrings:
            self.value(f"{name}.__doc__", namespace.get("__doc__"))
        if self.attention.text and os.path.isfile(file := namespace.get("__file__") or ""):
            self.file(file, f"{name} as written")
        if self.attention.order:
            own = [key for key, value in namespace.items() if getattr(value, "__module__", None) == module.__name__]
            self.add(text_dependency(DependencyKind.NAME, f"{name}.__dict__", ", ".join(own)))
