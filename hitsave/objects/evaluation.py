"""What an evaluation is, and its canonical encoding (objects_spec.md, section 2.3).

An evaluation records one call of a memoised function: what was called, with what, what came out, and what it needs. An
acceptance is an object of the same kind; it says that results of one version of the code count for another one.

Both are canonical JSON. The decoder refuses every other spelling, and members that it does not know: what such a member
names could not be marked, and would be collected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from blake3 import blake3

from hitsave.errors import MalformedObject
from hitsave.objects.canonical import Fields, decode_json, encode_json, parse_field
from hitsave.objects.digest import DIGEST_SIZE, Digest, ObjectKind

CALL_CONTEXT = "hitsave 2026-11 call v1"

_WHAT = "evaluation"
_SNAPSHOT_KINDS = {"blob": ObjectKind.BLOB, "tree": ObjectKind.TREE}


class BlobLink(NamedTuple):
    """A blob that an evaluation needs; size in bytes."""

    digest: Digest
    size: int


class TakenSnapshot(NamedTuple):
    """A snapshot that was taken while the call ran; `size` in bytes, `path` quoted as in a ref, or empty."""

    digest: Digest
    kind: ObjectKind
    size: int
    path: str = ""


class ShownArgument(NamedTuple):
    """An argument for people: its name, the digest of its value, and a short text of it."""

    name: str
    digest: Digest
    text: str


class Extra(NamedTuple):
    """A definition that was found to be needed only while the call ran, and the digest of what it was."""

    name: str
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One call of a memoised function.

    `function` is `MODULE.QUALNAME`; `code` the digest of everything that it depends on, which `manifest` lists;
    `arguments` that of the bound arguments. `result` is a pickle, `buffers` are its out-of-band parts in order;
    `display` shows both to people, `reason` says why it ran. `started` is in microseconds since 1970, `elapsed` in
    microseconds; `by` is USER@HOST, `git` the hex name of the commit that was checked out, `python` the version as
    "3.11".
    """

    function: str
    code: Digest
    arguments: Digest
    manifest: BlobLink
    result: BlobLink
    buffers: tuple[BlobLink, ...] = ()
    snapshots: tuple[TakenSnapshot, ...] = ()
    display: BlobLink | None = None
    reason: BlobLink | None = None
    shown: tuple[ShownArgument, ...] = ()
    extras: tuple[Extra, ...] = ()
    experiment: bool = False
    started: int = 0
    elapsed: int = 0
    by: str = ""
    git: str = ""
    python: str = ""

    @property
    def key(self) -> Digest:
        """What this call has in common with every call that must give the same."""
        return call_key(self.function, self.code, self.arguments)

    @property
    def size(self) -> int:
        """Bytes of the result, with its buffers."""
        return self.result.size + sum(buffer.size for buffer in self.buffers)

    @property
    def links(self) -> list[tuple[Digest, ObjectKind, int]]:
        """The objects that it needs, with kind and size, in the order of the encoding's members."""
        named = (*self.buffers, self.display, self.manifest, self.reason, self.result)
        blobs = [(link.digest, ObjectKind.BLOB, link.size) for link in named if link is not None]
        return blobs + [(taken.digest, taken.kind, taken.size) for taken in self.snapshots]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Somebody's word that results of the code `accepts` count for `code`, which `manifest` lists.

    `made` is in microseconds since 1970; `by` and `git` as in an evaluation; `note` is for people.
    """

    function: str
    accepts: Digest
    code: Digest
    manifest: BlobLink
    made: int = 0
    by: str = ""
    git: str = ""
    note: str = ""

    @property
    def links(self) -> list[tuple[Digest, ObjectKind, int]]:
        """The objects that it needs, with kind and size."""
        return [(self.manifest.digest, ObjectKind.BLOB, self.manifest.size)]


def call_key(function: str, code: bytes, arguments: bytes) -> Digest:
    """The key of all calls of one function with the same code and arguments.

    Raises ValueError where a digest has another length, or the function's name is not Unicode.
    """
    if len(code) != DIGEST_SIZE or len(arguments) != DIGEST_SIZE:
        raise ValueError(f"a digest has {DIGEST_SIZE} bytes")
    return Digest(blake3(code + arguments + function.encode(), derive_key_context=CALL_CONTEXT).digest())


# -- encoding


def encode_evaluation(value: Evaluation | Acceptance) -> bytes:
    """The canonical encoding. Raises ValueError where the value breaks a rule of section 2.3."""
    try:
        encoded = encode_json(_members(value) if isinstance(value, Evaluation) else _members_of_acceptance(value))
        if decode_evaluation(encoded) != value:
            raise ValueError("an evaluation must be made of tuples, digests and plain numbers")
    except MalformedObject as error:
        raise ValueError(error.reason) from None
    return encoded


def _members(value: Evaluation) -> dict[str, Any]:
    members = {
        "arguments": value.arguments.hex(),
        "buffers": [_link(buffer) for buffer in value.buffers],
        "by": value.by,
        "code": value.code.hex(),
        "elapsed": value.elapsed,
        "experiment": int(value.experiment),
        "extras": [[name, digest.hex()] for name, digest in value.extras],
        "function": value.function,
        "git": value.git,
        "manifest": _link(value.manifest),
        "python": value.python,
        "result": _link(value.result),
        "shown": [[name, digest.hex(), text] for name, digest, text in value.shown],
        "snapshots": [
            {"digest": taken.digest.hex(), "kind": taken.kind.name.lower(), "path": taken.path, "size": taken.size}
            for taken in value.snapshots
        ],
        "started": value.started,
    }
    if value.display is not None:
        members["display"] = _link(value.display)
    if value.reason is not None:
        members["reason"] = _link(value.reason)
    return members


def _members_of_acceptance(value: Acceptance) -> dict[str, Any]:
    return {
        "accepts": value.accepts.hex(),
        "by": value.by,
        "code": value.code.hex(),
        "function": value.function,
        "git": value.git,
        "made": value.made,
        "manifest": _link(value.manifest),
        "note": value.note,
    }


def _link(link: BlobLink) -> dict[str, Any]:
    return {"digest": link.digest.hex(), "size": link.size}


# -- decoding

_LINK = frozenset(("digest", "size"))
_SNAPSHOT = frozenset(("digest", "kind", "path", "size"))
_ACCEPTANCE = frozenset(field.name for field in dataclasses.fields(Acceptance))
_EVALUATION = frozenset(field.name for field in dataclasses.fields(Evaluation))


def decode_evaluation(data: bytes) -> Evaluation | Acceptance:
    """The value that `data` encodes. Raises MalformedObject for anything but its canonical encoding."""
    fields = Fields(decode_json(data, _WHAT), _WHAT)
    return _decode_acceptance(fields) if fields.has("accepts") else _decode_evaluation(fields)


def _decode_evaluation(fields: Fields) -> Evaluation:
    fields.only(_EVALUATION)
    experiment = fields.number("experiment")
    if experiment > 1:
        raise MalformedObject(_WHAT, "'experiment' is neither 0 nor 1")
    return Evaluation(
        function=_function(fields),
        code=fields.digest("code"),
        arguments=fields.digest("arguments"),
        manifest=_decode_link(fields.row("manifest")),
        result=_decode_link(fields.row("result")),
        buffers=tuple(_decode_link(row) for row in fields.rows("buffers")),
        snapshots=tuple(_decode_snapshot(row) for row in fields.rows("snapshots")),
        display=_decode_link(fields.row("display")) if fields.has("display") else None,
        reason=_decode_link(fields.row("reason")) if fields.has("reason") else None,
        shown=tuple(
            ShownArgument(name, parse_field(digest, _WHAT), text) for name, digest, text in fields.texts("shown", 3)
        ),
        extras=_decode_extras(fields.texts("extras", 2)),
        experiment=bool(experiment),
        started=fields.number("started"),
        elapsed=fields.number("elapsed"),
        by=fields.text("by"),
        git=fields.text("git"),
        python=fields.text("python"),
    )


def _decode_acceptance(fields: Fields) -> Acceptance:
    fields.only(_ACCEPTANCE)
    return Acceptance(
        function=_function(fields),
        accepts=fields.digest("accepts"),
        code=fields.digest("code"),
        manifest=_decode_link(fields.row("manifest")),
        made=fields.number("made"),
        by=fields.text("by"),
        git=fields.text("git"),
        note=fields.text("note"),
    )


def _function(fields: Fields) -> str:
    function = fields.text("function")
    if not function:
        raise MalformedObject(_WHAT, "'function' is empty")
    return function


def _decode_link(fields: Fields) -> BlobLink:
    fields.only(_LINK)
    return BlobLink(fields.digest("digest"), fields.number("size"))


def _decode_snapshot(fields: Fields) -> TakenSnapshot:
    fields.only(_SNAPSHOT)
    kind = _SNAPSHOT_KINDS.get(fields.text("kind"))
    if kind is None:
        raise MalformedObject(_WHAT, "'kind' is neither 'blob' nor 'tree'")
    return TakenSnapshot(fields.digest("digest"), kind, fields.number("size"), fields.text("path"))


def _decode_extras(rows: Iterable[list[str]]) -> tuple[Extra, ...]:
    extras = tuple(Extra(name, parse_field(digest, _WHAT)) for name, digest in rows)
    names = [extra.name for extra in extras]
    if any(later <= earlier for earlier, later in pairwise(names)):
        raise MalformedObject(_WHAT, "'extras' are not in ascending order")
    return extras
