"""Reads whole packs of a remote and checks every byte, several side by side.

A pack is read in pieces that end where a block ends: checked by the thread that read them, and hashed when their turn
has come. So the memory that is needed does not depend on the length of packs, unless one block is longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.hashing import new_hasher
from hitsave.errors import MalformedObject, RemoteNotFound
from hitsave.packing.blocks import Codec, decode_block, entry_content
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import HEADER_SIZE, Block, PackEntry
from hitsave.packing.packreader import check_entry, read_table
from hitsave.remotes.ahead import in_order
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.transports.protocol import Transport

MISSING = "is missing, and an index names it"
#: Bytes after which a piece ends with its block.
_PIECE = 4 << 20

_BlockEntries = tuple[Block, list[PackEntry]]


class PackDamage(NamedTuple):
    """What is wrong with a pack, and which of the entries that its index names cannot be read."""

    reason: str
    unreadable: frozenset[bytes]


class Checked(NamedTuple):
    """So many bytes of a pack were read just now. When all of them were (`done`): what is wrong with it, if at all."""

    pack: IndexedPack
    read: int
    done: bool
    damage: PackDamage | None


class _Piece(NamedTuple):
    """Bytes of a pack from `start` on; the last one has more than the blocks: table and trailer."""

    pack: IndexedPack
    start: int
    length: int
    blocks: list[_BlockEntries]
    last: bool


class _Found(NamedTuple):
    content: bytes
    unreadable: list[bytes]
    reason: str


def check_packs(transport: Transport, packs: Iterable[IndexedPack]) -> Iterator[Checked]:
    """Read packs to their end, and check them against what their index says. Raises RemoteError."""
    pieces = (piece for pack in packs for piece in _pieces(pack))
    with in_order(pieces, lambda piece: _read(transport, piece), transport.parallel, _cost) as found:
        state = _State()
        for piece, part in found:
            if piece.start == 0:
                state = _State()
            state.take(part)
            damage = state.judge(piece, part) if piece.last else None
            yield Checked(piece.pack, piece.length, piece.last, damage)


def _pieces(pack: IndexedPack) -> Iterator[_Piece]:
    by_block: list[_BlockEntries] = [(block, []) for block in pack.table.blocks]
    for entry in pack.table.entries():
        by_block[entry.block][1].append(entry)
    start, end = 0, HEADER_SIZE
    chosen: list[_BlockEntries] = []
    for block, entries in by_block:
        if end - start >= _PIECE:
            yield _Piece(pack, start, end - start, chosen, last=False)
            start, chosen = end, []
        chosen.append((block, entries))
        end = block.offset + block.stored
    yield _Piece(pack, start, pack.length - start, chosen, last=True)


def _cost(piece: _Piece) -> int:
    return piece.length + max((block.raw for block, _ in piece.blocks if block.codec != Codec.RAW), default=0)


def _read(transport: Transport, piece: _Piece) -> _Found:
    try:
        # One byte more would show that the pack goes on behind its end.
        content = transport.get(pack_key(piece.pack.digest), piece.start, piece.length + piece.last)
    except RemoteNotFound:
        return _Found(b"", [entry.digest for _, entries in piece.blocks for entry in entries], MISSING)
    view = memoryview(content)
    unreadable: list[bytes] = []
    reason = ""
    for block, entries in piece.blocks:
        begin = block.offset - piece.start
        for entry, wrong in _check_block(block, entries, view[begin : begin + block.stored]):
            unreadable.append(entry.digest)
            reason = reason or wrong
    return _Found(content, unreadable, reason)


def _check_block(block: Block, entries: list[PackEntry], stored: memoryview) -> Iterator[tuple[PackEntry, str]]:
    """The entries that cannot be read, each with why."""
    try:
        content = memoryview(decode_block(block.codec, stored, block.raw))
    except MalformedObject as error:
        yield from ((entry, str(error)) for entry in entries)
        return
    for entry in entries:
        try:
            check_entry(entry.digest, entry.kind, entry_content(content, entry.digest, entry.offset, entry.length))
        except MalformedObject as error:
            yield entry, str(error)


class _State:
    """What is known of the pack that is being read."""

    def __init__(self) -> None:
        self._hasher: blake3 = new_hasher()
        self._head = b""
        self._unreadable: list[bytes] = []
        self._reason = ""

    def take(self, part: _Found) -> None:
        """The next piece."""
        self._hasher.update(part.content)
        self._head = self._head or part.content[:HEADER_SIZE]
        self._unreadable += part.unreadable
        self._reason = self._reason or part.reason

    def judge(self, last: _Piece, part: _Found) -> PackDamage | None:
        """What is wrong, now that all of it was read."""
        reason = self._reason if self._reason == MISSING else self._check(last, part) or self._reason
        return PackDamage(reason, frozenset(self._unreadable)) if reason else None

    def _check(self, last: _Piece, part: _Found) -> str:
        def read(offset: int, length: int) -> bytes:
            if offset + length <= HEADER_SIZE:
                return self._head[offset : offset + length]
            begin = max(offset - last.start, 0)
            return part.content[begin : begin + length]

        try:
            if self._hasher.digest() != last.pack.digest:
                raise MalformedObject("pack", "has another digest than its name")
            if not holds_all_of(read_table(read, last.pack.length, last.pack.digest), last.pack):
                raise MalformedObject("pack", "does not hold what its index says")
        except MalformedObject as error:
            return str(error)
        return ""


def holds_all_of(own: IndexedPack, indexed: IndexedPack) -> bool:
    """Whether a pack's own table says what an index says of it; of entries, an index may leave some out."""
    same = own.digest == indexed.digest and own.length == indexed.length and own.table.blocks == indexed.table.blocks
    return same and set(indexed.table.records) <= set(own.table.records)
