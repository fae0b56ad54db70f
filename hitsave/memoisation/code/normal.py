"""What of a piece of source counts: its syntax tree, without what cannot change a result.

Left out are positions (hence formatting and comments), docstrings and other texts that stand alone, `pass`, a `return`
at the end of a function, annotations of functions that no decorator could read, and what stands under
`if TYPE_CHECKING`. Default values are left out too, since they are taken as values from the function itself.

Everything else is written as a stream in which every node says its type and every list its length, so that two
different trees never give the same bytes.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from blake3 import blake3

from hitsave.memoisation.code.rewriting import returns_nothing, rewritten, with_imports_in_order

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Definition = FunctionNode | ast.Lambda | ast.ClassDef
#: Tells a decorator that does not count.
IsOurs = Callable[[ast.expr], bool]

#: Decorators that do not look at annotations.
BLIND_DECORATORS = frozenset(
    "staticmethod classmethod property abstractmethod cached_property lru_cache cache wraps contextmanager "
    "asynccontextmanager override final overload setter getter deleter memo experiment total_ordering "
    "runtime_checkable unique".split()
)
#: What may stand under `if TYPE_CHECKING`.
_FOR_TYPES = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Pass)
_SKIPPED_FIELDS = frozenset(("type_comment", "ctx", "kind", "type_ignores"))
_BODIES = frozenset(("body", "orelse", "finalbody"))


class Attention(NamedTuple):
    """What else counts, because the code at hand looks at it; and how far Python optimises, for assertions."""

    docstrings: bool = False
    annotations: bool = False
    subclasses: bool = False
    order: bool = False
    text: bool = False
    names: bool = False
    optimize: int = sys.flags.optimize

    def joined(self, other: Attention) -> Attention:
        """What either of two looks at."""
        return Attention(
            docstrings=self.docstrings or other.docstrings,
            annotations=self.annotations or other.annotations,
            subclasses=self.subclasses or other.subclasses,
            order=self.order or other.order,
            text=self.text or other.text,
            names=self.names or other.names,
            optimize=self.optimize,
        )


def definition_digest(node: Definition, attention: Attention, is_ours: IsOurs = lambda decorator: False) -> bytes:
    """The digest of a function, lambda or class, without its name.

    Of a class, only what is not a method: those are functions of their own.
    """
    writer = _Writer(attention, is_ours)
    parts = writer.class_parts(node) if isinstance(node, ast.ClassDef) else writer.function_parts(node)
    return writer.digest(parts)


def statements_digest(nodes: list[ast.stmt]) -> bytes:
    """The digest of statements of a module."""
    return _Writer(Attention(), lambda decorator: False).digest([_Body(nodes)])


class _Text(NamedTuple):
    text: str


class _Body(NamedTuple):
    """Statements; `ends` tells that a function ends with them."""

    statements: list[ast.stmt]
    ends: bool = False


class _Writer:
    """Writes nodes into a hash. What a part consists of is put on a stack, so that no tree is too deep."""

    def __init__(self, attention: Attention, is_ours: IsOurs) -> None:
        self._attention = attention
        self._is_ours = is_ours

    def digest(self, parts: list[Any]) -> bytes:
        """The digest of parts in their order."""
        out = bytearray()
        pending = parts[::-1]
        while pending:
            part = pending.pop()
            if isinstance(part, _Text):
                data = part.text.encode("utf-8", "surrogatepass")
                out += b"%d:" % len(data) + data
            elif isinstance(part, _Body):
                pending += self._body_parts(part)[::-1]
            elif isinstance(part, ast.AST):
                pending += self._node_parts(part)[::-1]
            elif isinstance(part, list):
                pending += [_Text(f"[{len(part)}"), *part][::-1]
            else:
                shown = hex(part) if type(part) is int else repr(part)
                pending.append(_Text(f"{type(part).__name__} {shown}"))
        return blake3(out).digest()

    def _node_parts(self, node: ast.AST, ends: bool = False) -> list[Any]:
        node = rewritten(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return [_Text(node.name), *self.function_parts(node), *_default_parts(node.args)]
        if isinstance(node, ast.Lambda):
            return [*self.function_parts(node), *_default_parts(node.args)]
        if isinstance(node, ast.AnnAssign) and not self._attention.annotations:
            if node.value is None:  # It says that a name is local, which shows in what the code uses.
                return []
            return [_Text("Assign"), [node.target], node.value]
        parts: list[Any] = [_Text(type(node).__name__)]
        if isinstance(node, ast.Assert) or (isinstance(node, ast.Name) and node.id == "__debug__"):
            parts.append(_Text(f"optimize {self._attention.optimize}"))
        for name, value in ast.iter_fields(node):
            if name not in _SKIPPED_FIELDS:
                parts.append(_Body(value, ends) if name in _BODIES and isinstance(value, list) else value)
        return parts

    def _body_parts(self, body: _Body) -> list[Any]:
        kept = with_imports_in_order(each for each in body.statements if not self._is_idle(each))
        while body.ends and kept and returns_nothing(kept[-1]):
            kept.pop()
        parts: list[Any] = [_Text(f"[{len(kept)}"), *kept]
        if body.ends and kept and isinstance(kept[-1], ast.If):
            parts[-1:] = self._node_parts(kept[-1], ends=True)
        return parts

    def _is_idle(self, statement: ast.stmt) -> bool:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return not (self._attention.docstrings and isinstance(statement.value.value, str))
        if isinstance(statement, ast.AnnAssign) and statement.value is None:
            return not self._attention.annotations
        return isinstance(statement, ast.Pass) or is_for_types(statement)

    def function_parts(self, node: FunctionNode | ast.Lambda) -> list[Any]:
        """A function without its name and its default values."""
        if isinstance(node, ast.Lambda):
            return [_Text("Lambda"), *_argument_parts(node.args, annotated=False), node.body]
        decorators = [each for each in node.decorator_list if not self._is_ours(each)]
        annotated = self._attention.annotations or any(name_of(each) not in BLIND_DECORATORS for each in decorators)
        return [
            _Text(type(node).__name__),
            decorators,
            *_argument_parts(node.args, annotated),
            node.returns if annotated else None,
            getattr(node, "type_params", []),
            _Body(node.body, ends=True),
        ]

    def class_parts(self, node: ast.ClassDef) -> list[Any]:
        """What a class says beside its methods. Its bases are taken from the class itself; keywords shape it."""
        rest = [each for each in node.body if not isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))]
        decorators = [each for each in node.decorator_list if not self._is_ours(each)]
        return [decorators, node.keywords, getattr(node, "type_params", []), _Body(rest)]


def _argument_parts(arguments: ast.arguments, annotated: bool) -> list[Any]:
    groups = (
        arguments.posonlyargs,
        arguments.args,
        [arguments.vararg] if arguments.vararg else [],
        arguments.kwonlyargs,
        [arguments.kwarg] if arguments.kwarg else [],
    )
    return [
        [part for each in group for part in (_Text(each.arg), each.annotation if annotated else None)]
        for group in groups
    ]


def _default_parts(arguments: ast.arguments) -> list[Any]:
    """Defaults of a function inside of another: expressions that run with it."""
    return [arguments.defaults, arguments.kw_defaults]


def is_for_types(statement: ast.stmt) -> bool:
    """Whether a statement is there for type checkers only. A flag of that name may guard what computes."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and isinstance(statement.test, ast.Name | ast.Attribute)
        and name_of(statement.test) == "TYPE_CHECKING"
        and all(isinstance(each, _FOR_TYPES) or _is_alias(each) for each in statement.body)
    )


def _is_alias(statement: ast.stmt) -> bool:
    """`Name = something`, that something being neither called nor computed."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name | ast.Attribute | ast.Subscript)


def name_of(expression: ast.expr) -> str:
    if isinstance(expression, ast.Call):
        expression = expression.func
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, "id", "")


def definitions(tree: ast.AST) -> Iterator[tuple[str, Definition]]:
    """Every function, lambda and class beneath a node, with its qualified name."""
    pending: list[tuple[str, ast.AST]] = [("", tree)]
    while pending:
        prefix, node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            name = prefix + getattr(node, "name", "<lambda>")
            yield name, node
            prefix = f"{name}." if isinstance(node, ast.ClassDef) else f"{name}.<locals>."
        pending += [(prefix, child) for child in ast.iter_child_nodes(node)]
