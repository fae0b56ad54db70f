"""Classes of the project: their bases, metaclass, methods, descriptors and values, as they are when a call is made.

What a class says beside its methods counts as it is written, for there the order and the annotations of fields may mean
something; values are also taken as they are, for they may have been changed since.
"""

from __future__ import annotations

import abc
import ast
import functools
import os
import sys
from collections.abc import Iterator
from enum import EnumMeta
from types import (
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any, Protocol

from blake3 import blake3

from hitsave.memoisation.code.annotations import annotations_of, depend_on_annotations, depend_on_fields
from hitsave.memoisation.code.dependency import Dependency, DependencyKind, text_dependency
from hitsave.memoisation.code.describe import describe
from hitsave.memoisation.code.loading import is_as_loaded
from hitsave.memoisation.code.named import type_parts
from hitsave.memoisation.code.normal import BLIND_DECORATORS, definition_digest, name_of
from hitsave.memoisation.code.source import with_text
from hitsave.memoisation.code.told import depend_on_told

if TYPE_CHECKING:
    from hitsave.memoisation.code.graph import Walk

_SKIPPED = frozenset(
    "__dict__ __weakref__ __doc__ __module__ __qualname__ __firstlineno__ __static_attributes__ __annotations__ "
    "__annotate__ __annotate_func__ __annotations_cache__ __abstractmethods__ _abc_impl __orig_bases__ "
    "__parameters__ __dataclass_fields__ __type_params__ __classcell__ __protocol_attrs__ "
    "__non_callable_proto_members__ _is_protocol _is_runtime_protocol".split()
)
_ENUM_INTERNALS = frozenset(
    "_member_map_ _value2member_map_ _member_names_ _member_type_ _unhashable_values_ _unhashable_values_map_ "
    "_hashable_values_ _use_args_ _new_member_ _value_repr_ _flag_mask_ _singles_mask_ _all_bits_ _inverted_ "
    "_boundary_ __new_member__ _generate_next_value_".split()
)
#: Metaclasses that do not look at annotations.
_BLIND_METACLASSES = frozenset((type, abc.ABCMeta, EnumMeta, type(Protocol)))
_SLOT_TYPES = (GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType, WrapperDescriptorType)
#: Descriptors that are followed to their functions, and what they know besides.
_HOLDERS = (
    staticmethod,
    classmethod,
    property,
    functools.cached_property,
    functools.singledispatchmethod,
    functools.partialmethod,
)
_OF_HOLDERS = frozenset("func attrname lock dispatcher args keywords".split())
_PLAIN_TYPES = (int, float, complex, bool, str, bytes, tuple, frozenset, type(None))


def walk_class(walk: Walk, cls: type, label: str) -> None:
    """Depend on a class of the project."""
    parts = [walk.refer(base) for base in cls.__bases__ if base is not object]
    if type(cls) is not type:
        parts.append(f"metaclass {walk.refer(type(cls))}")
    digests, text = _statements(walk, cls)
    hasher = blake3(b"class")
    for part in (*(part.encode("utf-8", "surrogatepass") for part in parts), b"", *digests):
        hasher.update(b"%d:" % len(part) + part)
    walk.add(Dependency(DependencyKind.CLASS, label, hasher.digest(), text))
    namespace = vars(cls)
    walk.watch.size(namespace)
    walk.watch.check(lambda: cls.__bases__)
    for name, value in _members(cls):
        dotted = f"{label}.{name}"
        if not walk.ignores(dotted):
            walk.watch.binding(namespace, name, value, dotted)
            for path, inner in (*_inside(value, dotted), *_of_subclass(value, dotted)):
                walk.value(path, inner)
    if isinstance(cls, EnumMeta):  # Members may come from a computed table.
        walk.value(f"{label}.__members__", tuple(cls.__members__))
    if walk.attention.order:
        names = ", ".join(name for name in namespace if not name.startswith("__"))
        walk.add(text_dependency(DependencyKind.NAME, f"{label}.__dict__", names))
    _fields(walk, cls, label)
    depend_on_annotations(walk, cls, label)
    depend_on_told(walk, cls, label)
    _children(walk, cls, label)


def _children(walk: Walk, cls: type, label: str) -> None:
    """Classes that were registered with an abstract one; and subclasses, where the code asks for them."""
    registered = _registered(cls)
    if registered:
        walk.watch.check(lambda: len(_registered(cls)))
        names = ", ".join(sorted(walk.refer(each) for each in registered))
        walk.add(text_dependency(DependencyKind.NAME, f"{label}.register", names))
    if walk.attention.subclasses:
        walk.watch.check(lambda: type.__subclasses__(cls))
        subclasses: list[type] = type.__subclasses__(cls)
        names = ", ".join(walk.refer(each) for each in subclasses)
        walk.add(text_dependency(DependencyKind.NAME, f"{label}.__subclasses__", names))


def _registered(cls: type) -> list[type]:
    """The virtual subclasses of an abstract class."""
    if not isinstance(cls, abc.ABCMeta) or "_abc_impl" not in vars(cls):
        return []
    import _abc  # type: ignore[import-not-found]

    found: list[type | None] = [reference() for reference in _abc._get_dump(cls)[0]]
    return sorted((each for each in found if each is not None), key=lambda each: (each.__module__, each.__qualname__))


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """What is in a class, by name, without what Python itself puts there."""
    namespace = vars(cls)
    internals = _ENUM_INTERNALS if isinstance(cls, EnumMeta) else frozenset()
    for name in sorted(namespace):
        value = namespace[name]
        if name in _SKIPPED or name in internals or isinstance(value, _SLOT_TYPES) or _has_a_hash_in_it(value):
            continue
        if (
            name.startswith("__")
            and name.endswith("__")
            and not _is_code(value)
            and not isinstance(value, _PLAIN_TYPES)
        ):
            continue  # The notes of some metaclass, or of a library for data classes.
        yield name, value


def _has_a_hash_in_it(value: object) -> bool:
    """Whether attrs has written this `__hash__`: it begins with a number that differs between processes."""
    return isinstance(value, FunctionType) and (
        value.__name__ == "__hash__" and value.__code__.co_filename.startswith("<attrs generated")
    )


def _is_code(value: object) -> bool:
    return isinstance(value, FunctionType | staticmethod | classmethod | property | type) or callable(value)


def _inside(value: Any, dotted: str) -> Iterator[tuple[str, object]]:
    """The functions that a descriptor holds; anything else as it is."""
    if isinstance(value, staticmethod | classmethod):
        yield dotted, value.__func__
    elif isinstance(value, property):
        for part, function in (("fget", value.fget), ("fset", value.fset), ("fdel", value.fdel)):
            if function is not None:
                yield f"{dotted}.{part}", function
    elif isinstance(value, functools.cached_property):
        yield dotted, value.func
    elif isinstance(value, functools.singledispatchmethod):
        yield dotted, value.dispatcher
    elif isinstance(value, functools.partialmethod):
        yield dotted, functools.partial(value.func, *value.args, **value.keywords)
    else:
        yield dotted, value


def _of_subclass(value: Any, dotted: str) -> Iterator[tuple[str, object]]:
    """The class of a descriptor that is a subclass of the usual ones, and what was kept in it."""
    if isinstance(value, _HOLDERS) and type(value) not in _HOLDERS:
        yield f"{dotted}.__class__", type(value)
        for name, each in sorted(vars(value).items()):
            if not name.startswith("__") and name not in _OF_HOLDERS:
                yield f"{dotted}.{name}", each


def _fields(walk: Walk, cls: type, label: str) -> None:
    """Defaults and factories of a data class: they need not be attributes of it."""
    fields = vars(cls).get("__dataclass_fields__")
    if not isinstance(fields, dict):
        return
    missing = getattr(sys.modules.get("dataclasses"), "MISSING", None)
    for name, field in fields.items():
        for part in ("default", "default_factory"):
            value = getattr(field, part, missing)
            if value is not missing:
                walk.value(f"{label}({name}.{part})", value)
        if metadata := dict(getattr(field, "metadata", None) or {}):
            walk.value(f"{label}({name}.metadata)", metadata)
        settings = tuple(getattr(field, each, None) for each in ("init", "repr", "hash", "compare", "kw_only"))
        walk.value(f"{label}({name})", tuple(each if isinstance(each, bool) else None for each in settings))


# -- source


def _statements(walk: Walk, cls: type) -> tuple[list[bytes], str]:
    """The digests of everything that may be the source of a class, and the text of the first.

    A class keeps no code that its source could be compared with. Where the file may have been edited since it was
    loaded, what the class itself knows of its fields must do.
    """
    module = sys.modules.get(str(cls.__module__))
    found = []
    for filename in _files_of(cls, module):
        found = walk.sources.classes(filename, cls.__qualname__)
        if found:
            if os.path.isfile(filename) and not is_as_loaded(filename):
                return [b"unsure", repr(_told(cls)).encode("utf-8", "surrogatepass")], ""
            break
    namespace = vars(module) if module is not None else {}
    digests = []
    for node, text in found:
        attention = walk.attention if _is_plain(cls, node) else walk.attention._replace(annotations=True)
        digest = definition_digest(node, attention, lambda decorator: is_ours(decorator, namespace))
        digests.append(with_text(digest, text) if attention.text else digest)
        made_by_others = _is_made_by_others(walk, cls)
        if made_by_others or _is_decorated(node):
            depend_on_fields(walk, cls, node, annotated=made_by_others)
    return sorted(set(digests)), found[0][1] if found else ""


def _told(cls: type) -> list[tuple[str, str]]:
    told = {**annotations_of(cls)}
    for parameter in vars(cls).get("__type_params__", ()):
        told |= {f"[{parameter}].{name}": each for name, each in type_parts(parameter)}
    return [(name, each if isinstance(each, str) else describe(each)) for name, each in told.items()]


def _files_of(cls: type, module: ModuleType | None) -> Iterator[str]:
    for value in vars(cls).values():
        function = getattr(value, "__func__", value)
        if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{cls.__qualname__}."):
            yield function.__code__.co_filename
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        yield file


def _is_made_by_others(walk: Walk, cls: type) -> bool:
    """Whether code of a package was there when the class was made, and may have kept what it saw."""
    if type(cls) not in _BLIND_METACLASSES and walk.whose.is_external(type(cls)):
        return True
    return any("__init_subclass__" in vars(base) and walk.whose.is_external(base) for base in cls.__mro__[1:-1])


def _is_decorated(node: ast.ClassDef) -> bool:
    """Whether a decorator of a kind that is not known here has seen the class."""
    names = {name_of(decorator) for decorator in node.decorator_list}
    return not names <= BLIND_DECORATORS | {"dataclass"}


def _is_plain(cls: type, node: ast.ClassDef) -> bool:
    """Whether nobody was there to read the annotations of a class."""
    if type(cls) not in _BLIND_METACLASSES or "__dataclass_fields__" in vars(cls):
        return False
    if any(name_of(decorator) not in BLIND_DECORATORS for decorator in node.decorator_list):
        return False
    return not any("__init_subclass__" in vars(base) for base in cls.__mro__[1:-1] if base.__module__ != "typing")


def is_ours(decorator: ast.expr, namespace: dict[str, Any]) -> bool:
    """Whether a decorator is `memo` or `experiment`: its settings are no code of the function."""
    expression = decorator.func if isinstance(decorator, ast.Call) else decorator
    names = []
    while isinstance(expression, ast.Attribute):
        names.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return False
    found = namespace.get(expression.id)
    if isinstance(found, ModuleType):
        return found.__name__ == "hitsave" and names[-1:] in (["memo"], ["experiment"])
    return not names and getattr(found, "__module__", "") == "hitsave.memoisation.decorators"
