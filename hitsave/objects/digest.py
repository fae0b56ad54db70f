"""Names of objects (objects_spec.md, section 2).

A digest is BLAKE3-256. A blob's is the plain hash of its bytes; trees and evaluations are hashed in
key-derivation mode under context strings of their own, so that no file's content can pass for either.
"""

from __future__ import annotations

import re
from enum import IntEnum

from blake3 import blake3

DIGEST_SIZE = 32
SHORTEST_ABBREVIATION = 7

TREE_CONTEXT = "hitsave 2026-11 tree v1"
EVALUATION_CONTEXT = "hitsave 2026-11 evaluation v1"

_HEX = re.compile(r"[0-9a-f]{64}")
_ABBREVIATION = re.compile(rf"[0-9a-f]{{{SHORTEST_ABBREVIATION},64}}")


class Digest(bytes):
    """32 bytes that name an object; `str()` gives 64 lower-case hex digits. Equal to its plain bytes."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"Digest({self.hex()})"

    @property
    def short(self) -> str:
        """The first 12 hex digits, for people."""
        return self.hex()[:12]


class ObjectKind(IntEnum):
    """What an object is; the numbers are those of pack entries (objects_spec.md, section 5)."""

    BLOB = 1
    TREE = 2
    EVALUATION = 3


def parse_digest(text: str) -> Digest:
    """The digest that 64 lower-case hex digits stand for. Raises ValueError."""
    if not _HEX.fullmatch(text):
        raise ValueError(f"{text!r} is not a digest (64 lower-case hex digits)")
    return Digest(bytes.fromhex(text))


def is_abbreviation(text: str) -> bool:
    """Whether `text` may stand for an object: 7 to 64 lower-case hex digits."""
    return _ABBREVIATION.fullmatch(text) is not None


def blob_digest(content: bytes | bytearray | memoryview) -> Digest:
    """The digest of a blob, equal to what `b3sum` prints for a file with that content."""
    return Digest(blake3(content).digest())


def tree_digest(encoded: bytes | memoryview) -> Digest:
    """The digest of a tree in its canonical encoding."""
    return Digest(blake3(encoded, derive_key_context=TREE_CONTEXT).digest())


def evaluation_digest(encoded: bytes | memoryview) -> Digest:
    """The digest of an evaluation in its canonical encoding."""
    return Digest(blake3(encoded, derive_key_context=EVALUATION_CONTEXT).digest())


def object_digest(kind: ObjectKind, content: bytes | memoryview) -> Digest:
    """The digest of any object, by its kind."""
    if kind is ObjectKind.BLOB:
        return blob_digest(content)
    return tree_digest(content) if kind is ObjectKind.TREE else evaluation_digest(content)
