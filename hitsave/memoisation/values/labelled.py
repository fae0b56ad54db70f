"""xarray: variables, arrays and datasets by dimensions, values, coordinates, attributes; not by what was looked at.

Values that are still in a file or in a plan have no digest: the file may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from hitsave.memoisation.values.stream import Form, Parts, Refused, array_head, named_steps

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester


def find_form(cls: type) -> Form | None:
    """The form of a type of xarray, or of a subclass; None where what pickling says is right."""
    if issubclass(cls, xr.Variable):
        return _variable
    if issubclass(cls, xr.DataArray):
        return _array
    return _dataset if issubclass(cls, xr.Dataset) else None


def _parts(digester: ValueDigester, value: object, **children: object) -> Parts:
    head = array_head("xarray", digester.label(type(value)))
    return Parts(head, list(children.values()), named_steps([f".{name}" for name in children]))


def _variable(digester: ValueDigester, value: Any) -> Parts:
    if not value._in_memory:
        raise Refused(value, "its values are not in memory; call load() first")
    return _parts(digester, value, dims=value.dims, data=value.data, attrs=value.attrs, encoding=value.encoding)


def _array(digester: ValueDigester, value: Any) -> Parts:
    coords = {name: coord.variable for name, coord in value.coords.items()}
    return _parts(digester, value, name=value.name, coords=coords, xindexes=_indexes(value), variable=value.variable)


def _dataset(digester: ValueDigester, value: Any) -> Parts:
    variables = dict(value.variables)
    about = {"attrs": value.attrs, "encoding": value.encoding, "xindexes": _indexes(value)}
    return _parts(digester, value, **about, coords=set(value.coords), variables=variables)


def _indexes(value: Any) -> dict[object, type]:
    return {name: type(index) for name, index in value.xindexes.items()}
