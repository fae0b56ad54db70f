"""The commit log of a remote (objects_spec.md, section 9).

Invariants:
- A commit names every index and every ref segment that holds; what it names was durable before it was written.
- An object that is in an index of a commit is in the remote with everything beneath it: a push sends closures whole.
- A number is taken once. Whoever finds it taken reads the new commit, makes sure that what he relied on is in it and
  that his session is not fenced, and tries the next number.
- A commit counts when it is seen to stand in the log after it was created. A writer that slept may have been given
  a number whose commit has expired; the newest commit does not descend from such a one.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hitsave.errors import (
    MalformedObject,
    ReliedOnLost,
    RemoteConflict,
    RemoteCorrupt,
    RemoteNotFound,
    RemoteRefused,
    RemoteUnsuitable,
    SessionFenced,
)
from hitsave.objects.digest import Digest
from hitsave.packing.chunking import ContentChunking
from hitsave.packing.commit import (
    Commit,
    RemoteFormat,
    StoredFile,
    commit_digest,
    decode_commit,
    decode_format,
    encode_commit,
    encode_format,
)
from hitsave.packing.index import IndexedPack
from hitsave.packing.refsegment import RefChanges
from hitsave.remotes.commits.additions import Addition
from hitsave.remotes.commits.committed import CommittedFiles
from hitsave.remotes.commits.keys import COMMITS, FORMAT_KEY, commit_key, is_commit_key
from hitsave.remotes.commits.races import Races
from hitsave.remotes.commits.seen import Seen, load_seen, save_seen
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.suitable import refuse_overwriting, refuse_strangers
from hitsave.remotes.commits.view import View
from hitsave.remotes.transports.protocol import Transport

_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a commit, and when (seconds since 1970)."""

    name: str
    now: int


#: Makes the commit that is to follow a view. Called again, with the newer view, where another writer was quicker.
Build = Callable[[View], Commit]


class Remote:
    """A store that holds a hitsave remote, and the folder in which its immutable small files are cached."""

    def __init__(
        self, transport: Transport, format_record: RemoteFormat, cached: Path, races: Races | None = None
    ) -> None:
        self.transport = transport
        self.format = format_record
        self._cached = cached / format_record.identity
        self._cached.mkdir(parents=True, exist_ok=True)
        #: Where pushes note what they have sent and not committed yet.
        self.unfinished = self._cached / "unfinished"
        self.files = CommittedFiles(transport, self._cached)
        self._races = races or Races()
        self._known: View | None = None

    @classmethod
    def open(cls, transport: Transport, cached: Path, create: bool = False, races: Races | None = None) -> Remote:
        """Open a remote; with `create`, make one in an empty store. Raises RemoteUnsuitable, RemoteCorrupt."""
        try:
            record = transport.get(FORMAT_KEY)
        except RemoteNotFound:
            if not create:
                if transport.list(COMMITS):
                    raise RemoteCorrupt(transport.url, FORMAT_KEY, "is missing, and there are commits") from None
                raise RemoteUnsuitable(
                    f"{transport.url}: there is no hitsave remote there; 'hitsave push' makes one"
                ) from None
            record = cls._create(transport)
        try:
            decoded = decode_format(record)
        except MalformedObject as error:
            raise RemoteCorrupt(transport.url, FORMAT_KEY, str(error)) from None
        remote = cls(transport, decoded, cached, races)
        if create:
            remote.probe_once()
        return remote

    def probe_once(self) -> None:
        """Make sure, once on each machine that pushes, that this store overwrites nothing. Raises RemoteUnsuitable.

        A remote that stands in a settings file was never probed there.
        """
        note = self._cached / "probed"
        if not note.exists():
            # The bytes are the same. Who may not write at all is told so when there is something to write.
            with contextlib.suppress(RemoteRefused):
                refuse_overwriting(self.transport, FORMAT_KEY, encode_format(self.format))
            note.touch()

    @staticmethod
    def _create(transport: Transport) -> bytes:
        refuse_strangers(transport)
        record = encode_format(RemoteFormat(secrets.token_hex(16), ContentChunking()))
        try:
            transport.put(FORMAT_KEY, record)
        except RemoteConflict:
            return transport.get(FORMAT_KEY)
        transport.sync()
        return record

    # -- reading

    @property
    def known(self) -> View | None:
        """The newest state that was asked for here; None before the first time."""
        return self._known

    def view_known_to(self, other: Remote) -> View | None:
        """The newest state that this or another opening of the same remote knows, to be read through this one."""
        theirs = other.known
        if theirs is not None and (self._known is None or self._known.number < theirs.number):
            self._known = View(self.files, theirs.commit, theirs.digest)
        return self._known

    def latest(self, trusting: bool = False) -> View:
        """The newest state. One listing and one read, and where something has changed, one more listing.

        With `trusting`, the commit that is known is not read again while it is the last one that is listed. That is for
        who only looks something up: a store that was put in this one's place is noticed later.
        """
        known = self._known
        seen = self._newest_seen()
        keys = self._commits_from(seen.number if seen else 0)
        if trusting and known and keys == [commit_key(known.number)]:
            return known
        if not keys:
            if seen:
                raise self._corrupt(commit_key(seen.number), "the newest commit is gone")
            return View(self.files, None, None)
        content = self._get_newest(keys, seen)
        digest = commit_digest(content)
        if known and known.digest == digest and commit_key(known.number) == keys[-1]:
            return known
        commit = self.decode(keys[-1], content)
        if seen:
            self._check_descent(seen, commit, digest, keys)
        return self._know(commit, digest)

    def _newest_seen(self) -> Seen | None:
        """The newest commit that this machine knows of, by this process or an earlier one."""
        noted = load_seen(self._cached)
        known = self._known
        if known is None or known.digest is None or (noted is not None and noted.number > known.number):
            return noted
        return Seen(known.number, known.digest)

    def _commits_from(self, number: int) -> list[str]:
        """The keys of commits from a number on. File managers leave files of their own beside them."""
        return self._commits_after(commit_key(number - 1) if number else "")

    def _commits_after(self, key: str) -> list[str]:
        return [key for key in self.transport.list(COMMITS, key) if is_commit_key(key)]

    def _get_newest(self, keys: list[str], seen: Seen | None) -> bytes:
        """The last of the commits that were listed; newer ones are added to the list.

        Before it is read it may expire, and a writer that slept may be given its number. So nothing newer may
        have come when it was read, unless it is the one that was seen before.
        """
        while True:
            last = keys[-1]
            content: bytes | None = None
            with contextlib.suppress(RemoteNotFound):
                content = self.transport.get(last)
                if seen and (last, commit_digest(content)) == (commit_key(seen.number), seen.digest):
                    return content
            if newer := self._commits_after(last):
                keys += newer
            elif content is not None:
                return content
            else:
                raise ReliedOnLost([last])

    def _get_commit(self, key: str) -> bytes:
        try:
            return self.transport.get(key)
        except RemoteNotFound:  # It expired since it was listed: newer ones came, and a collection.
            raise ReliedOnLost([key]) from None

    def _know(self, commit: Commit, digest: Digest) -> View:
        self._known = View(self.files, commit, digest)
        save_seen(self._cached, Seen(commit.number, digest))
        self.files.drop_copies(commit)
        return self._known

    def read_commit(self, number: int) -> Commit:
        """A commit that is retained. Raises RemoteNotFound, RemoteCorrupt."""
        key = commit_key(number)
        return self.decode(key, self.transport.get(key))

    def view_of(self, commit: Commit) -> View:
        """What was true at a commit that is retained."""
        return View(self.files, commit, None)

    def decode(self, key: str, content: bytes) -> Commit:
        """The commit that was read under a key. Raises RemoteCorrupt."""
        try:
            commit = decode_commit(content)
        except MalformedObject as error:
            raise self._corrupt(key, str(error)) from None
        if commit_key(commit.number) != key:
            raise self._corrupt(key, f"holds commit {commit.number}")
        if commit.identity != self.format.identity:
            raise self._corrupt(key, "belongs to another remote")
        return commit

    def _check_descent(self, seen: Seen, commit: Commit, digest: Digest, keys: Sequence[str]) -> None:
        key = commit_key(commit.number)
        if commit.number == seen.number:
            descends = digest == seen.digest
        elif commit.number == seen.number + 1:
            descends = commit.parent == seen.digest
        else:
            # What lies between is not read. But the commit that was seen is there, or it has expired.
            descends = commit.oldest > seen.number or commit_key(seen.number) in keys
        if commit.number < seen.number or not descends:
            raise self._corrupt(key, "does not descend from the commit read before")

    def _corrupt(self, key: str, reason: str) -> RemoteCorrupt:
        return RemoteCorrupt(self.transport.url, key, reason)

    # -- writing

    def append(
        self,
        view: View,
        session: Session,
        author: Author,
        operation: str,
        packs: Collection[IndexedPack],
        refs: RefChanges,
        relied_on: Iterable[bytes] = (),
    ) -> View:
        """Commit packs that this session sent, and refs. The packs become visible now, all at once.

        Raises ReliedOnLost where another writer's commit no longer has something that was not sent since `view` had it,
        SessionFenced where the packs may have been removed.
        """
        addition = Addition(self.files, session, view, packs, refs, relied_on)
        # Whoever is late anyhow should not put lists together first.
        many = self.files.are_many(view.index_files) or self.files.are_many(view.ref_files)
        first = self.latest(trusting=True) if many else view

        def build(newest: View) -> Commit:
            times = self._races.overdue(lost=newest is not view)
            indexes, segments = addition.indexes(newest), addition.refs(newest)
            return self.following(newest, session, author, operation, indexes, segments, times)

        return self.commit(first, session, build)

    def commit(self, view: View, session: Session, build: Build) -> View:
        """Create the next commit. Raises SessionFenced, and what `build` raises."""
        begun = self._races.clock()
        for lost in range(1, _TRIES + 1):
            if session.fenced_by(view.commit):
                raise SessionFenced()
            commit = build(view)
            content = encode_commit(commit)
            self.transport.sync()
            if not self._create_commit(commit.number, content):
                self._races.pause(lost, self._races.clock() - begun)
                begun = self._races.clock()
                view = self.latest()
                continue
            self.transport.sync()
            digest = commit_digest(content)
            if not self._stands(commit.number, digest):
                raise SessionFenced()
            return self._know(commit, digest)
        raise RemoteUnsuitable(
            f"{self.transport.url}: every commit number is taken at once; this store cannot be trusted"
        )

    def _create_commit(self, number: int, content: bytes) -> bool:
        """Whether the number was free. Where an answer was lost, the commit there may be our own."""
        key = commit_key(number)
        try:
            self.transport.put(key, content)
        except RemoteConflict:
            with contextlib.suppress(RemoteNotFound):
                return self.transport.get(key) == content
            return False
        return True

    def _stands(self, number: int, digest: Digest) -> bool:
        """Whether a commit that was just created is the newest one, or one that the next one descends from."""
        keys = self._commits_from(number)
        if keys[:1] != [commit_key(number)]:
            return False
        if len(keys) == 1:
            return True
        if keys[1] != commit_key(number + 1):
            return False
        return self.decode(keys[1], self._get_commit(keys[1])).parent == digest

    def following(
        self,
        view: View,
        session: Session,
        author: Author,
        operation: str,
        indexes: tuple[StoredFile, ...],
        refs: tuple[StoredFile, ...],
        times: int = 1,
    ) -> Commit:
        """The commit that follows a view with these files, put together where they are `times` too many."""
        return Commit(
            identity=self.format.identity,
            number=view.number + 1,
            parent=view.digest,
            created=author.now,
            author=author.name,
            operation=operation,
            session=session.hex,
            indexes=self.files.merge_indexes(indexes, session, times),
            refs=self.files.merge_refs(refs, session, times),
            oldest=view.commit.oldest if view.commit else 1,
            fenced_before=view.commit.fenced_before if view.commit else 0,
            fenced=view.commit.fenced if view.commit else (),
        )
