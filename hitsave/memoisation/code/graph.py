"""Everything of the project's own that a function can reach, from the objects that are there when it is called.

A walk begins at a function and follows what its code uses: functions, classes with their bases and methods, values of
globals, closures and defaults, modules through whatever imports they came. Code of others counts by its version alone,
but what it was given to wrap (a cached or decorated function, a dispatch table) is followed.

Each function and class gets a *label*, by which everything else refers to it: its module and its qualified name, with a
number where several share these. The order of the walk is that of the names in the code, so that labels do not depend
on addresses, hash seeds or the order of imports.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

from hitsave.errors import Undigestable
from hitsave.memoisation.code import members
from hitsave.memoisation.code.annotations import depend_on_annotations
from hitsave.memoisation.code.definitions import Definitions
from hitsave.memoisation.code.dependency import Dependency, DependencyKind, text_dependency
from hitsave.memoisation.code.describe import describe
from hitsave.memoisation.code.files import digest_file
from hitsave.memoisation.code.ignoring import Ignored
from hitsave.memoisation.code.names import Chain, Import, Uses, uses_of
from hitsave.memoisation.code.normal import Attention
from hitsave.memoisation.code.origin import Origin, is_namespace, package_of
from hitsave.memoisation.code.peeking import peek
from hitsave.memoisation.code.places import Places
from hitsave.memoisation.code.settings import depend_on_settings, packages_of
from hitsave.memoisation.code.source import Sources
from hitsave.memoisation.code.untracked import depend_on_untracked
from hitsave.memoisation.code.watch import MISSING, Aliases, Watch, cell_contents
from hitsave.memoisation.mainmodule import canonical_module
from hitsave.memoisation.values.digest import digest_value
from hitsave.memoisation.values.lenient import LenientDigester

#: Names of a module that say where it is, and not what it does.
_PLACE_NAMES = frozenset(
    "__name__ __file__ __doc__ __package__ __spec__ __loader__ __path__ __cached__ __builtins__ __debug__ "
    "__qualname__ __module__ __annotations__ __annotate__ __conditional_annotations__ __warningregistry__".split()
)
_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented))
_CODE_TYPES = (FunctionType, type, ModuleType)

_MANY = 1000
_HEAP_TYPE = 1 << 9  # In the flags of types that Python code has made.


def unwrapped(value: object) -> object:
    """A memoised function stands for the function that it keeps results of."""
    while getattr(type(value), "_keeps_results", False):
        value = value.__wrapped__  # type: ignore[attr-defined]
    return value


def is_atom(value: object) -> bool:
    """Whether a value can never change, and holds no code."""
    if type(value) in (tuple, frozenset):
        return all(map(is_atom, value))  # type: ignore[call-overload]
    return type(value) in _ATOMS


def is_plain(value: object, depth: int = 3) -> bool:
    """Whether a value is made of numbers and texts, and not of many."""
    if isinstance(value, dict):
        members: Iterable[object] = (*value.keys(), *value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        members = value
    else:
        return is_atom(value)
    return depth > 0 and len(value) < _MANY and all(is_plain(each, depth - 1) for each in members)


def attribute_or_none(module: object, qualname: str) -> object:
    """What a qualified name stands for in a module."""
    found = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


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
        self._definitions = definitions
        self._origins = definitions.origins
        self._ignored = ignored
        self._aliases = aliases
        self.sensitivity = sensitivity
        self.attention = attention
        self.places = places
        self.watch = Watch()
        self.dependencies: dict[tuple[DependencyKind, str], Dependency] = {}
        self.mentions: set[str] = set()
        self.labels: dict[int, str] = {}
        self._kept: list[object] = []
        self._taken: set[str] = set()
        self._seen: set[tuple[int, str]] = set()
        self._lenient: set[int] = set()
        self._pending: deque[Callable[[], None]] = deque()
        self.root: object = None
        self._called: object = None

    def begin(self, root: object, memoised: bool = False) -> None:
        """Walk from something that is called. The defaults of a memoised function are arguments, and do not count."""
        self.root = unwrapped(root)
        self._called = self.root if memoised else None
        python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
        self.add(text_dependency(DependencyKind.PYTHON, "python", python))
        label = self.refer(root)
        if not isinstance(self.root, _CODE_TYPES):  # A bound method, or an instance: what it holds counts as well.
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
        if isinstance(value, ModuleType):
            own = self._note_package(value.__name__) is Origin.OWN
            return canonical_module(value.__name__), (lambda label: self._module(value)) if own else None
        if isinstance(value, FunctionType):
            return self._enter_function(value)
        if isinstance(value, type):
            module = str(value.__module__)
            own = self._note_package(module) is Origin.OWN or self._is_stray(value, module)
            label = f"{canonical_module(module)}.{value.__qualname__}"
            return label, (lambda label: members.walk_class(self, value, label)) if own else None
        if isinstance(value, MethodType):
            return f"{self.refer(value.__func__)} of {self.refer(type(value.__self__))}", None
        module = getattr(value, "__module__", None) or type(value).__module__
        if isinstance(value, BuiltinFunctionType):
            self._note_package(str(module))
            return f"{module}.{value.__qualname__}", None
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or "object"
        kind = self.refer(type(value))
        return f"{kind} {canonical_module(str(module))}.{name}", lambda label: self._wrapping(value, label)

    def _is_stray(self, cls: type, module: str) -> bool:
        """Whether a class is not where it says it is from: somebody made it, who did not say so."""
        if not cls.__flags__ & _HEAP_TYPE or attribute_or_none(sys.modules.get(module), cls.__qualname__) is cls:
            return False
        if self._origins.of_module(module) is Origin.PYTHON:
            return "<locals>" not in cls.__qualname__
        return any(self._is_own_code(getattr(each, "__func__", each)) for each in vars(cls).values())

    def _enter_function(self, function: FunctionType) -> tuple[str, Callable[[str], None] | None]:
        module = str(function.__globals__.get("__name__", "?"))
        if self._note_package(module) is Origin.OWN:
            label = f"{canonical_module(module)}.{function.__code__.co_qualname}"
            return label, lambda label: self._function(function, label)
        label = f"{canonical_module(str(function.__module__))}.{function.__qualname__}"
        if function.__closure__ or "__wrapped__" in function.__dict__:
            return label, lambda label: self._wrapping(function, label)
        return label, None

    def _note_package(self, module: str) -> Origin:
        """Whose a module is; its package, or its file of machine code, is taken as a dependency."""
        origin = self._origins.of_module(module)
        if origin is Origin.EXTERNAL and not is_namespace(module):
            package = package_of(module)
            if self.sensitivity != "none" and not self._ignored.name(module.partition(".")[0]):
                self.add(text_dependency(DependencyKind.PACKAGE, package.name, package.at(self.sensitivity)))
        elif origin is Origin.OWN:
            file = getattr(sys.modules.get(module), "__file__", None)
            if isinstance(file, str) and file.endswith((".so", ".pyd")):
                self.file(file, f"{module}{file[file.rfind('.') :]}")
        return origin

    def is_external(self, cls: type) -> bool:
        """Whether a class is a package's."""
        return self._origins.of_module(str(cls.__module__)) is Origin.EXTERNAL

    def file(self, path: str, name: str) -> None:
        """Depend on the content of a file."""
        self.add(Dependency(DependencyKind.FILE, name, digest_file(path), ""))
        self.watch.check(lambda: digest_file(path))

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
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._cell(cell, name, label, found.free)
        self.names(namespace, found)

    def names(self, namespace: dict[str, Any], found: Uses) -> None:
        """What code takes from the module that it is in, and what it imports."""
        module = canonical_module(str(namespace.get("__name__", "?")))
        if found.reflective and (own := sys.modules.get(str(namespace.get("__name__")))) is not None:
            self.refer(own)
        for chain in found.globals:
            self._global(namespace, module, chain)
        for package in packages_of(self, namespace, found.globals):
            if (id(namespace), f"settings {package}") not in self._seen:
                self._seen.add((id(namespace), f"settings {package}"))
                depend_on_settings(self, namespace, package)
        for each in found.imports:
            self._import(each, namespace)

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
            elif not name.startswith("__"):
                self.watch.binding(function.__dict__, name, value, f"{label}.{name}")
                self.value(f"{label}.{name}", value)

    def _cell(self, cell: CellType, name: str, label: str, chains: tuple[Chain, ...]) -> None:
        value = cell_contents(cell)
        dotted = f"{label}<{name}>"
        self.watch.cell(cell, value, dotted)
        rests = [chain[1:] for chain in chains if chain[0] == name] or [()]
        for rest in rests:
            self._take(value, rest, dotted)

    # -- names

    def _global(self, namespace: dict[str, Any], module: str, chain: Chain) -> None:
        name, *rest = chain
        if name in _PLACE_NAMES:
            return
        dotted = f"{module}.{name}"
        if self._ignored.name(dotted):
            return
        value = namespace.get(name, MISSING)
        self._bound(namespace, name, value, dotted)
        if value is MISSING and (builtin := vars(builtins).get(name, MISSING)) is not MISSING:
            self._bound(vars(builtins), name, builtin, "")
            if self._is_own_code(builtin):  # Somebody has put his own in its place.
                self._take(builtin, tuple(rest), dotted)
            return
        self._take(value, tuple(rest), dotted)

    def is_own_module(self, name: str) -> bool:
        """Whether a module is the project's."""
        return self._origins.of_module(name) is Origin.OWN

    def _bound(self, namespace: Mapping[str, Any], name: str, value: object, dotted: str) -> None:
        if (id(namespace), name) not in self._seen:
            self._seen.add((id(namespace), name))
            self.watch.binding(namespace, name, value, dotted)

    def _take(self, value: object, rest: Chain, dotted: str) -> None:
        """Follow attributes as long as they are a module's, and depend on where they lead."""
        if rest and value is not unwrapped(value):
            self._of_memoised(value, rest[0], dotted)
        if isinstance(value, ModuleType) and rest:
            self._name(dotted, canonical_module(value.__name__))
        while isinstance(value, ModuleType) and rest:
            if self._ignored.object(value):
                return
            name, *others = rest
            namespace = vars(value)
            own = self._note_package(value.__name__) is Origin.OWN
            dotted = f"{canonical_module(value.__name__)}.{name}"
            if name in _PLACE_NAMES or self._ignored.name(dotted):
                return
            found = namespace.get(name, MISSING)
            self._bound(namespace, name, found, dotted)
            if found is MISSING and own:
                found = self._ask_module(value, name)
            if not own and not isinstance(found, ModuleType) and not self._may_be_ours(found, value):
                return
            value, rest = found, tuple(others)
        if isinstance(value, ModuleType) and self._origins.of_module(value.__name__) is not Origin.OWN:
            self._note_package(value.__name__)
            self._name(dotted, canonical_module(value.__name__))
            return
        self.value(dotted, value)

    def _of_memoised(self, function: object, name: str, dotted: str) -> None:
        """An attribute that somebody has given to a memoised function."""
        found = vars(function).get(name, MISSING)
        if not hasattr(type(function), name):
            self._bound(vars(function), name, found, f"{dotted}.{name}")
            self.value(f"{dotted}.{name}", found)

    def _name(self, dotted: str, label: str) -> None:
        """What a name stands for, where that does not say it itself."""
        if label != dotted:
            self.add(text_dependency(DependencyKind.NAME, dotted, label))

    def _may_be_ours(self, found: object, module: ModuleType) -> bool:
        """Whether something in a module of others is the project's: code that was put there, or a setting."""
        installed = self._origins.of_module(module.__name__) is Origin.EXTERNAL
        return self._is_own_code(found) or (installed and is_plain(found))

    def _ask_module(self, module: ModuleType, name: str) -> object:
        """An attribute that is not there yet: a submodule, or what the module's own `__getattr__` gives."""
        if (hook := vars(module).get("__getattr__")) is not None:
            self.refer(hook)
        try:
            return getattr(module, name)
        except Exception:
            return self._load(f"{module.__name__}.{name}") if hasattr(module, "__path__") else MISSING

    def _is_own_code(self, value: object) -> bool:
        """Whether somebody has put a function or class of the project into a module of others."""
        value = unwrapped(value)
        if isinstance(value, FunctionType):
            module = value.__globals__.get("__name__", "?")
        elif isinstance(value, type):
            module = value.__module__
        else:
            return False
        return self._origins.of_module(str(module)) is Origin.OWN

    def _import(self, found: Import, namespace: dict[str, Any]) -> None:
        name = found.module
        if found.level:
            package = namespace.get("__package__") or _package_of(namespace)
            base = str(package).rsplit(".", found.level - 1)[0]
            name = f"{base}.{found.module}" if found.module else base
        if self._ignored.name(name):
            return
        if self._note_package(name) is not Origin.OWN:
            module = sys.modules.get(name)
            if module is not None and found.attributes:
                self._take(module, found.attributes, name)
            return
        loaded = self._load(name)
        if isinstance(loaded, ModuleType) and found.from_top:
            name = name.partition(".")[0]
            loaded = sys.modules.get(name, MISSING)
        self._bound(sys.modules, name, sys.modules.get(name, MISSING), "")
        self._take(loaded, found.attributes, name)

    @staticmethod
    def _load(name: str) -> object:
        """A module of the project that a function imports when it runs. What it raises, it would raise then as well."""
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit):
            return MISSING

    # -- values

    def value(self, dotted: str, value: object) -> None:
        """Depend on what a name holds."""
        if value is MISSING:
            self.add(text_dependency(DependencyKind.NAME, dotted, "not defined"))
            return
        if self._ignored.object(value):
            return
        code = unwrapped(value)
        if isinstance(code, _CODE_TYPES) or code is not value:
            self._name(dotted, self.refer(code))
            return
        try:
            digest = self.digest(value, self.refer, dotted)
        except Undigestable:
            depend_on_untracked(self, dotted, value, self._definitions, self.places.project)
        else:
            self._count(dotted, value, digest)

    def _count(self, dotted: str, value: object, digest: bytes) -> None:
        counted = self._aliases.origin(dotted, digest)
        self.add(Dependency(DependencyKind.VALUE, dotted, counted, describe(value)))
        if not is_atom(value):
            self.watch.value(dotted, value, digest)

    def digest(self, value: object, refer: Callable[[object], str], dotted: str = "value") -> bytes:
        """The digest of a value that a name holds. Raises Undigestable."""
        if id(value) in self._lenient:
            return self._digester(refer).digest(self.places.relocate(value))
        return digest_value(self.places.relocate(peek(value)), refer, name=dotted)

    def _digester(self, refer: Callable[[object], str]) -> LenientDigester:
        return LenientDigester(refer, peek, self._is_own_code)

    def parts(self, dotted: str, value: object) -> list[object]:
        """Depend on what is known of a value without a digest. Returns its parts that cannot be looked into."""
        self._lenient.add(id(value))
        digester = self._digester(self.refer)
        digest = digester.digest(self.places.relocate(value))
        self._count(dotted, value, digest)
        return digester.opaque

    def _wrapping(self, value: Any, label: str) -> None:
        """Something of others that was given code of ours: what it wraps, dispatches to or keeps in its closure."""
        if hasattr(value, "registry") and hasattr(value, "dispatch"):  # functools.singledispatch
            self.watch.size(value.registry)
            for kind, implementation in list(value.registry.items()):
                dotted = f"{label}[{self.refer(kind)}]"
                self.watch.binding(value.registry, kind, implementation)
                self.value(dotted, implementation)
            return
        if (inner := getattr(value, "__wrapped__", None)) is not None:
            self.value(f"{label}.__wrapped__", inner)
        if isinstance(value, FunctionType):
            for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
                self._cell(cell, name, label, ())

    # -- whole modules

    def depend_on_module(self, name: str) -> None:
        """Depend on everything in a module of the project, if there is one of this name."""
        if self._origins.of_module(name) is Origin.OWN and isinstance(loaded := self._load(name), ModuleType):
            self.value(f"depends_on {name}", loaded)

    def _module(self, module: ModuleType) -> None:
        """Every name of a module: it is used in a way that does not tell which ones."""
        namespace = vars(module)
        self.watch.size(namespace)
        name = canonical_module(module.__name__)
        for key in sorted(key for key in namespace if not key.startswith("__") or key == "__getattr__"):
            self._global(namespace, name, (key,))
        if self.attention.order:
            own = [key for key, value in namespace.items() if getattr(value, "__module__", None) == module.__name__]
            self.add(text_dependency(DependencyKind.NAME, f"{name}.__dict__", ", ".join(own)))


def _package_of(namespace: dict[str, Any]) -> str:
    name = str(namespace.get("__name__", ""))
    return name if "__path__" in namespace else name.rpartition(".")[0]
