"""What modules of the project set in packages when they are imported: `plt.rcParams["figure.dpi"] = 100`.

A package counts by its version, so that nothing would tell of such a setting. It counts for code that uses something
of that package and stands in the module that sets it, or in one that imports that module. Only assignments to what
was imported count, as they are written, and what they name: a call may be anything.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from hitsave.memoisation.code.annotations import depend_on_names
from hitsave.memoisation.code.dependency import Dependency, DependencyKind
from hitsave.memoisation.code.kinds import is_a
from hitsave.memoisation.code.loading import Signature, is_as_loaded, signature_of
from hitsave.memoisation.code.names import Chain
from hitsave.memoisation.code.normal import statements_digest
from hitsave.memoisation.mainmodule import canonical_module

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

#: Where assignments change what a program is given, and what is written down: that never counts.
_ENVIRONMENT = frozenset(("builtins", "os", "sys", "logging", "warnings", "hitsave"))
#: A module without such a line is not worth being parsed.
_PERHAPS = re.compile(rb"^(?:setattr\(|\w+(?:\.|\[|\()[^\n#]*=)", re.MULTILINE)


class Setting(NamedTuple):
    """An assignment to a part of what a name stands for."""

    root: str
    node: ast.stmt
    target: ast.expr
    value: ast.expr


def depend_on_settings(walk: Walk, namespace: dict[str, Any], package: str) -> None:
    """Depend on what a module, and those of the project that it imports, set in a package."""
    for each in _modules_of(walk, namespace):
        where = canonical_module(str(each.get("__name__", "?")))
        settings = _settings_in(each.get("__file__"))
        theirs = (one for one in settings if package_of_value(each.get(one.root)) == package)
        for number, setting in enumerate(theirs, 1):
            text = ast.unparse(setting.node)
            name = f"{where} sets {ast.unparse(setting.target)}~{number}"
            walk.add(Dependency(DependencyKind.FUNCTION, name, statements_digest([setting.node]), text))
            depend_on_names(walk, ast.unparse(setting.value), each)


def packages_of(walk: Walk, namespace: dict[str, Any], chains: Iterable[Chain]) -> list[str]:
    """The packages of others that names of a module are from, as far as settings in them count."""
    found = dict.fromkeys(package_of_value(namespace.get(chain[0])) for chain in chains)
    return [package for package in found if package not in _ENVIRONMENT and not walk.whose.is_own_module(package)]


def package_of_value(value: object) -> str:
    """The top-level package that a module, class, function or object is from."""
    if is_a(value, ModuleType):
        name = value.__name__
    elif is_a(value, type) or is_a(value, FunctionType) or is_a(value, BuiltinFunctionType):
        name = str(value.__module__)
    else:
        name = type(value).__module__  # Asked itself, an object might do anything.
    return name.partition(".")[0]


def _modules_of(walk: Walk, namespace: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield namespace
    for value in list(namespace.values()):
        if is_a(value, ModuleType) and walk.whose.is_own_module(value.__name__):
            yield vars(value)


_known: dict[str, tuple[Signature | None, tuple[Setting, ...]]] = {}


def _settings_in(file: object) -> tuple[Setting, ...]:
    """The settings at the top of a file; none where it may have been edited since it was loaded."""
    if not isinstance(file, str) or not is_as_loaded(file):
        return ()
    signature = signature_of(file)
    known = _known.get(file)
    if known is None or known[0] != signature:
        known = _known[file] = (signature, tuple(_read(file)))
    return known[1]


def _read(file: str) -> Iterator[Setting]:
    try:
        with open(file, "rb") as opened:
            content = opened.read()
        tree = ast.parse(content) if _PERHAPS.search(content) else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    imported = set(_imported(tree))
    for node in tree.body:
        target, value = _assignment(node)
        if target is not None and value is not None and (root := _root(target)) in imported:
            yield Setting(root, node, target, value)


def _imported(tree: ast.Module) -> Iterator[str]:
    """The names that are bound by imports: what is made of a package's class is no part of the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)


def _assignment(node: ast.stmt) -> tuple[ast.expr | None, ast.expr | None]:
    """What a statement assigns to, and what."""
    if isinstance(node, ast.Assign):
        return node.targets[0], node.value
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return node.target, node.value
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "setattr" and len(call.args) == 3:
        return ast.Subscript(call.args[0], call.args[1], ast.Store()), call.args[2]
    return None, None


def _root(target: ast.expr) -> str:
    """The name whose part is assigned; empty where a name itself is."""
    if not isinstance(target, ast.Attribute | ast.Subscript):
        return ""
    found: ast.expr = target
    while isinstance(found, ast.Attribute | ast.Subscript | ast.Call):
        found = found.func if isinstance(found, ast.Call) else found.value
    return found.id if isinstance(found, ast.Name) else ""
