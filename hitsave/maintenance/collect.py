"""Mark and sweep in the cache, and the way back.

Invariants: nothing that a ref needs is ever taken; a mark that failed forbids the sweep. The mark runs beside other
processes. Under the write lock it is extended by the refs that came meanwhile, and where one of those needs something
that was about to go, everything is decided anew: no ref can be published between that look and the deed. What was
needed at any moment of a collection is spared by its later attempts, so that those who add and forget the same things
again and again cannot keep it from its end.

What goes lies in the trash, from where `undo` brings it back, until a later collection finds it older than `keep`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.holds import drop_dead_holds
from hitsave.cache.packfile import verify_pack
from hitsave.cache.refs import COLUMNS, doubt, ref_of_row
from hitsave.cache.store import Cache
from hitsave.cache.sweep import (
    DeadFile,
    Split,
    Sweep,
    begin_operation,
    drop_refs,
    restore_refs,
    split_pack,
)
from hitsave.errors import CacheError, CorruptObject, MalformedObject, ObjectError, RefError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import decode_tree
from hitsave.objects.graph import links
from hitsave.objects.model import EntryKind
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.index import IndexedPack

#: Why refs were dropped, as the log of operations has it.
FORGOTTEN, CLEARED = "forget", "clear"
DEFAULT_KEEP_SECONDS = 14 * 24 * 3600
_TRIES = 20


class Live(NamedTuple):
    """What is needed, with its kind; and those trees beneath partial refs that are not here, so that nobody knows yet
    what is beneath them.
    """

    objects: dict[Digest, ObjectKind]
    absent: set[Digest]


class Dead(NamedTuple):
    """An object that nobody owns; size in bytes; the ref that owned it last and its path there, where that is known."""

    digest: Digest
    kind: ObjectKind
    size: int
    former_owner: str | None = None
    former_path: bytes = b""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection took, or would take. `freed_bytes` counts contents; `operation` is None for a dry run."""

    objects: tuple[Dead, ...]
    freed_bytes: int
    operation: int | None
    purged_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Undone:
    """What came back."""

    operation: str
    refs: tuple[Ref, ...]
    objects: int


def forget(cache: Cache, names: Iterable[RefName], now: int, why: str = FORGOTTEN) -> list[Ref]:
    """Drop refs by name. Raises RefError, and drops none, where one of them does not exist.

    What is only CLEARED stays wanted: no collection of a remote drops it there.
    """
    dropped: list[Ref] = []
    with cache.database.writing() as connection:
        for name in names:
            ref = cache.ref(name)
            if ref is None:
                raise RefError(f"there is no ref {name}; 'hitsave show-ref' lists them")
            dropped.append(ref)
        if dropped:
            operation = begin_operation(connection, why, now)
            drop_refs(connection, operation, [(ref.name.namespace.value, ref.name.name) for ref in dropped])
    return dropped


def mark(cache: Cache, seen: Live | None = None) -> Live:
    """Everything that any ref or running call needs. Raises CorruptObject where a tree that is owned cannot be read.

    `seen`, which is extended, is for a caller that holds the write lock.
    """
    for last in (False,) * (_TRIES - 1) + (True,):
        held = cache.held()  # First: what is published meanwhile is then either held or owned.
        refs = cache.refs()
        partial = cache.partial_refs()
        live = Live({}, set()) if seen is None else seen
        try:
            cache.reachable([(ref.digest, ref.kind) for ref in refs if ref.name not in partial], live.objects)
            some = [(ref.digest, ref.kind) for ref in refs if ref.name in partial]
            cache.reachable([*some, *held], live.objects, live.absent)
            return live
        except ObjectError as error:
            if seen is None and not last and cache.refs() != refs:
                continue  # What was not found may have been forgotten and collected since the refs were read.
            raise CorruptObject(
                getattr(error, "digest", "?"),
                "the cache",
                f"nothing was collected, since not all refs can be followed: {error}",
            ) from error
    raise AssertionError("the last attempt returns or raises")


def find_dead(cache: Cache, live: Live, boxed: bool = False) -> list[Dead]:
    """Every object that is not marked, by ascending digest, each once; those in the inbox only with `boxed`."""
    owners = _former_owners(cache)
    found: dict[Digest, Dead] = {}
    cache.packset.refresh()
    cache.packset.check_indexes()  # What a damaged index names wrongly would pass for dead.
    for index in cache.packset.indexes().values():
        for location in index.locations():
            digest = location.digest
            if digest not in live.objects:
                found[digest] = Dead(digest, ObjectKind(location.kind), location.length, *owners.get(digest, ()))
    for digest, kind, size in cache.inbox.rows() if boxed else ():
        if digest not in live.objects:
            found[digest] = Dead(digest, kind, size, *owners.get(digest, ()))
    for raw, size in cache.database.rows("SELECT digest, size FROM files"):
        digest = Digest(raw)
        if digest not in live.objects and digest not in found:
            found[digest] = Dead(digest, ObjectKind.BLOB, size, *owners.get(digest, ()))
    return [found[digest] for digest in sorted(found)]


def _former_owners(cache: Cache) -> dict[Digest, tuple[str, bytes]]:
    """Of each object that a dropped ref needs: the ref that was dropped last, and the path at which it has it."""
    owners: dict[Digest, tuple[str, bytes]] = {}
    for row in cache.database.rows(f"SELECT {COLUMNS} FROM dropped_refs ORDER BY operation DESC"):
        ref = ref_of_row(row)
        pending = [(ref.digest, ref.kind, b"")]
        while pending:
            digest, kind, path = pending.pop()
            if digest in owners:
                continue
            owners[digest] = (str(ref.name), path)
            if kind is not ObjectKind.BLOB and (content := _read_if_any(cache, digest)) is not None:
                pending += _beneath(kind, content, path)
    return owners


def _beneath(kind: ObjectKind, content: bytes, path: bytes) -> Iterator[tuple[Digest, ObjectKind, bytes]]:
    """What an object at a path needs, with the paths; those of what an evaluation needs begin anew."""
    if kind is ObjectKind.TREE:
        for entry in decode_tree(content).entries:
            inner = ObjectKind.TREE if entry.kind is EntryKind.TREE else ObjectKind.BLOB
            yield entry.digest, inner, path + b"/" + entry.name if path else entry.name
    else:
        for link in links(kind, content):
            yield link.digest, link.kind, b""


def _read_if_any(cache: Cache, digest: Digest) -> bytes | None:
    try:
        return cache.read(digest)
    except ObjectError:
        return None  # Collected before, or lost: what is beneath it has no known owner.


def collect(cache: Cache, now: int, keep_seconds: int = DEFAULT_KEEP_SECONDS, dry_run: bool = False) -> Collected:
    """Move what nobody owns to the trash, and delete for good what has lain there longer than `keep_seconds`."""
    drop_dead_holds(cache.database, now)
    if dry_run:
        dead = find_dead(cache, mark(cache), boxed=True)
        return Collected(tuple(dead), sum(item.size for item in dead), None)
    cache.pack_inbox()  # What goes is moved, and rows cannot be. What comes later is the next collection's.
    spared = Live({}, set())
    for _ in range(_TRIES):
        done = _collect_once(cache, now, spared)
        if done is not None:
            return replace(done, purged_bytes=_purge(cache, now - keep_seconds))
    raise CacheError(
        f"{cache.path}: other processes kept adding what was about to be collected; run 'hitsave gc' again"
    )


def _collect_once(cache: Cache, now: int, spared: Live) -> Collected | None:
    """One attempt; None where a new ref came in between and needs what was about to go: `spared` then has it too."""
    now_live = mark(cache)
    live = Live({**spared.objects, **now_live.objects}, spared.absent | now_live.absent)
    dead = find_dead(cache, live)
    doomed = {item.digest for item in dead}
    with cache.intake() as workshop:
        sweep = _prepare(cache, doomed, workshop.folder)
        if sweep is None:
            return None
        with cache.database.writing() as connection:
            if not _still_dead(cache, doomed, live, spared) or not _still_fits(cache, sweep, doomed):
                return None
            cache.sweeper.remove_leftovers(connection)
            if sweep.empty:
                return Collected((), 0, None)
            operation = begin_operation(connection, "gc", now)
            cache.sweeper.carry_out(connection, sweep, workshop.folder, operation)
        cache.sweeper.settle(operation)
    return Collected(tuple(dead), sum(item.size for item in dead), operation)


def _still_dead(cache: Cache, doomed: set[Digest], live: Live, spared: Live) -> bool:
    """Under the write lock: whether nothing needs what is about to go; `spared` then has what was needed meanwhile."""
    if cache.missing(live.absent) != live.absent:  # What is beneath those that came is in nobody's mark.
        spared.objects.clear()
        spared.absent.clear()
        return False
    mark(cache, live)
    spared.objects.update(live.objects)
    spared.absent.update(live.absent)
    return doomed.isdisjoint(live.objects)


def _prepare(cache: Cache, doomed: set[Digest], folder: Path) -> Sweep | None:
    """What to take, with the halves of split packs in `folder`; None where another collection was quicker."""
    whole: list[IndexedPack] = []
    splits: list[Split] = []
    packs = [pack for index in cache.packset.indexes().values() for pack in index.tables()]
    for pack in packs:
        dying = sum(record[:32] in doomed for record in pack.table.records)
        if dying == len(pack.table.records):
            whole.append(pack)
        elif dying:
            path = cache.pack_path(pack.digest)
            try:
                splits.append(split_pack(path, pack, doomed.__contains__, folder))
            except FileNotFoundError:
                cache.database.settle()
                if any(summary.digest == pack.digest for summary in cache.packs()) and not path.exists():
                    raise CorruptObject(str(pack.digest), os.fspath(path), "the pack is missing") from None
                return None
    return Sweep(tuple(whole), tuple(splits), _dead_files(cache, doomed))


def _dead_files(cache: Cache, doomed: set[Digest]) -> tuple[DeadFile, ...]:
    rows = cache.database.rows("SELECT digest, size, mtime_ns, derived FROM files")
    return tuple(
        DeadFile(Digest(digest), size, mtime_ns, bool(derived))
        for digest, size, mtime_ns, derived in rows
        if digest in doomed
    )


def _still_fits(cache: Cache, sweep: Sweep, doomed: set[Digest]) -> bool:
    """Whether others have left alone what was prepared, and have made no more files of what goes."""
    here = {pack.digest for pack in cache.packs()}
    wanted = {pack.digest for pack in sweep.packs} | {split.old.digest for split in sweep.splits}
    return wanted <= here and _dead_files(cache, doomed) == sweep.files


def _purge(cache: Cache, before: int) -> int:
    query = "SELECT id FROM operations WHERE time <= ?"
    old = [row[0] for row in cache.database.rows(query, before)]
    sizes = cache.database.rows(
        "SELECT COALESCE(SUM(size), 0) FROM trash WHERE operation IN (SELECT id FROM operations WHERE time <= ?)",
        before,
    )
    cache.sweeper.purge(old)
    return int(sizes[0][0])


def undo(cache: Cache) -> Undone:
    """Take back the last `forget` or `gc` that was not undone yet. Raises RefError where there is none.

    Objects without an owner would go again at the next collection, so that undoing a collection also brings back the
    refs that were forgotten before it and since the one before.
    """
    with cache.database.writing() as connection, cache.packset.uncommitted():
        query = "SELECT id, kind FROM operations WHERE undone = 0 ORDER BY id DESC"
        log = connection.execute(query).fetchall()
        if not log:
            raise RefError("there is nothing to undo: no 'forget' or 'gc' whose work is still kept")
        operation, kind = log[0]
        taken_back = [operation]
        objects = 0
        if kind == "gc":
            packs = _trashed_packs(cache, operation)
            objects = sum(len(pack.table.records) for pack in packs)
            objects += cache.sweeper.bring_back(connection, operation, packs) - len(packs)
            cache.packset.touch()
            for earlier, earlier_kind in log[1:]:
                if earlier_kind not in (FORGOTTEN, CLEARED):
                    break
                taken_back.append(earlier)
        refs = _take_back_refs(cache, connection, taken_back)
    if kind == "gc":
        cache.sweeper.settle(operation)
    return Undone(kind, tuple(refs), objects)


def forgotten(cache: Cache) -> set[RefName]:
    """The refs that were forgotten and are not there again, as far back as 'hitsave undo' knows."""
    rows = cache.database.rows(
        f"SELECT {COLUMNS} FROM dropped_refs WHERE operation IN "
        "(SELECT id FROM operations WHERE kind = ? AND undone = 0)",
        FORGOTTEN,
    )
    return {ref_of_row(row).name for row in rows} - {ref.name for ref in cache.refs()}


def _take_back_refs(cache: Cache, connection: sqlite3.Connection, operations: list[int]) -> list[Ref]:
    refs: list[Ref] = []
    for operation in operations:
        rows = cache.database.rows(f"SELECT {COLUMNS} FROM dropped_refs WHERE operation = ?", operation)
        refs += [ref_of_row(row) for row in rows]
        restore_refs(connection, operation)
        connection.execute("UPDATE operations SET undone = 1 WHERE id = ?", (operation,))
    gone = cache.missing([ref.digest for ref in refs])
    if gone:
        names = ", ".join(str(ref.name) for ref in refs if ref.digest in gone)
        raise RefError(f"{names}: collected since; what was collected last has to be undone first")
    for ref in refs:
        if not _is_whole(cache, ref):
            doubt(connection, ref.name)
    return refs


def _is_whole(cache: Cache, ref: Ref) -> bool:
    try:
        return not cache.missing(cache.reachable([(ref.digest, ref.kind)]))
    except ObjectError:
        return False


def _trashed_packs(cache: Cache, operation: int) -> list[IndexedPack]:
    folder = cache.path / "trash" / str(operation)
    packs = []
    for path in sorted(folder.glob("*.pack")):
        name = Digest(bytes.fromhex(path.stem))
        try:
            packs.append(verify_pack(path, name))
        except MalformedObject as error:
            raise CorruptObject(str(name), os.fspath(path), str(error)) from None
    return packs
