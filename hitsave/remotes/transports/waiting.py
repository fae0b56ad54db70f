"""Waits for a library that cannot be interrupted, so that Ctrl-C works at once.

Signals are seen by the main thread alone, and not while it is inside of such a library. So it lets another thread go
there. That one is a daemon: it is left behind when the main thread is told to stop, and keeps no process alive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


def wait_for(request: Callable[[], _Result]) -> _Result:
    """What `request` gives, or raises. KeyboardInterrupt may come meanwhile; then nobody knows what became of it."""
    if threading.current_thread() is not threading.main_thread():
        return request()
    results: list[_Result] = []
    errors: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(request())
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True, name="hitsave-request").start()
    ended.wait()
    if errors:
        raise errors[0]
    return results[0]
