"""Where names lead: globals and attributes of modules, and what code imports."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hitsave.memoisation.code.dependency import DependencyKind, text_dependency
from hitsave.memoisation.code.kinds import is_a, unwrapped
from hitsave.memoisation.code.names import Chain, Import, Uses
from hitsave.memoisation.code.origin import Origin
from hitsave.memoisation.code.settings import depend_on_settings, packages_of
from hitsave.memoisation.code.watch import MISSING
from hitsave.memoisation.mainmodule import canonical_module

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

#: Names of a module that say where it is, and not what it does.
_PLACE_NAMES = frozenset(
    "__name__ __file__ __package__ __spec__ __loader__ __path__ __cached__ __builtins__ __debug__ "
    "__qualname__ __module__ __annotations__ __annotate__ __conditional_annotations__ __warningregistry__".split()
)


class Following:
    """Follows the names of one walk."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._seen: set[tuple[int, str]] = set()

    def names(self, namespace: dict[str, Any], found: Uses) -> None:
        """What code takes from the module that it is in, and what it imports."""
        module = canonical_module(str(namespace.get("__name__", "?")))
        if found.reflective and (own := sys.modules.get(str(namespace.get("__name__")))) is not None:
            self._walk.refer(own)
        for chain in found.globals:
            self.global_(namespace, module, chain)
        for package in packages_of(self._walk, namespace, found.globals):
            if (id(namespace), f"settings {package}") not in self._seen:
                self._seen.add((id(namespace), f"settings {package}"))
                depend_on_settings(self._walk, namespace, package)
        for each in found.imports:
            self._import(each, namespace)

    def global_(self, namespace: dict[str, Any], module: str, chain: Chain) -> None:
        """Depend on a global, by what code uses of it."""
        name, *rest = chain
        if name in _PLACE_NAMES:
            return
        dotted = f"{module}.{name}"
        if self._walk.ignores(dotted):
            return
        value = namespace.get(name, MISSING)
        self._bound(namespace, name, value, dotted)
        if value is MISSING and (builtin := vars(builtins).get(name, MISSING)) is not MISSING:
            self._bound(vars(builtins), name, builtin, "")
            if self._walk.whose.is_own_code(builtin):  # Somebody has put his own in its place.
                self.take(builtin, tuple(rest), dotted)
            return
        self.take(value, tuple(rest), dotted)

    def take(self, value: object, rest: Chain, dotted: str) -> None:
        """Follow attributes as long as they are a module's, and depend on where they lead."""
        if rest and value is not unwrapped(value):
            self._of_memoised(value, rest[0], dotted)
        if is_a(value, ModuleType) and rest:
            self.name(dotted, canonical_module(value.__name__))
        while is_a(value, ModuleType) and rest:
            if self._walk.ignores_object(value):
                return
            name, *others = rest
            namespace = vars(value)
            own = self._walk.whose.note_package(value.__name__) is Origin.OWN
            dotted = f"{canonical_module(value.__name__)}.{name}"
            if name in _PLACE_NAMES or self._walk.ignores(dotted):
                return
            found = namespace.get(name, MISSING)
            self._bound(namespace, name, found, dotted)
            if found is MISSING and own:
                found = self._ask_module(value, name)
            if not own and not is_a(found, ModuleType) and not self._walk.whose.may_be_ours(found, value):
                return
            value, rest = found, tuple(others)
        if is_a(value, ModuleType) and not self._walk.whose.is_own_module(value.__name__):
            self._walk.whose.note_package(value.__name__)
            self.name(dotted, canonical_module(value.__name__))
            return
        self._walk.value(dotted, value)

    def _of_memoised(self, function: object, name: str, dotted: str) -> None:
        """An attribute that somebody has given to a memoised function."""
        found = vars(function).get(name, MISSING)
        if not hasattr(type(function), name):
            self._bound(vars(function), name, found, f"{dotted}.{name}")
            self._walk.value(f"{dotted}.{name}", found)

    def name(self, dotted: str, label: str) -> None:
        """What a name stands for, where that does not say it itself."""
        if label != dotted:
            self._walk.add(text_dependency(DependencyKind.NAME, dotted, label))

    def _bound(self, namespace: Mapping[str, Any], name: str, value: object, dotted: str) -> None:
        if (id(namespace), name) not in self._seen:
            self._seen.add((id(namespace), name))
            self._walk.watch.binding(namespace, name, value, dotted)

    def _ask_module(self, module: ModuleType, name: str) -> object:
        """An attribute that is not there yet: a submodule, or what the module's own `__getattr__` gives."""
        if (hook := vars(module).get("__getattr__")) is not None:
            self._walk.refer(hook)
        try:
            found = getattr(module, name)
            if found is not vars(module).get(name, found):
                delattr(module, name)  # Its submodule of that name, which the look has loaded, hides it from the body.
            return found
        except Exception:
            return self.load(f"{module.__name__}.{name}") if hasattr(module, "__path__") else MISSING

    def _import(self, found: Import, namespace: dict[str, Any]) -> None:
        name = found.module
        if found.level:
            package = namespace.get("__package__") or _package_of(namespace)
            base = str(package).rsplit(".", found.level - 1)[0]
            name = f"{base}.{found.module}" if found.module else base
        if self._walk.ignores(name):
            return
        if self._walk.whose.note_package(name) is not Origin.OWN:
            module = sys.modules.get(name)
            if module is not None and found.attributes:
                self.take(module, found.attributes, name)
            return
        loaded = self.load(name)
        if isinstance(loaded, ModuleType) and found.from_top:
            name = name.partition(".")[0]
            loaded = sys.modules.get(name, MISSING)
        self._bound(sys.modules, name, sys.modules.get(name, MISSING), "")
        self.take(loaded, found.attributes, name)

    @staticmethod
    def load(name: str) -> object:
        """A module of the project that a function imports when it runs. What it raises, it would raise then as well."""
        try:
            return importlib.import_module(name)
        except (Exception, SystemExit):
            return MISSING


def _package_of(namespace: dict[str, Any]) -> str:
    name = str(namespace.get("__name__", ""))
    return name if "__path__" in namespace else name.rpartition(".")[0]
