"""What a store takes from clients, and lets them remove. Pure: it decides; `commits` and `writing` ask and carry out.

Only the keys of objects_spec.md, section 9.2, exist. Files are named by their content and checked against that when
they come (`content`). A commit may only follow the newest one, and name what is there. The role `write` may add: what
its commits say of refs and objects holds all that was held before, but for public links, which it may take back.
Whoever drops, rewrites or expires anything else is an admin, and even an admin cannot remove what the newest state
needs.
"""

from __future__ import annotations

import heapq
import re
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import groupby
from typing import NamedTuple

from blake3 import blake3

from hitsave.errors import HitsaveError, MalformedObject
from hitsave.objects.digest import DIGEST_SIZE, Digest
from hitsave.objects.refs import Namespace, Ref, RefName
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import Index, PackSummary
from hitsave.remotes.commits.keys import FORMAT_KEY, commit_key, index_key, refs_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.public.layout import snapshot_of
from hitsave.server.settings import ServerLimits

_HEX = "[0-9a-f]"
_NUMBER_SIZE = 4


class KeyKind(Enum):
    """What lies under a key."""

    FORMAT = auto()
    PACK = auto()
    INDEX = auto()
    REFS = auto()
    COMMIT = auto()
    CLAIM = auto()
    PROBE = auto()
    PUBLIC = auto()


_PATTERNS = {
    KeyKind.FORMAT: re.compile(FORMAT_KEY),
    KeyKind.PACK: re.compile(rf"packs/({_HEX}{{2}})/(?P<digest>\1{_HEX}{{62}})\.pack"),
    KeyKind.INDEX: re.compile(rf"indexes/(?P<digest>{_HEX}{{64}})-{_HEX}{{32}}\.index"),
    KeyKind.REFS: re.compile(rf"refs/(?P<digest>{_HEX}{{64}})-{_HEX}{{32}}\.refs"),
    KeyKind.COMMIT: re.compile(r"commits/[0-9]{20}"),
    KeyKind.CLAIM: re.compile(rf"claims/{_HEX}{{64}}-[0-9]{{20}}"),
    KeyKind.PROBE: re.compile(r"probe/[0-9a-z]{1,64}"),
}
#: What a listing may ask for: the beginning of a key. Nothing that leads out of a folder is one.
_PREFIX = re.compile(
    r"[a-z]{0,10}|(?:packs|indexes|refs|commits|claims|probe)/(?:[0-9a-f]{2}/)?[0-9a-z-]{0,110}(?:\.[a-z]{0,10})?"
    r"|public/(?:[0-9a-f]{0,64}|[0-9a-f]{64}/)"
)
#: As long a path as stores can have.
_LONGEST = 4096
#: The most characters of what a commit says of itself, which stands in the audit log.
_LONGEST_WORDS = 1000
#: Keys that name nothing which is kept, so that whoever may write may remove them.
PASSING = frozenset((KeyKind.CLAIM, KeyKind.PROBE))


class Inadmissible(HitsaveError):
    """What a client wants to create or remove is against the rules; `needs_admin` where an admin could."""

    def __init__(self, reason: str, needs_admin: bool = False) -> None:
        self.needs_admin = needs_admin
        super().__init__(reason)


class Overtaken(Inadmissible):
    """A commit that does not follow the newest one: another writer was quicker."""


class StoreKey(NamedTuple):
    """A key, what lies under it, and the digest that its value must have."""

    text: str
    kind: KeyKind
    digest: Digest | None


def parse_key(text: str) -> StoreKey | None:
    """The key that a text spells; None where there is no such key."""
    for kind, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(text):
            digest = found.groupdict().get("digest")
            return StoreKey(text, kind, Digest(bytes.fromhex(digest)) if digest else None)
    if len(text) <= _LONGEST and snapshot_of(text) is not None:
        return StoreKey(text, KeyKind.PUBLIC, None)
    return None


def is_prefix(text: str) -> bool:
    """Whether keys may begin so; so is it with what they are to come after."""
    return _PREFIX.fullmatch(text) is not None or parse_key(text) is not None


def check_creatable(key: StoreKey) -> None:
    """Refuse to create what clients never do. Raises Inadmissible.

    A server gives public files out of the packs, checked; one that lay under such a key would be somebody's word only.
    """
    if key.kind is KeyKind.PUBLIC:
        raise Inadmissible("this server gives public files itself, and takes none under public/")


def largest(kind: KeyKind, limits: ServerLimits) -> int:
    """The most bytes that a value may have."""
    return {KeyKind.PACK: limits.pack, KeyKind.INDEX: limits.index, KeyKind.REFS: limits.refs}.get(kind, limits.small)


# -- commits


def check_follows(commit: Commit, key: str, identity: str, newest: Commit | None, digest: Digest | None) -> None:
    """Refuse a commit that does not follow the newest one, or is of a fenced session. Raises Inadmissible."""
    if commit.identity != identity:
        raise Inadmissible("the commit belongs to another remote")
    if commit_key(commit.number) != key:
        raise Inadmissible(f"the key is not that of commit {commit.number}")
    number = newest.number if newest else 0
    if commit.number <= number:
        raise Overtaken(f"commit {number} is there already")
    if commit.number > number + 1:
        raise Inadmissible(f"the newest commit is {number}, so that {commit.number} cannot follow")
    if commit.parent != digest:
        raise Overtaken(f"the parent is not commit {number} as it is")
    for files in (commit.indexes, commit.refs):
        if len(set(files)) < len(files):
            raise Inadmissible("the commit names a file twice")
    if max(len(commit.author), len(commit.operation)) > _LONGEST_WORDS:
        raise Inadmissible(f"author and operation may have {_LONGEST_WORDS} characters")
    session = Session.from_token(bytes.fromhex(commit.session))
    check_begun(session, number)
    if session.fenced_by(newest):
        raise Overtaken("the session was fenced by a collection")


def check_begun(session: Session, newest: int) -> None:
    """Refuse what is of a session that has not begun: no collection could ever fence it. Raises Inadmissible."""
    if session.base > newest:
        raise Inadmissible(f"the session says that it began at commit {session.base}, and the newest one is {newest}")


def check_adds_only(commit: Commit, newest: Commit | None) -> None:
    """Refuse a commit that expires commits, or fences. Raises Inadmissible, which an admin would not get."""
    oldest, before = (newest.oldest, newest.fenced_before) if newest else (1, 0)
    fenced = newest.fenced if newest else ()
    if (commit.oldest, commit.fenced_before, commit.fenced) != (oldest, before, fenced):
        raise Inadmissible("to expire commits, or fence pushes,", needs_admin=True)


def changed_files(
    before: Sequence[StoredFile], after: Sequence[StoredFile]
) -> tuple[list[StoredFile], list[StoredFile]]:
    """Of lists of which the order matters, what follows where they begin to differ."""
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    return [*before[same:]], [*after[same:]]


def check_keeps_objects(removed: Sequence[Index], added: Sequence[Index]) -> dict[Digest, set[bytes]]:
    """What added indexes say of packs that no removed one names: the entry records of each, as in its own table.

    Refuses where an entry of a removed index is in no added one, or an added one says of their packs what they did not.
    Raises Inadmissible, MalformedObject. Memory grows with the entries of the new packs alone.
    """
    known = _packs_of(removed)
    for index in added:
        for pack in index.packs:
            if pack.digest in known and known[pack.digest] != _shape(index, pack):
                raise Inadmissible(f"an index says of pack {pack.digest.short} what the one before did not")
    new: dict[Digest, set[bytes]] = {pack.digest: set() for index in added for pack in index.packs}
    for digest in known.keys() & new.keys():
        del new[digest]
    for before, after in _joined(_grouped(removed), _grouped(added)):
        if not before <= after:
            raise Inadmissible("to drop objects from the indexes", needs_admin=True)
        for place in after - before:
            owner = Digest(place[DIGEST_SIZE : 2 * DIGEST_SIZE])
            if owner in known:
                raise Inadmissible(f"an index says of pack {owner.short} what the one before did not")
            new[owner].add(place[:DIGEST_SIZE] + place[2 * DIGEST_SIZE :])
    return new


def _packs_of(indexes: Iterable[Index]) -> dict[Digest, tuple[int, bytes]]:
    return {pack.digest: _shape(index, pack) for index in indexes for pack in index.packs}


def _shape(index: Index, pack: PackSummary) -> tuple[int, bytes]:
    """Length and blocks of a pack, the latter by a digest: an index may name many."""
    hasher = blake3()
    for block in index.blocks_of(pack):
        hasher.update(struct.pack("<4Q", *block))
    return pack.length, hasher.digest()


def _places(index: Index) -> Iterator[bytes]:
    """The entries of an index: each digest, its pack, and its record's rest with the block as the pack counts it."""
    owners = [pack for pack in index.packs for _ in range(pack.blocks)]
    for record in index.records():
        number = int.from_bytes(record[DIGEST_SIZE : DIGEST_SIZE + _NUMBER_SIZE], "little")
        if number >= len(owners):
            raise MalformedObject("index", f"names block {number}, which it does not have")
        pack = owners[number]
        within = (number - pack.first_block).to_bytes(_NUMBER_SIZE, "little")
        yield record[:DIGEST_SIZE] + pack.digest + within + record[DIGEST_SIZE + _NUMBER_SIZE :]


def _grouped(indexes: Iterable[Index]) -> Iterator[tuple[bytes, set[bytes]]]:
    """The places of each digest, ascending. Those of one may be out of order in their index."""
    merged = heapq.merge(*map(_places, indexes))
    for digest, places in groupby(merged, lambda place: place[:DIGEST_SIZE]):
        yield digest, set(places)


def _joined(
    left: Iterator[tuple[bytes, set[bytes]]], right: Iterator[tuple[bytes, set[bytes]]]
) -> Iterator[tuple[set[bytes], set[bytes]]]:
    """The places of each digest in both; empty where it is in one of them only."""
    end: tuple[bytes, set[bytes]] = (b"\xff" * (DIGEST_SIZE + 1), set())
    one, other = next(left, end), next(right, end)
    while one is not end or other is not end:
        if one[0] == other[0]:
            yield one[1], other[1]
            one, other = next(left, end), next(right, end)
        elif one[0] < other[0]:
            yield one[1], set()
            one = next(left, end)
        else:
            yield set(), other[1]
            other = next(right, end)


# -- removing


def check_removable(
    keys: Iterable[StoreKey], newest: Commit | None, packs: Collection[str], public: Collection[Digest], admin: bool
) -> None:
    """Refuse to remove what the newest commit needs. Raises Inadmissible.

    `packs` are the keys of those that it names, `public` the snapshots that it makes public. Besides, the commits that
    it retains stay, so that what was dropped can be brought back.
    """
    named = {*map(index_key, newest.indexes), *map(refs_key, newest.refs)} if newest else set()
    oldest = commit_key(newest.oldest) if newest else ""
    for key in keys:
        if key.kind in PASSING:
            continue
        if key.kind is KeyKind.PUBLIC:  # What is private again goes by the word of whoever may take back.
            needed = snapshot_of(key.text) in public
        else:
            if not admin:
                raise Inadmissible("to remove anything", needs_admin=True)
            retained = key.kind is KeyKind.COMMIT and key.text >= oldest
            needed = key.kind is KeyKind.FORMAT or retained or key.text in named or key.text in packs
        if needed:
            raise Inadmissible(f"{key.text} is needed by the newest state of the store")


# -- refs


def may_be_given_back(before: Ref, after: Ref, was_there: bool) -> bool:
    """Whether a writer may say something else of a ref, where what it holds was lost, and comes with it again."""
    return not was_there and (before.digest, before.kind) == (after.digest, after.kind)


def may_be_dropped(name: RefName, before: Ref, own: Ref | None) -> bool:
    """Whether a writer may drop a ref, where `own` is the ref in `snapshots` of the same digest afterwards.

    Who may make something public may take it back, also what others did; as long as what it owned stays owned.
    """
    kept = own is not None and (own.digest, own.kind) == (before.digest, before.kind)
    return name.namespace is Namespace.PUBLIC and kept
