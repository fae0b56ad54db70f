"""What annotations mean where somebody reads them, and what fields of classes are made with.

The text of an annotation counts with its class or function. It may name something: an alias, a unit, a validator. That
counts as well where the code at hand looks at annotations, or where a library makes something of them. So does what
stands at the right of a field of such a class, for the library may keep that where nobody finds it.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from hitsave.memoisation.code.dependency import DependencyKind, text_dependency
from hitsave.memoisation.code.names import uses

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk


def depend_on_annotations(walk: Walk, annotated: FunctionType | type, label: str) -> None:
    """Depend on what the annotations of a function or class stand for, where the code at hand looks at them."""
    if not walk.attention.annotations:
        return
    namespace = _namespace_of(annotated)
    for name, each in sorted(annotations_of(annotated).items()):
        if isinstance(each, str):
            walk.add(text_dependency(DependencyKind.VALUE, f"{label}({name}:)", each))
            depend_on_names(walk, each, namespace)
        else:
            walk.value(f"{label}({name}:)", each)


def depend_on_fields(walk: Walk, cls: type, node: ast.ClassDef, annotated: bool) -> None:
    """Depend on the names that assignments in the body of a class use; with `annotated`, on those in annotations."""
    namespace = _namespace_of(cls)
    for expression in _fields_of(node, annotated):
        depend_on_names(walk, ast.unparse(expression), namespace)


def _fields_of(node: ast.ClassDef, annotated: bool) -> Iterator[ast.expr]:
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign | ast.Assign) and statement.value is not None:
            yield statement.value
        if isinstance(statement, ast.AnnAssign) and annotated:
            yield statement.annotation


def depend_on_names(walk: Walk, expression: str, namespace: dict[str, Any]) -> None:
    """Depend on the names that an expression takes from a module."""
    try:
        found = uses(compile(expression, "<annotation>", "eval", dont_inherit=True))
    except (SyntaxError, ValueError):
        return
    known = tuple(chain for chain in found.globals if chain[0] in namespace)
    walk.following.names(namespace, replace(found, globals=known))


def _namespace_of(annotated: FunctionType | type) -> dict[str, Any]:
    if isinstance(annotated, FunctionType):
        return annotated.__globals__
    module = sys.modules.get(str(annotated.__module__))
    return vars(module) if isinstance(module, ModuleType) else {}


def annotations_of(annotated: FunctionType | type) -> dict[str, Any]:
    """What a function's or class's own annotations are; one is a text where its names are not there, or not yet."""
    if sys.version_info >= (3, 14):  # They are made when somebody asks, from then on.
        return _made_annotations(annotated)
    try:
        found = annotated.__annotations__ if isinstance(annotated, FunctionType) else vars(annotated)["__annotations__"]
    except Exception:  # There are none.
        return {}
    return found if isinstance(found, dict) else {}


def _made_annotations(annotated: FunctionType | type) -> dict[str, Any]:
    annotationlib = importlib.import_module("annotationlib")
    for form in (annotationlib.Format.FORWARDREF, annotationlib.Format.STRING):
        try:
            found = annotationlib.get_annotations(annotated, format=form)
        except Exception:  # Whatever an expression may raise that an annotation is made of.
            continue
        return {name: getattr(each, "__forward_arg__", each) for name, each in found.items()}
    return {}
