"""Which form a type has, where it is not one of Python's own plain types."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, cast
from weakref import WeakKeyDictionary

from hitsave.memoisation.values.instances import instance_form, registered_form
from hitsave.memoisation.values.plain import FORMS
from hitsave.memoisation.values.standard import standard_form
from hitsave.memoisation.values.stream import Form

#: What stands for the values of a class, as users registered it.
_registered: dict[type, Callable[[Any], object]] = {}
_found: WeakKeyDictionary[type, Form] = WeakKeyDictionary()

#: The modules that know the types of a library: loaded when a value of that library is met, never before.
_LIBRARIES = {
    "PIL": "images",
    "hitsave": "snapshots",
    "numpy": "numpy_arrays",
    "pandas": "frames",
    "polars": "polars_frames",
    "pyarrow": "arrow",
    "scipy": "sparse",
    "torch": "torch_tensors",
    "xarray": "labelled",
}


def form_of(cls: type) -> Form:
    """The form of a type."""
    form = _found.get(cls)
    if form is None:
        form = _found[cls] = _registered_form(cls) or standard_form(cls) or _library_form(cls) or instance_form(cls)
    return form


def register(cls: type, function: Callable[[Any], object]) -> None:
    """See `registered.register`."""
    _registered[cls] = function
    _found.clear()


def _registered_form(cls: type) -> Form | None:
    for base in cls.__mro__ if _registered else ():
        if base in FORMS:
            return None
        if (function := _registered.get(base)) is not None:
            return registered_form(function)
    return None


def _library_form(cls: type) -> Form | None:
    """What the module that knows a library says about its type, or about a subclass of one."""
    asked = set()
    for base in cls.__mro__:
        library = base.__module__.partition(".")[0]
        if library in _LIBRARIES and library not in asked and library in sys.modules:
            asked.add(library)
            module = importlib.import_module(f"hitsave.memoisation.values.{_LIBRARIES[library]}")
            if (form := module.find_form(cls)) is not None:
                return cast(Form, form)
    return None
