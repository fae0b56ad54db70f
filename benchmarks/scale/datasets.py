"""A dataset of very many small files in a remote: what pushes, pulls and upkeep ask of the store, and cost.

The remote is a folder that counts. Machines are folders with a cache each; a cold one has an empty cache.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.scale.simulation import Simulation
from hitsave.cache.intake import Intake
from hitsave.cache.store import Cache
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.encoding import encode_tree, tree_from
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, snapshot_ref
from hitsave.remotes.collection.collect import collect
from hitsave.remotes.collection.dropping import drop_refs
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.reading.fetch import fetch
from hitsave.remotes.verification.verify import verify
from hitsave.remotes.writing.push import push as push_refs

#: Files of a folder.
_FILES = 1000
_NOW = 1_800_000_000
_DAY = 86_400

Figures = dict[str, Any]


def _content(folder: int, number: int) -> bytes:
    readings = [(folder * 7919 + number * 104_729 + at * 31) % 100_003 for at in range(25)]
    return json.dumps({"folder": folder, "number": number, "readings": readings}).encode()


def _put(intake: Intake, entries: list[TreeEntry]) -> TreeEntry:
    tree = tree_from(entries)
    digest = intake.add(ObjectKind.TREE, encode_tree(tree))
    return TreeEntry(b"folder", EntryKind.TREE, digest, tree.size, tree.files)


def _put_folder(intake: Intake, folder: int, changed: bool) -> TreeEntry:
    entries: list[TreeEntry] = []
    for number in range(_FILES):
        content = b"changed" if changed and number == 500 else _content(folder, number)
        digest = intake.add(ObjectKind.BLOB, content)
        entries.append(TreeEntry(b"%04d.json" % number, EntryKind.FILE, digest, len(content)))
    return _put(intake, entries)._replace(name=b"%04d" % folder)


def _keep(cache: Cache, folders: int, changed: int | None) -> Ref:
    """Folders of a thousand files each, in one of which a file may be changed."""
    with cache.intake() as intake:
        root = _put(intake, [_put_folder(intake, number, number == changed) for number in range(folders)])
        ref = Ref(snapshot_ref(root.digest), root.digest, ObjectKind.TREE)
        intake.publish([ref])
    return ref


class _Some:
    """Wants these files, and looks into no folders but theirs."""

    def __init__(self, paths: set[bytes]) -> None:
        self._paths = paths
        self._folders = {path.partition(b"/")[0] for path in paths}

    def __call__(self, path: bytes) -> bool:
        return path in self._paths

    def may_hold(self, path: bytes) -> bool:
        """Whether any of them lies beneath a folder."""
        return path in self._folders


class _Place:
    """The remote, and the machines of those who use it."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.store = simulation.store

    @contextmanager
    def machine(self, name: str) -> Iterator[tuple[Remote, Cache]]:
        """A cache, and the remote as this machine opens it."""
        folder = self._simulation.folder / name
        folder.mkdir(exist_ok=True)
        cache = Cache.open(folder / "cache")
        try:
            yield Remote.open(self.store, folder / "remotes", create=True), cache
        finally:
            cache.close()

    def counted(self, action: Callable[[], object]) -> Figures:
        """What an action asked of the store. Opening the remote has asked for its format before: one request more."""
        self.store.reset()
        action()
        return {"requests": self.store.requests, "received": self.store.received, "sent": self.store.sent}

    def note(self, ref: Ref) -> None:
        """Remember a ref for the jobs that follow."""
        (self._simulation.folder / "ref").write_bytes(ref.digest)

    @property
    def ref(self) -> Ref:
        """The ref that was noted last."""
        digest = Digest((self._simulation.folder / "ref").read_bytes())
        return Ref(snapshot_ref(digest), digest, ObjectKind.TREE)


def keep(simulation: Simulation, files: int) -> Figures:
    """Files taken into a cache."""
    place = _Place(simulation)
    with place.machine("ann") as (_, cache):
        place.note(_keep(cache, files // _FILES, None))
    return {"files": files}


def change(simulation: Simulation, files: int) -> Figures:
    """The same files, one of which is changed."""
    place = _Place(simulation)
    with place.machine("ann") as (_, cache):
        place.note(_keep(cache, files // _FILES, 1))
    return {"files": files}


def push(simulation: Simulation, days: int) -> Figures:
    """The ref that was kept last is pushed, by whoever made it."""
    place = _Place(simulation)
    author = Author("ann", _NOW + days * _DAY)
    with place.machine("ann") as (remote, cache):
        return place.counted(lambda: push_refs(remote, cache, [place.ref], author))


def pull(simulation: Simulation, files: int) -> Figures:
    """Some files of one folder, and as many of all folders, by a machine that is cold, and then warm."""
    place = _Place(simulation)
    figures: Figures = {"files": files}
    root = (place.ref.digest, ObjectKind.TREE)
    shutil.rmtree(simulation.folder / "cold", ignore_errors=True)
    near = _Some({b"0001/%04d.json" % number for number in range(files)})
    far = _Some({b"%04d/%04d.json" % (number * 7 % 1000, number) for number in range(100, 100 + files)})
    for name, wanted in (("cold, of one folder", near), ("then of all folders", far)):
        with place.machine("cold") as (remote, cache):
            fetched = partial(fetch, remote, cache, [root], [place.ref], wanted)
            figures[name] = place.counted(fetched)
    return figures


def collect_nothing(simulation: Simulation, _: int) -> Figures:
    """A collection that finds nothing to collect."""
    place = _Place(simulation)
    with place.machine("ann") as (remote, _cache):
        return place.counted(lambda: collect(remote, Author("ann", _NOW + 3 * _DAY), 14 * _DAY))


def collect_a_version(simulation: Simulation, _: int) -> Figures:
    """A version forgotten that shares all but a file with another one, and collected when its time has come."""
    place = _Place(simulation)
    with place.machine("ann") as (remote, _cache):
        author = Author("ann", _NOW + 30 * _DAY)
        drop_refs(remote, author, [place.ref.name])
        return place.counted(lambda: collect(remote, author, 0))


def verify_sample(simulation: Simulation, percent: int) -> Figures:
    """`fsck --remote --sample`."""
    place = _Place(simulation)
    with place.machine("ann") as (remote, _cache):
        figures = place.counted(lambda: verify(remote, percent / 100))
        assert verify(remote, percent / 100).faults == ()
    return figures


FILES = 1_000_000
JOBS: dict[str, tuple[Callable[[Simulation, int], Figures], int]] = {
    "keep": (keep, FILES),
    "push": (push, 0),
    "push_again": (push, 0),
    "keep_changed": (change, FILES),
    "push_changed": (push, 1),
    "pull_one": (pull, 1),
    "pull_hundred": (pull, 100),
    "collect_nothing": (collect_nothing, 0),
    "verify_sample": (verify_sample, 1),
    "collect_a_version": (collect_a_version, 0),
}
