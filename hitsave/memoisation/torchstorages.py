"""The memory of torch's tensors beside the pickle, instead of a copy in it.

Everything else about a tensor is pickled as torch does it. Tensors that share memory share it again.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any

from hitsave.cache.intake import WHOLE_FROM


class Memory:
    """The memory of one storage, which several tensors may use."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    def __reduce__(self) -> Any:
        torch = sys.modules["torch"]
        content = torch.empty(0, dtype=torch.uint8).set_(self.storage).numpy()
        return restore_memory, (pickle.PickleBuffer(content),)


def reduce_storage(obj: Any, memories: dict[int, Memory]) -> Any:
    """What a large storage in this machine's memory is reduced to; NotImplemented for all else.

    `memories` are those met so far in the same result, by address.
    """
    torch = sys.modules.get("torch")
    kind = getattr(getattr(torch, "storage", None), "TypedStorage", None)
    if kind is None or type(obj) is not kind or "numpy" not in sys.modules:
        return NotImplemented
    untyped = getattr(obj, "_untyped_storage", None)  # The method of that name warns.
    if untyped is None or untyped.device.type != "cpu" or untyped.nbytes() < WHOLE_FROM:
        return NotImplemented
    memory = memories.setdefault(untyped.data_ptr(), Memory(untyped))
    return restore_storage, (memory, obj.dtype)


def restore_memory(content: Any) -> Any:
    """The storage that uses some memory. Pickles name this function: it must stay where it is."""
    import torch  # The result holds tensors: whoever reads it needs it anyway.

    return torch.frombuffer(content, dtype=torch.uint8).untyped_storage()


def restore_storage(storage: Any, dtype: Any) -> Any:
    """What tensors are made of. Pickles name this function: it must stay where it is."""
    import torch

    return torch.storage.TypedStorage(wrap_storage=storage, dtype=dtype, _internal=True)
