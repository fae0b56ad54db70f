"""What this machine remembers of a push that did not live to commit, so that the next one need not send it again.

The notes of a push lie in a folder that is named by its session. It holds a file `lock`, which the push holds locked
while it lives; what it was to send (`.roots`); and for each full pack that it sent a `.note`: the name of the roots,
then an index of the pack. Roots and notes are named by their BLAKE3. A push that finds such notes, and their lock free,
goes on with their session. Notes are hints: where one cannot be written or read, more is sent, and another push may
remove them at any time. Invariants:
- A pack is noted when it is durable in the remote, and looked for there before it counts.
- It counts only for a push that sends all that its own push was to send. So everything in it was asked for again, and
  what its trees and recipes refer to is in the remote when the new push commits.
- One process at a time goes on with a session, and none with one that is fenced: its packs may have been removed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.files import remove_tree, try_lock
from hitsave.errors import MalformedObject, RemoteNotFound
from hitsave.objects.digest import DIGEST_SIZE
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.transports.protocol import Transport

_ROOTS = ".roots"
_NOTE = ".note"
_LOCK = "lock"

#: Tells whether a push sends all of these, or they are in the remote.
Sends = Callable[[set[bytes]], bool]


class _Note(NamedTuple):
    roots: set[bytes]
    pack: IndexedPack


class Attempt:
    """The session of one push: what it was to send, and which packs of it are in the remote.

    It has to be released, or forgotten, at the end.
    """

    def __init__(self, folder: Path, session: Session, roots: Iterable[bytes], lock: int | None = None) -> None:
        self.session = session
        self.roots = set(roots)
        self.packs: list[IndexedPack] = []
        self._asked = b"".join(sorted(self.roots))
        self._folder = folder / session.hex
        self._lock = lock

    def note(self, pack: IndexedPack) -> None:
        """A pack was sent, and is durable."""
        with contextlib.suppress(OSError):
            if self._lock is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock = try_lock(os.fspath(self._folder / _LOCK))
            if self._lock is not None:
                roots = _write(self._folder, self._asked, _ROOTS)
                _write(self._folder, roots + encode_index([pack]), _NOTE)

    def forget(self) -> None:
        """The push is committed, or can never be."""
        _remove(self._folder)
        self.release()
        _remove(self._folder)  # Some systems remove no file that is open.

    def release(self) -> None:
        """The push has ended. What it noted stays."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def resume(folder: Path, view: View, transport: Transport, roots: set[bytes], sends: Sends) -> Attempt | None:
    """Go on with the session of a push of which the most is in the remote, and of use. Raises RemoteError."""
    best: Attempt | None = None
    for attempt in _abandoned(folder, roots):
        other: Attempt | None = attempt
        try:
            if attempt.session.fenced_by(view.commit):
                attempt.forget()
                continue
            _load(attempt, folder / attempt.session.hex, transport, sends)
            if _size(attempt) > (_size(best) if best else 0):
                best, other = attempt, best
        finally:
            if other is not None:
                other.release()
    return best


def forget_committed(folder: Path, refs: Iterable[bytes]) -> None:
    """Remove the notes of pushes that died when all was done: `refs` hold all that they were to send."""
    held: set[bytes] | None = None
    for attempt in _abandoned(folder, ()):
        held = set(refs) if held is None else held
        roots = {root for content in _read(folder / attempt.session.hex, _ROOTS) for root in _split(content)}
        if roots <= held:
            attempt.forget()
        attempt.release()


def _abandoned(folder: Path, roots: Iterable[bytes]) -> Iterator[Attempt]:
    """The attempts of which no process holds the lock; it is taken."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        with contextlib.suppress(ValueError, OSError):
            session = Session.from_token(bytes.fromhex(name))
            lock = try_lock(os.fspath(folder / name / _LOCK))
            if lock is not None:
                yield Attempt(folder, session, roots, lock)


def _size(attempt: Attempt) -> int:
    return sum(pack.length for pack in attempt.packs)


def _load(attempt: Attempt, folder: Path, transport: Transport, sends: Sends) -> None:
    """Take those of the noted packs into an attempt that are of use, and in the remote."""
    known = {blake3(content).digest(): set(_split(content)) for content in _read(folder, _ROOTS)}
    useful = {name for name, roots in known.items() if sends(roots)}
    notes = [
        _Note(known[name], pack)
        for content in _read(folder, _NOTE)
        if (name := content[:DIGEST_SIZE]) in useful
        for pack in _packs(content[DIGEST_SIZE:])
    ]
    there = _are_there(transport, [note.pack for note in notes])
    for note, is_there in zip(notes, there, strict=True):
        if is_there:
            attempt.roots |= note.roots
            attempt.packs.append(note.pack)


def _split(roots: bytes) -> Iterator[bytes]:
    return (roots[at : at + DIGEST_SIZE] for at in range(0, len(roots), DIGEST_SIZE))


def _packs(content: bytes) -> list[IndexedPack]:
    try:
        return Index(content).tables()
    except MalformedObject:
        return []


def _are_there(transport: Transport, packs: Sequence[IndexedPack]) -> list[bool]:
    if not packs:
        return []
    from concurrent.futures import ThreadPoolExecutor

    def is_there(pack: IndexedPack) -> bool:
        try:
            return len(transport.get(pack_key(pack.digest), pack.length - 1, 2)) == 1
        except RemoteNotFound:
            return False

    with ThreadPoolExecutor(transport.parallel) as pool:
        return list(pool.map(is_there, packs))


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        remove_tree(os.fspath(folder))


def _write(folder: Path, content: bytes, suffix: str) -> bytes:
    name = blake3(content)
    path = folder / f"{name.hexdigest()}{suffix}"
    if not path.exists():
        temporary = path.with_name(secrets.token_hex(6))
        temporary.write_bytes(content)
        os.replace(temporary, path)
    return name.digest()


def _read(folder: Path, suffix: str) -> Iterator[bytes]:
    """The files of which every byte is there: a push may have died in the middle of one."""
    try:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix == suffix]
        contents = [(path.stem, path.read_bytes()) for path in paths]
    except OSError:
        return
    yield from (content for name, content in contents if blake3(content).hexdigest() == name)
