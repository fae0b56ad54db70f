"""A remote's indexes without the packs: an index says of 64 MiB what 46 KiB can say.

Names of chunks are those that BLAKE3 gives for numbers, so that any of them is known without a list.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from blake3 import blake3

from hitsave.objects.digest import Digest
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import COUNTS, ENTRY_RECORD, HEADER_SIZE, TRAILER, Block, PackTable
from hitsave.remotes.commits.committed import CommittedFiles
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.transports.folder import FolderTransport
from hitsave.remotes.transports.protocol import Buffer, Listed

#: Mean bytes of a chunk (docs/decisions/0010); three share a block, and a pack of 64 MiB has so many blocks.
CHUNK = 81_200
PER_BLOCK = 3
BLOCKS_PER_PACK = 275
PER_PACK = PER_BLOCK * BLOCKS_PER_PACK
SESSION = Session(bytes(16), 0)
_BLOCKS = tuple(
    Block(HEADER_SIZE + number * PER_BLOCK * CHUNK, PER_BLOCK * CHUNK, PER_BLOCK * CHUNK, 0)
    for number in range(BLOCKS_PER_PACK)
)


def chunk_digests(part: int, first: int, count: int) -> list[Digest]:
    """The names of some chunks of a part, counted from 0; a pack has PER_PACK that follow one another."""
    names = blake3(b"part %d" % part).digest(length=32 * count, seek=32 * first)
    return [Digest(names[at : at + 32]) for at in range(0, len(names), 32)]


def make_packs(part: int, entries: int) -> Iterator[IndexedPack]:
    """Packs with so many chunks, as they would be if they were there."""
    for first in range(0, entries, PER_PACK):
        names = chunk_digests(part, first, min(PER_PACK, entries - first))
        blocks = _BLOCKS[: -(-len(names) // PER_BLOCK)]
        records = sorted(
            ENTRY_RECORD.pack(name, number // PER_BLOCK, number % PER_BLOCK * CHUNK, CHUNK, 1)
            for number, name in enumerate(names)
        )
        table = COUNTS.size + 12 * len(blocks) + ENTRY_RECORD.size * len(records)
        length = blocks[-1].offset + blocks[-1].stored + table + TRAILER.size
        name = Digest(blake3(b"pack %d of part %d" % (first, part)).digest())
        yield IndexedPack(name, length, PackTable(blocks, tuple(records)))


class Counting(FolderTransport):
    """A folder that counts what is asked of it: requests, and bytes of values either way. A listing is one request."""

    parallel = 16

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._counting = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.requests = self.received = self.sent = 0

    def get(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        content = super().get(key, start, length)
        self._count(received=len(content))
        return content

    def download(self, key: str, path: Path) -> None:
        super().download(key, path)
        self._count(received=path.stat().st_size)

    def put(self, key: str, content: Buffer | Sequence[Buffer]) -> None:
        super().put(key, content)
        pieces = [content] if isinstance(content, (bytes, bytearray, memoryview)) else content
        self._count(sent=sum(map(len, pieces)))

    def put_file(self, key: str, path: Path) -> None:
        super().put_file(key, path)
        self._count(sent=path.stat().st_size)

    def list(self, prefix: str, after: str = "") -> list[str]:
        self._count()
        return super().list(prefix, after)

    def scan(self, prefix: str) -> Iterator[Listed]:
        self._count()
        return super().scan(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        self._count()
        super().delete(keys)

    def _count(self, received: int = 0, sent: int = 0) -> None:
        with self._counting:
            self.requests += 1
            self.received += received
            self.sent += sent


class Simulation:
    """A folder with a store, copies of its indexes, and a list of the parts and of their whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Counting(folder / "store")
        self.copies = folder / "copies"
        self.copies.mkdir(exist_ok=True)

    def files(self, copies: Path | None = None) -> CommittedFiles:
        """The indexes, as this machine has them, or one with other copies."""
        return CommittedFiles(self.store, copies or self.copies)

    def save(self, name: str, files: Sequence[StoredFile]) -> None:
        """Note a list of indexes."""
        rows = [(str(file.digest), file.length, file.entries, file.session) for file in files]
        (self.folder / f"{name}.json").write_text(json.dumps(rows))

    def load(self, name: str) -> tuple[StoredFile, ...]:
        """The indexes that were noted."""
        rows = json.loads((self.folder / f"{name}.json").read_text())
        return tuple(StoredFile(Digest(bytes.fromhex(digest)), *rest) for digest, *rest in rows)

    def view(self, name: str, copies: Path | None = None) -> View:
        """A state of a remote that has these indexes."""
        commit = Commit("0" * 32, 1, None, 0, "", "", SESSION.hex, self.load(name))
        return View(self.files(copies), commit, None)

    @property
    def counts(self) -> Sequence[int]:
        """How many chunks each part has."""
        return [file.entries for file in self.load("parts")]

    def some(self, count: int, seed: int) -> list[Digest]:
        """Chunks here and there."""
        chance, counts = random.Random(seed), self.counts
        chosen = ((part := chance.randrange(len(counts)), chance.randrange(counts[part])) for _ in range(count))
        return [chunk_digests(part, number, 1)[0] for part, number in chosen]
