"""Every error that hitsave raises on purpose. They carry data; `str()` gives one line: what, where, what to do.

::

    HitsaveError
     ├── ConfigError              a setting that cannot be read or makes no sense
     ├── WorkspaceError           no workspace, a bad pointer file, a name that cannot be resolved
     │    ├── MergeConflict       a pointer file holds two versions
     │    └── UnsavedChanges      working files would be overwritten and are kept nowhere
     ├── SnapshotError            a file or directory cannot be captured or materialised
     │    ├── UnsupportedFile     a socket, FIFO or device
     │    ├── FileChanged         a file kept changing while it was read
     │    └── NameConflict        the file system cannot hold two names of one directory
     ├── RefError                 a ref that does not exist, or holds something else
     ├── ObjectError
     │    ├── MalformedObject     bytes that are not the canonical encoding of anything
     │    ├── ObjectNotFound      no such object here (nor in the remote, where one was asked)
     │    ├── AmbiguousDigest     an abbreviation that stands for several objects
     │    └── CorruptObject       bytes that do not have the digest they are kept under
     ├── CacheError               the local store cannot be used
     │    └── ReliedOnLost        something that a new ref relied on was collected meanwhile; start over
     │         └── SessionFenced  a collection took a push for dead; it starts over with nothing sent
     ├── MountError               nothing can be mounted here, or not there
     ├── MemoError                a call cannot be memoised
     │    └── Undigestable        an argument holds something that has no canonical digest
     └── RemoteError
          ├── RemoteNotFound      no such key in the remote
          ├── RemoteConflict      a create-only write found the key taken
          ├── RemoteUnavailable   the store did not answer, or not with what was asked; it may when asked again
          ├── RemoteRefused       the store does not know the user, or does not allow this
          ├── RemoteUnsuitable    the store cannot do what hitsave needs, or is not a hitsave remote
          └── RemoteCorrupt       a pack, index, ref segment or commit is not what its name says
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def suggest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a line about a name that is not there: the known one that is most like it, or `otherwise`."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    hint = f"did you mean {near[0]!r}?" if near else otherwise
    return f"; {hint}" if hint else ""


class HitsaveError(Exception):
    """The root of the tree."""


class ConfigError(HitsaveError):
    """A setting that cannot be read or makes no sense."""


class WorkspaceError(HitsaveError):
    """No workspace, a bad pointer file, or a name that cannot be resolved."""


class MergeConflict(WorkspaceError):
    """A pointer file in which git's merge left two versions; `ours` and `theirs` are digests where they can be read."""

    def __init__(self, path: str, ours: str = "", theirs: str = "") -> None:
        self.path = path
        self.ours = ours
        self.theirs = theirs
        shown = f" (ours is {ours[:12]}, theirs {theirs[:12]})" if ours and theirs else ""
        super().__init__(
            f"{path}: holds a merge conflict{shown}; run 'hitsave resolve' to merge the two, or keep one of them "
            f"('git checkout --ours' or '--theirs' {path}), then run 'hitsave checkout'"
        )


class UnsavedChanges(WorkspaceError):
    """Working files hold content that is kept nowhere, and would be overwritten."""

    def __init__(self, path: str, changed: Sequence[str]) -> None:
        self.path = path
        self.changed = tuple(changed)
        shown = ", ".join(self.changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
        super().__init__(
            f"{path}: unsaved changes would be lost ({shown}); run 'hitsave add {path}' to keep them, "
            "or use --force to discard them"
        )


class SnapshotError(HitsaveError):
    """A file or directory cannot be captured or materialised."""


class UnsupportedFile(SnapshotError):
    """A socket, FIFO or device: it has no content to keep."""

    def __init__(self, path: str, kind: str) -> None:
        self.path = path
        self.kind = kind
        super().__init__(f"{path}: a {kind} cannot be kept; move it away or list it in .hitsaveignore")


class FileChanged(SnapshotError):
    """A file kept changing while it was read."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path}: changed while it was read; nothing was stored, try again when it is at rest")


class NameConflict(SnapshotError):
    """The file system cannot hold two names of one directory, or a name at all."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path}: {reason}; nothing was written")


class RefError(HitsaveError):
    """A ref that does not exist, or holds something else."""


class ObjectError(HitsaveError):
    """Something is wrong with an object."""


class MalformedObject(ObjectError):
    """Bytes that are not the canonical encoding of anything.

    `what` names the format, `reason` the rule that was broken, `offset` the byte where it was noticed.
    """

    def __init__(self, what: str, reason: str, offset: int | None = None) -> None:
        self.what = what
        self.reason = reason
        self.offset = offset
        place = "" if offset is None else f" at byte {offset}"
        super().__init__(f"malformed {what}{place}: {reason}")


class ObjectNotFound(ObjectError):
    """No such object here (nor in the remote, where one was asked)."""

    def __init__(self, digest: str, where: str = "the cache") -> None:
        self.digest = digest
        self.where = where
        super().__init__(f"no object {digest} in {where}")


class AmbiguousDigest(ObjectError):
    """An abbreviation that stands for several objects."""

    def __init__(self, abbreviation: str, candidates: Sequence[str]) -> None:
        self.abbreviation = abbreviation
        self.candidates = tuple(candidates)
        super().__init__(f"{abbreviation} is ambiguous: {', '.join(self.candidates)}")


class CorruptObject(ObjectError):
    """Bytes that do not have the digest they are kept under."""

    def __init__(self, digest: str, where: str, reason: str = "its content has another digest") -> None:
        self.digest = digest
        self.where = where
        self.reason = reason
        super().__init__(f"object {digest} in {where} is corrupt: {reason}")


class CacheError(HitsaveError):
    """The local store cannot be used."""


class ReliedOnLost(CacheError):
    """Something that a new ref relied on was collected meanwhile; whoever catches this starts over."""

    def __init__(self, lost: Sequence[str], message: str = "") -> None:
        self.lost = tuple(lost)
        what = "1 object was" if len(self.lost) == 1 else f"{len(self.lost)} objects were"
        super().__init__(message or f"{what} collected meanwhile ({', '.join(self.lost[:3])}); run it again")


class SessionFenced(ReliedOnLost):
    """A collection of the remote took this writer for dead, and may have removed what it sent."""

    def __init__(self) -> None:
        message = "a collection of the remote took this for dead, and removed what it had sent; run it again"
        super().__init__((), message)


class MountError(HitsaveError):
    """The system cannot mount anything, or not there."""


class MemoError(HitsaveError):
    """A call cannot be memoised."""


class Undigestable(MemoError):
    """A value holds something that has no canonical digest: an open file, a lock, a generator.

    `path` says where in the value, `type_name` what it is, `reason` why, where more is known.
    """

    def __init__(self, path: str, found: type, reason: str = "") -> None:
        self.path = path
        self.type_name = (
            found.__qualname__ if found.__module__ == "builtins" else f"{found.__module__}.{found.__qualname__}"
        )
        self.reason = reason
        root = re.split(r"[.\[{]", path, maxsplit=1)[0]
        why = f" ({reason})" if reason else ""
        super().__init__(
            f"{path}: a {self.type_name} has no digest{why}; pass a FileSnapshot, register a digest with "
            f"hitsave.register_digest({found.__name__}, f), or leave it out with ignore=[{root!r}]"
        )


class RemoteError(HitsaveError):
    """Something is wrong with a remote."""


class RemoteNotFound(RemoteError):
    """No such key in the remote."""

    def __init__(self, remote: str, key: str) -> None:
        self.remote = remote
        self.key = key
        super().__init__(f"{remote}: no {key}")


class RemoteConflict(RemoteError):
    """A create-only write found the key taken."""

    def __init__(self, remote: str, key: str) -> None:
        self.remote = remote
        self.key = key
        super().__init__(f"{remote}: {key} exists already")


class RemoteUnavailable(RemoteError):
    """The store did not answer, or not with what was asked. It may when it is asked again, `after` so many seconds."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        self.after = after
        super().__init__(message)


class RemoteRefused(RemoteError):
    """The store does not know the user, or does not allow this; asking again does not help."""


class RemoteUnsuitable(RemoteError):
    """The store cannot do what hitsave needs, or is not a hitsave remote."""


class RemoteCorrupt(RemoteError):
    """A pack, index, ref segment or commit is not what its name says."""

    def __init__(self, remote: str, key: str, reason: str) -> None:
        self.remote = remote
        self.key = key
        self.reason = reason
        super().__init__(f"{remote}: {key} is corrupt: {reason}")
