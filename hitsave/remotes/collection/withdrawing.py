"""Takes public snapshots back, and finds the files in `public/` of such as are public no longer.

The ref goes first, in one commit with one in `snapshots` that owns what it owned, so that nothing is lost by taking
back; the files go then, as `settling` says. What dies in between leaves files that a collection finds: those of digests
that the newest commit does not have in `public/`. Who publishes commits the ref first, so that it needs no session and
no age to know that he is at work.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.refs import Namespace, Ref, RefName, public_ref, snapshot_ref
from hitsave.progress import Progress
from hitsave.remotes.commits.again import with_newest
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View
from hitsave.remotes.public.layout import file_key, snapshot_of
from hitsave.remotes.public.publish import Source, list_public
from hitsave.remotes.public.settling import PublicSnapshot, settle
from hitsave.remotes.reading.partfile import PartFile
from hitsave.remotes.reading.parts import Parts
from hitsave.remotes.transports.protocol import Listed, Transport

#: What the commit of a taking back says that it did. Undoing passes it over: nothing becomes public by it.
WITHDRAW = "unpublish"
#: What is larger is read and sent by way of a file.
_SMALL = 1 << 20


class RemoteSource:
    """Content of a remote. Nothing is asked of it before something is wanted."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    @cached_property
    def _parts(self) -> Parts:
        return Parts(self._remote, self._remote.latest())

    def load(self, digest: Digest) -> bytes:
        """A small object."""
        return self._parts.reader.read(digest)

    def put(self, transport: Transport, key: str, blob: Digest) -> None:
        """Create a key with a blob."""
        if self._parts.size(blob) <= _SMALL:
            transport.put(key, self.load(blob))
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "blob"
            with PartFile(self._parts, blob) as content, path.open("wb") as file:
                shutil.copyfileobj(content, file, _SMALL)
            transport.put_file(key, path)


def take_back(
    remote: Remote,
    author: Author,
    digest: Digest,
    progress: Progress,
    told: Callable[[Ref], None] = lambda dropped: None,
) -> Ref | None:
    """Make a snapshot private, which stays owned as one; the ref that made it public, None where none did.

    `told` gets that ref once it is gone. Files that an earlier taking back left are removed, too. Raises RemoteError.
    """
    dropped = with_newest(remote, lambda view: _drop(remote, author, view, digest))
    try:
        if dropped is not None:
            told(dropped)
    finally:
        settle_files(remote, PublicSnapshot(digest, dropped.kind if dropped else None), progress)
    return dropped


def _drop(remote: Remote, author: Author, view: View, digest: Digest) -> Ref | None:
    public, own = public_ref(digest), snapshot_ref(digest)
    held = view.held_of({public, own})
    ref = held.get(public)
    if ref is not None:
        changes = {public: None, own: held.get(own) or replace(ref, name=own)}
        remote.append(view, Session.begin(view.number), author, WITHDRAW, (), changes, [digest])
    return ref


def settle_files(remote: Remote, what: PublicSnapshot, progress: Progress, source: Source | None = None) -> bool:
    """Remove the files of a snapshot that is not public; where `source` has them, put those of one that is.

    Whether it is public. Raises RemoteError, ObjectError, SnapshotError.
    """
    name = public_ref(what.digest)

    def newest() -> Ref | None:
        ref = remote.latest(trusting=True).held_of({name}).get(name)
        return ref if ref is not None and _may_be_public(ref) else None

    content = source or RemoteSource(remote)
    return settle(remote.transport, what, newest, content, progress, missing=source is not None)


def unheld_files(remote: Remote, view: View, drop: Collection[RefName] = ()) -> dict[PublicSnapshot, list[Listed]]:
    """The files in `public/` of snapshots that have no ref there, but for those that are to be dropped."""
    refs = view.refs_beginning(f"{Namespace.PUBLIC.value}/")
    public = {ref.digest for ref in refs if ref.name not in drop and _may_be_public(ref)}
    found: dict[PublicSnapshot, list[Listed]] = {}
    for listed in list_public(remote.transport):
        digest = snapshot_of(listed.key)
        if digest is not None and digest not in public:
            kind = ObjectKind.BLOB if listed.key == file_key(digest) else ObjectKind.TREE
            found.setdefault(PublicSnapshot(digest, kind), []).append(listed)
    return found


def _may_be_public(ref: Ref) -> bool:
    """No evaluation is public, whatever somebody has made of it."""
    return ref.kind is not ObjectKind.EVALUATION
