"""Forms of functions, classes, enum members, and instances of any class.

A plain instance is its class and its attributes, sorted by name: the order in which they were assigned does not count.
Every other instance is what pickling would take it apart to (`copyreg`, `__reduce_ex__(4)`), as values, never as
the bytes of a pickle, which depend on what is shared and interned. Whatever is in `__dict__` is state, kept results of
`functools.cached_property` too; a class for which they should not count defines `__getstate__` without them.
"""

from __future__ import annotations

import copyreg
import enum
import types
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from hitsave.errors import HitsaveError
from hitsave.memoisation.values.stream import Form, Parts, Refused, item_step, named, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

_REFERRED = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
#: What every member of an enum has.
_OF_MEMBERS = frozenset("_value_ _name_ __objclass__ _sort_order_".split())
#: How pickling spells "a new instance": that says nothing which the class and the arguments do not say.
_NEW = {
    copyreg.__newobj__: b"n",  # type: ignore[attr-defined]
    copyreg.__newobj_ex__: b"x",  # type: ignore[attr-defined]
    copyreg._reconstructor: b"r",  # type: ignore[attr-defined]
}


def instance_form(cls: type) -> Form:
    """The form of a type that no other module knows."""
    if issubclass(cls, type) or cls in _REFERRED or issubclass(cls, types.ModuleType):
        return _builtin_function if cls is types.BuiltinFunctionType else _referred
    if cls is types.MethodType or cls is types.MethodWrapperType:
        return _method
    if cls in _DESCRIPTORS:
        return _descriptor
    if issubclass(cls, enum.Enum):
        return _enum_member
    if issubclass(cls, set | frozenset) and inherits(cls, "__reduce_ex__"):
        return _set_subclass
    if cls.__module__ in ("builtins", "itertools") and hasattr(cls, "__next__"):
        return _iterator
    if _is_plain(cls):
        return _plain(cls)
    return _reduced


def registered_form(function: Callable[[Any], object]) -> Form:
    """The form of a class whose users registered what stands for its values."""

    def form(digester: ValueDigester, value: object) -> Parts:
        return Parts(b"U" + digester.label(type(value)), (function(value),), item_step)

    return form


def _referred(digester: ValueDigester, value: object) -> Parts:
    return Parts(b"R" + digester.label(value), (), item_step)


def _builtin_function(digester: ValueDigester, value: Any) -> Parts:
    """`len` belongs to a module, `[].append` to a list, `dict.fromkeys` to a class."""
    owner = value.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        return _referred(digester, value)
    return Parts(named("method-of-instance") + text(value.__name__), (owner,), named_steps((".__self__",)))


def _method(digester: ValueDigester, value: Any) -> Parts:
    if isinstance(value, types.MethodWrapperType):
        return Parts(named("method-wrapper") + text(value.__name__), (value.__self__,), named_steps((".__self__",)))
    return Parts(named("method"), (value.__func__, value.__self__), named_steps((".__func__", ".__self__")))


def _descriptor(digester: ValueDigester, value: Any) -> Parts:
    return Parts(named("descriptor") + text(value.__name__), (value.__objclass__,), item_step)


def _enum_member(digester: ValueDigester, value: Any) -> Parts:
    head = named("enum") + digester.label(type(value)) + text(value._name_ or "")
    given = {name: each for name, each in attributes_of(value).items() if name not in _OF_MEMBERS}
    if not given:
        return Parts(head, (value._value_,), named_steps((".value",)))
    return Parts(head, (value._value_, dict(sorted(given.items()))), named_steps((".value", "")))


def _iterator(digester: ValueDigester, value: object) -> Parts:
    raise Refused(value, "an iterator is used up by being looked at; pass a list")


# -- plain instances --


def _is_plain(cls: type) -> bool:
    """Whether an instance is its attributes and nothing else."""
    return (
        inherits(cls, "__reduce_ex__")
        and inherits(cls, "__reduce__")
        and cls not in copyreg.dispatch_table
        and inherits(cls, "__getstate__")
        and not hasattr(cls, "__getnewargs__")
        and not hasattr(cls, "__getnewargs_ex__")
        and not issubclass(cls, list | dict)
    )


def inherits(cls: type, name: str) -> bool:
    """Whether a class does as every object does."""
    return getattr(cls, name) is getattr(object, name)


def _plain(cls: type) -> Form:
    slots = sorted(_slots(cls))
    checked = False

    def form(digester: ValueDigester, value: object) -> Parts:
        nonlocal checked
        if not checked:
            # Python knows which classes written in C hold more than their attributes, and refuses them.
            _reduce(value)
            checked = True
        attributes = _attributes(value)
        if slots:
            attributes = {**attributes, **dict(_filled(value, slots))}
        if not all(isinstance(name, str) for name in attributes):
            raise Refused(value, "a name in its __dict__ is no text")
        names = sorted(attributes)
        head = b"".join((b"O", digester.label(type(value)), len(names).to_bytes(8, "little"), *map(text, names)))
        return Parts(head, [attributes[name] for name in names], named_steps(names))

    return form


def _attributes(value: object) -> dict[str, object]:
    """The attributes of an instance that are in no slots, whatever it says of itself. Raises Refused."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    except Exception as failure:  # It stands for another object, which is not there.
        raise Refused(value, _why(failure)) from failure
    if not isinstance(found, dict):
        raise Refused(value, "its __dict__ is none")
    return found


def _slots(cls: type) -> Iterator[str]:
    """The names under which slots are kept."""
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name in ("__dict__", "__weakref__"):
                continue
            private = name.startswith("__") and not name.endswith("__")
            owner = base.__name__.lstrip("_")
            yield f"_{owner}{name}" if private and owner else name


def _filled(value: object, slots: list[str]) -> Iterator[tuple[str, object]]:
    for name in slots:
        try:
            yield name, object.__getattribute__(value, name)
        except AttributeError:
            continue


def attributes_of(value: object) -> dict[str, object]:
    """The attributes of an instance, those in slots too."""
    try:
        found = _attributes(value)
    except Refused:
        found = {}
    filled = dict(_filled(value, sorted(_slots(type(value)))))
    return {**{name: each for name, each in found.items() if isinstance(name, str)}, **filled} if found else filled


# -- everything else --


def _set_subclass(digester: ValueDigester, value: Any) -> Parts:
    """A set pickles in the order of its hashes; here the elements are a set still."""
    frozen = isinstance(value, frozenset)
    elements: object = frozenset(frozenset.__iter__(value)) if frozen else set(set.__iter__(value))
    head = named("set-subclass") + digester.label(type(value))
    return Parts(head, (elements, _sorted_state(_get_state(value))), named_steps(("", "")))


def _reduced(digester: ValueDigester, value: object) -> Parts:
    reduced = _reduce(value)
    if isinstance(reduced, str):
        return _referred(digester, value)
    constructor, arguments, state, items, pairs, setter = (*reduced, None, None, None, None)[:6]
    if state == {} and isinstance(value, BaseException):
        state = None  # An exception has an empty dictionary from when somebody asks for it.
    children: list[object] = [arguments]
    head = b"J" + digester.label(type(value))
    if (new := _NEW.get(constructor)) is not None:
        head += new
    else:
        head += b"c"
        children.append(constructor)
    own_order = hasattr(type(value), "__setstate__")
    children += [state if own_order else _sorted_state(state), setter]
    children.append(None if items is None else list(items))
    children.append(None if pairs is None else list(chain.from_iterable(pairs)))
    return Parts(head, children, _reduced_step)


def _reduced_step(children: Any, index: int) -> str:
    return "" if index != len(children) - 1 else "[...]"


def _reduce(value: object) -> Any:
    """What pickling would take the value apart to. Raises Refused."""
    try:
        reductor = copyreg.dispatch_table.get(type(value))
        reduced = reductor(value) if reductor is not None else value.__reduce_ex__(4)
    except (HitsaveError, Refused):
        raise
    except Exception as failure:
        raise Refused(value, _why(failure)) from failure
    if not isinstance(reduced, str | tuple) or (isinstance(reduced, tuple) and not 2 <= len(reduced) <= 6):
        raise Refused(value, "its __reduce__ gives nothing that pickling understands")
    return reduced


def _why(failure: Exception) -> str:
    if isinstance(failure, TypeError) and str(failure).startswith("cannot pickle"):
        return ""
    return f"{type(failure).__name__}: {failure}"


def _get_state(value: Any) -> object:
    return value.__getstate__()


def _sorted_state(state: object) -> object:
    """Attributes in the order of their names, where the state is attributes."""
    if type(state) is dict and all(type(name) is str for name in state):
        return dict(sorted(state.items()))
    if type(state) is tuple and len(state) == 2:
        return tuple(map(_sorted_state, state))
    return state
