"""Sends what refs own and the remote lacks.

Order: packs, then index and ref segment, then the commit that names them; before it nothing of a push can be seen, so
that one which is killed leaves the remote as it was. Only what the given refs own is sent: a pack of the cache goes as
it is where nothing else is in it; from others, blocks are copied as far as they hold nothing else, and encoded anew
otherwise. Everything is checked against its digest while it is sent. What a push that died had sent is not sent again.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from blake3 import blake3

from hitsave.cache.hashing import new_hasher
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ObjectNotFound, ReliedOnLost, RemoteConflict
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.graph import links
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import BlockEntry, EntryKindInPack, encode_block
from hitsave.packing.index import IndexedPack
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe
from hitsave.progress import Progress, Silent
from hitsave.remotes.keys import pack_key
from hitsave.remotes.log import Author, Remote
from hitsave.remotes.packstream import EncodedBlock, PackStream
from hitsave.remotes.reblock import Reblocker
from hitsave.remotes.sessions import Session
from hitsave.remotes.unfinished import Attempt, SentPack, forget, sent_before
from hitsave.remotes.view import View

_TRIES = 5


class Pushed(NamedTuple):
    """What a push did: objects and bytes of content that were new to the remote, bytes sent in packs, packs, refs."""

    objects: int = 0
    size: int = 0
    sent: int = 0
    packs: int = 0
    refs: int = 0


@dataclass(slots=True)
class _Wanted:
    """What has to be sent: packed objects by the pack that holds them, and whole files; and what the remote has."""

    packed: dict[Digest, dict[bytes, int]] = field(default_factory=dict)
    whole: dict[Digest, Path] = field(default_factory=dict)
    relied_on: list[Digest] = field(default_factory=list)
    seen: set[Digest] = field(default_factory=set)
    size: int = 0


def push(remote: Remote, cache: Cache, refs: Iterable[Ref], author: Author, progress: Progress | None = None) -> Pushed:
    """Send what `refs` own. Raises ObjectNotFound, CorruptObject, RemoteError; then nothing has changed there."""
    progress = progress or Silent()
    asked = list(refs)
    for _ in range(_TRIES):
        view = remote.latest()
        held = view.refs() if asked else {}
        changes: dict[RefName, Ref | None] = {ref.name: ref for ref in asked if held.get(ref.name) is None}
        if not changes:
            return Pushed()
        new = [ref for ref in asked if ref.name in changes]
        try:
            return _Push(remote, cache, view, new, progress).run(author)
        except ReliedOnLost:
            continue
    raise ReliedOnLost([str(ref.digest) for ref in asked[:1]])


class _Push:
    """One try, on top of one view."""

    def __init__(self, remote: Remote, cache: Cache, view: View, refs: Sequence[Ref], progress: Progress) -> None:
        self._remote = remote
        self._cache = cache
        self._view = view
        self._refs = refs
        self._progress = progress
        self._wanted = _find_wanted(cache, view, refs)
        self._attempt = Attempt(remote.unfinished, {ref.digest for ref in refs})
        self._sent: list[IndexedPack] = []
        self._as_they_are: list[IndexedPack] = []
        #: Where what was sent before lies, and which of those packs this push needs.
        self._before: dict[bytes, SentPack] = {}
        self._used: dict[Digest, SentPack] = {}

    def run(self, author: Author) -> Pushed:
        """Send, and commit. Raises ReliedOnLost where something moved meanwhile."""
        wanted = self._wanted
        self._progress.start("pushing", wanted.size)
        count = sum(map(len, wanted.packed.values())) + len(wanted.whole)
        if count:
            self._look_for_what_was_sent()
        if wanted.packed:
            self._send_packed()
        if wanted.whole:
            self._send_whole()
        packs = {pack.digest: pack for pack in (*self._sent, *self._as_they_are)}
        packs |= {digest: before.pack for digest, before in self._used.items()}
        changes = {ref.name: ref for ref in self._refs}
        session = Session.begin(self._view.number)
        self._remote.append(self._view, session, author, "push", packs.values(), changes, wanted.relied_on)
        self._attempt.forget()
        forget(self._before.values())
        return Pushed(count, wanted.size, sum(pack.length for pack in self._sent), len(self._sent), len(self._refs))

    def _look_for_what_was_sent(self) -> None:
        def needed(digest: bytes) -> bool:
            return digest in self._wanted.seen or self._view.has(digest)

        for before in sent_before(self._remote.unfinished, self._remote.transport, needed):
            entries = list(before.pack.table.entries())
            recipes = {entry.digest for entry in entries if entry.kind == EntryKindInPack.RECIPE}
            # Only of these does this push see to it that all the chunks are there.
            if all(blob in self._wanted.whole or self._view.has(blob) for blob in recipes):
                self._before |= {entry.digest: before for entry in entries}

    def _was_sent(self, digest: bytes) -> bool:
        before = self._before.get(digest)
        if before is not None:
            self._used[before.pack.digest] = before
        return before is not None

    # -- objects out of packs

    def _send_packed(self) -> None:
        tables = _tables(self._cache, self._wanted.packed.keys())
        with PackStream(self._remote.transport, self._attempt.note) as stream:
            rest = Reblocker(stream)
            for digest, asked in self._wanted.packed.items():
                needed = {key: length for key, length in asked.items() if not self._was_sent(key)}
                pack = tables[digest]
                if _is_all_of(pack, needed):
                    self._send_as_it_is(pack)
                elif needed:
                    with _open_pack(self._cache, digest) as file:
                        rest.copy(file, self._cache.pack_path(digest), pack, needed)
                self._progress.advance(sum(asked.values()), len(asked))
            rest.flush()
        self._sent += stream.packs

    def _send_as_it_is(self, pack: IndexedPack) -> None:
        path = self._cache.pack_path(pack.digest)
        _open_pack(self._cache, pack.digest).close()
        try:
            if new_hasher().update_mmap(path).digest() != pack.digest:
                reason = "the pack has another digest; run 'hitsave fsck'"
                raise CorruptObject(str(pack.digest), os.fspath(path), reason)
            self._remote.transport.put_file(pack_key(pack.digest), path)
            self._sent.append(pack)
        except RemoteConflict:  # The very same bytes: a push that died had sent them.
            self._as_they_are.append(pack)
        except FileNotFoundError:
            raise ReliedOnLost([str(pack.digest)]) from None

    # -- large objects

    def _send_whole(self) -> None:
        with PackStream(self._remote.transport, self._attempt.note) as stream:
            sent: set[bytes] = set()
            for digest, path in self._wanted.whole.items():
                self._send_file(stream, digest, path, sent)
        self._sent += stream.packs

    def _send_file(self, stream: PackStream, digest: Digest, path: Path, sent: set[bytes]) -> None:
        """Send the chunks of a file that are not there yet, and its recipe."""
        whole = blake3()
        chunks: list[Chunk] = []
        with _open_file(path, digest) as file, _mapped(file) as mapped:
            size = len(mapped)
            for offset, length in self._remote.format.chunking.cuts(mapped):
                content = bytes(mapped[offset : offset + length])
                whole.update(content)
                chunk = Chunk(blob_digest(content), len(content))
                chunks.append(chunk)
                if self._view.has(chunk.digest):
                    self._wanted.relied_on.append(chunk.digest)
                elif chunk.digest not in sent and not self._was_sent(chunk.digest):
                    sent.add(chunk.digest)
                    _send_entry(stream, chunk.digest, EntryKindInPack.BLOB, content)
                self._progress.advance(length)
        if whole.digest() != digest:
            raise CorruptObject(str(digest), os.fspath(path), "its content has another digest; nothing was pushed")
        # A single chunk has the name of the blob itself.
        if len(chunks) > 1 and not self._was_sent(digest):
            recipe = Recipe(digest, size, tuple(chunks))
            _send_entry(stream, digest, EntryKindInPack.RECIPE, encode_recipe(recipe))
        self._progress.advance(0, 1)


def _find_wanted(cache: Cache, view: View, refs: Sequence[Ref]) -> _Wanted:
    """Walk from the refs; a tree that the remote has is there with all beneath it, and is not looked into."""
    wanted = _Wanted()
    pending = [(ref.digest, ref.kind) for ref in refs]
    while pending:
        digest, kind = pending.pop()
        if digest in wanted.seen:
            continue
        wanted.seen.add(digest)
        if view.has(digest):
            wanted.relied_on.append(digest)
            continue
        if kind is not ObjectKind.BLOB:
            pending += [(link.digest, link.kind) for link in links(kind, cache.read(digest))]
        _want(cache, digest, wanted)
    return wanted


def _want(cache: Cache, digest: Digest, wanted: _Wanted) -> None:
    location = cache.packset.find_known(digest) or cache.locate(digest)
    if location is not None:
        wanted.packed.setdefault(location.pack, {})[digest] = location.length
        wanted.size += location.length
        return
    path = cache.whole_file(digest)
    if path is None:
        raise ObjectNotFound(str(digest), "the cache, so it cannot be pushed; 'hitsave fetch' brings what is elsewhere")
    wanted.whole[digest] = path
    try:
        wanted.size += path.stat().st_size
    except FileNotFoundError:
        raise ReliedOnLost([str(digest)]) from None


def _is_all_of(pack: IndexedPack, needed: dict[bytes, int]) -> bool:
    """Whether every byte of a pack's blocks is needed; some may belong to no entry."""
    everything = sum(block.raw for block in pack.table.blocks)
    return len(needed) == len(pack.table.records) and sum(needed.values()) == everything


def _tables(cache: Cache, packs: Iterable[Digest]) -> dict[Digest, IndexedPack]:
    missing = set(packs)
    found: dict[Digest, IndexedPack] = {}
    for index in cache.packset.indexes().values():
        if missing.isdisjoint(summary.digest for summary in index.packs):
            continue
        for pack in index.tables():
            if pack.digest in missing:
                found[pack.digest] = pack
    if moved := missing - found.keys():
        raise ReliedOnLost([str(pack) for pack in moved])
    return found


def _open_pack(cache: Cache, pack: Digest) -> BinaryIO:
    """Raises ReliedOnLost where a collection has replaced it, CorruptObject where it is lost."""
    path = cache.pack_path(pack)
    try:
        return path.open("rb")
    except FileNotFoundError:
        cache.database.settle()
        if all(summary.digest != pack for summary in cache.packs()):
            raise ReliedOnLost([str(pack)]) from None
        raise CorruptObject(str(pack), os.fspath(path), "the pack is missing") from None


def _open_file(path: Path, digest: Digest) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ReliedOnLost([str(digest)]) from None


def _send_entry(stream: PackStream, digest: bytes, kind: EntryKindInPack, content: bytes) -> None:
    codec, stored = encode_block(content)
    entry = BlockEntry(digest, kind, 0, len(content))
    stream.add(EncodedBlock(codec, stored, len(content), (entry,)))


@contextmanager
def _mapped(file: BinaryIO) -> Iterator[memoryview]:
    if not os.fstat(file.fileno()).st_size:
        yield memoryview(b"")
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as content:
        yield content
