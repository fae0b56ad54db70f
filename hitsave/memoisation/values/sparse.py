"""scipy.sparse: by format, shape and the arrays as they are; what was found out about them before does not count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import scipy.sparse as sp

from hitsave.memoisation.values.stream import Form, Parts, array_head, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester

_ARRAYS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "coords"),
    "dia": ("data", "offsets"),
    "lil": ("data", "rows"),
}


def find_form(cls: type) -> Form | None:
    """The form of a sparse matrix or array of scipy's own."""
    is_sparse = issubclass(cls, sp.sparray | sp.spmatrix) and cls.__module__.startswith("scipy.")
    return _sparse if is_sparse else None


def _sparse(digester: ValueDigester, value: Any) -> Parts:
    names = _ARRAYS.get(value.format)
    children = [getattr(value, name) for name in names] if names else [dict(value.items()), value.dtype]
    description = digester.label(type(value)) + text(value.format) + text(",".join(map(str, value.shape)))
    steps = [f".{name}" for name in names or ("items()", "dtype")]
    return Parts(array_head("scipy sparse", description), children, named_steps(steps))
