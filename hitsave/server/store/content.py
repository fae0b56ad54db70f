"""Checks what came for a key before it gets it: every byte that a name vouches for.

What is compressed is never decoded without a bound: a block or segment says how long it is, and one that says too much
is refused before anything is decoded. Few large ones are decoded at once, in all of the server.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from pathlib import Path

from hitsave.errors import MalformedObject
from hitsave.objects.encoding import entry_offsets
from hitsave.packing.blocks import EntryKindInPack, decode_block, entry_content
from hitsave.packing.commit import decode_format
from hitsave.packing.index import Index
from hitsave.packing.indexlayout import HEADER, decode_header
from hitsave.packing.pack import ENTRY_RECORD, HEADER_SIZE, NONCE_SIZE, TRAILER, Block, PackTable, decode_trailer
from hitsave.packing.packreader import check_entry, read_table
from hitsave.packing.refsegment import decode_records, record_lines
from hitsave.remotes.commits.sessions import Session
from hitsave.server.settings import ServerLimits
from hitsave.server.store.admission import KeyKind, StoreKey

#: What needs more memory than this when it is decoded is decoded one at a time.
_LARGE = 16 << 20
_MOST_PACKS = 1 << 20
#: The magic bytes of a ref segment; the length of what it decodes to follows.
_REFS_MAGIC = 8
#: Bytes of a record of a ref: a path of a file system, spelled, has 12 KiB at most.
_LONGEST_REF = 64 << 10
#: Bytes of an entry of a tree, and of a tree that is looked into for that. File systems have names of 255 bytes.
_LONGEST_ENTRY, _LARGE_TREE = 4096, 1 << 20

_one_at_a_time = threading.RLock()


class UploadedFile:
    """A file that gives slices, as bytes do, and ranges."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._length = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> UploadedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, step = part.indices(self._length)
        content = self.read(start, stop - start)
        return content if step == 1 else content[::step]

    def read(self, start: int, length: int) -> bytes:
        """So many bytes from a place on; fewer where the file ends before."""
        self._file.seek(start)
        return self._file.read(max(length, 0))


def check_content(key: StoreKey, path: Path, limits: ServerLimits) -> None:
    """Refuse a file that is not what its key says. Its digest was compared before. Raises MalformedObject.

    Commits are another matter: what they may say depends on what is there.
    """
    check = _CHECKS.get(key.kind)
    if check is not None:
        with UploadedFile(path) as file:
            check(key, file, limits)


def pack_session(path: Path) -> Session:
    """The session that sent a pack."""
    with UploadedFile(path) as file:
        return Session.from_token(file.read(HEADER_SIZE - NONCE_SIZE, NONCE_SIZE))


@contextlib.contextmanager
def _alone(size: int) -> Iterator[None]:
    """While something of so many bytes is in memory, nothing else that is large is."""
    with _one_at_a_time if size > _LARGE else contextlib.nullcontext():
        yield


def _check_pack(key: StoreKey, file: UploadedFile, limits: ServerLimits) -> None:
    """Header, table and trailer fit together, and every entry has the content that its digest names."""
    assert key.digest is not None
    _, table_size, _ = decode_trailer(file.read(max(len(file) - TRAILER.size, 0), TRAILER.size), len(file))
    with _alone(table_size):
        table = read_table(file.read, len(file), key.digest).table
        _check_sizes(table, limits)
        for number, records in groupby(sorted(table.records, key=_block_of), _block_of):
            _check_block(file, table.blocks[number], records)


def _check_sizes(table: PackTable, limits: ServerLimits) -> None:
    largest = max((block.raw for block in table.blocks), default=0)
    decoded = sum(block.raw for block in table.blocks)
    # Entries may overlap: each is hashed, and there could be thousands of nearly all of a block.
    hashed = sum(ENTRY_RECORD.unpack(record)[3] for record in table.records)
    if largest > limits.block or max(decoded, hashed) > limits.decoded:
        raise MalformedObject("pack", "decodes to more than this server takes")
    _check_shared(table)


def _check_shared(table: PackTable) -> None:
    """Who asks for something small has a whole block decoded: let that not be much larger than the largest in it."""
    longest = [0] * len(table.blocks)
    for record in table.records:
        _, number, _, length, _ = ENTRY_RECORD.unpack(record)
        longest[number] = max(longest[number], length)
    for block, length in zip(table.blocks, longest, strict=True):
        if block.raw - length > _LARGE:
            raise MalformedObject("pack", "has a block of very many objects, which would be decoded for each of them")


def _block_of(record: bytes) -> int:
    number: int = ENTRY_RECORD.unpack(record)[1]
    return number


def _check_block(file: UploadedFile, block: Block, records: Iterable[bytes]) -> None:
    with _alone(block.raw):
        stored = file.read(block.offset, block.stored)
        content = memoryview(decode_block(block.codec, stored, block.raw))
        for record in records:
            digest, _, offset, length, kind = ENTRY_RECORD.unpack(record)
            entry = entry_content(content, digest, offset, length)
            check_entry(digest, kind, entry)
            if kind == EntryKindInPack.TREE and length > _LARGE_TREE:
                _check_names(bytes(entry))


def _check_names(tree: bytes) -> None:
    """Pages and listings tell names, some several times over. A small tree has none that is much too long."""
    offsets = entry_offsets(tree)
    for begin, end in pairwise((*offsets, len(tree))):
        if end - begin > _LONGEST_ENTRY:
            raise MalformedObject("tree", f"has a name that is too long; an entry may have {_LONGEST_ENTRY} bytes")


def _check_index(key: StoreKey, file: UploadedFile, limits: ServerLimits) -> None:
    if decode_header(file[: HEADER.size]).packs > _MOST_PACKS:
        raise MalformedObject("index", "names more packs than this server takes")
    with _alone(len(file)):
        Index(file).verify()


def _check_refs(key: StoreKey, file: UploadedFile, limits: ServerLimits) -> None:
    """Records one by one: a segment of many refs is not decoded whole."""
    length = int.from_bytes(file[_REFS_MAGIC : _REFS_MAGIC + 8], "little")
    if length > limits.segment:
        raise MalformedObject("ref segment", "decodes to more than this server takes")
    with _alone(length):
        lines = record_lines(file[: len(file)])
        _check_lines(lines)
        for number, _ in enumerate(decode_records(lines), 1):
            if number > limits.records:
                raise MalformedObject(
                    "ref segment", f"holds more than {limits.records} refs, the most that is taken here"
                )


def _check_lines(lines: bytes) -> None:
    """What refs say is told on pages, in headers and in the audit log, and being compressed, it is sent for nothing."""
    begin = 0
    while len(lines) - begin > _LONGEST_REF:
        end = lines.rfind(b"\n", begin, begin + _LONGEST_REF) + 1
        if not end:
            raise MalformedObject("ref segment", f"holds a ref of more than {_LONGEST_REF} bytes")
        begin = end


def _check_format(key: StoreKey, file: UploadedFile, limits: ServerLimits) -> None:
    decode_format(file[: len(file)])


_CHECKS = {
    KeyKind.PACK: _check_pack,
    KeyKind.INDEX: _check_index,
    KeyKind.REFS: _check_refs,
    KeyKind.FORMAT: _check_format,
}
