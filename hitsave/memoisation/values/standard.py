"""Forms of types of the standard library, by name: none of its modules is imported for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from hitsave.memoisation.values.plain import attributes_form, little_endian, made_of
from hitsave.memoisation.values.stream import Form, Leaf, Parts, Refused, named, named_steps, pair_step, text

if TYPE_CHECKING:
    from hitsave.memoisation.values.digest import ValueDigester


def standard_form(cls: type) -> Form | None:
    """The form of exactly this type of the standard library; None for every other one."""
    # Python 3.13 keeps paths in `pathlib._local`.
    module = cls.__module__.partition(".")[0]
    form = _FORMS.get(f"{module}.{cls.__qualname__}")
    if form is None or getattr(sys.modules.get(module), cls.__qualname__, None) is not cls:
        return None
    return form


def _ordered_dict(name: str) -> Form:
    def form(digester: ValueDigester, value: Any) -> Parts:
        children = [vars(value), *chain.from_iterable(value.items())]
        return Parts(named(name, len(children)), children, _second_pairs)

    return form


def _defaultdict(digester: ValueDigester, value: Any) -> Parts:
    children = [value.default_factory, *chain.from_iterable(value.items())]
    return Parts(named("collections.defaultdict", len(children)), children, _second_pairs)


def _second_pairs(children: Sequence[object], index: int) -> str:
    return ".default_factory" if index == 0 else pair_step(children[1:], index - 1)


def _namespace(digester: ValueDigester, value: Any) -> Parts:
    attributes = vars(value)
    names = sorted(attributes)
    head = named("types.SimpleNamespace", len(names)) + b"".join(map(text, names))
    return Parts(head, [attributes[name] for name in names], named_steps(names))


def _array(digester: ValueDigester, value: Any) -> Leaf:
    payload = memoryview(little_endian(value)).cast("B") if len(value) else memoryview(b"")
    head = named("array.array", len(value)) + text(f"{value.typecode}{value.itemsize}")
    return Leaf(head, (payload,), payload.nbytes)


def _datetime(value: Any) -> Sequence[object]:
    day = (value.year, value.month, value.day)
    return (*day, value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo)


def _zone(value: Any) -> Sequence[object]:
    if value.key is None:
        raise Refused(value, "a time zone read from a file, without a key")
    return (value.key,)


def _stands_for(name: str, function: Callable[[Any], object]) -> Form:
    return made_of(name, lambda value: (function(value),))


def _path(name: str) -> Form:
    return _stands_for(name, lambda value: value.as_posix())


_FORMS: dict[str, Form] = {
    "array.array": _array,
    "collections.OrderedDict": _ordered_dict("collections.OrderedDict"),
    "collections.Counter": _ordered_dict("collections.Counter"),
    "collections.defaultdict": _defaultdict,
    "collections.deque": made_of("collections.deque", lambda value: [value.maxlen, *value]),
    "types.SimpleNamespace": _namespace,
    "pathlib.PurePosixPath": _path("pathlib.PurePosixPath"),
    "pathlib.PureWindowsPath": _path("pathlib.PureWindowsPath"),
    # A path that the function can open is the same path on every system.
    "pathlib.PosixPath": _path("pathlib.Path"),
    "pathlib.WindowsPath": _path("pathlib.Path"),
    "datetime.datetime": made_of("datetime.datetime", _datetime),
    "datetime.date": attributes_form("datetime.date", "year", "month", "day"),
    "datetime.time": attributes_form("datetime.time", "hour", "minute", "second", "microsecond", "fold", "tzinfo"),
    "datetime.timedelta": attributes_form("datetime.timedelta", "days", "seconds", "microseconds"),
    "datetime.timezone": made_of("datetime.timezone", lambda value: value.__getinitargs__()),
    "zoneinfo.ZoneInfo": made_of("zoneinfo.ZoneInfo", _zone),
    "_struct.Struct": attributes_form("struct.Struct", "format"),
    "decimal.Decimal": _stands_for("decimal.Decimal", str),
    "fractions.Fraction": attributes_form("fractions.Fraction", "numerator", "denominator"),
    "uuid.UUID": _stands_for("uuid.UUID", lambda value: value.bytes),
    "re.Pattern": attributes_form("re.Pattern", "pattern", "flags"),
    "functools.partial": attributes_form("functools.partial", "func", "args", "keywords", "__dict__"),
}
