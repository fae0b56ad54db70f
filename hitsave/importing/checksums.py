"""The checksums of other tools, of files that are read in steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from hitsave.importing.model import Checksum

#: DVC made CRLF into LF in pieces of this length, so that one across two pieces stayed.
_STEP = 1 << 20


class _Hash(Protocol):
    def update(self, content: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


_Make = Callable[[], _Hash]


def can_check(algorithm: str) -> bool:
    """Whether contents can be compared with a checksum of this kind."""
    return _maker(algorithm) is not None


def fits(content: BinaryIO, checksum: Checksum) -> bool:
    """Whether an open file has this checksum. Raises ValueError for a kind that is not known."""
    make = _maker(checksum.algorithm)
    if make is None:
        raise ValueError(f"{checksum.algorithm!r} is no checksum that can be computed")
    plain, text = make(), make() if checksum.text else None
    while piece := content.read(_STEP):
        plain.update(piece)
        if text is not None:
            text.update(piece.replace(b"\r\n", b"\n"))
    return checksum.value in (plain.hexdigest(), text and text.hexdigest())


def _maker(algorithm: str) -> _Make | None:
    """What makes a hash of this kind: a name that hashlib knows, or `blake2b-256` with a length in bits."""
    name, _, bits = algorithm.partition("-")
    if name in ("blake2b", "blake2s") and bits.isdigit():
        blake = hashlib.blake2b if name == "blake2b" else hashlib.blake2s
        size = int(bits) // 8
        return lambda: blake(digest_size=size, usedforsecurity=False)
    if name not in hashlib.algorithms_guaranteed or name.startswith("shake"):
        return None
    return lambda: hashlib.new(algorithm, usedforsecurity=False)
