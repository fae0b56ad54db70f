"""Which snapshots of a store are public, and what lies where in them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from hitsave.contents import Contents
from hitsave.errors import RemoteUnsuitable
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, public_ref, unquote_name
from hitsave.repository import Repository

#: Seconds for which it is not asked again what is public: a link that was taken back lives so long at most.
_FRESH = 1.0
_BROUGHT_AT_ONCE = 256


class Found(NamedTuple):
    """What is at a path of a public snapshot, and the snapshot's ref."""

    ref: Ref
    path: bytes
    entry: TreeEntry

    @property
    def name(self) -> str:
        """What it is called: by its path, or as what was made public was; or by its digest."""
        if self.path:
            return os.fsdecode(self.path.rpartition(b"/")[2])
        known = PurePosixPath(os.fsdecode(unquote_name(self.ref.path))).name
        return known or self.ref.digest.short


class Published:
    """The public snapshots of one store. Safe to use from several threads."""

    def __init__(self, repository: Repository, clock: Callable[[], float] = time.monotonic) -> None:
        self._repository = repository
        self._clock = clock
        self._looked: float | None = None
        self._lock = threading.Lock()

    @property
    def contents(self) -> Contents:
        """Reads what is in the store."""
        return self._repository.contents

    def ref(self, digest: Digest) -> Ref | None:
        """The ref that makes a snapshot public; None where it is not. Raises RemoteError."""
        try:
            remote = self._repository.exchange.remote()
        except RemoteUnsuitable:  # Nothing was ever pushed.
            return None
        with self._lock:
            name = public_ref(digest)
            view = remote.known
            fresh = self._looked is not None and self._clock() < self._looked + _FRESH
            if fresh and view is not None and (known := view.held_of({name}).get(name)) is not None:
                return known
            view = remote.latest(trusting=True)
            self._looked = self._clock()
            return view.held_of({name}).get(name)

    def find(self, digest: Digest, path: bytes) -> Found | None:
        """What is at a path; None where there is nothing, or nothing public. Raises RemoteError, ObjectError."""
        ref = self.ref(digest)
        if ref is None or ref.kind is ObjectKind.EVALUATION:
            return None
        if ref.kind is ObjectKind.TREE:
            entry = self.contents.entry_at(digest, path)
            return None if entry is None else Found(ref, path.strip(b"/"), entry)
        if path.strip(b"/"):
            return None
        return Found(ref, b"", TreeEntry(b"", EntryKind.FILE, digest, self.contents.size(digest)))

    def walk(self, tree: Digest) -> Iterator[tuple[bytes, TreeEntry]]:
        """Every entry beneath a directory with its path, directories before what they hold."""
        waiting: list[tuple[bytes, Digest]] = [(b"", tree)]
        while waiting:
            self.contents.bring(digest for _, digest in waiting[-_BROUGHT_AT_ONCE:])
            above, digest = waiting.pop()
            for name, entry in self.contents.children(digest).items():
                yield above + name, entry
                if entry.kind is EntryKind.TREE:
                    waiting.append((above + name + b"/", entry.digest))
