"""One run of a memoised function: how long it took, and which snapshots were taken meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType

from hitsave.memo.recording import follow_threads
from hitsave.memo.results import Snapshot
from hitsave.objects.digest import Digest, ObjectKind
from hitsave.objects.evaluation import Evaluation, TakenSnapshot
from hitsave.objects.refs import quote_name
from hitsave.recording import Recorder, current


class Running:
    """Use it as a context manager around the run. Times are in microseconds, `started` since 1970."""

    def __init__(self) -> None:
        follow_threads()
        self._recorder = Recorder()
        self._begun = 0
        self.started = 0
        self.elapsed = 0

    def __enter__(self) -> Running:
        self.started = time.time_ns() // 1000
        self._recorder.__enter__()
        self._begun = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.elapsed = (time.perf_counter_ns() - self._begun) // 1000
        self._recorder.__exit__(kind, error, trace)

    @property
    def release(self) -> str | None:
        """The token of what is held, which the outermost call lets go."""
        return self._recorder.hold if self._recorder.parent is None and self._recorder.taken else None

    def snapshots(self, returned: Iterable[Snapshot]) -> tuple[TakenSnapshot, ...]:
        """What the evaluation owns: snapshots that were taken, and those in the result."""
        found: dict[bytes, TakenSnapshot] = {}
        for digest, kind, size, path in self._recorder.taken:
            found.setdefault(digest, TakenSnapshot(Digest(digest), ObjectKind(kind), size, _quoted(path)))
        for each in returned:
            digest = bytes.fromhex(each.digest)
            path = each.relpath.as_posix() if each.relpath is not None else ""
            kind = ObjectKind(each._kind)
            found.setdefault(digest, TakenSnapshot(Digest(digest), kind, each.content_length, _quoted(path)))
        return tuple(found.values())


def _quoted(path: str) -> str:
    return quote_name(path.encode("utf-8", "surrogateescape"))


def report_hit(evaluation: Evaluation) -> None:
    """What a call has taken when it ran belongs to those that it is called from, also when it does not run again."""
    recorder = current()
    if recorder is not None:
        for taken in evaluation.snapshots:
            recorder.took(taken.digest, int(taken.kind), taken.size, taken.path)
