"""Verification of the cache: every byte against its digest, every ref against what it needs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hitsave.cache.intake import hash_descriptor, object_file
from hitsave.cache.packfile import verify_pack
from hitsave.cache.store import Cache
from hitsave.errors import MalformedObject, ObjectError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref
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
    """Read every pack, whole file and ref of the cache. Changes nothing."""
    progress = progress or Silent()
    progress.start("verifying")
    packed, packed_size, faults = _verify_packs(cache, progress)
    files, file_size, file_faults = _verify_files(cache, progress)
    refs = cache.refs()
    wrong = {fault.digest: fault for fault in file_faults if fault.digest}
    ref_faults, owners = _verify_refs(cache, refs, set(wrong))
    owned = [fault._replace(owners=tuple(owners.get(fault.digest, ()))) for fault in file_faults if fault.digest]
    return Report(packed + files, packed_size + file_size, len(refs), (*faults, *owned, *ref_faults))


def _verify_packs(cache: Cache, progress: Progress) -> tuple[int, int, list[Fault]]:
    faults: list[Fault] = []
    objects = size = 0
    for pack in cache.packs():
        path = cache.pack_path(pack.digest)
        try:
            found = verify_pack(path, pack.digest)
            objects += len(found.table.records)
        except MalformedObject as error:
            faults.append(Fault(None, os.fspath(path), str(error)))
        except OSError as error:
            faults.append(Fault(None, os.fspath(path), f"cannot be read ({error.strerror})"))
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
        try:
            with path.open("rb") as file:
                if hash_descriptor(file.fileno()) != digest:
                    faults.append(Fault(digest, os.fspath(path), "its content has another digest"))
        except OSError as error:
            faults.append(Fault(digest, os.fspath(path), f"cannot be read ({error.strerror})"))
        total += size
        progress.advance(size, 1)
    return len(rows), total, faults


def _verify_refs(
    cache: Cache, refs: Iterable[Ref], wrong: set[Digest]
) -> tuple[list[Fault], dict[Digest | None, list[str]]]:
    """Refs that lack something, and for each object in `wrong` the refs that need it."""
    faults: list[Fault] = []
    owners: dict[Digest | None, list[str]] = {}
    for ref in refs:
        try:
            needed = cache.reachable([(ref.digest, ref.kind)])
        except ObjectError as error:
            lost = getattr(error, "digest", str(ref.digest))
            faults.append(Fault(None, str(ref.name), f"object {lost} cannot be read: {error}", (str(ref.name),)))
            continue
        for digest in wrong.intersection(needed):
            owners.setdefault(digest, []).append(str(ref.name))
        if not cache.is_partial(ref.name):
            faults += [
                Fault(digest, str(ref.name), "the object is missing", (str(ref.name),))
                for digest in sorted(cache.missing(d for d, kind in needed.items() if kind is ObjectKind.BLOB))
            ]
    return faults, owners
