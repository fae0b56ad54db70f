"""torch: tensors by dtype, shape, content, the kind of device, and whether they want gradients; modules by their state.

The kind of the device (not its number) counts, since a function can see it and computes differently there. The graph
that a tensor came out of does not. Hooks of modules count as functions, not by the numbers that torch gave them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from hitsave.memoisation.values.instances import inherits
from hitsave.memoisation.values.stream import Form, Leaf, Parts, Refused, array_head, item_step, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

#: Bytes that are copied at a time where a tensor is not contiguous.
_BLOCK = 4 << 20

_SPARSE = {
    torch.sparse_coo: ("_indices", "_values", "is_coalesced"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def find_form(cls: type) -> Form | None:
    """The form of a type of torch, or of a subclass; None where what pickling says is right."""
    if issubclass(cls, torch.Tensor):
        return _tensor
    if issubclass(cls, torch.nn.Module):
        return _module if inherits(cls, "__reduce_ex__") and inherits(cls, "__reduce__") else None
    if cls in (torch.dtype, torch.memory_format, torch.layout):
        return _constant
    return _generator if cls is torch.Generator else None


def _tensor(digester: ValueDigester, value: Any) -> Parts:
    if value.is_quantized or value.is_nested:
        raise Refused(value, "a quantized or nested tensor")
    traits = (value.dtype, value.layout, value.device.type, tuple(value.shape), value.requires_grad, value.is_leaf)
    head = array_head("torch tensor", digester.label(type(value)) + text(",".join(map(str, traits))))
    attributes = dict(sorted(getattr(value, "__dict__", {}).items()))
    grad = value.grad if value.is_leaf else None
    children = [attributes, grad, _names(value), *_content(value)]
    return Parts(head, children, named_steps((".__dict__", ".grad", ".names", "", "", "")))


def _names(value: Any) -> tuple[str | None, ...]:
    # Named tensors are gone from torch since 2.13.
    names = tuple(getattr(value, "names", ()))
    return names if any(names) else ()


def _content(value: Any) -> Iterator[object]:
    plain = value.detach()
    if plain.layout in _SPARSE:
        yield from (getattr(plain, name)() for name in _SPARSE[plain.layout])
    elif plain.device.type != "meta":
        plain = (plain.rename(None) if _names(plain) else plain).resolve_conj().resolve_neg()
        size = plain.numel() * plain.element_size()
        yield Leaf(array_head("torch bytes", size.to_bytes(8, "little")), _pieces(plain), size)


def _pieces(value: Any) -> Iterator[memoryview]:
    """The bytes of a tensor in C order."""
    if value.numel() == 0:
        return
    for block in iter((value,)) if value.is_contiguous() else _blocks(value):
        near = block.contiguous().cpu()
        size = near.numel() * near.element_size()
        yield memoryview((ctypes.c_ubyte * size).from_address(near.data_ptr())).cast("B")


def _blocks(value: Any) -> Iterator[Any]:
    row = value.element_size() * prod(value.shape[1:])
    if row > _BLOCK:
        for part in value:
            yield from _blocks(part)
        return
    yield from value.split(max(1, _BLOCK // row))


def _module(digester: ValueDigester, value: Any) -> Parts:
    attributes = value.__getstate__()
    if not isinstance(attributes, dict):
        raise Refused(value, "its __getstate__ does not give its attributes")
    hooks = {name: held for name, held in attributes.items() if "_hooks" in name and isinstance(held, Mapping)}
    numbers = sorted({number for held in hooks.values() for number in held})
    ranks = {number: rank for rank, number in enumerate(numbers)}
    renumbered = {name: {ranks[number]: hook for number, hook in held.items()} for name, held in hooks.items()}
    state = {**attributes, **renumbered}
    names = sorted(state)
    description = digester.label(type(value)) + len(names).to_bytes(8, "little") + b"".join(map(text, names))
    return Parts(array_head("torch module", description), [state[name] for name in names], named_steps(names))


def _constant(digester: ValueDigester, value: object) -> Parts:
    return Parts(array_head("torch constant", text(str(value))), (), item_step)


def _generator(digester: ValueDigester, value: Any) -> Parts:
    head = array_head("torch generator", text(str(value.device.type)))
    return Parts(head, (value.get_state(),), named_steps((".get_state()",)))
