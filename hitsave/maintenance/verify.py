"""Verification of the cache: every byte against its digest, every ref against what it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.hashing import hash_descriptor
from hitsave.cache.packfile import readable_entries, verify_pack
from hitsave.cache.packset import index_file, pack_file
from hitsave.cache.store import Cache
from hitsave.cache.wholefiles import object_file
from hitsave.errors import MalformedObject, ObjectError
from hitsave.maintenance.whereabouts import find_paths
from hitsave.objects.digest import Digest, ObjectKind, parse_digest
from hitsave.objects.refs import Ref
from hitsave.packing.index import Index
from hitsave.progress import Progress, Silent


class Fault(NamedTuple):
    """Something that is lost or wrong: the object where it is known, the file or cache, why, and whose it is.

    `path` is what the object is in its project, where that is known.
    """

    digest: Digest | None
    where: str
    reason: str
    owners: tuple[str, ...] = ()
    path: str = ""


_MISSING = "the object is missing"
#: The refs that need an object, by name.
Owners = dict[Digest, list[str]]


@dataclass(slots=True)
class Damage:
    """What is wrong in a cache: by index, pack and whole file, each with the reason; and rows of the inbox.

    `unreadable` are the objects that cannot be read out of the packs that hold them.
    """

    indexes: dict[bytes, str] = field(default_factory=dict)
    packs: dict[Digest, str] = field(default_factory=dict)
    files: dict[Digest, str] = field(default_factory=dict)
    unreadable: dict[Digest, Digest] = field(default_factory=dict)
    boxed: set[Digest] = field(default_factory=set)

    @property
    def objects(self) -> set[Digest]:
        """The objects that are lost, unless they are kept a second time."""
        return {*self.files, *self.unreadable, *self.boxed}


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what was wrong with it. `size` is in bytes read."""

    objects: int
    size: int
    refs: int
    faults: tuple[Fault, ...]
    damage: Damage = field(default_factory=Damage, compare=False)


def verify(cache: Cache, progress: Progress | None = None) -> Report:
    """Read every index, pack, whole file, row of the inbox and ref of the cache. Changes nothing.

    Where an index is damaged, packs and refs cannot be followed, and the report names the index and whole files alone.
    """
    progress = progress or Silent()
    progress.start("verifying")
    damage = Damage(indexes=_verify_indexes(cache))
    files, file_size, damage.files = _verify_files(cache, progress)
    if damage.indexes:
        faults = [Fault(None, _path(cache, index_file(name)), reason) for name, reason in damage.indexes.items()]
        faults += [Fault(digest, _path(cache, object_file(digest)), why) for digest, why in damage.files.items()]
        return Report(files, file_size, 0, tuple(faults), damage)
    # What moves out of the inbox meanwhile is looked at twice, and not never.
    boxed, boxed_size = _verify_inbox(cache, damage, progress)
    packed, packed_size = _verify_packs(cache, damage, progress)
    refs = cache.refs()
    ref_faults, owners = verify_refs(cache, refs, damage.objects)
    faults = [*_pack_faults(cache, damage, owners), *_file_faults(cache, damage, owners), *ref_faults]
    faults += _inbox_faults(cache, damage, owners)
    paths = find_paths(cache, refs, {fault.digest for fault in faults if fault.digest is not None})
    named = tuple(fault._replace(path=paths.get(fault.digest, "")) if fault.digest else fault for fault in faults)
    return Report(boxed + packed + files, boxed_size + packed_size + file_size, len(refs), named, damage)


def _path(cache: Cache, name: str) -> str:
    return os.fspath(cache.path / name)


def _pack_faults(cache: Cache, damage: Damage, owners: Owners) -> Iterator[Fault]:
    """Each damaged pack, and what of it somebody needs."""
    by_pack: dict[Digest, set[str]] = {}
    for digest, pack in damage.unreadable.items():
        by_pack.setdefault(pack, set()).update(owners.get(digest, ()))
    for pack, reason in damage.packs.items():
        yield Fault(None, _path(cache, pack_file(pack)), reason, tuple(sorted(by_pack.get(pack, ()))))
    for digest, pack in sorted(damage.unreadable.items()):
        if digest in owners:
            yield Fault(digest, _path(cache, pack_file(pack)), "the object cannot be read", tuple(owners[digest]))


def _file_faults(cache: Cache, damage: Damage, owners: Owners) -> Iterator[Fault]:
    for digest, reason in damage.files.items():
        yield Fault(digest, _path(cache, object_file(digest)), reason, tuple(owners.get(digest, ())))


def _inbox_faults(cache: Cache, damage: Damage, owners: Owners) -> Iterator[Fault]:
    for digest in sorted(damage.boxed):
        yield Fault(digest, cache.inbox.where, "its content has another digest", tuple(owners.get(digest, ())))


def _verify_indexes(cache: Cache) -> dict[bytes, str]:
    wrong: dict[bytes, str] = {}
    for name in _index_names(cache):
        path = cache.path / index_file(name)
        try:
            content = path.read_bytes()
            if blake3(content).digest() != name:
                raise MalformedObject("index", "its content has another digest")
            Index(content).verify()
        except (OSError, MalformedObject) as error:
            if name in _index_names(cache):  # Otherwise a collection has replaced it meanwhile.
                wrong[name] = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
    return wrong


def _index_names(cache: Cache) -> list[bytes]:
    return [row[0] for row in cache.database.rows("SELECT name FROM indexes ORDER BY name")]


def _verify_inbox(cache: Cache, damage: Damage, progress: Progress) -> tuple[int, int]:
    objects = size = 0
    for batch in cache.inbox.batches():
        damage.boxed.update(boxed.digest for boxed in batch if not boxed.right)
        objects += len(batch)
        size += (read := sum(len(boxed.content) for boxed in batch))
        progress.advance(read, len(batch))
    return objects, size


def _verify_packs(cache: Cache, damage: Damage, progress: Progress) -> tuple[int, int]:
    objects = size = 0
    for pack in cache.packs():
        path = cache.pack_path(pack.digest)

        def check(path: Path = path, pack: Digest = pack.digest) -> int:
            return len(verify_pack(path, pack).table.records)

        def listed(pack: Digest = pack.digest) -> bool:
            return any(other.digest == pack for other in cache.packs())

        counted, reason = _check_file(cache, check, listed)
        if reason:
            damage.packs[pack.digest] = reason
            damage.unreadable |= dict.fromkeys(_unreadable(cache, pack.digest), pack.digest)
        objects += counted
        size += pack.length
        progress.advance(pack.length)
    return objects, size


def _unreadable(cache: Cache, pack: Digest) -> set[Digest]:
    """What cannot be read any more of what a pack held by its index."""
    table = cache.pack_table(pack)
    lost = {Digest(entry.digest) for entry in table.table.entries()}
    lost -= {Digest(entry.digest) for entry, _ in readable_entries(cache.pack_path(pack), table)}
    return {digest for digest in lost if not _is_elsewhere(cache, digest, pack)}


def _is_elsewhere(cache: Cache, digest: Digest, pack: Digest) -> bool:
    """Whether an object that was set aside has come in again since, in another pack or the inbox."""
    location = cache.packset.find(digest)
    return cache.inbox.has(digest) if location is None else location.pack != pack


def _verify_files(cache: Cache, progress: Progress) -> tuple[int, int, dict[Digest, str]]:
    wrong: dict[Digest, str] = {}
    total = 0
    rows = cache.database.rows("SELECT digest, size FROM files")
    for raw, size in rows:
        digest = Digest(raw)
        path = cache.path / object_file(digest)

        def check(path: Path = path, digest: Digest = digest) -> int:
            with path.open("rb") as file:
                if hash_descriptor(file.fileno()) != digest:
                    raise MalformedObject("file", "its content has another digest")
            return 1

        def listed(digest: Digest = digest) -> bool:
            return cache.whole_files.recorded(digest)

        _, reason = _check_file(cache, check, listed)
        if reason:
            wrong[digest] = reason
        total += size
        progress.advance(size, 1)
    return len(rows), total, wrong


def _check_file(cache: Cache, check: Callable[[], int], listed: Callable[[], bool]) -> tuple[int, str]:
    """How many objects a file holds, and what is wrong with it. One that was collected meanwhile is not missing."""
    for last in (False, True):
        try:
            return check(), ""
        except MalformedObject as error:
            return 0, str(error)
        except FileNotFoundError as error:
            cache.database.settle()
            if not listed():
                return 0, ""
            if last:
                return 0, f"cannot be read ({error.strerror})"
        except OSError as error:
            return 0, f"cannot be read ({error.strerror})"
    raise AssertionError("the last attempt returns")


def verify_refs(cache: Cache, refs: Iterable[Ref], wrong: set[Digest]) -> tuple[list[Fault], Owners]:
    """What refs lack besides what is in `wrong`, with all that lack it; and for each object in `wrong` who needs it."""
    lacking: Owners = {}
    reasons: dict[Digest, str] = {}
    owners: Owners = {}
    for ref in refs:
        try:
            needed = cache.reachable([(ref.digest, ref.kind)], absent=set() if cache.is_partial(ref.name) else None)
        except ObjectError as error:
            if cache.ref(ref.name) == ref:  # Otherwise it was forgotten meanwhile, and perhaps collected.
                lost = _lost_in(error, ref)
                (owners if lost in wrong else lacking).setdefault(lost, []).append(str(ref.name))
                reasons[lost] = f"cannot be read: {error}"
            continue
        for digest in wrong.intersection(needed):
            owners.setdefault(digest, []).append(str(ref.name))
        if cache.is_partial(ref.name):
            continue
        missing = cache.missing(digest for digest, kind in needed.items() if kind is ObjectKind.BLOB)
        if missing and cache.ref(ref.name) == ref:
            for lost in missing:
                lacking.setdefault(lost, []).append(str(ref.name))
    where = os.fspath(cache.path)
    found = sorted(lacking.items())
    return [Fault(lost, where, reasons.get(lost, _MISSING), tuple(names)) for lost, names in found], owners


def _lost_in(error: ObjectError, ref: Ref) -> Digest:
    """The object that an error is about."""
    named = getattr(error, "digest", "")
    return parse_digest(named) if named else ref.digest
