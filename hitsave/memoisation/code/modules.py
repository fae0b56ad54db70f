"""Modules as they are written: where they lie, which statements bind which names, and what these use.

Nothing is imported: a module is found as an import would find it, and read.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec

from hitsave.memoisation.code.names import Uses, uses
from hitsave.memoisation.code.normal import is_for_types, statements_digest

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(slots=True)
class Statement:
    """A statement at the top of a module. What it binds, what else it may change, and what it imports.

    What it hands on to calls may be changed there as well, if it is no function or class.
    """

    node: ast.stmt
    binds: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    hands_on: set[str] = field(default_factory=set)
    imports: list[tuple[str, ast.Import | ast.ImportFrom, ast.alias]] = field(default_factory=list)
    _digest: bytes = b""
    _uses: Uses | None = None

    @property
    def digest(self) -> bytes:
        """What of it counts."""
        self._digest = self._digest or statements_digest([self.node])
        return self._digest

    @property
    def uses(self) -> Uses:
        """The names that it, and all code in it, uses."""
        if self._uses is None:
            tree = _Unannotated().visit(ast.parse(ast.unparse(self.node)))
            self._uses = uses(compile(ast.fix_missing_locations(tree), "<statement>", "exec", dont_inherit=True))
        return self._uses


@dataclass(slots=True)
class ModuleSource:
    """A module's source: its statements, by the names that they bind or may change."""

    statements: list[Statement]
    by_name: dict[str, list[int]]
    stars: list[ast.ImportFrom]

    def binding_at(self, line: int) -> str:
        """A name that the statement at a line binds; empty where it binds none."""
        for statement in self.statements:
            if _first_line(statement.node) <= line <= (statement.node.end_lineno or 0):
                return min(statement.binds, default="")
        return ""

    def effects(self) -> list[int]:
        """The statements that do more at an import than define a function or import something."""
        return [
            number
            for number, each in enumerate(self.statements)
            if not isinstance(each.node, (ast.Import, ast.ImportFrom))
            and not (isinstance(each.node, _FUNCTIONS) and not each.node.decorator_list)
        ]


def read_module(path: str) -> ModuleSource | None:
    """The source of a module; None where it cannot be read or is no Python."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    statements: list[Statement] = []
    stars: list[ast.ImportFrom] = []
    by_name: dict[str, list[int]] = {}
    for node in tree.body:
        if _is_idle(node):
            continue
        statement = Statement(node)
        for inner in _inner(node):
            _note(inner, statement)
            if isinstance(inner, ast.ImportFrom) and inner.names[0].name == "*":
                stars.append(inner)
        statements.append(statement)
    defined = {each.node.name for each in statements if isinstance(each.node, (*_FUNCTIONS, ast.ClassDef))}
    for number, statement in enumerate(statements):
        for name in statement.binds | statement.changes | (statement.hands_on - defined):
            by_name.setdefault(name, []).append(number)
    return ModuleSource(statements, by_name, stars)


def _is_idle(node: ast.stmt) -> bool:
    """Texts that stand alone, and what is there for type checkers only."""
    if is_for_types(node):
        return True
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _inner(node: ast.AST) -> Iterator[ast.AST]:
    """A node with all inside of it that runs when the module is imported."""
    yield node
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
        return
    for child in ast.iter_child_nodes(node):
        yield from _inner(child)


def _note(node: ast.AST, statement: Statement) -> None:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        statement.binds.add(node.name)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
        statement.binds.add(node.id)
    elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        statement.changes |= _root(node)
    elif isinstance(node, ast.Call):
        # A method may change its object, and a function what it is given by name.
        statement.changes |= _root(node.func) if isinstance(node.func, ast.Attribute) else set()
        for argument in (*node.args, *(each.value for each in node.keywords)):
            statement.hands_on |= {argument.id} if isinstance(argument, ast.Name) else set()
    elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and node.name:
        statement.binds.add(node.name)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            if alias.name != "*":
                name = alias.asname or alias.name.partition(".")[0]
                statement.binds.add(name)
                statement.imports.append((name, node, alias))


def _root(node: ast.expr) -> set[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


class _Unannotated(ast.NodeTransformer):
    """Takes away annotations of functions that nothing decorates: nobody reads those."""

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        if not node.decorator_list:
            node.returns = None
            arguments = node.args
            for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                each.annotation = None
            for rest in (arguments.vararg, arguments.kwarg):
                if rest is not None:
                    rest.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._visit_function(node)


# -- where modules lie


def find_module(name: str) -> tuple[str | None, list[str]] | None:
    """The file of a module, None for a folder without one, and the folders of its submodules. None: there is none.

    A loaded module is where it was loaded from, any other where an import would look. Nothing is imported.
    """
    loaded = sys.modules.get(name)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        if isinstance(file, str) or hasattr(loaded, "__path__"):
            return file, _folders(getattr(loaded, "__path__", ()))
        return None
    parent = name.rpartition(".")[0]
    places: list[str] | None = None
    if parent:
        above = find_module(parent)
        if above is None or not above[1]:
            return None
        places = above[1]
    spec = _spec(name, places)
    if spec is None:
        return None
    return (spec.origin if spec.has_location else None), _folders(spec.submodule_search_locations or ())


def _spec(name: str, places: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, places)
        except (AttributeError, ImportError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


def _folders(places: Iterable[str]) -> list[str]:
    try:
        return [os.fspath(place) for place in places]
    except TypeError:
        return []
