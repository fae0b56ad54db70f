"""Verification of the cache: every byte against its digest, every ref against what it needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from hitsave.cache.hashing import hash_descriptor
from hitsave.cache.packfile import verify_pack
from hitsave.cache.packset import index_file
from hitsave.cache.store import Cache
from hitsave.cache.wholefiles import object_file
from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref
from hitsave.packing.index import Index
from hitsave.progress import Progress, Silent


class Fault(NamedTuple):
    """Something that is lost or wrong: the object where it is known, the file or ref, why, and whose it is."""

    digest: Digest | None
    where: str
    reason: str
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and what was wrong with it. `size` is in bytes read."""

    objects: int
    size: int
    refs: int
    faults: tuple[Fault, ...]


def verify(cache: Cache, progress: Progress | None = None) -> Report:
    """Read every index, pack, whole file and ref of the cache. Changes nothing.

    Where an index is damaged, packs and refs cannot be followed, and the report names the index and whole files alone.
    """
    progress = progress or Silent()
    progress.start("verifying")
    index_faults = _verify_indexes(cache)
    files, file_size, file_faults = _verify_files(cache, progress)
    if index_faults:
        return Report(files, file_size, 0, (*index_faults, *file_faults))
    packed, packed_size, faults = _verify_packs(cache, progress)
    refs = cache.refs()
    wrong = {fault.digest: fault for fault in file_faults if fault.digest}
    ref_faults, owners = _verify_refs(cache, refs, set(wrong))
    owned = [fault._replace(owners=tuple(owners.get(fault.digest, ()))) for fault in file_faults if fault.digest]
    return Report(packed + files, packed_size + file_size, len(refs), (*faults, *owned, *ref_faults))


def _verify_indexes(cache: Cache) -> list[Fault]:
    faults: list[Fault] = []
    for name in _index_names(cache):
        path = cache.path / index_file(name)
        try:
            content = path.read_bytes()
            if blake3(content).digest() != name:
                raise MalformedObject("index", "its content has another digest")
            Index(content).verify()
        except (OSError, MalformedObject) as error:
            if name in _index_names(cache):  # Otherwise a collection has replaced it meanwhile.
                reason = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
                faults.append(Fault(None, os.fspath(path), reason))
    return faults


def _index_names(cache: Cache) -> list[bytes]:
    return [row[0] for row in cache.database.rows("SELECT name FROM indexes ORDER BY name")]


def _verify_packs(cache: Cache, progress: Progress) -> tuple[int, int, list[Fault]]:
    faults: list[Fault] = []
    objects = size = 0
    for pack in cache.packs():
        path = cache.pack_path(pack.digest)

        def check(path: Path = path, pack: Digest = pack.digest) -> int:
            return len(verify_pack(path, pack).table.records)

        def listed(pack: Digest = pack.digest) -> bool:
            return any(other.digest == pack for other in cache.packs())

        counted, reason = _check_file(cache, check, listed)
        if reason:
            faults.append(Fault(None, os.fspath(path), reason))
        objects += counted
        size += pack.length
        progress.advance(pack.length)
    return objects, size, faults


def _verify_files(cache: Cache, progress: Progress) -> tuple[int, int, list[Fault]]:
    faults: list[Fault] = []
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
            faults.append(Fault(digest, os.fspath(path), reason))
        total += size
        progress.advance(size, 1)
    return len(rows), total, faults


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


def _verify_refs(
    cache: Cache, refs: Iterable[Ref], wrong: set[Digest]
) -> tuple[list[Fault], dict[Digest | None, list[str]]]:
    """Refs that lack something, and for each object in `wrong` the refs that need it."""
    faults: list[Fault] = []
    owners: dict[Digest | None, list[str]] = {}
    for ref in refs:
        try:
            needed = cache.reachable([(ref.digest, ref.kind)], partly=cache.is_partial(ref.name))
        except ObjectError as error:
            if cache.ref(ref.name) != ref:
                continue  # Forgotten meanwhile, and perhaps collected.
            lost = getattr(error, "digest", str(ref.digest))
            faults.append(Fault(None, str(ref.name), f"object {lost} cannot be read: {error}", (str(ref.name),)))
            continue
        for digest in wrong.intersection(needed):
            owners.setdefault(digest, []).append(str(ref.name))
        if cache.is_partial(ref.name):
            continue
        missing = cache.missing(digest for digest, kind in needed.items() if kind is ObjectKind.BLOB)
        if missing and cache.ref(ref.name) == ref:
            faults += [
                Fault(lost, str(ref.name), "the object is missing", (str(ref.name),)) for lost in sorted(missing)
            ]
    return faults, owners
