"""Which versions of datasets, snapshots and evaluations policies would keep. Nothing is changed.

Datasets and snapshots are those of this project alone. Experiments are never judged, nor are public snapshots.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from hitsave.cache.evaluations import EvaluationRow
from hitsave.errors import RefError, WorkspaceError
from hitsave.maintenance.policies import Policies, Verdict, Version
from hitsave.objects.refs import Ref, RefName
from hitsave.ownership import Owned
from hitsave.repository import Repository


class Kind(StrEnum):
    """What there are versions of."""

    DATASET = "dataset"
    SNAPSHOT = "snapshot"
    FUNCTION = "function"


class Candidate(NamedTuple):
    """A version that can be judged.

    `of` is a path from the workspace, or the name of a function; `size` in bytes, None where it is not known here.
    """

    version: Version
    kind: Kind
    of: str
    size: int | None


class Judged(NamedTuple):
    """A version with its verdict."""

    candidate: Candidate
    verdict: Verdict


class Candidates:
    """What policies can be about among refs: those of the cache, which has evaluations as well, or of a remote."""

    def __init__(
        self, repository: Repository, refs: Iterable[Ref], snapshots: bool, evaluations: bool, everything: bool = False
    ) -> None:
        """With `everything`, functions of other projects as well."""
        self._repository = repository
        self._project = None if everything else repository.project.quoted
        self._refs = list(refs)
        self._functions = set(repository.cache.evaluations.names(self._project)) if evaluations else set()
        self._owned = {Kind.DATASET: repository.project.datasets_of(self._refs)}
        if snapshots:
            self._owned[Kind.SNAPSHOT] = repository.project.snapshots_of(self._refs)

    def all(self) -> Iterator[Candidate]:
        """The datasets of this project, and snapshots, where those are wanted."""
        for kind, owned in self._owned.items():
            yield from (self._of_ref(kind, each) for each in owned)

    def named(self, text: str) -> list[Candidate]:
        """What stands at a path, or beneath it, or the evaluations of a function. Raises RefError, WorkspaceError."""
        if found := list(self._at(Path(text))):
            return found
        if text in self._functions:
            rows = self._repository.cache.evaluations.of(text, self._project)
            return [_of_evaluation(row) for row in rows if not row.experiment]
        try:
            meant = self._repository.names.ref_named(text, self._refs)
        except RefError:
            raise WorkspaceError(f"{text}: there is no version of it that a policy could be about") from None
        raise RefError(f"{text} is one ref ({meant}), and a policy chooses among several; name it without a policy")

    def _at(self, path: Path) -> Iterator[Candidate]:
        for kind, owned in self._owned.items():
            try:
                found = self._repository.project.at(path, owned)
            except WorkspaceError:
                continue  # What lies outside of the workspace is nothing of this project's.
            yield from (self._of_ref(kind, each) for each in found)

    def _of_ref(self, kind: Kind, owned: Owned) -> Candidate:
        path = os.fsdecode(owned.path)
        ref = owned.ref
        version = Version(ref.name, ref.digest, f"{kind} {path}", ref.created * 1_000_000)
        return Candidate(version, kind, path, self._repository.size_here(ref.digest))


def _of_evaluation(row: EvaluationRow) -> Candidate:
    version = Version(row.name, row.digest, f"{Kind.FUNCTION} {row.function}", row.started)
    return Candidate(version, Kind.FUNCTION, row.function, row.size)


def judge(
    repository: Repository, candidates: Iterable[Candidate], last: int | None, within: int | None, in_git: bool
) -> list[Judged]:
    """A verdict on each, by what they are versions of, the newest first; `within` in seconds.

    Raises WorkspaceError where git is asked for and there is no repository, or not all of its history is here; RefError
    where it is asked about a function.
    """
    by_name: dict[RefName, Candidate] = {each.version.name: each for each in candidates}
    function = next((each.of for each in by_name.values() if each.kind is Kind.FUNCTION), None)
    if in_git and function is not None:
        raise RefError(f"{function} is a function, and no pointer file names its evaluations; leave out --keep-git")
    policies = Policies(last, within, repository.named_in_git() if in_git else None)
    versions = [each.version for each in by_name.values()]
    verdicts = policies.judge(versions, time.time_ns() // 1000, repository.named_by_pointers())
    return [Judged(by_name[verdict.version.name], verdict) for verdict in verdicts]
