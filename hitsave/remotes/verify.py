"""Verification of a remote: every pack that its newest commit knows, and what every ref needs."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from hitsave.errors import MalformedObject, ObjectError, RemoteError
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.graph import reachable
from hitsave.objects.refs import Ref
from hitsave.packing.packreader import pack_contents, read_table
from hitsave.progress import Progress, Silent
from hitsave.remotes.log import Remote, View, pack_key
from hitsave.remotes.reader import Reader


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


def verify(
    remote: Remote, sample: float | None = None, seed: int = 0, progress: Progress | None = None
) -> RemoteReport:
    """Read the packs of the newest commit, or a part of them (0 to 1), and follow every ref. Changes nothing."""
    progress = progress or Silent()
    view = remote.latest()
    lengths = view.pack_lengths()
    chosen = sorted(lengths)
    if sample is not None:
        chosen = random.Random(seed).sample(chosen, min(len(chosen), max(1, round(len(chosen) * sample))))
    progress.start("verifying", sum(lengths[pack] for pack in chosen))
    faults: list[RemoteFault] = []
    objects = 0
    for pack in chosen:
        count, reason = _verify_pack(remote, pack)
        objects += count
        if reason:
            faults.append(RemoteFault(None, f"{remote.transport.url}: {pack_key(pack)}", reason))
        progress.advance(lengths[pack])
    refs = list(view.refs().values())
    faults += _verify_refs(remote, view, refs)
    return RemoteReport(objects, sum(lengths[pack] for pack in chosen), len(refs), tuple(faults))


def _verify_pack(remote: Remote, pack: Digest) -> tuple[int, str]:
    """How many entries a pack has, and what is wrong with it."""
    try:
        content = remote.transport.get(pack_key(pack))
        if blake3(content, max_threads=blake3.AUTO).digest() != pack:
            return 0, "has another digest than its name"
        view = memoryview(content)

        def read(offset: int, length: int) -> bytes:
            return bytes(view[offset : offset + length])

        table = read_table(read, len(content), pack)
        return sum(1 for _ in pack_contents(read, table)), ""
    except (RemoteError, MalformedObject) as error:
        return 0, str(error)


def _verify_refs(remote: Remote, view: View, refs: Iterable[Ref]) -> list[RemoteFault]:
    reader = Reader(remote, view)
    faults: list[RemoteFault] = []
    for ref in refs:
        try:
            needed = reachable([(ref.digest, ref.kind)], reader.read)
            lost = [
                digest
                for digest, kind in needed.items()
                if kind is ObjectKind.BLOB and not _whole(view, reader, digest)
            ]
        except (ObjectError, RemoteError) as error:
            faults.append(RemoteFault(None, str(ref.name), str(error), (str(ref.name),)))
            continue
        faults += [RemoteFault(digest, str(ref.name), "the object is missing", (str(ref.name),)) for digest in lost]
    return faults


def _whole(view: View, reader: Reader, digest: Digest) -> bool:
    """Whether a blob, and each chunk that it is made of, is in some pack."""
    if not view.has(digest):
        return False
    recipe = reader.recipe(digest)
    return recipe is None or all(view.has(chunk.digest) for chunk in recipe.chunks)
