"""polars: frames and series by schema and content, through Arrow, which pyarrow must be there for.

A lazy frame is a plan, and what it reads may change: it has no digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from hitsave.memoisation.values.stream import Form, Parts, Refused, array_head, item_step, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester


def find_form(cls: type) -> Form | None:
    """The form of a type of polars."""
    if cls is pl.DataFrame:
        return _frame
    if cls is pl.Series:
        return _series
    return _lazy if issubclass(cls, pl.LazyFrame) else None


def _frame(digester: ValueDigester, value: Any) -> Parts:
    names = "".join(f"{name!r}," for name in value.columns)
    head = array_head("polars frame", digester.label(type(value)) + text(names) + text(str(value.height)))
    return Parts(head, value.get_columns(), item_step)


def _series(digester: ValueDigester, value: Any) -> Parts:
    head = array_head("polars series", digester.label(type(value)) + text(value.name) + text(_dtype_text(value.dtype)))
    if value.dtype == pl.Object:
        return Parts(head, (value.to_list(),), named_steps(("",)))
    try:
        import pyarrow as pa

        from hitsave.memoisation.values.arrow import column
    except ImportError as failure:
        raise Refused(value, "install pyarrow") from failure
    if isinstance(value.dtype, pl.Categorical | pl.Enum):
        value = value.cast(pl.String)
    content = value.to_arrow(compat_level=pl.CompatLevel.oldest())
    chunks = content.chunks if isinstance(content, pa.ChunkedArray) else [content]
    return Parts(head, (column(content.type, chunks),), named_steps(("",)))


def _dtype_text(dtype: Any) -> str:
    return f"Enum{dtype.categories.to_list()!r}" if isinstance(dtype, pl.Enum) else repr(dtype)


def _lazy(digester: ValueDigester, value: object) -> Parts:
    raise Refused(value, "a plan, not its result; pass what collect() gives")
