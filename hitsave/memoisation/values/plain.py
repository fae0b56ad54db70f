"""Forms of Python's own types, by exact type. Subclasses are `instances`."""

from __future__ import annotations

import array
import struct
import sys
import types
from collections.abc import Callable, Sequence
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any

from hitsave.memoisation.values.stream import (
    LIMIT,
    Form,
    Leaf,
    Parts,
    Refused,
    element_step,
    item_step,
    named,
    named_steps,
    pair_step,
    text,
)

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

_INT = Struct("<cq").pack
_FLOAT = Struct("<cd").pack
_COMPLEX = Struct("<cdd").pack
_COUNT = Struct("<cQ").pack
_PACKED_FROM = 64


# -- scalars: written straight to the stream --


def _write_int(digester: ValueDigester, value: int) -> None:
    try:
        digester.out += _INT(b"i", value)
    except struct.error:
        size = (value if value >= 0 else ~value).bit_length() // 8 + 1
        payload = value.to_bytes(size, "little", signed=True)
        digester.write_leaf(value, Leaf(_COUNT(b"I", size), (payload,), size))


def _write_float(digester: ValueDigester, value: float) -> None:
    digester.out += _FLOAT(b"d", value)


def _write_complex(digester: ValueDigester, value: complex) -> None:
    digester.out += _COMPLEX(b"z", value.real, value.imag)


def _write_str(digester: ValueDigester, value: str) -> None:
    encoded = value.encode("utf-8", "surrogatepass")
    size = len(encoded)
    if size < LIMIT - 8:
        digester.out += _COUNT(b"s", size) + encoded
    else:
        _write_long(digester, value, b"s", encoded)


def _write_bytes(digester: ValueDigester, value: bytes) -> None:
    size = len(value)
    if size < LIMIT - 8:
        digester.out += _COUNT(b"b", size) + value
    else:
        _write_long(digester, value, b"b", value)


def _write_long(digester: ValueDigester, value: object, tag: bytes, payload: bytes) -> None:
    if (known := digester.memo.get(id(value))) is not None:
        digester.out += known
    else:
        digester.write_leaf(value, Leaf(_COUNT(tag, len(payload)), (payload,), len(payload)))


def _constant(tag: bytes) -> Callable[[ValueDigester, Any], None]:
    def write(digester: ValueDigester, value: object) -> None:
        digester.out += tag

    return write


def _write_bool(digester: ValueDigester, value: bool) -> None:
    digester.out += b"t" if value else b"f"


SCALARS: dict[type, Callable[[ValueDigester, Any], None]] = {
    int: _write_int,
    str: _write_str,
    float: _write_float,
    bool: _write_bool,
    type(None): _constant(b"n"),
    bytes: _write_bytes,
    complex: _write_complex,
    type(Ellipsis): _constant(b"e"),
    type(NotImplemented): _constant(b"x"),
}


# -- containers --


def _sequence(tag: bytes) -> Form:
    def form(digester: ValueDigester, value: Any) -> Parts | Leaf:
        count = len(value)
        if count >= _PACKED_FROM and (packed := _packed(tag, value)) is not None:
            return packed
        return Parts(_COUNT(tag, count), value, item_step)

    return form


def _packed(container: bytes, value: Sequence[Any]) -> Leaf | None:
    """Many ints, floats or strings at once; None where the items are others."""
    kinds = set(map(type, value))
    if len(kinds) != 1:
        return None
    kind = kinds.pop()
    if kind is str:
        return _packed_texts(container, value)
    if kind is not int and kind is not float:
        return None
    code = "q" if kind is int else "d"
    try:
        packed = array.array(code, value)
    except OverflowError:
        return None
    payload = memoryview(little_endian(packed)).cast("B")
    head = b"P" + container + code.encode() + len(value).to_bytes(8, "little")
    return Leaf(head, (payload,), payload.nbytes)


def _packed_texts(container: bytes, value: Sequence[str]) -> Leaf:
    encoded = "".join(value).encode("utf-8", "surrogatepass")
    lengths = memoryview(little_endian(array.array("Q", map(len, value)))).cast("B")
    sizes = len(value).to_bytes(8, "little") + len(encoded).to_bytes(8, "little")
    return Leaf(b"P" + container + b"s" + sizes, (lengths, encoded), lengths.nbytes + len(encoded))


def little_endian(values: array.array[Any]) -> array.array[Any]:
    """The same numbers with their bytes in the order of the stream."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def _dict(digester: ValueDigester, value: Any) -> Parts:
    return Parts(_COUNT(b"D", len(value)), list(chain.from_iterable(value.items())), pair_step)


def _unordered(tag: bytes) -> Form:
    def form(digester: ValueDigester, value: Any) -> Parts:
        return Parts(_COUNT(tag, len(value)), list(value), element_step, True)

    return form


def attributes_form(name: str, *attributes: str) -> Form:
    """A type that a few attributes make up."""
    step = named_steps(attributes)
    head = named(name, len(attributes))

    def form(digester: ValueDigester, value: Any) -> Parts:
        return Parts(head, [getattr(value, attribute) for attribute in attributes], step)

    return form


def made_of(name: str, function: Callable[[Any], Sequence[object]]) -> Form:
    """A type whose content a function gives."""

    def form(digester: ValueDigester, value: Any) -> Parts:
        children = function(value)
        return Parts(named(name, len(children)), children, item_step)

    return form


# -- bytes of other kinds --


def _bytearray(digester: ValueDigester, value: Any) -> Leaf:
    return Leaf(named("bytearray", len(value)), (value,), len(value))


def _memoryview(digester: ValueDigester, value: Any) -> Leaf:
    try:
        shape = ",".join(map(str, value.shape or ()))
        view = value.cast("B") if value.c_contiguous and value.nbytes else value.tobytes()
    except (ValueError, NotImplementedError) as failure:
        raise Refused(value, str(failure)) from failure
    head = named("memoryview", value.nbytes) + text(value.format) + text(shape)
    return Leaf(head + (b"t" if value.readonly else b"f"), (view,), value.nbytes)


def _itself(digester: ValueDigester, value: Any) -> Parts | Leaf:
    return value  # type: ignore[no-any-return]


FORMS: dict[type, Form] = {
    list: _sequence(b"L"),
    tuple: _sequence(b"T"),
    dict: _dict,
    set: _unordered(b"S"),
    frozenset: _unordered(b"Z"),
    bytearray: _bytearray,
    memoryview: _memoryview,
    range: attributes_form("range", "start", "stop", "step"),
    slice: attributes_form("slice", "start", "stop", "step"),
    type({}.keys()): made_of("dict_keys", list),
    type({}.values()): made_of("dict_values", list),
    type({}.items()): made_of("dict_items", list),
    property: attributes_form("property", "fget", "fset", "fdel", "__doc__"),
    staticmethod: attributes_form("staticmethod", "__func__"),
    classmethod: attributes_form("classmethod", "__func__"),
    types.MappingProxyType: made_of("mappingproxy", lambda value: [dict(value)]),
    # Forms of other libraries may have parts in parts.
    Parts: _itself,
    Leaf: _itself,
}
