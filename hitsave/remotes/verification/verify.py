"""Verification of a remote: every file that its newest commit knows, the commits before, and what every ref needs.

What is read is the remote's own: this machine's copies are not believed. What is lost is told by object, with the refs
that need it; a damaged pack or index with the refs that lose something by it. What no commit names is no fault.

A collection may remove what is being read. Where anything is wrong and there is a newer commit by now, that one is
looked at instead.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from hitsave.objects.digest import Digest
from hitsave.objects.refs import Ref
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, IndexedPack
from hitsave.packing.pack import PackTable
from hitsave.progress import Progress, Silent
from hitsave.remotes.commits.keys import PACKS, commit_key, index_key, pack_key, refs_key
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.verification.closure import Closure, Lost
from hitsave.remotes.verification.filecheck import check_commits, check_index, check_older_files, check_refs
from hitsave.remotes.verification.holdings import Holdings
from hitsave.remotes.verification.packcheck import PackDamage, check_packs

_TRIES = 5
#: Entries of an index that are in memory at once, some 200 bytes each. Each time, all of the index is read.
_ENTRIES_AT_ONCE = 500_000


class RemoteFault(NamedTuple):
    """Something that is lost or wrong: the object where it is known, the key or ref, why, and whose it is."""

    digest: Digest | None
    where: str
    reason: str
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteReport:
    """What was looked at, and what was wrong with it. `size` is in bytes read."""

    objects: int
    size: int
    refs: int
    faults: tuple[RemoteFault, ...]


@dataclass(slots=True)
class Examined:
    """One state of a remote and what is wrong in it: by commit, file and pack, each with the reason.

    `history` are the earlier commits that can be read. `indexes` and `refs` are what can be used of the newest one, out
    of this machine's copy if need be. `older` are damaged files that only earlier commits name, with the last of them.
    """

    view: View
    history: dict[int, Commit] = field(default_factory=dict)
    commits: dict[int, str] = field(default_factory=dict)
    files: dict[StoredFile, str] = field(default_factory=dict)
    segments: dict[StoredFile, str] = field(default_factory=dict)
    older: dict[str, tuple[int, str]] = field(default_factory=dict)
    indexes: dict[StoredFile, Index] = field(default_factory=dict)
    packs: dict[Digest, PackDamage] = field(default_factory=dict)
    refs: list[Ref] = field(default_factory=list)
    lost: dict[Digest, Lost] = field(default_factory=dict)
    owners: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict)
    objects: int = 0
    size: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.commits or self.files or self.segments or self.older or self.packs or self.lost)

    def holdings(self) -> Holdings:
        """What can be read."""
        return Holdings(list(self.indexes.values()), self.packs)

    def report(self, remote: Remote) -> RemoteReport:
        """What people should be told."""
        url = remote.transport.url
        broken = [(commit_key(number), reason, ()) for number, reason in sorted(self.commits.items())]
        broken += [(key, reason, ()) for key, (_, reason) in sorted(self.older.items())]
        unknown = tuple(
            sorted({name for digest, names in self.owners.items() for name in names if self._missing(digest)})
        )
        usable = self.indexes
        wrong = [(index_key(file), why, () if file in usable else unknown) for file, why in self.files.items()]
        wrong += [(refs_key(file), why, ()) for file, why in self.segments.items()]
        wrong += [(pack_key(pack), found.reason, self._owners_of(pack)) for pack, found in sorted(self.packs.items())]
        faults = [RemoteFault(None, f"{url}: {key}", reason, owners) for key, reason, owners in (*broken, *wrong)]
        faults += [RemoteFault(key, url, lost.reason, self.owners[key]) for key, lost in sorted(self.lost.items())]
        return RemoteReport(self.objects, self.size, len(self.refs), tuple(faults))

    def _missing(self, digest: Digest) -> bool:
        return self.lost[digest].pack is None

    def _owners_of(self, pack: Digest) -> tuple[str, ...]:
        lost = (digest for digest, found in self.lost.items() if found.pack == pack)
        return tuple(sorted({name for digest in lost for name in self.owners[digest]}))


def verify(
    remote: Remote, sample: float | None = None, seed: int = 0, progress: Progress | None = None
) -> RemoteReport:
    """Read the packs of the newest commit, or a part of them (0 to 1), and follow every ref. Changes nothing.

    Of packs that are not read, it is looked up that they are there and as long as they must be. Raises RemoteCorrupt
    where the newest commit cannot be read: nothing can be followed then.
    """
    return examine(remote, sample, seed, progress).report(remote)


def examine(remote: Remote, sample: float | None = None, seed: int = 0, progress: Progress | None = None) -> Examined:
    """As `verify`, for those who want to repair what they find."""
    for _ in range(_TRIES):
        view = remote.latest()
        found = _examine(remote, view, sample, seed, progress or Silent())
        if found.sound or remote.latest().digest == view.digest:
            break
    return found


def _examine(remote: Remote, view: View, sample: float | None, seed: int, progress: Progress) -> Examined:
    found = Examined(view)
    if view.commit is None:
        return found
    progress.start("verifying")
    found.history, found.commits = check_commits(remote, view.commit)
    if sample is None:
        found.older = check_older_files(remote, view.commit, found.history)
    _check_files(remote, found)
    _check_packs(remote, found, sample, seed, progress)
    closure = Closure(found.holdings(), Reader(remote, view))
    closure.follow((ref.digest, ref.kind) for ref in found.refs)
    found.lost, found.owners = closure.lost, closure.owners(found.refs)
    return found


def _check_files(remote: Remote, found: Examined) -> None:
    for file in sorted(found.view.index_files, key=lambda file: file.entries, reverse=True):
        index, reason = check_index(remote, file)
        if index is not None:
            found.indexes[file] = index
        if reason:
            found.files[file] = reason
    refs, found.segments = check_refs(remote, found.view.ref_files)
    found.refs = list(refs.values())


def _check_packs(remote: Remote, found: Examined, sample: float | None, seed: int, progress: Progress) -> None:
    indexes = list(found.indexes.values())
    lengths = {pack.digest: pack.length for index in indexes for pack in index.packs}
    chosen = _choose(sorted(lengths), sample, seed)
    if len(chosen) < len(lengths):
        chosen |= _suspicious(remote, {pack: length for pack, length in lengths.items() if pack not in chosen})
    found.size = sum(lengths[pack] for pack in chosen)
    progress.start("verifying", found.size)
    for checked in check_packs(remote.transport, packs_of(indexes, chosen)):
        progress.advance(checked.read)
        if checked.done:
            found.objects += len(checked.pack.table.records)
        if checked.damage is not None:
            found.objects -= len(checked.damage.unreadable)
            found.packs[checked.pack.digest] = checked.damage


def _choose(packs: list[Digest], sample: float | None, seed: int) -> set[Digest]:
    if sample is None:
        return set(packs)
    return set(random.Random(seed).sample(packs, min(len(packs), max(1, round(len(packs) * sample)))))


def _suspicious(remote: Remote, lengths: dict[Digest, int]) -> set[Digest]:
    """Those of some packs that are not there, or not as long as they must be."""
    expected = {pack_key(pack): (pack, length) for pack, length in lengths.items()}
    for listed in remote.transport.scan(PACKS):
        if listed.key in expected and expected[listed.key][1] == listed.size:
            del expected[listed.key]
    return {pack for pack, _ in expected.values()}


def packs_of(indexes: Sequence[Index], chosen: Collection[Digest]) -> Iterator[IndexedPack]:
    """What the chosen packs hold, each once; of one that several indexes name, everything that any of them says."""
    named = Counter(pack.digest for index in indexes for pack in index.packs)
    shared: dict[Digest, IndexedPack] = {}
    for index in indexes:
        for pack in _tables(index, chosen):
            if named[pack.digest] == 1:
                yield pack
                continue
            before = shared.get(pack.digest, pack)
            records = tuple(sorted({*before.table.records, *pack.table.records}))
            shared[pack.digest] = pack._replace(table=PackTable(pack.table.blocks, records))
    yield from shared.values()


def _tables(index: Index, chosen: Collection[Digest]) -> Iterator[IndexedPack]:
    """What the chosen packs of an index hold; those of few packs are in memory at once."""
    every = {pack.digest for pack in index.packs}
    at_once = max(1, _ENTRIES_AT_ONCE * len(every) // max(1, index.entry_count))
    left = (digest for digest in every if digest in chosen)
    while some := {*islice(left, at_once)}:
        yield from index.tables(leave_out=every - some)
