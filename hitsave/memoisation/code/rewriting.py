"""What can be written in several ways that do the same, whatever the values are: written in one of them."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator

_IMPORTS = (ast.Import, ast.ImportFrom)
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def rewritten(node: ast.AST) -> ast.AST:
    """`not x in y` as `x not in y`, and `return None` as `return`; anything else as it is."""
    if isinstance(node, ast.Return) and returns_nothing(node):
        return ast.Return(value=None)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Compare):
        compared = node.operand
        opposite = _OPPOSITES.get(type(compared.ops[0])) if len(compared.ops) == 1 else None
        if opposite is not None:
            return ast.Compare(compared.left, [opposite()], compared.comparators)
    return node


def returns_nothing(statement: ast.stmt) -> bool:
    """Whether it is a `return` without a value, as the end of a function is."""
    return isinstance(statement, ast.Return) and (
        statement.value is None or (isinstance(statement.value, ast.Constant) and statement.value.value is None)
    )


def with_imports_in_order(statements: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Imports that follow one another each as a statement of its own, in one order, where they bind different names."""
    found: list[ast.stmt] = []
    for are_imports, run in itertools.groupby(statements, lambda each: isinstance(each, _IMPORTS)):
        together = list(run)
        found += _in_order(together) if are_imports else together
    return found


def _in_order(imports: list[ast.stmt]) -> list[ast.stmt]:
    single = [each for statement in imports for each in _single(statement)]
    names = [_bound(each) for each in single]
    if len(set(names)) < len(names) or "*" in names:
        return imports
    return sorted(single, key=ast.dump)


def _single(statement: ast.stmt) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(statement, ast.Import):
        yield from (ast.Import([alias]) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        yield from (ast.ImportFrom(statement.module, [alias], statement.level) for alias in statement.names)


def _bound(statement: ast.Import | ast.ImportFrom) -> str:
    alias = statement.names[0]
    if alias.asname or isinstance(statement, ast.ImportFrom):
        return alias.asname or alias.name
    return alias.name.partition(".")[0]
