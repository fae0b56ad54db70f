"""What a session adds to a remote, whatever view it is added to: a commit that loses its race is made again.

Index and ref segment are made and put once, and named by each try: they are of this session, hence there as long as it
is not fenced. Of what others have committed meanwhile only that is looked at which is new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from hitsave.errors import ReliedOnLost
from hitsave.objects.refs import RefName
from hitsave.packing.commit import StoredFile
from hitsave.packing.index import IndexedPack
from hitsave.packing.refsegment import RefChanges
from hitsave.remotes.commits.committed import CommittedFiles
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View


class Addition:
    """Packs and refs that a session adds. `view` has what it relies on, and none of the refs."""

    def __init__(
        self,
        files: CommittedFiles,
        session: Session,
        view: View,
        packs: Collection[IndexedPack],
        refs: RefChanges,
        relied_on: Iterable[bytes],
    ) -> None:
        self._files = files
        self._session = session
        self._view = view
        self._packs = packs
        self._refs = refs
        self._relied_on = list(relied_on)
        #: The newest view that was seen to have all that is relied on.
        self._checked = view
        self._index: StoredFile | None = None
        self._segments: dict[frozenset[RefName], tuple[StoredFile, ...]] = {}

    def indexes(self, newest: View) -> tuple[StoredFile, ...]:
        """The indexes that hold with it. Raises ReliedOnLost where something is not there any more."""
        self._check(newest)
        if self._index is None and self._packs:
            self._index = self._files.put_index(self._packs, self._session)
        return newest.index_files + ((self._index,) if self._index else ())

    def _check(self, newest: View) -> None:
        # What an index says stays true as long as a commit names it.
        if not set(self._checked.index_files) <= set(newest.index_files):
            there = newest.has_many(self._relied_on)
            if lost := [digest.hex() for digest in self._relied_on if digest not in there]:
                raise ReliedOnLost(lost)
        self._checked = newest

    def refs(self, newest: View) -> tuple[StoredFile, ...]:
        """The ref segments that hold with it. What others have made meanwhile stays as they made it."""
        held = self._held(newest)
        names = frozenset(name for name, ref in self._refs.items() if ref is None or name not in held)
        if names and names not in self._segments:
            changes = {name: ref for name, ref in self._refs.items() if name in names}
            self._segments[names] = self._files.put_many_refs(changes, self._session)
        return newest.ref_files + (self._segments[names] if names else ())

    def _held(self, newest: View) -> Collection[RefName]:
        if newest is self._view or not self._refs:
            return ()
        before, now = self._view.ref_files, newest.ref_files
        if newest.commit and now[: len(before)] == before:
            newest = View(self._files, replace(newest.commit, refs=now[len(before) :]), None)
            return newest.held_of(self._refs.keys())
        return newest.names_held([ref for ref in self._refs.values() if ref is not None])
