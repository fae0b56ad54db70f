"""Public snapshots of a project: made so, taken back, and fetched by their links.

A remote that is a bucket or a folder gets the files as they are, beside its packs; a server of a remote gives them
itself, and nothing is stored for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from hitsave.cache.store import Cache
from hitsave.config import Config
from hitsave.errors import ObjectError, SnapshotError
from hitsave.exchange import Exchange
from hitsave.maintenance.collect import forget
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.model import TreeEntry
from hitsave.objects.refs import Ref, public_ref, snapshot_ref
from hitsave.ownership import Project, author
from hitsave.progress import Progress
from hitsave.remotes.collection.withdrawing import settle_files, take_back
from hitsave.remotes.public.layout import PublicUrl, file_key, list_key
from hitsave.remotes.public.places import is_server, public_base
from hitsave.remotes.public.publish import CacheSource, check_names
from hitsave.remotes.public.settling import PublicSnapshot


@dataclass(frozen=True, slots=True)
class Published:
    """What was made public: where anybody can read it, if that is known, and bytes that were sent for it in packs."""

    link: str | None
    sent: int


@dataclass(frozen=True, slots=True)
class Publishing:
    """The public snapshots of one project."""

    config: Config
    cache: Cache
    exchange: Exchange
    project: Project
    progress: Progress

    def publish(self, digest: Digest, kind: ObjectKind, remote: str | None = None) -> Published:
        """Make a snapshot public, in the remote. Raises ObjectError for an evaluation, SnapshotError, RemoteError."""
        if kind is ObjectKind.EVALUATION:
            raise ObjectError(f"{digest}: an evaluation is never public; share the files that it made")
        found = self.exchange.remote(remote, create=True)
        source = CacheSource(self.cache)
        if not self._is_server(remote):
            check_names(digest, kind, source)
        ref = self.cache.ref(public_ref(digest)) or self._new_ref(digest, kind)
        if self.cache.ref(ref.name) is None:
            self.exchange.own(ref)
        sent = self.exchange.push([ref], remote).sent
        self.progress.start("publishing")
        if not settle_files(found, PublicSnapshot(digest, kind), self.progress, source):
            raise SnapshotError(f"{digest.short}: was taken back by somebody else, just after it was made public")
        return Published(self.link(digest, remote), sent)

    def link(self, digest: Digest, remote: str | None = None) -> str | None:
        """Where a public snapshot of a remote can be read; None where nobody has said."""
        config = self.config.remote(remote)
        base = self.config.public_url or public_base(config.url)
        return None if base is None else f"{base.rstrip('/')}/{file_key(digest)}"

    def _new_ref(self, digest: Digest, kind: ObjectKind) -> Ref:
        place = self.project.known_place(self.cache, digest)
        path = None if place is None else self.config.workspace / place
        return self.project.make_ref(public_ref(digest), digest, kind, path)

    def _is_server(self, remote: str | None) -> bool:
        return is_server(self.config.remote(remote).url)

    @staticmethod
    def is_readable(link: PublicUrl) -> bool:
        """Whether a link answers to whoever asks. Raises RemoteError where nothing answers, or not with files."""
        from hitsave.remotes.public.host import PublicHost

        host = PublicHost(link.base)
        try:
            return host.answers(list_key(link.digest)) or host.answers(file_key(link.digest))
        finally:
            host.close()

    def take_back(self, digest: Digest, remote: str | None = None) -> bool:
        """Make a snapshot private again, here and in the remote; it stays owned as a snapshot. Whether it was public.

        Raises RemoteError.
        """
        name = public_ref(digest)
        here = self.cache.ref(name)
        if here is not None:  # What owns it elsewhere owns it here, too.
            self.exchange.own(replace(here, name=snapshot_ref(digest)))
        there = take_back(self.exchange.remote(remote), author(), digest, self.progress)
        if here is not None:
            forget(self.cache, [name], int(time.time()))
        return here is not None or there is not None

    def receive(self, link: PublicUrl) -> TreeEntry:
        """Fetch what a link names, into the cache. Nothing but GET is asked of the host.

        Raises RemoteNotFound, RemoteCorrupt and other RemoteErrors.
        """

        from hitsave.remotes.public.host import PublicHost  # Few need it, and what it imports takes long.
        from hitsave.remotes.public.receive import receive

        def own(digest: Digest, kind: ObjectKind) -> Ref:
            known = self.cache.ref(snapshot_ref(digest))
            return known or self.project.make_ref(snapshot_ref(digest), digest, kind, None)

        host = PublicHost(link.base)
        try:
            return receive(host, self.cache, link, own, self.progress)
        finally:
            host.close()
