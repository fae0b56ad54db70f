"""Hashers for large contents, which use all processors where they can.

The threads that hash side by side belong to the process that began them. A forked child inherits the belief that they
are there, and would wait for them for ever; it hashes in one thread.
"""

from __future__ import annotations

import os

from blake3 import blake3

_threads = blake3.AUTO


def new_hasher() -> blake3:
    """A BLAKE3 hasher for contents of any size."""
    return blake3(max_threads=_threads)


def _use_one_thread() -> None:
    global _threads
    _threads = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)
