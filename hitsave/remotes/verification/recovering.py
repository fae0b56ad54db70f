"""Builds indexes and ref segments of a remote again that are damaged, out of all that is still there.

An index can be built again from the packs' own tables. Which packs it named, nobody knows; so of all packs that no
other index names, those entries are taken that a ref reaches. That is safe whoever sent the pack: a session that has
not committed may have sent half a closure, but what is reached was followed to its end. A pack of a session that was
fenced, and that no retained commit is known to name, may be on its way to be removed: its entries are copied.

Refs come from the segments of older commits, and from this cache. Where some may be missing all the same, whatever no
ref reaches is given an owner: a snapshot by its digest. So no collection takes what somebody still wants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hitsave.errors import MalformedObject, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import links
from hitsave.objects.refs import Ref, RefName, snapshot_ref
from hitsave.packing.blocks import EntryKindInPack
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.index import IndexedPack, Location
from hitsave.packing.pack import HEADER_SIZE, NONCE_SIZE, TRAILER, decode_trailer
from hitsave.packing.packreader import read_table
from hitsave.packing.recipe import decode_part, decode_recipe
from hitsave.packing.refsegment import RefChanges, apply_refs
from hitsave.remotes.ahead import in_order
from hitsave.remotes.commits.keys import PACKS
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.reading.reader import Reader
from hitsave.remotes.transports.protocol import Listed
from hitsave.remotes.verification.closure import read_each, read_parts
from hitsave.remotes.verification.holdings import Holdings
from hitsave.remotes.verification.packcheck import PackDamage, check_packs

_PACK_KEY = re.compile(f"{PACKS}[0-9a-f]{{2}}/([0-9a-f]{{64}})\\.pack")


@dataclass(slots=True)
class Strays:
    """Packs that no readable index names, by their own tables, and what is wrong with them.

    Those in `unsafe` may be removed by a collection that sleeps.
    """

    packs: list[IndexedPack] = field(default_factory=list)
    damaged: dict[Digest, PackDamage] = field(default_factory=dict)
    unsafe: set[Digest] = field(default_factory=set)


def find_strays(remote: Remote, view: View, named: Collection[Digest], retained: Collection[Digest]) -> Strays:
    """Every pack of which the table can be read, but for those in `named`. `retained` are known not to be removed."""
    found = Strays()
    unnamed = (listed for listed in remote.transport.scan(PACKS) if _digest_of(listed.key) not in named)
    with in_order(unnamed, lambda listed: _read_pack_table(remote, listed), remote.transport.parallel) as tables:
        for _, pack in tables:
            if pack is not None:
                found.packs.append(pack[0])
                if pack[1].fenced_by(view.commit) and pack[0].digest not in retained:
                    found.unsafe.add(pack[0].digest)
    for checked in check_packs(remote.transport, found.packs):
        if checked.damage is not None:
            found.damaged[checked.pack.digest] = checked.damage
    return found


def _digest_of(key: str) -> Digest | None:
    match = _PACK_KEY.fullmatch(key)
    return Digest(bytes.fromhex(match[1])) if match else None


def _read_pack_table(remote: Remote, listed: Listed) -> tuple[IndexedPack, Session] | None:
    """What a pack says that it holds, and whose it is; None for what is no pack, or damaged there."""
    digest = _digest_of(listed.key)
    if digest is None:
        return None

    def read(offset: int, length: int) -> bytes:
        return remote.transport.get(listed.key, offset, length)

    try:
        decode_trailer(read(max(listed.size - TRAILER.size, 0), TRAILER.size), listed.size)
        pack = read_table(read, listed.size, digest)
        return pack, Session.from_token(read(HEADER_SIZE - NONCE_SIZE, NONCE_SIZE))
    except (MalformedObject, RemoteNotFound, ValueError):
        return None


class RecoveredRefs(NamedTuple):
    """Refs, and how many of them no readable segment of the newest commit holds."""

    refs: dict[RefName, Ref]
    brought: int


def recover_refs(
    remote: Remote, view: View, history: Mapping[int, Commit], own: Iterable[Ref], holds: Callable[[Digest], bool]
) -> RecoveredRefs:
    """The refs of a view of which a segment cannot be read. Some that were dropped may come back.

    `history` are the older commits, by their numbers; of `own` refs, those that the remote has the object of are taken.
    """
    loaded: dict[StoredFile, RefChanges | None] = {}

    def load(file: StoredFile) -> RefChanges | None:
        if file not in loaded:
            try:
                loaded[file] = remote.files.load_refs(file)
            except RemoteCorrupt:
                loaded[file] = None
        return loaded[file]

    records: dict[RefName, Ref | None] = {}
    before: tuple[StoredFile, ...] = ()
    for commit in [commit for _, commit in sorted(history.items())] + ([view.commit] if view.commit else []):
        segments = [load(file) for file in commit.refs]
        whole = [segment for segment in segments if segment is not None]
        if len(whole) == len(segments):
            records = dict(apply_refs(whole))
        else:
            for file, segment in zip(commit.refs, segments, strict=True):
                records |= segment if segment is not None and file not in before else {}
        before = commit.refs
    for ref in own:
        if ref.name not in records and holds(ref.digest):
            records[ref.name] = ref
    refs = {name: ref for name, ref in records.items() if ref is not None}
    readable = apply_refs(segment for file in view.ref_files if (segment := load(file)) is not None)
    return RecoveredRefs(refs, len(refs.keys() - readable.keys()))


def own_the_rest(
    holdings: Holdings, reader: Reader, reached: Callable[[Location], bool], author: Author
) -> dict[RefName, Ref]:
    """Refs for all that no ref reaches: for each object that is beneath no other one, a snapshot."""
    rest = {
        place.digest: place
        for index in holdings.indexes
        for place in index.locations()
        if holdings.is_readable(place) and not reached(place)
    }
    beneath: set[Digest] = set()
    for place, content in read_each(reader, [place for place in rest.values() if place.kind != EntryKindInPack.BLOB]):
        if not isinstance(content, RemoteCorrupt):
            beneath.update(_beneath(holdings, reader, place, bytes(content)))
    refs = (_snapshot(rest[digest], author) for digest in rest.keys() - beneath)
    return {ref.name: ref for ref in refs}


def _beneath(holdings: Holdings, reader: Reader, place: Location, content: bytes) -> Iterator[Digest]:
    if place.kind != EntryKindInPack.RECIPE:
        yield from (link.digest for link in links(ObjectKind(place.kind), content))
        return
    recipe = decode_recipe(content, place.digest)
    yield from (chunk_or_part.digest for chunk_or_part in recipe.chunks)
    if recipe.of_parts:
        parts = holdings.find_many(part.digest for part in recipe.chunks)
        for part in recipe.chunks:
            if part.digest in parts:
                found = read_parts(reader, [parts[part.digest]])[part.digest]
                yield from (chunk.digest for chunk in decode_part(found, part.length))


def _snapshot(place: Location, author: Author) -> Ref:
    kind = ObjectKind.BLOB if place.kind == EntryKindInPack.RECIPE else ObjectKind(place.kind)
    return Ref(snapshot_ref(place.digest), place.digest, kind, author.now, author.name)
