"""Which snapshots of a store are public, and what lies where in them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from hitsave.contents import Contents
from hitsave.errors import RemoteUnsuitable
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import EntryKind, TreeEntry
from hitsave.objects.refs import Ref, public_ref
from hitsave.repository import Repository
from hitsave.server.paths import captured_path, is_text, last_name

_BROUGHT_AT_ONCE = 256

Seen = TypeVar("Seen")


class Found(NamedTuple):
    """What is at a path of a public snapshot, and the snapshot's ref. Its own place, without links, is `depth` deep."""

    ref: Ref
    path: bytes
    entry: TreeEntry
    depth: int = 0

    @property
    def name(self) -> str:
        """What it is called: by its path, or as what was made public was; or by its digest."""
        if self.path:
            return os.fsdecode(self.path.rpartition(b"/")[2])
        known = last_name(captured_path(self.ref.path))
        return os.fsdecode(known) or self.ref.digest.short


class Looks(Generic[Seen]):
    """Looks at something that changes, one at a time: who asks gets what was seen in a look that began after he asked.

    So nobody is told what was true before, and a thousand who ask at once make two looks and not a thousand.
    """

    def __init__(self, look: Callable[[], Seen]) -> None:
        self._look = look
        self._looking = threading.Lock()
        self._begun = 0
        self._seen: tuple[int, Seen] | None = None

    def now(self) -> Seen:
        """What is true now. Raises what looking raises."""
        asked = self._begun
        with self._looking:
            if self._seen is None or self._seen[0] <= asked:
                self._begun += 1
                self._seen = self._begun, self._look()
            return self._seen[1]


class Published:
    """The public snapshots of one store. Safe to use from several threads."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._looks = Looks(lambda: repository.exchange.remote().latest(trusting=True))

    @property
    def contents(self) -> Contents:
        """Reads what is in the store."""
        return self._repository.contents

    def ref(self, digest: Digest) -> Ref | None:
        """The ref that makes a snapshot public; None where it is not. Raises RemoteError.

        The store is asked each time: whichever server took a link back, it is gone when that is answered.
        """
        name = public_ref(digest)
        try:
            return self._looks.now().held_of({name}).get(name)
        except RemoteUnsuitable:  # Nothing was ever pushed.
            return None

    def find(self, digest: Digest, path: bytes, last: bool = True) -> Found | None:
        """What is at a path; None where there is nothing, or nothing public. Raises RemoteError, ObjectError.

        Symbolic links are followed; without `last`, one at the end of the path is not.
        """
        ref = self.ref(digest)
        if ref is None or ref.kind is ObjectKind.EVALUATION:
            return None
        if ref.kind is ObjectKind.TREE:
            found = self.contents.follow(digest, path, last)
            return found and Found(ref, path.strip(b"/"), found.entry, len(found.path.split(b"/")) if found.path else 0)
        if path.strip(b"/"):
            return None
        return Found(ref, b"", TreeEntry(b"", EntryKind.FILE, digest, self.contents.size(digest)))

    def has_text_names(self, tree: Digest) -> bool:
        """Whether every name beneath a directory is UTF-8. Each directory is looked at once."""
        waiting, seen = [tree], {tree}
        while waiting:
            self.contents.bring(waiting[-_BROUGHT_AT_ONCE:])
            for name, entry in self.contents.children(waiting.pop()).items():
                if not is_text(name):
                    return False
                if entry.kind is EntryKind.TREE and entry.digest not in seen:
                    seen.add(entry.digest)
                    waiting.append(entry.digest)
        return True

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
