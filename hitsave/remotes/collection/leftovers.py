"""What lies in a remote and is named by no commit that is retained; and whose it is.

A file is told by its session: an index and a ref segment by their keys, a pack by its first bytes. Of a pack whose
first bytes are damaged it is known that its session began before any commit that names it. What is named by none, and
does not say whose it is, is nobody's business here, and stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
    """A key that no retained commit names, and whose it is, where that can be told.

    `size` is the length of its value in bytes; `modified` when it was created, by the store's clock; `named_by` the
    number of the first commit that is there and names it, and will expire.
    """

    key: str
    size: int
    modified: int
    session: Session | None
    named_by: int | None


def list_leftovers(remote: Remote, known: Sequence[Commit], oldest: int, packs: Collection[Digest]) -> list[Leftover]:
    """What is neither named by a commit from `oldest` on nor one of `packs`; `known` are the commits that are there."""
    retained = _first_to_name(remote, (commit for commit in known if commit.number >= oldest))
    named = retained.keys() | {pack_key(pack) for pack in packs}
    first = _first_to_name(remote, known)
    unnamed = _unnamed(remote, named)
    # The first bytes of packs are read side by side.
    with in_order(unnamed, lambda listed: _leftover(remote, listed, first), remote.transport.parallel) as found:
        return [leftover for _, leftover in found if leftover is not None]


def removable(
    leftovers: Iterable[Leftover],
    known: Sequence[Commit],
    fenced_before: int,
    files: Collection[str],
    own: Session,
    now: int,
) -> list[Leftover]:
    """What may be removed once a commit follows that names `files`, by key, and fences the sessions of what is removed.

    All those that began before the commit `fenced_before` are fenced by it, too. What a session other than `own` sent,
    and may still commit, is left alone.
    """
    unnamed = [leftover for leftover in leftovers if leftover.key not in files]
    finished = {commit.session for commit in known}
    # A session is dead when all that it sent is old. A busy one has sent something since.
    latest: dict[Session | None, int] = {}
    for leftover in unnamed:
        latest[leftover.session] = max(leftover.modified, latest.get(leftover.session, 0))

    def ended(leftover: Leftover) -> bool:
        session, named_by = leftover.session, leftover.named_by
        if session is None:
            return named_by is not None and named_by <= fenced_before
        over = named_by is not None or session.hex in finished or latest[session] + ORPHAN_LIFE <= now
        return over or session.fenced_by(known[-1])

    return [leftover for leftover in unnamed if leftover.session != own and ended(leftover)]


def abandoned_claims(claims: Iterable[Listed], long_ago: int) -> list[str]:
    """The keys of claims of calls of which the newest one is that old: who computes goes on to claim."""
    newest: dict[str, int] = {}
    found = [(listed, listed.key.rpartition("-")[0]) for listed in claims]
    for listed, call in found:
        newest[call] = max(listed.modified, newest.get(call, 0))
    return [listed.key for listed, call in found if newest[call] <= long_ago]


def _first_to_name(remote: Remote, commits: Iterable[Commit]) -> dict[str, int]:
    """Every key that these commits name, ascending, with the number of the first that does."""
    indexes: dict[StoredFile, int] = {}
    keys: dict[str, int] = {}
    for commit in commits:
        for file in commit.indexes:
            indexes.setdefault(file, commit.number)
        for file in commit.refs:
            keys.setdefault(refs_key(file), commit.number)
    with in_order(indexes, remote.files.packs_of, remote.transport.parallel) as found:
        for index, packs in found:
            for key in (index_key(index), *map(pack_key, packs)):
                keys[key] = min(keys.get(key, indexes[index]), indexes[index])
    return keys


def _unnamed(remote: Remote, named: Collection[str]) -> Iterator[Listed]:
    for prefix in (PACKS, INDEXES, REFS):
        yield from (listed for listed in remote.transport.scan(prefix) if listed.key not in named)


def _leftover(remote: Remote, listed: Listed, first: Mapping[str, int]) -> Leftover | None:
    """A key that was listed; None where another collector was quicker."""
    try:
        session = _session(remote, listed.key)
    except RemoteNotFound:
        return None
    return Leftover(listed.key, listed.size, listed.modified, session, first.get(listed.key))


def _session(remote: Remote, key: str) -> Session | None:
    """Whose a key is; None where that cannot be told. Raises RemoteNotFound."""
    if not key.startswith(PACKS):
        return session_of(key)
    header = remote.transport.get(key, 0, HEADER_SIZE)
    try:
        check_header(header)
    except MalformedObject:  # It is damaged; or it is no pack.
        return None
    nonce = header[HEADER_SIZE - NONCE_SIZE :]
    return Session.from_token(nonce) if len(nonce) == NONCE_SIZE else None
