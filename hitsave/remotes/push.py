"""Sends what refs own and the remote lacks.

Order: packs, then index and ref segment, then the commit that names them; before it nothing of a push can be seen, so
that one which is killed leaves the remote as it was. Only what the given refs own is sent: a pack of the cache goes as
it is where nothing else is in it; from others, blocks are copied as far as they hold nothing else, and encoded anew
otherwise. Everything is checked against its digest while it is sent.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, MalformedObject, ObjectNotFound, ReliedOnLost, RemoteConflict
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.graph import links
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import (
    BlockBuilder,
    BlockEntry,
    EntryKindInPack,
    decode_block,
    encode_block,
    entry_content,
)
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import Block, PackEntry
from hitsave.packing.packreader import check_entry
from hitsave.packing.recipe import Chunk, Recipe, encode_recipe
from hitsave.progress import Progress, Silent
from hitsave.remotes.log import Author, Remote, View, pack_key
from hitsave.remotes.packstream import EncodedBlock, PackStream

_TRIES = 5


class Pushed(NamedTuple):
    """What a push did: objects and bytes of content that were new to the remote, bytes really sent, packs, refs."""

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
    size: int = 0
    count: int = 0


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
            return _send(remote, cache, view, new, author, progress)
        except ReliedOnLost:
            continue
    raise ReliedOnLost([str(ref.digest) for ref in asked[:1]])


def _send(remote: Remote, cache: Cache, view: View, refs: Sequence[Ref], author: Author, progress: Progress) -> Pushed:
    wanted = _find_wanted(cache, view, refs)
    progress.start("pushing", wanted.size)
    packs = _send_packed(remote, cache, wanted, progress)
    packs += _send_whole(remote, view, wanted, progress)
    remote.append(view, author, "push", packs, {ref.name: ref for ref in refs}, wanted.relied_on)
    sent = sum(pack.length for pack in packs)
    return Pushed(wanted.count, wanted.size, sent, len(packs), len(refs))


def _find_wanted(cache: Cache, view: View, refs: Sequence[Ref]) -> _Wanted:
    """Walk from the refs; a tree that the remote has is there with all beneath it, and is not looked into."""
    wanted = _Wanted()
    seen: set[Digest] = set()
    pending = [(ref.digest, ref.kind) for ref in refs]
    while pending:
        digest, kind = pending.pop()
        if digest in seen:
            continue
        seen.add(digest)
        if view.has(digest):
            wanted.relied_on.append(digest)
            continue
        if kind is not ObjectKind.BLOB:
            pending += [(link.digest, link.kind) for link in links(kind, cache.read(digest))]
        _want(cache, digest, wanted)
    return wanted


def _want(cache: Cache, digest: Digest, wanted: _Wanted) -> None:
    wanted.count += 1
    location = cache.packset.find_known(digest) or cache.locate(digest)
    if location is not None:
        wanted.packed.setdefault(location.pack, {})[digest] = location.length
        wanted.size += location.length
        return
    path = cache.whole_file(digest)
    if path is None:
        raise ObjectNotFound(str(digest), "the cache, so it cannot be pushed; 'hitsave fetch' brings what is elsewhere")
    wanted.whole[digest] = path
    wanted.size += path.stat().st_size


# -- objects out of packs


def _send_packed(remote: Remote, cache: Cache, wanted: _Wanted, progress: Progress) -> list[IndexedPack]:
    sent: list[IndexedPack] = []
    tables = _tables(cache, wanted.packed.keys())
    with PackStream(remote.transport) as stream:
        rest = _Reblocker(stream)
        for digest, needed in wanted.packed.items():
            pack = tables[digest]
            path = cache.pack_path(digest)
            if len(needed) == len(pack.table.records):
                _check_name(path, digest)
                with contextlib.suppress(RemoteConflict):  # The very same bytes: a push that died had sent them.
                    remote.transport.put_file(pack_key(digest), path)
                sent.append(pack)
            else:
                rest.copy(path, pack, needed)
            progress.advance(sum(needed.values()), len(needed))
        rest.flush()
    return sent + stream.packs


def _tables(cache: Cache, packs: Iterable[Digest]) -> dict[Digest, IndexedPack]:
    missing = set(packs)
    found: dict[Digest, IndexedPack] = {}
    for index in cache.packset.indexes().values():
        if missing.isdisjoint(summary.digest for summary in index.packs):
            continue
        for pack in index.tables():
            if pack.digest in missing:
                found[pack.digest] = pack
    return found


def _check_name(path: Path, digest: Digest) -> None:
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(path)
    if hasher.digest() != digest:
        raise CorruptObject(str(digest), os.fspath(path), "the pack has another digest; run 'hitsave fsck'")


class _Reblocker:
    """Takes a part of the objects of packs over into a stream."""

    def __init__(self, stream: PackStream) -> None:
        self._stream = stream
        self._blobs = BlockBuilder()
        self._others = BlockBuilder()

    def copy(self, path: Path, pack: IndexedPack, needed: dict[bytes, int]) -> None:
        """Those entries of a pack that are needed, and no others."""
        by_block: dict[int, list[PackEntry]] = {}
        for entry in pack.table.entries():
            by_block.setdefault(entry.block, []).append(entry)
        with path.open("rb") as file:
            for number, entries in by_block.items():
                if not any(entry.digest in needed for entry in entries):
                    continue
                block = pack.table.blocks[number]
                file.seek(block.offset)
                try:
                    self._copy_block(block, file.read(block.stored), entries, needed)
                except MalformedObject as error:
                    raise CorruptObject(str(pack.digest), os.fspath(path), str(error)) from None

    def _copy_block(self, block: Block, stored: bytes, entries: list[PackEntry], needed: dict[bytes, int]) -> None:
        content = decode_block(block.codec, stored, block.raw)
        kept: list[BlockEntry] = []
        pieces: list[tuple[PackEntry, bytes | memoryview]] = []
        for entry in entries:
            if entry.digest in needed:
                piece = entry_content(content, entry.digest, entry.offset, entry.length)
                check_entry(entry.digest, entry.kind, piece)
                pieces.append((entry, piece))
                kept.append(BlockEntry(entry.digest, entry.kind, entry.offset, entry.length))
        if len(kept) == len(entries):
            self._stream.add(EncodedBlock(block.codec, stored, block.raw, tuple(kept)))
            return
        for entry, piece in pieces:
            self._add(entry, piece)

    def _add(self, entry: PackEntry, content: bytes | memoryview) -> None:
        builder = self._blobs if entry.kind == EntryKindInPack.BLOB else self._others
        builder.add(entry.digest, entry.kind, content)
        if builder.full:
            self._send(builder)
            if builder is self._blobs:
                self._blobs = BlockBuilder()
            else:
                self._others = BlockBuilder()

    def _send(self, builder: BlockBuilder) -> None:
        content = builder.content()
        codec, stored = encode_block(content)
        self._stream.add(EncodedBlock(codec, stored, len(content), tuple(builder.entries)))

    def flush(self) -> None:
        """Send what is left."""
        for builder in (self._blobs, self._others):
            if builder.entries:
                self._send(builder)


# -- large objects


def _send_whole(remote: Remote, view: View, wanted: _Wanted, progress: Progress) -> list[IndexedPack]:
    if not wanted.whole:
        return []
    with PackStream(remote.transport) as stream:
        sent: set[bytes] = set()
        for digest, path in wanted.whole.items():
            wanted.relied_on += _send_file(remote, view, stream, digest, path, sent, progress)
    return stream.packs


def _send_file(
    remote: Remote, view: View, stream: PackStream, digest: Digest, path: Path, sent: set[bytes], progress: Progress
) -> list[Digest]:
    """Send the chunks of a file that are not there yet, and its recipe; gives those that were found there."""
    whole = blake3()
    chunks: list[Chunk] = []
    found: list[Digest] = []
    size = path.stat().st_size
    with path.open("rb", buffering=0) as file:
        for _, length in remote.format.chunking.cuts(size):
            content = _read_exactly(file.fileno(), length)
            whole.update(content)
            chunk = Chunk(blob_digest(content), len(content))
            chunks.append(chunk)
            if view.has(chunk.digest):
                found.append(chunk.digest)
            elif chunk.digest not in sent:
                sent.add(chunk.digest)
                codec, stored = encode_block(content)
                entry = BlockEntry(chunk.digest, EntryKindInPack.BLOB, 0, len(content))
                stream.add(EncodedBlock(codec, stored, len(content), (entry,)))
            progress.advance(length)
    if whole.digest() != digest:
        raise CorruptObject(str(digest), os.fspath(path), "its content has another digest; nothing was pushed")
    if len(chunks) > 1:  # A single chunk has the name of the blob itself.
        _send_recipe(stream, Recipe(digest, size, tuple(chunks)))
    progress.advance(0, 1)
    return found


def _send_recipe(stream: PackStream, recipe: Recipe) -> None:
    content = encode_recipe(recipe)
    codec, stored = encode_block(content)
    entry = BlockEntry(recipe.blob, EntryKindInPack.RECIPE, 0, len(content))
    stream.add(EncodedBlock(codec, stored, len(content), (entry,)))


def _read_exactly(fd: int, length: int) -> bytes:
    content = os.read(fd, length)
    while len(content) < length and (more := os.read(fd, length - len(content))):
        content += more
    return content
