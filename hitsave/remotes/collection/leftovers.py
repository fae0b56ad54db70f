"""What lies in a remote and is named by no commit that is retained; and whose it is.

A file is told by its session: an index and a ref segment by their keys, a pack by its first bytes. What has none that
can be read is nobody's business here, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from hitsave.errors import MalformedObject, RemoteNotFound
from hitsave.objects.digest import Digest
from hitsave.packing.commit import Commit, StoredFile
from hitsave.packing.pack import HEADER_SIZE, NONCE_SIZE, check_header
from hitsave.remotes.ahead import in_order
from hitsave.remotes.collection.retention import ORPHAN_LIFE
from hitsave.remotes.commits.keys import INDEXES, PACKS, REFS, index_key, pack_key, refs_key, session_of
from hitsave.remotes.commits.log import Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.transports.protocol import Listed


class Leftover(NamedTuple):
    """A key that no retained commit names, and whose it is.

    `size` is the length of its value in bytes; `modified` when it was created, by the store's clock; `expiring` whether
    a commit names it that is there, and will not be retained.
    """

    key: str
    size: int
    modified: int
    session: Session
    expiring: bool


def list_leftovers(remote: Remote, known: Sequence[Commit], oldest: int, packs: Collection[Digest]) -> list[Leftover]:
    """What is neither named by a commit from `oldest` on nor one of `packs`; `known` are the commits that are there."""
    named = _named(remote, (commit for commit in known if commit.number >= oldest)) | {pack_key(pack) for pack in packs}
    before = _named(remote, known)
    return [
        Leftover(listed.key, listed.size, listed.modified, session, listed.key in before)
        for listed, session in _with_sessions(remote, _unnamed(remote, named))
    ]


def removable(
    leftovers: Iterable[Leftover], known: Sequence[Commit], files: Collection[str], own: Session, now: int
) -> list[Leftover]:
    """What may be removed once its sessions are fenced, and a commit follows that names `files`, by key.

    What a session other than `own` sent, and may still commit, is left alone.
    """
    unnamed = [leftover for leftover in leftovers if leftover.key not in files]
    finished = {commit.session for commit in known}
    # A session is dead when all that it sent is old. A busy one has sent something since.
    latest: dict[Session, int] = {}
    for leftover in unnamed:
        latest[leftover.session] = max(leftover.modified, latest.get(leftover.session, 0))

    def ended(leftover: Leftover) -> bool:
        session = leftover.session
        over = leftover.expiring or session.hex in finished or latest[session] + ORPHAN_LIFE <= now
        return over or session.fenced_by(known[-1])

    return [leftover for leftover in unnamed if leftover.session != own and ended(leftover)]


def _named(remote: Remote, commits: Iterable[Commit]) -> set[str]:
    indexes: set[StoredFile] = set()
    keys: set[str] = set()
    for commit in commits:
        indexes.update(commit.indexes)
        keys.update(refs_key(file) for file in commit.refs)
    keys.update(map(index_key, indexes))
    with in_order(indexes, remote.files.packs_of, remote.transport.parallel) as found:
        keys.update(pack_key(pack) for _, packs in found for pack in packs)
    return keys


def _unnamed(remote: Remote, named: Collection[str]) -> Iterator[Listed]:
    for prefix in (PACKS, INDEXES, REFS):
        yield from (listed for listed in remote.transport.scan(prefix) if listed.key not in named)


def _with_sessions(remote: Remote, keys: Iterable[Listed]) -> list[tuple[Listed, Session]]:
    """Keys and whose they are. The first bytes of packs are read side by side."""
    with in_order(keys, lambda listed: _session(remote, listed.key), remote.transport.parallel) as found:
        return [(listed, session) for listed, session in found if session is not None]


def _session(remote: Remote, key: str) -> Session | None:
    if not key.startswith(PACKS):
        return session_of(key)
    try:
        header = remote.transport.get(key, 0, HEADER_SIZE)
        check_header(header)
    except (RemoteNotFound, MalformedObject):  # Another collector was quicker; or it is no pack.
        return None
    nonce = header[HEADER_SIZE - NONCE_SIZE :]
    return Session.from_token(nonce) if len(nonce) == NONCE_SIZE else None
