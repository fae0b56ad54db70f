"""Lets in commits that follow the newest one and say the truth, and knows what the newest one needs.

What a commit adds is looked at, not what was there before: it must be there, as long as the commit says, and new packs
must hold what their index says. Of a writer, nothing that was held may be missing afterwards, what new refs hold must
be there, and new packs must be of its own session: a collection may be about to remove others. A public link may be
taken back by a writer, where another ref owns what it owned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from hitsave.errors import MalformedObject, RemoteCorrupt, RemoteNotFound, RemoteUnsuitable
from hitsave.objects.digest import Digest
from hitsave.objects.refs import Namespace, Ref, RefName, public_ref, snapshot_ref
from hitsave.packing.commit import Commit, StoredFile, decode_commit
from hitsave.packing.index import Index, IndexedPack
from hitsave.packing.pack import HEADER_SIZE, NONCE_SIZE
from hitsave.packing.packreader import read_table
from hitsave.remotes.commits.keys import index_key, pack_key, refs_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.public.layout import snapshot_of
from hitsave.remotes.transports.protocol import Transport
from hitsave.server.access import Role
from hitsave.server.store.admission import (
    Inadmissible,
    KeyKind,
    StoreKey,
    changed_files,
    check_adds_only,
    check_follows,
    check_keeps_objects,
    check_removable,
    may_be_dropped,
    may_be_given_back,
)
from hitsave.server.store.refchanges import ChangedRef, Records, changed_refs

#: So many refs are judged at once; and of so few, no others are decoded.
_REFS_AT_ONCE = 500
_FEW_REFS = 1000


class Admitted(NamedTuple):
    """A commit that may be written, and what of its refs others have to be able to ask about.

    `dropped` are refs that it drops or changes, None where that cannot be known, but for links that it takes back:
    those are in `taken_back`, and `published` has links that it makes.
    """

    commit: Commit
    dropped: list[RefName] | None
    taken_back: list[Ref]
    published: list[Ref]


class Commits:
    """The commit log of a store. Not for several threads at once; `cached` is for copies of indexes and segments."""

    def __init__(self, transport: Transport, cached: Path) -> None:
        self._transport = transport
        self._cached = cached
        self._remote: Remote | None = None

    def admit(self, key: StoreKey, content: bytes, role: Role) -> Admitted:
        """Decide about a commit. Raises Inadmissible, MalformedObject, RemoteError."""
        commit = decode_commit(content)
        remote = self._open()
        if remote is None:
            raise Inadmissible("there is no format record yet, which comes first")
        newest = remote.latest()
        check_follows(commit, key.text, remote.format.identity, newest.commit, newest.digest)
        judged = _Judged(remote, newest, commit)
        try:
            if role < Role.ADMIN:
                check_adds_only(commit, newest.commit)
                judged.check_objects()
                judged.check_refs()
            else:
                judged.check_there()
                judged.note_refs()
            return Admitted(commit, judged.dropped, judged.taken_back, judged.published)
        except RemoteCorrupt as error:
            raise Inadmissible(f"{error.key} {error.reason}") from None

    def newest_number(self) -> int:
        """The number of the newest commit; 0 before the first. Raises RemoteError."""
        remote = self._open()
        return remote.latest().number if remote else 0

    def check_removable(self, keys: Sequence[StoreKey], role: Role) -> None:
        """Refuse to remove what is needed. Raises Inadmissible, RemoteError."""
        remote = self._open()
        newest = remote.latest().commit if remote else None
        packs: set[str] = set()
        if remote and newest and role is Role.ADMIN and any(key.text.startswith("packs/") for key in keys):
            for file in newest.indexes:
                packs |= {pack_key(pack) for pack in remote.files.packs_of(file)}
        check_removable(keys, newest, packs, self._public_of(keys), role is Role.ADMIN)

    def _public_of(self, keys: Sequence[StoreKey]) -> set[Digest]:
        """The snapshots of keys that the newest commit makes public."""
        snapshots = {snapshot_of(key.text) for key in keys if key.kind is KeyKind.PUBLIC} - {None}
        remote = self._open()
        if remote is None or not snapshots:
            return set()
        names = {public_ref(digest) for digest in snapshots if digest is not None}
        return {ref.digest for ref in remote.latest().held_of(names).values()}

    def _open(self) -> Remote | None:
        """The remote in the store; None as long as there is none."""
        if self._remote is None:
            with suppress(RemoteUnsuitable):
                self._remote = Remote.open(self._transport, self._cached)
        return self._remote


class _Judged:
    """One commit beside the one that it is to follow."""

    def __init__(self, remote: Remote, newest: View, commit: Commit) -> None:
        self._remote = remote
        self._transport = remote.transport
        self._newest = newest
        self._commit = commit
        self._after = View(remote.files, commit, None)
        self.dropped: list[RefName] | None = []
        self.taken_back: list[Ref] = []
        self.published: list[Ref] = []

    # -- indexes

    def check_objects(self) -> None:
        """For a writer: the indexes hold what was held, and the truth about packs of its own session."""
        before, after = self._newest.index_files, self._commit.indexes
        removed = [self._remote.files.load_index(file) for file in before if file not in after]
        added = self._load_added()
        for pack, records in check_keeps_objects(removed, added).items():
            self._check_own(pack, records, added)

    def _load_added(self) -> list[Index]:
        return [self._load(file) for file in self._commit.indexes if file not in self._newest.index_files]

    def _load(self, file: StoredFile) -> Index:
        index = self._remote.files.load_index(file)
        length = self._length_of(index_key(file), file.length)
        if length != file.length or index.entry_count != file.entries:
            raise Inadmissible(f"{index_key(file)} has not the length that the commit says")
        return index

    def _check_own(self, digest: Digest, records: set[bytes], added: Iterable[Index]) -> None:
        key = pack_key(digest)
        [summary, *others] = [(index, pack) for index in added for pack in index.packs if pack.digest == digest]
        index, pack = summary
        if others:
            raise Inadmissible(f"{key} is in several new indexes")
        table = self._read_pack(digest, pack.length).table
        if tuple(index.blocks_of(pack)) != table.blocks or not records <= set(table.records):
            raise Inadmissible(f"{key} does not hold what a new index says")
        if self._transport.get(key, HEADER_SIZE - NONCE_SIZE, NONCE_SIZE).hex() != self._commit.session:
            raise Inadmissible(f"{key} was sent by another push; to name it", needs_admin=True)

    def _read_pack(self, digest: Digest, length: int) -> IndexedPack:
        key = pack_key(digest)
        try:
            if self._length_of(key, length) != length:
                raise Inadmissible(f"{key} has another length than a new index says")
            return read_table(lambda start, size: self._transport.get(key, start, size), length, digest)
        except RemoteNotFound:
            raise Inadmissible(f"{key} is not there, and a new index names it") from None

    def _length_of(self, key: str, expected: int) -> int:
        """The length of a value if it is what is expected; another number if not. Raises RemoteNotFound."""
        return max(expected - 1, 0) + len(self._transport.get(key, max(expected - 1, 0), 2))

    def check_there(self) -> None:
        """For an admin: what the commit names is there."""
        known: set[Digest] = set()
        for file in self._newest.index_files:
            with suppress(RemoteCorrupt):  # It may be just what is repaired.
                known |= set(self._remote.files.packs_of(file))
        for index in self._load_added():
            for pack in index.packs:
                if pack.digest not in known and not self._is_there(pack_key(pack.digest), pack.length):
                    raise Inadmissible(f"{pack_key(pack.digest)} is not there, and a new index names it")
        self._load_new_refs()

    def _is_there(self, key: str, length: int) -> bool:
        with suppress(RemoteNotFound):
            return self._length_of(key, length) == length
        return False

    # -- refs

    def check_refs(self) -> None:
        """For a writer: every ref that was held holds the same still, but for links that are taken back.

        And what new refs hold is there: nothing is collected as long as something that is owned is missing. Whoever
        gives back an object that was lost may say of its ref what he knows: not knowing the one that is held, he sends
        his own.
        """
        for changed in self._changed():
            self._check_own_there([after for before, after in changed if before is None and after is not None])
            was = [(before, after) for before, after in changed if before is not None and before != after]
            owned = self._after.held_of({snapshot_ref(before.digest) for before, _ in was}) if was else {}
            there = self._newest.has_many({before.digest for before, _ in was}) if was else set()
            for before, after in was:
                if after is not None and may_be_given_back(before, after, before.digest in there):
                    self._check_own_there([after])
                    changed.remove(ChangedRef(before, after))  # Nobody needs to ask about that.
                    continue
                own = owned.get(snapshot_ref(before.digest))
                if after is not None or not may_be_dropped(before.name, before, own):
                    what = "drop" if after is None else "change"
                    raise Inadmissible(f"to {what} the ref {before.name}", needs_admin=True)
            self._note(changed)

    def _note(self, changed: Iterable[ChangedRef]) -> None:
        """Keep in mind what is made public or private, and what is dropped."""
        for before, after in changed:
            if before is None:
                if after is not None and after.name.namespace is Namespace.PUBLIC:
                    self.published.append(after)
            elif after is None and before.name.namespace is Namespace.PUBLIC:
                self.taken_back.append(before)
            elif after != before and self.dropped is not None:
                self.dropped.append(before.name)

    def _check_own_there(self, new: Collection[Ref]) -> None:
        there = self._after.has_many({ref.digest for ref in new}) if new else set()
        for ref in new:
            if ref.digest not in there:
                raise Inadmissible(f"what the ref {ref.name} holds is not there")

    def note_refs(self) -> None:
        """For an admin: what it drops, and makes public or private."""
        try:
            for changed in self._changed():
                self._note(changed)
        except (RemoteCorrupt, MalformedObject):
            self.dropped = None

    def _changed(self) -> Iterator[list[ChangedRef]]:
        """The refs that changed segments hold otherwise, as they are and as they will be, some at a time."""
        self._load_new_refs()
        old, new = changed_files(self._newest.ref_files, self._commit.refs)
        same = self._commit.refs[: len(self._commit.refs) - len(new)]
        if sum(file.entries for file in (*old, *new)) <= _FEW_REFS:
            names = {name for file in (*old, *new) for name, _ in self._records(file)}
            held = View(self._remote.files, replace(self._commit, refs=same), None).held_of(names)
            common: list[Records] = [sorted(held.items())]
        else:  # To look them up one by one would take longer than to go through all.
            common = [self._records(file) for file in same]
        changed = changed_refs(common, *([self._records(file) for file in files] for files in (old, new)))
        while some := [*islice(changed, _REFS_AT_ONCE)]:
            yield some

    def _records(self, file: StoredFile) -> Iterator[tuple[RefName, Ref | None]]:
        return self._remote.files.ref_table(file).records()

    def _load_new_refs(self) -> None:
        """Make sure of segments that were not there before: their digests, lengths and counts."""
        for file in self._commit.refs:
            if file not in self._newest.ref_files:
                count = sum(1 for _ in self._records(file))
                if count != file.entries or not self._is_there(refs_key(file), file.length):
                    raise Inadmissible(f"{refs_key(file)} has not the length that the commit says")
