"""How many results are kept, and for how long: limits as people write them, "30d" and "10GB"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: In seconds: by how much the clocks of machines may differ before one of them is taken to be wrong.
CLOCKS_DIFFER = 3600
KEYS = ("age", "count", "size")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "b": 1} | {
    prefix + unit: base**power
    for power, prefix in enumerate("kmgtp", 1)
    for unit, base in (("", 1000), ("b", 1000), ("ib", 1024))
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept at most; None sets no limit. `age` is in seconds since a call, `size` in bytes of results."""

    age: int | None = None
    count: int | None = None
    size: int | None = None

    def __bool__(self) -> bool:
        return (self.age, self.count, self.size) != (None, None, None)


def parse_limits(values: Mapping[str, object]) -> Limits:
    """The limits that are written so. Raises ValueError, which tells what is allowed."""
    unknown = next((key for key in values if key not in KEYS), None)
    if unknown is not None:
        raise ValueError(f"there is no limit {unknown!r}; there are {', '.join(KEYS)}")
    parsers = {"age": parse_age, "count": parse_count, "size": parse_size}
    found = {}
    for key, value in values.items():
        try:
            found[key] = parsers[key](value)
        except ValueError as error:
            raise ValueError(f"{key} {error}, not {value!r}") from None
    return Limits(**found)


def parse_age(value: object) -> int:
    """Seconds, of a text as "30d"; days where no unit is given. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([smhdw]?)", value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('must be a time such as "30d" or "12h"')
    return int(found[1]) * _SECONDS[found[2] or "d"]


def parse_count(value: object) -> int:
    """A number of at least 1, which may be written as a text. Raises ValueError."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]+", value.strip()):
        value = int(value)
    if type(value) is not int or value < 1:
        raise ValueError("must be a whole number of at least 1")
    return value


def parse_size(value: object) -> int:
    """Bytes, of a number or of a text as "10GB", "1.5TB" or "512MiB". Raises ValueError."""
    if type(value) is int and value >= 0:
        return value
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", value.strip().lower()) if isinstance(value, str) else None
    if found is None or found[2] not in _BYTES:
        raise ValueError('must be a size such as "10GB" or "500MB"')
    return int(float(found[1]) * _BYTES[found[2]])


def show_age(seconds: int) -> str:
    """Seconds as `parse_age` reads them, in the largest unit that fits."""
    unit = next((unit for unit in "wdhm" if seconds and seconds % _SECONDS[unit] == 0), "s")
    return f"{seconds // _SECONDS[unit]}{unit}"
