"""Repairs the cache: saves what can be read of what is damaged, and has the rest brought from remotes.

Nothing that could not be brought back is thrown away: damaged packs and files go into the quarantine folder, and a pack
leaves it only when nothing is missing any more. Every step is one transaction, as in a collection, so that a repair
which is interrupted leaves a cache that can be repaired.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hitsave.cache.files import sync_all
from hitsave.cache.packfile import readable_entries
from hitsave.cache.packset import index_file, pack_file
from hitsave.cache.packwriter import PackWriter
from hitsave.cache.refs import bump_generation, doubt_all
from hitsave.cache.store import Cache
from hitsave.errors import MalformedObject, ObjectError
from hitsave.maintenance.verify import Damage, Fault, Report, verify, verify_refs
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import links
from hitsave.objects.refs import Ref
from hitsave.packing.index import Index, IndexedPack
from hitsave.packing.packreader import read_table
from hitsave.progress import Progress

#: Brings objects from wherever they are: of trees, nothing that is beneath them. What nobody has is left out.
Fetch = Callable[[Mapping[Digest, ObjectKind]], object]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was wrong, and what still is."""

    before: Report
    after: Report


def repair(cache: Cache, fetch: Fetch, progress: Progress | None = None) -> Repaired:
    """Verify the cache, and repair it with what `fetch` brings. Raises CacheError."""
    report = before = verify(cache, progress)
    if not before.faults:
        return Repaired(before, before)
    if before.damage.indexes:
        _rebuild_indexes(cache, before.damage.indexes)
        report = verify(cache, progress)
    damage = report.damage
    for digest in damage.files:
        cache.whole_files.set_aside(digest)
    for digest in damage.boxed:
        cache.inbox.set_aside(digest)
    moved = _replace_packs(cache, damage) if damage.packs else []
    known = damage.objects
    _bring_back(cache, fetch, known)
    after = verify(cache, progress)
    after = replace(after, faults=(*after.faults, *_lost_parts(cache, known, after)))
    if not after.faults:
        for path in moved:
            path.unlink(missing_ok=True)
    return Repaired(before, after)


def _lost_parts(cache: Cache, known: Collection[Digest], report: Report) -> Iterator[Fault]:
    """What was here of refs that are here in part, and is lost. That a part is missing is no fault by itself."""
    told = {fault.digest for fault in report.faults}
    if rest := {digest for digest in _lacking(cache, known) if digest not in told}:
        _, owners = verify_refs(cache, cache.refs(), rest)
        for digest in sorted(rest & owners.keys()):
            yield Fault(digest, os.fspath(cache.path), "the object is missing", tuple(owners[digest]))


# -- indexes


def _rebuild_indexes(cache: Cache, damaged: Iterable[bytes]) -> None:
    """Put one index in place of the damaged ones: of all packs that no other one names, by their own tables.

    Some may be left over from an intake that died. What they hold is what its digest says all the same.
    """
    gone = [(name,) for name in damaged]
    with cache.database.writing() as connection:
        connection.executemany("DELETE FROM indexes WHERE name = ?", gone)
        named = set(_named_packs(cache))
        tables: list[IndexedPack] = []
        moves: list[tuple[str, str]] = []
        for path in sorted((cache.path / "packs").glob("*.pack")):
            if path.stem in named:
                continue
            try:
                tables.append(_read_own_table(path))
            except (MalformedObject, ValueError, OSError):
                moves.append((f"packs/{path.name}", f"quarantine/{path.name}"))
        with cache.moves.moving(connection, moves):
            if tables:
                cache.sweeper.add_index(connection, tables)
            doubt_all(connection)
    cache.packset.forget_indexes()
    cache.database.settle()


def _named_packs(cache: Cache) -> Iterator[str]:
    for (name,) in cache.database.rows("SELECT name FROM indexes"):
        for pack in Index((cache.path / index_file(name)).read_bytes()).packs:
            yield pack.digest.hex()


def _read_own_table(path: Path) -> IndexedPack:
    with path.open("rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        return read_table(read, os.fstat(file.fileno()).st_size, Digest(bytes.fromhex(path.stem)))


# -- packs


def _replace_packs(cache: Cache, damage: Damage) -> list[Path]:
    """Put what can still be read of damaged packs into new ones; where the damaged ones are now."""
    tables = [cache.pack_table(pack) for pack in damage.packs]
    gone = {pack.digest for pack in tables}
    moved = [cache.path / "quarantine" / f"{pack}.pack" for pack in sorted(gone)]
    with cache.intake() as workshop:
        new = _save(cache, tables, workshop.folder)
        inner = os.path.relpath(workshop.folder, cache.path)
        moves = [(pack_file(pack), f"quarantine/{pack}.pack") for pack in gone]
        moves += [(f"{inner}/{pack.digest}.pack", pack_file(pack.digest)) for pack in new]
        with cache.database.writing() as connection:
            if not gone <= {pack.digest for pack in cache.packs()}:
                return []  # A collection or another repair was quicker; what is wrong now, the next look tells.
            with cache.moves.moving(connection, moves):
                cache.sweeper.replace_indexes(connection, gone, new)
                bump_generation(connection)
                if damage.unreadable:
                    doubt_all(connection)
        cache.packset.touch()
        cache.packset.forget_files()
        cache.database.settle()
    return moved


def _save(cache: Cache, packs: Iterable[IndexedPack], folder: Path) -> list[IndexedPack]:
    """New packs in a folder, durable."""
    writer = PackWriter(os.fspath(folder))
    try:
        for pack in packs:
            lost = {entry.digest: entry.kind for entry in pack.table.entries()}
            for entry, content in readable_entries(cache.pack_path(pack.digest), pack):
                writer.add(entry.digest, ObjectKind(entry.kind), bytes(content))
                del lost[entry.digest]
            for digest in lost:
                if (found := _read_file(cache, Digest(digest))) is not None:
                    writer.add(digest, ObjectKind.BLOB, found)
        new = writer.finish()
    finally:
        writer.abandon()
    sync_all([os.fspath(folder / f"{pack.digest}.pack") for pack in new])
    return new


def _read_file(cache: Cache, digest: Digest) -> bytes | None:
    """A small object that somebody has asked the path of, so that it is a file, too."""
    with contextlib.suppress(ObjectError):
        if path := cache.whole_files.find(digest):
            return path.read_bytes()
    return None


# -- what is lost


def _bring_back(cache: Cache, fetch: Fetch, known: Collection[Digest]) -> None:
    """Fetch what refs lack. A tree that comes tells what else is lost; so this is done until nothing more comes."""
    wanted = _lacking(cache, known)
    while wanted:
        fetch(wanted)
        rest = _lacking(cache, known)
        if wanted.keys() <= rest.keys():
            return
        wanted = rest


def _lacking(cache: Cache, known: Collection[Digest]) -> dict[Digest, ObjectKind]:
    """What refs need that is not here; of those of which only a part was asked for, trees and what is in `known`."""
    lacking: dict[Digest, ObjectKind] = {}
    whole, partial = _split(cache)
    for refs, counts in ((whole, None), (partial, known)):
        blobs: set[Digest] = set()
        seen: set[Digest] = set()
        pending = [(ref.digest, ref.kind) for ref in refs]
        while pending:
            digest, kind = pending.pop()
            if kind is ObjectKind.BLOB:
                blobs.add(digest)
            elif digest not in seen:
                seen.add(digest)
                try:
                    pending += [(link.digest, link.kind) for link in links(kind, cache.read(digest))]
                except ObjectError:
                    lacking[digest] = kind
        missing = cache.missing(blobs if counts is None else blobs.intersection(counts))
        lacking |= dict.fromkeys(missing, ObjectKind.BLOB)
    return lacking


def _split(cache: Cache) -> tuple[list[Ref], list[Ref]]:
    whole: list[Ref] = []
    partial: list[Ref] = []
    for ref in cache.refs():
        (partial if cache.is_partial(ref.name) else whole).append(ref)
    return whole, partial
