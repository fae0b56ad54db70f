"""What this machine remembers of a push that did not live to commit, so that the next one need not send it again.

Each push has a folder with files that are named by their BLAKE3: what it was to send (`.roots`), and an index of each
full pack that it sent (`.index`). Notes are hints: where one cannot be written or read, more is sent, and another push
may remove them at any time. Invariants:
- A pack is noted when it is durable in the remote, and looked for there before it counts.
- It counts only for a push that sends all that its own push was to send. So everything in it was asked for again, and
  what its trees and recipes refer to is in the remote when the new push commits.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.files import remove_tree
from hitsave.errors import MalformedObject, RemoteNotFound
from hitsave.objects.digest import DIGEST_SIZE
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.remotes.keys import pack_key
from hitsave.remotes.transport import Transport

_ROOTS = ".roots"
_INDEX = ".index"


class SentPack(NamedTuple):
    """A pack that was sent before, and the folder that says so."""

    pack: IndexedPack
    folder: Path


class Attempt:
    """The notes of one push."""

    def __init__(self, folder: Path, roots: Iterable[bytes]) -> None:
        self._folder = folder / secrets.token_hex(8)
        self._roots = b"".join(sorted(roots))

    def note(self, pack: IndexedPack) -> None:
        """A pack was sent, and is durable."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(self._folder, self._roots, _ROOTS)
            _write(self._folder, encode_index([pack]), _INDEX)

    def forget(self) -> None:
        """The push is committed."""
        _remove(self._folder)


def forget(sent: Iterable[SentPack]) -> None:
    """What was noted of these packs' pushes is committed."""
    for folder in {before.folder for before in sent}:
        _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        remove_tree(os.fspath(folder))


def sent_before(folder: Path, transport: Transport, needed: Callable[[bytes], bool]) -> Iterator[SentPack]:
    """The packs of pushes all of whose roots are `needed` now. Raises RemoteError."""
    try:
        attempts = sorted(folder.iterdir())
    except OSError:
        return
    for attempt in attempts:
        roots = list(_read(attempt, _ROOTS))
        if len(roots) != 1 or not all(map(needed, _split(roots[0]))):
            continue
        for content in _read(attempt, _INDEX):
            yield from (SentPack(pack, attempt) for pack in _packs(content) if _is_there(transport, pack))


def _split(roots: bytes) -> Iterator[bytes]:
    return (roots[at : at + DIGEST_SIZE] for at in range(0, len(roots), DIGEST_SIZE))


def _packs(content: bytes) -> list[IndexedPack]:
    try:
        return Index(content).tables()
    except MalformedObject:
        return []


def _is_there(transport: Transport, pack: IndexedPack) -> bool:
    try:
        return len(transport.get(pack_key(pack.digest), pack.length - 1, 2)) == 1
    except RemoteNotFound:
        return False


def _write(folder: Path, content: bytes, suffix: str) -> None:
    (folder / f"{blake3(content).hexdigest()}{suffix}").write_bytes(content)


def _read(folder: Path, suffix: str) -> Iterator[bytes]:
    """The files of which every byte is there: a push may have died, or be under way, in the middle of one."""
    try:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix == suffix]
        contents = [(path.stem, path.read_bytes()) for path in paths]
    except OSError:
        return
    yield from (content for name, content in contents if blake3(content).hexdigest() == name)
