"""Digests of large contents, with all processors where they can be used.

The threads that hash side by side belong to the process that began them. A forked child inherits the belief that they
are there, and would wait for them for ever; it hashes in one thread.
"""

from __future__ import annotations

import mmap
import os

from blake3 import blake3

from hitsave.cache.files import clone_file, copy_steps
from hitsave.cache.overlap import Overlap
from hitsave.objects.digest import Digest

_threads = blake3.AUTO


def new_hasher() -> blake3:
    """A BLAKE3 hasher for contents of any size."""
    return blake3(max_threads=_threads)


def _use_one_thread() -> None:
    global _threads
    _threads = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)


def hash_descriptor(fd: int) -> Digest:
    """The digest of an open file's content, read in steps; memory is bounded."""
    hasher = new_hasher()
    buffer = bytearray(8 << 20)
    view = memoryview(buffer)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        while done := file.readinto(buffer):
            hasher.update(view[:done])
    return Digest(hasher.digest())


def copy_and_hash(source: int, target: int) -> Digest:
    """Copy an open file and give the digest of the copy, which is hashed side by side."""
    if clone_file(source, target):
        return hash_descriptor(target)
    hasher = new_hasher()

    def hash_step(step: tuple[int, int]) -> None:
        offset, length = step
        aligned = offset - offset % mmap.ALLOCATIONGRANULARITY
        with mmap.mmap(target, offset + length - aligned, offset=aligned, access=mmap.ACCESS_READ) as mapped:
            with memoryview(mapped) as view, view[offset - aligned :] as piece:
                hasher.update(piece)

    with Overlap(hash_step) as hashing:
        offset = 0
        for done in copy_steps(source, target):
            hashing.submit((offset, done))
            offset += done
    return Digest(hasher.digest())
