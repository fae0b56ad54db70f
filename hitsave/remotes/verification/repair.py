"""Repairs a remote, as far as what is damaged there can still be read, or is elsewhere.

Order: packs with what was saved and found; indexes without the damaged packs, and a ref segment where one was damaged;
one commit. So a repair that is interrupted leaves the remote as it was. Where another writer commits first, all is
looked at again on the newer state, without reading the packs again. Damaged files stay for a collection to remove.

What cannot be repaired is no more in any index, so that whoever has it can send it anew. As long as a ref needs it, the
mark of every collection fails, and nothing is removed: neither the damaged file nor anything else.

A collection reads every commit that is retained, and the indexes and ref segments that they name. Where one of these is
damaged, it expires with all before it: otherwise nothing could ever be collected any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from hitsave.cache.store import Cache
from hitsave.errors import MalformedObject, RemoteCorrupt, RemoteError
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack, Location, encode_index
from hitsave.packing.pack import ENTRY_RECORD, PackTable
from hitsave.progress import Progress, Silent
from hitsave.remotes.commits.keys import refs_key
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.verification.closure import Closure
from hitsave.remotes.verification.holdings import Holdings
from hitsave.remotes.verification.mending import Mending
from hitsave.remotes.verification.packcheck import PackDamage
from hitsave.remotes.verification.recovering import Strays, find_strays, own_the_rest, recover_refs
from hitsave.remotes.verification.sources import CacheSource, PackSource, RemoteSource, Source, unless_it_fails
from hitsave.remotes.verification.verify import Examined, RemoteFault, RemoteReport, examine, packs_of

#: What the commit of a repair says that it did.
OPERATION = "repair"
_NOT_DAMAGED = PackDamage("may be removed", frozenset())


@dataclass(frozen=True, slots=True)
class RemoteRepair:
    """What was wrong, what still is, and how many bytes were sent to put it right."""

    before: RemoteReport
    after: RemoteReport
    sent: int = 0


def repair(
    remote: Remote,
    cache: Cache,
    others: Iterable[Remote],
    author: Author,
    progress: Progress | None = None,
) -> RemoteRepair:
    """Verify a remote and repair it, from the cache and from `others`. Raises RemoteError.

    `others` is asked only when something is lost that the cache does not have.
    """
    progress = progress or Silent()
    found = examine(remote, progress=progress)
    before = found.report(remote)
    if found.sound:
        return RemoteRepair(before, before)
    done = _Repair(remote, cache, others, author, found, progress)
    after = done.run()
    return RemoteRepair(before, after, sum(pack.length for pack in done.sent))


@dataclass(slots=True)
class _State:
    """One view, with what is known of it, and the refs that it is to hold."""

    view: View
    indexes: dict[StoredFile, Index]
    unusable: list[StoredFile]
    strays: Strays = field(default_factory=Strays)
    refs: dict[RefName, Ref] = field(default_factory=dict)
    new_refs: bool = False
    doubtful: list[StoredFile] = field(default_factory=list)


class _Repair:
    def __init__(
        self,
        remote: Remote,
        cache: Cache,
        others: Iterable[Remote],
        author: Author,
        found: Examined,
        progress: Progress,
    ) -> None:
        self._remote = remote
        self._cache = cache
        self._others = others
        self._author = author
        self._found = found
        self._progress = progress
        self._session = Session.begin(found.view.number)
        self._other_sources: list[Source] | None = None
        self.sent: list[IndexedPack] = []
        self._state = _State(found.view, found.indexes, [])
        self._closure: Closure | None = None
        self._mended: frozenset[StoredFile] | None = None

    def run(self) -> RemoteReport:
        """Repair; what is wrong afterwards."""
        self._prepare(self._found.view)
        if self._changes:
            self._remote.commit(self._found.view, self._session, self._build)
        return self._report()

    def _build(self, newest: View) -> Commit:
        if newest.digest != self._state.view.digest:
            self._prepare(newest)
        state = self._state
        indexes = tuple(self._put_indexes())
        refs = state.view.ref_files
        if state.new_refs:
            refs = self._remote.files.put_many_refs(state.refs, self._session)
        commit = self._remote.following(state.view, self._session, self._author, OPERATION, indexes, refs)
        return replace(commit, oldest=max(commit.oldest, self._oldest()))

    @property
    def _changes(self) -> bool:
        state, found = self._state, self._found
        damaged = found.packs or found.files or found.segments or found.commits or found.older
        return bool(damaged or self.sent or state.new_refs)

    def _oldest(self) -> int:
        """The oldest commit that can be retained: none that is damaged, nor that names a damaged index or segment."""
        found, view = self._found, self._state.view
        last = max([0, *found.commits, *(number for number, _ in found.older.values())])
        named = {*view.index_files, *view.ref_files}
        if found.files.keys() & named or found.segments.keys() & named:
            return view.number + 1
        return last + 1 if last else 1

    # -- finding out

    def _prepare(self, view: View) -> None:
        """Find out about a view, and send what it needs."""
        self._state = state = self._load(view)
        if self._mended is not None and self._mended <= set(view.index_files) and not state.unusable:
            self._recover_refs(state, self._holdings(state))
            return  # Others have only added to it meanwhile: what was sent fits as before.
        self.sent = []
        holdings = self._holdings(state)
        self._recover_refs(state, holdings)
        damaged = packs_of(list(state.indexes.values()), holdings.damaged.keys())
        reached: set[tuple[Digest, Digest]] = set()
        strays = {pack.digest for pack in state.strays.packs}

        def note(places: Iterable[Location]) -> None:
            reached.update((place.pack, place.digest) for place in places if place.pack in strays)

        reader = Reader(self._remote, view)
        closure = self._closure = Closure(holdings, reader, note if strays else lambda _: None)
        closure.follow((ref.digest, ref.kind) for ref in state.refs.values())
        state.strays.packs = [_only(pack, reached) for pack in state.strays.packs]
        self._send(holdings, closure, reader, [*damaged, *state.strays.packs])
        self._mended = frozenset(view.index_files)

    def _load(self, view: View) -> _State:
        indexes: dict[StoredFile, Index] = {}
        unusable: list[StoredFile] = []
        for file in view.index_files:
            if file in self._found.indexes:
                indexes[file] = self._found.indexes[file]
            elif file in self._found.files:
                unusable.append(file)
            else:
                indexes[file] = self._remote.files.load_index(file)
        state = _State(view, indexes, unusable)
        if unusable:
            named = {pack.digest for index in indexes.values() for pack in index.packs}
            state.strays = find_strays(self._remote, view, named, self._retained())
        return state

    def _retained(self) -> set[Digest]:
        """The packs that older commits are known to name."""
        return {pack.digest for index in self._older_indexes() for pack in index.packs}

    def _older_indexes(self) -> Iterator[Index]:
        files = {file for commit in self._found.history.values() for file in commit.indexes}
        for file in files - self._found.indexes.keys() - self._found.files.keys():
            try:
                index = self._remote.files.load_index(file)
                index.verify()
            except (MalformedObject, RemoteCorrupt):
                continue
            yield index

    def _holdings(self, state: _State) -> Holdings:
        extra = [Index(encode_index(packs)) for packs in (self.sent, state.strays.packs) if packs]
        damaged = self._found.packs | state.strays.damaged
        damaged |= dict.fromkeys(state.strays.unsafe - damaged.keys(), _NOT_DAMAGED)
        return Holdings([*extra, *state.indexes.values()], damaged)

    def _recover_refs(self, state: _State, holdings: Holdings) -> None:
        damaged = [file for file in state.view.ref_files if file in self._found.segments]
        lost = [file for file in damaged if not self._is_readable(file)]
        state.new_refs = bool(damaged)
        if not lost:
            state.refs = state.view.refs()
            return

        def holds(digest: Digest) -> bool:
            return bool(holdings.find_many([digest]))

        recovered = recover_refs(self._remote, state.view, self._found.history, self._cache.refs(), holds)
        state.refs = recovered.refs
        reached: set[Digest] = set()
        reader = Reader(self._remote, state.view)
        closure = Closure(holdings, reader, lambda places: reached.update(place.digest for place in places))
        closure.follow((ref.digest, ref.kind) for ref in state.refs.values())
        state.refs = own_the_rest(holdings, reader, lambda place: place.digest in reached, self._author) | state.refs
        if recovered.brought < sum(file.entries for file in lost):
            state.doubtful = lost

    def _is_readable(self, file: StoredFile) -> bool:
        try:
            self._remote.files.load_refs(file)
        except RemoteCorrupt:
            return False
        return True

    # -- sending

    def _send(self, holdings: Holdings, closure: Closure, reader: Reader, packs: Sequence[IndexedPack]) -> None:
        replaced = [pack for pack in packs if pack.digest in holdings.damaged]
        places = [place for pack in replaced for place in _best_places(holdings, pack)]
        if not places and not closure.lost:
            return
        with self._cache.intake() as intake:  # Its folder is kept from collections.
            mending = Mending(self._remote, self._session, holdings, closure, intake.folder, self._progress)
            self.sent += mending.send(replaced, places, reader, self._sources(reader) if closure.lost else ())

    def _sources(self, reader: Reader) -> list[Source]:
        older = Holdings(list(self._older_indexes()), self._found.packs)
        if self._other_sources is None:
            self._other_sources = [source for remote in self._others for source in self._open(remote)]
        return [CacheSource(self._cache), PackSource(older.find_many, reader), *self._other_sources]

    def _open(self, remote: Remote) -> Iterator[Source]:
        try:
            view = remote.latest()
        except RemoteError as error:
            self._progress.note(f"nothing was taken from there: {error}")
            return
        yield unless_it_fails(RemoteSource(view, Reader(remote, view)), self._progress.note)

    def _put_indexes(self) -> Iterator[StoredFile]:
        """The indexes of the new commit; those that were not damaged, nor name a damaged pack, stay as they are."""
        put = self._remote.files.put_index
        state = self._state
        gone = self._holdings(state).damaged.keys()
        for file, index in state.indexes.items():
            if file not in self._found.files and gone.isdisjoint(pack.digest for pack in index.packs):
                yield file
            elif packs := index.tables(leave_out=gone):
                yield put(packs, self._session)
        if strays := [pack for pack in state.strays.packs if pack.table.records and pack.digest not in gone]:
            yield put(strays, self._session)
        if self.sent:
            yield put(self.sent, self._session)

    # -- telling

    def _report(self) -> RemoteReport:
        """What is wrong afterwards."""
        found, state = self._found, self._state
        closure = self._closure
        refs = list(state.refs.values())
        lost = closure.lost if closure else {}
        after = Examined(state.view, refs=refs, lost=lost, owners=closure.owners(refs) if closure else {})
        after.objects, after.size = found.objects, found.size
        report = after.report(self._remote)
        url = self._remote.transport.url
        doubts = [
            RemoteFault(
                None, f"{url}: {refs_key(file)}", "the names of some refs are lost; snapshots own their objects"
            )
            for file in state.doubtful
        ]
        return replace(report, faults=(*doubts, *report.faults))


def _only(pack: IndexedPack, reached: set[tuple[Digest, Digest]]) -> IndexedPack:
    """A pack with those of its entries that are reached."""
    records = tuple(record for record in pack.table.records if (pack.digest, record[:32]) in reached)
    return pack._replace(table=PackTable(pack.table.blocks, records))


def _best_places(holdings: Holdings, pack: IndexedPack) -> Iterator[Location]:
    """The entries of a pack that can be read, and nowhere else."""
    digests = [Digest(ENTRY_RECORD.unpack(record)[0]) for record in pack.table.records]
    return (place for place in holdings.find_many(digests).values() if place.pack == pack.digest)
