"""Small datasets and remotes for tests."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind, blob_digest
from hitsave.objects.encoding import decode_tree, encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.chunking import FixedChunking
from hitsave.packing.commit import RemoteFormat, encode_format
from hitsave.remotes.commits.keys import FORMAT_KEY
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.reading.fetch import Fetched, Include, fetch
from hitsave.remotes.transports.protocol import Transport
from hitsave.remotes.verification.verify import verify
from hitsave.remotes.writing.push import Pushed, push
from tests.remotes.transports import MemoryStore, MemoryTransport

IDENTITY = "000102030405060708090a0b0c0d0e0f"
#: Chunks in the remotes of these tests, so that what a cache keeps as a file has several.
SMALL_CHUNKS = 64 * 1024
ANN = Author("ann@lab", 1_800_000_000)

Folder = Mapping[bytes, "bytes | Folder | Special"]


@dataclass(frozen=True)
class Special:
    """An executable file or a symlink."""

    kind: EntryKind
    content: bytes


def noise(length: int, seed: int = 0) -> bytes:
    """Bytes that do not compress, always the same."""
    return random.Random(seed).randbytes(length)


def put_folder(intake: Intake, folder: Folder) -> Digest:
    """The tree of a folder, all of it given to an intake."""
    return _put_folder(intake, folder)[0]


def _put_folder(intake: Intake, folder: Folder) -> tuple[Digest, int, int]:
    entries: list[TreeEntry] = []
    for name, content in folder.items():
        if isinstance(content, Mapping):
            digest, size, files = _put_folder(intake, content)
            entries.append(TreeEntry(name, EntryKind.TREE, digest, size, files))
            continue
        kind, data = (content.kind, content.content) if isinstance(content, Special) else (EntryKind.FILE, content)
        entries.append(TreeEntry(name, kind, intake.add(ObjectKind.BLOB, data), len(data)))
    tree = tree_from(entries)
    return intake.add(ObjectKind.TREE, encode_tree(tree)), tree.size, tree.files


def keep(cache: Cache, *folders: Folder) -> list[Ref]:
    """Keep folders, all of them in one batch, hence in the same packs; each is owned by a ref of its own."""
    with cache.intake() as intake:
        digests = [put_folder(intake, folder) for folder in folders]
        refs = [Ref(snapshot_ref(digest), digest, ObjectKind.TREE) for digest in digests]
        intake.publish(refs)
    return refs


def keep_blob(cache: Cache, content: bytes) -> Ref:
    """Keep one blob."""
    with cache.intake() as intake:
        digest = intake.add(ObjectKind.BLOB, content)
        ref = Ref(snapshot_ref(digest), digest, ObjectKind.BLOB)
        intake.publish([ref])
    return ref


def read_folder(cache: Cache, tree: Digest) -> Folder:
    """What `keep` was given."""
    found: dict[bytes, bytes | Folder | Special] = {}
    for entry in decode_tree(cache.read(tree)).entries:
        if entry.kind is EntryKind.TREE:
            found[entry.name] = read_folder(cache, entry.digest)
            continue
        content = cache.read(entry.digest)
        assert blob_digest(content) == entry.digest
        found[entry.name] = content if entry.kind is EntryKind.FILE else Special(entry.kind, content)
    return found


def format_record(chunk: int = SMALL_CHUNKS, identity: str = IDENTITY) -> bytes:
    """The format record of a remote with chunks of this size."""
    return encode_format(RemoteFormat(identity, FixedChunking(chunk)))


def memory_remote(chunk: int = SMALL_CHUNKS) -> MemoryStore:
    """An empty remote in memory, unlike any other."""
    transport = MemoryTransport()
    transport.put(FORMAT_KEY, format_record(chunk, os.urandom(16).hex()))
    transport.sync()
    return transport.store


@dataclass
class Machine:
    """A cache, and what this machine has cached of remotes, in a folder of its own."""

    folder: Path
    cache: Cache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = Cache.open(self.folder / "cache")

    def remote(self, transport: Transport, create: bool = False) -> Remote:
        """A remote as a new process of this machine opens it."""
        return Remote.open(transport, self.folder / "remotes", create)

    def push(self, transport: Transport, *refs: Ref) -> Pushed:
        """Push refs."""
        return push(self.remote(transport), self.cache, refs, ANN)

    def fetch(self, transport: Transport, *refs: Ref, include: Include | None = None) -> Fetched:
        """Fetch refs."""
        roots = [(ref.digest, ref.kind) for ref in refs]
        return fetch(self.remote(transport), self.cache, roots, refs, include)


def check_remote(machine: Machine, transport: Transport, *refs: Ref) -> None:
    """The remote holds these refs, no others, and not a byte in it is wrong."""
    remote = machine.remote(transport)
    held = remote.latest().refs()
    assert {name: ref.digest for name, ref in held.items()} == {ref.name: ref.digest for ref in refs}
    assert verify(remote).faults == ()
