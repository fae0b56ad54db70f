"""What is measured, each in a process of its own."""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scale.simulation import CHUNK, PER_PACK, SESSION, Simulation, chunk_digests, make_packs
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.packing.commit import Commit, StoredFile, decode_commit, encode_commit
from hitsave.packing.indexmerge import IndexPart
from hitsave.packing.recipe import decode_part
from hitsave.packing.refsegment import decode_refs, encode_refs
from hitsave.remotes.collection.marks import Marks
from hitsave.remotes.collection.packplan import plan_packs
from hitsave.remotes.commits.committed import FULL, CommittedFiles
from hitsave.remotes.commits.keys import pack_key
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.transports.folder import FolderTransport

#: What was measured, by name; times in microseconds where they say so, memory and reading in bytes.
Figures = dict[str, Any]


def _status(path: str, name: str) -> int:
    with open(path, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))


def peak() -> int:
    """The most memory that was resident so far, in bytes."""
    return 1024 * _status("/proc/self/status", "VmHWM:")


def read_so_far() -> int:
    """Bytes that were read so far, out of files or anything else."""
    return _status("/proc/self/io", "rchar:")


def make_part(simulation: Simulation, entries: int) -> Figures:
    """The index of one push, made as a push makes it."""
    parts = simulation.load("parts") if (simulation.folder / "parts.json").exists() else ()
    files = simulation.files()
    simulation.save("parts", (*parts, files.put_index(make_packs(len(parts), entries), SESSION)))
    return {"entries": entries}


def merge(simulation: Simulation, _: int) -> Figures:
    """One index of all parts, made as a push or a collection merges."""
    files = simulation.files()
    parts = simulation.load("parts")
    whole = files.put_merged([IndexPart(files.load_index(file)) for file in parts], SESSION)
    simulation.save("whole", [whole])
    return {"entries": whole.entries, "of": len(parts), "length": whole.length}


def look_up(simulation: Simulation, count: int) -> Figures:
    """Chunks here and there, and as many that are nowhere, in the copy of the whole index on this machine."""
    wanted = simulation.some(count, 1)
    strangers = chunk_digests(-1, 0, count)
    view = simulation.view("whole")
    before, read, start = peak(), read_so_far(), time.perf_counter()
    found = len(view.find_many([*wanted, *strangers]))
    seconds = time.perf_counter() - start
    assert found == len(set(wanted))
    figures = {"lookups": 2 * count, "us": 1e6 * seconds / 2 / count, "read": read_so_far() - read}
    return figures | {"requests": simulation.store.requests, "grown": peak() - before}


def look_up_by_ranges(simulation: Simulation, count: int) -> Figures:
    """Chunks here and there, and such as lie one behind the other, by a machine that has no copy of the index."""
    figures: Figures = {"lookups": count}
    neighbours = chunk_digests(0, 12_345, count)
    for how, wanted in (("scattered", simulation.some(count, 2)), ("neighbours", neighbours)):
        for name in ("whole", "parts"):
            with tempfile.TemporaryDirectory(dir=simulation.folder) as cold:
                requests, received = simulation.store.requests, simulation.store.received
                assert len(simulation.view(name, Path(cold)).find_many(wanted)) == len(set(wanted))
            made = simulation.store.requests - requests, simulation.store.received - received
            figures[f"{how}, {name}"] = made
    return figures


def mark(simulation: Simulation, count: int) -> Figures:
    """Chunks marked, in the order of their files; and every index weighed, as a collection does both."""
    marks = _marks_in(simulation, "whole")
    count = min(count, sum(simulation.counts))
    figures: Figures = {"marked": count, "opened": peak(), "mark, us": _mark_some(simulation, marks, count)}
    figures["marking"] = peak()
    start = time.perf_counter()
    weights = [index.weigh() for index in marks.indexes]
    plan = plan_packs(weights)
    figures["weigh, us"] = 1e6 * (time.perf_counter() - start) / sum(simulation.counts)
    return figures | {"dead": sum(weight.dead for weight in weights), "stay": len(plan.stay), "gone": len(plan.gone)}


def mark_in_parts(simulation: Simulation, count: int) -> Figures:
    """The same in the parts: an index has to be asked after the other."""
    marks = _marks_in(simulation, "parts")
    marks.indexes.reverse()  # What is marked lies in the first parts, which now come last.
    count = min(count, simulation.counts[0])
    return {"marked": count, "indexes": len(marks.indexes), "mark, us": _mark_some(simulation, marks, count)}


def _marks_in(simulation: Simulation, name: str) -> Marks:
    files = simulation.files()
    return Marks([files.load_index(file) for file in simulation.load(name)])


def _mark_some(simulation: Simulation, marks: Marks, count: int) -> float:
    """Microseconds for each."""
    start, left = time.perf_counter(), count
    for part, entries in enumerate(simulation.counts):
        for first in range(0, min(left, entries), PER_PACK):
            for digest in chunk_digests(part, first, min(PER_PACK, entries - first, left)):
                marks.mark(digest)
                left -= 1
    return 1e6 * (time.perf_counter() - start) / count


def verify(simulation: Simulation, _: int) -> Figures:
    """The first part, checked to the last byte, as `fsck --remote` does."""
    files = simulation.files()
    first = simulation.load("parts")[0]
    index = files.load_index(first)
    begun = time.perf_counter()
    index.verify()
    return {"entries": first.entries, "us": 1e6 * (time.perf_counter() - begun) / first.entries}


def refs(_: Simulation, count: int) -> Figures:
    """A ref segment of so many snapshots, encoded and decoded."""
    path, by = "/home/somebody/project/data/images/part-", "somebody@machine"
    names = chunk_digests(-2, 0, count)
    made = (
        Ref(snapshot_ref(name), name, ObjectKind.TREE, 1_800_000_000 + number, by, f"{path}{number}")
        for number, name in enumerate(names)
    )
    content = encode_refs({ref.name: ref for ref in made})
    start = time.perf_counter()
    assert len(decode_refs(content)) == count
    seconds = time.perf_counter() - start
    tracemalloc.start()
    kept = decode_refs(content)
    each = tracemalloc.get_traced_memory()[0] / len(kept)
    decoded = int.from_bytes(content[8:16], "little") / count
    return {"stored": len(content) / count, "decoded": decoded, "held": each, "decode, us": 1e6 * seconds / count}


def held(_: Simulation, count: int) -> Figures:
    """Bytes that small values take in memory, each."""
    names = chunk_digests(-3, 0, count)
    part = b"".join(name + CHUNK.to_bytes(4, "little") for name in names)
    files = tuple(StoredFile(name, 225_000_000, FULL, SESSION.hex) for name in names)
    commit = encode_commit(Commit(SESSION.hex, 1, None, 0, "somebody@machine", "push", SESSION.hex, files))
    tracemalloc.start()

    def each(make: Callable[[], object]) -> int:
        before = tracemalloc.get_traced_memory()[0]
        kept = make()
        grown = tracemalloc.get_traced_memory()[0] - before
        del kept
        return round(grown / count)

    return {
        "commit, a file": len(commit) / count,
        "chunk of a recipe": each(lambda: decode_part(part, count * CHUNK)),
        "file of a commit": each(lambda: decode_commit(commit)),
        "key of a pack": each(lambda: {pack_key(name) for name in names}),
        "entry of a pack": each(lambda: [*make_packs(0, count)]),
    }


class _Policy(CommittedFiles):
    """Merges lists of indexes that are nowhere, and counts the entries that are rewritten."""

    def __init__(self) -> None:
        super().__init__(FolderTransport(Path()), Path())
        self.rewritten: list[int] = []

    def load_index(self, file: StoredFile) -> Any:
        return file

    def put_merged(self, parts: Sequence[IndexPart], session: Session) -> StoredFile:
        entries = sum(part.source.entries for part in parts)  # type: ignore[attr-defined]
        self.rewritten.append(entries)
        return StoredFile(parts[0].source.digest, 48 * entries, entries, session.hex)  # type: ignore[attr-defined]


def pushes(_: Simulation, count: int) -> Figures:
    """Pushes one after the other, of some sizes: how often an entry is rewritten, and what the unluckiest pays."""
    figures: Figures = {"pushes": count}
    for size in (10, 1000, 100_000, FULL - 1):
        policy = _Policy()
        files: tuple[StoredFile, ...] = ()
        for number in range(count):
            session = Session(number.to_bytes(16, "big"), 0)
            new = StoredFile(Digest(number.to_bytes(32, "big")), 48 * size, size, session.hex)
            files = policy.merge_indexes((*files, new), session)
        total = sum(file.entries for file in files)
        assert total == count * size
        figures[f"of {size}"] = {
            "rewritten": sum(policy.rewritten) / total,
            "most": max(policy.rewritten, default=0),
            "files": len(files),
            "largest": max(file.entries for file in files),
            "mean a push": sum(policy.rewritten) / count,
        }
    return figures


#: Each with the numbers that it is run with, one after the other.
JOBS: dict[str, tuple[Callable[[Simulation, int], Figures], tuple[int, ...]]] = {
    "make_part": (make_part, ()),
    "merge": (merge, (0,)),
    "look_up": (look_up, (1, 100_000)),
    "look_up_by_ranges": (look_up_by_ranges, (1, 100, 10_000)),
    "mark": (mark, (2_000_000,)),
    "mark_in_parts": (mark_in_parts, (200_000,)),
    "verify": (verify, (0,)),
    "refs": (refs, (100_000,)),
    "held": (held, (50_000,)),
    "pushes": (pushes, (20_000,)),
}
