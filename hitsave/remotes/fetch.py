"""Brings what refs own from a remote into the cache.

Trees come first, for they say what else is needed. A pack of small objects of which at least half is wanted comes whole
and becomes a pack of the cache; of others, only the blocks that are needed are read. Large blobs are put together from
their chunks. Everything is checked: chunk, then object; and only then published, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.intake import Intake
from hitsave.cache.overlap import Overlap
from hitsave.cache.store import Cache
from hitsave.errors import CorruptObject, ReliedOnLost, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Ref
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.index import Location
from hitsave.packing.pack import ENTRY_RECORD
from hitsave.packing.recipe import Recipe
from hitsave.progress import Progress, Silent
from hitsave.remotes.keys import pack_key
from hitsave.remotes.log import Remote
from hitsave.remotes.reader import LONGEST_RANGE, Range, Reader, coalesce, missing_pack
from hitsave.remotes.view import View

#: Tells by its path inside the tree whether a file is wanted.
Include = Callable[[bytes], bool]
_TRIES = 5


class Fetched(NamedTuple):
    """What a fetch did: objects that the cache did not have, bytes of their content, bytes of packs received."""

    objects: int = 0
    size: int = 0
    received: int = 0


@dataclass(slots=True)
class _Needed:
    """What a fetch found out: trees by digest, blobs to be fetched, and what the cache has already."""

    trees: dict[Digest, bytes] = field(default_factory=dict)
    blobs: set[Digest] = field(default_factory=set)
    present: list[Digest] = field(default_factory=list)
    size: int = 0


def fetch(
    remote: Remote,
    cache: Cache,
    roots: Sequence[tuple[Digest, ObjectKind]],
    refs: Iterable[Ref] = (),
    include: Include | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Fetch `roots` with all beneath them, or of the files those that `include` wants, and publish `refs` with them.

    Raises ObjectNotFound where the remote lacks something, RemoteCorrupt; then nothing has changed in the cache.
    """
    owned = list(refs)
    for _ in range(_TRIES):
        try:
            return _fetch_once(remote, cache, roots, owned, include, progress or Silent())
        except ReliedOnLost:
            continue
    raise ReliedOnLost([str(digest) for digest, _ in roots])


def _fetch_once(
    remote: Remote,
    cache: Cache,
    roots: Sequence[tuple[Digest, ObjectKind]],
    refs: list[Ref],
    include: Include | None,
    progress: Progress,
) -> Fetched:
    view = remote.latest()
    reader = Reader(remote, view)
    needed = _find_needed(cache, reader, roots, include)
    progress.start("fetching", needed.size)
    with cache.intake() as intake:
        received = _Transfer(remote, view, reader, intake, progress).run(needed)
        intake.publish(refs, needed.present, partial=include is not None)
        fetched = Fetched(intake.new_objects, intake.new_bytes, received)
    blobs = [ref for ref in refs if ref.kind is ObjectKind.BLOB]
    if blobs and include is not None:  # There is nothing of a single file to leave out.
        with cache.intake() as intake:
            intake.publish(blobs, [ref.digest for ref in blobs])
    return fetched


def _find_needed(
    cache: Cache, reader: Reader, roots: Sequence[tuple[Digest, ObjectKind]], include: Include | None
) -> _Needed:
    needed = _Needed()
    cache.packset.refresh()
    here: list[Digest] = []
    blobs: dict[Digest, int] = {}
    # A tree is looked into once for each path it stands at where paths decide, and once in all otherwise.
    seen: set[tuple[Digest, bytes]] = set()
    pending: list[tuple[Digest, ObjectKind, bytes, int]] = [(digest, kind, b"", 0) for digest, kind in roots]
    while pending:
        digest, kind, path, size = pending.pop()
        if kind is ObjectKind.BLOB:
            blobs[digest] = size
            continue
        key = (digest, path if include is not None else b"")
        if key in seen:
            continue
        seen.add(key)
        content = _load_tree(cache, reader, digest, needed, here)
        prefix = path + b"/" if path else b""
        for entry in decode_tree(content).entries:
            inner = prefix + entry.name
            if entry.kind is EntryKind.TREE:
                pending.append((entry.digest, ObjectKind.TREE, inner, entry.size))
            elif include is None or include(inner):
                blobs[entry.digest] = entry.size
    needed.blobs = cache.missing(blobs)
    needed.present = here + [digest for digest in blobs if digest not in needed.blobs]
    needed.size = sum(blobs[digest] for digest in needed.blobs)
    return needed


def _load_tree(cache: Cache, reader: Reader, digest: Digest, needed: _Needed, here: list[Digest]) -> bytes:
    if digest in needed.trees:
        return needed.trees[digest]
    if cache.packset.find_known(digest):
        here.append(digest)
        return cache.read(digest)
    content = reader.read(digest)
    needed.trees[digest] = content
    return content


class _Arrived(NamedTuple):
    """A pack that is on this machine, and what is wanted of it."""

    pack: Digest
    path: Path
    wanted: list[Location]


class _Transfer:
    def __init__(self, remote: Remote, view: View, reader: Reader, intake: Intake, progress: Progress) -> None:
        self._remote = remote
        self._view = view
        self._reader = reader
        self._intake = intake
        self._progress = progress
        self._adopted = 0

    def run(self, needed: _Needed) -> int:
        """Fetch it all into the intake; bytes received, with those that were read to find out what is needed."""
        small: list[Location] = []
        large: list[Recipe] = []
        for digest in needed.blobs:
            location = self._reader.locate(digest)
            if location.kind == EntryKindInPack.RECIPE:
                recipe = self._reader.recipe(digest)
                if recipe is not None:
                    large.append(recipe)
            else:
                small.append(location)
        self._fetch_small(small)
        for digest, content in needed.trees.items():
            self._intake.add(ObjectKind.TREE, content, digest)
        for recipe in large:
            self._fetch_large(recipe)
        return self._reader.received + self._adopted

    def _fetch_small(self, locations: list[Location]) -> None:
        by_pack: dict[Digest, list[Location]] = {}
        for location in locations:
            by_pack.setdefault(location.pack, []).append(location)
        lengths = self._view.pack_lengths() if by_pack else {}
        rest: list[Location] = []
        whole: dict[Digest, list[Location]] = {}
        for pack, wanted in by_pack.items():
            blocks = {location.block.offset: location.block.stored for location in wanted}
            share = sum(blocks.values()) + ENTRY_RECORD.size * len(wanted)
            if 2 * share >= lengths[pack] and self._view.holds_small_objects(pack):
                whole[pack] = wanted
            else:
                rest += wanted
        self._fetch_packs(whole)
        for location, content in self._reader.read_ranges(coalesce(rest)):
            # The content is a view of a whole block, of which perhaps only this is needed.
            self._intake.add(ObjectKind(location.kind), bytes(content), location.digest)
            self._progress.advance(location.length, 1)

    def _fetch_packs(self, wanted: dict[Digest, list[Location]]) -> None:
        """Fetch packs as they are: while one is verified, the next one is on its way."""
        with Overlap(self._adopt, waiting=2) as adopting:
            for pack, locations in wanted.items():
                adopting.submit(_Arrived(pack, self._download(pack), locations))

    def _download(self, pack: Digest) -> Path:
        path = self._intake.folder / f"received-{pack}"
        try:
            self._remote.transport.download(pack_key(pack), path)
        except RemoteNotFound:
            raise missing_pack(self._remote, pack) from None
        return path

    def _adopt(self, arrived: _Arrived) -> None:
        pack, path, wanted = arrived
        try:
            adopted = self._intake.adopt_pack(path, pack)
        except CorruptObject as error:
            raise RemoteCorrupt(self._remote.transport.url, pack_key(pack), error.reason) from None
        held = {record[:32] for record in adopted.table.records}
        if lost := [location for location in wanted if location.digest not in held]:
            reason = f"does not hold {lost[0].digest}, which its index says it does"
            raise RemoteCorrupt(self._remote.transport.url, pack_key(pack), reason)
        self._adopted += adopted.length
        self._progress.advance(sum(location.length for location in wanted), len(wanted))

    def _fetch_large(self, recipe: Recipe) -> None:
        try:
            with (
                self._intake.blob_writer(recipe.blob, recipe.size) as writer,
                Overlap(writer.write, waiting=8) as writing,
            ):
                for content in self._chunks(recipe):
                    writing.submit(content)
                    self._progress.advance(len(content))
        except CorruptObject:
            pack = self._reader.locate(recipe.blob).pack
            reason = f"the recipe of {recipe.blob} makes other content"
            raise RemoteCorrupt(self._remote.transport.url, pack_key(pack), reason) from None
        self._progress.advance(0, 1)

    def _chunks(self, recipe: Recipe) -> Iterator[bytes | memoryview]:
        """The chunks in their order; those that lie one after the other in a pack, or are one, come in one request."""
        run: list[Location] = []
        for chunk in recipe.chunks:
            location = self._reader.locate(chunk.digest)
            if run and not _follows(run, location):
                yield from self._read_run(run)
                run = []
            run.append(location)
        yield from self._read_run(run)

    def _read_run(self, run: list[Location]) -> Iterator[bytes | memoryview]:
        if not run:
            return
        start = run[0].block.offset
        length = run[-1].block.offset + run[-1].block.stored - start
        for _, content in self._reader.read_ranges([Range(run[0].pack, start, length, run)]):
            yield content


def _follows(run: list[Location], location: Location) -> bool:
    last = run[-1]
    if (location.pack, location.block) == (last.pack, last.block):
        return True
    start = run[0].block.offset
    return (
        location.pack == last.pack
        and location.block.offset == last.block.offset + last.block.stored
        and location.block.offset + location.block.stored - start <= LONGEST_RANGE
    )
