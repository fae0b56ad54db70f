"""Sends what refs own and the remote lacks.

Order: packs, then index and ref segment, then the commit that names them; before it nothing of a push can be seen, so
that one which is killed leaves the remote as it was. Only what the given refs own is sent. Of packs of the cache that
are wanted whole, all blocks go as they are, from others only the objects that are wanted. Everything is checked against
its digest while it is sent. What a push that died had sent is not sent again.

Every pack belongs to the push's session and carries its token. Reading, cutting, hashing, compressing and uploading
happen side by side, within the memory that `uploads` states: 256 MiB of packs, and about 50 MiB of what comes before.
Where pushing means one pack of the cache after the other, the one that is being read comes on top.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from mmap import mmap
from typing import BinaryIO, NamedTuple

from hitsave.cache.hashing import new_hasher
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ReliedOnLost, RemoteCorrupt, SessionFenced
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import IndexedPack
from hitsave.packing.pack import HEADER_SIZE, PACK_MAGIC
from hitsave.progress import Progress, Silent
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.writing.largefiles import LargeFiles
from hitsave.remotes.writing.packstream import PackStream, pack_size
from hitsave.remotes.writing.reblock import Reblocker, copy_all
from hitsave.remotes.writing.unfinished import Attempt, forget_committed, resume
from hitsave.remotes.writing.uploads import FilledPack, Uploads
from hitsave.remotes.writing.wanted import Wanted, find_wanted

_TRIES = 5
#: Longer packs of a cache are not read into memory whole.
_LONGEST_PACK = 80 << 20
_MOST_THREADS = 4


class Pushed(NamedTuple):
    """What a push did: objects and bytes of content that were new to the remote, bytes sent in packs, packs, refs."""

    objects: int = 0
    size: int = 0
    sent: int = 0
    packs: int = 0
    refs: int = 0


def push(remote: Remote, cache: Cache, refs: Iterable[Ref], author: Author, progress: Progress | None = None) -> Pushed:
    """Send what `refs` own. Raises ObjectNotFound, CorruptObject, RemoteError; then nothing has changed there."""
    progress = progress or Silent()
    asked = list(refs)
    attempt: Attempt | None = None
    moved = ReliedOnLost([str(ref.digest) for ref in asked[:1]])
    try:
        for _ in range(_TRIES):
            view = remote.latest()
            try:
                held = view.names_held(asked)
                new: dict[RefName, Ref] = {ref.name: ref for ref in asked if ref.name not in held}
                if not new:
                    forget_committed(remote.unfinished, _owned(view))
                    return Pushed()
                wanted = find_wanted(cache, view, new.values())
                attempt = attempt or _begin(remote, view, wanted, new.values())
                pushed = _Push(remote, cache, view, wanted, attempt, progress).run(author, new)
                attempt.forget()
                return pushed
            except SessionFenced as error:
                moved = error
                if attempt is not None:
                    attempt.forget()
                attempt = None
            except ReliedOnLost as error:
                moved = error
            except RemoteCorrupt:
                # What a view names is missing where a collection has removed it. Then there is a newer one.
                if remote.latest().digest == view.digest:
                    raise
        raise moved
    finally:
        if attempt is not None:
            attempt.release()


def _owned(view: View) -> Iterator[bytes]:
    """What refs hold; they are read only when somebody asks."""
    yield from (ref.digest for ref in view.refs().values())


def _begin(remote: Remote, view: View, wanted: Wanted, refs: Iterable[Ref]) -> Attempt:
    """The session of a push that died, where this one has the same to send; a new one otherwise."""
    roots: set[bytes] = {ref.digest for ref in refs}

    def sends(others: set[bytes]) -> bool:
        rest = others - wanted.seen
        return len(view.has_many(rest)) == len(rest)

    attempt = resume(remote.unfinished, view, remote.transport, roots, sends) if wanted.count else None
    return attempt or Attempt(remote.unfinished, Session.begin(view.number), roots)


class _Push:
    """One try, on top of one view."""

    def __init__(
        self, remote: Remote, cache: Cache, view: View, wanted: Wanted, attempt: Attempt, progress: Progress
    ) -> None:
        self._remote = remote
        self._cache = cache
        self._view = view
        self._wanted = wanted
        self._attempt = attempt
        self._progress = progress
        #: Where what was sent before lies, and which of those packs this push needs.
        self._before: dict[bytes, IndexedPack] = {}
        self._used: dict[Digest, IndexedPack] = {}

    def run(self, author: Author, refs: dict[RefName, Ref]) -> Pushed:
        """Send, and commit. Raises ReliedOnLost where something moved meanwhile, SessionFenced."""
        wanted, attempt = self._wanted, self._attempt
        count = wanted.count
        self._progress.start("pushing", wanted.size)
        sent: list[IndexedPack] = []
        if count:
            self._look_at_what_was_sent()
            sent = self._send()
        packs = {pack.digest: pack for pack in sent} | self._used
        relied_on = wanted.relied_on | (attempt.roots - wanted.seen)
        self._remote.append(self._view, attempt.session, author, "push", packs.values(), dict(refs), relied_on)
        return Pushed(count, wanted.size, sum(pack.length for pack in sent), len(sent), len(refs))

    def _look_at_what_was_sent(self) -> None:
        for pack in self._attempt.packs:
            entries = list(pack.table.entries())
            recipes = {entry.digest for entry in entries if entry.kind == EntryKindInPack.RECIPE}
            # Only of these does this push see to it that all the chunks are there.
            rest = recipes - self._wanted.whole.keys()
            there = self._view.has_many(rest)
            if len(there) == len(rest):
                self._wanted.relied_on |= there
                self._before |= {entry.digest: pack for entry in entries}

    def _was_sent(self, digest: bytes) -> bool:
        before = self._before.get(digest)
        if before is not None:
            self._used[before.digest] = before
        return before is not None

    def _there(self, digests: Sequence[bytes]) -> set[bytes]:
        """Those that need not be sent."""
        held = self._view.has_many(digests)
        self._wanted.relied_on |= held
        return held | {digest for digest in digests if digest not in held and self._was_sent(digest)}

    def _send(self) -> list[IndexedPack]:
        """Send all that is wanted; the packs that were made."""
        from concurrent.futures import ThreadPoolExecutor

        wanted, session = self._wanted, self._attempt.session
        uploads = Uploads(self._remote.transport, pack_size(wanted.size), self._attempt.note)
        try:
            with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool, uploads:
                if wanted.packed or wanted.boxed:
                    with PackStream(uploads, pool, session, followed=bool(wanted.whole)) as stream:
                        self._send_packed(stream, uploads)
                if wanted.whole:
                    with PackStream(uploads, pool, session) as stream:
                        chunking = self._remote.format.chunking
                        LargeFiles(stream, chunking, self._there, self._progress).send(wanted.whole)
        finally:
            # Should this push start over, they are there, whether full or not.
            self._attempt.packs += uploads.packs
        return uploads.packs

    # -- objects out of packs

    def _send_packed(self, stream: PackStream, uploads: Uploads) -> None:
        tables = _tables(self._cache, self._wanted.packed.keys())
        rest = Reblocker(stream)
        # What was sent is let go: there may be millions of objects.
        while self._wanted.packed:
            digest = next(iter(self._wanted.packed))
            asked, pack = self._wanted.packed.pop(digest), tables.pop(digest)
            needed = asked
            if self._before:
                needed = {key: length for key, length in asked.items() if not self._was_sent(key)}
            if not _is_all_of(pack, needed) or pack.length > _LONGEST_PACK:
                if needed:
                    with _open_pack(self._cache, digest) as file:
                        rest.copy(file, self._cache.pack_path(digest), pack, needed)
            elif _is_well_sized(pack, uploads.pack_size):
                self._send_as_it_is(uploads, pack)
            else:
                copy_all(stream, memoryview(_read_pack(self._cache, pack)), pack)
            self._progress.advance(sum(asked.values()), len(asked))
        for digest, kind, content in self._wanted.boxed.values():
            if not self._was_sent(digest):
                rest.add(digest, kind, content)
            self._progress.advance(len(content), 1)
        rest.flush()

    def _send_as_it_is(self, uploads: Uploads, pack: IndexedPack) -> None:
        buffer = uploads.buffer()
        token = self._attempt.session.token
        uploads.send(lambda: _with_nonce(self._cache, pack, token, buffer), buffer, noted=True)


def _is_all_of(pack: IndexedPack, needed: dict[bytes, int]) -> bool:
    """Whether every byte of a pack's blocks is needed; some may belong to no entry."""
    everything = sum(block.raw for block in pack.table.blocks)
    return len(needed) == len(pack.table.records) and sum(needed.values()) == everything


def _is_well_sized(pack: IndexedPack, size: int) -> bool:
    return size // 2 <= pack.length <= size + size // 4


def _with_nonce(cache: Cache, pack: IndexedPack, nonce: bytes, buffer: mmap) -> FilledPack:
    """A pack of the cache, checked, with another nonce, hence with another name; read into a buffer as far as it fits.

    Raises CorruptObject, ReliedOnLost.
    """
    with _open_pack(cache, pack.digest) as file:
        begin = memoryview(buffer)[: file.readinto(buffer)]  # type: ignore[attr-defined]
        rest = file.read()
    _check_pack(cache, pack, begin, rest)
    begin[len(PACK_MAGIC) : HEADER_SIZE] = nonce
    digest = Digest(new_hasher().update(begin).update(rest).digest())
    return FilledPack(pack._replace(digest=digest), [begin, rest])


def _read_pack(cache: Cache, pack: IndexedPack) -> bytes:
    with _open_pack(cache, pack.digest) as file:
        content = file.read()
    _check_pack(cache, pack, content)
    return content


def _check_pack(cache: Cache, pack: IndexedPack, *pieces: bytes | memoryview) -> None:
    hasher = new_hasher()
    for piece in pieces:
        hasher.update(piece)
    if hasher.digest() != pack.digest:
        path = os.fspath(cache.pack_path(pack.digest))
        raise CorruptObject(str(pack.digest), path, "the pack has another digest; run 'hitsave fsck'")


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
