"""Canonical JSON (objects_spec.md, section 9.1): the one spelling of a small record that people may want to read.

Keys sorted, no white space, ASCII only, integers and strings and lists and objects, one line feed at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from typing import Any, NoReturn

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, parse_digest
from hitsave.objects.encoding import LARGEST_NUMBER

_TOKEN = re.compile(r"[0-9a-f]{32}")


def encode_json(value: Any) -> bytes:
    """The canonical spelling, with its line feed. Raises ValueError for what no record may hold."""
    _check(value)
    return _ENCODER.encode(value).encode() + b"\n"


def decode_json(data: bytes, what: str) -> dict[str, Any]:
    """The object that `data` spells. Raises MalformedObject for anything but its canonical spelling."""
    try:
        value = _DECODER.decode(data.decode())
        canonical = _spells(data, value)
    except (ValueError, RecursionError):
        raise MalformedObject(what, "is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedObject(what, "is not a JSON object")
    if not canonical:
        raise MalformedObject(what, "is not in canonical form")
    return value


def unicode_text(text: str) -> str:
    """A text as a record can hold it: names of files and values may have in them what is not Unicode."""
    return text.encode("utf-8", "replace").decode()


def _spells(data: bytes, value: Any) -> bool:
    try:
        return encode_json(value) == data
    except ValueError:
        return False


def _check(value: Any) -> None:
    """Raises ValueError unless a value is made of objects, lists, whole numbers and Unicode text."""
    kind = type(value)
    if kind is str:
        value.encode()
    elif kind is dict:
        for key, member in value.items():
            if not (type(key) is str and key.isascii()):
                _check(key)
            if not (type(member) is int or (type(member) is str and member.isascii())):  # What most members are.
                _check(member)
    elif kind is list:
        for member in value:
            if not (type(member) is int or (type(member) is str and member.isascii())):
                _check(member)
    elif kind is not int:
        raise ValueError(f"{value!r} has no place in a record")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse)


class Fields:
    """Typed access to the members of a decoded object; every fault is a MalformedObject that names the member."""

    def __init__(self, values: dict[str, Any], what: str) -> None:
        self._values = values
        self._what = what

    def _get(self, key: str, kind: type, default: Any) -> Any:
        value = self._values.get(key, default)
        if type(value) is not kind:
            raise MalformedObject(self._what, f"{key!r} is missing or of another type")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value: str = self._get(key, str, default)
        return value

    def number(self, key: str, default: int | None = None) -> int:
        """An integer from 0 to 2^63 - 1."""
        value: int = self._get(key, int, default)
        if value < 0:
            raise MalformedObject(self._what, f"{key!r} is negative")
        if value > LARGEST_NUMBER:
            raise MalformedObject(self._what, f"{key!r} is larger than 2^63 - 1")
        return value

    def token(self, key: str) -> str:
        """A random name: 32 lower-case hex digits."""
        value = self.text(key)
        if not _TOKEN.fullmatch(value):
            raise MalformedObject(self._what, f"{key!r} is not 32 lower-case hex digits")
        return value

    def tokens(self, key: str) -> tuple[str, ...]:
        """A list of random names."""
        values: list[Any] = self._get(key, list, None)
        if not all(isinstance(value, str) and _TOKEN.fullmatch(value) for value in values):
            raise MalformedObject(self._what, f"{key!r} is not a list of 32 lower-case hex digits each")
        return tuple(values)

    def digest(self, key: str) -> Digest:
        """A digest in hex."""
        return parse_field(self.text(key), self._what)

    def has(self, key: str) -> bool:
        """Whether there is such a member."""
        return key in self._values

    def only(self, keys: Set[str]) -> None:
        """Refuse members that are not among `keys`."""
        if unknown := self._values.keys() - keys:
            raise MalformedObject(self._what, f"{min(unknown)!r} is not known")

    def row(self, key: str) -> Fields:
        """An object."""
        values: dict[str, Any] = self._get(key, dict, None)
        return Fields(values, self._what)

    def rows(self, key: str) -> list[Fields]:
        """A list of objects."""
        rows: list[Any] = self._get(key, list, None)
        if not all(isinstance(row, dict) for row in rows):
            raise MalformedObject(self._what, f"{key!r} is not a list of objects")
        return [Fields(row, self._what) for row in rows]

    def numbers(self, key: str) -> tuple[int, ...]:
        """A list of integers from 0 to 2^63 - 1."""
        values: list[Any] = self._get(key, list, None)
        if not all(type(value) is int and 0 <= value <= LARGEST_NUMBER for value in values):
            raise MalformedObject(self._what, f"{key!r} is not a list of numbers from 0 to 2^63 - 1")
        return tuple(values)

    def strings(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        values: list[Any] = self._get(key, list, None)
        if not all(type(value) is str for value in values):
            raise MalformedObject(self._what, f"{key!r} is not a list of strings")
        return tuple(values)

    def texts(self, key: str, length: int) -> list[list[str]]:
        """A list of lists of `length` strings each."""
        rows: list[Any] = self._get(key, list, None)
        for row in rows:
            if type(row) is not list or len(row) != length or not all(type(text) is str for text in row):
                raise MalformedObject(self._what, f"{key!r} is not a list of lists of {length} strings each")
        return rows


def parse_field(text: str, what: str) -> Digest:
    """The digest that a string of a record spells. Raises MalformedObject."""
    try:
        return parse_digest(text)
    except ValueError as error:
        raise MalformedObject(what, str(error)) from None
