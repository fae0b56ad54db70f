"""Verification of a remote: every index and pack that its newest commit knows, and what every ref needs.

What is lost is told by object, with the refs that need it; a damaged pack with the refs that lose something by it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hitsave.cache.hashing import new_hasher
from hitsave.errors import MalformedObject, ObjectError, RemoteError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import Link, links
from hitsave.objects.refs import Ref
from hitsave.packing.blocks import decode_block, entry_content
from hitsave.packing.index import IndexedPack
from hitsave.packing.packreader import check_entry, pack_contents, read_table
from hitsave.progress import Progress, Silent
from hitsave.remotes.keys import index_key, pack_key
from hitsave.remotes.log import Remote
from hitsave.remotes.reader import Reader
from hitsave.remotes.view import View


class RemoteFault(NamedTuple):
    """Something that is lost or wrong: the object where it is known, the key or ref, why, and whose it is."""

    digest: Digest | None
    where: str
    reason: str
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteReport:
    """What was looked at, and what was wrong with it. `size` is in bytes read."""

    objects: int
    size: int
    refs: int
    faults: tuple[RemoteFault, ...]


def verify(
    remote: Remote, sample: float | None = None, seed: int = 0, progress: Progress | None = None
) -> RemoteReport:
    """Read the packs of the newest commit, or a part of them (0 to 1), and follow every ref. Changes nothing.

    Raises RemoteCorrupt where the commit, an index or a ref segment cannot be read: nothing can be followed then.
    """
    progress = progress or Silent()
    view = remote.latest()
    lengths = view.pack_lengths()
    chosen = _choose(sorted(lengths), sample, seed)
    size = sum(lengths[pack] for pack in chosen)
    progress.start("verifying", size)
    faults = _verify_indexes(remote, view)
    objects = 0
    damaged: dict[Digest, str] = {}
    lost: dict[bytes, Digest] = {}
    for pack in () if faults else view.packs():
        if pack.digest not in chosen:
            continue
        reason, unreadable = _verify_pack(remote, pack)
        objects += len(pack.table.records) - len(unreadable)
        if reason:
            damaged[pack.digest] = reason
            lost |= dict.fromkeys(unreadable, pack.digest)
        progress.advance(pack.length)
    refs = list(view.refs().values())
    owners = _Owners(remote, view, lost)
    for ref in refs:
        owners.follow(ref)
    for digest, reason in sorted(damaged.items()):
        where = f"{remote.transport.url}: {pack_key(digest)}"
        faults.append(RemoteFault(None, where, reason, tuple(sorted(owners.of_packs.get(digest, ())))))
    faults += owners.faults()
    return RemoteReport(objects, size, len(refs), tuple(faults))


def _choose(packs: list[Digest], sample: float | None, seed: int) -> set[Digest]:
    if sample is None:
        return set(packs)
    return set(random.Random(seed).sample(packs, min(len(packs), max(1, round(len(packs) * sample)))))


def _verify_indexes(remote: Remote, view: View) -> list[RemoteFault]:
    faults: list[RemoteFault] = []
    for file, index in zip(view.commit.indexes if view.commit else (), view.indexes(), strict=True):
        try:
            index.verify()
        except MalformedObject as error:
            faults.append(RemoteFault(None, f"{remote.transport.url}: {index_key(file)}", str(error)))
    return faults


def _verify_pack(remote: Remote, pack: IndexedPack) -> tuple[str, set[bytes]]:
    """What is wrong with a pack, and which of its entries cannot be read by the index."""
    try:
        content = remote.transport.get(pack_key(pack.digest))
    except RemoteError as error:
        return str(error), {record[:32] for record in pack.table.records}
    view = memoryview(content)

    def read(offset: int, length: int) -> bytes:
        return bytes(view[offset : offset + length])

    try:
        if new_hasher().update(content).digest() != pack.digest:
            raise MalformedObject("pack", "has another digest than its name")
        own = read_table(read, len(content), pack.digest)
        if not holds_all_of(own, pack):
            raise MalformedObject("pack", "does not hold what its index says")
        for _ in pack_contents(read, own):
            pass
    except MalformedObject as error:
        return str(error), _unreadable(view, pack)
    return "", set()


def holds_all_of(own: IndexedPack, indexed: IndexedPack) -> bool:
    """Whether a pack's own table says what an index says of it; of entries, an index may leave some out."""
    same = own.digest == indexed.digest and own.length == indexed.length and own.table.blocks == indexed.table.blocks
    return same and set(indexed.table.records) <= set(own.table.records)


def _unreadable(content: memoryview, pack: IndexedPack) -> set[bytes]:
    found: set[bytes] = set()
    decoded: memoryview | bytes = b""
    current = -1
    for entry in sorted(pack.table.entries(), key=lambda entry: entry.block):
        try:
            if entry.block != current:
                decoded, current = b"", entry.block
                block = pack.table.blocks[entry.block]
                decoded = decode_block(block.codec, content[block.offset : block.offset + block.stored], block.raw)
            check_entry(entry.digest, entry.kind, entry_content(decoded, entry.digest, entry.offset, entry.length))
        except MalformedObject:
            found.add(entry.digest)
    return found


class _Owners:
    """Follows refs, and notes for each object that is lost which of them need it."""

    def __init__(self, remote: Remote, view: View, lost: dict[bytes, Digest]) -> None:
        self._url = remote.transport.url
        self._view = view
        self._reader = Reader(remote, view)
        self._lost = lost
        #: What was found out about each object: why it is lost, the pack that it is lost with, what it needs.
        self._known: dict[Digest, tuple[str, Digest | None, list[Link]]] = {}
        self._owners: dict[Digest, list[str]] = {}
        self.of_packs: dict[Digest, set[str]] = {}

    def follow(self, ref: Ref) -> None:
        """Look at everything that a ref needs."""
        seen: set[Digest] = set()
        pending = [(ref.digest, ref.kind)]
        while pending:
            digest, kind = pending.pop()
            if digest in seen:
                continue
            seen.add(digest)
            if digest not in self._known:
                self._known[digest] = self._look(digest, kind)
            reason, pack, needed = self._known[digest]
            if reason:
                self._owners.setdefault(digest, []).append(str(ref.name))
            if pack is not None:
                self.of_packs.setdefault(pack, set()).add(str(ref.name))
            pending += [(link.digest, link.kind) for link in needed]

    def _look(self, digest: Digest, kind: ObjectKind) -> tuple[str, Digest | None, list[Link]]:
        if (pack := self._lost.get(digest)) is not None:
            return f"the object cannot be read out of {pack_key(pack)}", pack, []
        try:
            if kind is not ObjectKind.BLOB:
                return "", None, list(links(kind, self._reader.read(digest)))
            if not self._view.has(digest):
                return "the object is missing", None, []
            recipe = self._reader.recipe(digest)
        except (ObjectError, RemoteError) as error:
            return str(error), None, []
        for chunk in recipe.chunks if recipe else ():
            if (pack := self._lost.get(chunk.digest)) is not None:
                return f"its chunk {chunk.digest} cannot be read out of {pack_key(pack)}", pack, []
            if not self._view.has(chunk.digest):
                return f"its chunk {chunk.digest} is missing", None, []
        return "", None, []

    def faults(self) -> Iterable[RemoteFault]:
        """What is lost, and whose it is."""
        for digest, owners in sorted(self._owners.items()):
            yield RemoteFault(digest, self._url, self._known[digest][0], tuple(sorted(owners)))
