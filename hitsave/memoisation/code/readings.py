"""What was read out of source files, kept in the cache folder, so that the next process need not parse them again.

To parse and digest the sources of a large project takes a second; to look which bytes they have takes milliseconds. An
entry is a pure function of what it is found by: the bytes of the source file, the code object as `marshal` writes it,
and what attention was paid. It counts only for this very interpreter, and these very modules of hitsave. So an entry
that is found is right, and an edit finds none. What decorators mean is not in the file: the answers that went into an
entry stand beside it, and are asked for again.

Losing it, or two processes that write at once, costs time only. A file holds the entries that one module's memoised
functions need, for the current content of each source file; it begins with the digest of its rest, and one that is
damaged is not looked at.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import secrets
import sys
import time
from functools import cache
from types import CodeType
from typing import NamedTuple

from blake3 import blake3

from hitsave.memoisation.code.names import Import, Uses
from hitsave.memoisation.code.normal import Attention

FOLDER = "readings"
_AUTHORS = ("names.py", "normal.py", "readings.py", "rewriting.py", "source.py")
_DAY = 86_400.0
_KEPT_DAYS = 60
_SIZE = 32


class Reading(NamedTuple):
    """What one function's source says: digest and text, what the code uses, and which decorators were asked about."""

    digest: bytes
    text: str
    asked: tuple[tuple[str, bool], ...]
    uses: tuple[object, ...]


def code_key(code: CodeType, attention: Attention) -> bytes | None:
    """What names a code object with everything in it; None where it holds what cannot be written."""
    try:
        written = marshal.dumps(code, 2)  # Later versions write how often things are referred to as well.
    except ValueError:
        return None
    return blake3(written).digest() + bytes(attention)


def pack_uses(uses: Uses) -> tuple[object, ...]:
    """As `marshal` can write it."""
    imports = tuple(tuple(each) for each in uses.imports)
    return uses.globals, uses.free, imports, uses.reflective, tuple(sorted(uses.mentions))


def unpack_uses(packed: tuple[object, ...]) -> Uses:
    """The opposite."""
    chains, free, imports, reflective, mentions = packed
    made = tuple(Import(*each) for each in imports)  # type: ignore[attr-defined]
    return Uses(chains, free, made, bool(reflective), frozenset(mentions))  # type: ignore[arg-type, call-overload]


class Readings:
    """The readings of the sources that one module needs."""

    def __init__(self, cache_folder: str, module: str) -> None:
        """`module` names whose readings they are: the path of its file."""
        self._folder = os.path.join(cache_folder, FOLDER)
        self._path = os.path.join(self._folder, blake3(_environment() + os.fsencode(module)).hexdigest(16))
        self._files: dict[str, tuple[bytes, dict[bytes, tuple[object, ...]]]] = {}
        self._loaded = False
        self._changed = False

    def _load(self) -> None:
        self._loaded = True
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
            with open(self._path, "rb") as file:
                content = file.read()
                age = time.time() - os.fstat(file.fileno()).st_mtime
            if blake3(memoryview(content)[_SIZE:]).digest() == content[:_SIZE]:
                self._files = marshal.loads(memoryview(content)[_SIZE:])
                if age > _DAY:
                    os.utime(self._path)

    def get(self, filename: str, content: bytes, key: bytes) -> Reading | None:
        """The reading of a code object, from the file that has content of this digest."""
        if not self._loaded:
            self._load()
        known = self._files.get(filename)
        found = known[1].get(key) if known is not None and known[0] == content else None
        return None if found is None else Reading(*found)  # type: ignore[arg-type]

    def put(self, filename: str, content: bytes, key: bytes, reading: Reading) -> None:
        """Keep a reading. What was read out of other contents of the same file goes."""
        known = self._files.get(filename)
        if known is None or known[0] != content:
            known = self._files[filename] = (content, {})
        known[1][key] = tuple(reading)
        self._changed = True

    def save(self) -> None:
        """Write what is new. Where that cannot be, the next process reads the sources again."""
        if not self._changed:
            return
        self._changed = False
        temporary = f"{self._path}.{secrets.token_hex(4)}"
        with contextlib.suppress(OSError, ValueError):
            content = marshal.dumps(self._files)
            os.makedirs(self._folder, exist_ok=True)
            self._drop_old()
            try:
                with open(temporary, "xb") as file:
                    file.write(blake3(content).digest() + content)
                os.replace(temporary, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def _drop_old(self) -> None:
        """Remove what nobody has used for long: of files that are gone, and of other versions."""
        oldest = time.time() - _KEPT_DAYS * _DAY
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.stat().st_mtime < oldest:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)


@cache
def _environment() -> bytes:
    """What else a reading depends on: the interpreter, and the code that reads."""
    hasher = blake3(f"{sys.version} {sys.implementation.cache_tag} {sys.flags.optimize}".encode())
    for name in _AUTHORS:
        with contextlib.suppress(OSError), open(os.path.join(os.path.dirname(__file__), name), "rb") as file:
            hasher.update(blake3(file.read()).digest())
    return hasher.digest()
