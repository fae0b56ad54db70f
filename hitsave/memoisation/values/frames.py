"""pandas: frames, series, indexes and their arrays by what they hold; not by how columns lie together in blocks.

Names, `attrs`, flags, frequencies and the order of columns count. Categories, and the levels of a MultiIndex, count as
they are, unused ones too: a function can see them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hitsave.memoisation.values.stream import Form, Parts, array_head, item_step, named_steps, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester


def find_form(cls: type) -> Form | None:
    """The form of a type of pandas, or of a subclass; None where what pickling says is right."""
    for base, form in _FORMS:
        if issubclass(cls, base):
            return form
    return None


def _parts(digester: ValueDigester, value: object, description: bytes, **children: object) -> Parts:
    head = array_head("pandas", digester.label(type(value)) + description)
    return Parts(head, list(children.values()), named_steps([f".{name}" for name in children]))


def _common(value: Any) -> dict[str, object]:
    """What frames and series hold beside their columns."""
    own = {name: getattr(value, name, None) for name in sorted(value._metadata) if name not in ("_name", "name")}
    return {"attrs": value.attrs, "flags": value.flags.allows_duplicate_labels, "_metadata": own}


def _frame(digester: ValueDigester, value: Any) -> Parts:
    columns = [_unwrapped(value.iloc[:, index].array) for index in range(value.shape[1])]
    table = Parts(array_head("pandas columns", text(",".join(map(str, value.shape)))), columns, item_step)
    return _parts(digester, value, b"", columns=value.columns, index=value.index, **_common(value), iloc=table)


def _series(digester: ValueDigester, value: Any) -> Parts:
    content = _unwrapped(value.array)
    return _parts(digester, value, b"", name=value.name, index=value.index, **_common(value), array=content)


def _unwrapped(array: Any) -> object:
    """The array of numpy within one of pandas that adds nothing to it."""
    return array.to_numpy() if type(array) is pd.arrays.NumpyExtensionArray else array


# -- indexes --


def _index(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, b"", names=list(value.names), freq=_freq(value), array=_unwrapped(value.array))


def _range_index(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, b"", names=list(value.names), start=value.start, stop=value.stop, step=value.step)


def _multi_index(digester: ValueDigester, value: Any) -> Parts:
    codes = [np.asarray(codes, np.int64) for codes in value.codes]
    return _parts(digester, value, b"", names=list(value.names), levels=list(value.levels), codes=codes)


# -- arrays --


def _numpy_array(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, b"", array=value.to_numpy())


def _categorical(digester: ValueDigester, value: Any) -> Parts:
    codes = np.asarray(value.codes, np.int64)
    return _parts(digester, value, b"", codes=codes, categories=value.categories, ordered=value.ordered)


def _datetimes(digester: ValueDigester, value: Any) -> Parts:
    zone = getattr(value.dtype, "tz", None)
    return _parts(digester, value, text(str(value.dtype)), tz=zone, freq=_freq(value), array=value.view("i8"))


def _freq(value: Any) -> object:
    """How far points in time lie apart, where it is known: of indexes, and before pandas 3 of arrays."""
    return getattr(getattr(value, "freq", None), "freqstr", None)


def _periods(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, text(str(value.dtype)), array=value.asi8)


def _intervals(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, text(str(value.closed)), left=value.left, right=value.right)


def _masked(digester: ValueDigester, value: Any) -> Parts:
    content = np.where(value._mask, value._data.dtype.type(0), value._data) if value._mask.any() else value._data
    return _parts(digester, value, text(str(value.dtype)), array=content, isna=value._mask)


def _sparse(digester: ValueDigester, value: Any) -> Parts:
    places = value.sp_index.indices
    return _parts(digester, value, text(f"{value.dtype!s},{len(value)}"), values=value.sp_values, places=places)


def _strings(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, _dtype_text(value), array=value.to_numpy(dtype=object).tolist())


def _arrow(digester: ValueDigester, value: Any) -> Parts:
    return _parts(digester, value, _dtype_text(value), array=value.__arrow_array__())


def _dtype_text(value: Any) -> bytes:
    dtype = value.dtype
    return text(f"{dtype!r},{getattr(dtype, 'storage', '')},{dtype.na_value!r}")


_FORMS: tuple[tuple[Any, Form], ...] = (
    (pd.DataFrame, _frame),
    (pd.Series, _series),
    (pd.MultiIndex, _multi_index),
    (pd.RangeIndex, _range_index),
    (pd.Index, _index),
    (pd.Categorical, _categorical),
    ((pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray), _datetimes),
    (pd.arrays.PeriodArray, _periods),
    (pd.arrays.IntervalArray, _intervals),
    ((pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray), _masked),
    (pd.arrays.SparseArray, _sparse),
    # String arrays on Arrow are arrays on Arrow; those on objects extend the one of numpy.
    ((pd.arrays.ArrowExtensionArray, pd.arrays.ArrowStringArray), _arrow),
    (pd.arrays.StringArray, _strings),
    (pd.arrays.NumpyExtensionArray, _numpy_array),
)
