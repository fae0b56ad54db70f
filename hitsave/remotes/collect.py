"""Collects a remote beside other writers, readers and collectors. Section 9.6 of objects_spec.md says why it is safe.

Order: mark; new packs, indexes and ref segment; the commit that names them, expires old commits and fences dead
sessions; and only when that stands, removal of what no retained commit names. A mark that fails forbids the rest.
Where another writer commits first, everything is marked again, and packs that were rewritten are used again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hitsave.objects.refs import Ref, RefName
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack, encode_index
from hitsave.progress import Progress, Silent
from hitsave.remotes.keys import COMMITS, commit_key, index_key, is_commit_key, pack_key, refs_key
from hitsave.remotes.leftovers import Leftover, find_leftovers
from hitsave.remotes.log import Author, Remote
from hitsave.remotes.marks import Marks, mark_reachable
from hitsave.remotes.packplan import Plan, plan_packs
from hitsave.remotes.reader import Reader
from hitsave.remotes.retention import all_fenced, fenced_before, oldest_retained
from hitsave.remotes.rewriting import rewrite
from hitsave.remotes.sessions import Session
from hitsave.remotes.view import View

#: What the commit of a collection says that it did.
OPERATION = "gc"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection did, or would do.

    `dropped` are the refs that went with it; `objects` and `size` (bytes of content) what no ref reaches any more;
    `freed` bytes of packs were removed, and `kept` bytes of packs that nothing needs are there until commits expire or
    sessions end; `rewritten` bytes were sent anew, to take what is alive out of packs that are mostly dead (in a dry
    run counted before they are compressed).
    """

    dropped: tuple[Ref, ...] = ()
    objects: int = 0
    size: int = 0
    freed: int = 0
    kept: int = 0
    rewritten: int = 0


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
    view = remote.latest()
    if view.commit is None:
        return Collected()
    collection = _Collection(remote, author, keep, frozenset(drop), view, progress or Silent())
    return collection.look() if dry_run else collection.run()


@dataclass(slots=True)
class _Found:
    """What one look at a view found out. `retained` are the commits that are there, ascending."""

    view: View
    retained: list[Commit]
    dropped: list[Ref]
    refs: list[Ref]
    plan: Plan
    objects: int
    size: int

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
        self._leftovers: list[Leftover] = []

    def look(self) -> Collected:
        """What would be done."""
        found = self._find(self._first)
        self._leftovers = self._find_leftovers(found, found.view.index_files, found.view.ref_files)
        alive = sum(entry.length for pack in found.plan.rewrite for entry in pack.table.entries())
        return self._report(found, alive)

    def run(self) -> Collected:
        """Mark, rewrite, commit, remove."""
        found = self._find(self._first)
        if not self._is_worth_it(found):
            return self._report(found, 0)

        def build(newest: View) -> Commit:
            nonlocal found
            if newest is not self._first:
                found = self._find(newest)
            return self._build(found)

        commit = self._remote.commit(self._first, self._session, build).commit
        if commit is not None:
            self._remove(commit)
        return self._report(found, sum(pack.length for pack in self._rewritten))

    # -- finding out

    def _find(self, view: View) -> _Found:
        commit = view.commit
        assert commit is not None
        self._progress.start("marking")
        retained = [self._remote.read_commit(number) for number in range(commit.oldest, commit.number)] + [commit]
        refs = [ref for name, ref in view.refs().items() if name not in self._drop]
        indexes = [self._remote.files.load_index(file) for file in view.index_files]
        # What an earlier try has rewritten is preferred, so that it is not rewritten again.
        marks = Marks([Index(encode_index(self._rewritten)), *indexes])
        mark_reachable(marks, Reader(self._remote, view), ((ref.digest, ref.kind) for ref in refs))
        again, *tables = marks.tables()
        dead = [location.length for location in marks.dead() if location.kind != EntryKindInPack.RECIPE]
        dropped = [ref for name, ref in view.refs().items() if name in self._drop]
        plan = plan_packs(again, tables, view.index_files)
        return _Found(view, retained, dropped, refs, plan, len(dead), sum(dead))

    def _find_leftovers(
        self, found: _Found, indexes: Iterable[StoredFile], refs: Iterable[StoredFile]
    ) -> list[Leftover]:
        oldest = self._oldest(found)
        kept = [commit for commit in found.retained if commit.number >= oldest]
        packs = found.plan.stay | {pack.digest for pack in self._rewritten}
        files = {*map(index_key, indexes), *map(refs_key, refs)}
        return find_leftovers(self._remote, found.retained, kept, packs, files, self._session, self._author.now)

    def _oldest(self, found: _Found) -> int:
        return oldest_retained(found.retained, self._author.now, self._keep)

    def _is_worth_it(self, found: _Found) -> bool:
        self._leftovers = self._find_leftovers(found, found.view.index_files, found.view.ref_files)
        return bool(found.dropped or found.plan.changes or self._leftovers)

    # -- doing it

    def _build(self, found: _Found) -> Commit:
        """The commit of a collection; before it, what it names."""
        if found.plan.rewrite:
            new = rewrite(self._remote, found.view, self._session, found.plan.rewrite, self._progress)
            self._rewritten = [*found.plan.again, *new]
        else:
            self._rewritten = found.plan.again
        indexes = self._put_indexes(found.plan)
        refs = self._put_refs(found)
        number = fenced_before(found.retained, self._author.now)
        self._leftovers = self._find_leftovers(found, indexes, refs)
        return Commit(
            identity=found.newest.identity,
            number=found.newest.number + 1,
            parent=found.view.digest,
            created=self._author.now,
            author=self._author.name,
            operation=OPERATION,
            session=self._session.hex,
            indexes=indexes,
            refs=refs,
            oldest=self._oldest(found),
            fenced_before=number,
            fenced=all_fenced(found.newest, number, (leftover.session for leftover in self._leftovers)),
        )

    def _put_indexes(self, plan: Plan) -> tuple[StoredFile, ...]:
        files: list[StoredFile] = []
        for file, packs in plan.kept:
            if packs is None:
                files.append(file)
            elif packs:
                files.append(self._remote.files.put_index(packs, self._session))
        if self._rewritten:
            files.append(self._remote.files.put_index(self._rewritten, self._session))
        return self._remote.files.merge_indexes(tuple(files), self._session)

    def _put_refs(self, found: _Found) -> tuple[StoredFile, ...]:
        if not found.dropped and len(found.view.ref_files) <= 1:
            return found.view.ref_files
        if not found.refs:
            return ()
        return (self._remote.files.put_refs({ref.name: ref for ref in found.refs}, self._session),)

    def _remove(self, commit: Commit) -> None:
        """Remove what has expired, now that the commit stands."""
        transport = self._remote.transport
        oldest = commit_key(commit.oldest)
        transport.delete([key for key in transport.list(COMMITS) if is_commit_key(key) and key < oldest])
        transport.delete([leftover.key for leftover in self._leftovers])

    def _report(self, found: _Found, rewritten: int) -> Collected:
        freed = sum(leftover.size for leftover in self._leftovers)
        removed = {leftover.key for leftover in self._leftovers}
        kept = sum(length for pack, length in found.plan.gone.items() if pack_key(pack) not in removed)
        return Collected(tuple(found.dropped), found.objects, found.size, freed, kept, rewritten)
