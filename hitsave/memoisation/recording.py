"""Threads that a memoised call starts belong to it, as its tasks do: what they snapshot, and the leases they run under.

`Thread.start` and `ThreadPoolExecutor.submit` are wrapped once, when the first memoised body of a process runs, and do
what they did before unless a recorder is current. Only hitsave's own context variables are carried, so that nothing
changes for code that expects a thread to begin with an empty context (`decimal` and numpy's error state are such).

Not followed: threads that are started through `_thread`, those of C libraries, and other processes.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from hitsave.cache.forking import UNDIVIDED
from hitsave.memoisation.leases.leases import held_here
from hitsave.recording import current, recorder_here

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")

#: The variables that are carried, each with what it is where nothing was carried.
_carried: dict[ContextVar[Any], Any] = {recorder_here: None, held_here: ()}
_following = threading.RLock()


def _renew_lock() -> None:
    global _following
    _following = threading.RLock()


UNDIVIDED.renew(_renew_lock)


def carry(variable: ContextVar[Any], empty: object) -> None:
    """Have a variable carried as well; `empty` is its value where nothing was."""
    _carried[variable] = empty


def follow_threads() -> None:
    """Begin to follow threads, in this process. Calls after the first one do nothing."""
    if getattr(threading.Thread.start, "follows_memoised_calls", False):
        return
    with _following:
        if not getattr(threading.Thread.start, "follows_memoised_calls", False):
            threading.Thread.start = _following_start(  # type: ignore[assignment,method-assign]
                threading.Thread.start
            )
            ThreadPoolExecutor.submit = _following_submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]


class _Carried:
    """What the variables are here and now, for code that runs elsewhere and later."""

    def __init__(self) -> None:
        self._values = [(variable, variable.get(empty)) for variable, empty in _carried.items()]

    def run(self, function: Callable[_Given, _Result], /, *args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        with _set(self._values):
            return function(*args, **kwargs)


@contextmanager
def _set(values: list[tuple[ContextVar[Any], Any]]) -> Iterator[None]:
    tokens = [(variable, variable.set(value)) for variable, value in values]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _following_start(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @functools.wraps(start)
    def start_following(thread: threading.Thread) -> None:
        # Since 3.14 a thread may be given a context: then that is what it was meant to run in.
        if current() is None or getattr(thread, "_context", None) is not None:
            return start(thread)
        attributes = vars(thread)
        before = attributes.get("run")
        run, carried = thread.run, _Carried()

        def put_back() -> None:
            if before is None:
                attributes.pop("run", None)
            else:
                attributes["run"] = before

        def run_following() -> None:
            put_back()
            carried.run(run)

        attributes["run"] = run_following
        try:
            return start(thread)
        except BaseException:
            if attributes.get("run") is run_following:  # It did not start, or is only interrupted in waiting for it.
                put_back()
            raise

    start_following.follows_memoised_calls = True  # type: ignore[attr-defined]
    return start_following


def _following_submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @functools.wraps(submit)
    def submit_following(pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if current() is None or _runs_elsewhere(pool):
            return submit(pool, fn, *args, **kwargs)
        carried = _Carried()
        # A thread that the pool starts for this will serve others, too, and belongs to nobody.
        with _set(list(_carried.items())):
            return submit(pool, carried.run, fn, *args, **kwargs)

    return submit_following


def _runs_elsewhere(pool: ThreadPoolExecutor) -> bool:
    """Whether a pool sends what it is given to other interpreters, where nothing of this one means anything."""
    elsewhere = getattr(sys.modules.get("concurrent.futures.interpreter"), "InterpreterPoolExecutor", None)
    return elsewhere is not None and isinstance(pool, elsewhere)
