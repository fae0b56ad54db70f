"""numpy: arrays by dtype, shape and content in C order, whatever their layout in memory.

A contiguous array is hashed where it lies; any other one in blocks of a few MiB. A memory-mapped array counts as the
array that it holds. Byte order belongs to the dtype, so it counts. Floats count by their bits. Bytes that are no part
of a value (between the fields of a record, at the end of an extended-precision number) do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hitsave.memoisation.values.stream import Form, Leaf, Parts, array_head, item_step, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

#: Bytes that are copied at a time where an array is not contiguous.
BLOCK = 4 << 20

#: The ten bytes of an x87 number lie in twelve or sixteen.
_EXTENDED_BYTES = 10
_EXTENDED_MANTISSA = 63


def find_form(cls: type) -> Form | None:
    """The form of a type of numpy, or of a subclass; None where what pickling says is right."""
    if cls is np.ndarray or cls is np.memmap:
        return _array
    if cls is np.ma.MaskedArray:
        return _masked_array
    if issubclass(cls, np.ndarray) and cls.__reduce__ is np.ndarray.__reduce__:
        return _array_subclass
    if issubclass(cls, np.generic) and cls.__module__ == "numpy":
        return _scalar
    if issubclass(cls, np.dtype):
        return _dtype
    return None


def _array(digester: ValueDigester, value: Any) -> Parts | Leaf:
    return _of_kind("numpy array", digester, value.view(np.ndarray) if type(value) is np.memmap else value)


def _scalar(digester: ValueDigester, value: Any) -> Parts | Leaf:
    return _of_kind("numpy scalar", digester, np.asarray(value))


def _dtype(digester: ValueDigester, value: Any) -> Parts:
    return Parts(array_head("numpy dtype", text(dtype_text(value))), (), item_step)


def _array_subclass(digester: ValueDigester, value: Any) -> Parts:
    attributes = dict(sorted(getattr(value, "__dict__", {}).items()))
    head = array_head("numpy subclass", digester.label(type(value)))
    return Parts(head, (value.view(np.ndarray), attributes), named_steps(("", "")))


def _masked_array(digester: ValueDigester, value: Any) -> Parts:
    mask: Any = value.mask.view(np.ndarray) if isinstance(value.mask, np.ndarray) else None
    children = (value.data, mask, value.fill_value, value.hardmask)
    head = array_head("numpy masked array", digester.label(type(value)))
    return Parts(head, children, named_steps((".data", ".mask", ".fill_value", ".hardmask")))


def _of_kind(kind: str, digester: ValueDigester, array: Any) -> Parts | Leaf:
    dtype = array.dtype
    description = digester.label(np.ndarray) + text(dtype_text(dtype)) + text(",".join(map(str, array.shape)))
    head = array_head(kind, description)
    if dtype.names is not None:
        names = list(dtype.names)
        return Parts(head, [array[name] for name in names], named_steps([f"[{name!r}]" for name in names]))
    if dtype.hasobject:
        return Parts(head, (array.reshape(-1).tolist(),), named_steps(("",)))
    if _is_extended(dtype):
        number = dtype.itemsize // (2 if dtype.kind == "c" else 1)
        pieces = (_without_padding(piece, number) for piece in _pieces(array))
        return Leaf(head, pieces, array.nbytes // number * _EXTENDED_BYTES)
    return Leaf(head, _pieces(array), array.nbytes)


def dtype_text(dtype: Any) -> str:
    """A dtype as text that no other one has."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"({dtype_text(base)},{shape})"
    if dtype.names is not None:
        fields = ",".join(_field_text(name, *dtype.fields[name]) for name in dtype.names)
        record = "record" if dtype.type is np.record else "void"
        return f"{record}{'!' if dtype.isalignedstruct else ''}{dtype.itemsize}{{{fields}}}"
    if dtype.kind == "T":
        return f"T {getattr(dtype, 'na_object', '-')!r} {dtype.coerce}"
    kind = type(dtype)
    if dtype.isbuiltin == 2 or not kind.__module__.startswith("numpy"):
        return f"{dtype.type.__module__}.{dtype.type.__qualname__} {dtype.str}"
    return str(dtype.str)


def _field_text(name: str, dtype: Any, offset: int, title: object = None) -> str:
    return f"{name!r}:{title!r}@{offset}:{dtype_text(dtype)}"


def _is_extended(dtype: Any) -> bool:
    return dtype.char in "gG" and np.finfo(dtype).nmant == _EXTENDED_MANTISSA


def _without_padding(piece: memoryview, number: int) -> bytes:
    numbers: Any = np.frombuffer(piece, np.uint8).reshape(-1, number)
    return bytes(numbers[:, :_EXTENDED_BYTES].tobytes())


def _pieces(array: Any) -> Iterator[memoryview]:
    """The bytes of an array in C order."""
    if array.size == 0:
        return
    blocks = iter((array,)) if array.flags.c_contiguous else _blocks(array)
    for block in blocks:
        yield memoryview(np.ascontiguousarray(block).reshape(-1).view(np.uint8))


def _blocks(array: Any) -> Iterator[Any]:
    row = array.itemsize * prod(array.shape[1:])
    if row > BLOCK:
        for part in array:
            yield from _blocks(part)
        return
    rows = max(1, BLOCK // row)
    for start in range(0, array.shape[0], rows):
        yield array[start : start + rows]
