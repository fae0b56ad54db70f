"""Commits (objects_spec.md, section 9): the one thing that changes in a remote.

A commit is a small numbered record, created only if its number is free. It names every index and every ref segment
that now holds, so that reading the newest one gives a consistent view of the whole remote. It names its parent by
digest, so that a log cannot be spliced.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import Fields, decode_json, encode_json
from hitsave.objects.digest import Digest
from hitsave.packing.chunking import Chunking, decode_chunking

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An index or a ref segment; `length` in bytes, `entries` how many it holds, `session` who made it (hex)."""

    digest: Digest
    length: int
    entries: int
    session: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One state of a remote.

    `identity` is the remote's; `number` counts from 1; `parent` is the BLAKE3 of the previous commit's bytes, None for
    the first. `created` is in seconds since 1970. `operation` says what was done; `session` is the writer's token (32
    hex digits). Later ref segments overrule earlier ones.

    `oldest` is the number of the oldest commit that is retained. Sessions that began before `fenced_before`, and those
    in `fenced`, in ascending order, cannot commit any more.
    """

    identity: str
    number: int
    parent: Digest | None
    created: int
    author: str
    operation: str
    session: str
    indexes: tuple[StoredFile, ...] = ()
    refs: tuple[StoredFile, ...] = ()
    oldest: int = 1
    fenced_before: int = 0
    fenced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteFormat:
    """What is decided when a remote is made, and holds for its life. `identity` is 32 random hex digits."""

    identity: str
    chunking: Chunking


def commit_digest(encoded: bytes) -> Digest:
    """How the next commit names this one."""
    return Digest(blake3(encoded).digest())


def encode_commit(commit: Commit) -> bytes:
    """The one spelling of a commit."""
    return encode_json(
        {
            "format": FORMAT_VERSION,
            "identity": commit.identity,
            "number": commit.number,
            "parent": str(commit.parent) if commit.parent else "",
            "created": commit.created,
            "author": commit.author,
            "operation": commit.operation,
            "session": commit.session,
            "indexes": [_encode_file(file) for file in commit.indexes],
            "refs": [_encode_file(file) for file in commit.refs],
            "oldest": commit.oldest,
            "fenced_before": commit.fenced_before,
            "fenced": list(commit.fenced),
        }
    )


def _encode_file(file: StoredFile) -> dict[str, str | int]:
    return {"digest": str(file.digest), "length": file.length, "entries": file.entries, "session": file.session}


def _decode_files(rows: list[Fields]) -> tuple[StoredFile, ...]:
    return tuple(
        StoredFile(row.digest("digest"), row.number("length"), row.number("entries"), row.token("session"))
        for row in rows
    )


def decode_commit(data: bytes) -> Commit:
    """The commit that `data` spells. Raises MalformedObject."""
    fields = Fields(decode_json(data, "commit"), "commit")
    if (version := fields.number("format")) != FORMAT_VERSION:
        raise MalformedObject("commit", f"has format {version}; this hitsave reads {FORMAT_VERSION}")
    number = fields.number("number")
    has_parent = fields.text("parent") != ""
    if number == 0 or has_parent != (number > 1):
        raise MalformedObject("commit", "only the first one has no parent, and its number is 1")
    oldest, fenced_before = fields.number("oldest"), fields.number("fenced_before")
    if not 1 <= oldest <= number or fenced_before > number:
        raise MalformedObject("commit", "retains, or fences by, commits that it does not follow")
    fenced = fields.tokens("fenced")
    if any(one >= other for one, other in pairwise(fenced)):
        raise MalformedObject("commit", "its fenced sessions are not in ascending order")
    return Commit(
        identity=fields.token("identity"),
        number=number,
        parent=fields.digest("parent") if has_parent else None,
        created=fields.number("created"),
        author=fields.text("author"),
        operation=fields.text("operation"),
        session=fields.token("session"),
        indexes=_decode_files(fields.rows("indexes")),
        refs=_decode_files(fields.rows("refs")),
        oldest=oldest,
        fenced_before=fenced_before,
        fenced=fenced,
    )


def encode_format(remote: RemoteFormat) -> bytes:
    """The one spelling of a remote's format record."""
    values = {"format": FORMAT_VERSION, "identity": remote.identity, "chunking": remote.chunking.members()}
    return encode_json({**values, "check": _format_check(values)})


def _format_check(values: dict[str, Any]) -> str:
    """The check of a record, over all of its other members."""
    return blake3(encode_json({key: value for key, value in values.items() if key != "check"})).hexdigest()


def decode_format(data: bytes) -> RemoteFormat:
    """The format record that `data` spells. Raises MalformedObject, also for a version that is not known here."""
    values = decode_json(data, "remote format")
    fields = Fields(values, "remote format")
    if (version := fields.number("format")) != FORMAT_VERSION:
        raise MalformedObject("remote format", f"is version {version}; this hitsave reads {FORMAT_VERSION}")
    if fields.text("check") != _format_check(values):
        raise MalformedObject("remote format", "does not have the check that it says")
    cutting = values.get("chunking")
    chunking = decode_chunking(cutting if isinstance(cutting, dict) else {}, "remote format")
    return RemoteFormat(fields.token("identity"), chunking)
