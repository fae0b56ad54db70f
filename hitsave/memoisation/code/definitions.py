"""Definitions as they are written, with all that they use, digested without importing anything.

What a body was seen to enter (`entered`) is a dependency of that evaluation alone. Whether it still is as it was is
asked in processes that have not loaded it, so it is named, `MODULE:NAME` or `FILE:NAME`, and digested from its source:
the statements of its module that bind or may change the name, and, again and again, those of the project's own modules
for the names that these use. Without a name it is all that an import of the module does, beside defining functions.
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.memoisation.code.entered import Entry
from hitsave.memoisation.code.files import digest_file
from hitsave.memoisation.code.loading import Signature, is_as_loaded, signature_of
from hitsave.memoisation.code.modules import ModuleSource, Statement, find_module, read_module
from hitsave.memoisation.code.names import Import
from hitsave.memoisation.code.origin import Origin, Origins, is_namespace, package_of
from hitsave.memoisation.mainmodule import canonical_module

#: The digest of a definition that is not there.
GONE = blake3(b"hitsave: no such definition\n").digest()
_IMPORTS = (ast.Import, ast.ImportFrom)


class _Known(NamedTuple):
    """A digest, and what it was read from."""

    path: list[str]
    files: dict[str, Signature | None]
    digest: bytes


class Definitions:
    """Names and digests definitions. Each is read again only when one of its files has changed."""

    def __init__(self, origins: Origins) -> None:
        self.origins = origins
        self._known: dict[tuple[str, Path, str], _Known] = {}
        self._sources: dict[str, tuple[Signature | None, ModuleSource | None]] = {}

    def name_of(self, entry: Entry, root: Path) -> str:
        """The name of what was entered; `root` is the workspace's."""
        file = _file_of(entry)
        where = canonical_module(str(entry.namespace.get("__name__", "")))
        found = find_module(where)
        if not found or not found[0] or os.path.realpath(found[0]) != os.path.realpath(file):
            where = _relative(file, root)
        return f"{where}:{self._top(entry, file)}"

    def _top(self, entry: Entry, file: str) -> str:
        source = self.source(file, {})
        top = entry.qualname.partition(".")[0]
        if source is None or top in ("", "<module>"):
            return ""
        if top.startswith("<") and entry.code is not None:
            return source.binding_at(entry.code.co_firstlineno)
        return top if top in source.by_name else ""

    def record(self, entries: Iterable[Entry], root: Path, sensitivity: str = "minor") -> dict[str, bytes]:
        """The names of entries, with digests of what they were when they ran.

        Where a file may have been edited since it was loaded, nothing tells what ran: that digest equals no other one.
        """
        found: dict[str, bytes] = {}
        for entry in entries:
            name = self.name_of(entry, root)
            if name not in found:
                found[name] = self.as_loaded(name, root, sensitivity) or blake3(os.urandom(32)).digest()
        return found

    def digest(self, name: str, root: Path, sensitivity: str = "minor") -> bytes:
        """The digest of a definition as it is written now; GONE where there is none."""
        return self._digest(name, root, sensitivity).digest

    def as_loaded(self, name: str, root: Path, sensitivity: str = "minor") -> bytes | None:
        """The digest of a definition; None where there is none, or it may have been edited since it was loaded."""
        known = self._digest(name, root, sensitivity)
        return known.digest if known.digest != GONE and all(map(is_as_loaded, known.files)) else None

    def text(self, name: str) -> str:
        """The statements that bind or may change a name, for people."""
        where, _, top = name.rpartition(":")
        path, _ = find_module(where) or (None, [])
        source = None if path is None else self.source(path, {})
        numbers = [] if source is None else source.by_name.get(top, [])
        return "\n".join(ast.unparse(source.statements[number].node) for number in numbers) if source else ""

    def _digest(self, name: str, root: Path, sensitivity: str) -> _Known:
        key = (name, root, sensitivity)
        known = self._known.get(key)
        if (
            known is None
            or known.digest == GONE
            or known.path != sys.path
            or any(signature_of(file) != signature for file, signature in known.files.items())
        ):
            closure = _Closure(self, root, sensitivity)
            known = self._known[key] = _Known(list(sys.path), closure.files, closure.digest(name))
        return known

    def source(self, path: str, files: dict[str, Signature | None]) -> ModuleSource | None:
        """The source in a file, which is put down in `files`."""
        signature = files[path] = signature_of(path)
        known = self._sources.get(path)
        if known is None or known[0] != signature:
            known = self._sources[path] = (signature, read_module(path))
        return known[1]


def _file_of(entry: Entry) -> str:
    if entry.code is not None and not entry.code.co_filename.startswith("<"):
        return entry.code.co_filename
    return str(entry.namespace.get("__file__") or "?")


def _relative(file: str, root: Path) -> str:
    try:
        return Path(os.path.realpath(file)).relative_to(os.path.realpath(root)).as_posix()
    except ValueError:
        return file


class _Closure:
    """Collects statements. A module is told by its dotted name, or by its file, which ends in ".py"."""

    def __init__(self, definitions: Definitions, root: Path, sensitivity: str) -> None:
        self.files: dict[str, Signature | None] = {}
        self._definitions = definitions
        self._root = root
        self._sensitivity = sensitivity
        self._statements: dict[tuple[str, int], Statement] = {}
        self._notes: set[str] = set()
        self._asked: set[tuple[object, ...]] = set()
        self._pending: list[tuple[str, tuple[str, ...]]] = []

    def digest(self, name: str) -> bytes:
        """The digest of a definition by its name."""
        where, _, top = name.rpartition(":")
        path, _ = self._find(where)
        source = self._source(where)
        if path is None or (source is None and self.files[path] is None):
            return GONE
        if source is not None and top and top not in source.by_name:
            return GONE
        if top or source is None:
            self._use(where, (top,) if top else ())
        else:
            for number in source.effects():
                self._take(where, source, number)
        while self._pending:
            self._module(*self._pending.pop())
        hasher = blake3(f"hitsave definition 1\n{name}\n".encode("utf-8", "surrogatepass"))
        for (module, _), statement in sorted(self._statements.items(), key=lambda item: item[0]):
            hasher.update(f"in {module}\n".encode("utf-8", "surrogatepass") + statement.digest)
        for note in sorted(self._notes):
            hasher.update(f"{note}\n".encode("utf-8", "surrogatepass"))
        return hasher.digest()

    def _find(self, where: str) -> tuple[str | None, list[str]]:
        if where.endswith(".py"):
            path = os.path.join(self._root, where)
            return path, [os.path.dirname(path)] if os.path.basename(path) == "__init__.py" else []
        return find_module(where) or (None, [])

    def _source(self, where: str) -> ModuleSource | None:
        path, _ = self._find(where)
        return None if path is None else self._definitions.source(path, self.files)

    # -- modules

    def _use(self, where: str, chain: tuple[str, ...]) -> None:
        """Use what attributes of a module lead to, or all of it."""
        if (where, chain) not in self._asked:
            self._asked.add((where, chain))
            self._pending.append((where, chain))

    def _module(self, where: str, chain: tuple[str, ...]) -> None:
        if not where.endswith(".py"):
            origin = self._definitions.origins.of_module(where)
            if origin is Origin.EXTERNAL and not is_namespace(where):
                package = package_of(where)
                self._notes.add(f"package {package.name} {package.at(self._sensitivity)}")
            if origin is not Origin.OWN:
                return
        path, folders = self._find(where)
        source = self._source(where)
        if source is None and path is not None:  # Machine code, or what no Python can read.
            self._notes.add(f"file of {where}: {digest_file(path).hex()}")
        elif source is None and not folders:
            self._notes.add(f"no module {where}")
        elif source is not None and (not chain or chain[0] in source.by_name):
            self._names(where, source, chain)
        elif chain and self._is_there(submodule := self._below(where, folders, chain[0])):
            self._use(submodule, chain[1:])
        elif source is not None:
            self._elsewhere(where, source, chain)

    def _names(self, where: str, source: ModuleSource, chain: tuple[str, ...]) -> None:
        if not chain:
            for number in range(len(source.statements)):
                self._take(where, source, number)
            return
        name, *rest = chain
        for number in source.by_name[name]:
            statement = source.statements[number]
            for _, node, alias in (each for each in statement.imports if each[0] == name):
                self._notes.add(f"{where}:{name} is {ast.unparse(_only(node, alias))}")
                self._import(where, node, alias, tuple(rest))
            if not isinstance(statement.node, _IMPORTS):
                self._take(where, source, number)

    def _elsewhere(self, where: str, source: ModuleSource, chain: tuple[str, ...]) -> None:
        """A name that a module does not bind itself: it comes with a star, is computed, built in, or not there."""
        for star in source.stars:
            self._use(self._absolute(where, star.level, star.module or ""), chain)
        if "__getattr__" in source.by_name:
            self._use(where, ("__getattr__",))
        if not hasattr(builtins, chain[0]):
            self._notes.add(f"{where}:{chain[0]} is not defined")

    def _below(self, where: str, folders: list[str], name: str) -> str:
        if not where.endswith(".py"):
            return f"{where}.{name}"
        base = os.path.join(folders[0], name) if folders else os.path.join(self._root, where, name)
        file = os.path.join(base, "__init__.py") if os.path.isdir(base) else f"{base}.py"
        return _relative(file, self._root)

    def _is_there(self, where: str) -> bool:
        path, folders = self._find(where)
        return bool(folders) or (path is not None and os.path.isfile(path))

    # -- statements

    def _take(self, where: str, source: ModuleSource, number: int) -> None:
        if (where, number) in self._statements:
            return
        statement = self._statements[where, number] = source.statements[number]
        bound = {
            self._absolute(where, getattr(node, "level", 0), _module_of(node, alias))
            for _, node, alias in statement.imports
        }
        if isinstance(statement.node, _IMPORTS):
            for _, node, alias in statement.imports:
                self._import(where, node, alias, ())
            return
        found = statement.uses
        if found.reflective:
            self._use(where, ())
        for chain in found.globals:
            if chain[0] in source.by_name or not hasattr(builtins, chain[0]):
                self._use(where, chain)
        for each in found.imports:
            if self._absolute(where, each.level, each.module) not in bound or each.attributes:
                self._inner_import(where, each)

    def _inner_import(self, where: str, found: Import) -> None:
        """An import inside of a function."""
        module = self._absolute(where, found.level, found.module)
        if found.from_top:
            top, *rest = module.split(".")
            self._use(top, found.attributes or tuple(rest))
        else:
            self._use(module, found.attributes)

    def _import(self, where: str, node: ast.Import | ast.ImportFrom, alias: ast.alias, rest: tuple[str, ...]) -> None:
        """What an import at the top of a module binds, with attributes that are taken of it."""
        if isinstance(node, ast.ImportFrom):
            module = self._absolute(where, node.level, node.module or "")
            if module == where:  # A package that imports a module of its own.
                self._use(self._below(where, self._find(where)[1], alias.name), rest)
            else:
                self._use(module, (alias.name, *rest))
        elif alias.asname:
            self._use(alias.name, rest)
        else:
            top, *parts = alias.name.split(".")
            self._use(top, rest or tuple(parts))

    def _absolute(self, where: str, level: int, module: str) -> str:
        """The module that an import names."""
        if not level:
            return module
        if where.endswith(".py"):
            folder = os.path.dirname(os.path.join(self._root, where))
            for _ in range(level - 1):
                folder = os.path.dirname(folder)
            base = os.path.join(folder, *module.split("."))
            file = os.path.join(base, "__init__.py") if os.path.isdir(base) else f"{base}.py"
            return _relative(file, self._root)
        _, folders = self._find(where)
        parts = where.split(".") if folders else where.split(".")[:-1]
        return ".".join([*parts[: len(parts) - level + 1], *([module] if module else [])])


def _module_of(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    return node.module or "" if isinstance(node, ast.ImportFrom) else alias.name


def _only(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    """An import statement with one of its names."""
    if isinstance(node, ast.Import):
        return ast.Import([alias])
    return ast.ImportFrom(node.module, [alias], node.level)
