"""Reads the test vectors out of objects_spec.md, as its section 1.3 describes them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

SPECIFICATION = Path(__file__).parents[2] / "objects_spec.md"

_HEADING = re.compile(r"#{2,3} (\d+(?:\.\d+)?) ")
_COMMON_KEYS = ("format", "note", "refuse", "direction", "bytes", "cycle", "stream", "text", "line", "value", "digest")
_KEYS = frozenset((*_COMMON_KEYS, "context", "codec", "length", "content", "entry", "blob", "cuts", "step"))
_REPEATED = frozenset(("line",))


class BadVector(Exception):
    """A block that section 1.3 does not allow."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One fenced block of the document; `at` is the line where it begins."""

    section: str
    ordinal: int
    at: int
    fields: dict[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        """Section, ordinal and note, for the list of tests."""
        note = re.sub(r"[^a-z0-9]+", "-", self.get("note").lower()).strip("-")
        return f"{self.section}-{self.ordinal:02}-{self.format.replace(' ', '-')}-{note}"

    @property
    def format(self) -> str:
        """Which format it is about."""
        return self.get("format")

    @property
    def refusal(self) -> bool:
        """Whether the bytes must be refused."""
        return "refuse" in self.fields

    @property
    def decode_only(self) -> bool:
        """Whether a writer may choose other bytes for the same value."""
        return self.fields.get("direction") == ("decode",)

    @property
    def encode_only(self) -> bool:
        """Whether a writer must refuse the value, for which there are no bytes."""
        return self.fields.get("direction") == ("encode",)

    def has(self, key: str) -> bool:
        """Whether the block has this key."""
        return key in self.fields

    def get(self, key: str) -> str:
        """The value of a key that comes once."""
        values = self.fields.get(key)
        if values is None or len(values) != 1:
            raise BadVector(f"line {self.at}: {key!r} is wanted once")
        return values[0]

    def json(self, key: str = "value") -> Any:
        """A value in JSON."""
        return json.loads(self.get(key))

    def hex(self, key: str = "bytes") -> bytes:
        """A value in hex."""
        return bytes.fromhex(self.get(key))

    def content(self) -> bytes:
        """The bytes, however the block gives them."""
        if self.has("line"):
            return "".join(f"{line}\n" for line in self.fields["line"]).encode("ascii")
        if self.has("text"):
            text: str = self.json("text")
            return text.encode()
        if self.has("cycle"):
            length = int(self.get("cycle"))
            return (bytes(range(251)) * (length // 251 + 1))[:length]
        if self.has("stream"):
            text, length = self.json("stream")
            return blake3(text.encode()).digest(length=length)
        return self.hex()


def read_vectors(document: Path = SPECIFICATION) -> list[Vector]:
    """Every vector of the document, in its order. Raises BadVector."""
    vectors: list[Vector] = []
    section, ordinal = "", 0
    block: list[str] | None = None
    start = 0
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if block is not None:
            if line == "```":
                ordinal += 1
                vectors.append(Vector(section, ordinal, start, _parse_block(block, start)))
                block = None
            else:
                block.append(line)
        elif line == "```vector":
            block, start = [], number
        elif heading := _HEADING.match(line):
            section, ordinal = heading[1], 0
    if block is not None:
        raise BadVector(f"line {start}: the block does not end")
    return vectors


def _parse_block(lines: list[str], start: int) -> dict[str, tuple[str, ...]]:
    fields: dict[str, list[str]] = {}
    key = ""
    for number, line in enumerate(lines, start + 1):
        if line.startswith("  ") and key:
            fields[key][-1] += line[2:]
            continue
        key, separator, value = line.partition(": ")
        if not separator and line.endswith(":"):
            key = line[:-1]
        if key not in _KEYS or (key in fields and key not in _REPEATED):
            raise BadVector(f"line {number}: {line[:40]!r} is not understood")
        fields.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in fields.items()}
