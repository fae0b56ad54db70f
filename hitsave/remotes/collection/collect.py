"""Collects a remote beside other writers, readers and collectors. Section 9.6 of objects_spec.md says why it is safe.

Order: mark; list what is there; new packs, indexes and ref segment; the commit that names them, expires old commits and
fences dead sessions; and only when that stands, removal of what was listed and no retained commit names. A mark that
fails forbids the rest. Where another writer commits first, everything is marked and listed again, and packs that were
rewritten are used again. Files of snapshots that are public no longer go last (`withdrawing`): no commit names them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.packing.indexmerge import IndexPart
from hitsave.progress import Progress, Silent
from hitsave.remotes.ahead import in_order
from hitsave.remotes.collection.leftovers import Leftover, abandoned_claims, list_leftovers, removable
from hitsave.remotes.collection.marks import MarkedIndex, Marks, Weights, mark_reachable
from hitsave.remotes.collection.packplan import Plan, plan_packs
from hitsave.remotes.collection.retention import ORPHAN_LIFE, all_fenced, fenced_before, oldest_retained
from hitsave.remotes.collection.rewriting import rewrite
from hitsave.remotes.collection.withdrawing import settle_files, unheld_files
from hitsave.remotes.commits.again import with_newest
from hitsave.remotes.commits.committed import FULL_REFS
from hitsave.remotes.commits.keys import (
    CLAIMS,
    COMMITS,
    PROBES,
    commit_key,
    index_key,
    is_commit_key,
    pack_key,
    refs_key,
)
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.public.settling import PublicSnapshot
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.transports.protocol import Listed

#: What the commit of a collection says that it did.
OPERATION = "gc"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or would do.

    `dropped` are the refs that went with it; `objects` and `size` (bytes of content) what no ref reaches any more;
    `freed` bytes of packs were removed, and `kept` bytes of packs that nothing needs are there until commits expire or
    sessions end; `rewritten` bytes were sent anew, to take what is alive out of packs that are mostly dead (in a dry
    run counted before they are compressed). `public` are files of snapshots that are public no longer.
    """

    dropped: tuple[Ref, ...] = ()
    objects: int = 0
    size: int = 0
    freed: int = 0
    kept: int = 0
    rewritten: int = 0
    public: tuple[Listed, ...] = ()


def collect(
    remote: Remote,
    author: Author,
    keep: int,
    drop: Collection[RefName] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Collected:
    """Remove what no ref reaches but those in `drop`, and commits that held more than `keep` seconds ago.

    Raises ObjectNotFound, RemoteError; then nothing was removed.
    """

    def once(view: View) -> Collected:
        if view.commit is None:
            return Collected()
        collection = _Collection(remote, author, keep, frozenset(drop), view, progress or Silent())
        return collection.look() if dry_run else collection.run()

    return with_newest(remote, once)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look at a view found out.

    `retained` are the commits that are there, ascending, of which those from `oldest` on will be retained; sessions
    that began before `fenced_before` will be fenced. `again` is what an earlier try has rewritten, `indexes` are those
    of the view, in their order.
    """

    view: View
    retained: list[Commit]
    oldest: int
    fenced_before: int
    dropped: list[Ref]
    refs: list[Ref]
    again: MarkedIndex
    indexes: list[MarkedIndex]
    weights: list[Weights]
    plan: Plan
    leftovers: list[Leftover]

    @property
    def newest(self) -> Commit:
        """The commit that is to be followed."""
        return self.retained[-1]


class _Collection:
    def __init__(
        self, remote: Remote, author: Author, keep: int, drop: frozenset[RefName], view: View, progress: Progress
    ) -> None:
        self._remote = remote
        self._author = author
        self._keep = keep
        self._drop = drop
        self._progress = progress
        self._first = view
        self._session = Session.begin(view.number)
        #: What this session has rewritten, in all its tries.
        self._rewritten: list[IndexedPack] = []

    def look(self) -> Collected:
        """What would be done."""
        found = self._find(self._first)
        rewritten = (
            weight.alive
            for weights, plan in zip(found.weights, found.plan.indexes, strict=True)
            for weight in weights.packs
            if weight.pack.digest in plan.rewrite
        )
        files = unheld_files(self._remote, self._first, self._drop)
        return replace(self._report(found, self._removable_now(found), sum(rewritten)), public=_sorted(files))

    def run(self) -> Collected:
        """Mark, rewrite, commit, remove."""
        done = self._collect()
        self._clear()
        return replace(done, public=self._withdraw())

    def _collect(self) -> Collected:
        found = self._find(self._first)
        leftovers = self._removable_now(found)
        if not (found.dropped or found.plan.changes or leftovers):
            return self._report(found, leftovers, 0)

        def build(newest: View) -> Commit:
            nonlocal found, leftovers
            if newest is not self._first:
                found = self._find(newest)
            commit, leftovers = self._build(found)
            return commit

        commit = self._remote.commit(self._first, self._session, build).commit
        if commit is not None:
            self._remove(commit, leftovers)
        return self._report(found, leftovers, sum(pack.length for pack in self._rewritten))

    # -- finding out

    def _find(self, view: View) -> _Found:
        commit = view.commit
        assert commit is not None
        self._progress.start("marking")
        retained = [*_read_commits(self._remote, range(commit.oldest, commit.number)), commit]
        refs = [ref for name, ref in view.refs().items() if name not in self._drop]
        # What an earlier try has rewritten is preferred, so that it is not rewritten again.
        marks = Marks([Index(encode_index(self._rewritten)), *view.indexes()])
        mark_reachable(marks, Reader(self._remote, view), ((ref.digest, ref.kind) for ref in refs))
        again, *indexes = marks.indexes
        dropped = [ref for name, ref in view.refs().items() if name in self._drop]
        weights = [index.weigh() for index in indexes]
        plan = plan_packs(weights)
        oldest = oldest_retained(retained, self._author.now, self._keep)
        # Listed before anything is rewritten: what is sent from now on is none of this collection's business.
        stay = plan.stay | {pack.digest for pack in self._rewritten}
        leftovers = list_leftovers(self._remote, retained, oldest, stay)
        fenced = fenced_before(retained, self._author.now)
        return _Found(view, retained, oldest, fenced, dropped, refs, again, indexes, weights, plan, leftovers)

    def _removable_now(self, found: _Found) -> list[Leftover]:
        """What may be removed if no index and no ref segment is written anew."""
        return self._removable(found, found.view.index_files, found.view.ref_files)

    def _removable(self, found: _Found, indexes: Iterable[StoredFile], refs: Iterable[StoredFile]) -> list[Leftover]:
        files = {*map(index_key, indexes), *map(refs_key, refs)}
        now = self._author.now
        return removable(found.leftovers, found.retained, found.fenced_before, files, self._session, now)

    # -- doing it

    def _build(self, found: _Found) -> tuple[Commit, list[Leftover]]:
        """The commit of a collection, and what may be removed when it stands. What it names is there by then."""
        self._rewritten = [pack for pack in found.again.index.tables(only=found.again.marked) if pack.table.records]
        if found.plan.rewrites:
            packs = _packs_to_rewrite(found)
            self._rewritten += rewrite(self._remote, found.view, self._session, packs, self._progress)
        indexes = self._put_indexes(found)
        refs = self._put_refs(found)
        leftovers = self._removable(found, indexes, refs)
        sessions = (leftover.session for leftover in leftovers)
        commit = Commit(
            identity=found.newest.identity,
            number=found.newest.number + 1,
            parent=found.view.digest,
            created=self._author.now,
            author=self._author.name,
            operation=OPERATION,
            session=self._session.hex,
            indexes=indexes,
            refs=refs,
            oldest=found.oldest,
            fenced_before=found.fenced_before,
            fenced=all_fenced(found.newest, found.fenced_before, filter(None, sessions)),
        )
        return commit, leftovers

    def _put_indexes(self, found: _Found) -> tuple[StoredFile, ...]:
        files: list[StoredFile] = []
        for file, marked, plan in zip(found.view.index_files, found.indexes, found.plan.indexes, strict=True):
            if plan.unchanged:
                files.append(file)
            elif plan.stay:
                part = IndexPart(marked.index, plan.stay, marked.marked)
                files.append(self._remote.files.put_merged([part], self._session))
        if self._rewritten:
            files.append(self._remote.files.put_index(self._rewritten, self._session))
        return self._remote.files.merge_indexes(tuple(files), self._session)

    def _put_refs(self, found: _Found) -> tuple[StoredFile, ...]:
        if not found.dropped and (len(found.view.ref_files) - 1) * FULL_REFS < max(len(found.refs), 1):
            return found.view.ref_files
        return self._remote.files.put_many_refs({ref.name: ref for ref in found.refs}, self._session)

    def _remove(self, commit: Commit, leftovers: Iterable[Leftover]) -> None:
        """Remove what has expired, now that the commit stands."""
        transport = self._remote.transport
        oldest = commit_key(commit.oldest)
        transport.delete([key for key in transport.list(COMMITS) if is_commit_key(key) and key < oldest])
        transport.delete([leftover.key for leftover in leftovers])

    def _clear(self) -> None:
        """Remove what no commit ever names, and somebody has left who died."""
        transport, long_ago = self._remote.transport, self._author.now - ORPHAN_LIFE
        transport.delete([listed.key for listed in transport.scan(PROBES) if listed.modified <= long_ago])
        transport.delete(abandoned_claims(transport.scan(CLAIMS), long_ago))

    def _withdraw(self) -> tuple[Listed, ...]:
        """Remove the files of what is public no longer; those that were found."""
        files = unheld_files(self._remote, self._remote.latest(trusting=True))
        for published in files:
            settle_files(self._remote, published, self._progress)
        return _sorted(files)

    def _report(self, found: _Found, leftovers: Collection[Leftover], rewritten: int) -> Collected:
        removed = {leftover.key for leftover in leftovers}
        return Collected(
            dropped=tuple(found.dropped),
            objects=sum(weights.dead for weights in found.weights),
            size=sum(weights.dead_size for weights in found.weights),
            freed=sum(leftover.size for leftover in leftovers),
            kept=sum(length for pack, length in found.plan.gone.items() if pack_key(pack) not in removed),
            rewritten=rewritten,
        )


def _sorted(files: Mapping[PublicSnapshot, Iterable[Listed]]) -> tuple[Listed, ...]:
    return tuple(sorted(listed for some in files.values() for listed in some))


def _read_commits(remote: Remote, numbers: Iterable[int]) -> list[Commit]:
    with in_order(numbers, remote.read_commit, remote.transport.parallel) as read:
        return [commit for _, commit in read]


def _packs_to_rewrite(found: _Found) -> list[IndexedPack]:
    """The packs that are rewritten, with what is alive in them."""
    packs: list[IndexedPack] = []
    for marked, plan in zip(found.indexes, found.plan.indexes, strict=True):
        others = {pack.digest for pack in marked.index.packs} - plan.rewrite
        packs += marked.index.tables(leave_out=others, only=marked.marked)
    return packs
