"""Drops refs from a remote, and brings dropped ones back while the commit is retained that had them.

Dropping only takes a ref out of the newest state; what it owned is removed by a collection, when the older commits
have expired. Until then everything is there to bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hitsave.errors import RefError
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import Commit
from hitsave.remotes.collection.collect import OPERATION as COLLECTION
from hitsave.remotes.collection.withdrawing import WITHDRAW
from hitsave.remotes.commits.again import with_newest
from hitsave.remotes.commits.log import Author, Remote
from hitsave.remotes.commits.sessions import Session
from hitsave.remotes.commits.view import View

FORGET = "forget"
_UNDO = "undo"


class BroughtBack(NamedTuple):
    """What was undone, and the refs that are there again."""

    operation: str
    refs: tuple[Ref, ...]


class _Lost(NamedTuple):
    """Refs that one commit dropped, and the commit before it, which had them."""

    operation: str
    refs: list[Ref]
    before: Commit


def drop_refs(remote: Remote, author: Author, names: Iterable[RefName]) -> list[Ref]:
    """Drop refs from the newest state; those that were there. Raises RemoteError."""
    wanted = list(names)

    def once(view: View) -> list[Ref]:
        held = view.refs()
        dropped = [held[name] for name in wanted if name in held]
        if dropped:
            changes = {ref.name: None for ref in dropped}
            remote.append(view, Session.begin(view.number), author, FORGET, (), changes)
        return dropped

    return with_newest(remote, once)


def bring_back(remote: Remote, author: Author) -> BroughtBack:
    """Undo the last dropping of refs, by whomever. Raises RefError where no commit is retained that had any."""
    return with_newest(remote, lambda view: _bring_back(remote, author, view))


def _bring_back(remote: Remote, author: Author, view: View) -> BroughtBack:
    session = Session.begin(view.number)
    done: list[_Lost] = []

    def build(newest: View) -> Commit:
        lost = _last_lost(remote, newest)
        done[:] = [lost]
        # The indexes of that time say where everything is that those refs reach. Nothing of it was removed yet.
        indexes = newest.index_files + tuple(file for file in lost.before.indexes if file not in newest.index_files)
        refs = remote.files.put_refs({ref.name: ref for ref in lost.refs}, session)
        return remote.following(newest, session, author, _UNDO, indexes, (*newest.ref_files, refs))

    remote.commit(view, session, build)
    return BroughtBack(done[0].operation, tuple(done[0].refs))


def _last_lost(remote: Remote, view: View) -> _Lost:
    """The refs that the last commit dropped which dropped any that are not there again.

    What was taken back since is private, however it came to be public before.
    """
    commit = view.commit
    oldest = commit.oldest if commit else 0
    settled = set(view.refs())
    while commit is not None and commit.number > oldest:
        before = remote.read_commit(commit.number - 1)
        if commit.operation in (FORGET, COLLECTION, WITHDRAW):
            there = remote.view_of(commit).refs()
            dropped = {name: ref for name, ref in remote.view_of(before).refs().items() if name not in there}
            if commit.operation == WITHDRAW:
                settled |= dropped.keys()
            elif refs := [ref for name, ref in dropped.items() if name not in settled]:
                return _Lost(commit.operation, refs, before)
        commit = before
    raise RefError(f"{remote.transport.url}: there is nothing to undo that is still kept")
