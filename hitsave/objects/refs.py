"""Refs: who owns what (objects_spec.md, section 8). A ref is the only thing that changes in a store.

A ref's full name is `NAMESPACE/NAME`. Names are printable ASCII text: bytes outside of it, and `%`, are written
as `%XX`, and nothing else is, so that any path of any file system has exactly one name.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from hitsave.objects.digest import Digest, ObjectKind, parse_digest

_UNSAFE = re.compile(rb"[^!-$&-~]")
_UNSAFE_OR_SLASH = re.compile(rb"[^!-$&-.0-~]")

_QUOTED = "%(?:[018-9A-F][0-9A-F]|20|25|7F)"
_DIGEST = re.compile("[0-9a-f]{64}")
_ACCEPTED = "accepted-"
#: What a name may be, by its namespace. It begins with a function or a dataset's project, where `/` is quoted as well.
_FORMS = {
    "evaluations": re.compile(f"(?:[!-$&-.0-~]|{_QUOTED}|%2F)+/(?:accepted-)?[0-9a-f]{{64}}@[0-9a-f]{{64}}"),
    "datasets": re.compile(f"(?=.)(?:[!-$&-.0-~]|{_QUOTED}|%2F)*(?:/(?:[!-$&-~]|{_QUOTED})*)?"),
    "snapshots": _DIGEST,
    "public": _DIGEST,
}


class Namespace(StrEnum):
    """Who made a ref, hence which rules may forget it."""

    EVALUATIONS = "evaluations"
    DATASETS = "datasets"
    SNAPSHOTS = "snapshots"
    PUBLIC = "public"


def quote_name(name: bytes, *, slash: bool = False) -> str:
    """Any bytes as a ref name: printable ASCII stays, everything else becomes `%XX`, with `slash` also `/`."""
    unsafe = _UNSAFE_OR_SLASH if slash else _UNSAFE
    return unsafe.sub(lambda match: b"%%%02X" % match.group()[0], name).decode("ascii")


def unquote_name(name: str) -> bytes:
    """The bytes that `quote_name` was given."""
    return re.sub(rb"%([0-9A-F]{2})", lambda match: bytes([int(match.group(1), 16)]), name.encode("ascii"))


@dataclass(frozen=True, slots=True, order=True)
class RefName:
    """A namespace and a name within it."""

    namespace: Namespace
    name: str

    def __str__(self) -> str:
        return f"{self.namespace.value}/{self.name}"


def parse_ref_name(text: str) -> RefName:
    """The ref name that `NAMESPACE/NAME` spells. Raises ValueError."""
    namespace, _, name = text.partition("/")
    form = _FORMS.get(namespace)
    if form is None or not form.fullmatch(name):
        raise ValueError(f"{text!r} is not a ref name (NAMESPACE/NAME)")
    return RefName(Namespace(namespace), name)


def dataset_ref(project: str, path: bytes, digest: Digest) -> RefName:
    """The ref of one version of a dataset: `datasets/PROJECT/PATH@DIGEST`."""
    return RefName(Namespace.DATASETS, f"{quote_name(project.encode(), slash=True)}/{quote_name(path)}@{digest}")


def evaluation_prefix(function: str, key: bytes) -> str:
    """What the names of all evaluations with this key begin with, within their namespace: `FUNCTION/KEY@`."""
    return f"{_quote_function(function)}/{key.hex()}@"


def evaluation_ref(function: str, key: bytes, digest: Digest) -> RefName:
    """The ref of one evaluation: `evaluations/FUNCTION/KEY@DIGEST`."""
    return RefName(Namespace.EVALUATIONS, f"{evaluation_prefix(function, key)}{digest}")


def acceptance_prefix(function: str, code: bytes) -> str:
    """What the names of all acceptances for this version of the code begin with: `FUNCTION/accepted-CODE@`."""
    return f"{_quote_function(function)}/{_ACCEPTED}{code.hex()}@"


def acceptances_prefix(function: str) -> str:
    """What the names of all acceptances of a function begin with: `FUNCTION/accepted-`."""
    return f"{_quote_function(function)}/{_ACCEPTED}"


def acceptance_ref(function: str, code: bytes, digest: Digest) -> RefName:
    """The ref of one acceptance: `evaluations/FUNCTION/accepted-CODE@DIGEST`."""
    return RefName(Namespace.EVALUATIONS, f"{acceptance_prefix(function, code)}{digest}")


def function_prefix(function: str) -> str:
    """What the names of all evaluations and acceptances of a function begin with: `FUNCTION/`."""
    return f"{_quote_function(function)}/"


@functools.lru_cache(1024)
def _quote_function(function: str) -> str:
    return quote_name(function.encode(), slash=True)


class EvaluationName(NamedTuple):
    """What the name of an evaluation's or an acceptance's ref says; `key` is the code's digest in the latter."""

    function: str
    key: Digest
    digest: Digest
    accepted: bool


def parse_evaluation_name(name: RefName) -> EvaluationName:
    """What a name in `evaluations` says. Raises ValueError for what is none."""
    if name.namespace is not Namespace.EVALUATIONS or not _FORMS["evaluations"].fullmatch(name.name):
        raise ValueError(f"{name} is not the name of an evaluation")
    function, _, rest = name.name.partition("/")
    key, _, digest = rest.partition("@")
    accepted = key.startswith(_ACCEPTED)
    return EvaluationName(
        unquote_name(function).decode(),
        parse_digest(key.removeprefix(_ACCEPTED)),
        parse_digest(digest),
        accepted,
    )


def snapshot_ref(digest: Digest) -> RefName:
    """The ref of a shared snapshot."""
    return RefName(Namespace.SNAPSHOTS, str(digest))


def public_ref(digest: Digest) -> RefName:
    """The ref of a snapshot that needs no key."""
    return RefName(Namespace.PUBLIC, str(digest))


@dataclass(frozen=True, slots=True)
class Ref:
    """A name, the object that it owns, and where it came from.

    `created` is in seconds since 1970; `by` is USER@HOST; `path` the quoted path that was captured;
    `git_commit` the hex name of the commit that was checked out.
    """

    name: RefName
    digest: Digest
    kind: ObjectKind
    created: int = 0
    by: str = ""
    path: str = ""
    git_commit: str = ""
