"""Canonical JSON (objects_spec.md, section 9.1): the one spelling of a small record that people may want to read.

Keys sorted, no white space, ASCII only, integers and strings and lists and objects, one line feed at the end.
"""

from __future__ import annotations

import json
from typing import Any

from hitsave.errors import MalformedObject
from hitsave.objects.digest import Digest, parse_digest


def encode_json(value: Any) -> bytes:
    """The canonical spelling, with its line feed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def decode_json(data: bytes, what: str) -> dict[str, Any]:
    """The object that `data` spells. Raises MalformedObject for anything but its canonical spelling."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedObject(what, "is not JSON") from None
    if not isinstance(value, dict):
        raise MalformedObject(what, "is not a JSON object")
    if encode_json(value) != data:
        raise MalformedObject(what, "is not in canonical form")
    return value


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
        """An integer that is not negative."""
        value: int = self._get(key, int, default)
        if value < 0:
            raise MalformedObject(self._what, f"{key!r} is negative")
        return value

    def digest(self, key: str) -> Digest:
        """A digest in hex."""
        try:
            return parse_digest(self.text(key))
        except ValueError as error:
            raise MalformedObject(self._what, str(error)) from None

    def rows(self, key: str) -> list[Fields]:
        """A list of objects."""
        rows: list[Any] = self._get(key, list, None)
        if not all(isinstance(row, dict) for row in rows):
            raise MalformedObject(self._what, f"{key!r} is not a list of objects")
        return [Fields(row, self._what) for row in rows]
