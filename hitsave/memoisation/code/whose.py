"""Whose an object is: the project's, a package's, or Python's own."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

from hitsave.memoisation.code.dependency import DependencyKind, text_dependency
from hitsave.memoisation.code.kinds import attribute_or_none, is_a, is_plain, unwrapped
from hitsave.memoisation.code.origin import Origin, Origins, is_namespace, package_of

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

_HEAP_TYPE = 1 << 9  # In the flags of types that Python code has made.


class Whose:
    """Answers for one walk, which depends on the packages that were met."""

    def __init__(self, walk: Walk, origins: Origins) -> None:
        self._walk = walk
        self._origins = origins

    def note_package(self, module: str) -> Origin:
        """Whose a module is; its package, or its file of machine code, is taken as a dependency."""
        origin = self._origins.of_module(module)
        if origin is Origin.EXTERNAL and not is_namespace(module):
            package = package_of(module)
            if self._walk.sensitivity != "none" and not self._walk.ignores(module.partition(".")[0]):
                self._walk.add(
                    text_dependency(DependencyKind.PACKAGE, package.name, package.at(self._walk.sensitivity))
                )
        elif origin is Origin.OWN:
            file = getattr(sys.modules.get(module), "__file__", None)
            if isinstance(file, str) and file.endswith((".so", ".pyd")):
                self._walk.file(file, f"{module}{file[file.rfind('.') :]}")
        return origin

    def is_external(self, cls: type) -> bool:
        """Whether a class is a package's."""
        return self._origins.of_module(str(cls.__module__)) is Origin.EXTERNAL

    def is_own_module(self, name: str) -> bool:
        """Whether a module is the project's."""
        return self._origins.of_module(name) is Origin.OWN

    def is_stray(self, cls: type, module: str) -> bool:
        """Whether a class is not where it says it is from: somebody made it, who did not say so."""
        if not cls.__flags__ & _HEAP_TYPE or attribute_or_none(sys.modules.get(module), cls.__qualname__) is cls:
            return False
        if self._origins.of_module(module) is Origin.PYTHON:
            return "<locals>" not in cls.__qualname__
        return any(self.is_own_code(getattr(each, "__func__", each)) for each in vars(cls).values())

    def is_own_code(self, value: object) -> bool:
        """Whether somebody has put a function or class of the project into a module of others."""
        value = unwrapped(value)
        if is_a(value, FunctionType):
            module = value.__globals__.get("__name__", "?")
        elif is_a(value, type):
            module = value.__module__
        else:
            return False
        return self._origins.of_module(str(module)) is Origin.OWN

    def may_be_ours(self, found: object, module: ModuleType) -> bool:
        """Whether something in a module of others is the project's: code that was put there, or a setting."""
        installed = self._origins.of_module(module.__name__) is Origin.EXTERNAL
        return self.is_own_code(found) or (installed and is_plain(found))
