"""Checks the small files of a remote: the commits that are retained, and the indexes and ref segments that they name.

The bytes that are checked are the remote's own. This machine's copies help only where those are damaged.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hitsave.cache.hashing import hash_descriptor
from hitsave.errors import MalformedObject, RemoteCorrupt, RemoteNotFound
from hitsave.objects.digest import Digest, blob_digest
from hitsave.objects.refs import Ref, RefName
from hitsave.packing.commit import Commit, StoredFile, commit_digest
from hitsave.packing.index import Index
from hitsave.packing.refsegment import RefChanges, apply_refs, decode_refs
from hitsave.remotes.ahead import in_order
from hitsave.remotes.commits.keys import commit_key, index_key, refs_key
from hitsave.remotes.commits.log import Remote

_MISSING = "is missing, and a commit names it"
_WRONG = "its content has another digest"


def check_commits(remote: Remote, newest: Commit) -> tuple[dict[int, Commit], dict[int, str]]:
    """The commits before the newest one that are retained and can be read, and what is wrong with the others."""

    def read(number: int) -> bytes | None:
        try:
            return remote.transport.get(commit_key(number))
        except RemoteNotFound:
            return None

    good: dict[int, Commit] = {}
    wrong: dict[int, str] = {}
    expected = newest.parent
    numbers = range(newest.number - 1, newest.oldest - 1, -1)
    with in_order(numbers, read, remote.transport.parallel) as contents:
        for number, content in contents:
            commit, reason = _check_commit(remote, number, content, expected)
            expected = commit.parent if commit else None
            if commit is None:
                wrong[number] = reason
            else:
                good[number] = commit
    return good, wrong


def _check_commit(
    remote: Remote, number: int, content: bytes | None, expected: Digest | None
) -> tuple[Commit | None, str]:
    """A commit, whose digest the next one names where that can be read, or what is wrong with it."""
    if content is None:
        return None, "is missing, and the newest commit retains it"
    if expected is not None and commit_digest(content) != expected:
        return None, f"is not the one that commit {number + 1} names as its parent"
    try:
        return remote.decode(commit_key(number), content), ""
    except RemoteCorrupt as error:
        return None, error.reason


def check_index(remote: Remote, file: StoredFile) -> tuple[Index | None, str]:
    """An index, out of this machine's copy where the remote's is damaged, and what is wrong with the remote's."""
    committed = remote.files.open_index(file)
    reason = _check_bytes(remote, index_key(file), file) if committed.here else ""
    try:
        index = committed.whole()
        index.verify()
    except RemoteCorrupt as error:
        return None, reason or error.reason
    except MalformedObject as error:
        return None, str(error)
    return index, reason


def _check_bytes(remote: Remote, key: str, file: StoredFile) -> str:
    """What is wrong with the bytes of a file, which may be large."""
    with tempfile.TemporaryDirectory(prefix="check-", dir=remote.unfinished.parent) as folder:
        path = Path(folder, "content")
        try:
            remote.transport.download(key, path)
        except RemoteNotFound:
            return _MISSING
        with path.open("rb") as content:
            return "" if hash_descriptor(content.fileno()) == file.digest else _WRONG


def check_refs(remote: Remote, files: Iterable[StoredFile]) -> tuple[dict[RefName, Ref], dict[StoredFile, str]]:
    """The refs of the segments that can be read, and what is wrong with the others, be there copies of them or not."""
    segments: list[RefChanges] = []
    wrong: dict[StoredFile, str] = {}
    with in_order(files, lambda file: _read_refs(remote, file), remote.transport.parallel) as found:
        for file, (changes, reason) in found:
            if changes is not None:
                segments.append(changes)
            if reason:
                wrong[file] = reason
    return apply_refs(segments), wrong


def _read_refs(remote: Remote, file: StoredFile) -> tuple[RefChanges | None, str]:
    try:
        content = remote.transport.get(refs_key(file))
        if blob_digest(content) == file.digest:
            return decode_refs(content), ""
        reason = _WRONG
    except RemoteNotFound:
        reason = _MISSING
    except MalformedObject as error:
        return None, str(error)
    with contextlib.suppress(RemoteCorrupt):
        return remote.files.load_refs(file), reason
    return None, reason


def check_older_files(remote: Remote, newest: Commit, commits: dict[int, Commit]) -> dict[str, tuple[int, str]]:
    """By key, what is wrong with files that only older commits name, and the last commit that does."""
    known = {*newest.indexes, *newest.refs}
    last: dict[StoredFile, tuple[int, str]] = {}
    for number, commit in sorted(commits.items()):
        last |= {file: (number, index_key(file)) for file in commit.indexes if file not in known}
        last |= {file: (number, refs_key(file)) for file in commit.refs if file not in known}

    def check(file: StoredFile) -> str:
        return _check_bytes(remote, last[file][1], file)

    with in_order(last, check, remote.transport.parallel) as found:
        return {last[file][1]: (last[file][0], reason) for file, reason in found if reason}
